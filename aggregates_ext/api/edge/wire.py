"""The outside of a request: JSON and XML, to a dict and back.

Only this module knows XML. What it hands inwards is plain data, and what
cannot be that is refused here: bodies that are too large or too deep, DTDs,
numbers and texts that no database would take.
"""

import io
import json
import re
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import webob
import webob.exc
from lxml import etree
from webob import acceptparse

from aggregates_ext import exception
from aggregates_ext.api.edge import oldxml
from aggregates_ext.api.edge import remembered

MAX_BODY = 114_688  # bytes, as oslo.middleware's own limit
# What is refused is read up to here all the same. A server that closes a
# connection on which more is sent resets it, and a proxy in front may then
# tell of a bad gateway in place of the refusal.
MAX_DROPPED = 2**20
PIECE = 2**16
MAX_DEPTH = 32
COMPUTE_NAMESPACE = 'http://docs.openstack.org/compute/api/v1.1'
COMMON_NAMESPACE = 'http://docs.openstack.org/common/api/v1.0'
ATOM_NAMESPACE = 'http://www.w3.org/2005/Atom'


class Media(NamedTuple):
    """How an answer is written.

    :ivar kind: 'json' or 'xml'.
    :ivar content_type: as asked for; vendor types are echoed.
    """

    kind: str
    content_type: str


JSON = Media('json', 'application/json')
XML = Media('xml', 'application/xml')
_OFFERS = (
    JSON,
    Media('json', 'application/vnd.openstack.compute+json'),
    XML,
    Media('xml', 'application/vnd.openstack.compute+xml'),
)
_JSON_BODIES = {'', 'text/plain', *(o.content_type for o in _OFFERS[:2])}
_XML_BODIES = {'text/xml', *(o.content_type for o in _OFFERS[2:])}

# Fields that are true or false; in XML they come as text.
_FLAGS = {
    'dry_run',
    'force',
    'hard',
    'only_if_needed',
    'replace',
    'restore',
    'stay_on_failure',
    'suspend_ha',
    'sync',
}
_BOOLEANS = {'true': True, 'false': False}
# Elements whose children are items of a list.
_LISTS = {'accept_data_loss', 'hosts', 'shut_down'}
# Elements in which an empty child means null: there is no other text for it.
_NULLABLE = {'aggregate', 'metadata'}
ITEMS = {
    'actions': 'action',
    'aggregates': 'aggregate',
    'hosts': 'host',
    'operations': 'operation',
    'pools': 'pool',
    'moves': 'move',
    'blockers': 'blocker',
    'warnings': 'warning',
    'details': 'detail',
    'parameters': 'parameter',
    'drift': 'difference',
    'result': 'change',
    'changes': 'change',
    'accept_data_loss': 'sr',
    'sr': 'disk',
    'used_by': 'machine',
    'plan': 'move',
    'shut_down': 'guest',
    'guests': 'guest',
    'consent': 'guest',
    'homes': 'move',
    'away': 'move',
    'packages': 'package',
    'guidance': 'task',
    'pending_guidances': 'guidance',
}
# Elements whose children are named by a uuid, which no element can be.
_BY_UUID = {'disks': 'sr'}
NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_.-]*')
_SURROGATE = re.compile('[\ud800-\udfff]')


def choose(accept: str | None, suffix: str | None) -> Media:
    """The type of an answer: path suffix, then Accept, then JSON.

    At equal quality the more specific range wins, then our own order.
    """
    if suffix:
        return XML if suffix == 'xml' else JSON
    return _choose(accept)


@remembered.remembered
def _choose(accept: str | None) -> Media:
    if accept is None:
        return JSON
    ranges = acceptparse.create_accept_header(accept).parsed
    best, chosen = (0.0, 0), JSON
    for offer in _OFFERS:
        rank = _rank(offer.content_type, ranges or ())
        if rank > best:
            best, chosen = rank, offer
    return chosen


def _rank(content_type: str, ranges: Any) -> tuple[float, int]:
    """Quality and specificity of the range that fits a type best."""
    masks = {content_type: 2, 'application/*': 1, '*/*': 0}
    found = (0.0, 0)
    for media_range, quality, *_rest in ranges:
        mask = media_range.split(';')[0].strip().lower()
        if quality and mask in masks:
            found = max(found, (quality, masks[mask]))
    return found


def read(request: webob.Request, xml: bool, bare: bool = False) -> Any:
    """The body of a request as plain data.

    :param xml: whether XML is understood here.
    :param bare: it has no root, which XML always has: whatever that is.
    :raises exception.UnsupportedMediaType: neither JSON nor, where it is
        understood, XML.
    :raises exception.TooLarge: more than ``MAX_BODY``.
    :raises exception.Malformed: not what the content type says.
    """
    content_type = request.headers.get('Content-Type', '')
    plain = content_type.split(';')[0].strip().lower()
    if plain not in _JSON_BODIES and not (xml and plain in _XML_BODIES):
        raise exception.UnsupportedMediaType(
            content_type=_brief(content_type),
            accepted='application/json or application/xml'
            if xml
            else 'application/json',
        )
    data = _read_bytes(request)
    if not data.strip():
        raise exception.Malformed(reason='it is empty.')
    if plain not in _XML_BODIES:
        return _read_json(data)
    found = _read_xml(data)
    return next(iter(found.values())) if bare else found


