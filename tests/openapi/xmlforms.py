"""What is XML of a schema, in the words of OpenAPI, and how it is read.

The keyword ``xml`` tells of names, lists and attributes. What it cannot tell
is in the description of the document: null is an empty element, and a key
that can be no element is ``<meta key="…">``.
"""

import copy
from collections.abc import Mapping
from typing import Any

from lxml import etree

from aggregates_ext.api.edge import oldxml
from aggregates_ext.api.edge import wire
from tests.openapi import neighbours
from tests.openapi import responses

Schema = dict[str, Any]


class Unexpected(AssertionError):
    """XML that is not of its schema."""


def element(name: str, rule: Schema) -> Schema:
    """The same as an element of that name, whose fields are elements."""
    told = copy.deepcopy(rule)
    xml: Schema = {'name': name}
    if 'items' in told:
        xml['wrapped'] = True
        told['items'] = element(wire.ITEMS.get(name, 'item'), told['items'])
    for key, field in told.get('properties', {}).items():
        if isinstance(field, dict) and _is_nested(field):
            told['properties'][key] = element(key, field)
    return {**told, 'xml': xml}


def _is_nested(rule: Schema) -> bool:
    return 'items' in rule or 'properties' in rule


def attributed(name: str, rule: Schema) -> Schema:
    """The same as an element whose plain fields are attributes.

    One that is null is left out.
    """
    told = copy.deepcopy(rule)
    fields = told['properties']
    told['required'] = [
        key for key in told['required'] if 'null' not in _types(fields[key])
    ]
    for key, field in fields.items():
        if 'properties' in field:
            fields[key] = attributed(key, field)
        else:
            fields[key] = {**field, 'xml': {'attribute': True}}
    return {**told, 'xml': {'name': name}}


def listed(name: str, item: Schema) -> Schema:
    """A list as an element of that name."""
    xml = {'name': name, 'wrapped': True}
    return {'type': 'array', 'items': item, 'xml': xml}


def _of(namespace: str, rule: Schema) -> Schema:
    """The same with its elements in a namespace."""
    told = copy.deepcopy(rule)
    if not told.get('xml', {}).get('attribute'):
        told['xml'] = {**told.get('xml', {}), 'namespace': namespace}
    for key, field in told.get('properties', {}).items():
        told['properties'][key] = _of(namespace, field)
    if 'items' in told:
        told['items'] = _of(namespace, told['items'])
    return told


def fault(status: int) -> Schema:
    """A fault: its code is an attribute."""
    name = responses.fault_names()[status]
    code = {'type': 'integer', 'const': status, 'xml': {'attribute': True}}
    rule = responses.obj(code=code, message=responses.TEXT)
    return _of(wire.COMPUTE_NAMESPACE, {**rule, 'xml': {'name': name}})


def _extension() -> Schema:
    attribute = {**responses.TEXT, 'xml': {'attribute': True}}
    names = ('name', 'namespace', 'alias', 'updated')
    fields = dict.fromkeys(names, attribute)
    rule = responses.obj(**fields, description=responses.TEXT)
    return {**rule, 'xml': {'name': 'extension'}}


def _zone() -> Schema:
    found = neighbours.zone('legacy')['properties']
    services = found['hosts']['additionalProperties']['properties']
    named = {**responses.TEXT, 'xml': {'attribute': True}}
    service = responses.obj(
        name=named,
        serviceState=attributed('serviceState', services['nova-compute']),
    )
    host = responses.obj(
        name=named,
        services=listed('services', {**service, 'xml': {'name': 'service'}}),
    )
    rule = responses.obj(
        ('hosts',),
        name=named,
        zoneState=attributed('zoneState', found['zoneState']),
        hosts=listed('hosts', {**host, 'xml': {'name': 'host'}}),
        metadata={'type': 'null'},
    )
    return {**rule, 'xml': {'name': 'availabilityZone'}}


def special() -> dict[str, Schema]:
    """What is written otherwise than its JSON, by its root there."""
    alone = neighbours.hypervisor('legacy', detailed=True)
    resource = element('resource', neighbours.RESOURCE)
    host = attributed('host', neighbours.HOST)
    service = attributed('service', neighbours.service('legacy'))
    return {
        'extension': _extension(),
        'extensions': _of(
            wire.COMMON_NAMESPACE, listed('extensions', _extension())
        ),
        'hosts': listed('hosts', host),
        'host': listed('host', resource),
        '': attributed('host', neighbours.CHANGED_HOST),
        'service': attributed('service', neighbours.changed_service('legacy')),
        'services': listed('services', service),
        'hypervisor': attributed('hypervisor', alone),
        'hypervisor_statistics': attributed(
            'hypervisor_statistics', neighbours.STATISTICS
        ),
        'availabilityZoneInfo': listed('availabilityZones', _zone()),
    }


