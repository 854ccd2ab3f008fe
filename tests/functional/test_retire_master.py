"""The master leaves: another member takes over first."""

import contextlib
from collections.abc import Iterator

import pytest
from oslo_config import cfg

from aggregates_ext import exception
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import pools
from aggregates_ext.domain import intent
from aggregates_ext.domain.membership import members
from tests.functional import service

CALL = 'pool.designate_new_master'
EJECT = 'Async.pool.eject'
CHANGING = (CALL, 'host.disable', 'host.enable', EJECT)


@pytest.fixture(autouse=True)
def seldom(conf: cfg.ConfigOpts) -> None:
    """Looks are seldom, so that long waits take few of them."""
    conf.set_override('watch_interval', 4.0, 'compute')


def retire(running: service.Service, key: int, host: str = 'xen1') -> str:
    """Take the master out; how that ends."""
    running.members.remove_host(running.ctx, key, host)
    running.work()
    return running.operation(key).state


def changing(running: service.Service) -> list[tuple[str, str]]:
    """The calls of interest that arrived, with where they did."""
    return [
        (c.host, c.method) for c in running.sim.calls if c.method in CHANGING
    ]


def test_master_leaves_when_another_has_taken_over(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    assert retire(running, key) == 'succeeded', running.operation(key)
    assert changing(running) == [
        ('xen1', CALL),
        ('xen2', 'host.disable'),
        ('xen2', EJECT),
    ]
    pool = running.pool_of('xen2')
    assert pool['master'] == 'xen2'
    assert [host['name'] for host in pool['hosts']] == ['xen2', 'xen3']
    aggregate = running.aggregates.get(key)
    assert aggregate.hosts == ('xen2', 'xen3')
    assert aggregate.master_uuid == running.sim.host('xen2').uuid
    running.watch(key, 600)
    assert running.hosts.get('xen1').phase == 'free'
    assert running.state(key) == 'active'


def test_who_was_to_be_the_master_and_has_left_is_not_any_more(
    running: service.Service,
) -> None:
    """Another has become it by hand; the pool does not miss who left."""
    key = running.create('xen1', 'xen2', 'xen3')
    with running.database.writer() as connection:
        uuid = running.sim.host('xen2').uuid
        pools.set_master(connection, key, uuid)
    running.watch(key, 60)
    assert running.aggregates.get(key).drift
    assert retire(running, key, 'xen2') == 'succeeded'
    running.watch(key, 60)
    aggregate = running.aggregates.get(key)
    assert aggregate.master_uuid == running.sim.host('xen1').uuid
    assert not aggregate.drift


@pytest.mark.parametrize(
    'hosts', [('xen1', 'xen2', 'xen3'), ('xen3', 'xen1', 'xen2')]
)
def test_a_pool_is_emptied_in_any_order(
    running: service.Service, hosts: tuple[str, ...]
) -> None:
    """The master is asked to leave while the others are about to."""
    key = running.create('xen1', 'xen2', 'xen3')
    for host in hosts:
        running.members.remove_host(running.ctx, key, host)
    running.settle(key)
    states = [item.state for item in running.operations.get_all(key)]
    assert set(states) == {'succeeded'}, running.operations.get_all(key)
    assert CALL not in [method for _host, method in changing(running)]
    assert running.aggregates.get(key).hosts == ()
    running.watch(key, 600)
    running.aggregates.delete(running.ctx, key)


def test_most_recent_version_takes_over(running: service.Service) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    newer = {'xapi': '99.1'}
    running.sim.set_host('xen3', software_version=newer)
    assert retire(running, key) == 'succeeded'
    assert running.pool_of('xen2')['master'] == 'xen3'


def test_disabled_and_older_members_do_not_take_over(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.set_host('xen2', enabled=False)
    running.sim.set_host('xen3', software_version={'product_version': '1.0'})
    assert retire(running, key) == 'failed'
    error = running.error(key)
    assert error['code'] == 'HOST_IS_MASTER'
    assert 'xen2: HOST_DISABLED' in error['message']
    assert 'xen3: OLDER_VERSION, product_version 1.0' in error['message']
    assert changing(running) == []
    assert running.aggregates.get(key).hosts == ('xen1', 'xen2', 'xen3')


def test_unregistered_members_alone_do_not_let_the_master_go(
    running: service.Service,
) -> None:
    """xen3 was joined by hand."""
    key = running.create('xen1')
    account = running.sim.host('xen1')
    with contextlib.closing(running.login('xen3')) as session:
        session.call(
            'pool.join', account.address, account.username, account.password
        )
    running.clock.advance(60)
    assert retire(running, key) == 'failed'
    message = running.error(key)['message']
    assert 'xen3' in message
    assert 'no member of the aggregate' in message
    assert changing(running) == []
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert retire(running, key) == 'succeeded', running.operation(key)
    assert running.pool_of('xen3')['master'] == 'xen2'


def test_master_does_not_change_for_an_eject_that_would_be_refused(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    sr = running.sim.add_sr('xen1', 'data', vdis=[{'name': 'customer'}])
    running.sim.add_vm('xen1', 'web')
    assert retire(running, key) == 'failed'
    error = running.error(key)
    assert [b['code'] for b in error['parameters']['blockers']] == [
        'OPERATION_NOT_ALLOWED',
        'DATA_LOSS',
    ]
    assert list(error['parameters']['disks']) == [sr]
    assert changing(running) == []
    assert running.pool_of('xen1')['master'] == 'xen1'


def test_consent_of_a_master_counts(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    sr = running.sim.add_sr('xen1', 'data', vdis=[{'name': 'customer'}])
    assert retire(running, key) == 'failed'
    running.members.remove_host(running.ctx, key, 'xen1', [sr])
    running.work()
    assert running.operation(key).state == 'succeeded', running.operation(key)
    assert len(running.sim.destroyed_vdis) == 1


def test_failed_eject_leaves_the_new_master_what_it_is(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen1', action='fail', step='E1', code='VDI_IN_USE')
    assert retire(running, key) == 'failed'
    error = running.error(key)
    assert error['code'] == 'VDI_IN_USE'
    assert 'Host xen2 is the master now.' in error['message']
    assert running.hosts.get('xen1').phase == 'member'
    aggregate = running.aggregates.get(key)
    assert aggregate.master_uuid == running.sim.host('xen2').uuid
    assert aggregate.drift == ()
    assert all(h['enabled'] for h in running.pool_of('xen1')['hosts'])


def test_machine_that_comes_meanwhile_keeps_the_host(
    running: service.Service,
) -> None:
    """The guard looks again when another host is the master."""
    key = running.create('xen1', 'xen2')
    running.when_sent(CALL, lambda: running.sim.add_vm('xen1', 'late'))
    assert retire(running, key) == 'failed'
    error = running.error(key)
    assert error['code'] == 'OPERATION_NOT_ALLOWED'
    assert 'Host xen2 is the master now.' in error['message']
    assert running.pool_of('xen1')['master'] == 'xen2'
    assert EJECT not in [method for _host, method in changing(running)]


def test_next_service_goes_on_where_a_dead_one_was(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died when the call had been answered."""
    key = running.create('xen1', 'xen2')
    call = xenapi.Session.call

    def die(self: xenapi.Session, method: str, *params: object) -> object:
        result = call(self, method, *params)
        if method == CALL:
            monkeypatch.setattr(xenapi.Session, 'call', call)
            raise exception.LeaseLost(aggregate_id=key)
        return result

    monkeypatch.setattr(xenapi.Session, 'call', die)
    assert retire(running, key) == 'succeeded', running.operation(key)
    assert len(running.arrivals(CALL)) == 1
    assert len(running.arrivals(EJECT)) == 1
    assert running.aggregates.get(key).hosts == ('xen2',)


def test_unknown_master_of_a_removal_is_unresolved_until_seen(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.when_sent(CALL, lambda: running.sim.power_off('xen2'))
    assert retire(running, key) == 'unresolved'
    assert 'Host xen2, the new one' in running.error(key)['message']
    running.sim.power_on('xen2')
    running.watch(key, 60)
    assert running.operation(key).state == 'failed'
    assert 'Host xen2 is the master now.' in running.error(key)['message']
    assert running.hosts.get('xen1').phase == 'member'
    aggregate = running.aggregates.get(key)
    assert aggregate.master_uuid == running.sim.host('xen2').uuid
    assert len(running.arrivals(CALL)) == 1
    assert EJECT not in [method for _host, method in changing(running)]


def test_removal_of_a_new_master_does_not_wait(
    running: service.Service,
) -> None:
    """The change before it is proven (xapi#designate-errors)."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.pools.set_master(running.ctx, key, 'xen2')
    running.work()
    assert retire(running, key, 'xen2') == 'succeeded'
    assert len(running.arrivals(CALL)) == 2


@pytest.fixture
def asked(running: service.Service) -> Iterator[members.Members]:
    """Members whose requests are checked by a compute service before."""
    with service.answering(running) as client:
        yield members.Members(intent.Intent(running.database, client, 0))


def test_check_tells_who_takes_over(
    running: service.Service, asked: members.Members
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    report = asked.check_host(key, 'xen1', 'remove')
    assert report['blockers'] == []
    (warning,) = report['warnings']
    assert warning['code'] == 'MASTER_CHANGES'
    assert 'Host xen2 is made the master first' in warning['message']
    assert asked.check_host(key, 'xen2', 'remove')['warnings'] == []


def test_master_may_be_asked_to_leave_after_all_others(
    running: service.Service, asked: members.Members
) -> None:
    key = running.create('xen1', 'xen2')
    asked.remove_host(running.ctx, key, 'xen2')
    report = asked.check_host(key, 'xen1', 'remove')
    assert report['blockers'] == []
    codes = [warning['code'] for warning in report['warnings']]
    assert 'MASTER_CHANGES' not in codes
    asked.remove_host(running.ctx, key, 'xen1')
    running.settle(key)
    assert running.aggregates.get(key).hosts == ()
    assert running.state(key) != 'error'


def test_check_tells_why_nobody_takes_over(
    running: service.Service, asked: members.Members
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.set_host('xen2', enabled=False)
    running.sim.set_pool('xen1', ha_enabled=True)
    report = asked.check_host(key, 'xen1', 'remove')
    assert [b['code'] for b in report['blockers']] == [
        'HA_IS_ENABLED',
        'HOST_IS_MASTER',
    ]
    with pytest.raises(exception.Refused, match='xen2: HOST_DISABLED'):
        asked.remove_host(running.ctx, key, 'xen1')
    assert running.hosts.get('xen1').phase == 'member'
