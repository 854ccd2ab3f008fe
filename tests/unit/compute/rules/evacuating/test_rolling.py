"""A rolling reboot, planned on records."""

import collections
import copy
import json
import random
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import rehearsal
from aggregates_ext.compute.rules.evacuating import rolling
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.db import records
from tests.unit.compute.rules.evacuating import test_choices

GIB = 2**30
NAMES = ('xen1', 'xen2', 'xen3', 'xen4')
PINNED = {'attached_PCIs': ['x']}


def guest(name: str, host: str, size: int = 2, **more: Any) -> dict[str, Any]:
    """A guest that can move; its size in GiB."""
    return test_choices.vm(
        name,
        resident_on=host,
        memory_dynamic_min=size * GIB,
        **{'other_config': {}, 'suspend_VDI': 'OpaqueRef:NULL', **more},
    )


def host(name: str, **more: Any) -> dict[str, Any]:
    return {
        'uuid': f'uuid of {name}',
        'name_label': name,
        'enabled': True,
        'metrics': name,
        'memory_overhead': 0,
        'current_operations': {},
        'other_config': {'boot_time': '1.0'},
        'software_version': {'platform_version': '3.4.0'},
        'cpu_info': {'vendor': 'A', 'cpu_count': '4'},
        **more,
    }


class Pool:
    """A pool that xen1 leads, all of whose hosts are members.

    :param sizes: the memory of each host in GiB, by name.
    """

    def __init__(
        self,
        *guests: Mapping[str, Any],
        sizes: Mapping[str, int] | None = None,
        **pool: Any,
    ) -> None:
        sizes = sizes or dict.fromkeys(NAMES, 16)
        self.records: dict[str, Any] = {
            'pool': {
                'p': {
                    'master': 'xen1',
                    'ha_enabled': False,
                    'ha_allow_overcommit': False,
                    'ha_host_failures_to_tolerate': 0,
                    'current_operations': {},
                    'other_config': {},
                    'restrictions': {},
                    **pool,
                }
            },
            'host': {name: host(name) for name in sizes},
            'host_metrics': {
                name: {'live': True, 'memory_total': size * GIB}
                for name, size in sizes.items()
            },
            'VM': {one['name_label']: dict(one) for one in guests},
            'VM_guest_metrics': {
                'driven': {'PV_drivers_version': {'major': '7'}, 'other': {}}
            },
        }
        self.names = list(sizes)

    @property
    def known(self) -> facts.Known:
        return facts.Known(self.records, 'xen1')

    @property
    def members(self) -> list[records.Host]:
        return [member(name) for name in self.names]

    def plan(
        self, *shut_down: str, order: Sequence[str] = (), **more: Any
    ) -> rolling.RollingPlan:
        """The plan of a run; it has to be fit for JSON."""
        found = rolling.plan(
            self.known,
            [member(name) for name in order or self.names],
            self.members,
            [f'uuid of {name}' for name in shut_down],
            **more,
        )
        json.dumps(found.as_dict())
        for problem in (*found.report.blockers, *found.report.warnings):
            assert problem.found
            assert '{}' not in problem.message
        return found

    def check(self, name: str) -> list[str]:
        """The blockers of emptying one host as things are now."""
        answer = evacuation.check(self.known, member(name), self.members)
        return codes(answer.report.blockers)


def member(name: str, **more: Any) -> records.Host:
    return records.Host(
        id=1,
        name=name,
        uuid=f'uuid of {name}',
        url='',
        address=None,
        fingerprint=None,
        availability_zone=None,
        credential='a',
        aggregate_id=1,
        phase='member',
        phase_since=None,
        alarm=None,
        shown=None,
        consent=None,
        **more,
    )


def codes(problems: Sequence[preflight.Problem]) -> list[str]:
    return [problem.code for problem in problems]


def told(found: rolling.RollingPlan) -> list[tuple[str, str]]:
    """The blockers of a run, with what was found."""
    return [(one.code, one.found) for one in found.report.blockers]


