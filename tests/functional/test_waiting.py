"""What a pool shows of its hosts to whoever plans their maintenance.

How many guests each has, and what its updates still ask for.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.rules import updating
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import pools
from tests.functional import liar
from tests.functional import service
from tests.functional import test_servers

NAMES = ('xen1', 'xen2', 'xen3')
NOTHING = ([], False)
UNKNOWN = (None, None)
REBOOT = 'reboot_host'


@pytest.fixture
def running(make_service: Callable[..., service.Service]) -> service.Service:
    return make_service({'hosts': [{'name': name} for name in NAMES]})


@pytest.fixture
def key(running: service.Service) -> int:
    return running.create(*NAMES)


def shown(running: service.Service, key: int, name: str) -> dict[str, Any]:
    """A host as the API shows it."""
    pool = test_servers.Api(running)(f'os-aggregates/{key}/pool')['pool']
    found: dict[str, Any] = next(
        host for host in pool['hosts'] if host['name'] == name
    )
    return found


def asks(running: service.Service, key: int, name: str) -> tuple[Any, Any]:
    """What is shown of its updates."""
    host = shown(running, key, name)
    return host['pending_guidances'], host['needs_reboot']


def needed(running: service.Service, key: int) -> list[str]:
    """The hosts that a restart of all would take with only_if_needed."""
    told = planning.look(
        connections.Connector(running.conf),
        running.hosts.get_all(),
        running.aggregates.get(key),
        {'only_if_needed': True},
    )
    return [host['host'] for host in told['hosts']]


def observed(running: service.Service, key: int) -> dict[str, Any]:
    found = running.aggregates.get(key).observation
    assert found is not None
    return found


def test_guests_are_those_of_the_hypervisor(
    running: service.Service, key: int
) -> None:
    for number in range(2):
        running.sim.add_vm('xen2', f'guest{number}')
    running.sim.add_vm('xen1', 'off', power_state='Halted')
    running.watch(key, 0)
    counted = [shown(running, key, name)['guests'] for name in NAMES]
    assert counted == [0, 2, 0]
    api = test_servers.Api(running)
    assert counted == [
        host['running_vms']
        for host in api('os-hypervisors/detail')['hypervisors']
    ]


def test_guests_that_were_not_seen_yet_are_not_none(
    running: service.Service,
) -> None:
    running.sim.plant('event.from', action='fail', times=0)
    key = running.create('xen1')
    assert observed(running, key)['hosts'][0]['live']
    assert shown(running, key, 'xen1')['guests'] is None


@pytest.mark.parametrize(
    ('told', 'expected'),
    [
        ({'pending_guidances': [REBOOT]}, ([REBOOT], True)),
        (
            {
                'pending_guidances': ['restart_toolstack'],
                'pending_guidances_recommended': ['reboot_host_on_failure'],
                'pending_guidances_full': ['restart_toolstack', 'other'],
            },
            (['restart_toolstack', 'reboot_host_on_failure', 'other'], True),
        ),
        (
            {'pending_guidances_full': ['restart_toolstack']},
            (['restart_toolstack'], False),
        ),
        ({'updates_requiring_reboot': ['OpaqueRef:u']}, ([], True)),
        (
            {
                'other_config': {
                    'boot_time': '1000.5',
                    'rpm_patch_installation_time': '1001',
                }
            },
            ([], True),
        ),
    ],
)
def test_what_updates_ask_for_is_shown(
    running: service.Service,
    key: int,
    told: dict[str, Any],
    expected: tuple[list[str], bool],
) -> None:
    """And judged as by the restart of all hosts that leaves some out."""
    assert asks(running, key, 'xen3') == NOTHING
    running.sim.set_host('xen3', **told)
    running.watch(key, 0)
    assert asks(running, key, 'xen3') == expected
    assert asks(running, key, 'xen2') == NOTHING
    assert needed(running, key) == (['xen3'] if expected[1] else [])
    assert running.aggregates.get(key).drift == ()


def test_it_is_gone_when_it_is_done(
    running: service.Service, key: int
) -> None:
    running.sim.set_host('xen2', pending_guidances=[REBOOT])
    running.watch(key, 0)
    assert asks(running, key, 'xen2') == ([REBOOT], True)
    running.sim.set_host('xen2', pending_guidances=[])
    running.watch(key, 0)
    assert asks(running, key, 'xen2') == NOTHING


def test_it_costs_no_call_and_no_room_for_hosts_that_wait_for_nothing(
    running: service.Service, key: int
) -> None:
    def calls() -> list[str]:
        before = len(running.sim.calls)
        running.watch(key, 0)
        return sorted(call.method for call in running.sim.calls[before:])

    usual = calls()
    assert observed(running, key)['waiting'] == {}
    running.sim.set_host('xen2', pending_guidances=[REBOOT])
    assert calls() == usual
    assert usual.count('host.get_all_records') == 1
    assert [*observed(running, key)['waiting']] == [
        running.sim.host('xen2').uuid
    ]


def test_what_was_seen_last_stays(running: service.Service, key: int) -> None:
    running.sim.add_vm('xen2', 'guest')
    running.sim.set_host('xen2', pending_guidances=[REBOOT])
    running.watch(key, 0)
    running.sim.power_off('xen1')
    running.watch(key, 0)
    host = shown(running, key, 'xen2')
    assert host['live'] is None
    assert host['guests'] == 1
    assert asks(running, key, 'xen2') == ([REBOOT], True)


def test_what_an_older_release_has_seen_is_shown(
    running: service.Service, key: int
) -> None:
    seen = observed(running, key)
    del seen['waiting'], seen['guests']
    with running.database.writer() as connection:
        pools.set_seen(connection, key, seen)
    assert asks(running, key, 'xen2') == UNKNOWN
    assert shown(running, key, 'xen2')['guests'] is None
    running.watch(key, 0)
    assert asks(running, key, 'xen2') == NOTHING
    assert shown(running, key, 'xen2')['guests'] == 0


def test_an_odd_value_is_not_known_and_spoils_nothing(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lies = liar.Liars(monkeypatch)
    running.sim.set_host('xen3', pending_guidances=[REBOOT])
    odd = [running.sim.host('xen2').uuid]
    names = (*updating.GUIDANCE, 'updates_requiring_reboot')
    for lie in liar.all_lies('host'):
        if lie.field not in names:
            continue
        lies.lies['xen1'] = lie, odd
        running.watch(key, 0)
        guidances, reboot = asks(running, key, 'xen2')
        judged = lie.field not in updating.GUIDANCE
        assert guidances == ([] if judged else None), lie
        assert reboot is None, lie
        assert asks(running, key, 'xen3') == ([REBOOT], True), lie
        assert running.aggregates.get(key).drift == (), lie
    lies.lies['xen1'] = liar.Lie('host', 'other_config', None), odd
    running.watch(key, 0)
    assert asks(running, key, 'xen2') == ([], None)


def test_what_a_host_says_is_cleaned_and_bounded(
    running: service.Service, key: int
) -> None:
    words = [f'\x00\x1b{number}{"x" * 60_000}' for number in range(300)]
    running.sim.set_host('xen2', pending_guidances=['', *words, REBOOT])
    running.watch(key, 0)
    guidances, reboot = asks(running, key, 'xen2')
    assert reboot is True
    assert len(guidances) == rolls.GUIDANCES_KEPT
    assert all(0 < len(one) <= rolls.GUIDANCE_CUT for one in guidances)
    assert all(one.isprintable() for one in guidances)
    assert len(json.dumps(observed(running, key)['waiting'])) < 2000
