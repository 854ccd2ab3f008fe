"""Which database server it is, and how old."""

from typing import NamedTuple

import sqlalchemy as sa

from aggregates_ext.db.engine import engine

# The value with which every statement waits: reads, UPDATE and DELETE, INSERT.
ALL_WAIT = 7


class Server(NamedTuple):
    """What answers to ``[database] connection``.

    :ivar kind: 'sqlite', 'mariadb', 'mysql' or 'postgresql'.
    :ivar waits: of a node of a Galera cluster, which statements of ours see
        what other nodes have committed, as ``wsrep_sync_wait`` tells it;
        None: it is no such node.
    """

    kind: str
    version: tuple[int, ...]
    waits: int | None = None


def describe(database: engine.Database) -> Server:
    """Ask the server who it is.

    :raises exception.Unavailable: it cannot be used.
    """
    with database.reader() as connection:
        dialect = connection.dialect
        kind = dialect.name
        if getattr(dialect, 'is_mariadb', False):
            kind = 'mariadb'
        version = dialect.server_version_info or ()
        waits = _waits(connection) if dialect.name == 'mysql' else None
    numbers = tuple(part for part in version if isinstance(part, int))
    return Server(kind, numbers, waits)


def _waits(connection: sa.Connection) -> int | None:
    # Servers without Galera have one variable of these, or none.
    rows = connection.exec_driver_sql(
        'SHOW SESSION VARIABLES WHERE Variable_name IN '
        "('wsrep_on', 'wsrep_sync_wait')"
    )
    told = {row[0]: row[1] for row in rows}
    if told.get('wsrep_on') != 'ON':
        return None
    return int(told['wsrep_sync_wait'])