def warned(found: rolling.RollingPlan) -> list[tuple[str, str]]:
    return [(one.code, one.found) for one in found.report.warnings]


def ways(moves: Sequence[rehearsal.Move]) -> list[tuple[str, str, str]]:
    return [(move.name, move.source, move.target) for move in moves]


def twelve() -> list[dict[str, Any]]:
    """Three guests on each of four hosts."""
    return [guest(f'{name}{n}', name) for name in NAMES for n in 'abc']


def replay(pool: Pool, found: rolling.RollingPlan) -> collections.Counter[str]:
    """Carry out a plan; how often each guest moves before it comes home.

    Each leaves where it is, and no host has more than it has memory for.
    """
    places = {
        name: vm['resident_on'] for name, vm in pool.records['VM'].items()
    }
    start = dict(places)
    moves: collections.Counter[str] = collections.Counter()
    for turn in found.hosts:
        for move in turn.moves:
            assert places[move.name] == move.source == turn.name
            places[move.name] = move.target
            moves[move.name] += 1
        assert turn.name not in places.values()
        used: collections.Counter[str] = collections.Counter()
        for name, place in places.items():
            used[place] += pool.records['VM'][name]['memory_dynamic_min']
        free = {
            name: metrics['memory_total'] - used[name]
            for name, metrics in pool.records['host_metrics'].items()
            if name != turn.name
        }
        assert min(free.values()) >= 0
        assert turn.room.free == sum(free.values())
        assert turn.room.least == min(free.values())
        assert turn.room.tightest is not None
        assert free[turn.room.tightest] == turn.room.least
    _replay_homes(pool, found, places)
    for move in found.away:
        assert start[move.name] == move.target
        start[move.name] = move.source
    assert places == start
    return moves


def _replay_homes(
    pool: Pool, found: rolling.RollingPlan, places: dict[str, str]
) -> None:
    """Each move home finds memory there."""
    sizes = {
        name: vm['memory_dynamic_min']
        for name, vm in pool.records['VM'].items()
    }
    for move in found.homes:
        assert places[move.name] == move.source
        places[move.name] = move.target
        there = [n for n, place in places.items() if place == move.target]
        total = pool.records['host_metrics'][move.target]['memory_total']
        assert sum(sizes[name] for name in there) <= total


def test_guests_go_to_hosts_that_have_restarted() -> None:
    pool = Pool(*twelve())
    found = pool.plan()
    assert found.report.blockers == ()
    assert [one.name for one in found.hosts] == list(NAMES)
    assert [one.master for one in found.hosts] == [True, False, False, False]
    first, *others = found.hosts
    # Not to the one that is next.
    assert {move.target for move in first.moves} == {'xen3', 'xen4'}
    done = set()
    for before, turn in zip(found.hosts, others, strict=False):
        done.add(before.name)
        assert {move.target for move in turn.moves} <= done
    moves = replay(pool, found)
    assert {name for name, count in moves.items() if count > 1} == {
        'xen1a',
        'xen1b',
        'xen1c',
    }
    assert max(moves.values()) == 2
    assert found.as_dict()['moves'] == 15
    # Who has come home with its second move does not move again.
    assert len(found.homes) == 9
    assert found.away == ()
    assert found.consent == found.unknown == ()


def test_the_last_that_left_comes_home_first() -> None:
    found = Pool(guest('a', 'xen2'), guest('b', 'xen3')).plan()
    assert ways(found.homes) == [
        ('b', 'xen2', 'xen3'),
        ('a', 'xen1', 'xen2'),
    ]
    assert Pool(guest('a', 'xen2')).plan(restore=False).homes == ()


