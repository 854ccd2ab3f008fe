"""Questions that one statement answers, asked in autocommit.

No BEGIN and no COMMIT, no ping before and no ROLLBACK after it: each costs
its one round trip. A broken connection is found by its use, and then it is
asked once again: a question changes nothing.
"""

import collections
import contextlib
import os
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa
from oslo_log import log as logging

from aggregates_ext.db.engine import failures
from aggregates_ext.db.engine import reasons

# Made once.
Statement = Any
Reader = Callable[[Any], Any]
LOG = logging.getLogger(__name__)


class _Prepared(NamedTuple):
    """A statement as a driver takes it.

    :ivar order: names of its parameters, where the driver counts them.
    :ivar readers: make a value of what the driver says, by the column.
    """

    text: str
    order: Sequence[str] | None
    readers: Mapping[int, Reader]


class Questions:
    """Statements that read, each answered by the state of its moment.

    :param engine: the engine of the database, once it is there.
    :param limit: so many connections wait for a question.
    """

    def __init__(self, engine: sa.Engine, limit: int) -> None:
        self._engine = engine
        self._limit = limit
        self._idle: collections.deque[Any] = collections.deque()
        self._process = os.getpid()
        self._prepared: dict[Statement, _Prepared] = {}

    def ask(
        self, statement: Statement, **values: Any
    ) -> Sequence[Sequence[Any]]:
        """The rows that answer a statement, each value of its column's type.

        :param statement: one that is made once, and names all that it needs
            but its parameters in its text.
        :param values: of its parameters.
        :raises exception.Unavailable: the database cannot be reached.
        """
        known = self._prepared.get(statement) or self._prepare(statement)
        text, order, readers = known
        parameters: Any = values
        if order is not None:
            parameters = tuple([values[name] for name in order])
        found = self._fetch(text, parameters)
        return [_read(row, readers) for row in found] if readers else found

    def _fetch(self, text: str, parameters: Any) -> Sequence[Sequence[Any]]:
        """The rows as the driver hands them over."""
        connection = self._take()
        if connection is not None:
            try:
                found = self._execute(connection, text, parameters)
            except Exception as exc:
                LOG.debug('A connection broke: %s', reasons.first_line(exc))
                # So may have all that are as old.
                self.dispose()
                self._engine.dispose()
            else:
                failures.AWAY.works()
                return found
        return self._ask_anew(text, parameters)

    def _prepare(self, statement: Statement) -> '_Prepared':
        dialect = self._engine.dialect
        compiled: Any = statement.compile(dialect=dialect)
        readers: dict[int, Reader] = {}
        for number, column in enumerate(statement.selected_columns):
            if isinstance(column.type, (sa.Numeric, sa.Float)):
                # All drivers hand over a number as it is.
                continue
            kind = column.type.dialect_impl(dialect)
            reader = kind.result_processor(dialect, None)
            if reader is not None:
                readers[number] = reader
        made = _Prepared(
            str(compiled),
            compiled.positiontup if compiled.positional else None,
            readers,
        )
        self._prepared[statement] = made
        return made

    def _take(self) -> Any:
        """A connection that waits; None: there is none."""
        if self._process != os.getpid():
            # Those of the parent, which goes on with them.
            self._idle, self._process = collections.deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _execute(
        self, connection: Any, text: str, parameters: Any
    ) -> Sequence[Sequence[Any]]:
        """Ask; a connection that answers waits for the next question."""
        cursor = connection.cursor()
        cursor.execute(text, parameters)
        found: Sequence[Sequence[Any]] = cursor.fetchall()
        cursor.close()
        self._keep(connection)
        return found

    def _keep(self, connection: Any) -> None:
        """Let a connection wait for the next question, if few others do."""
        if len(self._idle) < self._limit:
            self._idle.append(connection)
        else:
            connection.close()

    def _ask_anew(self, text: str, parameters: Any) -> Sequence[Any]:
        """Ask by the usual way, which tells failures in our words."""
        with failures.available(failures.UNREACHABLE, self._engine.url):
            with self._engine.connect() as connection:
                found = connection.exec_driver_sql(text, parameters).all()
            if len(self._idle) < self._limit:
                fairy = self._engine.raw_connection()
                made: Any = fairy.dbapi_connection
                fairy.detach()
                self._engine.dialect.set_isolation_level(made, 'AUTOCOMMIT')
                self._keep(made)
        return found

    def dispose(self) -> None:
        """Close the connections that wait for a question."""
        while (connection := self._take()) is not None:
            with contextlib.suppress(Exception):
                connection.close()


def _read(row: Sequence[Any], readers: Mapping[int, Reader]) -> list[Any]:
    values = list(row)
    for number, reader in readers.items():
        values[number] = reader(values[number])
    return values
