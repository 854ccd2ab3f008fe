"""Pools whose hosts differ in version: the plan is what is then done."""

import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.maintenance import entering
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import moves
from aggregates_ext.xensim.plan import presets
from tests.functional import maintaining
from tests.functional import service
from tests.functional import test_moving as moving

key = maintaining.key
LTS = presets.PRESETS['xcp-ng-8.3-lts'].software_version
HOSTS = ('xen1', 'xen2', 'xen3', 'xen4')
# What differs of hosts when one alone was updated.
NEWER = [
    LTS,
    {'xapi_build': '24.19.3'},
    {'xen': '4.17.5-2'},
    {'platform_version': '3.4.1'},
]


@pytest.fixture
def running(make_service: Callable[..., service.Service]) -> service.Service:
    """A service on four hosts, which can do what the newest of them can."""
    described = [{'name': name, 'version': 'xcp-ng-8.3-lts'} for name in HOSTS]
    made = make_service({'hosts': described})
    made.conf.set_override('retry_interval', 0.01, 'compute')
    return made


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
    return entering.check_host(
        connections.Connector(running.conf),
        running.hosts.get('xen2'),
        [host for host in running.hosts.get_all() if host.aggregate_id],
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


def group(running: service.Service, found: dict[str, str]) -> None:
    """Let guests be in groups, by their names."""
    with contextlib.closing(running.login('xen1')) as session:
        for ref, vm in session.records('VM').items():
            if vm['name_label'] in found:
                groups = [found[vm['name_label']]]
                running.sim.set_record('xen1', 'VM', ref, groups=groups)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups to be spread, which no simulated pool has."""
    known = xenapi.Session.records_if_known

    def read(session: xenapi.Session, class_: str) -> dict[str, Any]:
        if class_ != 'VM_group':
            return known(session, class_)
        return {name: {'placement': 'anti_affinity'} for name in 'ab'}

    monkeypatch.setattr(xenapi.Session, 'records_if_known', read)


def test_guests_that_are_to_be_apart_are(
    running: service.Service, mixed: int, groups: None
) -> None:
    """Though one host has more memory than the other by far."""
    running.sim.add_vm('xen3', 'other', memory=32 * maintaining.GIB)
    group(running, {'g0': 'a', 'g1': 'a'})
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, mixed).state == 'succeeded'
    found = maintaining.places(running)
    assert sorted(found[:2]) == [['xen1'], ['xen3']]
    assert found[2] == ['xen1']


def test_what_is_under_way_counts(
    running: service.Service, mixed: int
) -> None:
    """Guests that are sent together are not sent to one host."""
    running.sim.add_vm('xen3', 'other', memory=4 * maintaining.GIB)
    for name in ('big', 'bigger'):
        running.sim.add_vm('xen2', name, memory=8 * maintaining.GIB)
    running.watch(mixed, 61)
    asked = [moving.ask(running, name) for name in ('big', 'bigger')]
    moving.turn(running, mixed)
    found = [moving.read(running, move).target for move in asked]
    assert found == ['xen1', 'xen3']


def test_it_is_waited_for_a_place_apart(
    running: service.Service, mixed: int, groups: None
) -> None:
    """Rather than that a guest goes where those are that it is to be apart.

    Two guests at a time arrive at a host.
    """
    running.sim.add_vm('xen1', 'g', memory=maintaining.GIB)
    group(running, {'g': 'a', 'g2': 'a'})
    running.watch(mixed, 61)
    asked = [moving.ask(running, f'g{at}', 'xen3') for at in range(2)]
    last = moving.ask(running, 'g2')
    moving.turn(running, mixed)
    assert moving.read(running, last).state == 'queued'
    ended = moving.finish(running, mixed, *asked, last)
    assert [move.target for move in ended] == ['xen3'] * 3


@pytest.mark.parametrize('seed', range(6))
def test_each_guest_goes_where_the_check_has_it(
    running: service.Service, groups: None, seed: int
) -> None:
    """Or nothing is done, with the same words."""
    chosen = random.Random(seed)
    key = running.create(*HOSTS)
    for name in HOSTS:
        update(running, name, chosen.choice([{}, *NEWER][: 1 + seed]))
    names = {}
    for number in range(9):
        name = chosen.choice((*HOSTS, 'xen2'))
        size = chosen.randrange(1, 14) * maintaining.GIB
        running.sim.add_vm(name, f'g{number}', memory=size)
        if one := chosen.choice(['', 'a', 'b']):
            names[f'g{number}'] = one
    group(running, names)
    running.watch(key, 0)
    running.conf.set_override('move_concurrency', 2, 'compute')
    report = check(running, key)
    running.maintenance.enter(running.ctx, 'xen2')
    ended = maintaining.finish(running, key, seconds=30)
    if report.blockers:
        assert (ended.error or {})['code'] == report.blockers[0].code
        assert running.arrivals('host.disable') == []
        return
    assert ended.state == 'succeeded'
    with running.database.reader() as connection:
        done = moves.of_operations(connection, [ended.id])
    assert {move.guest_name: move.target for move in done} == {
        step['guest']: step['target'] for step in report.plan or ()
    }
    assert not any(move.tried for move in done)
