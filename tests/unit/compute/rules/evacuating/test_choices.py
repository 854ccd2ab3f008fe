"""What no simulated pool shows: GPUs, features, groups, old releases."""

from typing import Any

import pytest

from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import guests
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import pairs
from aggregates_ext.compute.rules.evacuating import targets
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import records

NULL = 'OpaqueRef:NULL'
GIB = 2**30
NAMES = ('xen1', 'xen2', 'xen3')


def vm(name: str, **values: Any) -> dict[str, Any]:
    """A guest of xen1 that can move."""
    return {
        'uuid': f'uuid of {name}',
        'name_label': name,
        'power_state': 'Running',
        'HVM_boot_policy': 'BIOS order',
        'is_a_template': False,
        'is_a_snapshot': False,
        'is_control_domain': False,
        'memory_dynamic_min': GIB,
        'memory_overhead': 0,
        'VCPUs_max': 1,
        'blocked_operations': {},
        'current_operations': {},
        'platform': {},
        'last_boot_CPU_flags': {},
        'resident_on': 'xen1',
        'scheduled_to_be_resident_on': NULL,
        'metrics': NULL,
        'guest_metrics': 'driven',
        **values,
    }


def known(*machines: dict[str, Any], **tables: Any) -> facts.Known:
    """A pool of three hosts with guests."""
    found = {
        'pool': {'p': {'master': 'xen1'}},
        'host': {
            name: {
                'uuid': f'uuid of {name}',
                'name_label': name,
                'enabled': True,
                'metrics': name,
                'memory_overhead': 0,
                'current_operations': {},
                'software_version': {'platform_version': '3.4.0'},
                'cpu_info': {
                    'vendor': 'A',
                    'cpu_count': '4',
                    'features_hvm': '00000003-00000001',
                    'features_pv': '00000001-00000001',
                },
            }
            for name in NAMES
        },
        'host_metrics': {
            name: {'live': True, 'memory_total': 64 * GIB} for name in NAMES
        },
        'VM': {machine['name_label']: machine for machine in machines},
        'VM_guest_metrics': {
            'driven': {'PV_drivers_version': {'major': '7'}, 'other': {}}
        },
    }
    return facts.Known({**found, **tables})


def members() -> list[records.Host]:
    return [
        records.Host(
            id=number,
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
        )
        for number, name in enumerate(NAMES)
    ]


def choice(found: facts.Known, name: str = 'web') -> targets.Choice:
    guest = found.guest(f'uuid of {name}')
    assert guest is not None
    return targets.targets(found, guest, members())


def names(found: targets.Choice) -> list[str]:
    return [target.host.name for target in found.targets]


def reasons(found: facts.Known) -> list[str]:
    return [
        problem.code for problem in guests.reasons(found.guests['xen1'][0])
    ]


def gpu(kind: str, told: dict[str, str]) -> dict[str, Any]:
    return {
        'VGPU': {'v': {'type': 't', 'resident_on': 'g'}},
        'VGPU_type': {'t': {'implementation': kind}},
        'PGPU': {'g': {'compatibility_metadata': told}},
    }


@pytest.mark.parametrize(
    ('tables', 'found'),
    [
        (gpu('nvidia', {'a': 'b'}), []),
        (gpu('nvidia_sriov', {'a': 'b'}), []),
        (gpu('nvidia', {}), ['VM_HAS_VGPU']),
        (gpu('gvt_g', {'a': 'b'}), ['VM_HAS_VGPU']),
        ({}, ['VM_HAS_VGPU']),
    ],
)
def test_virtual_gpus_of_one_maker_move(
    tables: dict[str, Any], found: list[str]
) -> None:
    assert reasons(known(vm('web', VGPUs=['v']), **tables)) == found


