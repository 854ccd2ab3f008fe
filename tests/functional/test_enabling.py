"""Hosts that take machines or none: wanted, made so once, proven."""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.db import records
from aggregates_ext.domain import intent
from aggregates_ext.domain.maintenance import enabling
from tests.functional import byhand
from tests.functional import service

DISABLE = 'host.disable'
ENABLE = 'host.enable'


def ask(
    running: service.Service,
    host: str,
    wanted: str = records.DISABLED,
    reason: str | None = None,
) -> str:
    """Ask for a host to be enabled or disabled; how that ended."""
    found = running.enabling.set_service(running.ctx, host, wanted, reason)
    running.work()
    assert found is not None
    return running.operations.get(found).state


def seen(running: service.Service, host: str) -> bool:
    """Whether a simulated host is enabled in its pool."""
    for member in running.pool_of(host)['hosts']:
        if member['name'] == host:
            return bool(member['enabled'])
    raise LookupError(host)


def enable_by_hand(running: service.Service, host: str) -> None:
    _call_by_hand(running, ENABLE, host)


def disable_by_hand(running: service.Service, host: str) -> None:
    _call_by_hand(running, DISABLE, host)


def _call_by_hand(running: service.Service, method: str, host: str) -> None:
    session = running.login(running.pool_of(host)['master'])
    ref = session.call('host.get_by_uuid', running.sim.host(host).uuid)
    session.call(method, ref)
    session.close()


def pass_time(running: service.Service, seconds: float) -> None:
    """Let time pass by the clock of the database, and what rests go on."""
    running.clock.advance(seconds)
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            'UPDATE operations SET not_before = NULL, '  # noqa: S608
            f'begun = begun - {seconds} WHERE settled = false'
        )
    running.work()


@pytest.fixture
def key(running: service.Service) -> int:
    """The pool of xen1, which leads it, and xen2; xen3 is free."""
    return running.create('xen1', 'xen2')


def waiting(running: service.Service) -> enabling.Enabling:
    """One that waits for the end of what was asked."""

    def work(_seconds: float) -> None:
        running.work(1)

    return enabling.Enabling(
        intent.Intent(running.database, service.Silence(), 10, work)
    )


def test_host_is_disabled_and_enabled(
    running: service.Service, key: int
) -> None:
    assert ask(running, 'xen2', reason='new fans') == 'succeeded'
    assert not seen(running, 'xen2')
    host = running.hosts.get('xen2')
    assert host.disabled
    assert host.disabled_reason == 'new fans'
    assert host.disabled_start is not None
    assert running.state(key) == 'active'
    assert running.aggregates.get(key).drift == ()
    assert ask(running, 'xen2', records.ENABLED) == 'succeeded'
    assert seen(running, 'xen2')
    host = running.hosts.get('xen2')
    assert not host.disabled
    assert host.disabled_start is None
    assert len(running.arrivals(DISABLE)) == len(running.arrivals(ENABLE)) == 1


def test_master_can_be_disabled_and_stays_the_master(
    running: service.Service, key: int
) -> None:
    assert ask(running, 'xen1') == 'succeeded'
    assert not seen(running, 'xen1')
    assert running.pool_of('xen1')['master'] == 'xen1'


def test_repeats_change_nothing(running: service.Service, key: int) -> None:
    ask(running, 'xen2', reason='a')
    assert ask(running, 'xen2', reason='b') == 'succeeded'
    assert running.hosts.get('xen2').disabled_reason == 'b'
    assert len(running.arrivals(DISABLE)) == 1
    assert running.arrivals(ENABLE) == []
    ask(running, 'xen2', records.ENABLED)
    assert ask(running, 'xen2', records.ENABLED) == 'succeeded'
    assert len(running.arrivals(ENABLE)) == 1


def test_repeat_of_what_is_queued_is_the_same_operation(
    running: service.Service, key: int
) -> None:
    first, second = (
        running.enabling.set_service(running.ctx, 'xen2', records.DISABLED, r)
        for r in ('a', 'b')
    )
    assert first == second
    assert running.hosts.get('xen2').disabled_reason == 'b'


