"""XML of the resources that have forms of their own in the legacy API.

Hosts, services and hypervisors are written with attributes, zones as a tree;
everything else is written by ``wire``.
"""

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from lxml import etree

ZONES_NAMESPACE = (
    'http://docs.openstack.org/compute/ext/availabilityzone/api/v1.1'
)


_NOT_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


def clean(text: str) -> str:
    """Text without the characters that XML cannot carry in any way."""
    return _NOT_XML.sub('\ufffd', text)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else clean(str(value))


def _attributed(name: str, value: Mapping[str, Any]) -> Any:
    """An element with plain values as attributes; null is left out."""
    element = etree.Element(name)
    for key, content in value.items():
        if isinstance(content, Mapping):
            element.append(_attributed(key, content))
        elif content is not None and content != []:
            element.set(key, _text(content))
    return element


def _listed(name: str, item: str, values: Sequence[Mapping[str, Any]]) -> Any:
    root = etree.Element(name)
    root.extend([_attributed(item, value) for value in values])
    return root


def _host(resources: Sequence[Mapping[str, Any]]) -> Any:
    """A host: what it has, was given and gave, one element each."""
    root = etree.Element('host')
    for entry in resources:
        resource = etree.SubElement(root, 'resource')
        for key, value in entry['resource'].items():
            etree.SubElement(resource, key).text = _text(value)
    return root


def _zones(zones: Sequence[Mapping[str, Any]]) -> Any:
    root = etree.Element(
        'availabilityZones', nsmap={'os-availability-zone': ZONES_NAMESPACE}
    )
    for zone in zones:
        element = etree.SubElement(
            root, 'availabilityZone', {'name': clean(zone['zoneName'])}
        )
        element.append(_attributed('zoneState', zone['zoneState']))
        if zone['hosts'] is not None:
            element.append(_zone_hosts(zone['hosts']))
        etree.SubElement(element, 'metadata')
    return root


def _zone_hosts(hosts: Mapping[str, Mapping[str, Any]]) -> Any:
    root = etree.Element('hosts')
    for name, services in hosts.items():
        host = etree.SubElement(root, 'host', {'name': clean(name)})
        listed = etree.SubElement(host, 'services')
        for binary, state in services.items():
            service = etree.SubElement(listed, 'service', {'name': binary})
            service.append(_attributed('serviceState', state))
    return root


# Root -> what makes the element; asked before ``wire``'s own form.
WRITERS = {
    'hosts': lambda value: _listed('hosts', 'host', value),
    'host': _host,
    'services': lambda value: _listed('services', 'service', value),
    'hypervisors': lambda value: _listed('hypervisors', 'hypervisor', value),
    'hypervisor': lambda value: _attributed('hypervisor', value),
    'hypervisor_statistics': lambda value: _attributed(
        'hypervisor_statistics', value
    ),
    'availabilityZoneInfo': _zones,
}