def test_older_releases_tell_the_version_of_drivers_alone() -> None:
    """The flag for it came with 7.1, the type of a domain with 7.5."""
    assert reasons(known(vm('web'))) == []
    none = {'driven': {'PV_drivers_version': {}, 'other': {}}}
    undriven = known(vm('web'), VM_guest_metrics=none)
    assert reasons(undriven) == ['VM_LACKS_FEATURE']
    old = known(vm('web', HVM_boot_policy=''), VM_guest_metrics=none)
    assert reasons(old) == []


def test_every_reason_is_told_in_the_order_of_xapi() -> None:
    found = known(
        vm(
            'web',
            blocked_operations={'pool_migrate': ''},
            current_operations={'x': 'snapshot'},
            platform={'nested-virt': '1'},
            guest_metrics=NULL,
            attached_PCIs=['x'],
            VUSBs=['x'],
        )
    )
    assert reasons(found) == [
        'OPERATION_BLOCKED',
        'OTHER_OPERATION_IN_PROGRESS',
        'VM_IS_IMMOBILE',
        'VM_LACKS_FEATURE',
        'VM_HAS_PCI_ATTACHED',
        'VM_HAS_VUSBS',
    ]


@pytest.mark.parametrize(
    ('booted', 'kind', 'found'),
    [
        ({}, 'hvm', ''),
        ({'vendor': 'A', 'features': '00000003-00000001'}, 'hvm', ''),
        ({'vendor': 'A', 'features': '00000003'}, 'hvm', ''),
        ({'vendor': 'B'}, 'hvm', 'B, A there'),
        (
            {'vendor': 'A', 'features': '00000007-00000001'},
            'hvm',
            'features 00000004-00000000, which it started with',
        ),
        (
            {'vendor': 'A', 'features': '00000003-00000001-00000001'},
            'hvm',
            'features 00000000-00000000-00000001, which it started with',
        ),
        ({'vendor': 'A', 'features': '00000001'}, 'pv', ''),
        (
            {'vendor': 'A', 'features': '00000003'},
            'pv',
            'features 00000002, which it started with',
        ),
        # Written as none that we know: xapi judges.
        ({'vendor': 'A', 'features': 'policy:1'}, 'hvm', ''),
    ],
)
def test_features_that_a_guest_has_started_with(
    booted: dict[str, str], kind: str, found: str
) -> None:
    pool = known(
        vm('web', last_boot_CPU_flags=booted, metrics='m'),
        VM_metrics={'m': {'current_domain_type': kind}},
    )
    refused = choice(pool).refused
    told = {p.found for problems in refused.values() for p in problems}
    assert told == ({found} if found else set())


def test_guests_that_are_to_be_apart_count_more_than_memory() -> None:
    apart = {'groups': ['g']}
    pool = known(
        vm('web', **apart),
        vm('other', resident_on='xen2', **apart),
        vm('large', resident_on='xen3', memory_dynamic_min=50 * GIB),
        VM_group={'g': {'placement': 'anti_affinity'}},
    )
    assert names(choice(pool)) == ['xen3', 'xen2']
    plain = known(
        *pool.records['VM'].values(), VM_group={'g': {'placement': 'normal'}}
    )
    assert names(choice(plain)) == ['xen2', 'xen3']


def test_guests_on_their_way_count_for_groups() -> None:
    apart = {'groups': ['g']}
    pool = known(
        vm('web', **apart),
        vm('other', scheduled_to_be_resident_on='xen2', **apart),
        vm('large', resident_on='xen3', memory_dynamic_min=50 * GIB),
        VM_group={'g': {'placement': 'anti_affinity'}},
    )
    assert names(choice(pool)) == ['xen3', 'xen2']


def test_a_guest_that_was_not_there_is_told() -> None:
    with pytest.raises(failures.OddAnswer):
        known(vm('web')).at('nobody')


def test_hosts_that_are_preferred_count_more_than_all() -> None:
    apart = {'groups': ['g']}
    pool = known(
        vm('web', **apart),
        vm('other', resident_on='xen2', memory_dynamic_min=50 * GIB, **apart),
        VM_group={'g': {'placement': 'anti_affinity'}},
    )
    guest = pool.guests['xen1'][0]
    assert names(targets.targets(pool, guest, members())) == ['xen3', 'xen2']
    found = targets.targets(
        pool, guest, members(), lambda _guest, ref: int(ref != 'xen2')
    )
    assert names(found) == ['xen2', 'xen3']


