"""The databases of the installation document, made as it says."""

import contextlib
import pathlib
import re
from collections.abc import Iterator

import sqlalchemy as sa

from tests import databases
from tests.integration import documents
from tests.integration import guide

PASSWORD = 'the-password-of-the-guide'
MAKE = {
    'mariadb': documents.block('install.rst', 'CREATE DATABASE aggregates'),
    'postgresql': documents.block('install.rst', 'CREATE ROLE aggregates'),
}
DROP = {
    'mariadb': ('DROP DATABASE aggregates', 'DROP USER aggregates'),
    'postgresql': ('DROP DATABASE aggregates', 'DROP ROLE aggregates'),
}
DUMP = {
    'sqlite': documents.block('admin.rst', 'sqlite3 '),
    'mariadb': documents.block('admin.rst', 'mariadb-dump '),
    'postgresql': documents.block('admin.rst', 'pg_dump '),
}
RESTORE = {
    'sqlite': documents.block('admin.rst', 'cp aggregates.sqlite '),
    'mariadb': documents.block('admin.rst', 'mariadb aggregates '),
    'postgresql': documents.block('admin.rst', 'pg_restore '),
}
DRIVERS = {'mariadb': 'mysql', 'postgresql': 'postgresql', 'sqlite': 'sqlite'}
URL = re.compile(r'``((\w+)(?:\+\w+)?://[^`]*/aggregates[^`]*)``')


@contextlib.contextmanager
def database(
    kind: str, servers: databases.Servers, machine: guide.Machine
) -> Iterator[str]:
    """The empty database that the document makes; the answer: its URL."""
    found = URL.findall(documents.read('install.rst'))
    url = {driver: url for url, driver in found}[DRIVERS[kind]]
    if kind == 'sqlite':
        url = machine.place(url)
        file = pathlib.Path(url.partition('///')[2])
        yield url
        for left in file.parent.glob(f'{file.name}*'):
            left.unlink()
        return
    server = servers.get(kind)
    place = f'aggregates:{PASSWORD}@127.0.0.1:{server.port}'
    statements = guide.filled(MAKE[kind], {'…': PASSWORD})
    run_sql(server, *statements.split(';'))
    try:
        yield guide.filled(url, {'user:password@db': place})
    finally:
        run_sql(server, *DROP[kind])


def run_sql(server: databases.Server, *statements: str) -> None:
    """Run statements as the administrator of a server."""
    made = sa.create_engine(
        server.administration.format(port=server.port),
        isolation_level='AUTOCOMMIT',
        poolclass=sa.NullPool,
    )
    with made.connect() as connection:
        for statement in statements:
            if statement.strip():
                connection.execute(sa.text(statement))


def names(url: str) -> list[str]:
    """The hosts that are registered in a database."""
    made = sa.create_engine(url, poolclass=sa.NullPool)
    with made.connect() as connection:
        found = connection.execute(sa.text('SELECT name FROM hosts'))
        return sorted(name for (name,) in found)