def test_who_finds_no_memory_at_home_waits_for_it() -> None:
    pool = Pool(
        guest('first', 'xen1', 4),
        guest('a', 'xen2', 8),
        guest('b', 'xen2', 6),
    )
    found = pool.plan()
    assert [ways(turn.moves) for turn in found.hosts] == [
        [('first', 'xen1', 'xen3')],
        [('a', 'xen2', 'xen1'), ('b', 'xen2', 'xen1')],
        # Its home is full.
        [('first', 'xen3', 'xen2')],
        [],
    ]
    assert ways(found.homes) == [
        ('b', 'xen1', 'xen2'),
        ('first', 'xen2', 'xen1'),
        ('a', 'xen1', 'xen2'),
    ]
    assert found.away == ()


def test_who_finds_none_for_good_is_told() -> None:
    """Each is in the way of the other."""
    pool = Pool(guest('first', 'xen1', 8), guest('second', 'xen2', 16))
    found = pool.plan()
    assert found.report.blockers == ()
    assert found.homes == ()
    assert ways(found.away) == [
        ('second', 'xen1', 'xen2'),
        ('first', 'xen2', 'xen1'),
    ]
    told = [move['name'] for move in found.as_dict()['away']]
    assert told == ['second', 'first']


def test_hosts_that_do_not_restart_take_guests_first() -> None:
    """Who is there stays there."""
    pool = Pool(guest('a', 'xen1'), guest('b', 'xen2'))
    found = pool.plan(order=['xen1', 'xen2'])
    assert ways(found.hosts[0].moves) == [('a', 'xen1', 'xen3')]
    assert ways(found.hosts[1].moves) == [('b', 'xen2', 'xen1')]
    replay(pool, found)


def test_two_hosts_take_turns() -> None:
    """The next one is better than none."""
    pool = Pool(
        guest('a', 'xen1'), guest('b', 'xen2'), sizes={'xen1': 4, 'xen2': 4}
    )
    found = pool.plan()
    assert ways(found.hosts[0].moves) == [('a', 'xen1', 'xen2')]
    assert sorted(ways(found.hosts[1].moves)) == [
        ('a', 'xen2', 'xen1'),
        ('b', 'xen2', 'xen1'),
    ]
    assert ways(found.homes) == [('b', 'xen1', 'xen2')]


def tight() -> Pool:
    """xen3 could be emptied, but for what comes to xen4 before."""
    return Pool(
        guest('small', 'xen2', 4),
        guest('large', 'xen3', 10),
        guest('there', 'xen4', 4),
        sizes={'xen1': 2, 'xen2': 8, 'xen3': 16, 'xen4': 16},
    )


def test_memory_that_lacks_later_is_told_with_its_host() -> None:
    pool = tight()
    assert [pool.check(name) for name in NAMES] == [[]] * 4
    found = pool.plan()
    assert told(found) == [
        (
            'NOT_ENOUGH_MEMORY',
            'xen3: "large" (uuid of large) needs 10.0 GiB; free when the '
            'others are placed: xen1 2.0 GiB, xen2 8.0 GiB, xen4 8.0 GiB',
        )
    ]
    assert [codes(one.blockers) for one in found.hosts] == [
        [],
        [],
        ['NOT_ENOUGH_MEMORY'],
        [],
    ]
    assert found.consent == ('uuid of large',)
    # It stays, and the hosts after that are planned with it.
    assert 'large' not in [move.name for t in found.hosts for move in t.moves]
    assert found.hosts[3].moves != ()


def test_memory_that_is_there_in_time_is_no_obstacle() -> None:
    """A host that has restarted is empty."""
    pool = Pool(guest('large', 'xen3', 14), *twelve()[:6], *twelve()[9:])
    assert pool.check('xen3') == ['NOT_ENOUGH_MEMORY']
    found = pool.plan()
    assert found.report.blockers == ()
    replay(pool, found)


def test_the_host_with_least_memory_is_told() -> None:
    found = tight().plan().as_dict()
    assert found['worst'] == {
        'host': 'xen4',
        'memory_free': 8 * GIB,
        'tightest': {'host': 'xen1', 'memory_free': 2 * GIB},
    }
    assert found['hosts'][1]['memory_free'] == 16 * GIB
    assert found['hosts'][1]['moves'] == [
        {
            'guest': 'uuid of small',
            'name': 'small',
            'memory': 4 * GIB,
            'from': 'xen2',
            'to': 'xen4',
        }
    ]