def test_what_is_placed_counts_for_groups_and_memory() -> None:
    pool = known(
        vm('a', groups=['g']),
        vm('b', groups=['g']),
        vm('c', memory_dynamic_min=60 * GIB),
        VM_group={'g': {'placement': 'anti_affinity'}},
    )
    others = hosts.candidates(pool, 'xen1', members())
    ledger = pairs.Ledger(pool)
    by_name = {guest.name: guest for guest in pool.guests['xen1']}
    ledger.put(by_name['a'], 'xen2')
    assert names(targets.choose(by_name['b'], others, ledger))[0] == 'xen3'
    ledger.put(by_name['c'], 'xen3')
    assert ledger.free('xen3') == 4 * GIB
    found = targets.choose(by_name['c'], others, ledger)
    assert names(found) == ['xen2']
    assert found.refused['xen3'][0].code == 'HOST_NOT_ENOUGH_FREE_MEMORY'


def test_no_more_is_looked_at_than_is_asked_for() -> None:
    """A plan of many guests and hosts would take a second for each host."""
    pool = known(
        vm('web', memory_dynamic_min=30 * GIB),
        vm('large', resident_on='xen2', memory_dynamic_min=50 * GIB),
    )
    guest = pool.guests['xen1'][0]
    others = hosts.candidates(pool, 'xen1', members())
    found = targets.choose(guest, others, pairs.Ledger(pool), enough=1)
    assert names(found) == ['xen3']
    assert found.refused == {}
    found = targets.choose(guest, others, pairs.Ledger(pool))
    assert names(found) == ['xen3']
    assert list(found.refused) == ['xen2']


def test_all_that_speaks_against_hosts_is_told_of_a_single_guest() -> None:
    pool = known(vm('web', memory_dynamic_min=90 * GIB))
    pool.records['host']['xen3']['enabled'] = False
    found = choice(pool)
    assert names(found) == []
    assert found.why_not == (
        'xen3: HOST_DISABLED, disabled; '
        'xen2: HOST_NOT_ENOUGH_FREE_MEMORY, 90.0 GiB needed, 64.0 GiB free'
    )


def test_guests_that_are_on_their_way_take_memory_at_both_ends() -> None:
    pool = known(
        vm('web', scheduled_to_be_resident_on='xen2'),
        vm('dom0', is_control_domain=True, resident_on='xen2'),
        vm('off', power_state='Halted', resident_on=NULL),
    )
    free = [pool.free(name) // GIB for name in NAMES]
    assert free == [63, 62, 64]


def test_a_network_is_where_a_host_has_an_interface_or_a_guest_runs() -> None:
    pool = known(
        vm('web'),
        VIF={'v': {'VM': 'web', 'network': 'n'}},
        network={'n': {'name_label': 'n', 'uuid': 'u', 'other_config': {}}},
    )
    assert not pool.reaches('xen2', 'n')
    assert pool.reaches('xen1', 'n')
    wired = known(
        *pool.records['VM'].values(),
        VIF=pool.records['VIF'],
        PIF={'p': {'network': 'n', 'host': 'xen2'}},
    )
    assert wired.reaches('xen2', 'n')
    assert not wired.reaches('xen3', 'n')
    unmanaged = known(
        *pool.records['VM'].values(),
        VIF=pool.records['VIF'],
        network={'n': {'managed': False, 'other_config': {}}},
    )
    assert unmanaged.reaches('xen2', 'n')


def test_why_not_is_told_once_for_hosts_that_are_alike() -> None:
    pool = known(vm('web', VCPUs_max=9))
    assert targets.describe(choice(pool).refused) == (
        'xen2, xen3: HOST_NOT_ENOUGH_PCPUS, 9 vCPUs, 4 there'
    )
