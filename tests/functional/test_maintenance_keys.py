"""XenCenter's keys: there while a host is in maintenance here, and no longer.

design#maintenance-keys
"""

import contextlib
from typing import Any

import pytest

from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.operations import keys
from tests.functional import liar
from tests.functional import maintaining
from tests.functional import service
from tests.functional import test_enabling as enabling
from tests.functional import test_maintained
from tests.functional import test_servers as servers

MODE, MOVED = rolls.MODE, rolls.MOVED
ADD, REMOVE = keys.ADD, keys.REMOVE
ENABLE = 'host.enable'
DENIED = 'RBAC_PERMISSION_DENIED'
GIB = 1 << 30
key = maintaining.key
running = maintaining.running
settle = test_maintained.settle
look = test_maintained.look


def found(running: service.Service, master: str = 'xen1') -> dict[str, str]:
    """The keys of xen2, as the master of its pool has them."""
    with contextlib.closing(running.login(master)) as session:
        hosts = session.records('host').values()
    host = next(host for host in hosts if host['name_label'] == 'xen2')
    config = host['other_config']
    return {name: config[name] for name in (MODE, MOVED) if name in config}


def put(running: service.Service, **values: str) -> None:
    """Let somebody else write keys."""
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.call('host.get_by_uuid', running.sim.host('xen2').uuid)
        for name, value in values.items():
            session.call(ADD, ref, name, value)


def shown(running: service.Service, key: int) -> tuple[Any, Any]:
    """How the pool of an aggregate shows xen2, after a look."""
    running.watch(key, 0)
    pool = servers.Api(running)(f'os-aggregates/{key}/pool')['pool']
    host = next(host for host in pool['hosts'] if host['name'] == 'xen2')
    return host['maintenance'], host['xencenter_maintenance']


def remove(running: service.Service, *names: str) -> None:
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.call('host.get_by_uuid', running.sim.host('xen2').uuid)
        for name in names:
            session.call(REMOVE, ref, name)


def guests(running: service.Service) -> str:
    """The guests that run, as the key lists them."""
    with contextlib.closing(running.login('xen1')) as session:
        records = session.records('VM').values()
    return ','.join(
        sorted(
            vm['uuid'] for vm in records if vm['name_label'].startswith('g')
        )
    )


def sent(running: service.Service, since: int = 0) -> list[str]:
    """What came about the keys and about the host, in order."""
    calls = [call.method for call in running.sim.calls[since:]]
    return [c for c in calls if c in (ADD, REMOVE, ENABLE, 'host.disable')]


def enter(running: service.Service, key: int, **more: Any) -> Any:
    running.maintenance.enter(running.ctx, 'xen2', **more)
    return maintaining.finish(running, key)


def leave(running: service.Service, key: int, **more: Any) -> Any:
    running.maintenance.leave(running.ctx, 'xen2', **more)
    return maintaining.finish(running, key)


def test_they_are_there_while_it_is_in_maintenance(
    running: service.Service, key: int
) -> None:
    """Two calls at either end; gone before a XenCenter could disable it."""
    seen = []
    running.maintenance.enter(running.ctx, 'xen2')
    while maintaining.host(running).maintenance != 'on':
        seen.append(found(running))
        maintaining.go_on(running, key)
    # Not before it is empty.
    assert not any(seen)
    assert found(running) == {MODE: 'true', MOVED: guests(running)}
    assert running.operation(key).error is None
    assert sent(running) == ['host.disable', ADD, ADD]
    assert shown(running, key) == ('on', True)
    before = len(running.sim.calls)
    assert leave(running, key).error is None
    assert found(running) == {}
    assert sent(running, before) == [REMOVE, REMOVE, ENABLE]


