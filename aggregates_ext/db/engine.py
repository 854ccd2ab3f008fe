"""The database: engine, transactions, clock, and what SQLite needs.

SQLite is set up as design 5 says: WAL, BEGIN IMMEDIATE for writers,
busy_timeout 15 s, foreign keys on.
"""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import engines
from sqlalchemy.ext import compiler
from sqlalchemy.sql import functions

from aggregates_ext import exception

BUSY_TIMEOUT_MS = 15_000
T = TypeVar('T')


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
@compiler.compiles(now, 'mariadb')
def _now_mysql(element: Any, compiler: Any, **kwargs: Any) -> str:
    # Not by way of the session's time zone, which may have a summer.
    return (
        "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
        ' / 1000000 + 0.0e0)'
    )


def read_clock(connection: sa.Connection) -> float:
    """The clock of the database, in seconds of the epoch."""
    return float(connection.scalar(sa.select(now())) or 0)


def _set_up_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, 'connect')
    def _connect(connection: Any, record: Any) -> None:
        connection.execute(f'PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}')


class Database:
    """One database and the two ways into it.

    :param conf: configuration with ``[database]`` registered.
    :raises exception.Unavailable: when no connection is configured.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._engine: sa.Engine | None = None

    @property
    def engine(self) -> sa.Engine:
        """The engine, made on first use: a fork before that is harmless."""
        if self._engine is None:
            options = self._conf.database
            if not options.connection:
                raise exception.Unavailable(
                    reason='No database is configured: set [database] '
                    'connection.'
                )
            engine = engines.create_engine(
                options.connection,
                sqlite_fk=True,
                max_pool_size=options.max_pool_size,
                max_overflow=options.max_overflow,
                pool_timeout=options.pool_timeout,
                connection_recycle_time=options.connection_recycle_time,
                max_retries=0,
                thread_checkin=False,
            )
            if engine.dialect.name == 'sqlite':
                _set_up_sqlite(engine)
            self._engine = engine
        return self._engine

    @contextlib.contextmanager
    def reader(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state and changes nothing.

        :raises exception.Unavailable: the database cannot be reached.
        """
        try:
            with self.engine.connect() as connection, connection.begin():
                yield connection
        except db_exc.DBConnectionError as exc:
            raise exception.Unavailable(
                reason='The database cannot be reached; try again later.'
            ) from exc

    @contextlib.contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        """A transaction that is committed at the end, or rolled back."""
        with self.engine.connect() as connection:
            immediate = connection.dialect.name == 'sqlite'
            if immediate:
                # Keeps oslo.db from beginning a deferred transaction.
                connection.info['in_transaction'] = True
            with connection.begin():
                if immediate:
                    connection.exec_driver_sql('BEGIN IMMEDIATE')
                yield connection

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work`` in a transaction, again after a deadlock.

        :param work: gets the connection; may run more than once.
        """

        @oslo_db_api.wrap_db_retry(  # type: ignore[untyped-decorator]
            max_retries=5,
            retry_interval=0.05,
            max_retry_interval=1,
            retry_on_deadlock=True,
            jitter=True,
        )
        def attempt() -> T:
            with self.writer() as connection:
                return work(connection)

        try:
            result: T = attempt()
        except db_exc.DBConnectionError as exc:
            raise exception.Unavailable(
                reason='The database went away while the change was '
                'written; whether it was is not known. Look before '
                'repeating the request.'
            ) from exc
        return result

    def dispose(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
