"""Maintenance: all guests gone, none of them stopped, and back again."""

import contextlib
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.compute.maintenance import entering
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.db import records
from tests.functional import maintaining
from tests.functional import service

GIB = 1 << 30


key = maintaining.key
running = maintaining.running


def test_guests_go_and_come_back(running: service.Service, key: int) -> None:
    running.maintenance.enter(running.ctx, 'xen2', reason='memory')
    assert maintaining.host(running).maintenance == 'entering'
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.host(running).maintenance == 'on'
    assert maintaining.host(running).disabled_reason is None
    assert (maintaining.host(running).maintenance_of or {})[
        'reason'
    ] == 'memory'
    assert not maintaining.is_enabled(running)
    assert sorted(p for [p] in maintaining.places(running)) == [
        'xen1',
        'xen1',
        'xen3',
    ] or ('xen2' not in [p for [p] in maintaining.places(running)])
    # Asked again it is the same, and nothing is done.
    assert running.maintenance.enter(running.ctx, 'xen2') is None
    with pytest.raises(exception.HostInMaintenance):
        running.enabling.set_service(running.ctx, 'xen2', records.ENABLED)
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.host(running).maintenance is None
    assert not maintaining.host(running).disabled
    assert maintaining.is_enabled(running)
    assert maintaining.places(running) == [['xen2']] * 3
    assert len(running.arrivals('Async.VM.pool_migrate')) == 6
    assert running.state(key) == 'active'


def test_a_removal_that_takes_turns_with_an_entry_is_told(
    running: service.Service, key: int
) -> None:
    def told() -> list[tuple[str, str]]:
        with service.answering(running) as asked:
            report = asked.check_host('xen2', key, 'maintenance')
        assert report['blockers'] == []
        return [(w['code'], w['found']) for w in report['warnings']]

    assert told() == []
    running.members.remove_host(running.ctx, key, 'xen3')
    assert told() == [('MEMBERS_CHANGE', 'xen3 (leaving)')]
    queued = running.operation(key).uuid
    running.operations.cancel(running.ctx, key, queued)
    assert told() == []
    # And so it is: what comes to moves waits for them.
    running.maintenance.enter(running.ctx, 'xen2')
    while not running.arrivals('Async.VM.pool_migrate'):
        maintaining.go_on(running, key, 0.1)
    running.members.remove_host(running.ctx, key, 'xen3')
    maintaining.go_on(running, key, 0.1)
    assert 'Guests are on the move' in running.error(key)['message']
    assert running.arrivals('Async.pool.eject') == []


def let_moves_go_on(running: service.Service, key: int) -> None:
    """Moves alone: what they are a part of rests."""
    with running.database.writer() as connection:
        connection.exec_driver_sql('UPDATE moves SET not_before = NULL')
    running.manager.work_on(key)


def test_nothing_is_waited_for_that_has_come(
    running: service.Service, key: int
) -> None:
    """The last guest that has gone wakes what it was moved for."""
    running.conf.set_override('watch_interval', 60, 'compute')
    running.maintenance.enter(running.ctx, 'xen2')
    running.manager.work_on(key)
    assert running.rests(key) > 200
    running.clock.advance(1)
    let_moves_go_on(running, key)
    assert running.rests(key) > 200
    running.clock.advance(60)
    running.manager._lively = 0.0
    let_moves_go_on(running, key)
    # Moves alone are reason enough to look often.
    assert running.manager._lively > 0
    assert ['xen2'] not in maintaining.places(running)
    assert running.rests(key) == 0
    # Empty at one look: the second one comes soon.
    running.manager.work_on(key)
    assert 0 < running.rests(key) <= 60
    assert running.operation(key).parameters['empty']


def test_asked_twice_it_is_one_operation(
    running: service.Service, key: int
) -> None:
    first = running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key)
    assert running.maintenance.enter(running.ctx, 'xen2') == first
    assert maintaining.finish(running, key).uuid == first


def test_a_guest_that_appears_meanwhile_goes_too(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key)
    running.sim.add_vm('xen2', 'g9', memory=GIB)
    assert maintaining.finish(running, key).state == 'succeeded'
    assert ['xen2'] not in maintaining.places(running)