def test_undoing_removes_them_before_it_enables(
    running: service.Service, key: int
) -> None:
    """Those of another tool too, which would disable the host again."""
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key)
    put(running, **{MODE: 'true', MOVED: 'odd'})
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    before = len(running.sim.calls)
    assert maintaining.finish(running, key).state == 'failed'
    assert found(running) == {}
    assert sent(running, before) == [REMOVE, REMOVE, ENABLE]


def test_to_stay_disabled_is_not_to_be_in_maintenance(
    running: service.Service, key: int
) -> None:
    running.maintenance.enter(running.ctx, 'xen2', stay_on_failure=True)
    maintaining.go_on(running, key)
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    assert maintaining.finish(running, key).state == 'failed'
    assert found(running) == {}
    assert sent(running) == ['host.disable']


def test_maintenance_of_another_tool_is_shown_and_no_drift(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(running, key) == ('off', False)
    put(running, **{MODE: 'true'})
    assert shown(running, key) == ('off', True)
    assert running.aggregates.get(key).drift == ()
    remove(running, MODE)
    put(running, **{MODE: 'odd'})
    assert shown(running, key) == ('off', False)
    lies = liar.Liars(monkeypatch).lies
    lies['xen1'] = liar.Lie('host', 'other_config', 5), None
    assert shown(running, key) == ('off', None)


def test_enabling_removes_them(running: service.Service, key: int) -> None:
    enabling.disable_by_hand(running, 'xen2')
    put(running, **{MODE: 'true'})
    before = len(running.sim.calls)
    assert enabling.ask(running, 'xen2', 'enabled') == 'succeeded'
    assert found(running) == {}
    assert sent(running, before) == [REMOVE, ENABLE]


def test_option_keeps_them_from_being_written(
    running: service.Service, key: int
) -> None:
    running.conf.set_override('xencenter_keys', False, 'compute')
    assert enter(running, key).state == 'succeeded'
    assert found(running) == {}
    # What is there is removed all the same.
    put(running, **{MODE: 'true'})
    assert leave(running, key).state == 'succeeded'
    assert found(running) == {}


def test_refusals_stop_nothing_and_are_told(
    running: service.Service, key: int
) -> None:
    running.sim.plant(ADD, code=DENIED, action='fail', times=0)
    ended = enter(running, key)
    assert ended.state == 'succeeded'
    assert ended.error is not None
    assert (ended.error['code'], ended.error['parameters']) == (
        keys.CODE,
        [MODE, MOVED],
    )
    assert 'could not be written' in ended.error['message']
    assert DENIED in ended.error['message']
    assert maintaining.host(running).maintenance == 'on'
    assert sent(running) == ['host.disable', ADD]
    running.sim.clear_faults()
    put(running, **{MODE: 'true'})
    running.sim.plant(REMOVE, code=DENIED, action='fail', times=0)
    ended = leave(running, key)
    assert ended.state == 'succeeded'
    assert 'could not be removed' in (ended.error or {})['message']
    assert maintaining.is_enabled(running)
    assert maintaining.places(running) == [['xen2']] * 3
    assert running.state(key) == 'active'


def test_refusal_in_an_undoing_is_told(
    running: service.Service, key: int
) -> None:
    put(running, **{MODE: 'true'})
    running.maintenance.enter(running.ctx, 'xen2')
    maintaining.go_on(running, key)
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    running.sim.plant(REMOVE, code=DENIED, action='fail', times=0)
    ended = maintaining.finish(running, key)
    assert 'could not be removed' in (ended.error or {})['message']
    assert maintaining.is_enabled(running)


@pytest.mark.parametrize('action', ['drop_answer', 'reset'])
@pytest.mark.parametrize('nth', [1, 2])
def test_what_was_cut_short_is_gone_on_with(
    running: service.Service, key: int, action: str, nth: int
) -> None:
    """By another service, which writes what is missing and nothing twice."""
    running.sim.plant(ADD, action=action, nth=nth)
    running.sim.plant(REMOVE, action=action, nth=nth)
    running.maintenance.enter(running.ctx, 'xen2')
    lives(running, key, 'on')
    assert found(running) == {MODE: 'true', MOVED: guests(running)}
    more = action == 'reset'
    assert sent(running).count(ADD) == 2 + more
    running.maintenance.leave(running.ctx, 'xen2')
    lives(running, key, None)
    assert found(running) == {}
    assert sent(running)[-3 - more :] == [*[REMOVE] * (2 + more), ENABLE]
    assert maintaining.is_enabled(running)


def lives(running: service.Service, key: int, ends: str | None) -> None:
    """Let each step be another service's, until the host is so."""
    for _ in range(60):
        running.manager = running.new_manager()
        maintaining.go_on(running, key)
        if running.operation(key).finished_at is not None:
            break
    assert maintaining.host(running).maintenance == ends


def test_what_another_tool_has_written_does_no_harm(
    running: service.Service, key: int
) -> None:
    """Its guests stay in the list; the key itself is not written again."""
    other = running.sim.host('xen3').uuid
    put(running, **{MODE: 'true', MOVED: f'{other},,nobody'})
    assert enter(running, key).error is None
    listed = found(running)[MOVED].split(',')
    assert listed == sorted([other, *guests(running).split(',')])
    assert sent(running)[-2:] == [REMOVE, ADD]
    leave(running, key)
    assert found(running) == {}


def test_to_enter_again_lists_all_that_went(
    running: service.Service, key: int
) -> None:
    enter(running, key)
    running.sim.add_vm('xen2', 'g9', memory=GIB)
    look(running, key)
    assert enter(running, key).state == 'succeeded'
    assert found(running) == {MODE: 'true', MOVED: guests(running)}


def test_host_that_cannot_be_enabled_keeps_them(
    running: service.Service, key: int
) -> None:
    enter(running, key)
    running.sim.set_host('xen2', pending_guidances=['reboot_host'])
    assert leave(running, key).state == 'failed'
    assert maintaining.host(running).maintenance == 'on'
    assert found(running) == {MODE: 'true', MOVED: guests(running)}


def test_hand_that_ends_a_maintenance_is_told_from_another(
    running: service.Service, key: int
) -> None:
    enter(running, key)
    enabling.enable_by_hand(running, 'xen2')
    look(running, key, 60.0)
    [entry] = running.aggregates.get(key).drift
    assert MODE not in entry.message
    # So does "xe host-enable".
    remove(running, MODE)
    look(running, key, 60.0)
    [entry] = running.aggregates.get(key).drift
    assert entry.code == 'HOST_ENABLED'
    assert f'Its {MODE} is gone too' in entry.message
    running.pools.reapply(running.ctx, key)
    settle(running, key)
    assert found(running) == {MODE: 'true', MOVED: guests(running)}


def test_host_that_is_only_disabled_has_none(
    running: service.Service, key: int
) -> None:
    assert enabling.ask(running, 'xen2') == 'succeeded'
    assert found(running) == {}
    enabling.enable_by_hand(running, 'xen2')
    look(running, key, 60.0)
    [entry] = running.aggregates.get(key).drift
    assert MODE not in entry.message


def test_last_host_loses_them_with_the_mark(running: service.Service) -> None:
    """They would go along when it joins another pool."""
    key = running.create('xen2', 'xen1')
    assert enter(running, key).state == 'succeeded'
    assert found(running, master='xen2') == {MODE: 'true'}
    for host in ('xen1', 'xen2'):
        running.members.remove_host(running.ctx, key, host)
        assert maintaining.finish(running, key).state == 'succeeded'
    assert found(running, master='xen2') == {}


def test_what_cannot_be_read_stops_nothing(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(running, **{MODE: 'true'})
    lies = liar.Liars(monkeypatch).lies
    lies['xen1'] = liar.Lie('host', 'other_config', 5), None
    assert enter(running, key).error is None
    assert leave(running, key).state == 'succeeded'
    assert maintaining.is_enabled(running)
