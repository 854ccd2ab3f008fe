"""Another master: changed once, verified, and never changed blindly."""

import pytest
from oslo_config import cfg

from aggregates_ext import exception
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db.engine import engine
from tests.functional import service

CALL = 'pool.designate_new_master'
WAIT = 180.0


@pytest.fixture(autouse=True)
def seldom(conf: cfg.ConfigOpts) -> None:
    """Looks are seldom, so that long waits take few of them."""
    conf.set_override('watch_interval', 4.0, 'compute')


def designate(running: service.Service, key: int, host: str) -> str:
    """Ask for another master; the state of the operation then."""
    running.pools.set_master(running.ctx, key, host)
    running.work()
    return running.operation(key).state


def sent(running: service.Service) -> int:
    """How often the call has arrived at any host."""
    return len(running.arrivals(CALL))


def said(running: service.Service, key: int) -> str:
    """The message of the newest operation."""
    return str(running.error(key)['message'])


def code(running: service.Service, key: int) -> str:
    """The code of the newest operation."""
    return str(running.error(key)['code'])


def age(running: service.Service, key: int, seconds: float) -> None:
    """Let the newest operation be older, by the clock of the database."""
    operation = running.operation(key)
    parameters = dict(operation.parameters)
    parameters['designated']['at'] -= seconds
    with running.database.writer() as connection:
        db_operations.update(
            connection,
            operation.id,
            {
                'parameters': parameters,
                'begun': (operation.begun or 0) - seconds,
                'not_before': None,
            },
        )


