"""What is told of a join: both values, warnings, in a fixed number of calls.

That the refusals are those of xapi is in test_agreement.
"""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.xensim import simulator
from tests.functional import stage
from tests.functional import test_agreement as agreement
from tests.functional.xensim import test_join_checks_all as checks

Make = Callable[..., stage.Stage]
Sim = simulator.Simulator
Change = Callable[[Sim], Any]

# What the first problem of each case of checks.CASES has to say.
FOUND: list[list[str]] = [
    ['3 hosts in the pool'],
    ['none'],
    ['on'],
    ['cluster member '],
    ['VLAN 7'],
    ['none on network "Pool-wide network 0" ('],
    ['on'],
    ['on both sides'],
    ['-'],
    ['v (Running, '],
    ['snapshot of '],
    ['reboot_host on host xen1'],
    ['XCP-ng 9 on host xen2', 'XCP-ng 3.4.0 in the pool'],
    ['git_id x on host xen2', '0 in the pool'],
    ['"nfs" ('],
    ['bond ('],
    ['tunnel '],
    ['SR-IOV network '],
    ['VLAN 5 on eth0'],
    ['VLAN 0 (0) on eth0 on host xen2', 'untagged (-1) on eth0 on master'],
    ['AD on host xen2', 'none in the pool'],
    ['enterprise on host xen2', 'xcp-ng in the pool'],
    ['bridge on host xen2', 'openvswitch in the pool'],
    ['ssl:10.0.0.2:6632 on host xen2', 'ssl:10.0.0.1:6632 in the pool'],
    ['2.20 on host xen2', '2.23 in the pool'],
    ['5.1 on host xen2', '5.909 in the pool'],
    ['on host xen2 alone'],
    ['IPv6 on eth0 on host xen2', 'IPv4 on eth0 on master xen1'],
    ['insecure_nbd of network ', 'nbd of network ', 'on the pool'],
    ['off on host xen2', 'on in the pool'],
    ['"c" with fingerprint xen2 on host xen2', 'xen1 in the pool'],
    ['"xen2" (', 'for b on host xen2', 'for a, b in the pool'],
    ['apply_updates on host xen2'],
    ['apply_updates on the pool'],
    ['no driver "new" on the host'],
]


@pytest.mark.parametrize(
    ('case', 'words'), list(zip(checks.CASES, FOUND, strict=True))
)
def test_both_values_are_named(
    make_stage: Make, case: Any, words: list[str]
) -> None:
    found = make_stage()
    case[1](found.sim)
    problem = found.check_join().blockers[0]
    assert [text for text in words if text not in problem.found] == []
    assert problem.found in problem.message
    assert problem.remedy in problem.message


def test_every_rule_was_seen_to_refuse(make_stage: Make) -> None:
    changes = [('', change) for _number, change, _failure in checks.CASES]
    changes += [(v, change) for v, change, _code in agreement.BY_RELEASE]
    changes += [('', change) for _rule, change, _words in agreement.STRICTER]
    changes += [('', lambda sim: sim.set_pool('xen1', is_psr_pending=True))]
    seen = set()
    for version, change in changes:
        found = make_stage(version=version or stage.NEWEST)
        change(found.sim)
        seen |= {problem.rule for problem in found.check_join().blockers}
    rest = {rule.rule for rule in requirements.JOIN_RULES} - seen
    assert rest == {
        # Accounts have a test of their own in test_agreement.
        'the account at the joining host must be allowed to manage pools',
        'the account at the master must be allowed to manage pools',
    }


def test_all_problems_come_at_once(make_stage: Make) -> None:
    found = make_stage()
    for number, change, _failure in checks.CASES:
        if number not in (2, 5, 7, 13):
            change(found.sim)
    assert len(found.check_join().blockers) >= 28


def test_the_number_of_calls_is_fixed(make_stage: Make) -> None:
    counts = []
    for members in (0, 4):
        found = make_stage(members=members)
        before = len(found.sim.calls)
        found.check_join()
        counts.append(len(found.sim.calls) - before)
    assert counts[0] == counts[1] == 38