def _brief(text: str) -> str:
    return text if len(text) <= 60 else f'{text[:60]}...'


def _read_bytes(request: webob.Request) -> bytes:
    limit = exception.TooLarge(
        reason=f'a body may have {MAX_BODY} bytes at most.'
    )
    if (request.content_length or 0) > MAX_DROPPED:
        raise limit
    try:
        data = _take(request.body_file)
    except webob.exc.HTTPRequestEntityTooLarge:  # the filter sizelimit
        raise limit from None
    except Exception as exc:
        # Servers have errors of their own for a chunk that is none, or an
        # end that comes too early; none of them is ours.
        raise exception.Malformed(
            reason='it ended too early, or its chunks are wrong.'
        ) from exc
    if len(data) > MAX_BODY:
        raise limit
    return data


def _take(body: Any) -> bytes:
    """What a body has, or the beginning of one that is too large."""
    data: bytes = body.read(MAX_BODY + 1)
    left = MAX_DROPPED if len(data) > MAX_BODY else 0
    while left > 0 and body.read(PIECE):
        left -= PIECE
    return data


def _read_json(data: bytes) -> Any:
    try:
        value = json.loads(
            data.decode('utf-8-sig'),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise exception.Malformed(reason='it is not UTF-8.') from None
    except ValueError as exc:
        raise exception.Malformed(reason=f'not JSON: {exc}.') from None
    _examine(value)
    return value


def _too_deep() -> exception.Malformed:
    return exception.Malformed(
        reason=f'it is nested more than {MAX_DEPTH} levels deep.'
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise exception.Malformed(
            reason=f'the name {ascii(_brief(twice))} occurs twice in an '
            'object.'
        )
    return found


def _refuse_constant(name: str) -> None:
    raise exception.Malformed(reason=f'not JSON: {name} is no number there.')


def _examine(value: Any) -> None:
    """Refuse what JSON can spell and nothing behind it can take."""
    rest = [(value, 1)]
    while rest:
        item, depth = rest.pop()
        if depth > MAX_DEPTH:
            raise _too_deep()
        if isinstance(item, str) and _SURROGATE.search(item):
            raise exception.Malformed(
                reason='half of a surrogate pair (\\ud800 to \\udfff) '
                'stands alone.'
            )
        if isinstance(item, dict):
            rest += [(key, depth) for key in item]
            rest += [(child, depth + 1) for child in item.values()]
        elif isinstance(item, list):
            rest += [(child, depth + 1) for child in item]


class _Element:
    """An element under construction: its attributes, children and text."""

    def __init__(
        self, name: str, attributes: dict[str, str], parent: str = ''
    ) -> None:
        self.name = name
        # In metadata all names are the client's own, and mean nothing here.
        self._plain = 'metadata' in (name, parent)
        # <meta key="k">v</meta> is another way to write <k>v</k>.
        named = name == 'meta' and 'key' in attributes
        self.key = attributes.pop('key') if named else name
        self.attributes = attributes
        self.children: list[tuple[str, Any]] = []
        self.text = ''

    def value(self) -> Any:
        """Text where there is only text, else what it contains."""
        if self.children and self.text.strip():
            raise exception.Malformed(
                reason=f'text stands beside elements in {_brief(self.name)}.'
            )
        if self.name in _LISTS and not self._plain:
            if self.text.strip() or self.attributes:
                raise exception.Malformed(
                    reason=f'{self.name} has elements alone, one for each '
                    'item.'
                )
            return [value for _key, value in self.children]
        if self.text and not self.children:
            return self._read(self.name, self.text)
        fields = [(n, self._read(n, t)) for n, t in self.attributes.items()]
        return _unique([*fields, *self.children])

    def _read(self, name: str, text: str) -> str | bool:
        """The text of a field, or the boolean that it spells."""
        is_flag = name in _FLAGS and not self._plain
        return _BOOLEANS.get(text, text) if is_flag else text


class _Target:
    """Builds plain data while lxml parses; stops it at the first offence."""

    def __init__(self) -> None:
        self._open: list[_Element] = []
        self._result: dict[str, Any] = {}

    def doctype(self, *_args: Any) -> None:
        raise exception.Malformed(
            reason='a document type declaration (DTD) and entities are not '
            'accepted; send the element alone.'
        )

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _too_deep()
        own = {k: v for k, v in attributes.items() if not k.startswith('{')}
        # Not QName: it refuses ":a", which the parser lets pass.
        parent = self._open[-1].name if self._open else ''
        self._open.append(_Element(tag.rpartition('}')[2], own, parent))

    def data(self, text: str) -> None:
        self._open[-1].text += text

    def end(self, _tag: str) -> None:
        element = self._open.pop()
        value = element.value()
        if not self._open:
            self._result = {element.key: value}
            return
        parent = self._open[-1]
        if value == {} and parent.name in _NULLABLE:
            value = None
        parent.children.append((element.key, value))

    def close(self) -> dict[str, Any]:
        return self._result


def _read_xml(data: bytes) -> Any:
    parser = etree.XMLParser(
        target=_Target(),
        # A DTD is refused before it could define any; with False the five
        # predefined ones would stay unresolved in attributes.
        resolve_entities='internal',
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as exc:
        raise exception.Malformed(reason=f'not XML: {exc.msg}.') from None


def write(body: Mapping[str, Any], media: Media) -> bytes:
    """An answer as bytes.

    :param body: has one key, the root, and may have links beside a list. A
        list may come as an iterator, which makes its items one by one.
    """
    (name, value), *beside = body.items()
    if media.kind == 'json' and isinstance(value, Iterator):
        return _write_list(name, value, dict(beside))
    if media.kind == 'json':
        return json.dumps(body).encode()
    if isinstance(value, str):
        # Fields without a root are those of a host.
        return oldxml.WRITERS['fields'](body)
    if name == 'extensions':
        return _document(_extensions(value))
    if name == 'extension':
        return _document(_extension(etree.Element('extension'), value))
    if name in oldxml.WRITERS:
        return oldxml.WRITERS[name](value)
    root = etree.Element(name)
    _fill(root, value)
    for _name, links in beside:
        _link(root, links)
    return bytes(etree.tostring(root, encoding='UTF-8'))


def _write_list(
    name: str, items: Iterator[Any], beside: Mapping[str, Any]
) -> bytes:
    """The same bytes as of a list, without all of it at once."""
    written = io.BytesIO()
    written.write(f'{{{json.dumps(name)}: ['.encode())
    for number, item in enumerate(items):
        text = json.dumps(item)
        written.write((f', {text}' if number else text).encode())
    written.write(b']')
    for key, value in beside.items():
        written.write(f', {json.dumps(key)}: {json.dumps(value)}'.encode())
    written.write(b'}')
    return written.getvalue()


def _link(element: Any, links: list[Mapping[str, str]]) -> None:
    """Links as children in the namespace of Atom, as Nova wrote them."""
    for link in links:
        etree.SubElement(
            element,
            etree.QName(ATOM_NAMESPACE, 'link'),
            {name: oldxml.clean(text) for name, text in link.items()},
            nsmap={'atom': ATOM_NAMESPACE},
        )


def write_fault(name: str, code: int, message: str, media: Media) -> bytes:
    """A fault as bytes; XML has the code as attribute."""
    if media.kind == 'json':
        return json.dumps({name: {'message': message, 'code': code}}).encode()
    root = etree.Element(
        etree.QName(COMPUTE_NAMESPACE, name),
        {'code': str(code)},
        nsmap={None: COMPUTE_NAMESPACE},
    )
    child = etree.SubElement(root, etree.QName(COMPUTE_NAMESPACE, 'message'))
    child.text = oldxml.clean(message)
    return bytes(etree.tostring(root, encoding='UTF-8'))


def _document(root: Any) -> bytes:
    return bytes(etree.tostring(root, xml_declaration=True, encoding='UTF-8'))


def _fill(element: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, content in value.items():
            _fill(_child(element, key), content)
    elif isinstance(value, list | tuple):
        for item in value:
            name = ITEMS.get(element.tag, 'item')
            _fill(etree.SubElement(element, name), item)
    elif isinstance(value, bool):
        element.text = str(value).lower()
    elif value is not None:
        element.text = oldxml.clean(str(value))


def _child(parent: Any, key: str) -> Any:
    """An element named after a key, or <meta key=""> where none can be."""
    if parent.tag in _BY_UUID:
        return etree.SubElement(
            parent, _BY_UUID[parent.tag], {'uuid': oldxml.clean(key)}
        )
    if NAME.fullmatch(key):
        return etree.SubElement(parent, key)
    return etree.SubElement(parent, 'meta', {'key': oldxml.clean(key)})


def _extension(element: Any, value: Mapping[str, Any]) -> Any:
    """Fill an extension; without namespace, as its document shows it."""
    for name in ('name', 'namespace', 'alias', 'updated'):
        element.set(name, oldxml.clean(str(value.get(name) or '')))
    namespace = etree.QName(element).namespace
    description = etree.SubElement(
        element, etree.QName(namespace, 'description')
    )
    description.text = oldxml.clean(str(value.get('description') or ''))
    return element


def _extensions(values: list[Mapping[str, Any]]) -> Any:
    root = etree.Element(
        etree.QName(COMMON_NAMESPACE, 'extensions'),
        nsmap={None: COMMON_NAMESPACE, 'atom': ATOM_NAMESPACE},
    )
    for value in values:
        tag = etree.QName(COMMON_NAMESPACE, 'extension')
        _extension(etree.SubElement(root, tag), value)
    return root