def test_a_pinned_guest_is_asked_for_at_its_own_host() -> None:
    pool = Pool(*twelve(), guest('gpu', 'xen2', **PINNED))
    found = pool.plan()
    assert found.consent == ('uuid of gpu',)
    ((code, why),) = told(found)
    assert code == 'GUEST_IMMOVABLE'
    assert why.startswith('xen2: "gpu" (uuid of gpu): VM_HAS_PCI_ATTACHED')
    assert [one.answer.consent for one in found.hosts] == [
        (),
        ('uuid of gpu',),
        (),
        (),
    ]


def test_who_is_shut_down_starts_again_on_its_host() -> None:
    """It takes memory there for the hosts that come after."""
    pool = Pool(*twelve(), guest('gpu', 'xen1', 14, **PINNED))
    found = pool.plan('gpu')
    assert found.report.blockers == ()
    assert [len(one.answer.down) for one in found.hosts] == [1, 0, 0, 0]
    assert found.as_dict()['hosts'][0]['shut_down'] == [
        {'guest': 'uuid of gpu', 'name': 'gpu', 'memory': 14 * GIB}
    ]
    # 2 GiB are left beside it.
    to = [move.target for move in found.hosts[1].moves]
    assert to == ['xen1', 'xen4', 'xen4']
    assert 'gpu' not in [move.name for move in found.homes]


def test_a_shutdown_that_its_pool_would_refuse_is_told() -> None:
    blocked = {'blocked_operations': {'clean_shutdown': ''}, **PINNED}
    pool = Pool(guest('gpu', 'xen2', **blocked))
    ((code, why),) = told(pool.plan('gpu'))
    assert code == 'GUEST_STAYS_UP'
    assert why.startswith('xen2: ')
    assert pool.plan('gpu', hard=True).report.blockers == ()


def test_only_guests_on_hosts_that_restart_can_be_named() -> None:
    pool = Pool(
        guest('a', 'xen1'),
        guest('b', 'xen4'),
        guest('off', 'OpaqueRef:NULL', power_state='Halted'),
    )
    found = pool.plan('a', 'b', 'off', 'none', order=['xen1', 'xen2'])
    assert found.unknown == ('uuid of b', 'uuid of none')
    assert pool.plan('a', 'b', 'off').unknown == ()


def test_high_availability_has_to_be_off() -> None:
    pool = Pool(*twelve(), ha_enabled=True, ha_host_failures_to_tolerate=3)
    assert pool.check('xen2') == ['HA_PLAN']
    found = pool.plan()
    assert told(found) == [('HA_ON', 'on')]
    assert '"suspend_ha": true' in found.report.blockers[0].remedy
    assert codes(found.report.warnings) == ['MASTER']
    off = pool.plan(suspend_ha=True)
    assert told(off) == []
    assert codes(off.report.warnings) == ['MASTER']
    assert off.hosts == found.hosts


def test_every_host_has_to_reach_the_state_file() -> None:
    """Else high availability could not be switched on again."""
    pool = Pool(*twelve(), ha_enabled=True, ha_statefiles=['state'])
    for name, host in pool.records['host'].items():
        host['ha_statefiles'] = [] if name == 'xen3' else ['state']
    for order in (['xen1', 'xen2'], ['xen1', 'xen3']):
        assert told(pool.plan(order=order, suspend_ha=True)) == [
            ('STATEFILE', '"xen3" (uuid of xen3)')
        ]
    pool.records['pool']['p']['ha_enabled'] = False
    assert told(pool.plan()) == []