def cpus(sim: Sim) -> None:
    for name, features, flags in (
        ('xen1', '0000000f-00000001', 'aes avx'),
        ('xen2', '00000007-00000011', 'aes amx'),
    ):
        told = {'features_hvm_host': features, 'flags': flags}
        sim.set_host(name, cpu_info=told)


def secret(sim: Sim) -> None:
    sim.add_record(
        'xen2',
        'PBD',
        SR=sim.add_record('xen2', 'SR', name_label='iscsi'),
        device_config={'chappassword_secret': 'uuid'},
    )


def pass_through(sim: Sim) -> None:
    sim.add_vm('xen2', 'gpu', 'Halted')
    db = sim.host('xen2').database
    (ref,) = db.where('VM', name_label='gpu')
    db.row('VM', ref)['other_config'] = {'pci': '0/0000:03:00.0'}


def same_mac(sim: Sim) -> None:
    db = sim.host('xen1').database
    (ref,) = db.where('PIF', management=True)
    checks.pif(sim, 'xen2', MAC=db.row('PIF', ref)['MAC'])


def wiring(sim: Sim) -> None:
    network = sim.add_record('xen2', 'network', bridge='xenbr7')
    checks.pif(sim, 'xen2', network=network)


def default_sr(sim: Sim) -> None:
    ref = sim.add_record('xen1', 'SR', name_label='Local storage')
    sim.set_pool('xen1', default_SR=ref)


def skewed(sim: Sim) -> None:
    sim.host('xen2').spec.clock_offset = 40.0


def expired(sim: Sim) -> None:
    db = sim.host('xen2').database
    for ref in db.where('Certificate', type='host_internal'):
        row = db.row('Certificate', ref)
        row['not_after'] = row['not_before'].replace(year=1999)


def many(sim: Sim) -> None:
    metrics = sim.add_record('xen1', 'host_metrics')
    for _ in range(63):
        sim.add_record('xen1', 'host', edition='xcp-ng', metrics=metrics)


def same_iqn(sim: Sim) -> None:
    for name, iqn in (
        ('xen1', 'iqn.2026-11.X:y'),
        ('xen2', 'iqn.2026-11.x:Y'),
    ):
        sim.set_host(name, iscsi_iqn=iqn)


def dynamic_ipv6(sim: Sim) -> None:
    for name in ('xen1', 'xen2'):
        db = sim.host(name).database
        for ref in db.where('PIF', management=True):
            sim.set_record(
                name,
                'PIF',
                ref,
                primary_address_type='IPv6',
                ipv6_configuration_mode='Autoconf',
            )


