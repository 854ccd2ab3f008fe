"""An error of xapi does not prove that nothing has happened.

The role of a joiner, and the leaving of a victim, can be settled before the
error (xapi#join-late-failures, xapi#eject-errors): the hosts are asked.
"""

import contextlib
from collections.abc import Callable

import pytest

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import departures
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import operations
from tests.functional import byhand
from tests.functional import service

JOIN = 'Async.pool.join'
EJECT = 'Async.pool.eject'
RESTART = 'host.restart_agent'
DESTROY = 'host.destroy'


@pytest.fixture
def running(running: service.Service) -> service.Service:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    return running


def calls(running: service.Service) -> list[str]:
    """What was sent about the join, in order."""
    known = (JOIN, RESTART, DESTROY, EJECT)
    return [c.method for c in running.sim.calls if c.method in known]


def test_join_that_failed_late_is_a_member_after_a_restart(
    running: service.Service,
) -> None:
    """Its record gone, no start of it would ever succeed again."""
    running.sim.plant(call=JOIN, host='xen2', action='half_join')
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded', running.error(key)
    assert calls(running) == [JOIN, RESTART]
    (sent,), (told,) = running.arrivals(JOIN), running.arrivals(RESTART)
    # A look that saw it half-done has been confirmed.
    assert told - sent >= running.conf.compute.confirm_interval
    running.sim.restart_toolstack('xen2')
    running.watch(key, byhand.WHILE)
    assert running.aggregates.get(key).drift == ()
    assert len(running.pool_of('xen1')['hosts']) == 2


@pytest.mark.parametrize('step', ['S7', 'S8'])
def test_record_goes_when_the_host_is_its_own_master_after_a_restart(
    running: service.Service, step: str
) -> None:
    running.sim.plant(
        call=JOIN, host='xen2', action='fail', step=step, code='X'
    )
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed'
    assert running.error(key)['code'] == 'X'
    assert calls(running) == [JOIN, RESTART, DESTROY]
    assert running.hosts.get('xen2').phase == 'free'
    running.sim.restart_toolstack('xen2')
    running.clock.advance(byhand.WHILE)
    assert len(running.pool_of('xen1')['hosts']) == 1
    assert len(running.pool_of('xen2')['hosts']) == 1
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded', running.error(key)


def test_host_that_cannot_be_restarted_keeps_its_record(
    running: service.Service,
) -> None:
    running.sim.plant(call=JOIN, host='xen2', action='half_join')
    running.sim.plant(
        call=RESTART, host='xen2', action='fail', code='RBAC_PERMISSION_DENIED'
    )
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'unresolved'
    assert running.error(key)['code'] == 'HALF_JOINED'
    assert (
        'leave its record in the pool alone' in running.error(key)['message']
    )
    assert DESTROY not in calls(running)
    running.sim.restart_toolstack('xen2')
    running.watch(key, 60)
    running.watch(key, 60)
    assert running.operation(key).state == 'succeeded', running.error(key)


def test_eject_that_ends_with_an_error_is_judged_by_the_host(
    running: service.Service,
) -> None:
    """It has left, whatever the master says of it."""
    key = running.create('xen1', 'xen2')
    running.sim.plant(
        host='xen2', action='fail', step='E3', code='INTERNAL_ERROR'
    )
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'unresolved', running.error(key)
    assert running.error(key)['code'] == 'HALF_EJECTED'
    assert calls(running).count(EJECT) == 1
    assert running.state(key) == 'error'
    running.watch(key, byhand.WHILE)
    with contextlib.closing(running.login('xen1')) as session:
        uuid = running.sim.host('xen2').uuid
        session.call(DESTROY, session.call('host.get_by_uuid', uuid))
    for _ in range(3):
        running.watch(key, byhand.WHILE)
    assert running.operation(key).state == 'succeeded'
    assert running.hosts.get('xen2').phase == 'free'
    assert running.aggregates.get(key).hosts == ('xen1',)


def half_eject_by_hand(running: service.Service) -> None:
    """Let xen2 leave by an eject that fails before its record is removed."""
    running.sim.plant(
        host='xen2', action='fail', step='E3', code='INTERNAL_ERROR'
    )
    with contextlib.closing(running.login('xen1')) as session:
        uuid = running.sim.host('xen2').uuid
        ref = session.call('host.get_by_uuid', uuid)
        with pytest.raises(failures.XenAPIError):
            session.call('pool.eject', ref)


