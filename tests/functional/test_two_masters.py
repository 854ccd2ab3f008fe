"""Two masters of one pool: seen, told, and nothing is changed meanwhile.

After an emergency transition the old master, started again where it cannot
reach the new one, goes on with the same pool uuid (xapi#two-masters); whoever
is asked first would be believed.
"""

from collections.abc import Callable

import pytest

from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import records
from tests.functional import byhand
from tests.functional import service

Make = Callable[..., service.Service]
CHANGES = ('pool.join', 'pool.eject', 'host.disable', 'pool.set_name_label')


@pytest.fixture
def running(make_service: Make) -> service.Service:
    """A pool of xen1 (its master), xen2 and xen3; xen4 is free."""
    names = ('xen1', 'xen2', 'xen3', 'xen4')
    made = make_service({'hosts': [{'name': name} for name in names]})
    made.conf.set_override('retry_interval', 0.01, 'compute')
    return made


def changing(running: service.Service) -> list[str]:
    return [c.method for c in running.sim.calls if c.method.endswith(CHANGES)]


def split(running: service.Service, key: int, watched: bool) -> None:
    """The master is lost, xen2 takes over, and the old one comes back.

    It does not find the new one at its start, though it can reach it later.
    """
    running.sim.power_off('xen1')
    byhand.promote(running, 'xen2')
    byhand.recover(running, 'xen2')
    if watched:
        running.watch(key, 0)
    running.sim.partition('xen1', 'xen2')
    running.sim.power_on('xen1')
    running.clock.advance(byhand.WHILE)
    running.sim.partition('xen1', 'xen2', parted=False)


def two_masters(running: service.Service, key: int) -> list[records.Drift]:
    running.watch(key, 0)
    return [
        entry
        for entry in running.aggregates.get(key).drift
        if entry.code == 'TWO_MASTERS'
    ]


@pytest.mark.parametrize('watched', [True, False])
def test_both_are_named(running: service.Service, watched: bool) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    split(running, key, watched)
    found = two_masters(running, key)
    assert found
    for name in ('xen1', 'xen2'):
        assert running.sim.host(name).uuid in found[0].message
    assert two_masters(running, key), 'it is not forgotten by the next look'


@pytest.mark.parametrize('watched', [True, False])
def test_nothing_is_changed_until_there_is_one(
    running: service.Service, watched: bool
) -> None:
    """Also when no observation has come between."""
    key = running.create('xen1', 'xen2', 'xen3')
    split(running, key, watched)
    before = changing(running)
    running.members.add_host(running.ctx, key, 'xen4')
    running.members.remove_host(running.ctx, key, 'xen3')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work(3)
    assert changing(running) == before
    for operation in running.operations.get_all(key)[:3]:
        assert operation.error is not None
        assert 'has two masters' in operation.error['message']
    byhand.recover(running, 'xen2')
    with running.database.writer() as connection:
        connection.exec_driver_sql('UPDATE operations SET not_before = NULL')
    running.work()
    assert two_masters(running, key) == []
    states = [o.state for o in running.operations.get_all(key)[:3]]
    assert states == ['succeeded'] * 3
    pool = running.pool_of('xen2')
    assert {h['name'] for h in pool['hosts']} == {'xen1', 'xen2', 'xen4'}


def test_slave_promoted_beside_a_living_master(
    running: service.Service,
) -> None:
    """Its turn comes, though the master does not miss it yet."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.watch(key, 0)
    running.sim.partition('xen3', 'xen1')
    byhand.promote(running, 'xen3')
    assert any(two_masters(running, key) for _ in range(3))


def test_slave_of_the_other_master_is_not_ejected(
    running: service.Service,
) -> None:
    """It would obey the one that does not lead it, and lose its disks."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.watch(key, 0)
    running.sim.partition('xen2', 'xen1')
    byhand.promote(running, 'xen2')
    running.sim.host('xen3').master = running.sim.host('xen2').address
    running.sim.restart_toolstack('xen3')
    running.clock.advance(60)
    # Only xen3 can tell: xen2 cannot be asked.
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen2', {'url': 'http://127.0.0.1:9'})
    before = changing(running)
    running.members.remove_host(running.ctx, key, 'xen3')
    running.work(3)
    assert changing(running) == before
    operation = running.operation(key)
    assert operation.error is not None
    assert 'ejected only when it answers' in operation.error['message']


def test_all_are_asked_when_the_master_was_restarted(
    make_service: Make,
) -> None:
    """The old master does not miss the new one yet, and nobody else does."""
    names = [f'xen{number}' for number in range(1, 7)]
    running = make_service({'hosts': [{'name': name} for name in names]})
    key = running.create(*names)
    for _ in names:
        running.watch(key, 60)
    running.sim.power_off('xen1')
    byhand.promote(running, 'xen5')
    running.sim.partition('xen1', 'xen5')
    running.sim.power_on('xen1')
    running.clock.advance(200)
    assert two_masters(running, key)
