"""Disabled hosts that are enabled: by a start, or by a hand; and adoption."""

from collections.abc import Callable

import pytest
from oslo_config import cfg

from aggregates_ext import exception
from aggregates_ext.db import records
from tests.functional import byhand
from tests.functional import service
from tests.functional import test_enabling as enabling

# Long enough for a toolstack to start, and to report.
START = 120.0


@pytest.fixture
def key(running: service.Service) -> int:
    """The pool of xen1, which leads it, and xen2; xen3 is free."""
    return running.create('xen1', 'xen2')


def kinds(running: service.Service, key: int) -> list[str]:
    """All operations of an aggregate, the newest first."""
    return [o.kind for o in running.operations.get_all(key)]


def codes(running: service.Service, key: int) -> list[str]:
    """The codes of the drift of a pool."""
    return [entry.code for entry in running.aggregates.get(key).drift]


def look(running: service.Service, key: int, seconds: float = START) -> None:
    """Let time pass, look at the pool, and do what follows from that."""
    running.watch(key, seconds)
    running.work()


def test_start_of_a_host_is_made_undone_once(
    running: service.Service, key: int
) -> None:
    enabling.ask(running, 'xen2', reason='fans')
    running.sim.restart_toolstack('xen2')
    running.clock.advance(START)
    assert enabling.seen(running, 'xen2')
    look(running, key)
    assert not enabling.seen(running, 'xen2')
    assert kinds(running, key)[:2] == ['disable_host', 'disable_host']
    again = running.operation(key)
    assert again.parameters['again']
    assert again.user_id is None
    host = running.hosts.get('xen2')
    assert host.disabled_reason == 'fans'
    assert codes(running, key) == []
    assert running.state(key) == 'active'
    look(running, key)
    assert len(kinds(running, key)) == 4
    # Whoever enables it after that has meant it.
    enabling.enable_by_hand(running, 'xen2')
    look(running, key)
    assert enabling.seen(running, 'xen2')
    assert codes(running, key) == ['HOST_ENABLED']


def test_start_of_the_master_is_made_undone(
    running: service.Service, key: int
) -> None:
    for host in ('xen1', 'xen2'):
        enabling.ask(running, host)
    running.sim.restart_toolstack('xen1')
    running.clock.advance(START)
    for _ in range(2):
        look(running, key)
    assert not enabling.seen(running, 'xen1')
    assert not enabling.seen(running, 'xen2')
    assert codes(running, key) == []


def test_host_that_stays_disabled_over_a_start_needs_nothing(
    make_service: Callable[..., service.Service],
) -> None:
    running = enabling.newest(make_service)
    key = running.operations.aggregate_of('xen2') or 1
    enabling.ask(running, 'xen2')
    running.sim.restart_toolstack('xen2')
    before = kinds(running, key)
    look(running, key)
    look(running, key)
    assert kinds(running, key) == before
    assert not enabling.seen(running, 'xen2')
    # A hand is told from that start.
    enabling.enable_by_hand(running, 'xen2')
    look(running, key)
    assert codes(running, key) == ['HOST_ENABLED']


def test_hand_is_told_and_not_corrected(
    running: service.Service, key: int
) -> None:
    enabling.ask(running, 'xen2')
    enabling.enable_by_hand(running, 'xen2')
    look(running, key)
    assert enabling.seen(running, 'xen2')
    (entry,) = running.aggregates.get(key).drift
    assert (entry.code, entry.host) == ('HOST_ENABLED', 'xen2')
    assert '"reapply" disables it again' in entry.message
    assert running.state(key) == 'error'


def test_reapply_disables_it_again(running: service.Service, key: int) -> None:
    enabling.ask(running, 'xen2', reason='fans')
    enabling.enable_by_hand(running, 'xen2')
    look(running, key)
    running.pools.reapply(running.ctx, key)
    running.work()
    assert not enabling.seen(running, 'xen2')
    assert codes(running, key) == []
    assert running.state(key) == 'active'
    assert running.hosts.get('xen2').disabled_reason == 'fans'


def test_adopt_leaves_it_enabled(running: service.Service, key: int) -> None:
    enabling.ask(running, 'xen2')
    enabling.enable_by_hand(running, 'xen2')
    look(running, key)
    running.pools.adopt(running.ctx, key)
    running.work()
    assert enabling.seen(running, 'xen2')
    assert not running.hosts.get('xen2').disabled
    assert codes(running, key) == []
    result = running.operation(key).parameters['result']
    assert 'Host xen2 is to be enabled, as it is.' in result