def newest(
    make_service: Callable[..., service.Service], **versions: str
) -> service.Service:
    """A pool of xen1 and xen2 whose hosts know ``auto_enable``."""
    hosts = [
        {'name': name, 'version': versions.get(name, 'xapi-26')}
        for name in ('xen1', 'xen2')
    ]
    made = make_service({'hosts': hosts})
    made.create('xen1', 'xen2')
    return made


def test_host_stays_disabled_over_its_starts_where_it_can(
    make_service: Callable[..., service.Service],
) -> None:
    running = newest(make_service)
    ask(running, 'xen2')
    running.sim.restart_toolstack('xen2')
    running.clock.advance(120)
    assert not seen(running, 'xen2')
    ask(running, 'xen2', records.ENABLED)
    running.sim.restart_toolstack('xen2')
    running.clock.advance(120)
    assert seen(running, 'xen2')


def test_older_release_is_not_asked_for_what_it_would_ignore(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    call = service.xenapi.Session.call

    def listen(
        self: service.xenapi.Session, method: str, *params: object
    ) -> Any:
        sent.append((method, len(params)))
        return call(self, method, *params)

    monkeypatch.setattr(service.xenapi.Session, 'call', listen)
    ask(running, 'xen2')
    assert (DISABLE, 1) in sent


def test_host_that_somebody_else_disabled_is_enabled_first(
    make_service: Callable[..., service.Service],
) -> None:
    """Else it would not stay disabled (xapi#maintenance-calls)."""
    running = newest(make_service)
    disable_by_hand(running, 'xen2')
    assert ask(running, 'xen2') == 'succeeded'
    assert len(running.arrivals(ENABLE)) == 1
    running.sim.restart_toolstack('xen2')
    running.clock.advance(120)
    assert not seen(running, 'xen2')


def test_disabled_host_is_left_so_where_it_could_not_be_disabled_again(
    running: service.Service, key: int
) -> None:
    disable_by_hand(running, 'xen2')
    running.sim.set_pool('xen1', ha_enabled=True)
    assert ask(running, 'xen2') == 'succeeded'
    assert running.arrivals(ENABLE) == []
    assert not seen(running, 'xen2')


def test_refusal_is_told_and_taken_back(
    running: service.Service, key: int
) -> None:
    running.sim.plant(
        DISABLE, code='HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN', action='fail'
    )
    with pytest.raises(exception.Conflict, match='lower the number') as told:
        waiting(running).set_service(running.ctx, 'xen2', records.DISABLED)
    assert 'Host xen2 is not disabled' in str(told.value)
    assert not running.hosts.get('xen2').disabled
    assert seen(running, 'xen2')
    # Whoever asked knows it.
    assert running.state(key) == 'active'


def test_refusal_of_an_enable_leaves_it_disabled(
    running: service.Service, key: int
) -> None:
    ask(running, 'xen2', reason='why')
    running.sim.set_host('xen2', pending_guidances=['reboot_host'])
    with pytest.raises(exception.Conflict, match='still needs a restart'):
        waiting(running).set_service(running.ctx, 'xen2', records.ENABLED)
    host = running.hosts.get('xen2')
    assert host.disabled
    assert host.disabled_reason == 'why'
    assert not seen(running, 'xen2')
    # Another attempt keeps the reason too.
    assert ask(running, 'xen2', records.ENABLED) == 'failed'
    running.retries.retry(running.ctx, key, running.operation(key).uuid)
    running.sim.set_host('xen2', pending_guidances=[])
    running.work()
    assert running.operation(key).state == 'succeeded'
    assert seen(running, 'xen2')
    assert running.state(key) == 'active'


def test_starting_host_is_waited_for(
    running: service.Service, key: int
) -> None:
    ask(running, 'xen2')
    running.sim.plant(ENABLE, code='HOST_STILL_BOOTING', action='fail')
    running.enabling.set_service(running.ctx, 'xen2', records.ENABLED)
    running.work()
    pass_time(running, 10)
    assert running.operation(key).state == 'succeeded'
    assert seen(running, 'xen2')
    assert len(running.arrivals(ENABLE)) == 2


def test_host_that_goes_down_is_enabled_when_it_is_back(
    running: service.Service, key: int
) -> None:
    ask(running, 'xen2')
    _call_by_hand(running, 'host.reboot', 'xen2')
    running.enabling.set_service(running.ctx, 'xen2', records.ENABLED)
    running.work()
    assert running.arrivals(ENABLE) == []
    assert running.error(key)['code'] == 'OTHER_OPERATION_IN_PROGRESS'
    pass_time(running, 500)
    assert running.operation(key).state == 'succeeded'
    assert seen(running, 'xen2')


def test_pool_that_cannot_be_asked_leaves_it_pending(
    running: service.Service, key: int
) -> None:
    running.sim.power_off('xen1')
    found = waiting(running).set_service(
        running.ctx, 'xen2', records.DISABLED, 'later'
    )
    assert found is not None
    assert running.operations.get(found).state == 'queued'
    assert running.hosts.get('xen2').disabled
    running.sim.power_on('xen1')
    running.clock.advance(300)
    pass_time(running, 10)
    assert running.operation(key).state == 'succeeded'
    assert not seen(running, 'xen2')


def test_time_that_is_over_takes_it_back(
    running: service.Service, key: int
) -> None:
    running.sim.power_off('xen1')
    ask(running, 'xen2')
    pass_time(running, 601)
    assert running.operation(key).state == 'failed'
    assert running.error(key)['code'] == 'TIMEOUT'
    assert not running.hosts.get('xen2').disabled
    # It was accepted, so nobody was told but here.
    assert running.state(key) == 'error'


def test_later_request_decides(running: service.Service, key: int) -> None:
    running.sim.power_off('xen1')
    for wanted in (records.DISABLED, records.ENABLED):
        ask(running, 'xen2', wanted)
    pass_time(running, 601)
    states = {o.kind: o.state for o in running.operations.get_all(key)}
    assert states['disable_host'] == 'failed'
    assert states['enable_host'] == 'queued'
    assert not running.hosts.get('xen2').disabled


@pytest.mark.parametrize('wanted', [records.DISABLED, records.ENABLED])
def test_host_that_joins_is_refused(
    running: service.Service, key: int, wanted: str
) -> None:
    running.members.add_host(running.ctx, key, 'xen3')
    with pytest.raises(exception.HostNotInPool) as told:
        running.enabling.set_service(running.ctx, 'xen3', wanted)
    assert told.value.passes


def test_free_host_is_enabled_as_it_is(running: service.Service) -> None:
    enabled = running.enabling.set_service(
        running.ctx, 'xen3', records.ENABLED
    )
    assert enabled is None
    with pytest.raises(exception.HostNotInPool, match='Add it to one'):
        running.enabling.set_service(running.ctx, 'xen3', records.DISABLED)


def test_unknown_host_is_not_found(running: service.Service) -> None:
    with pytest.raises(exception.HostNotFound):
        running.enabling.set_service(running.ctx, 'xen9', records.DISABLED)


def test_host_that_left_by_hand_fails(
    running: service.Service, key: int
) -> None:
    byhand.eject(running, 'xen2', 'xen1')
    assert ask(running, 'xen2') == 'failed'
    assert running.error(key)['code'] == 'NOT_IN_POOL'


def test_removal_ends_what_is_queued_and_what_was_wanted(
    running: service.Service, key: int
) -> None:
    ask(running, 'xen2', reason='old')
    running.enabling.set_service(running.ctx, 'xen2', records.ENABLED)
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    states = {o.kind: o.state for o in running.operations.get_all(key)}
    assert states['enable_host'] == 'cancelled'
    assert states['remove_host'] == 'succeeded'
    host = running.hosts.get('xen2')
    assert not host.disabled
    assert host.disabled_start is host.disabled_reason is None


def test_refused_eject_leaves_a_disabled_host_disabled(
    running: service.Service, key: int
) -> None:
    """Also one that somebody had enabled in between."""
    ask(running, 'xen2')
    enable_by_hand(running, 'xen2')
    running.sim.plant('Async.pool.eject', code='HA_IS_ENABLED', action='fail')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    assert running.operation(key).state == 'failed'
    assert running.hosts.get('xen2').disabled
    assert not seen(running, 'xen2')
