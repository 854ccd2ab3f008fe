"""The database: transactions, their repetition and their outcome, the clock.

SQLite is set up as design#databases says: WAL, BEGIN IMMEDIATE for writers,
busy_timeout 15 s, foreign keys on.
"""

import contextlib
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import api as oslo_db_api
from oslo_log import log as logging
from sqlalchemy.ext import compiler
from sqlalchemy.sql import functions

from aggregates_ext import exception
from aggregates_ext.db.engine import connections
from aggregates_ext.db.engine import failures
from aggregates_ext.db.engine import questions
from aggregates_ext.db.engine import reasons
from aggregates_ext.db.engine import roundtrips

LOG = logging.getLogger(__name__)
T = TypeVar('T')
# What MySQL's connections are told when a transaction of the other kind
# begins; the levels of PostgreSQL belong to a transaction.
MYSQL_LEVEL = 'SET SESSION TRANSACTION ISOLATION LEVEL '
WRITER, READER = 'READ COMMITTED', connections.READER
SQLITE_WRITER = {connections.BEGIN: 'BEGIN IMMEDIATE'}
# Seconds for which a change is looked for whose COMMIT got no answer.
LOOK_FOR = 3.0
LOOK_INTERVAL = 0.2
# Where a connection has the level that it was told last.
LEVEL = 'aggregates_ext.level'
# Where a connection has what its transaction does last, each by a name of its
# own; None: nothing is to be told of it.
LAST = 'aggregates_ext.last'
Last = dict[str, Callable[[sa.Connection], object]]


class now(functions.FunctionElement[float]):
    """Seconds of the epoch by the clock of the database."""

    type = sa.Double()
    inherit_cache = True


@compiler.compiles(now)
def _now(element: Any, compiler: Any, **kwargs: Any) -> str:
    return 'EXTRACT(EPOCH FROM clock_timestamp())'