def test_guests_that_cannot_go_undo_it(
    running: service.Service, key: int
) -> None:
    """All hosts are full for one: it is named, and the host as before."""
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key)
    # After the check.
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    ended = maintaining.finish(running, key)
    assert ended.state == 'failed'
    assert ended.error is not None
    assert ended.error['code'] == entering.STUCK
    assert '"ghuge"' in ended.error['message']
    assert 'HOST_NOT_ENOUGH_FREE_MEMORY' in ended.error['message']
    assert '..' not in ended.error['message']
    assert '.,' not in ended.error['message']
    assert maintaining.host(running).maintenance is None
    assert not maintaining.host(running).disabled
    assert maintaining.is_enabled(running)
    assert [len(p) for p in maintaining.places(running)] == [1] * 4


@pytest.mark.parametrize('action', ['reset', 'drop_answer'])
def test_an_undo_that_is_disturbed_is_gone_on_with(
    running: service.Service, key: int, action: str
) -> None:
    """Not given up, with the host disabled by nobody's wish."""
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key)
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    running.sim.plant('host.enable', action=action)
    ended = maintaining.finish(running, key)
    assert (ended.error or {})['code'] == entering.STUCK
    assert 'It takes guests as before.' in (ended.error or {})['message']
    assert maintaining.is_enabled(running)
    assert not maintaining.host(running).disabled
    maintaining.go_on(running, key)
    assert running.aggregates.get(key).drift == ()


@pytest.mark.parametrize('stay', [False, True])
def test_what_forbids_it_is_told_before_anything_is_done(
    running: service.Service, key: int, stay: bool
) -> None:
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    running.maintenance.enter(running.ctx, 'xen2', stay_on_failure=stay)
    ended = maintaining.finish(running, key)
    assert ended.state == 'failed'
    assert ended.error is not None
    assert ended.error['code'] == 'NOT_ENOUGH_MEMORY', ended.error
    assert 'ghuge' in ended.error['message']
    assert maintaining.host(running).maintenance is None
    assert not maintaining.host(running).disabled
    assert running.arrivals('host.disable') == []
    assert running.arrivals('Async.VM.pool_migrate') == []


