"""The newest schema, copied from a database that the migration has made.

The migration makes one of each kind in each process of the tests; it takes
a hundred times as long as a copy. What a server tells of that one, or
SQLite's file, is copied as it is. Tests of the migration itself call it.
"""

import functools
import pathlib
import tempfile

import sqlalchemy as sa

from aggregates_ext.db.engine import connections
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from tests import databases


def upgrade(database: engine.Database) -> None:
    """Give a database that is empty the newest schema."""
    url = database.engine.url
    server = databases.server_of(url)
    if url.get_backend_name() == 'sqlite':
        _copy_file(url.database or '')
    elif server is None:
        migration.upgrade(database)
    else:
        server.copy(_template(server), str(url.database))
        # It has connections to what was there before.
        database.engine.dispose()


def _make(url: str) -> None:
    made = engine.Database(databases.configure(url))
    migration.upgrade(made)
    made.dispose()


@functools.cache
def _template(server: databases.Server) -> str:
    """The name of a database of the newest schema."""
    url = server.new()
    _make(url)
    return str(sa.make_url(url).database)


@functools.cache
def _file() -> bytes:
    """What SQLite writes for the newest schema, with its WAL in it."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / 'newest.sqlite'
        _make(f'sqlite:///{path}')
        assert [path] == list(pathlib.Path(directory).iterdir())
        return path.read_bytes()


def _copy_file(name: str) -> None:
    path = pathlib.Path(name)
    assert not path.exists() or not path.stat().st_size, path
    connections.make_private(name)
    path.write_bytes(_file())
