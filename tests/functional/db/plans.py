"""How many rows a statement reads, as each database tells it itself."""

import contextlib
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from tests import databases

# Steps of SQLite's machine that a row which is read takes, at the least.
STEPS = 4


class Cost(NamedTuple):
    """What a statement has read.

    :ivar rows: looked at, those that were then left out among them.
    :ivar plan: the database's own words, for whoever mends it.
    """

    rows: float
    plan: str


def measure(
    connection: sa.Connection, work: Callable[[sa.Connection], object]
) -> list[Cost]:
    """What each statement of some work reads; nothing of it is kept."""
    seen: list[tuple[str, Any]] = []

    def listen(
        _connection: Any, _cursor: Any, statement: str, values: Any, *_: Any
    ) -> None:
        seen.append((statement, values))

    save = connection.begin_nested()
    sa.event.listen(connection, 'before_cursor_execute', listen)
    work(connection)
    sa.event.remove(connection, 'before_cursor_execute', listen)
    save.rollback()
    explain = _EXPLAIN[connection.dialect.name]
    found = []
    for statement, values in seen:
        if not statement.startswith(('SAVEPOINT', 'RELEASE')):
            save = connection.begin_nested()
            found.append(explain(connection, statement, values))
            save.rollback()
    return found


def _sqlite(connection: sa.Connection, statement: str, values: Any) -> Cost:
    plan = connection.exec_driver_sql(
        f'EXPLAIN QUERY PLAN {statement}', values
    ).all()
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    raw: Any = connection.connection.driver_connection
    raw.set_progress_handler(count, STEPS)
    result = connection.exec_driver_sql(statement, values)
    if result.returns_rows:
        result.all()
    raw.set_progress_handler(None, 0)
    return Cost(steps, '\n'.join(row[3] for row in plan))


def _mysql(connection: sa.Connection, statement: str, values: Any) -> Cost:
    plan = connection.exec_driver_sql(f'EXPLAIN {statement}', values).all()
    before = _read_of_mysql(connection)
    result = connection.exec_driver_sql(statement, values)
    if result.returns_rows:
        result.all()
    read = _read_of_mysql(connection) - before
    return Cost(read, '\n'.join(str(row) for row in plan))


def _read_of_mysql(connection: sa.Connection) -> int:
    """Rows and entries of indexes that this session has read so far."""
    return sum(
        int(row[1])
        for row in connection.exec_driver_sql(
            "SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%%'"
            " OR Variable_name = 'Handler_icp_attempts'"
        )
    )


def _postgresql(
    connection: sa.Connection, statement: str, values: Any
) -> Cost:
    found = connection.exec_driver_sql(
        f'EXPLAIN (ANALYZE, FORMAT JSON) {statement}', values
    ).scalar_one()
    return Cost(_sum(found, _postgresql_rows), json.dumps(found, indent=1))


def _postgresql_rows(node: dict[str, Any]) -> float:
    if 'Scan' not in node.get('Node Type', ''):
        return 0
    read = node['Actual Rows'] + node.get('Rows Removed by Filter', 0)
    return float(read * node['Actual Loops'])


def _sum(node: Any, rows: Callable[[dict[str, Any]], float]) -> float:
    """Over a plan and all that is in it."""
    if isinstance(node, list):
        return sum(_sum(item, rows) for item in node)
    if not isinstance(node, dict):
        return 0
    return rows(node) + sum(_sum(item, rows) for item in node.values())


_EXPLAIN = {'sqlite': _sqlite, 'mysql': _mysql, 'postgresql': _postgresql}


@contextlib.contextmanager
def filled(
    kind: str,
    servers: databases.Servers,
    directory: pathlib.Path,
    fill: Callable[[sa.Connection], None],
) -> Iterator[engine.Database]:
    """A database with much in it, which plans are made for.

    :param kind: one of ``databases.KINDS``.
    :param directory: for SQLite's file.
    """
    url = f'sqlite:///{directory}/aggregates_ext.sqlite'
    if kind != 'sqlite':
        url = servers.get(kind).new()
    made = engine.Database(databases.configure(url))
    migration.upgrade(made)
    patient = made.without_limits()
    with patient.writer() as connection:
        fill(connection)
    with patient.writer() as connection:
        databases.analyze(connection)
    patient.dispose()
    yield made
    made.dispose()
