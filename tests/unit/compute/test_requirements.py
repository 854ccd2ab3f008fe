"""Each requirement of joining: met by equals, named when it is not met."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute import preflight
from aggregates_ext.compute import requirements


def side(number: int) -> preflight.Side:
    """A stand-alone host that fits every other one made here."""
    ref = f'OpaqueRef:h{number}'
    return preflight.Side(
        {
            'pool': {
                'OpaqueRef:p': {
                    'master': ref,
                    'ha_enabled': False,
                    'restrictions': {'restrict_pooling': 'false'},
                    'current_operations': {},
                    'tls_verification_enabled': True,
                }
            },
            'host': {ref: host(number)},
            'VM': {
                'OpaqueRef:dom0': {
                    'name_label': 'dom0',
                    'power_state': 'Running',
                    'is_control_domain': True,
                    'current_operations': {},
                }
            },
            'SR': {
                'OpaqueRef:tools': {
                    'name_label': 'Tools',
                    'uuid': 't',
                    'shared': True,
                    'is_tools_sr': True,
                }
            },
            'PIF': {
                'OpaqueRef:pif': {
                    'management': True,
                    'host': ref,
                    'VLAN': '-1',
                    'device': 'eth0',
                    'VLAN_master_of': None,
                    'primary_address_type': 'IPv4',
                }
            },
            'VLAN': {},
            'Bond': {},
        },
        '20261123T10:11:12Z',
    )


def host(number: int) -> dict[str, Any]:
    return {
        'uuid': f'uuid{number}',
        'name_label': f'xen{number}',
        'hostname': f'xen{number}',
        'address': f'10.0.0.{number}',
        'edition': 'xcp-ng',
        'external_auth_type': '',
        'external_auth_service_name': '',
        'API_version_major': '2',
        'API_version_minor': '21',
        'pending_guidances': [],
        'cpu_info': {'vendor': 'GenuineIntel'},
        'software_version': {
            'product_brand': 'XCP-ng',
            'platform_version': '3.4.0',
            'xapi': '24.16',
            'git_id': 'abc',
            'db_schema': '5.779',
            'network_backend': 'openvswitch',
        },
    }


def pool(records: Any) -> Any:
    return records['pool']['OpaqueRef:p']


def master(records: Any) -> Any:
    return records['host'][pool(records)['master']]


def version(**values: str) -> Callable[[Any], None]:
    return lambda records: master(records)['software_version'].update(values)


def machine(**values: Any) -> Callable[[Any], None]:
    found = {
        'name_label': 'web',
        'power_state': 'Halted',
        'is_control_domain': False,
        'current_operations': {},
        **values,
    }
    return lambda records: records['VM'].update({'OpaqueRef:web': found})


def vlan(records: Any) -> None:
    records['PIF']['OpaqueRef:eth1'] = {'management': False, 'host': 'x'}
    records['VLAN']['OpaqueRef:v'] = {
        'tag': '7',
        'untagged_PIF': 'OpaqueRef:eth1',
    }


CASES: list[tuple[str, str, Callable[[Any], Any]]] = [
    (
        'LICENCE_RESTRICTION',
        'restrict_pooling',
        lambda r: pool(r)['restrictions'].update(restrict_pooling='true'),
    ),
    (
        'HA_IS_ENABLED',
        'on at the host',
        lambda r: pool(r).update(ha_enabled=1),
    ),
    (
        'OPERATION_NOT_ALLOWED',
        'uuid uuid1 in the pool',
        lambda r: master(r).update(uuid='uuid1'),
    ),
    (
        'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS',
        'xen9',
        lambda r: r['host'].update({'OpaqueRef:h9': host(9)}),
    ),
    (
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'web (Running)',
        machine(power_state='Running'),
    ),
    (
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'web (Suspended)',
        machine(power_state='Suspended'),
    ),
    (
        'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS',
        'web',
        machine(current_operations={'t': 'clone'}),
    ),
    (
        'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY',
        'reboot_host',
        lambda r: master(r).update(pending_guidances=['reboot_host']),
    ),
    (
        'HOSTS_NOT_COMPATIBLE',
        'XCP-ng 9.9.9',
        version(platform_version='9.9.9'),
    ),
    ('HOSTS_NOT_COMPATIBLE', 'XenServer', version(product_brand='XenServer')),
    ('HOSTS_NOT_HOMOGENEOUS', '25.1', version(xapi='25.1')),
    (
        'HOSTS_NOT_HOMOGENEOUS',
        'AuthenticAMD',
        lambda r: master(r)['cpu_info'].update(vendor='AuthenticAMD'),
    ),
    (
        'JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS',
        'nfs (s)',
        lambda r: r['SR'].update(
            {'x': {'name_label': 'nfs', 'uuid': 's', 'shared': True}}
        ),
    ),
    (
        'POOL_JOINING_HOST_HAS_BONDS',
        'b1',
        lambda r: r['Bond'].update({'x': {'uuid': 'b1'}}),
    ),
    ('POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS', 'VLAN 7', vlan),
    (
        'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
        'VLAN 5 of eth0',
        lambda r: r['PIF']['OpaqueRef:pif'].update(VLAN='5'),
    ),
    (
        'POOL_JOINING_EXTERNAL_AUTH_MISMATCH',
        'AD example.com',
        lambda r: master(r).update(
            external_auth_type='AD', external_auth_service_name='EXAMPLE.com'
        ),
    ),
    (
        'LICENSE_HOST_POOL_MISMATCH',
        'enterprise',
        lambda r: master(r).update(edition='enterprise'),
    ),
    ('OPERATION_NOT_ALLOWED', 'bridge', version(network_backend='bridge')),
    (
        'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION',
        '2.15',
        lambda r: master(r).update(API_version_minor='15'),
    ),
    (
        'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA',
        '5.603',
        version(db_schema='5.603'),
    ),
    (
        'OPERATION_NOT_ALLOWED',
        'IPv6',
        lambda r: r['PIF']['OpaqueRef:pif'].update(
            primary_address_type='IPv6'
        ),
    ),
    (
        'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH',
        'off on the host, on in the pool',
        lambda r: pool(r).update(tls_verification_enabled=False),
    ),
    (
        'NOT_SUPPORTED_DURING_UPGRADE',
        'one on the host',
        lambda r: pool(r)['current_operations'].update(t='apply_updates'),
    ),
    (
        'ADDRESS_CLASH',
        '10.0.0.1',
        lambda r: master(r).update(address='10.0.0.1'),
    ),
]


def test_equals_may_join() -> None:
    report = requirements.check_join(side(2), side(1))
    assert report.blockers == ()
    assert report.warnings == ()


@pytest.mark.parametrize(
    ('code', 'found', 'spoil'), CASES, ids=[f'{c[0]}-{c[1]}' for c in CASES]
)
def test_unmet_requirement_is_named(
    code: str, found: str, spoil: Callable[[Any], Any]
) -> None:
    joiner = copy.deepcopy(side(2))
    spoil(joiner.records)
    (problem,) = requirements.check_join(joiner, side(1)).blockers
    assert problem.code == code
    assert found in problem.found
    assert problem.remedy
    assert problem.remedy in problem.message


def test_every_rule_is_exercised() -> None:
    seen = set()
    for _code, _found, spoil in CASES:
        joiner = copy.deepcopy(side(2))
        spoil(joiner.records)
        for number, rule in enumerate(requirements.JOIN_RULES):
            if rule(joiner, side(1)) is not None:
                seen.add(number)
    full = copy.deepcopy(side(1))
    full.records['host'].update({'a': host(8), 'b': host(9)})
    small = copy.deepcopy(side(2))
    pool(small.records)['restrictions']['restrict_pool_size'] = 'true'
    for number, rule in enumerate(requirements.JOIN_RULES):
        if rule(small, full) is not None:
            seen.add(number)
    assert seen == set(range(len(requirements.JOIN_RULES)))


def test_warnings_do_not_block() -> None:
    joiner = copy.deepcopy(side(2))
    master(joiner.records)['hostname'] = 'xen1'
    late = preflight.Side(joiner.records, '20261123T10:31:12Z')
    report = requirements.check_join(late, side(1))
    assert report.blockers == ()
    assert [warning.code for warning in report.warnings] == [
        'HOST_CLOCK_SKEW_DETECTED',
        'NAME_CLASH',
    ]
    assert '1200 s' in report.warnings[0].found


def test_all_problems_come_at_once() -> None:
    joiner = copy.deepcopy(side(2))
    for _code, _found, spoil in CASES:
        if _code != 'OPERATION_NOT_ALLOWED':
            spoil(joiner.records)
    assert len(requirements.check_join(joiner, side(1)).blockers) > 15
