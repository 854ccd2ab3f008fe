"""Hosts in maintenance that are rebooted, shut down and started.

No guest is ever halted for it, whatever happens and whoever is killed.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.compute import endpoint
from aggregates_ext.compute.maintenance import powering
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.rules import powering as rules
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import operations
from aggregates_ext.db import records
from aggregates_ext.domain import intent
from aggregates_ext.domain.maintenance import powering as requests
from aggregates_ext.domain.membership import members
from aggregates_ext.xensim.plan import presets
from tests.functional import service

NEWEST = list(presets.PRESETS)[-1]
OLDEST = next(iter(presets.PRESETS))
GIB = 1 << 30
REBOOT = 'Async.host.reboot'
SHUTDOWN = 'Async.host.shutdown'
STARTUP = 'Async.host.power_on'


def hosts(version: str) -> dict[str, Any]:
    """Three hosts of a release."""
    names = ('xen1', 'xen2', 'xen3')
    return {'hosts': [{'name': n, 'version': version} for n in names]}


@pytest.fixture
def running(make_service: Callable[..., service.Service]) -> service.Service:
    """Hosts that stay disabled over a start."""
    made = make_service(hosts(NEWEST))
    made.conf.set_override('retry_interval', 0.01, 'compute')
    return made


@pytest.fixture
def key(running: service.Service) -> int:
    """A pool of three, with a guest on xen3."""
    return make_pool(running)


def make_pool(running: service.Service) -> int:
    found = running.create('xen1', 'xen2', 'xen3')
    running.sim.add_vm('xen3', 'g', memory=GIB)
    running.watch(found, 0)
    return found


def go_on(running: service.Service, key: int, seconds: float = 3.0) -> None:
    """Let time pass, then take what rests one step further."""
    running.clock.advance(seconds)
    with running.database.writer() as connection:
        connection.exec_driver_sql('UPDATE operations SET not_before = NULL')
        connection.exec_driver_sql('UPDATE moves SET not_before = NULL')
    running.manager.work_on(key)


def finish(running: service.Service, key: int) -> records.Operation:
    """Let the newest operation end."""
    for _ in range(80):
        go_on(running, key)
        found = running.operation(key)
        if found.state not in ('queued', 'running'):
            return found
    raise AssertionError(found)


def enter(running: service.Service, key: int, host: str = 'xen2') -> None:
    running.maintenance.enter(running.ctx, host)
    assert finish(running, key).state == 'succeeded'


def ask(
    running: service.Service, host: str = 'xen2', action: str = 'reboot'
) -> str:
    return running.powering.power(running.ctx, host, action)


def record(running: service.Service, name: str = 'xen2') -> dict[str, Any]:
    """A host as the database of its master has it."""
    for ref, row in running.sim.host('xen1').database.rows('host'):
        if row['name_label'] == name:
            return {'ref': ref, **row}
    raise LookupError(name)


def booted(running: service.Service, name: str = 'xen2') -> str:
    return str(record(running, name)['other_config']['boot_time'])


def set_power_on_mode(running: service.Service) -> None:
    ref = record(running)['ref']
    running.sim.set_record('xen1', 'host', ref, power_on_mode='IPMI')


def drift(running: service.Service, key: int) -> list[str]:
    return [entry.code for entry in running.aggregates.get(key).drift]


def test_the_second_look_comes_soon(
    running: service.Service, key: int
) -> None:
    """It must agree with the first one, and is no wait for anything."""
    running.conf.set_override('watch_interval', 60, 'compute')
    enter(running, key)
    ask(running)
    running.manager.work_on(key)
    assert 0 < running.rests(key) <= 60
    assert len(running.arrivals(REBOOT)) == 0


def fails(running: service.Service, key: int) -> dict[str, Any]:
    """The error of the newest operation, which nothing came of."""
    ended = finish(running, key)
    assert ended.state == 'failed', ended
    assert ended.error is not None
    return ended.error


def test_a_member_is_rebooted(running: service.Service, key: int) -> None:
    enter(running, key)
    before = booted(running)
    ask(running)
    seen: set[str] = set()
    for _ in range(60):
        go_on(running, key)
        seen |= set(drift(running, key))
        if running.operation(key).state == 'succeeded':
            break
    assert running.operation(key).error is None
    assert booted(running) != before
    assert len(running.arrivals(REBOOT)) == 1
    assert seen == set()
    go_on(running, key, 10)
    assert record(running)['enabled'] is False
    assert running.hosts.get('xen2').maintenance == 'on'
    assert running.state(key) == 'active'
    running.maintenance.leave(running.ctx, 'xen2')
    assert finish(running, key).state == 'succeeded'
    assert record(running)['enabled'] is True


def test_a_host_that_its_boot_enables_is_disabled_again(
    make_service: Callable[..., service.Service],
) -> None:
    """Releases without auto_enable."""
    running = make_service(hosts(OLDEST))
    key = make_pool(running)
    enter(running, key)
    ask(running)
    for _ in range(20):
        go_on(running, key)
    kinds = [(o.kind, o.state) for o in running.operations.get_all(key)[:2]]
    assert kinds == [
        ('disable_host', 'succeeded'),
        ('power_host', 'succeeded'),
    ]
    assert record(running)['enabled'] is False
    assert drift(running, key) == []


def test_the_master_is_rebooted(running: service.Service, key: int) -> None:
    """What it knew is written before: the guest that left it runs on."""
    running.sim.plant(host='xen1', action='late_writes')
    running.sim.add_vm('xen1', 'g1', memory=GIB)
    running.watch(key, 0)
    enter(running, key, 'xen1')
    before = booted(running, 'xen1')
    ask(running, 'xen1')
    seen: set[str] = set()
    for _ in range(60):
        go_on(running, key)
        seen |= set(drift(running, key))
        if running.operation(key).state == 'succeeded':
            break
    assert running.operation(key).error is None
    assert booted(running, 'xen1') != before
    assert running.arrivals('pool.sync_database') != []
    assert len(running.arrivals(REBOOT)) == 1
    assert seen == set()
    assert record(running, 'xen1')['enabled'] is False
    assert [record(running, n)['enabled'] for n in ('xen2', 'xen3')] == [
        True,
        True,
    ]
    running.clock.advance(20)
    vms = running.sim.host('xen1').database.rows('VM')
    states = {v['name_label']: v['power_state'] for _, v in vms}
    assert states['g1'] == 'Running'
    assert running.sim.harmed() == []


@pytest.mark.parametrize('host', ['xen1', 'xen2'])
def test_a_host_that_never_comes_back(
    running: service.Service, key: int, host: str
) -> None:
    enter(running, key, host)
    running.sim.plant(host=host, action='no_return')
    ask(running, host)
    for _ in range(10):
        go_on(running, key)
    assert running.operation(key).state == 'running', running.operation(key)
    assert drift(running, key) == []
    running.conf.set_override('power_timeout', 1.0, 'compute')
    age(running, 2)
    error = fails(running, key)
    assert error['code'] == powering.NOT_BACK
    told = 'No host answers' if host == 'xen1' else 'not live'
    assert told in error['message']
    assert 'It stays in maintenance' in error['message']
    assert len(running.arrivals(REBOOT)) == 1
    # Hosts in maintenance may be away by hand, for a time.
    running.conf.set_override('return_timeout', 0.0, 'compute')
    running.watch(key, 1)
    lost = ['NO_MASTER'] if host == 'xen1' else ['MEMBER_DEAD']
    assert drift(running, key) == lost
    assert running.hosts.get(host).maintenance == 'on'


def age(running: service.Service, seconds: float) -> None:
    """Let the call have been sent so long ago."""
    with running.database.writer() as connection:
        for found in operations.get_all(
            connection, states=('running',), kinds=('power_host',)
        ):
            known = dict(found.parameters['power'])
            known['at'] -= seconds
            parameters = {**found.parameters, 'power': known}
            if parameters.get(powering.QUIET):
                parameters[powering.QUIET] -= seconds
            operations.update(connection, found.id, {'parameters': parameters})


@pytest.mark.parametrize('twice', [False, True])
def test_a_host_that_comes_back_with_the_old_boot_time(
    running: service.Service, key: int, twice: bool
) -> None:
    """Its toolstack alone has started: it is told once more, and no more."""
    enter(running, key)
    before = booted(running)
    running.sim.plant(host='xen2', action='no_boot', times=0 if twice else 1)
    ask(running)
    for _ in range(14):
        go_on(running, key)
    assert len(running.arrivals(REBOOT)) == 1
    assert running.operation(key).state == 'running', running.operation(key)
    age(running, 61)
    for _ in range(14):
        go_on(running, key)
    assert len(running.arrivals(REBOOT)) == 2
    if not twice:
        assert running.operation(key).state == 'succeeded'
        assert booted(running) != before
        return
    age(running, 2000)
    error = fails(running, key)
    assert 'with the old boot_time' in error['message']
    assert len(running.arrivals(REBOOT)) == 2
    assert booted(running) == before


def test_it_is_not_told_twice_while_it_comes_back(
    running: service.Service, key: int
) -> None:
    """It is live before it tells that it has booted."""
    running.conf.set_override('power_wait', 0.01, 'compute')
    enter(running, key)
    before = booted(running)
    ask(running)
    live = False
    for _ in range(60):
        go_on(running, key, 0.7)
        told = running.arrivals(REBOOT)[:1]
        went = bool(told) and running.clock.time() > told[0] + 12
        doing = record(running)['current_operations']
        live = live or (went and not doing and booted(running) == before)
        if running.operation(key).state == 'succeeded':
            break
    assert live
    assert len(running.arrivals(REBOOT)) == 1


def test_a_guest_that_appears_between_the_looks(
    running: service.Service, key: int
) -> None:
    enter(running, key)
    ask(running)
    go_on(running, key)
    running.sim.add_vm('xen2', 'late', memory=GIB)
    error = fails(running, key)
    assert error['code'] == 'HOST_NOT_EMPTY'
    assert '"late"' in error['message']
    assert running.arrivals(REBOOT) == []
    assert running.sim.harmed() == []


def test_a_guest_that_appears_right_before_the_call(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is recorded already; the last look stops it."""
    enter(running, key)
    original = compute_run.Run._record

    def recorded(self: Any, call: dict[str, Any], *more: Any) -> Any:
        if call['call'] == REBOOT:
            running.sim.add_vm('xen2', 'late', memory=GIB)
        return original(self, call, *more)

    monkeypatch.setattr(compute_run.Run, '_record', recorded)
    ask(running)
    error = fails(running, key)
    assert error['code'] == 'HOST_NOT_EMPTY'
    assert running.arrivals(REBOOT) == []
    running.clock.advance(30)
    assert running.sim.harmed() == []


