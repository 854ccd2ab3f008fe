"""Pools whose hosts differ in version: the plan is what is then done."""

import pytest

from aggregates_ext.compute.maintenance import entering
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import connections
from aggregates_ext.xensim.plan import presets
from tests.functional import maintaining
from tests.functional import service
from tests.functional import test_moving as moving

key = maintaining.key
running = maintaining.running
LTS = presets.PRESETS['xcp-ng-8.3-lts'].software_version
# What differs of hosts when one alone was updated.
NEWER = [
    LTS,
    {'xapi_build': '24.19.3'},
    {'xen': '4.17.5-2'},
    {'platform_version': '3.4.1'},
]


def update(
    running: service.Service, name: str, version: dict[str, str]
) -> None:
    """Let a host be of another version than XCP-ng 8.3."""
    first = presets.PRESETS['xcp-ng-8.3'].software_version
    running.sim.set_host(name, software_version={**first, **version})


@pytest.fixture
def mixed(running: service.Service, key: int) -> int:
    """All hosts are of XCP-ng 8.3."""
    for name in ('xen1', 'xen2', 'xen3'):
        update(running, name, {})
    return key


def check(running: service.Service, key: int) -> preflight.Report:
    """What forbids to empty xen2, and where its guests would go."""
    hosts = [running.hosts.get(name) for name in ('xen1', 'xen2', 'xen3')]
    return entering.check_host(
        connections.Connector(running.conf),
        hosts[1],
        hosts,
        running.aggregates.get(key),
        (),
        hard=False,
    )


@pytest.mark.parametrize('newer', NEWER)
def test_the_newest_host_is_refused_before_it_is_disabled(
    running: service.Service, mixed: int, newer: dict[str, str]
) -> None:
    update(running, 'xen2', newer)
    report = check(running, mixed)
    assert [p.code for p in report.blockers] == ['NO_TARGET']
    differ = next(p for p in report.warnings if p.code == 'VERSIONS_DIFFER')
    assert 'xen1' in differ.found
    running.maintenance.enter(running.ctx, 'xen2')
    ended = maintaining.finish(running, mixed)
    assert (ended.error or {})['code'] == 'NO_TARGET', ended.error
    assert (
        'xen1, xen3: NOT_SUPPORTED_DURING_UPGRADE'
        in (ended.error or {})['message']
    )
    assert running.arrivals('host.disable') == []
    assert running.arrivals(moving.SENT) == []


@pytest.mark.parametrize('newer', NEWER)
def test_guests_come_home_when_that_is_updated_too(
    running: service.Service, mixed: int, newer: dict[str, str]
) -> None:
    for name in ('xen1', 'xen3'):
        update(running, name, newer)
    assert check(running, mixed).blockers == ()
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, mixed).state == 'succeeded'
    assert ['xen2'] not in maintaining.places(running)
    update(running, 'xen2', newer)
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, mixed).state == 'succeeded'
    assert maintaining.places(running) == [['xen2']] * 3


@pytest.mark.parametrize('newer', NEWER)
def test_a_single_guest_goes_by_the_same_rule(
    running: service.Service, mixed: int, newer: dict[str, str]
) -> None:
    update(running, 'xen2', newer)
    running.watch(mixed, 61)
    (ended,) = moving.finish(running, mixed, moving.ask(running, 'g0', 'xen1'))
    version = newer.get('xapi_build') or next(iter(newer.values()))
    assert (ended.error or {})['code'] == 'NO_TARGET'
    message = (ended.error or {})['message']
    assert 'xen1: it is of an older version (' in message
    assert f' against {version}' in message
