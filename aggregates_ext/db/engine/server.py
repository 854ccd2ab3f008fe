"""Which database server it is, and how old."""

from typing import NamedTuple

from aggregates_ext.db.engine import engine


class Server(NamedTuple):
    """What answers to ``[database] connection``.

    :ivar kind: 'sqlite', 'mariadb', 'mysql' or 'postgresql'.
    """

    kind: str
    version: tuple[int, ...]


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
    return Server(kind, tuple(p for p in version if isinstance(p, int)))