def crash_while_sending(
    running: service.Service, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    """Let the service die with its call, which arrives or does not.

    Another one is there then.
    """
    session = service.xenapi.Session
    call = session.call

    def die(
        self: service.xenapi.Session, method: str, *params: object
    ) -> None:
        if method != CALL:
            return call(self, method, *params)
        monkeypatch.setattr(session, 'call', call)
        if arrives:
            call(self, method, *params)
        raise exception.LeaseLost(aggregate_id=1)

    monkeypatch.setattr(session, 'call', die)


def test_member_becomes_the_master(running: service.Service) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    assert designate(running, key, 'xen2') == 'succeeded', said(running, key)
    assert sent(running) == 1
    pool = running.pool_of('xen1')
    assert pool['master'] == 'xen2'
    assert all(host['live'] and host['enabled'] for host in pool['hosts'])
    aggregate = running.aggregates.get(key)
    assert aggregate.master_uuid == running.sim.host('xen2').uuid
    assert aggregate.observation is not None
    assert aggregate.observation['master'] == aggregate.master_uuid
    assert aggregate.drift == ()
    assert running.state(key) == 'active'
    assert running.operation(key).call is None
    assert running.operation(key).error is None


def test_pool_goes_on_under_the_new_master(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    designate(running, key, 'xen2')
    running.members.add_host(running.ctx, key, 'xen3')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work()
    pool = running.pool_of('xen2')
    assert pool['name_label'] == 'new'
    assert len(pool['hosts']) == 3
    assert running.state(key) == 'active'


def test_master_already_is_a_success_without_a_call(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    assert designate(running, key, 'xen1') == 'succeeded'
    assert sent(running) == 0


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
        running.pools.set_master(running.ctx, key, host)
    assert len(running.operations.get_all(key)) == 1


def test_host_that_joins_is_refused_with_a_way_out(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    with pytest.raises(exception.HostNotMember, match='Repeat the request'):
        running.pools.set_master(running.ctx, key, 'xen2')


def test_all_unmet_requirements_are_named_at_once(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.set_pool(
        'xen1',
        ha_enabled=True,
        other_config={'rolling_upgrade_in_progress': 'true'},
        is_psr_pending=True,
    )
    running.sim.set_host(
        'xen2', enabled=False, software_version={'platform_version': '1.0'}
    )
    running.sim.power_off('xen3')
    running.clock.advance(601)
    assert designate(running, key, 'xen2') == 'failed'
    error = running.operation(key).error
    assert error is not None
    assert [b['code'] for b in error['parameters']['blockers']] == [
        'HOST_DISABLED',
        'OLDER_VERSION',
        'HA_IS_ENABLED',
        'ROLLING_UPGRADE',
        'HOST_OFFLINE',
        'POOL_SECRET_ROTATION_PENDING',
    ]
    assert 'xen3 not live' in error['message']
    assert sent(running) == 0
    assert running.aggregates.get(key).hosts == ('xen1', 'xen2', 'xen3')


def test_pool_operation_is_waited_for(running: service.Service) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    ref = running.sim.start_pool_operation('xen1', 'ha_disable')
    assert designate(running, key, 'xen2') == 'queued'
    assert 'ha_disable' in said(running, key)
    assert sent(running) == 0
    running.sim.end_pool_operation('xen1', ref)
    assert running.settle(key) == 'succeeded'


def test_clean_refusal_fails_at_once_and_leaves_no_window(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(call=CALL, action='fail', code='HA_IS_ENABLED')
    before = running.clock.time()
    assert designate(running, key, 'xen2') == 'failed'
    assert code(running, key) == 'HA_IS_ENABLED'
    assert running.clock.time() - before < WAIT
    assert designate(running, key, 'xen2') == 'succeeded'


def test_refusal_from_the_middle_is_watched_before_it_counts(
    running: service.Service,
) -> None:
    """INTERNAL_ERROR may come from either phase: roles may be written."""
    key = running.create('xen1', 'xen2')
    running.sim.plant(call=CALL, action='fail', code='INTERNAL_ERROR')
    before = running.clock.time()
    assert designate(running, key, 'xen2') == 'failed'
    assert code(running, key) == 'INTERNAL_ERROR'
    assert 'The master is who it was' in said(running, key)
    assert running.clock.time() - before >= WAIT
    assert sent(running) == 1
    assert running.pool_of('xen1')['master'] == 'xen1'


def test_lost_answer_is_found_out_by_watching(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(call=CALL, action='drop_answer')
    assert designate(running, key, 'xen2') == 'succeeded'
    assert sent(running) == 1
    assert running.pool_of('xen1')['master'] == 'xen2'


def test_lost_request_is_not_repeated_within_the_window(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(call=CALL, action='reset')
    assert designate(running, key, 'xen2') == 'succeeded', said(running, key)
    first, second = running.arrivals(CALL)
    assert second - first >= WAIT


@pytest.mark.parametrize('arrives', [True, False])
def test_next_service_watches_what_a_dead_one_has_sent(
    running: service.Service,
    monkeypatch: pytest.MonkeyPatch,
    arrives: bool,
) -> None:
    key = running.create('xen1', 'xen2')
    crash_while_sending(running, monkeypatch, arrives)
    assert designate(running, key, 'xen2') == 'succeeded', said(running, key)
    assert sent(running) == 1
    assert running.pool_of('xen1')['master'] == 'xen2'
    assert running.operation(key).call is None


def test_call_that_was_held_back_is_refused_when_it_arrives(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next service has ended its session before it looks."""
    key = running.create('xen1', 'xen2')
    session = service.xenapi.Session
    call, held = session.call, []

    def hold(
        self: service.xenapi.Session, method: str, *params: object
    ) -> object:
        if method != CALL:
            return call(self, method, *params)
        monkeypatch.setattr(session, 'call', call)
        # What is dead logs nobody out.
        monkeypatch.setattr(self, 'close', lambda: None)
        held.append((self, params))
        raise exception.LeaseLost(aggregate_id=key)

    answers: list[str] = []

    def deliver() -> None:
        running.meanwhile.clear()
        ((late, params),) = held
        monkeypatch.delattr(late, 'close')
        with pytest.raises(failures.XenAPIError) as refusal:
            late.call(CALL, *params)
        answers.append(refusal.value.code)
        late.close()

    monkeypatch.setattr(session, 'call', hold)
    running.pools.set_master(running.ctx, key, 'xen2')
    running.manager.work_on(key)
    running.meanwhile.append(deliver)
    running.work()
    assert answers == ['SESSION_INVALID']
    assert running.operation(key).state == 'succeeded', said(running, key)
    first, second = running.arrivals(CALL)
    assert second - first > WAIT / 2


def test_window_is_counted_by_no_clock_that_jumps(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor from a record that is older than the call.

    The clock of the database is set ahead, or the one that sent was frozen
    before it did: its call may have come about a moment ago.
    """
    key = running.create('xen1', 'xen2')
    crash_while_sending(running, monkeypatch, True)
    running.pools.set_master(running.ctx, key, 'xen2')
    running.manager.work_on(key)
    age(running, key, WAIT + 10)
    running.work()
    assert running.operation(key).state == 'succeeded', said(running, key)
    assert sent(running) == 1


def test_window_begins_anew_with_who_watches(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = running.create('xen1', 'xen2')
    crash_while_sending(running, monkeypatch, False)
    running.pools.set_master(running.ctx, key, 'xen2')
    running.manager.work_on(key)
    age(running, key, WAIT - 10)
    before = running.clock.time()
    running.work()
    (moment,) = running.arrivals(CALL)
    assert moment - before >= WAIT
    assert running.operation(key).state == 'succeeded'


def test_nothing_else_is_done_in_the_window(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by an operation that came before and was resting either."""
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    crash_while_sending(running, monkeypatch, False)
    running.pools.set_master(running.ctx, key, 'xen2')
    running.manager.work_on(key)
    with running.database.writer() as connection:
        # As if it had met an obstacle.
        db_operations.postpone(
            connection, running.operation(key).id, 'running', 3600
        )
    running.members.add_host(running.ctx, key, 'xen3')
    running.members.remove_host(running.ctx, key, 'xen1')
    running.pools.set_master(running.ctx, key, 'xen2')
    running.work(3)
    for operation in running.operations.get_all(key)[:2]:
        assert operation.state == 'queued'
    assert 'being watched' in str(running.operations.get_all(key)[1].error)
    assert len(running.pool_of('xen1')['hosts']) == 2
    assert sent(running) == 0


def test_next_change_waits_for_the_window_of_one_that_left_members_behind(
    running: service.Service,
) -> None:
    """Proven and with all members back, nothing would stand against it."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.when_sent(CALL, lambda: running.sim.power_off('xen3'))
    designate(running, key, 'xen2')
    running.sim.power_on('xen3')
    running.clock.advance(60)
    with running.database.writer() as connection:
        operation = running.operation(key)
        found = {**operation.parameters['designated']}
        found['at'] = engine.read_clock(connection)
        parameters = {**operation.parameters, 'designated': found}
        values = {'parameters': parameters}
        db_operations.update(connection, operation.id, values)
    assert designate(running, key, 'xen1') == 'queued'
    assert 'is not sent before 180 s' in said(running, key)
    assert sent(running) == 1


def test_dead_new_master_is_unresolved_and_ends_by_evidence(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.when_sent(CALL, lambda: running.sim.power_off('xen2'))
    assert designate(running, key, 'xen2') == 'unresolved'
    assert 'xen2, the new one, does not let us look' in said(running, key)
    assert 'xen1, the old one, ' in said(running, key)
    assert running.state(key) == 'error'
    running.sim.power_on('xen2')
    running.watch(key, 60)
    assert running.operation(key).state == 'succeeded', said(running, key)
    assert running.pool_of('xen1')['master'] == 'xen2'
    assert sent(running) == 1
    assert running.state(key) == 'active'


def test_failed_second_phase_is_unresolved_until_reset(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.plant(call=CALL, host='xen3', step='commit', code='X')
    assert designate(running, key, 'xen2') == 'unresolved'
    assert 'HOST_BROKEN' in said(running, key)
    assert 'X' in said(running, key)
    running.operations.reset(running.ctx, key, 'xen2', 'member')
    assert running.operations.get_all(key)[1].state == 'failed'
    assert running.hosts.get('xen2').phase == 'member'


def test_two_masters_are_unresolved(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(call=CALL, action='fail', code='INTERNAL_ERROR')

    def promote() -> None:
        # Each is led by itself only where it does not reach the other.
        running.sim.partition('xen2', 'xen1')
        running.promote('xen2')

    running.when_sent(CALL, promote)
    assert designate(running, key, 'xen2') == 'unresolved'
    assert 'xen2, the new one, answers as the master' in said(running, key)
    assert 'xen1, the old one, answers as the master' in said(running, key)


def test_member_that_does_not_come_back_raises_an_alarm(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.when_sent(CALL, lambda: running.sim.power_off('xen3'))
    assert designate(running, key, 'xen2') == 'succeeded'
    assert code(running, key) == 'MEMBERS_NOT_BACK'
    assert running.pool_of('xen1')['master'] == 'xen2'
    alarm = running.hosts.get('xen3').alarm
    assert alarm is not None
    assert 'not back as an enabled slave' in alarm
    running.sim.power_on('xen3')
    running.watch(key, 60)
    assert running.hosts.get('xen3').alarm is None


def test_host_in_maintenance_need_not_be_enabled_afterwards(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.host('xen3').auto_enable = False
    running.sim.set_host('xen3', enabled=False)
    before = running.clock.time()
    assert designate(running, key, 'xen2') == 'succeeded'
    assert running.clock.time() - before < WAIT
    assert running.operation(key).error is None


def test_later_success_settles_failures_whatever_their_host(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.set_host('xen2', enabled=False)
    assert designate(running, key, 'xen2') == 'failed'
    assert running.hosts.get('xen2').phase == 'member'
    assert running.state(key) == 'error'
    assert designate(running, key, 'xen3') == 'succeeded'
    assert running.state(key) == 'active'


def test_cancelled_change_leaves_the_host_what_it_is(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    queued = running.pools.set_master(running.ctx, key, 'xen2')
    running.operations.cancel(running.ctx, key, queued.uuid)
    assert running.hosts.get('xen2').phase == 'member'
    assert running.state(key) == 'active'