def test_what_is_about_the_pool_is_told_once() -> None:
    pool = Pool(
        *twelve(),
        guest('flag', 'xen1', other_config={'auto_poweron': 'true'}),
        wlb_enabled=True,
        other_config={
            'auto_poweron': 'true',
            'rolling_upgrade_in_progress': 'true',
        },
    )
    host = pool.records['host']
    host['xen4']['software_version'] = {'platform_version': '3.5.0'}
    host['xen3']['enabled'] = False
    host['xen1']['pending_guidances'] = ['reboot_host']
    host['xen2']['pending_guidances'] = ['reboot_host']
    found = pool.plan(order=['xen1', 'xen2', 'xen4'])
    assert warned(found) == [
        ('OTHER_IN_MAINTENANCE', 'xen3'),
        ('VERSIONS_DIFFER', 'xen4 (platform_version 3.5.0)'),
        ('ROLLING_UPGRADE', 'rolling_upgrade_in_progress'),
        ('WLB_ON', 'on'),
        ('MASTER', 'xen1: that it is'),
        ('GUIDANCE_PENDING', 'xen1, xen2: reboot_host'),
    ]
    assert codes(found.hosts[0].warnings) == ['MASTER', 'GUIDANCE_PENDING']
    assert codes(found.hosts[2].warnings) == []


def test_guests_that_start_with_each_boot_are_no_danger() -> None:
    """The key of the pool is taken away during a run."""
    halted = {'power_state': 'Halted', 'other_config': {}}
    halted['other_config'] = {'auto_poweron': 'true'}
    pool = Pool(
        guest('off', 'OpaqueRef:NULL', **halted),
        other_config={'auto_poweron': 'true'},
    )
    single = evacuation.check(pool.known, member('xen2'), pool.members)
    assert codes(single.report.warnings) == ['AUTO_POWERON']
    assert codes(pool.plan().report.warnings) == ['MASTER']


def test_every_host_of_the_pool_has_to_be_live() -> None:
    """Those too that do not restart."""
    pool = Pool(*twelve())
    pool.records['host_metrics']['xen2']['live'] = False
    pool.records['host_metrics']['xen4']['live'] = False
    for order in (['xen1', 'xen2'], ['xen1', 'xen3']):
        assert told(pool.plan(order=order)) == [
            (
                'HOST_NOT_LIVE',
                '"xen2" (uuid of xen2), "xen4" (uuid of xen4)',
            )
        ]


def test_each_host_that_restarts_has_to_tell_its_boots() -> None:
    pool = Pool(*twelve())
    for name in ('xen1', 'xen2', 'xen3'):
        pool.records['host'][name]['other_config'] = {}
    found = pool.plan(order=['xen2', 'xen3', 'xen4'])
    assert told(found) == [
        ('BOOT_TIME_UNKNOWN', 'xen2, xen3: no other_config:boot_time')
    ]
    assert codes(found.hosts[0].blockers) == ['BOOT_TIME_UNKNOWN']
    assert codes(found.hosts[2].blockers) == []


def test_what_forbids_moves_is_told_once() -> None:
    pool = Pool(
        *twelve(),
        restrictions={'restrict_xen_motion': 'true'},
        current_operations={'x': 'vm_start'},
    )
    assert told(pool.plan()) == [
        ('LICENCE_RESTRICTION', 'restrict_xen_motion'),
        ('POOL_BUSY', 'xen1, xen2, xen3, xen4: vm_start of the pool'),
    ]


def test_another_host_has_to_be_enabled() -> None:
    pool = Pool(sizes={'xen1': 4, 'xen2': 4})
    pool.records['host']['xen2']['enabled'] = False
    assert told(pool.plan()) == [('LAST_ENABLED', 'xen1: none')]


def test_a_host_that_is_not_in_the_pool_is_told() -> None:
    pool = Pool(*twelve())
    found = pool.plan('none', order=['xen1', 'xen9', 'xen2'])
    assert told(found) == [
        ('NOT_IN_POOL', 'xen9: uuid uuid of xen9 not listed')
    ]
    assert found.hosts[1].moves == ()
    assert found.unknown == ('uuid of none',)
    # The next that restarts is the one after it.
    targets = {move.target for move in found.hosts[0].moves}
    assert targets == {'xen3', 'xen4'}
    assert rolling.plan(
        pool.known, [], pool.members, ['x']
    ) == rolling.RollingPlan(preflight.Report(), unknown=('x',))