@pytest.mark.parametrize('action', ['drop_answer', 'reset', 'fail'])
def test_an_answer_that_is_lost_or_an_error(
    running: service.Service, key: int, action: str
) -> None:
    enter(running, key)
    running.sim.plant(REBOOT, action=action)
    ask(running)
    for _ in range(14):
        go_on(running, key)
    lost = action != 'drop_answer'
    assert running.operation(key).state == (
        'running' if lost else 'succeeded'
    ), running.operation(key)
    assert len(running.arrivals(REBOOT)) == 1
    if lost:
        age(running, 61)
        assert finish(running, key).state == 'succeeded'
        assert len(running.arrivals(REBOOT)) == 2


def test_a_state_file_that_is_lost(running: service.Service, key: int) -> None:
    """The host itself refuses; it is as it was, and is told when it can."""
    enter(running, key)
    running.sim.set_pool('xen1', ha_enabled=True)
    running.sim.plant(host='xen2', action='no_state')
    uuid = ask(running)
    error = fails(running, key)
    assert error['code'] == 'HA_LOST_STATEFILE'
    assert 'does not reach the state file' in error['message']
    assert 'power' not in running.operation(key).parameters
    assert running.hosts.get('xen2').maintenance == 'on'
    assert running.sim.state()['hosts']['xen2']['phase'] == 'running'
    running.sim.set_pool('xen1', ha_enabled=False)
    running.retries.retry(running.ctx, key, uuid, bool)
    assert finish(running, key).state == 'succeeded'


