"""People are told what the API tells programs."""

from typing import Any

import pytest

from aggregates_ext.client import words

HOST: dict[str, Any] = {
    'name': 'xen1',
    'phase': 'member',
    'live': True,
    'enabled': True,
    'service': 'enabled',
    'disabled_reason': None,
    'maintenance': 'off',
    'xencenter_maintenance': False,
    'guests': 3,
    'pending_guidances': [],
    'needs_reboot': False,
    'drift': [],
    'alarm': None,
    'shut_down': [],
}


@pytest.mark.parametrize(
    ('more', 'told'),
    [
        ({}, 'xen1: member, master, live, enabled'),
        (
            {'name': 'xen2', 'live': False, 'drift': ['MEMBER_DEAD']},
            'xen2: member, not live, enabled, MEMBER_DEAD',
        ),
        (
            {'live': None, 'enabled': None, 'phase': 'joining'},
            'xen1: joining, master',
        ),
        ({'phase': None}, 'xen1: not in the aggregate, master, live, enabled'),
        (
            {
                'enabled': False,
                'service': 'disabled',
                'disabled_reason': 'new fans',
                'maintenance': 'on',
                'shut_down': [{'name': 'gpu', 'uuid': 'u'}],
                'alarm': 'Look at it.',
            },
            'xen1: member, master, live, not enabled, to be disabled: new '
            'fans, maintenance on, shut down for it: gpu (u), Look at it.',
        ),
        (
            {'xencenter_maintenance': True},
            'xen1: member, master, live, enabled, in maintenance by another '
            'tool',
        ),
        (
            {
                'needs_reboot': True,
                'pending_guidances': ['reboot_host', 'restart_toolstack'],
            },
            'xen1: member, master, live, enabled, needs a reboot, its updates '
            'ask for reboot_host, restart_toolstack',
        ),
        (
            {'needs_reboot': None, 'pending_guidances': None},
            'xen1: member, master, live, enabled',
        ),
    ],
)
def test_a_host_is_a_line(more: dict[str, Any], told: str) -> None:
    assert words.host({**HOST, **more}, 'xen1') == told


def test_problems_have_rule_values_and_remedy() -> None:
    problem = {
        'code': 'NO_ROOM',
        'rule': 'there must be room',
        'found': '1 GiB',
        'remedy': 'Make room.',
        'heals': True,
        'hosts': ['xen1', 'xen2'],
    }
    assert words.problems([problem, {'code': 'OTHER'}]).splitlines() == [
        'NO_ROOM',
        '  rule: there must be room',
        '  found: 1 GiB',
        '  remedy: Make room.',
        '  hosts: xen1, xen2',
        '  It passes by itself; the operation waits for that.',
        'OTHER',
    ]


def test_disks_are_told_by_their_sr() -> None:
    disk = {'uuid': 'd', 'name': 'customer', 'size': 3 << 29}
    used = {**disk, 'size': None, 'used_by': ['db (Halted, v)']}
    assert words.disks({'sr': [disk, used]}).splitlines() == [
        'SR sr',
        '  customer (d), 1.5 GiB',
        '  customer (d), unknown size, used by db (Halted, v)',
    ]
    assert 'not known' in words.disks(None)
    assert words.disks({}) == ''


def test_where_guests_would_go_is_told() -> None:
    moves = {'guest': 'shop', 'uuid': 'u', 'memory': 1 << 30, 'target': 'xen2'}
    stays = {**moves, 'target': None, 'code': 'PAUSED', 'reason': None}
    assert words.evacuation([moves, stays]).splitlines() == [
        'shop (u), 1.0 GiB: to xen2',
        'shop (u), 1.0 GiB: stays, PAUSED',
    ]
    assert 'see blockers' in words.evacuation(None)


def test_what_counts_for_the_state_has_its_remedy() -> None:
    entry = {
        'uuid': 'u',
        'kind': 'add_host',
        'host': 'xen4',
        'state': 'failed',
        'step': 'checking',
        'code': 'HOSTS_NOT_COMPATIBLE',
        'message': 'It cannot.',
        'remedy': 'Retry it.',
    }
    runs = {**entry, 'state': 'running', 'code': None, 'remedy': None}
    assert words.standing([entry, runs]).splitlines() == [
        'add_host xen4: failed (u)',
        '  HOSTS_NOT_COMPATIBLE: It cannot.',
        '  Retry it.',
        'add_host xen4: running, checking (u)',
    ]


def test_a_plan_tells_of_each_turn() -> None:
    guest = {'guest': 'u', 'name': 'shop', 'memory': 1 << 30}
    host = {
        'host': 'xen1',
        'master': True,
        'moves': [{**guest, 'from': 'xen1', 'to': 'xen2'}],
        'shut_down': [guest],
        'tightest': {'host': 'xen2', 'memory_free': 1 << 31},
        'updates': {'packages': ['a', 'b'], 'reboot': False},
    }
    assert words.planned_hosts([host]).splitlines() == [
        'xen1, the master',
        '  installs 2 packages, does not reboot',
        '  shop (u) from xen1 to xen2, 1.0 GiB',
        '  shop (u) is shut down',
        '  2.0 GiB are free on xen2 then',
    ]
    worst = {'host': 'xen1', 'memory_free': 1 << 30}
    assert words.worst(worst) == 'xen1: 1.0 GiB free'
    assert words.worst(None) == ''


def test_a_list_of_hosts_tells_the_disks_of_those_that_leave() -> None:
    disk = {'uuid': 'd', 'name': 'cache', 'size': 1 << 30}
    entries = [
        {'host': 'xen1', 'change': 'none', 'disks': {}},
        {
            'host': 'xen2',
            'change': 'add',
            'disks': None,
            'warnings': [{'message': 'It is slow.'}],
        },
        {'host': 'xen3', 'change': 'remove', 'disks': {'s': [disk]}},
        {'host': 'xen4', 'change': 'remove', 'disks': None},
    ]
    assert words.listed_hosts(entries).splitlines() == [
        'xen1: none',
        'xen2: add',
        '  warning It is slow.',
        'xen3: remove',
        '  SR s',
        '    cache (d), 1.0 GiB',
        'xen4: remove',
        '  not known: they could not be read',
    ]


@pytest.mark.parametrize('empty', [{}, {'error': None}, {'error': {}}])
def test_where_nothing_is_told_nothing_is_said(empty: dict[str, Any]) -> None:
    assert words.reason(empty) == ''
    assert words.error(empty.get('error')) == ''
    assert words.fields(empty.get('asked')) == ''
    # An API that tells less is no reason to fail.
    for render in (words.move, words.guest, words.rolled):
        assert render({})
    assert words.host({}, None)
    assert words.problems([{}])
    assert words.standing([{}])
    assert words.planned_hosts([{}])


def test_a_pool_in_a_list() -> None:
    hosts = [{'phase': p} for p in ('member', 'joining', 'member', None)]
    told = '2 member, 1 joining, 1 not in the aggregate'
    assert words.phases(hosts) == told
    drift = [{'code': c} for c in ('MEMBER_DEAD', 'LABEL', 'MEMBER_DEAD')]
    assert words.codes(drift) == 'MEMBER_DEAD, LABEL'
    operations = [
        {'kind': 'add_host', 'host': 'xen2', 'state': 'queued'},
        {'kind': 'rename', 'host': None, 'state': 'failed'},
    ]
    told = 'add_host xen2: queued\nrename: failed'
    assert words.under_way(operations) == told
