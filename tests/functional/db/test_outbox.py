"""What is to be told, written and taken out on each database."""

import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_utils import timeutils

from aggregates_ext.db import aggregates
from aggregates_ext.db import hosts
from aggregates_ext.db import operations
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import queue
from aggregates_ext.db.schema import models

pytestmark = pytest.mark.every_database
MANY = 1200


@pytest.fixture
def telling(database: engine.Database) -> engine.Database:
    database._conf.set_override('enabled', True, 'notifications')
    return database


def register(database: engine.Database, *names: str) -> None:
    values = [
        {
            'name': name,
            'url': f'https://{name}',
            'credential': 'x',
            'availability_zone': 'own',
        }
        for name in names
    ]
    database.write(lambda c: hosts.insert_all(c, values))


def waiting(database: engine.Database) -> list[queue.Row]:
    with database.reader() as connection:
        return queue.waiting(connection)


def test_rows_say_what_the_transaction_leaves(
    telling: engine.Database,
) -> None:
    register(telling, 'h1', 'h2')
    key = telling.write(lambda c: aggregates.insert(c, 'u', 'a 🐼', 'z')).id

    def work(connection: Any) -> None:
        aggregates.update(connection, key, {'metadata': {'k': '🐼'}})
        hosts.bind(connection, 'h1', key)
        hosts.update(connection, 'h1', {'service': 'disabled'})
        operations.insert(connection, 'o', 'add_host', key, 'h1', {})
        aggregates.update(connection, key, {'name': 'b'})

    telling.write(work)
    rows = waiting(telling)
    assert [(row.object, row.action, row.phase) for row in rows] == [
        ('service', 'create', None),
        ('service', 'create', None),
        ('aggregate', 'create', 'start'),
        ('aggregate', 'create', 'end'),
        ('aggregate', 'update_metadata', 'start'),
        ('aggregate', 'update_metadata', 'end'),
        ('aggregate', 'add_host', 'start'),
        ('service', 'update', None),
        ('aggregate', 'update_prop', 'start'),
        ('aggregate', 'update_prop', 'end'),
    ]
    assert [row.name for row in rows[2:4]] == 2 * ['a 🐼']
    for row in rows[4:]:
        if row.object == 'aggregate':
            assert (row.name, row.hosts) == ('b', 'h1:joining')
            assert row.metadata == {'k': '🐼'}
            assert (row.aggregate_id, row.aggregate_uuid) == (key, 'u')
    service = rows[7]
    assert (service.host, service.service) == ('h1', 'disabled')
    # That of the aggregate counts.
    assert [row.availability_zone for row in rows] == ['own'] * 2 + ['z'] * 8
    assert rows[6].details == {'operation': 'o'}
    with telling.reader() as connection:
        registered = connection.execute(
            sa.select(models.hosts.c.id, models.hosts.c.created_at).where(
                models.hosts.c.name == 'h1'
            )
        ).one()
    assert (service.host_id, service.registered_at) == tuple(registered)


def test_a_host_is_told_before_it_goes(telling: engine.Database) -> None:
    register(telling, 'h1')
    telling.write(lambda c: hosts.delete(c, 'h1'))
    created, deleted = waiting(telling)
    assert deleted.action == 'delete'
    assert deleted.host_id == created.host_id is not None


def test_many_hosts_at_once(telling: engine.Database) -> None:
    register(telling, *(f'h{number}' for number in range(MANY)))
    assert len(waiting(telling)) == MANY


def test_one_claims_until_that_is_over(telling: engine.Database) -> None:
    register(telling, 'h1', 'h2', 'h3')

    def claim(owner: str) -> list[int]:
        rows = telling.write(lambda c: queue.claim(c, owner, 60, 2))
        return [row.id for row in rows]

    first = claim('one')
    assert len(first) == 2
    assert claim('two') == []
    assert claim('one') == first
    telling.write(lambda c: queue.give_back(c, 'one'))
    assert claim('two') == first
    over = sa.update(models.notifications).values(claimed_until=1.0)
    telling.write(lambda c: c.execute(over))
    assert claim('one') == first
    telling.write(lambda c: queue.delete(c, first))
    assert len(claim('two')) == 1
    with telling.reader() as connection:
        assert not queue.is_empty(connection)


@pytest.mark.parametrize(
    ('age', 'most', 'limit', 'dropped'),
    [(0, 100, 9, 0), (0, 1, 9, 2), (0, 1, 1, 1), (60, 100, 9, 3)],
)
def test_the_oldest_are_dropped(
    telling: engine.Database, age: float, most: int, limit: int, dropped: int
) -> None:
    register(telling, 'h1', 'h2', 'h3')
    before = timeutils.utcnow() + datetime.timedelta(seconds=age - 30)
    assert (
        telling.write(lambda c: queue.drop(c, before, most, limit)) == dropped
    )
    left = [row.host for row in waiting(telling)]
    assert left == ['h1', 'h2', 'h3'][dropped:]