def test_a_state_file_that_the_master_knows_to_be_lost(
    running: service.Service, key: int
) -> None:
    """Each host tells which it reaches; nothing is sent then."""
    enter(running, key)
    running.sim.set_pool(
        'xen1', ha_enabled=True, ha_statefiles=['OpaqueRef:s']
    )
    assert refused(running, key, 'xen2', 'reboot') == 'STATEFILE'
    assert refused(running, key, 'xen2', 'shutdown') == 'STATEFILE'
    assert len(running.arrivals(REBOOT)) == 0
    running.sim.set_host('xen2', ha_statefiles=['OpaqueRef:s'])
    ask(running)
    assert finish(running, key).state == 'succeeded'


def test_no_toolstack_starts_again_with_high_availability_on(
    running: service.Service, key: int
) -> None:
    """Its host could be fenced."""
    enter(running, key)
    uuid = running.hosts.get('xen2').uuid

    def forbids() -> list[str]:
        with contextlib.closing(running.login('xen1')) as session:
            found = rules.read(session, uuid)
        report = rules.check(found, uuid, rules.RESTART)
        return [problem.code for problem in report.blockers]

    assert forbids() == []
    running.sim.set_pool('xen1', ha_enabled=True)
    assert forbids() == ['HA_ON']


def cluster(running: service.Service, *members: str) -> str:
    """Hosts that have a clustered SR, which is plugged; its reference."""
    for name in members:
        running.sim.add_record(
            'xen1',
            'Cluster_host',
            host=record(running, name)['ref'],
            enabled=True,
        )
    return running.sim.add_record(
        'xen1',
        'PBD',
        currently_attached=True,
        host=record(running)['ref'],
        SR=running.sim.add_record('xen1', 'SR', clustered=True),
    )


