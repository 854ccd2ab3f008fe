"""Operations that rest, wait for others, and are taken up again."""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.compute import manager
from aggregates_ext.compute.run import clock as compute_clock
from aggregates_ext.compute.run import lease
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import operations as db_operations
from tests.functional import service

Make = Callable[..., service.Service]
LOGIN = 'session.login_with_password'


def resting(running: service.Service, key: int, host: str) -> Any:
    """The newest operation of a host, which rests."""
    found = next(
        operation
        for operation in running.operations.get_all(key)
        if operation.host == host
    )
    assert found.not_before is not None, found
    return found


def refuse(running: service.Service, host: str, **fault: Any) -> None:
    """Let every login at a host be refused with a code."""
    running.sim.plant(call=LOGIN, host=host, action='fail', times=0, **fault)


def test_obstacle_is_shown_by_its_code(running: service.Service) -> None:
    key = running.create('xen1')
    refuse(running, 'xen2', code='HOST_STILL_BOOTING')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = resting(running, key, 'xen2')
    assert operation.state == 'queued'
    assert operation.error['code'] == 'HOST_STILL_BOOTING'
    assert operation.error['parameters'] == ['planted']
    assert operation.attempts == 1


@pytest.mark.parametrize(
    ('code', 'parameters', 'state'),
    [
        ('HOST_MASTER_CANNOT_TALK_BACK', ('10.0.0.1',), 'queued'),
        ('HOST_BROKEN', (), 'failed'),
        ('HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED', (), 'failed'),
        ('INTERNAL_ERROR', ('Connection failed: refused',), 'queued'),
        ('INTERNAL_ERROR', ('Not_found',), 'failed'),
        ('LICENSE_EXPIRED', (), 'failed'),
    ],
)
def test_only_what_heals_is_tried_again(
    running: service.Service,
    code: str,
    parameters: tuple[str, ...],
    state: str,
) -> None:
    key = running.create('xen1')
    refuse(running, 'xen2', code=code, parameters=parameters)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    assert operation.state == state, operation
    assert operation.error is not None
    assert operation.error['code'] == code
    assert operation.error['parameters'] == list(parameters)


def test_time_over_tells_the_last_obstacle(running: service.Service) -> None:
    key = running.create('xen1')
    refuse(running, 'xen2', code='HOST_STILL_BOOTING')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    end_time(running, key)
    error = running.operation(key).error
    assert error is not None
    assert error['code'] == 'TIMEOUT'
    assert error['parameters'] == ['HOST_STILL_BOOTING', 'planted']


def leave_first_unresolved(running: service.Service) -> int:
    """The first host cannot be seen after its pool was signed."""
    key = running.aggregates.create('pool', None).id
    running.sim.plant(
        call='pool.set_name_label', host='xen1', action='drop_answer'
    )
    running.sim.plant(
        call='session.get_by_uuid', host='xen1', action='drop_answer', times=0
    )
    running.members.add_host(running.ctx, key, 'xen1')
    running.work()
    end_time(running, key)
    assert running.operation(key).state == 'unresolved'
    return key


def test_follower_of_an_unresolved_first_host_waits_without_end(
    running: service.Service,
) -> None:
    """Its own limit does not pass, and it is taken up when it may go on."""
    key = leave_first_unresolved(running)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    end_time(running, key)
    operation = running.operation(key)
    assert operation.state == 'queued', operation
    assert operation.begun is None
    assert operation.error is not None
    assert operation.error['code'] == 'WAITING'
    assert operation.step == 'waiting for another operation'

    running.operations.reset(running.ctx, key, 'xen1', 'member')
    running.work()
    assert running.hosts.get('xen2').phase == 'member'


def end_time(running: service.Service, key: int) -> None:
    """Look again at what rests, as if it had begun long ago."""
    long_ago = {'not_before': None, 'begun': 1.0}
    with running.database.writer() as connection:
        operation = running.operation(key)
        db_operations.update(connection, operation.id, long_ago)
    running.work()


def test_a_waiting_operation_can_be_cancelled(
    running: service.Service,
) -> None:
    key = leave_first_unresolved(running)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    cancelled = running.operations.cancel(running.ctx, key, operation.uuid)
    assert cancelled.state == 'cancelled'
    assert running.hosts.get('xen2').phase == 'free'


def test_operation_that_waits_has_sent_nothing(
    running: service.Service,
) -> None:
    key = leave_first_unresolved(running)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    changes = [c for c in running.sim.calls if 'pool.join' in c.method]
    assert changes == []


