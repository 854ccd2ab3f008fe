"""A database of yesterday beside pools of today: ``adopt`` mends it.

What the administrator's guide says of going back to a dump. Its commands are
run by ``tests/integration/test_guide.py``.
"""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext.db.engine import engine
from tests.functional import byhand
from tests.functional import service

Restore = Callable[[], None]


@pytest.fixture
def dump(database: engine.Database) -> Callable[[], Restore]:
    """Takes a dump of all rows; what it answers puts them back."""

    def take() -> Restore:
        tables = sa.MetaData()
        with database.engine.begin() as connection:
            tables.reflect(connection)
            rows = {
                table: [
                    dict(row._mapping)
                    for row in connection.execute(sa.select(table))
                ]
                for table in tables.sorted_tables
            }

        def restore() -> None:
            with database.engine.begin() as connection:
                for table in reversed(tables.sorted_tables):
                    connection.execute(sa.delete(table))
                for table, kept in rows.items():
                    if kept:
                        connection.execute(sa.insert(table), kept)

        return restore

    return take


def adopt(running: service.Service, key: int) -> list[str]:
    """What an adoption changes; it succeeds."""
    running.pools.adopt(running.ctx, key)
    running.work()
    operation = running.operation(key)
    assert operation.state == 'succeeded', operation.error
    changed: list[str] = operation.parameters['result']
    return changed


def remove(running: service.Service, key: int, host: str) -> None:
    """Remove a host, and wait until it is back."""
    running.members.remove_host(running.ctx, key, host)
    running.work()
    running.watch(key, byhand.WHILE)
    assert running.hosts.get(host).phase == 'free'


def test_adopt_follows_what_has_happened_since(
    running: service.Service, dump: Callable[[], Restore]
) -> None:
    key = running.create('xen1', 'xen2')
    restore = dump()
    running.members.add_host(running.ctx, key, 'xen3')
    running.work()
    remove(running, key, 'xen1')
    assert [m['name'] for m in running.pool_of('xen2')['hosts']] == [
        'xen2',
        'xen3',
    ]
    restore()
    assert running.aggregates.get(key).hosts == ('xen1', 'xen2')
    assert set(byhand.codes(running, key)) == {
        'MASTER_CHANGED',
        'HOST_JOINED',
        'MEMBER_MISSING',
        'MEMBER_ELSEWHERE',
    }
    assert len(adopt(running, key)) == 3
    assert running.aggregates.get(key).hosts == ('xen2', 'xen3')
    assert running.hosts.get('xen1').phase == 'free'
    assert running.state(key) == 'active'
    assert len(running.arrivals('Async.pool.join')) == 2
    assert len(running.arrivals('Async.pool.eject')) == 1


@pytest.mark.parametrize('cancelled', [True, False])
def test_what_was_queued_is_done_unless_it_is_cancelled(
    running: service.Service, dump: Callable[[], Restore], cancelled: bool
) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    restore = dump()
    running.work()
    running.watch(key, byhand.WHILE)
    byhand.enable_tls(running, 'xen2')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    restore()
    if cancelled:
        (queued,) = running.operations.get_all(key, state='queued')
        running.operations.cancel(running.ctx, key, queued.uuid)
    running.work()
    assert len(running.arrivals('Async.pool.eject')) == (1 if cancelled else 2)
    if cancelled:
        assert byhand.codes(running, key) == []
        assert running.hosts.get('xen2').phase == 'member'


def test_a_pool_that_was_made_since_is_taken_over(
    running: service.Service, dump: Callable[[], Restore]
) -> None:
    restore = dump()
    running.create('xen1', 'xen2')
    restore()
    assert running.hosts.get('xen2').phase == 'free'

    def take_over() -> Any:
        queued = running.pools.adopt_pool(running.ctx, 'pool', 'xen1')
        running.work()
        return running.operations.get(queued.uuid)

    refused = take_over()
    assert refused.state == 'failed'
    assert refused.error['code'] == 'FOREIGN_MARK'
    assert 'pool-param-remove' in refused.error['message']
    byhand.set_mark(running, 'xen1', None)
    assert take_over().state == 'succeeded'
    key = running.hosts.get('xen1').aggregate_id
    assert key is not None
    assert running.aggregates.get(key).hosts == ('xen1', 'xen2')
