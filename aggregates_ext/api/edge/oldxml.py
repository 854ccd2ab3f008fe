"""XML of the resources that have forms of their own in the legacy API.

Hosts, services and hypervisors are written with attributes, zones as a tree;
everything else is written by ``wire``. Of long lists there is never a tree of
all: one of 16,000 hypervisors takes more than 100 MB.
"""

import io
import itertools
import re
from collections.abc import Callable
from collections.abc import Iterable
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


def _whole(element: Any) -> bytes:
    return bytes(etree.tostring(element, encoding='UTF-8'))


def _listed(
    name: str, item: str, values: Iterable[Mapping[str, Any]]
) -> bytes:
    """A list, written item by item."""
    rest = iter(values)
    first = next(rest, None)
    if first is None:
        return _whole(etree.Element(name))
    written = io.BytesIO()
    with (
        etree.xmlfile(written, encoding='UTF-8') as writer,
        writer.element(name),
    ):
        for value in itertools.chain([first], rest):
            writer.write(_attributed(item, value))
    return written.getvalue()


def _host(resources: Sequence[Mapping[str, Any]]) -> Any:
    """A host: what it has, was given and gave, one element each."""
    root = etree.Element('host')
    for entry in resources:
        resource = etree.SubElement(root, 'resource')
        for key, value in entry['resource'].items():
            etree.SubElement(resource, key).text = _text(value)
    return root


def _zones(zones: Sequence[Mapping[str, Any]]) -> bytes:
    name = 'availabilityZones'
    nsmap = {'os-availability-zone': ZONES_NAMESPACE}
    if not zones:
        return _whole(etree.Element(name, nsmap=nsmap))
    written = io.BytesIO()
    with (
        etree.xmlfile(written, encoding='UTF-8') as writer,
        writer.element(name, nsmap=nsmap),
    ):
        for zone in zones:
            _zone(writer, zone)
    return written.getvalue()


def _zone(writer: Any, zone: Mapping[str, Any]) -> None:
    with writer.element('availabilityZone', name=clean(zone['zoneName'])):
        writer.write(_attributed('zoneState', zone['zoneState']))
        if zone['hosts']:
            with writer.element('hosts'):
                for name, services in zone['hosts'].items():
                    writer.write(_zone_host(name, services))
        elif zone['hosts'] is not None:
            writer.write(etree.Element('hosts'))
        writer.write(etree.Element('metadata'))


def _zone_host(name: str, services: Mapping[str, Any]) -> Any:
    host = etree.Element('host', {'name': clean(name)})
    listed = etree.SubElement(host, 'services')
    for binary, state in services.items():
        service = etree.SubElement(listed, 'service', {'name': binary})
        service.append(_attributed('serviceState', state))
    return host


# Root -> what writes the document; asked before ``wire``'s own form.
WRITERS: dict[str, Callable[[Any], bytes]] = {
    'hosts': lambda value: _listed('hosts', 'host', value),
    'host': lambda value: _whole(_host(value)),
    'fields': lambda value: _whole(_attributed('host', value)),
    'service': lambda value: _whole(_attributed('service', value)),
    'services': lambda value: _listed('services', 'service', value),
    'hypervisors': lambda value: _listed('hypervisors', 'hypervisor', value),
    'hypervisor': lambda value: _whole(_attributed('hypervisor', value)),
    'hypervisor_statistics': lambda value: _whole(
        _attributed('hypervisor_statistics', value)
    ),
    'availabilityZoneInfo': _zones,
}