@compiler.compiles(now, 'sqlite')
def _now_sqlite(element: Any, compiler: Any, **kwargs: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiler.compiles(now, 'mysql')
def _now_mysql(element: Any, compiler: Any, **kwargs: Any) -> str:
    # Not by way of the session's time zone, which may have a summer.
    return (
        "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
        ' / 1000000 + 0.0e0)'
    )


def read_clock(connection: sa.Connection) -> float:
    """The clock of the database, in seconds of the epoch."""
    return float(connection.scalar(sa.select(now())) or 0)


def _see(connection: sa.Connection, level: str) -> None:
    """Let a transaction of MySQL that has just begun see what it is to see.

    A connection keeps its level, so that one that only reads or only writes
    needs no round trip for it. For the server the transaction begins with the
    first statement on tables, so that what is told before counts for it.
    """
    if connection.dialect.name != 'mysql':
        return
    if connection.info.get(LEVEL, READER) != level:
        connection.exec_driver_sql(MYSQL_LEVEL + level)
        connection.info[LEVEL] = level


class Database:
    """One database and the two ways into it.

    :param conf: configuration with ``[database]`` registered.
    :param limited: as in ``connections.create``.
    :raises exception.Unavailable: when no connection is configured.
    """

    def __init__(self, conf: cfg.ConfigOpts, *, limited: bool = True) -> None:
        self._conf = conf
        self._limited = limited
        self._engine: sa.Engine | None = None
        self._questions: questions.Questions | None = None

    @property
    def engine(self) -> sa.Engine:
        """The engine, made on first use.

        Until then nobody misses a database: what stands in the same pipeline
        is served without ours. Nothing may connect before a server forks;
        the engine itself can be made at any time.
        """
        if self._engine is None:
            self._engine = self._create()
        return self._engine

    def _create(self) -> sa.Engine:
        """:raises exception.Unavailable: the configuration does not do."""
        options = self._conf.database
        try:
            url = options.connection
        except ValueError as exc:
            # It names the option, and not the value.
            raise exception.Unavailable(reason=str(exc)) from None
        if not url:
            raise exception.Unavailable(
                reason='No database is configured: set [database] connection.'
            )
        return connections.create(url, options, limited=self._limited)

    @contextlib.contextmanager
    def available(self) -> Iterator[None]:
        """For work on its schema, which no other way in tells failures of.

        :raises exception.Unavailable: the database cannot be used.
        """
        with failures.available(failures.UNREACHABLE, self.engine.url):
            yield

    def without_limits(self) -> 'Database':
        """The same database, for changes of its schema."""
        return Database(self._conf, limited=False)

    def ask(
        self, statement: questions.Statement, **values: Any
    ) -> Sequence[Sequence[Any]]:
        """The rows that answer one statement, of one state.

        :param statement: one that is made once, of plain numbers.
        :param values: of its parameters.
        :raises exception.Unavailable: the database cannot be reached.
        """
        if self._questions is None:
            self._questions = questions.Questions(
                self.engine, self._conf.database.max_pool_size or 1
            )
        return self._questions.ask(statement, **values)

    @contextlib.contextmanager
    def reader(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state and changes nothing.

        :raises exception.Unavailable: the database cannot be reached.
        """
        with (
            failures.available(failures.UNREACHABLE, self.engine.url),
            self.engine.connect() as connection,
        ):
            if connection.dialect.name == 'postgresql':
                connection.execution_options(isolation_level=READER)
            with connection.begin():
                _see(connection, READER)
                yield connection
            connection.info[roundtrips.ENDED] = True

    @contextlib.contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        """A transaction that is committed at the end, or rolled back.

        Each statement sees what others have committed before it: a row that
        was waited for is read as it is then.

        :raises CommitLost: whether it is committed is not known.
        """
        with self.engine.connect() as connection:
            last: Last | None = (
                {} if self._conf.notifications.enabled else None
            )
            connection.info[LAST] = last
            if connection.dialect.name == 'sqlite':
                connection.execution_options(**SQLITE_WRITER)
            transaction = connection.begin()
            _see(connection, WRITER)
            yield connection
            for act in list((last or {}).values()):
                act(connection)
            failures.commit(transaction)
            connection.info[roundtrips.ENDED] = True

    def write(
        self,
        work: Callable[[sa.Connection], T],
        is_written: Callable[[sa.Connection, T], bool] | None = None,
    ) -> T:
        """Run ``work`` in a transaction, again after a collision.

        A transaction whose COMMIT got no answer is never run again: what it
        should have left is looked for.

        :param work: gets the connection; may run more than once.
        :param is_written: tells by a look, with another connection and what
            ``work`` returned, whether that is in the database.
        :raises exception.Unavailable: the database cannot be reached, or
            the outcome is not known: the message says which.
        """

        @oslo_db_api.wrap_db_retry(  # type: ignore[untyped-decorator]
            max_retries=5,
            retry_interval=0.05,
            max_retry_interval=1,
            exception_checker=failures.is_collision,
            jitter=True,
        )
        def attempt() -> T:
            result: list[T] = []
            try:
                with self.writer() as connection:
                    result.append(work(connection))
            except failures.CommitLost as exc:
                self._look_for(is_written, result[0], exc)
            return result[0]

        with failures.available(failures.NOT_WRITTEN, self.engine.url):
            written: T = attempt()
        return written

    def _look_for(
        self,
        is_written: Callable[[sa.Connection, T], bool] | None,
        result: T,
        lost: failures.CommitLost,
    ) -> None:
        """Find a change whose COMMIT got no answer.

        It may come to be seen a moment later, so one look is not enough.

        :raises exception.Unavailable: it is not there, or cannot be seen.
        """
        LOG.warning(
            'A COMMIT got no answer: %s', reasons.first_line(lost.__cause__)
        )
        end = time.monotonic() + LOOK_FOR
        while is_written is not None:
            found: bool | None = False
            try:
                with self.reader() as connection:
                    found = is_written(connection, result)
            except exception.NotFound:
                pass
            except exception.Unavailable:
                found = None
            if found:
                return
            if time.monotonic() >= end:
                raise exception.Unavailable(
                    reason=failures.UNKNOWN
                    if found is None
                    else failures.NOT_FOUND
                ) from lost
            time.sleep(LOOK_INTERVAL)
        raise exception.Unavailable(reason=failures.UNKNOWN) from lost

    def dispose(self) -> None:
        """Close all connections."""
        if self._questions is not None:
            self._questions.dispose()
        if self._engine is not None:
            self._engine.dispose()