WARNINGS: list[tuple[str, Change, list[str]]] = [
    (
        'LOST_BY_THE_JOIN',
        lambda sim: sim.set_pool(
            'xen2',
            name_label='old',
            tags=['blue'],
            other_config={'backup': 'yes'},
        ),
        [
            'name_label "old" of its pool',
            'tag blue of its pool',
            'other_config:backup of its pool',
        ],
    ),
    (
        'LOST_BY_THE_JOIN',
        lambda sim: sim.set_host('xen2', name_description='rack 4'),
        ['name_description "rack 4"'],
    ),
    (
        'LOST_BY_THE_JOIN',
        lambda sim: sim.add_record(
            'xen2', 'subject', other_config={'subject-name': 'EX\\ops'}
        ),
        ['the roles of EX\\ops'],
    ),
    ('STORAGE_SECRET_LOST', secret, ['"iscsi" (']),
    ('PCI_PASSTHROUGH', pass_through, ['"gpu" (']),
    (
        'CPU_FEATURES_LEVELLED',
        cpus,
        [
            'the pool loses features_hvm_host 00000008-00000000 (avx)',
            'host xen2 loses features_hvm_host 00000000-00000010 (amx)',
        ],
    ),
    (
        'UPDATE_LEVEL_DIFFERS',
        lambda sim: sim.set_host('xen2', last_update_hash='abc'),
        ['last_update_hash: abc on host xen2, none in the pool'],
    ),
    (
        'SUPPLEMENTAL_PACKS_DIFFER',
        lambda sim: sim.set_host(
            'xen1', software_version={'acme:tool': 'Tool, homogeneous'}
        ),
        ['acme:tool: none on host xen2, Tool, homogeneous in the pool'],
    ),
    (
        'ROLLING_UPGRADE',
        lambda sim: sim.set_pool(
            'xen1', other_config={'rolling_upgrade_in_progress': 'true'}
        ),
        ['rolling_upgrade_in_progress on the pool'],
    ),
    ('HOST_CLOCK_SKEW_DETECTED', skewed, ['40 s']),
    ('CERTIFICATE_NOT_VALID', expired, ['that of host xen2 from ']),
    (
        'DYNAMIC_ADDRESS',
        lambda sim: checks.pif(sim, 'xen2', ip_configuration_mode='DHCP'),
        ['DHCP on eth0 on host xen2'],
    ),
    (
        'MANAGEMENT_MTU',
        lambda sim: checks.pif(sim, 'xen1', MTU=9000),
        ['9000 on eth0 on the pool'],
    ),
    (
        'INTERFACES_DIFFER',
        wiring,
        ['eth0: xenbr7 on host xen2, xenbr0 on the master'],
    ),
    (
        'NAME_CLASH',
        lambda sim: sim.set_host('xen2', hostname='xen1'),
        ['"xen1" ('],
    ),
    ('MAC_CLASH', same_mac, ['of eth0 at host xen1 too']),
    ('IQN_CLASH', same_iqn, ['iqn.2026-11.x:y of host "xen1" (']),
    (
        'DYNAMIC_ADDRESS',
        dynamic_ipv6,
        ['IPv6 Autoconf on eth0 on host xen2', 'Autoconf on eth0 on the pool'],
    ),
    (
        'HOST_DISABLED',
        lambda sim: sim.set_host(
            'xen2', enabled=False, other_config={'MAINTENANCE_MODE': 'true'}
        ),
        ['MAINTENANCE_MODE=true, disabled'],
    ),
    ('DEFAULT_SR_NOT_SHARED', default_sr, ['"Local storage" (']),
    ('POOL_TOO_LARGE', many, ['64 already']),
]


@pytest.mark.parametrize(('code', 'change', 'words'), WARNINGS)
def test_warnings_do_not_block(
    make_stage: Make, code: str, change: Change, words: list[str]
) -> None:
    found = make_stage()
    change(found.sim)
    report = found.check_join()
    stage.assert_readable(report)
    assert report.blockers == ()
    (warning,) = report.warnings
    assert warning.code == code
    assert [text for text in words if text not in warning.found] == []
    assert found.join() == ''


def test_every_warning_has_a_case() -> None:
    told = {rule.code for rule in requirements.JOIN_WARNINGS}
    # What it tells of is done by the join itself: test_tls_again.
    told.remove('TLS_VERIFICATION_OFF')
    assert told == {code for code, _change, _words in WARNINGS}


@pytest.mark.parametrize(
    ('heals', 'change'),
    [
        (False, checks.running),
        (True, checks.busy),
        (True, checks.no_management),
        (True, lambda sim: sim.start_pool_operation('xen1', 'ha_enable')),
        (True, lambda sim: sim.start_pool_operation('xen1', 'apply_updates')),
        (True, lambda sim: sim.set_pool('xen1', is_psr_pending=True)),
    ],
)
def test_what_passes_by_itself_is_told_apart(
    make_stage: Make, heals: bool, change: Change
) -> None:
    found = make_stage()
    change(found.sim)
    report = found.check_join()
    assert report.blockers
    assert report.heals == heals
    found.sim.add_vlan('xen2', 5)
    assert not found.check_join().heals
