"""What changes of pools wait for: moves of anybody, and every member."""

import contextlib

import pytest

from aggregates_ext.db import hosts as db_hosts
from tests.functional import service

JOIN = 'Async.pool.join'
CALLS = ('pool.designate_new_master', 'Async.pool.eject', 'host.disable')


@pytest.fixture
def running(running: service.Service) -> service.Service:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    return running


def sent(running: service.Service) -> list[str]:
    """The calls that restart a toolstack, or begin an eject."""
    return [c.method for c in running.sim.calls if c.method in CALLS]


def move(running: service.Service, host: str) -> str:
    """Let a machine of somebody else be on the move; its reference."""
    uuid = running.sim.add_vm(host, 'moving guest')
    with contextlib.closing(running.login('xen1')) as session:
        ref = str(session.call('VM.get_by_uuid', uuid))
    tell(running, ref, {'OpaqueRef:task': 'pool_migrate'})
    return ref


def tell(
    running: service.Service, ref: str, operations: dict[str, str]
) -> None:
    """Let the pool show what is done to a machine."""
    with running.sim.world.lock:
        row = running.sim.host('xen1').database.row('VM', ref)
        row['current_operations'] = operations


@pytest.mark.parametrize('what', ['set_master', 'master', 'member'])
def test_moves_are_waited_for_by_name(
    running: service.Service, what: str
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    # On a host that is neither of the two.
    ref = move(running, 'xen3')
    if what == 'set_master':
        running.pools.set_master(running.ctx, key, 'xen2')
    else:
        host = 'xen1' if what == 'master' else 'xen2'
        running.members.remove_host(running.ctx, key, host)
    running.work(3)
    error = running.error(key)
    assert error['code'] == 'MACHINES_MOVE', error
    assert '"moving guest"' in error['message']
    assert sent(running) == []
    tell(running, ref, {})
    assert running.settle(key) == 'succeeded', running.error(key)


def test_a_join_waits_for_the_move_of_another_client(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    joined = running.arrivals(JOIN)
    guest = running.sim.add_vm('xen2', 'moving guest', memory=16 << 30)
    with contextlib.closing(running.login('xen1')) as session:
        task = session.call(
            'Async.VM.pool_migrate',
            session.call('VM.get_by_uuid', guest),
            session.call('host.get_by_uuid', running.sim.host('xen1').uuid),
            {'live': 'true'},
        )

    def goes_on() -> bool:
        row = running.sim.host('xen1').database.row('task', task)
        return bool(row['status'] == 'pending')

    with service.answering(running) as asked:
        report = asked.check_host('xen3', key, 'add')
    (problem,) = report['blockers']
    assert (problem['code'], problem['heals']) == ('MACHINES_MOVE', True)
    running.members.add_host(running.ctx, key, 'xen3')
    running.work(3)
    assert goes_on()
    error = running.error(key)
    assert error['code'] == 'MACHINES_MOVE', error
    assert '"moving guest"' in error['message']
    assert running.operation(key).state == 'queued'
    assert running.arrivals(JOIN) == joined
    running.clock.advance(600)
    assert not goes_on()
    assert running.settle(key) == 'succeeded', running.error(key)
    assert running.hosts.get('xen3').phase == 'member'
    assert running.sim.places(guest) == ['xen1']


def test_master_is_changed_only_when_every_member_follows(
    running: service.Service,
) -> None:
    """The master still takes xen3 for live."""
    key = running.create('xen1', 'xen2', 'xen3')
    url = running.sim.host('xen3').url
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen3', {'url': 'http://127.0.0.1:9'})
    running.pools.set_master(running.ctx, key, 'xen2')
    running.work(3)
    error = running.error(key)
    assert error['code'] == 'MEMBER_AWAY', error
    assert 'xen3' in error['message']
    assert sent(running) == []
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen3', {'url': url})
    assert running.settle(key) == 'succeeded', running.error(key)
    assert sent(running) == ['pool.designate_new_master']


def test_nothing_waits_after_a_change_that_is_proven(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    began = running.clock.time()
    for host in ('xen2', 'xen3', 'xen1'):
        running.pools.set_master(running.ctx, key, host)
        running.work()
        assert running.operation(key).state == 'succeeded'
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    assert running.operation(key).state == 'succeeded', running.error(key)
    assert len(sent(running)) == 6
    assert running.clock.time() - began < 500