def test_nobody_comes_home_to_a_host_that_takes_none() -> None:
    pool = Pool(guest('a', 'xen2'), guest('b', 'xen3'))
    members = [
        member(name, service=records.DISABLED if name == 'xen2' else None)
        for name in NAMES
    ]
    found = rolling.plan(pool.known, members, members)
    assert [move.name for turn in found.hosts for move in turn.moves] == [
        'a',
        'b',
    ]
    assert [move.name for move in found.homes] == ['b']
    assert ways(found.away) == [('a', 'xen1', 'xen2')]


def test_what_is_under_way_to_another_host_is_not_counted_twice() -> None:
    """Who has moved is no longer to come to where it was to go."""
    pool = Pool(guest('a', 'xen2', 4, scheduled_to_be_resident_on='xen3'))
    found = pool.plan(order=['xen2'])
    assert found.hosts[0].room.free == (3 * 16 - 4) * GIB


def test_the_records_stay_as_they_are() -> None:
    pool = Pool(*twelve(), ha_enabled=True, other_config={'auto_poweron': 'x'})
    known, before = pool.known, copy.deepcopy(pool.records)
    rolling.plan(known, pool.members, pool.members, suspend_ha=True)
    assert pool.records == before
    assert known.records is pool.records
    assert [len(known.guests[name]) for name in NAMES] == [3] * 4


def test_the_order_of_records_does_not_matter() -> None:
    pool = Pool(*twelve(), guest('gpu', 'xen2', **PINNED))
    found = pool.plan('gpu').as_dict()
    for seed in range(5):
        shuffle = random.Random(seed).sample
        for name, table in pool.records.items():
            pool.records[name] = dict(shuffle(list(table.items()), len(table)))
        assert pool.plan('gpu').as_dict() == found


def test_what_a_host_tells_oddly_is_told() -> None:
    """Records as they are read from a host, one with a value that is none."""
    pool = Pool(*twelve())
    for class_, table in pool.records.items():
        for ref, record in table.items():
            odd = {'ha_enabled': 'is 5'} if class_ == 'pool' else {}
            kept = {k: v for k, v in record.items() if k not in odd}
            table[ref] = fields.Record('xen1', class_, kept, odd)
    found = pool.plan()
    assert codes(found.report.blockers)[0] == failures.OddAnswer.code
    assert 'ha_enabled of pool' in found.report.blockers[0].found
    assert len(found.hosts[0].moves) == 3


SIZES = strategies.lists(
    strategies.lists(strategies.integers(1, 8), max_size=6),
    min_size=2,
    max_size=6,
)


@hypothesis.given(SIZES)
def test_hosts_that_are_alike_need_no_third_move(
    sizes: list[list[int]],
) -> None:
    """All guests of a host fit the one that has restarted before it."""
    most = max(8, *map(sum, sizes))
    names = [f'xen{number}' for number in range(1, len(sizes) + 1)]
    pool = Pool(
        *(
            guest(f'{name}-{number}', name, size)
            for name, there in zip(names, sizes, strict=True)
            for number, size in enumerate(there)
        ),
        sizes=dict.fromkeys(names, most),
    )
    found = pool.plan()
    hypothesis.assume(not found.hosts[0].blockers)
    assert found.report.blockers == ()
    moves = replay(pool, found)
    assert max(moves.values(), default=0) <= 2


@pytest.mark.parametrize(
    ('ref', 'rank'),
    [('next', 3), ('later', 2), ('back', 1), ('home', 0)],
)
def test_where_guests_had_best_go(ref: str, rank: int) -> None:
    known = Pool(guest('web', 'xen1')).known
    prefer = rehearsal.Preference(
        {'next', 'later'}, 'next', {'web': 'home', 'other': 'back'}
    )
    assert prefer(facts.Guest(known, 'web'), ref) == rank