def test_request_ends_it_too(running: service.Service, key: int) -> None:
    enabling.ask(running, 'xen2')
    enabling.enable_by_hand(running, 'xen2')
    look(running, key)
    assert enabling.ask(running, 'xen2') == 'succeeded'
    assert not enabling.seen(running, 'xen2')
    assert codes(running, key) == []


def test_request_that_comes_meanwhile_is_not_undone(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a look began with is not what is written at its end."""
    enabling.ask(running, 'xen2')
    running.sim.restart_toolstack('xen2')
    running.clock.advance(START)
    view = service.xenapi.Session.records

    def enable_meanwhile(
        self: service.xenapi.Session, class_: str
    ) -> dict[str, dict[str, object]]:
        monkeypatch.undo()
        running.enabling.set_service(running.ctx, 'xen2', records.ENABLED)
        return view(self, class_)

    monkeypatch.setattr(service.xenapi.Session, 'records', enable_meanwhile)
    look(running, key)
    assert kinds(running, key)[:2] == ['enable_host', 'disable_host']
    assert enabling.seen(running, 'xen2')


def test_refusal_after_a_start_is_told(
    running: service.Service, key: int
) -> None:
    """Once for each start; then it is drift."""
    enabling.ask(running, 'xen2')
    running.sim.restart_toolstack('xen2')
    running.sim.plant(
        'host.disable',
        code='HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN',
        action='fail',
    )
    look(running, key)
    look(running, key)
    assert running.operation(key).state == 'failed'
    assert running.hosts.get('xen2').disabled
    assert codes(running, key) == ['HOST_ENABLED']
    assert len(kinds(running, key)) == 4


def test_host_that_somebody_disabled_is_no_drift(
    running: service.Service, key: int
) -> None:
    enabling.disable_by_hand(running, 'xen2')
    look(running, key)
    assert codes(running, key) == []
    assert not running.hosts.get('xen2').disabled
    assert not enabling.seen(running, 'xen2')


def test_adopted_pool_keeps_who_is_disabled(running: service.Service) -> None:
    byhand.join(running, 'xen2', 'xen1')
    enabling.disable_by_hand(running, 'xen2')
    running.pools.adopt_pool(running.ctx, 'found', 'xen1')
    running.work()
    (key,) = [a.id for a in running.aggregates.get_all(name='found')]
    assert running.operation(key).state == 'succeeded'
    assert running.hosts.get('xen2').disabled
    assert not running.hosts.get('xen1').disabled
    assert not enabling.seen(running, 'xen2')
    assert codes(running, key) == []


def test_adoption_while_a_toolstack_starts_takes_nobody_for_disabled(
    running: service.Service,
) -> None:
    """All hosts are disabled then (xapi#restarts)."""
    byhand.join(running, 'xen2', 'xen1')
    running.sim.set_host('xen2', enabled=False)

    def enable() -> None:
        if not enabling.seen(running, 'xen2'):
            running.sim.set_host('xen2', enabled=True)

    running.meanwhile.append(enable)
    running.pools.adopt_pool(running.ctx, 'found', 'xen1')
    running.work()
    (key,) = [a.id for a in running.aggregates.get_all(name='found')]
    assert running.operation(key).state == 'succeeded'
    assert not running.hosts.get('xen2').disabled


@pytest.fixture
def seldom(conf: cfg.ConfigOpts) -> None:
    """Looks are seldom, so that long waits take few of them."""
    conf.set_override('watch_interval', 4.0, 'compute')


def test_master_is_no_host_that_is_to_be_disabled(
    running: service.Service, seldom: None
) -> None:
    """Even where somebody has enabled it."""
    key = running.create('xen1', 'xen2', 'xen3')
    enabling.ask(running, 'xen2')
    enabling.enable_by_hand(running, 'xen2')
    running.pools.set_master(running.ctx, key, 'xen2')
    running.work()
    assert running.operation(key).state == 'failed'
    assert running.error(key)['code'] == 'HOST_DISABLED'
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    assert running.pool_of('xen2')['master'] == 'xen3'


def test_host_that_joins_again_is_enabled(
    running: service.Service, key: int
) -> None:
    enabling.ask(running, 'xen2', reason='fans')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    running.watch(key, byhand.WHILE)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.operation(key).state == 'succeeded'
    assert enabling.seen(running, 'xen2')
    assert not running.hosts.get('xen2').disabled


def test_free_host_has_no_such_intent(
    running: service.Service, key: int
) -> None:
    enabling.ask(running, 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    with pytest.raises(exception.HostNotInPool):
        running.enabling.set_service(running.ctx, 'xen2', records.DISABLED)