def test_host_that_was_half_ejected_by_hand_is_not_called_a_member(
    running: service.Service,
) -> None:
    """The time of a removal that sent nothing is over, and its host gone."""
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    obstacle = running.sim.start_pool_operation('xen1', 'sync_updates')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work(2)
    assert running.operation(key).state == 'queued'
    running.sim.end_pool_operation('xen1', obstacle)
    half_eject_by_hand(running)
    running.clock.advance(60)
    running.conf.set_override('eject_timeout', 1.0, 'compute')
    assert running.settle(key) == 'unresolved', running.error(key)
    assert running.error(key)['code'] == 'HALF_EJECTED'
    assert calls(running).count(EJECT) == 0


def test_host_that_stays_after_a_late_error_is_a_member(
    running: service.Service,
) -> None:
    """It says so for as long as a leaving takes to be seen."""
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='fail', step='E1', code='SOME_ERROR')
    before = running.clock.time()
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed'
    assert running.error(key)['code'] == 'SOME_ERROR'
    assert running.clock.time() - before >= 60
    assert running.hosts.get('xen2').phase == 'member'
    running.watch(key, 60)
    assert running.state(key) == 'error'
    assert all(host['enabled'] for host in running.pool_of('xen1')['hosts'])


@pytest.mark.parametrize('code', ['VDI_IN_USE', 'SR_BACKEND_FAILURE_47'])
def test_what_is_refused_before_the_host_is_told_needs_no_wait(
    running: service.Service, code: str
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='fail', step='E1', code=code)
    before = running.clock.time()
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed'
    assert running.error(key)['code'] == code
    waited = running.clock.time() - before
    assert waited < running.conf.compute.fuse_wait


def test_host_that_is_silent_for_a_while_is_waited_for_again(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='fail', step='E1', code='SOME_ERROR')
    since: list[float] = []
    steps = set()

    def flicker() -> None:
        if not running.arrivals(EJECT):
            return
        steps.add(running.operation(key).step)
        (sent,) = running.arrivals(EJECT)
        if not since and running.clock.time() > sent + 30:
            running.sim.power_off('xen2')
            since.append(running.clock.time())
        elif len(since) == 1 and running.clock.time() > since[0] + 10:
            running.sim.power_on('xen2')
            since.append(running.clock.time())

    running.meanwhile.append(flicker)
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed', running.error(key)
    assert 'looking whether the host stays' in steps
    waited = running.clock.time() - since[1]
    assert waited >= running.conf.compute.fuse_wait
    assert running.hosts.get('xen2').phase == 'member'