@pytest.mark.parametrize('down', ['xen3', 'xen2'])
def test_one_host_of_a_storage_cluster_is_down_at_a_time(
    running: service.Service, key: int, down: str
) -> None:
    """Another one that is down forbids it; xapi would not."""
    members = ('xen1', 'xen2', 'xen3') if down == 'xen3' else ('xen1', 'xen2')
    cluster(running, *members)
    enter(running, key)
    running.sim.power_off('xen3')
    running.clock.advance(700)
    running.watch(key, 0)
    ask(running)
    if down == 'xen3':
        error = fails(running, key)
        assert error['code'] == 'CLUSTERED_SR'
        assert 'found xen3.' in error['message']
        assert running.arrivals(REBOOT) == []
    else:
        assert finish(running, key).state == 'succeeded'


def test_a_clustered_storage_that_recovers_is_waited_for(
    running: service.Service, key: int
) -> None:
    pbd = cluster(running, 'xen1', 'xen2', 'xen3')
    enter(running, key)
    db = running.sim.host('xen1').database
    task = running.sim.add_record(
        'xen1',
        'task',
        name_label='SR Recovering',
        name_description=db.row('PBD', pbd)['SR'],
        status='pending',
    )
    ask(running)
    for _ in range(5):
        go_on(running, key)
    resting = running.operation(key)
    assert resting.state in ('queued', 'running')
    assert (resting.error or {})['code'] == 'CLUSTERED_SR_DEGRADED'
    assert running.arrivals(REBOOT) == []
    db.delete('task', task)
    assert finish(running, key).state == 'succeeded'


def test_one_that_recovers_when_the_host_is_told(
    running: service.Service, key: int
) -> None:
    """It is refused by the pool, which proves that nothing happened."""
    enter(running, key)
    running.sim.plant('host.reboot', code='CLUSTERED_SR_DEGRADED')
    running.sim.plant(REBOOT, code='CLUSTERED_SR_DEGRADED')
    ask(running)
    assert finish(running, key).state == 'succeeded'
    assert len(running.arrivals(REBOOT)) == 2


