"""A host that is down or disabled, in the views of other extensions."""

import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import hosts
from aggregates_ext.api.resources import hypervisors
from aggregates_ext.api.resources import services
from aggregates_ext.api.resources import zones
from aggregates_ext.domain import inventory

SEEN = datetime.datetime(2026, 11, 23, 2, 58, 27)
ANYBODY: Any = SimpleNamespace(can=lambda rule: None)


def node(name: str, zone: str, **state: bool) -> inventory.Node:
    return inventory.Node(
        id=1,
        name=name,
        hypervisor_uuid='h',
        service_uuid='s',
        zone=zone,
        address=None,
        up=state.get('up', True),
        enabled=state.get('enabled', True),
        disabled_reason=None if state.get('enabled', True) else 'New fans.',
        version=8003000,
        seen_at=SEEN,
    )


@pytest.fixture
def domain() -> Any:
    nodes = [
        node('ill', 'az2', up=False),
        node('off', 'az1', enabled=False),
        node('well', 'az2'),
    ]
    return SimpleNamespace(
        inventory=SimpleNamespace(get_all=lambda: nodes),
    )


def test_only_enabled_hosts_are_listed(domain: Any) -> None:
    found = hosts.index(ANYBODY, domain, shapes.Legacy(), {})
    assert [host['host_name'] for host in found['hosts']] == ['ill', 'well']


def test_services_tell_state_and_status(domain: Any) -> None:
    found = services.index(ANYBODY, domain, shapes.Modern((2, 1)), {})
    assert [
        (s['state'], s['status'], s['disabled_reason'], s['updated_at'])
        for s in found['services']
    ] == [
        ('down', 'enabled', None, '2026-11-23T02:58:27.000000'),
        (
            'up',
            'disabled',
            'New fans.',
            '2026-11-23T02:58:27.000000',
        ),
        ('up', 'enabled', None, '2026-11-23T02:58:27.000000'),
    ]


def test_hypervisors_tell_state_and_status(domain: Any) -> None:
    shape = shapes.Modern((2, 88))
    ill, off, _well = hypervisors.detail(ANYBODY, domain, shape, {}).items
    assert (ill['state'], ill['status']) == ('down', 'enabled')
    assert (off['state'], off['status']) == ('up', 'disabled')
    assert off['service']['disabled_reason'] == 'New fans.'
    assert ill['host_ip'] is None
    assert ill['hypervisor_version'] == 8003000


def test_a_zone_without_enabled_hosts_is_not_available(domain: Any) -> None:
    found = zones.detail(ANYBODY, domain, shapes.Modern((2, 1)), {})
    az2, az1 = found['availabilityZoneInfo']
    assert az1 == {
        'zoneName': 'az1',
        'zoneState': {'available': False},
        'hosts': None,
    }
    assert az2['zoneState'] == {'available': True}
    assert az2['hosts']['ill']['nova-compute']['available'] is False
    assert az2['hosts']['well']['nova-compute']['available'] is True
