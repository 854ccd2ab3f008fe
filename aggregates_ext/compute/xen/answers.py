"""What a host answered, read within bounds: one XML-RPC value.

XML-RPC as xapi writes it (xapi#wire), and nothing else: no document type, no
entity, no element that has no business where it stands. The number and the
depth of what an answer holds are counted before it becomes a value, so that
a small answer cannot become a large one.
"""

import re
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Callable
from typing import Any
from typing import NoReturn

# Bytes of an answer for each value or name in it: those of the tags alone,
# as xapi writes them, are 22. The average is 37 (xapi#answer-sizes).
SPARSEST = 24
# Elements within each other: four for each level of structs. XenAPI nests
# records, maps and sets, seven levels at most (those of event.from).
MAX_DEPTH = 64
# Characters of a number or a date, far more than any has.
MAX_SCALAR = 64
CHECK_EVERY = 1000
_INT = re.compile(r'[+-]?[0-9]{1,19}')


class Unreadable(Exception):
    """An answer that is none, with the reason in words.

    They may repeat what the host sent, of any length and with the secrets
    that it was told.
    """


def _read_int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise ValueError
    return int(text)


def _read_double(text: str) -> float:
    if '_' in text:
        raise ValueError
    return float(text)


_NUMBERS: dict[str, Callable[[str], Any]] = {
    'int': _read_int,
    'i4': _read_int,
    'i8': _read_int,
    'double': _read_double,
    'boolean': {'0': False, '1': True}.__getitem__,
    'dateTime.iso8601': xmlrpc.client.DateTime,
}
_TYPES = frozenset({*_NUMBERS, 'string', 'nil', 'struct', 'array'})
# Where an element may stand; '' is the document.
_CHILDREN = {
    '': frozenset({'methodResponse'}),
    'methodResponse': frozenset({'params', 'fault'}),
    'params': frozenset({'param'}),
    'param': frozenset({'value'}),
    'fault': frozenset({'value'}),
    'value': _TYPES,
    'struct': frozenset({'member'}),
    'member': frozenset({'name', 'value'}),
    'array': frozenset({'data'}),
    'data': frozenset({'value'}),
}
_NOTHING: frozenset[str] = frozenset()
_WITH_TEXT = frozenset({*_NUMBERS, 'value', 'name', 'string'})


class _Element:
    """An element that is open, with what it holds so far."""

    __slots__ = ('items', 'tag', 'text')

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.items: list[Any] = []
        self.text: str | list[str] = ''


class _Reader:
    """Builds a value from the events of a parser.

    :param values: how many it may have, and names of members.
    :param check: called now and then; what it raises ends the reading.
    """

    def __init__(self, values: int, check: Callable[[], object]) -> None:
        self._most = values
        self._check = check
        self._open = [_Element('')]
        self._values = 0

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        parent = self._open[-1]
        if tag not in _CHILDREN.get(parent.tag, _NOTHING):
            raise Unreadable(
                f'XML-RPC has no element "{tag}" in "{parent.tag}"'
            )
        if len(self._open) > MAX_DEPTH:
            raise Unreadable(
                f'it has more than {MAX_DEPTH} elements within each other'
            )
        if tag == 'value' or tag == 'name':
            self._count()
            if parent.tag == 'member' and len(parent.items) != (
                tag == 'value'
            ):
                raise Unreadable('a member is not one name and one value')
        self._open.append(_Element(tag))

    def _count(self) -> None:
        self._values += 1
        if self._values > self._most:
            raise Unreadable(f'it has more than {self._most} values')
        if self._values % CHECK_EVERY == 0:
            self._check()

    def data(self, text: str) -> None:
        element = self._open[-1]
        if element.tag not in _WITH_TEXT:
            if text.strip():
                raise Unreadable(f'there is text in "{element.tag}"')
        elif not element.text:
            element.text = text
        elif isinstance(element.text, str):
            # Not added to each other, which takes the square of the time.
            element.text = [element.text, text]
        else:
            element.text.append(text)

    def end(self, tag: str) -> None:
        element = self._open.pop()
        if not isinstance(element.text, str):
            element.text = ''.join(element.text)
        value = _EVALUATE[tag](tag, element.items, element.text)
        self._open[-1].items.append(value)

    def result(self) -> Any:
        return self._open[0].items[0]


def _value(_tag: str, items: list[Any], text: str) -> Any:
    """A value: of a type, or text without one."""
    if not items:
        return text
    if len(items) != 1 or text.strip():
        raise Unreadable('a value is not of one type')
    return items[0]


def _number(tag: str, _items: list[Any], text: str) -> Any:
    try:
        if len(text) > MAX_SCALAR:
            raise ValueError
        return _NUMBERS[tag](text.strip())
    except (ValueError, KeyError):
        raise Unreadable(f'"{text}" is no {tag}') from None


def _text(_tag: str, _items: list[Any], text: str) -> str:
    return text


def _nothing(_tag: str, _items: list[Any], _text: str) -> None:
    return None


def _list(_tag: str, items: list[Any], _text: str) -> list[Any]:
    return items


def _member(tag: str, items: list[Any], _text: str) -> list[Any]:
    if len(items) != 2:
        raise Unreadable(f'"{tag}" holds {len(items)} elements')
    return items


def _struct(_tag: str, items: list[Any], _text: str) -> dict[str, Any]:
    found = {name: value for name, value in items}
    if len(found) != len(items):
        raise Unreadable('a struct has two members of one name')
    return found


def _single(tag: str, items: list[Any], _text: str) -> Any:
    if len(items) != 1:
        raise Unreadable(f'"{tag}" holds {len(items)} elements')
    return items[0]


def _fault(_tag: str, items: list[Any], _text: str) -> NoReturn:
    fault = items[0] if items and isinstance(items[0], dict) else {}
    raise Unreadable(f'an XML-RPC fault: {fault.get("faultString")}')


# What a closed element stands for.
_EVALUATE: dict[str, Callable[[str, list[Any], str], Any]] = {
    **dict.fromkeys(_NUMBERS, _number),
    'array': _single,
    'data': _list,
    'fault': _fault,
    'member': _member,
    'methodResponse': _single,
    'name': _text,
    'nil': _nothing,
    'param': _single,
    'params': _single,
    'string': _text,
    'struct': _struct,
    'value': _value,
}


def _refuse(*_declaration: object) -> NoReturn:
    raise Unreadable('it declares a document type or an entity')


def read(body: bytes, values: int, check: Callable[[], object]) -> Any:
    """The value of an answer.

    :param values: how many it may have, and names of members.
    :param check: called now and then; what it raises ends the reading.
    :raises Unreadable: it is none, or larger than any is.
    """
    reader = _Reader(values, check)
    # Whatever the answer declares; xapi knows no other encoding.
    parser = xml.parsers.expat.ParserCreate('utf-8')
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except xml.parsers.expat.ExpatError as exc:
        raise Unreadable(f'it is not well-formed XML: {exc}') from None
    return reader.result()
