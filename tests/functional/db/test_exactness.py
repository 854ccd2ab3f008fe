"""Names are what they are, and ids are never used again, on each database."""

import pytest
import sqlalchemy as sa
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.db import aggregates
from aggregates_ext.db import hosts
from aggregates_ext.db import pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from tests import databases

LONG = 'ü' * 255
NAMES = ['pool', 'Pool', 'POOL', 'pöol', 'pool 🐼', '🐼', 'ﬀ', 'ff', LONG]


@pytest.mark.every_database
def test_names_that_look_alike_are_different(
    database: engine.Database,
) -> None:
    """Letter case, accents, ligatures and emojis tell names apart."""
    for name in NAMES:
        create(database, name, name)
        register(database, name)
    with database.reader() as connection:
        for name in NAMES:
            found = aggregates.get_all(
                connection, name=name, availability_zone=name
            )
            assert [a.name for a in found] == [name]
            assert hosts.get(connection, name).name == name
    key = create(database, 'another')
    assert database.write(lambda c: hosts.bind(c, 'POOL', key))
    with database.reader() as connection:
        listed = aggregates.get_all(connection, host='POOL')
        assert [a.hosts for a in listed] == [('POOL',)]
        assert aggregates.get_all(connection, host='pool') == []
        with pytest.raises(exception.HostNotFound):
            hosts.get(connection, 'pOOL')


@pytest.mark.every_database
def test_the_same_name_twice_is_refused(database: engine.Database) -> None:
    first = create(database, '🐼')
    second = create(database, 'other')
    register(database, '🐼')
    with pytest.raises(exception.AggregateNameExists, match='🐼'):
        create(database, '🐼')
    with pytest.raises(exception.AggregateNameExists, match='🐼'):
        database.write(lambda c: aggregates.update(c, second, {'name': '🐼'}))
    with pytest.raises(exception.HostExists):
        register(database, '🐼')
    database.write(lambda c: aggregates.delete(c, first))
    assert create(database, '🐼') > second


@pytest.mark.every_database
def test_documents_come_back_as_they_were(database: engine.Database) -> None:
    key = create(database, 'pool')
    metadata = {'🐼': '\\ " \' % %s ?', 'k' * 255: LONG, 'empty': ''}
    drift = records.Drift('MEMBER_DEAD', '🐼', 'xen1', 'u1', 1.5)
    seen = {'nested': [1, 2.5, None, True, {'a': '🐼'}]}

    def work(connection: sa.Connection) -> None:
        aggregates.update(connection, key, {'metadata': metadata})
        pools.set_observation(connection, key, seen, [drift])

    database.write(work)
    with database.reader() as connection:
        found = aggregates.get(connection, key)
    assert found.metadata == metadata
    assert found.observation == seen
    assert found.drift == (drift,)
    assert found.updated_at is not None


@pytest.mark.every_database
def test_absent_documents_are_null_and_not_the_word(
    database: engine.Database,
) -> None:
    key = create(database, 'pool')
    database.write(lambda c: pools.set_observation(c, key, None, []))
    column = models.aggregates.c.observation
    with database.reader() as connection:
        assert connection.scalar(
            sa.select(sa.func.count()).where(column.is_(None))
        )


@pytest.mark.parametrize('kind', databases.SERVERS)
def test_ids_are_not_used_again_after_a_restart(kind: str) -> None:
    with databases.CLASSES[kind]() as server:
        database = engine.Database(databases.configure(server.new()))
        migration.upgrade(database)
        create(database, 'first')
        last = create(database, 'last')
        row = models.aggregates.c.id == last
        database.write(
            lambda c: c.execute(sa.delete(models.aggregates).where(row))
        )
        database.dispose()
        server.kill()
        server.start()
        assert create(database, 'after') > last
        database.dispose()


def create(
    database: engine.Database, name: str, zone: str | None = None
) -> int:
    """Create an aggregate; the answer: its id."""
    uuid = uuidutils.generate_uuid()
    return database.write(lambda c: aggregates.insert(c, uuid, name, zone).id)


def register(database: engine.Database, name: str) -> None:
    """Register a host."""
    values = {'name': name, 'url': 'https://x', 'credential': 'default'}
    database.write(lambda c: hosts.insert(c, values))