def test_others_wait(running: service.Service, key: int) -> None:
    """Joins, changes of master and moves; so does a second host."""
    enter(running, key)
    ask(running)
    for _ in range(4):
        go_on(running, key)
    assert len(running.arrivals(REBOOT)) == 1
    running.pools.set_master(running.ctx, key, 'xen3')
    for _ in range(5):
        go_on(running, key)
        found = running.operation(key)
        assert found.state == 'queued'
        assert found.error is not None
        assert 'power_host xen2' in found.error['message']
    assert running.arrivals('pool.designate_new_master') == []
    for _ in range(80):
        go_on(running, key)
        if {o.state for o in running.operations.get_all(key)} == {'succeeded'}:
            break
    (reboot,) = running.arrivals(REBOOT)
    (change,) = running.arrivals('pool.designate_new_master')
    assert change > reboot + 10


def test_nothing_is_asked_of_a_master_that_is_away(
    running: service.Service, key: int
) -> None:
    enter(running, key, 'xen1')
    ask(running, 'xen1')
    for _ in range(3):
        go_on(running, key)
    assert len(running.arrivals(REBOOT)) == 1
    running.enabling.set_service(running.ctx, 'xen3', records.DISABLED)
    for _ in range(4):
        go_on(running, key)
        found = running.operation(key)
        assert found.state == 'queued'
        assert found.error is not None
        assert 'power_host xen1' in found.error['message']
    assert finish(running, key).state == 'succeeded'
    assert record(running, 'xen3')['enabled'] is False


def test_moves_are_waited_for_and_wait(
    running: service.Service, key: int
) -> None:
    enter(running, key)
    uuid = next(
        v['uuid']
        for _ref, v in running.sim.host('xen1').database.rows('VM')
        if v['name_label'] == 'g'
    )
    vm = running.sim.host('xen1').database.by_uuid('VM', uuid)
    with contextlib.closing(running.login('xen1')) as session:
        session.call(
            'Async.VM.pool_migrate',
            vm,
            record(running, 'xen1')['ref'],
            {'live': 'true'},
        )
    ask(running)
    go_on(running, key, 0.1)
    found = running.operation(key)
    assert found.state == 'queued'
    assert found.error is not None
    assert found.error['code'] == 'MACHINES_MOVE'
    assert finish(running, key).state == 'succeeded'
    assert running.sim.places(uuid) == ['xen1']


def test_off_and_on(running: service.Service, key: int) -> None:
    enter(running, key)
    ask(running, action='shutdown')
    assert finish(running, key).state == 'succeeded'
    assert running.sim.state()['hosts']['xen2']['phase'] == 'off'
    running.watch(key, 700)
    assert drift(running, key) == []
    ask(running, action='startup')
    error = fails(running, key)
    assert error['code'] == 'HOST_POWER_ON_MODE_DISABLED'
    set_power_on_mode(running)
    before = booted(running)
    ask(running, action='startup')
    assert finish(running, key).state == 'succeeded'
    assert booted(running) != before
    assert len(running.arrivals(SHUTDOWN)) == 1
    assert len(running.arrivals(STARTUP)) == 1
    assert record(running)['enabled'] is False
    assert drift(running, key) == []


def test_one_that_dies_later_is_told(
    running: service.Service, key: int
) -> None:
    """A shutdown of another time does not hide it."""
    enter(running, key)
    set_power_on_mode(running)
    for action in ('shutdown', 'startup'):
        ask(running, action=action)
        assert finish(running, key).state == 'succeeded'
    running.sim.power_off('xen2')
    running.conf.set_override('return_timeout', 0.0, 'compute')
    running.watch(key, 700)
    running.watch(key, 1)
    assert drift(running, key) == ['MEMBER_DEAD']


def refused(running: service.Service, key: int, host: str, action: str) -> str:
    ask(running, host, action)
    return str(fails(running, key)['code'])


