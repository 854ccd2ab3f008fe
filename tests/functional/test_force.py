"""A host that is gone for good is forgotten, and only such a host."""

import contextlib
from collections.abc import Iterator

import pytest
from oslo_config import cfg

from aggregates_ext import exception
from aggregates_ext.compute.observation import views
from aggregates_ext.db import operations as db_operations
from tests.functional import hostile
from tests.functional import service

DECLARE = 'Async.host.declare_dead'
DESTROY = 'Async.host.destroy'
EJECT = 'Async.pool.eject'
DISK = {'name': 'customer', 'uuid': '22222222-2222-2222-2222-222222222222'}


@pytest.fixture(autouse=True)
def seldom(conf: cfg.ConfigOpts) -> None:
    """Looks are seldom, so that long waits take few of them."""
    conf.set_override('watch_interval', 4.0, 'compute')


def force(running: service.Service, key: int, host: str = 'xen2') -> str:
    """Take a host out by force; how that ends."""
    running.members.remove_host(running.ctx, key, host, force=True)
    running.work()
    return running.operation(key).state


def changing(running: service.Service) -> list[str]:
    """The calls of interest that arrived."""
    names = (DECLARE, DESTROY, EJECT, 'host.disable')
    return [c.method for c in running.sim.calls if c.method in names]


def kill(running: service.Service, host: str, noticed: bool = True) -> None:
    """Pull the plug of a host, and let its master notice."""
    running.sim.power_off(host)
    if noticed:
        running.clock.advance(601)


@pytest.mark.parametrize('noticed', [True, False])
def test_dead_host_is_forgotten(
    running: service.Service, noticed: bool
) -> None:
    """Also within the ten minutes in which the master has to ask it."""
    key = running.create('xen1', 'xen2', 'xen3')
    kill(running, 'xen2', noticed)
    assert force(running, key) == 'succeeded', running.operation(key)
    assert changing(running) == [DECLARE, DESTROY]
    pool = running.pool_of('xen1')
    assert [host['name'] for host in pool['hosts']] == ['xen1', 'xen3']
    host = running.hosts.get('xen2')
    assert host.phase == 'returning'
    assert host.alarm is not None
    assert 'install it anew' in host.alarm
    assert running.operation(key).error is None
    assert running.aggregates.get(key).hosts == ('xen1', 'xen3')
    assert running.state(key) == 'active'


def test_alarm_of_a_forgotten_host_stays(running: service.Service) -> None:
    running.conf.set_override('return_timeout', 0.0, 'compute')
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    force(running, key)
    running.watch(key, 600)
    alarm = running.hosts.get('xen2').alarm
    assert alarm is not None
    assert alarm.startswith('Forgotten by force')
    running.sim.power_on('xen2')
    running.watch(key, 600)
    assert running.hosts.get('xen2').phase == 'returning'
    running.operations.reset(running.ctx, key, 'xen2', 'free')
    running.hosts.remove('xen2')