def test_it_stays_disabled_where_that_is_asked(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2', stay_on_failure=True)
    maintaining.go_on(running, key)
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    assert maintaining.finish(running, key).state == 'failed'
    assert not maintaining.is_enabled(running)
    assert maintaining.host(running).maintenance == 'entering'
    with contextlib.closing(running.login('xen1')) as session:
        [ref] = [
            ref
            for ref, vm in session.records('VM').items()
            if vm['name_label'] == 'ghuge'
        ]
        session.call('VM.hard_shutdown', ref)
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.host(running).maintenance == 'on'


def test_to_leave_calls_an_entry_off(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key, 0.1)
    maintaining.go_on(running, key, 0.1)
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.host(running).maintenance is None
    assert maintaining.is_enabled(running)
    assert maintaining.places(running) == [['xen2']] * 3
    assert running.state(key) == 'active'
    assert running.overview.get(key).standing == []


def test_to_enter_calls_a_way_out_off(
    running: service.Service, key: int
) -> None:
    """What was asked last decides, whatever has ended meanwhile."""
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    running.maintenance.leave(running.ctx, 'xen2')
    maintaining.go_on(running, key, 0.1)
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    states = [o.state for o in running.operations.get_all(key)[:3]]
    assert states == ['succeeded', 'cancelled', 'succeeded']
    assert running.overview.get(key).standing == []
    assert maintaining.host(running).maintenance == 'on'
    assert not maintaining.is_enabled(running)
    assert ['xen2'] not in maintaining.places(running)


def test_to_take_a_way_out_back_lets_the_entry_go_on(
    running: service.Service, key: int
) -> None:
    """Whether or not that has seen that it was called off."""
    for sees in (False, True):
        running.maintenance.enter(running.ctx, 'xen2')
        maintaining.go_on(running, key, 0.1)
        maintaining.go_on(running, key, 0.1)
        running.maintenance.leave(running.ctx, 'xen2')
        later = running.operation(key)
        if sees:
            hold(running, later.uuid)
            running.clock.advance(0.1)
            running.manager.work_on(key)
            said = last_of(running, key, 'enter_maintenance').error or {}
            assert 'called off' in said['message']
        running.operations.cancel(running.ctx, key, later.uuid)
        host = maintaining.host(running)
        assert (host.maintenance, host.service) == ('entering', 'disabled')
        assert end_of(running, key, 'enter_maintenance') == 'succeeded'
        assert maintaining.host(running).maintenance == 'on'
        assert ['xen2'] not in maintaining.places(running)
        running.maintenance.leave(running.ctx, 'xen2')
        assert maintaining.finish(running, key).state == 'succeeded'


def test_what_is_taken_back_during_a_look_lets_the_entry_go_on(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the end of what it would have called off is written."""
    running.maintenance.enter(running.ctx, 'xen2')
    while ['xen2'] in maintaining.places(running):
        maintaining.go_on(running, key, 0.1)
    running.maintenance.leave(running.ctx, 'xen2')
    later = running.operation(key)
    hold(running, later.uuid)
    honest = entering.downtime.call_off

    def call_off(run: Any) -> None:
        honest(run)
        running.operations.cancel(running.ctx, key, later.uuid)

    monkeypatch.setattr(entering.downtime, 'call_off', call_off)
    running.manager.work_on(key)
    assert last_of(running, key, 'leave_maintenance').state == 'cancelled'
    assert last_of(running, key, 'enter_maintenance').state == 'running'
    assert end_of(running, key, 'enter_maintenance') == 'succeeded'


@pytest.mark.parametrize('disabled', [False, True])
def test_to_take_an_entry_back_lets_the_way_out_go_on(
    running: service.Service, key: int, disabled: bool
) -> None:
    if disabled:
        running.enabling.set_service(running.ctx, 'xen2', 'disabled', 'mine')
        maintaining.finish(running, key)
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    running.maintenance.leave(running.ctx, 'xen2')
    running.maintenance.enter(running.ctx, 'xen2')
    later = running.operation(key)
    running.operations.cancel(running.ctx, key, later.uuid)
    host = maintaining.host(running)
    assert (host.maintenance, host.disabled) == ('leaving', disabled)
    assert end_of(running, key, 'leave_maintenance') == 'succeeded'
    assert maintaining.host(running).maintenance is None
    assert maintaining.is_enabled(running) is not disabled


@pytest.mark.parametrize('begun', [False, True])
def test_a_way_out_that_is_taken_back_forgets_no_reason(
    running: service.Service, key: int, begun: bool
) -> None:
    """Of a host that was to be enabled after it, and is not."""
    running.enabling.set_service(running.ctx, 'xen2', 'disabled', 'mine')
    maintaining.finish(running, key)
    running.maintenance.enter(running.ctx, 'xen2')
    if not begun:
        assert maintaining.finish(running, key).state == 'succeeded'
    running.maintenance.leave(running.ctx, 'xen2', enable=True)
    running.operations.cancel(running.ctx, key, running.operation(key).uuid)
    for _ in range(20):
        maintaining.go_on(running, key)
    host = maintaining.host(running)
    assert (host.maintenance, host.disabled) == ('on', True)
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    host = maintaining.host(running)
    assert (host.maintenance, host.disabled) == (None, True)
    assert host.disabled_reason == 'mine'


def test_what_is_asked_after_a_way_out_that_is_taken_back_counts(
    running: service.Service, key: int
) -> None:
    """To be enabled: the entry that had been called off does not go on."""
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key, 0.1)
    running.maintenance.leave(running.ctx, 'xen2')
    later = running.operation(key)
    running.enabling.set_service(running.ctx, 'xen2', 'enabled')
    running.operations.cancel(running.ctx, key, later.uuid)
    for _ in range(20):
        maintaining.go_on(running, key)
    host = maintaining.host(running)
    assert (host.maintenance, host.disabled) == (None, False)
    assert maintaining.is_enabled(running)
    assert last_of(running, key, 'enter_maintenance').state == 'cancelled'
    assert running.state(key) == 'active'


def hold(running: service.Service, uuid: str) -> None:
    """Let one operation not begin yet, and all others be due."""
    rests = sa.text(
        'UPDATE operations SET not_before = '
        'CASE WHEN uuid = :uuid THEN 1e12 ELSE NULL END'
    )
    with running.database.writer() as connection:
        connection.execute(rests, {'uuid': uuid})


def last_of(
    running: service.Service, key: int, kind: str
) -> records.Operation:
    return next(o for o in running.operations.get_all(key) if o.kind == kind)


def end_of(running: service.Service, key: int, kind: str) -> str:
    """How the last operation of a kind ends."""
    for _ in range(60):
        maintaining.go_on(running, key)
        found = last_of(running, key, kind)
        if found.state not in ('queued', 'running'):
            return found.state
    raise AssertionError(found)


@pytest.mark.parametrize(
    'call', ['host.disable', 'host.enable', 'Async.VM.pool_migrate']
)
def test_a_lost_answer_is_found_out(
    running: service.Service, key: int, call: str
) -> None:
    """What was done is seen, and nothing is done twice."""
    running.sim.plant(call, action='drop_answer')
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.host(running).maintenance is None
    assert maintaining.is_enabled(running)
    assert maintaining.places(running) == [['xen2']] * 3
    assert len(running.arrivals('host.disable')) == 1
    assert len(running.arrivals('host.enable')) == 1
    assert len(running.arrivals('Async.VM.pool_migrate')) == 6


def test_a_lost_answer_to_a_cancel(running: service.Service, key: int) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    for _ in range(3):
        maintaining.go_on(running, key, 0.1)
    assert running.arrivals('Async.VM.pool_migrate')
    running.sim.plant('task.cancel', action='drop_answer')
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert running.arrivals('task.cancel')
    assert maintaining.host(running).maintenance is None
    assert maintaining.is_enabled(running)
    assert maintaining.places(running) == [['xen2']] * 3


def test_adoption_ends_a_maintenance_that_somebody_has_ended(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    running.sim.set_host('xen2', enabled=True)
    running.pools.adopt(running.ctx, key)
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.host(running).maintenance is None
    assert not maintaining.host(running).disabled


def test_what_others_have_moved_stays(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.finish(running, key)
    with contextlib.closing(running.login('xen1')) as session:
        refs = {
            h['name_label']: ref for ref, h in session.records('host').items()
        }
        vm = next(
            (ref, record)
            for ref, record in session.records('VM').items()
            if record['name_label'] == 'g0'
        )
        there = [n for n, r in refs.items() if r == vm[1]['resident_on']]
        other = 'xen1' if there == ['xen3'] else 'xen3'
        session.call('VM.pool_migrate', vm[0], refs[other], {'live': 'true'})
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert sorted(maintaining.places(running)) == sorted(
        [[other], ['xen2'], ['xen2']]
    )


def test_a_master_change_meanwhile_waits(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key, 0.1)
    maintaining.go_on(running, key, 0.1)
    running.pools.set_master(running.ctx, key, 'xen3')
    for _ in range(80):
        maintaining.go_on(running, key)
        if {o.state for o in running.operations.get_all(key)} == {'succeeded'}:
            break
    found = running.operations.get_all(key)
    assert {o.state for o in found} == {'succeeded'}, found[:2]
    assert maintaining.host(running).maintenance == 'on'
    assert ['xen2'] not in maintaining.places(running, 'xen3')
    assert len(running.arrivals('pool.designate_new_master')) == 1


def test_another_service_goes_on(running: service.Service, key: int) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    for _ in range(60):
        running.manager = running.new_manager()
        maintaining.go_on(running, key, 0.5)
        if running.operation(key).state == 'succeeded':
            break
    assert maintaining.host(running).maintenance == 'on'
    assert len(running.arrivals('Async.VM.pool_migrate')) == 3


@pytest.mark.parametrize('name', ['xen9', 'xen\0'])
def test_of_no_host(running: service.Service, key: int, name: str) -> None:
    with pytest.raises(exception.HostNotFound):
        running.maintenance.enter(running.ctx, name)
    with pytest.raises(exception.HostNotFound):
        running.maintenance.leave(running.ctx, name)
    assert running.maintenance.leave(running.ctx, 'xen2') is None


@pytest.mark.parametrize('asked', [('leave',), ('leave', 'enter')])
def test_a_removal_that_is_refused_leaves_it_in_maintenance(
    running: service.Service, key: int, asked: tuple[str, ...]
) -> None:
    """What was queued meanwhile is taken back; it is as it was before."""
    running.maintenance.enter(running.ctx, 'xen2', reason='memory')
    assert maintaining.finish(running, key).state == 'succeeded'
    for request in asked:
        getattr(running.maintenance, request)(running.ctx, 'xen2')
    running.sim.add_sr('xen2', 'data', vdis=[{'name': 'd'}])
    running.members.remove_host(running.ctx, key, 'xen2')
    assert maintaining.finish(running, key).state == 'failed'
    found = maintaining.host(running)
    assert (found.phase, found.maintenance) == ('member', 'on')
    assert found.disabled
    running.operations.reset(running.ctx, key, 'xen2', 'member')
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.places(running) == [['xen2']] * 3


def find(running: service.Service, name: str) -> str:
    """The uuid of a guest."""
    with contextlib.closing(running.login('xen1')) as session:
        found = session.records('VM').values()
    return next(str(vm['uuid']) for vm in found if vm['name_label'] == name)


@pytest.mark.harms_guests
def test_no_further_guest_goes_when_a_move_has_halted_one(
    running: service.Service, key: int
) -> None:
    """An operator has to look; asked again, the others go."""
    running.conf.set_override('move_concurrency', 1, 'compute')
    lost = find(running, 'g0')
    running.sim.plant('VM.pool_migrate', step=lost, action='halt')
    running.maintenance.enter(running.ctx, 'xen2')
    ended = maintaining.finish(running, key)
    assert ended.state == 'failed'
    error = ended.error or {}
    assert error['code'] == records.GUEST_HALTED
    assert 'on no other host' in error['message']
    assert error['parameters'] == {'guests': [lost]}
    assert len(running.arrivals('Async.VM.pool_migrate')) == 1
    assert maintaining.host(running).maintenance is None
    assert maintaining.is_enabled(running)
    running.retries.retry(running.ctx, key, ended.uuid)
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.host(running).maintenance == 'on'
    assert running.sim.harmed() == [f'{lost} was lost']


@pytest.mark.harms_guests
def test_a_guest_that_is_halted_on_its_way_home_is_told(
    running: service.Service, key: int
) -> None:
    running.conf.set_override('move_concurrency', 1, 'compute')
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.finish(running, key)
    sources = sorted(maintaining.places(running))
    assert sources[0] == sources[1]
    for number in range(3):
        uuid = find(running, f'g{number}')
        running.sim.plant('VM.pool_migrate', step=uuid, action='halt')
    running.maintenance.leave(running.ctx, 'xen2')
    ended = maintaining.finish(running, key)
    assert ended.state == 'succeeded'
    assert (ended.error or {})['code'] == records.GUEST_HALTED
    # One of each host was on its way; the third stays where it is.
    assert len(running.sim.harmed()) == 2
    assert (ended.error or {})['message'].count('not at home on xen2') == 1


def test_guests_that_do_not_come_back_are_told(
    running: service.Service, key: int
) -> None:
    """It takes guests again, which does not hide them."""
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.finish(running, key)
    running.sim.add_vm('xen2', 'full', memory=60 * GIB)
    running.maintenance.leave(running.ctx, 'xen2')
    ended = maintaining.finish(running, key)
    assert ended.state == 'succeeded'
    assert (ended.error or {})['code'] == shared.LEFTOVERS
    message = (ended.error or {})['message']
    away = [p for p in maintaining.places(running) if p != ['xen2']]
    assert away
    assert message.count('not at home on xen2') == len(away)
    assert 'MEMORY' in message
    assert running.state(key) == 'active'


def unplug(running: service.Service) -> None:
    """Let xen2 have lost its storage."""
    database = running.sim.host('xen1').database
    host = next(iter(database.where('host', name_label='xen2')))
    for pbd in database.where('PBD', host=host):
        database.row('PBD', pbd)['currently_attached'] = False


@pytest.fixture
def unplugged(running: service.Service, key: int) -> int:
    """The key of a pool whose xen2 has lost two SRs in maintenance."""
    running.sim.add_sr('xen2', 'data')
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.finish(running, key)
    unplug(running)
    return key


def test_storage_that_the_host_had_is_plugged_first(
    running: service.Service, unplugged: int
) -> None:
    """And nothing else."""
    running.sim.add_sr('xen2', 'newer')
    unplug(running)
    running.maintenance.leave(running.ctx, 'xen2')
    ended = maintaining.finish(running, unplugged)
    assert (ended.state, ended.error) == ('succeeded', None)
    plugs = running.arrivals('PBD.plug')
    assert len(plugs) == 2
    assert max(plugs) < min(running.arrivals('host.enable'))


@pytest.mark.parametrize(
    ('action', 'said'),
    [
        ('fail', 'SR_BACKEND_FAILURE_47'),
        ('reset', 'no answer'),
        ('drop_answer', ''),
    ],
)
def test_storage_that_cannot_be_plugged_is_told(
    running: service.Service, unplugged: int, action: str, said: str
) -> None:
    """Each is plugged once, answered or not; what has come of it is seen."""
    running.sim.plant(
        'PBD.plug', action=action, code='SR_BACKEND_FAILURE_47', times=0
    )
    running.maintenance.leave(running.ctx, 'xen2', restore=False)
    ended = maintaining.finish(running, unplugged)
    assert ended.state == 'succeeded'
    assert len(running.arrivals('PBD.plug')) == 2
    assert (ended.error or {}).get('code') == (
        shared.NOT_WHOLE if said else None
    )
    assert (ended.error or {}).get('message', '').count(said or '?') == (
        2 if said else 0
    )
    assert maintaining.is_enabled(running)


@pytest.mark.parametrize('disabled', [False, True])
def test_what_was_ended_by_hand_is_declared_so(
    running: service.Service, key: int, disabled: bool
) -> None:
    """Nothing is done for that, and no guest comes home later."""
    if disabled:
        running.enabling.set_service(running.ctx, 'xen2', 'disabled', 'mine')
        maintaining.finish(running, key)
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    places = maintaining.places(running)
    calls = len(running.sim.calls)
    declare(running, key, 'out_of_maintenance')
    found = maintaining.host(running)
    assert (found.maintenance, found.maintenance_of) == (None, None)
    assert (found.phase, found.disabled) == ('member', disabled)
    assert found.disabled_reason == ('mine' if disabled else None)
    assert len(running.sim.calls) == calls
    recorded = running.operation(key)
    assert (recorded.kind, recorded.state) == ('reset', 'succeeded')
    with pytest.raises(exception.Conflict, match='is in no maintenance'):
        declare(running, key, 'out_of_maintenance')
    running.sim.set_host('xen2', enabled=True)
    running.watch(key, 61)
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    running.maintenance.leave(running.ctx, 'xen2', enable=True)
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.places(running) == places


def test_one_that_its_pool_still_has_disabled_is_enabled_as_any_other(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    declare(running, key, 'out_of_maintenance')
    running.watch(key, 61)
    assert running.state(key) == 'active'
    assert not maintaining.is_enabled(running)
    running.enabling.set_service(running.ctx, 'xen2', 'enabled')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.is_enabled(running)


def test_a_way_that_goes_on_is_not_declared_to_be_over(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key, 0.1)
    with pytest.raises(exception.AggregateBusy):
        declare(running, key, 'out_of_maintenance')
    assert maintaining.host(running).maintenance == 'entering'


def test_what_its_pool_does_not_let_leave_is_declared_to_be_out(
    running: service.Service, key: int
) -> None:
    """What waits for the pool is taken back first; no host is asked."""
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    running.sim.power_off('xen1')
    running.maintenance.leave(running.ctx, 'xen2')
    maintaining.go_on(running, key, 61)
    waiting = running.operation(key)
    assert (waiting.kind, waiting.state) == ('leave_maintenance', 'queued')
    running.operations.cancel(running.ctx, key, waiting.uuid)
    assert maintaining.host(running).maintenance == 'on'
    declare(running, key, 'out_of_maintenance')
    assert maintaining.host(running).maintenance is None
    assert running.overview.get(key).standing == []


def declare(running: service.Service, key: int, outcome: str) -> None:
    running.operations.reset(running.ctx, key, 'xen2', outcome)