def test_running_operation_is_not_cancelled(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    change = running.members.add_host(running.ctx, key, 'xen2')
    with running.database.writer() as connection:
        operation = running.operation(key)
        assert operation.uuid == change.operation
        db_operations.start(connection, operation.id)
    with pytest.raises(
        exception.OperationNotCancellable, match='Wait for its end'
    ):
        running.operations.cancel(running.ctx, key, operation.uuid)


class WatchedClock(service.SteppedClock):
    """Tells of each wait of an operation."""

    def __init__(self, clock: Any, seen: Callable[[], None]) -> None:
        super().__init__(clock)
        self._seen = seen

    def sleep(self, seconds: float) -> None:
        self._seen()
        super().sleep(seconds)


def watch(running: service.Service, key: int) -> list[Any]:
    """The steps that clients see while the service works."""
    steps: list[Any] = []

    def look() -> None:
        operation = running.operation(key)
        shown = (operation.state, operation.step, operation.progress)
        if not steps or steps[-1] != shown:
            steps.append(shown)

    clock: compute_clock.Clock = WatchedClock(running.clock, look)
    running.manager = manager.Manager(
        running.conf,
        running.database,
        connections.Connector(running.conf),
        clock,
    )
    return steps


def test_steps_of_a_join_are_shown_while_it_runs(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    steps = watch(running, key)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert {state for state, _step, _progress in steps} == {'running'}
    assert [step for _state, step, _progress in steps] == [
        'joining',
        'the host copies its records',
        'joined, xapi of the host restarts soon',
        'the host starts as a slave',
        'the host attaches its storage',
    ]
    progress = [progress for _state, _step, progress in steps]
    assert progress == sorted(progress)


def test_steps_of_an_eject_are_shown_while_it_runs(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    steps = watch(running, key)
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    assert ('running', 'ejecting', 30) in steps
    progress = [progress for _state, _step, progress in steps]
    assert progress == sorted(progress)
    assert running.operation(key).progress == 100


@pytest.mark.parametrize('kind', ['join', 'eject'])
def test_wait_inside_xapi_is_told(
    running: service.Service, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another operation on the pool holds it up there (xapi#pool-operations).

    It begins between the last look and the call.
    """
    key = running.create('xen1', *(['xen2'] if kind == 'eject' else []))
    steps = watch(running, key)
    ensure_fresh = lease.Held.ensure_fresh

    def ensure_and_start(held: lease.Held) -> None:
        ensure_fresh(held)
        call = running.operation(key).call or {}
        if call['call'] == f'Async.pool.{kind}':
            running.sim.start_pool_operation('xen1', 'sync_updates')

    monkeypatch.setattr(lease.Held, 'ensure_fresh', ensure_and_start)
    running.conf.set_override('join_timeout', 20, 'compute')
    running.conf.set_override('eject_timeout', 20, 'compute')
    if kind == 'join':
        running.members.add_host(running.ctx, key, 'xen2')
    else:
        running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    said = 'waiting for another operation in the pool: sync_updates'
    assert said in [step for _state, step, _progress in steps]


def let_pass(running: service.Service, seconds: float) -> None:
    """Let time pass for all operations that have begun, and their rests."""
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            f'UPDATE operations SET begun = begun - {seconds}, '  # noqa: S608
            'not_before = NULL'
        )


def test_time_of_a_join_begins_with_its_first_try(
    running: service.Service,
) -> None:
    """Not with the request, and its own rests are in it."""
    running.conf.set_override('join_timeout', 60.0, 'compute')
    key = running.create('xen1')
    running.sim.power_off('xen2')
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.operation(key).begun is None
    # However long nobody has come to it.
    let_pass(running, 1000)
    running.work()
    begun = resting(running, key, 'xen2').begun
    assert begun is not None
    let_pass(running, 45)
    running.work()
    again = resting(running, key, 'xen2')
    assert again.begun == pytest.approx(begun - 45)
    assert again.error['code'] == 'HOST_UNREACHABLE'
    let_pass(running, 20)
    running.work()
    ended = running.operation(key)
    assert ended.state == 'failed', ended
    assert running.error(key)['code'] == 'TIMEOUT'
    assert 'within 60 s' in running.error(key)['message']
    # A repeated one has all its time again.
    running.sim.power_on('xen2')
    running.clock.advance(600)
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.operation(key).begun is None
    assert running.settle(key) == 'succeeded', running.error(key)