def test_what_forbids_it(running: service.Service, key: int) -> None:
    with pytest.raises(exception.HostNotInMaintenance):
        ask(running)
    with pytest.raises(exception.HostNotFound):
        ask(running, 'xen9')
    enter(running, key, 'xen1')
    assert refused(running, key, 'xen1', 'startup') == 'HOST_IS_LIVE'
    assert refused(running, key, 'xen1', 'shutdown') == 'HOST_IS_MASTER'
    running.sim.set_pool('xen1', ha_enabled=True)
    assert refused(running, key, 'xen1', 'reboot') == 'MASTER_UNDER_HA'
    running.sim.set_pool('xen1', ha_enabled=False)
    running.sim.set_host('xen1', enabled=True)
    assert refused(running, key, 'xen1', 'reboot') == 'HOST_NOT_DISABLED'
    running.sim.set_host('xen1', enabled=False)
    ref = running.sim.start_pool_operation('xen1', 'apply_updates')
    ask(running, 'xen1')
    go_on(running, key)
    assert (running.operation(key).error or {})['code'] == 'POOL_BUSY'
    running.sim.end_pool_operation('xen1', ref)
    assert finish(running, key).state == 'succeeded'
    assert len(running.arrivals(REBOOT)) == 1


class Answering(service.Silence):
    """A compute service that answers checks."""

    def __init__(self, running: service.Service) -> None:
        self._endpoint = endpoint.Endpoint(
            running.database,
            connections.Connector(running.conf),
            lambda: None,
        )

    def check_host(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop('shut_down', None)
        return self._endpoint.check_host({}, *args, **kwargs)


def test_a_request_is_refused_with_every_reason(
    running: service.Service, key: int
) -> None:
    """Before anything is queued; what passes is waited for."""
    enter(running, key)
    asked = requests.Powering(
        intent.Intent(running.database, Answering(running), 0)
    )
    running.sim.add_vm('xen2', 'late', memory=GIB)
    running.sim.set_host('xen2', enabled=True)
    before = len(running.operations.get_all(key))
    with pytest.raises(exception.Refused) as caught:
        asked.power(running.ctx, 'xen2', 'reboot')
    told = str(caught.value)
    assert told.startswith('Host xen2 is not told to reboot: (1) HOST_NOT_EM')
    assert '"late"' in told
    assert '(2) HOST_NOT_DISABLED' in told
    assert len(running.operations.get_all(key)) == before
    with pytest.raises(exception.Refused, match='HOST_IS_LIVE'):
        asked.power(running.ctx, 'xen2', 'startup')
    running.members = members.Members(
        intent.Intent(running.database, Answering(running), 0)
    )
    report = running.members.check_host(key, 'xen1', 'reboot')
    codes = [blocker['code'] for blocker in report['blockers']]
    assert codes == ['NOT_IN_MAINTENANCE', 'HOST_NOT_DISABLED']
    assert [w['code'] for w in report['warnings']] == ['MASTER']
    db = running.sim.host('xen1').database
    config = {**db.pool['other_config'], 'auto_poweron': 'true'}
    running.sim.set_pool('xen1', other_config=config)
    report = running.members.check_host(key, 'xen2', 'reboot')
    assert [w['code'] for w in report['warnings']] == ['AUTO_POWERON']
    config = {'rolling_upgrade_in_progress': 'true'}
    running.sim.set_pool('xen1', other_config=config)
    unasked = members.Members(
        intent.Intent(running.database, service.Silence(), 0)
    )
    unasked.remove_host(running.ctx, key, 'xen3')
    report = running.members.check_host(key, 'xen2', 'reboot')
    assert [(w['code'], w['found']) for w in report['warnings']] == [
        ('AUTO_POWERON', 'auto_poweron of the pool'),
        ('ROLLING_UPGRADE', 'rolling_upgrade_in_progress'),
        ('MEMBERS_CHANGE', 'xen3 (leaving)'),
    ]


def test_asked_again_and_cancelled(running: service.Service, key: int) -> None:
    enter(running, key)
    first = ask(running)
    assert ask(running) == first
    with pytest.raises(exception.AggregateBusy):
        ask(running, action='shutdown')
    running.operations.cancel(running.ctx, key, first)
    assert running.operation(key).state == 'cancelled'
    again = running.retries.retry(running.ctx, key, first)
    assert again.parameters['action'] == 'reboot'
    for _ in range(3):
        go_on(running, key)
    with pytest.raises(
        exception.OperationNotCancellable, match='cannot be taken back'
    ):
        running.operations.cancel(running.ctx, key, again.uuid)
    assert finish(running, key).state == 'succeeded'
    assert len(running.arrivals(REBOOT)) == 1


def test_left_meanwhile_it_is_not_told(
    running: service.Service, key: int
) -> None:
    """A request of before is carried out first, as all of one host."""
    enter(running, key)
    uuid = ask(running)
    go_on(running, key)
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE hosts SET maintenance = NULL WHERE name = 'xen2'"
        )
    assert fails(running, key)['code'] == 'NOT_IN_MAINTENANCE'
    assert running.arrivals(REBOOT) == []
    with pytest.raises(exception.HostNotInMaintenance):
        running.retries.retry(running.ctx, key, uuid)