def test_forgotten_host_is_reset_when_its_aggregate_is_deleted(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    force(running, key)
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    running.aggregates.delete(running.ctx, key)
    for host, outcome in (('xen3', 'free'), ('xen2', 'member')):
        with pytest.raises(exception.AggregateNotFound):
            running.operations.reset(running.ctx, key, host, outcome)
    running.operations.reset(running.ctx, key, 'xen2', 'free')
    running.hosts.remove('xen2')


def test_what_is_out_of_reach_is_told(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    sr = running.sim.add_sr('xen2', 'data', vdis=[DISK])
    running.sim.add_vm('xen2', 'web')
    running.sim.add_vm('xen2', 'idle', power_state='Halted', vdis=['customer'])
    running.sim.add_vm('xen1', 'other')
    kill(running, 'xen2')
    assert force(running, key) == 'succeeded', running.operation(key)
    error = running.error(key)
    assert error['code'] == 'LEFT_BEHIND'
    assert [s['uuid'] for s in error['parameters']['srs']] == [sr]
    assert [m['name'] for m in error['parameters']['machines']] == [
        'idle',
        'web',
    ]
    assert 'customer' in error['message']
    assert running.sim.destroyed_vdis == []
    assert running.state(key) == 'active'


def test_storage_with_a_second_pbd_is_out_of_reach_too(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    mine = running.sim.add_sr('xen2', 'data', vdis=[DISK])
    theirs = running.sim.add_sr('xen1', 'more', vdis=[{'name': 'kept'}])
    db = running.sim.host('xen1').database
    for sr, host in ((mine, 'xen1'), (theirs, 'xen2')):
        other = db.by_uuid('host', running.sim.host(host).uuid)
        db.create('PBD', SR=db.by_uuid('SR', sr), host=other)
    kill(running, 'xen2')
    assert force(running, key) == 'succeeded', running.operation(key)
    srs = running.error(key)['parameters']['srs']
    assert [sr['uuid'] for sr in srs] == [mine]


def test_each_of_two_dead_hosts_is_declared_dead(
    running: service.Service,
) -> None:
    """The task of the first is still there when the second is forgotten."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.add_vm('xen3', 'web')
    kill(running, 'xen2', noticed=False)
    kill(running, 'xen3')
    assert force(running, key) == 'succeeded', running.operation(key)
    assert force(running, key, 'xen3') == 'succeeded', running.operation(key)
    assert changing(running) == [DECLARE, DESTROY, DECLARE, DESTROY]
    assert '"web"' in running.error(key)['message']


@pytest.mark.parametrize('host', ['xen2', 'xen1'])
def test_host_that_answers_is_not_forgotten(
    running: service.Service, host: str
) -> None:
    key = running.create('xen1', 'xen2')
    assert force(running, key, host) == 'failed'
    error = running.error(key)
    assert error['code'] == 'HOST_IS_LIVE'
    assert 'Remove it without "force"' in error['message']
    assert changing(running) == []
    assert running.hosts.get(host).phase == 'member'


@pytest.mark.parametrize(
    ('sender', 'receiver', 'code'),
    [
        ('xen2', 'xen1', 'HOST_IS_SLAVE'),
        ('xen1', 'xen2', 'HOST_MASTER_CANNOT_TALK_BACK'),
    ],
)
def test_host_that_starts_is_not_forgotten(
    running: service.Service, sender: str, receiver: str, code: str
) -> None:
    """It waits for its master, or is in emergency mode."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.partition(sender, receiver)
    running.sim.restart_toolstack('xen2')
    running.clock.advance(60)
    assert force(running, key) == 'failed'
    assert code in running.error(key)['message']
    assert changing(running) == []


def test_host_that_hangs_is_not_forgotten(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes the connection, so the machine runs."""
    key = running.create('xen1', 'xen2')
    monkeypatch.setattr(views, 'LOOK_TIMEOUT', 0.3)
    running.sim.plant(host='xen2', action='hang', times=0)
    assert force(running, key) == 'failed'
    assert 'takes connections' in running.error(key)['message']
    assert changing(running) == []


@pytest.fixture
def front(running: service.Service) -> Iterator[hostile.Hostile]:
    """What stands before xen2, and can answer in its place."""
    found = hostile.Hostile(running.sim.host('xen2').url)
    yield found
    found.stop()


@pytest.mark.parametrize(
    'misbehaviour', ['slow_head', 'slow_body', 'slow_chunks']
)
def test_host_that_dribbles_is_not_forgotten(
    running: service.Service,
    front: hostile.Hostile,
    monkeypatch: pytest.MonkeyPatch,
    misbehaviour: str,
) -> None:
    """An answer that comes byte by byte is a sign of life, and is not
    waited for.
    """
    monkeypatch.setattr(views, 'LOOK_TIMEOUT', 0.5)
    key = running.create('xen1', 'xen2')
    running.hosts.change('xen2', {'url': front.url})
    front.misbehave(misbehaviour)
    assert force(running, key) == 'failed'
    error = running.operation(key).error
    assert error is not None
    assert error['code'] == 'HOST_IS_LIVE'
    assert 'takes connections' in error['message']
    assert changing(running) == []
    assert running.hosts.get('xen2').phase == 'member'


def test_host_that_is_back_at_the_second_look_is_not_forgotten(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.power_off('xen2')

    def switch_on() -> None:
        running.meanwhile.clear()
        running.sim.power_on('xen2')
        running.clock.advance(20)

    running.meanwhile.append(switch_on)
    assert force(running, key) == 'failed'
    assert running.error(key)['code'] == 'HOST_IS_LIVE'
    assert changing(running) == []


def test_host_that_only_its_master_reaches_is_not_forgotten(
    running: service.Service,
) -> None:
    """Our own network may be what is broken."""
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='refuse')
    assert force(running, key) == 'failed'
    error = running.error(key)
    assert error['code'] == 'HOST_IS_LIVE'
    assert 'still reaches it' in error['message']
    assert DESTROY not in changing(running)
    assert len(running.pool_of('xen1')['hosts']) == 2


def test_dead_master_is_refused_with_what_to_do(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    kill(running, 'xen1')
    assert force(running, key, 'xen1') == 'failed'
    error = running.error(key)
    assert error['code'] == 'HOST_IS_MASTER'
    assert 'xe pool-emergency-transition-to-master' in error['message']
    assert running.hosts.get('xen1').phase == 'member'


def test_dead_master_is_forgotten_once_another_was_promoted(
    running: service.Service,
) -> None:
    """The runbook: promote by hand, then force (xapi#operator-fault-21)."""
    key = running.create('xen1', 'xen2', 'xen3')
    kill(running, 'xen1')
    running.promote('xen2')
    running.clock.advance(60)
    with contextlib.closing(running.login('xen2')) as session:
        session.call('pool.recover_slaves')
    running.clock.advance(601)
    assert force(running, key, 'xen1') == 'succeeded', running.operation(key)
    (pool,) = (
        pool
        for pool in running.sim.state()['pools']
        if pool['master'] == 'xen2'
    )
    assert [host['name'] for host in pool['hosts']] == ['xen2', 'xen3']
    # The one that is gone is not missed as the master either.
    running.watch(key, 60)
    aggregate = running.aggregates.get(key)
    assert aggregate.master_uuid == running.sim.host('xen2').uuid
    assert not aggregate.drift


def test_machines_that_keep_the_record_are_named(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    machine = running.sim.add_vm('xen1', 'stuck')
    db = running.sim.host('xen1').database
    ref = db.by_uuid('host', running.sim.host('xen2').uuid)
    running.when_sent(
        DECLARE,
        lambda: running.sim.set_record(
            'xen1', 'VM', db.by_uuid('VM', machine), resident_on=ref
        ),
    )
    assert force(running, key) == 'failed'
    error = running.error(key)
    assert error['code'] == 'HOST_HAS_RESIDENT_VMS'
    assert '"stuck"' in error['message']
    assert 'declared dead' in error['message']
    assert running.hosts.get('xen2').phase == 'member'


def test_high_availability_refuses(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    running.sim.set_pool('xen1', ha_enabled=True)
    assert force(running, key) == 'failed'
    assert running.error(key)['code'] == 'HA_IS_ENABLED'


@pytest.mark.parametrize('call', [DECLARE, DESTROY])
@pytest.mark.parametrize('action', ['drop_answer', 'reset'])
def test_lost_answers_are_found_out_by_looking(
    running: service.Service, call: str, action: str
) -> None:
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    running.sim.plant(call=call, action=action)
    running.members.remove_host(running.ctx, key, 'xen2', force=True)
    assert running.settle(key) == 'succeeded', running.operation(key)
    assert len(running.pool_of('xen1')['hosts']) == 1
    sent = changing(running)
    other = DESTROY if call == DECLARE else DECLARE
    assert sent.count(other) == 1
    assert sent.count(call) == (1 if action == 'drop_answer' else 2)


def test_next_service_goes_on_where_a_dead_one_was(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    session = service.xenapi.Session
    call = session.call

    def die(
        self: service.xenapi.Session, method: str, *params: object
    ) -> object:
        result = call(self, method, *params)
        if method == DECLARE:
            monkeypatch.setattr(session, 'call', call)
            raise exception.LeaseLost(aggregate_id=key)
        return result

    monkeypatch.setattr(session, 'call', die)
    assert force(running, key) == 'succeeded', running.operation(key)
    assert changing(running) == [DECLARE, DESTROY]


def test_host_that_is_not_listed_any_more_takes_no_call(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    kill(running, 'xen2')
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.call('host.get_by_uuid', running.sim.host('xen2').uuid)
        session.call('host.destroy', ref)
    assert force(running, key) == 'succeeded', running.operation(key)
    assert changing(running) == []
    assert running.hosts.get('xen2').phase == 'returning'


def test_queued_removal_gives_way(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    assert force(running, key) == 'succeeded'
    assert running.operations.get_all(key)[1].state == 'cancelled'
    assert EJECT not in changing(running)


def test_resting_removal_gives_way(running: service.Service) -> None:
    """It has disabled the host, or tried to, and sent no eject."""
    key = running.create('xen1', 'xen2')
    kill(running, 'xen2')
    rest(running, key, {'changed': True})
    assert force(running, key) == 'succeeded'
    assert running.operations.get_all(key)[1].state == 'cancelled'


def rest(
    running: service.Service, key: int, parameters: dict[str, bool]
) -> None:
    """Leave a removal of xen2 resting, as after an obstacle."""
    running.members.remove_host(running.ctx, key, 'xen2')
    removal = running.operation(key)
    with running.database.writer() as connection:
        db_operations.start(connection, removal.id)
        values = {'parameters': {**removal.parameters, **parameters}}
        db_operations.update(connection, removal.id, values)
        db_operations.postpone(connection, removal.id, 'running', 3600)


def test_host_that_the_replaced_removal_has_disabled_is_told(
    running: service.Service,
) -> None:
    """Refusing to forget it leaves a member that takes no machines."""
    running.conf.set_override('retry_interval', 60.0, 'compute')
    key = running.create('xen1', 'xen2')
    running.sim.plant(
        call=EJECT, action='fail', code='OTHER_OPERATION_IN_PROGRESS'
    )
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    assert running.operation(key).state == 'running'
    assert force(running, key) == 'failed'
    assert 'xe host-enable' in running.error(key)['message']
    assert force(running, key) == 'failed'
    assert 'xe host-enable' not in running.error(key)['message']


def test_removal_that_was_sent_is_waited_for(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    rest(running, key, {'changed': True, 'sent': True})
    with pytest.raises(
        exception.AggregateBusy, match=running.operation(key).uuid
    ):
        force(running, key)


def test_unresolved_removal_gives_way(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.conf.set_override('eject_timeout', 20.0, 'compute')
    running.sim.plant(host='xen2', action='hang', step='E1', times=0)
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    assert running.operation(key).state == 'unresolved'
    kill(running, 'xen2')
    running.conf.set_override('eject_timeout', 600.0, 'compute')
    force(running, key)
    assert running.operations.get_all(key)[1].state == 'failed'
    assert DESTROY not in changing(running)


def test_host_that_joins_is_refused_with_a_way_out(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    with pytest.raises(exception.JoinUnknown, match='reset'):
        force(running, key)


@pytest.mark.parametrize(
    ('host', 'refusal'),
    [
        ('xen3', exception.AggregateHostNotFound),
        ('xen9', exception.HostNotFound),
    ],
)
def test_host_that_is_no_member_is_refused(
    running: service.Service, host: str, refusal: type[Exception]
) -> None:
    key = running.create('xen1')
    with pytest.raises(refusal):
        force(running, key, host)