def test_host_that_stays_is_asked_by_one_observation_after_another(
    running: service.Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an eject that is unresolved each look is short.

    So it is written down since when the host answers as a member.
    """
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='fail', step='E1', code='SOME_ERROR')

    def pull_the_plug() -> None:
        if running.arrivals(EJECT):
            running.meanwhile.clear()
            running.sim.power_off('xen2')

    running.meanwhile.append(pull_the_plug)
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'unresolved', running.error(key)
    assert running.error(key)['code'] == 'UNRESOLVED'
    running.sim.power_on('xen2')
    running.watch(key, byhand.WHILE)
    for _ in range(3):
        running.watch(key, byhand.WHILE)
        assert running.operation(key).state == 'unresolved'
    assert running.operation(key).parameters[departures.FOLLOWS]
    assert 'a bug' not in caplog.text
    # Whoever says nothing for a while may have left and come back.
    running.sim.power_off('xen2')
    running.watch(key, byhand.WHILE)
    assert running.operation(key).parameters[departures.FOLLOWS] is None
    running.sim.power_on('xen2')
    running.watch(key, byhand.WHILE)
    running.watch(key, byhand.WHILE)
    found = running.operation(key)
    known = dict(found.parameters)
    # By the clock of the database, which the simulated one does not set.
    known[departures.FOLLOWS] -= running.conf.compute.fuse_wait
    with running.database.writer() as connection:
        operations.update(connection, found.id, {'parameters': known})
    running.watch(key, byhand.WHILE)
    assert running.operation(key).state == 'failed'
    assert running.hosts.get('xen2').phase == 'member'
    assert calls(running).count(EJECT) == 1


def test_member_that_leads_itself_is_drift_whatever_the_master_says(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    half_eject_by_hand(running)
    running.clock.advance(300)
    pool = running.pool_of('xen1')
    assert 'MEMBER_ELSEWHERE' in byhand.codes(running, key), pool


def test_join_that_was_lost_is_sent_again_when_two_looks_agree(
    running: service.Service,
) -> None:
    """It may have come to the host, and not be seen there yet."""
    key = running.create('xen1')
    running.sim.plant(call=JOIN, host='xen2', action='reset')
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded', running.error(key)
    first, second = running.arrivals(JOIN)
    assert second - first >= running.conf.compute.watch_interval


def add(running: service.Service, key: int) -> None:
    running.members.add_host(running.ctx, key, 'xen3')


def remove(running: service.Service, key: int) -> None:
    running.members.remove_host(running.ctx, key, 'xen2')


def forget(running: service.Service, key: int) -> None:
    running.sim.power_off('xen2')
    running.clock.advance(601)
    running.members.remove_host(running.ctx, key, 'xen2', force=True)


@pytest.mark.parametrize(
    ('act', 'calls'),
    [
        (add, ['pool.join']),
        (remove, ['pool.eject']),
        (forget, ['host.declare_dead', 'host.destroy']),
    ],
)
def test_old_tasks_go_by_the_session_in_the_record(
    running: service.Service,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[service.Service, int], None],
    calls: list[str],
) -> None:
    """Who is frozen before that removes none of a successor's.

    A successor ends the session in the record before it looks.
    """
    key = running.create('xen1', 'xen2')
    forget_tasks, told = views.forget_tasks, []

    def noted(session: xenapi.Session, *old: str) -> None:
        record = running.operation(key).call or {}
        assert record.get('session') == session.uuid()
        told.append(record['call'].removeprefix('Async.'))
        forget_tasks(session, *old)

    monkeypatch.setattr(views, 'forget_tasks', noted)
    act(running, key)
    assert running.settle(key) == 'succeeded', running.error(key)
    assert told == calls


def test_eject_whose_task_went_with_the_master_is_not_sent_again(
    running: service.Service,
) -> None:
    """The host was told to go; it says that it follows until it does."""
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='die', step='E3')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    # The master is back, before its victim goes.
    running.clock.advance(running.sim.world.times.restart + 1)
    assert running.settle(key) == 'unresolved', running.error(key)
    assert running.error(key)['code'] == 'HALF_EJECTED'
    assert calls(running).count(EJECT) == 1


def test_silent_host_whose_eject_left_no_task_is_unresolved_in_time(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='die', step='E1')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    running.clock.advance(running.sim.world.times.restart + 1)
    running.sim.power_off('xen2')
    assert running.settle(key) == 'unresolved', running.error(key)
    assert running.error(key)['code'] == 'UNRESOLVED'
    assert calls(running).count(EJECT) == 1


def test_eject_that_never_ran_is_sent_again_when_the_host_has_stayed(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='die', step='E1')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    # The master is back, before its victim goes.
    running.clock.advance(running.sim.world.times.restart + 1)
    assert running.settle(key) == 'succeeded', running.error(key)
    first, second = running.arrivals(EJECT)
    assert second - first >= running.conf.compute.fuse_wait


def test_eject_that_ends_between_two_reads_has_happened(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is listed is read after the tasks: an eject may end meanwhile."""
    running.conf.set_override('watch_interval', 0.1, 'compute')
    key = running.create('xen1', 'xen2')
    running.sim.plant(call=EJECT, action='drop_answer')
    tasks, looks = views.tasks, []

    def slowly(session: xenapi.Session, call: str) -> tuple[views.Task, ...]:
        if call != 'pool.eject' or not running.arrivals(EJECT):
            return tasks(session, call)
        looks.append(call)
        if len(looks) == 1:
            # Accepted, and not to be seen yet.
            return ()
        running.clock.advance(1)
        return tasks(session, call)

    monkeypatch.setattr(views, 'tasks', slowly)
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded', running.error(key)
    assert calls(running).count(EJECT) == 1