def add_storage(running: service.Service) -> int:
    """Give xen2 some more; the answer: how many PBDs it has then."""
    running.sim.add_sr('xen2', 'data')
    uuid = record(running, 'xen2')['uuid']
    database = running.sim.host('xen1').database
    pbds = database.where('PBD', host=database.by_uuid('host', uuid))
    assert len(pbds) > 1
    return len(pbds)


def test_storage_that_does_not_come_back_is_told(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plugging it has not helped, and is not tried again."""
    monkeypatch.setattr(powering, 'LATER_WAIT', 0.0)
    monkeypatch.setattr(powering, 'PLUG_WAIT', 0.0)
    number = add_storage(running)
    enter(running, key)
    running.sim.plant(host='xen2', action='no_storage', times=0)
    ask(running)
    ended = finish(running, key)
    assert ended.state == 'succeeded'
    assert ended.error is not None
    assert ended.error['code'] == shared.NOT_WHOLE
    assert 'xe pbd-plug' in ended.error['message']
    assert ended.error['message'].count('SR_BACKEND_FAILURE_47') == number
    assert len(ended.error['parameters']['pbds']) == number
    assert len(running.arrivals('PBD.plug')) == number


def test_storage_that_comes_late_is_plugged(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own start tries it once; here what kept it away is over."""
    monkeypatch.setattr(powering, 'PLUG_WAIT', 0.0)
    number = add_storage(running)
    enter(running, key)
    running.sim.plant(host='xen2', action='no_storage')
    ask(running)
    ended = finish(running, key)
    assert (ended.state, ended.error) == ('succeeded', None)
    assert len(running.arrivals('PBD.plug')) == number


def test_a_host_that_was_back_in_time_is_not_called_away(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its storage is waited for beyond the time in which it had to be back."""
    add_storage(running)
    enter(running, key)
    running.sim.plant(host='xen2', action='no_storage', times=0)
    ask(running)
    for _ in range(60):
        go_on(running, key)
        if 'back' in running.operation(key).parameters:
            break
    running.conf.set_override('power_timeout', 600.0, 'compute')
    age(running, 700)
    go_on(running, key)
    assert running.operation(key).state == 'running', running.operation(key)
    monkeypatch.setattr(powering, 'LATER_WAIT', 0.0)
    ended = finish(running, key)
    assert ended.state == 'succeeded', ended
    assert (ended.error or {})['code'] == shared.NOT_WHOLE


def test_a_plug_without_an_answer_is_not_sent_again(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has done is seen, as all else: here nothing."""
    monkeypatch.setattr(powering, 'LATER_WAIT', 0.0)
    monkeypatch.setattr(powering, 'PLUG_WAIT', 0.0)
    number = add_storage(running)
    enter(running, key)
    running.sim.plant(host='xen2', action='no_storage')
    running.sim.plant(call='PBD.plug', action='reset')
    ask(running)
    ended = finish(running, key)
    assert ended.state == 'succeeded'
    assert ended.error is not None
    assert 'no answer' in ended.error['message']
    assert len(ended.error['parameters']['pbds']) == 1
    assert len(running.arrivals('PBD.plug')) == number


def test_another_service_goes_on(running: service.Service, key: int) -> None:
    enter(running, key)
    ask(running)
    for _ in range(60):
        running.manager = running.new_manager()
        go_on(running, key)
        if running.operation(key).state == 'succeeded':
            break
    assert running.operation(key).state == 'succeeded'
    assert len(running.arrivals(REBOOT)) == 1
