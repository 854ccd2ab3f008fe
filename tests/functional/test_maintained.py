"""Hosts in maintenance as they are seen: guests, restarts, hands."""

import contextlib

import pytest

from aggregates_ext.db import records
from tests.functional import byhand
from tests.functional import maintaining
from tests.functional import service
from tests.functional import test_enabling as enabling

GIB = 1 << 30
# Long enough for a toolstack to start, and to report.
START = 120.0
key = maintaining.key
running = maintaining.running


@pytest.fixture
def kept(running: service.Service, key: int) -> int:
    """The same pool with xen2 in maintenance."""
    running.maintenance.enter(running.ctx, 'xen2', reason='fans')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert codes(running, key) == []
    return key


def codes(running: service.Service, key: int) -> list[str]:
    return [entry.code for entry in running.aggregates.get(key).drift]


def look(running: service.Service, key: int, seconds: float = START) -> None:
    running.watch(key, seconds)


def settle(running: service.Service, key: int) -> None:
    """Let all that is due be done."""
    for _ in range(60):
        maintaining.go_on(running, key)
        if running.state(key) != 'changing':
            return
    raise AssertionError(running.operation(key))


def test_guests_that_appear_are_told_and_left_alone(
    running: service.Service, kept: int
) -> None:
    for number in range(7):
        running.sim.add_vm('xen2', f'late{number}', memory=GIB >> 2)
    look(running, kept)
    [entry] = running.aggregates.get(kept).drift
    assert (entry.code, entry.host) == ('GUESTS_ARRIVED', 'xen2')
    assert '"late0"' in entry.message
    assert 'and 2 more' in entry.message
    assert 'late6' not in entry.message
    assert running.state(kept) == 'error'
    sent = len(running.arrivals('Async.VM.pool_migrate'))
    for _ in range(3):
        look(running, kept)
    assert len(running.arrivals('Async.VM.pool_migrate')) == sent
    assert maintaining.host(running).maintenance == 'on'


def test_drift_ends_when_the_guests_are_gone(
    running: service.Service, kept: int
) -> None:
    ref = running.sim.add_vm('xen2', 'late', memory=GIB)
    look(running, kept)
    assert codes(running, kept) == ['GUESTS_ARRIVED']
    with contextlib.closing(running.login('xen1')) as session:
        session.call('VM.hard_shutdown', session.find('VM', ref))
    look(running, kept)
    assert codes(running, kept) == []
    assert running.state(kept) == 'active'


def test_to_enter_again_moves_them(
    running: service.Service, kept: int
) -> None:
    running.sim.add_vm('xen2', 'g9', memory=GIB)
    look(running, kept)
    assert running.maintenance.enter(running.ctx, 'xen2') is not None
    assert maintaining.finish(running, kept).state == 'succeeded'
    assert maintaining.host(running).maintenance == 'on'
    assert ['xen2'] not in maintaining.places(running)
    assert codes(running, kept) == []
    assert running.maintenance.enter(running.ctx, 'xen2') is None


def test_one_that_cannot_go_ends_no_maintenance(
    running: service.Service, kept: int
) -> None:
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    look(running, kept)
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, kept).state == 'failed'
    assert maintaining.host(running).maintenance == 'on'
    assert maintaining.host(running).disabled
    assert not maintaining.is_enabled(running)
    look(running, kept)
    assert codes(running, kept) == ['GUESTS_ARRIVED']


def test_one_that_comes_too_late_to_go_ends_no_maintenance(
    running: service.Service, kept: int
) -> None:
    running.sim.add_vm('xen2', 'g8', memory=1 << 30)
    look(running, kept)
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, kept)
    # After the check.
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    ended = maintaining.finish(running, kept)
    assert 'It stays disabled, as was asked.' in (ended.error or {})['message']
    assert maintaining.host(running).maintenance == 'on'
    assert not maintaining.is_enabled(running)


def test_start_of_the_host_leaves_it_in_maintenance(
    running: service.Service, kept: int
) -> None:
    """Its release enables it; that is undone quietly."""
    running.sim.restart_toolstack('xen2')
    running.clock.advance(START)
    assert maintaining.is_enabled(running)
    look(running, kept)
    settle(running, kept)
    assert not maintaining.is_enabled(running)
    assert maintaining.host(running).maintenance == 'on'
    assert codes(running, kept) == []


def test_start_of_a_host_that_stays_on_its_way_is_undone(
    running: service.Service, key: int
) -> None:
    """What was asked for is proven as far as it came."""
    running.maintenance.enter(running.ctx, 'xen2', stay_on_failure=True)
    maintaining.go_on(running, key)
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    assert maintaining.finish(running, key).state == 'failed'
    running.sim.restart_toolstack('xen2')
    running.clock.advance(START)
    assert maintaining.is_enabled(running)
    look(running, key)
    settle(running, key)
    assert not maintaining.is_enabled(running)
    assert maintaining.host(running).maintenance == 'entering'
    assert codes(running, key) == []
    # A refusal does not end it.
    running.sim.restart_toolstack('xen2')
    running.sim.plant(
        'host.disable',
        code='HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN',
        action='fail',
    )
    look(running, key)
    settle(running, key)
    assert maintaining.host(running).maintenance == 'entering'
    assert codes(running, key) == ['HOST_ENABLED']


def test_refusal_after_a_start_ends_no_maintenance(
    running: service.Service, kept: int
) -> None:
    running.sim.restart_toolstack('xen2')
    running.sim.plant(
        'host.disable',
        code='HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN',
        action='fail',
    )
    look(running, kept)
    settle(running, kept)
    look(running, kept)
    assert codes(running, kept) == ['HOST_ENABLED']
    assert maintaining.host(running).maintenance == 'on'


@pytest.mark.parametrize('way', ['reapply', 'adopt'])
def test_host_that_somebody_enables(
    running: service.Service, kept: int, way: str
) -> None:
    enabling.enable_by_hand(running, 'xen2')
    look(running, kept, 60.0)
    [entry] = running.aggregates.get(kept).drift
    assert entry.code == 'HOST_ENABLED'
    assert 'in maintenance' in entry.message
    assert '"adopt" ends its maintenance' in entry.message
    assert maintaining.is_enabled(running)
    getattr(running.pools, way)(running.ctx, kept)
    settle(running, kept)
    look(running, kept)
    assert codes(running, kept) == []
    adopted = way == 'adopt'
    assert maintaining.is_enabled(running) is adopted
    found = maintaining.host(running)
    assert found.maintenance == (None if adopted else records.IN_MAINTENANCE)


def test_restart_of_the_host_is_no_drift_for_its_time(
    running: service.Service, kept: int
) -> None:
    running.sim.power_off('xen2')
    look(running, kept, byhand.WHILE)
    assert codes(running, kept) == []
    assert running.state(kept) == 'active'
    look(running, kept, byhand.WHILE)
    assert codes(running, kept) == []
    # By the clock of the database.
    running.conf.set_override('return_timeout', 0.0, 'compute')
    look(running, kept, byhand.WHILE)
    assert codes(running, kept) == ['MEMBER_DEAD']
    running.sim.power_on('xen2')
    look(running, kept, byhand.WHILE)
    settle(running, kept)
    look(running, kept)
    assert codes(running, kept) == []
    assert not maintaining.is_enabled(running)
    assert maintaining.host(running).maintenance == 'on'
