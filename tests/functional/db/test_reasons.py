"""What keeps a database from being used is a sentence, on each of them."""

import contextlib
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.db import hosts
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import reasons
from aggregates_ext.db.schema import migration
from tests import databases

PASSWORD = 'secret-of-the-database'


@contextlib.contextmanager
def using(url: str) -> Iterator[engine.Database]:
    database = engine.Database(databases.configure(url))
    try:
        yield database
    finally:
        database.dispose()


def refusal(url: str) -> exception.Unavailable:
    """How both a request and ``db sync`` are refused: alike."""
    found = []
    for work in (migration.version, migration.upgrade):
        with using(url) as database:
            with pytest.raises(exception.Unavailable) as caught:
                work(database)
            found.append(caught.value)
    first, second = found
    assert (str(first), first.detail) == (str(second), second.detail)
    assert PASSWORD not in f'{first} {first.detail}'
    return first


@pytest.mark.every_database
@pytest.mark.parametrize(
    'change',
    [
        'ALTER TABLE hosts DROP COLUMN alarm',
        'ALTER TABLE hosts RENAME TO former',
    ],
)
def test_a_schema_of_another_release(
    database: engine.Database, change: str
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(change)
    with (
        pytest.raises(exception.Unavailable, match='not that of this rel'),
        database.reader() as connection,
    ):
        hosts.get_all(connection)
    with pytest.raises(exception.Unavailable, match='not that of this rel'):
        migration.check_tables(database)


@pytest.mark.every_database
@pytest.mark.parametrize(
    ('version', 'told'),
    [('0001', 'db sync'), ('9999', 'does not know: a newer one has made it')],
)
def test_older_and_newer_are_told_apart(
    database: engine.Database, version: str, told: str
) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            sa.text('UPDATE aggregates_ext_version SET version_num = :v'),
            {'v': version},
        )
    assert told in migration.find_fault(database)
    if version == '9999':
        with pytest.raises(exception.Unavailable, match='Install that rel'):
            migration.upgrade(database)


@pytest.mark.every_database
def test_the_newest_has_no_fault(database: engine.Database) -> None:
    assert migration.find_fault(database) == ''
    migration.check_tables(database)


@pytest.mark.parametrize('kind', databases.SERVERS)
def test_a_database_that_is_not_there(
    servers: databases.Servers, kind: str
) -> None:
    server = servers.get(kind)
    url = server.url.format(port=server.port, name='none')
    found = refusal(url)
    assert str(found) == reasons.ABSENT.sentence
    assert f'127.0.0.1:{server.port}, none' in found.detail


@pytest.mark.parametrize('kind', databases.SERVERS)
def test_an_account_that_is_refused(
    servers: databases.Servers, kind: str
) -> None:
    url = sa.make_url(servers.get(kind).new())
    wrong = url.set(username='nobody', password=PASSWORD)
    found = refusal(wrong.render_as_string(hide_password=False))
    assert str(found) == reasons.DENIED.sentence
    assert 'nobody' in found.detail


def test_an_encoding_that_lacks_names(servers: databases.Servers) -> None:
    server = servers.get('postgresql')
    server.administer(
        "CREATE DATABASE narrow ENCODING 'LATIN1' TEMPLATE template0"
    )
    found = refusal(server.url.format(port=server.port, name='narrow'))
    assert str(found) == reasons.ENCODING.sentence
    assert 'server_encoding is LATIN1' in found.detail


@pytest.mark.parametrize(
    ('url', 'told'),
    [
        (
            'mysql+pyodbc://u:{}@127.0.0.1:1/x',
            'not installed: pyodbc. "pip install \'aggregates_ext[mysql]\'" '
            'brings that of mysql+pymysql://',
        ),
        ('mysql://u:{}@127.0.0.1:1/x', 'cannot be reached'),
        ('mysql://u:{}@127.0.0.1:1/x?none=1', 'check its options'),
        ('mysql://u:{}@127.0.0.1:1/x?charset=none', 'check its options'),
        ('mysql://u:{}@127.0.0.1:1/x?read_timeout=none', 'check its options'),
        ('mysql://u:{}@127.0.0.1:1/x?ssl_ca=/nowhere', 'check its options'),
        ('postgresql://u:{}@127.0.0.1:1/x', 'cannot be reached'),
        ('postgresql://u:{}@127.0.0.1:1/x?none=1', 'check its options'),
        ('postgresql+asyncpg://u:{}@127.0.0.1:1/x', 'KIND://'),
        ('oracle://u:{}@127.0.0.1:1/x', 'KIND://'),
        ('sqlite://', 'names no file'),
        ('sqlite:////nowhere/at/all', 'There is no database'),
    ],
)
def test_a_url_that_cannot_be_used(url: str, told: str) -> None:
    assert told in str(refusal(url.format(PASSWORD)))


def test_a_file_that_is_none(tmp_path: object) -> None:
    path = f'{tmp_path}/db'
    with open(path, 'wb') as file:
        file.write(b'no database at all, but some text' * 100)
    assert str(refusal(f'sqlite:///{path}')) == reasons.DAMAGED.sentence
