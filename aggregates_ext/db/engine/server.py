"""Which database server it is, and how old."""

from typing import NamedTuple

import sqlalchemy as sa
from oslo_db import exception as db_exc

from aggregates_ext import exception
from aggregates_ext.db.engine import engine


class Server(NamedTuple):
    """What answers to ``[database] connection``.

    :ivar kind: 'sqlite', 'mariadb', 'mysql' or 'postgresql'.
    """

    kind: str
    version: tuple[int, ...]


def describe(database: engine.Database) -> Server:
    """Ask the server who it is.

    :raises exception.Unavailable: there is none, or none of that name.
    """
    try:
        with database.reader() as connection:
            dialect = connection.dialect
            kind = dialect.name
            if getattr(dialect, 'is_mariadb', False):
                kind = 'mariadb'
            version = dialect.server_version_info or ()
    except (db_exc.DBError, sa.exc.ArgumentError, ImportError) as exc:
        # Without the message, which may repeat the URL.
        raise exception.Unavailable(
            reason='The database of [database] connection cannot be used: '
            f'{type(exc).__name__}.'
        ) from exc
    return Server(kind, tuple(p for p in version if isinstance(p, int)))