def read(root: Any, rule: Schema, known: Mapping[str, Schema]) -> Any:
    """What an element says, as its schema reads it.

    :param known: the schemas that are referred to.
    :raises Unexpected: it has what the schema does not tell.
    """
    rule = _resolved(root, rule, known)
    xml = rule.get('xml', {})
    name = etree.QName(root)
    if xml.get('name', name.localname) != name.localname:
        raise Unexpected(f'{root.tag} should be {xml["name"]}')
    if xml.get('namespace') != name.namespace:
        raise Unexpected(f'{root.tag} should be in {xml.get("namespace")}')
    types = _types(rule)
    if 'null' in types and not (len(root) or root.text or root.attrib):
        return None
    if 'object' in types:
        return _read_object(root, rule, known)
    if 'array' in types:
        if not xml.get('wrapped') or root.attrib:
            raise Unexpected(f'{root.tag} is no list')
        children = [c for c in root if not _is_link(c)]
        return [read(child, rule['items'], known) for child in children]
    if len(root) or root.attrib:
        raise Unexpected(f'{root.tag} has more than text')
    return _plain(root.text or '', types)


def _is_link(root: Any) -> bool:
    return bool(etree.QName(root) == etree.QName(wire.ATOM_NAMESPACE, 'link'))


def _resolved(root: Any, rule: Schema, known: Mapping[str, Schema]) -> Schema:
    """The schema itself; of several, that of the root's name."""
    if '$ref' in rule:
        return known[rule['$ref'].rpartition('/')[2]]
    if 'oneOf' not in rule:
        return rule
    name = etree.QName(root).localname
    for one in rule['oneOf']:
        found = _resolved(root, one, known)
        if found['xml']['name'] == name:
            return found
    raise Unexpected(f'{root.tag} is none of those that can be')


def _types(rule: Schema) -> set[str]:
    told = rule.get('type', [])
    return {told} if isinstance(told, str) else set(told)


def _read_object(
    root: Any, rule: Schema, known: Mapping[str, Schema]
) -> dict[str, Any]:
    fields = rule.get('properties', {})
    others = rule.get('additionalProperties', {})
    found: dict[str, Any] = {}
    for key, text in root.attrib.items():
        field = fields.get(key, {})
        if not field.get('xml', {}).get('attribute'):
            raise Unexpected(f'{root.tag} has an attribute {key}')
        found[key] = _plain(text, _types(field))
    for child in root:
        name = etree.QName(child).localname
        key = child.attrib.pop('key') if name == 'meta' else name
        field = fields.get(key, others)
        if key in found or field is False:
            raise Unexpected(f'{root.tag} has {key} too')
        if field.get('xml', {}).get('attribute'):
            raise Unexpected(f'{key} of {root.tag} is no attribute')
        found[key] = read(child, field, known) if field else child.text
    return found


def _plain(text: str, types: set[str]) -> Any:
    if 'boolean' in types:
        return {'true': True, 'false': False}.get(text, text)
    if 'integer' in types:
        return int(text) if text.isdigit() else text
    return text


def write(name: str, value: Any, rule: Schema) -> bytes:
    """Data as an element, whether it meets the schema or not."""
    root = etree.Element(name)
    _fill(root, value, rule)
    return bytes(etree.tostring(root))


def _fill(root: Any, value: Any, rule: Schema) -> None:
    if isinstance(value, dict):
        for key, content in value.items():
            field = rule.get('properties', {}).get(key, {})
            _fill(_child(root, key), content, field)
    elif isinstance(value, list):
        item = rule.get('items', {})
        for content in value:
            name = item.get('xml', {}).get('name', 'item')
            _fill(etree.SubElement(root, name), content, item)
    elif isinstance(value, bool):
        root.text = str(value).lower()
    elif value is not None:
        root.text = oldxml.clean(str(value))


def _child(root: Any, key: str) -> Any:
    if wire.NAME.fullmatch(key):
        return etree.SubElement(root, key)
    return etree.SubElement(root, 'meta', {'key': oldxml.clean(key)})
