"""What a host answered, read within bounds: one XML-RPC value.

XML-RPC as xapi writes it (xapi#wire), and nothing else: no document type, no
entity, no element that has no business where it stands. The number and the
depth of what an answer holds are counted before it becomes a value, so that
a small answer cannot become a large one.
"""

import xml.parsers.expat
from collections.abc import Callable
from typing import Any
from typing import NoReturn

from aggregates_ext.compute.xen import pieces

# Bytes of an answer for each value or name in it: those of the tags alone,
# as xapi writes them, are 22. The average is 37 (xapi#answer-sizes).
SPARSEST = 24
# Elements within each other: four for each level of structs. XenAPI nests
# records, maps and sets, seven levels at most (those of event.from).
MAX_DEPTH = 64
CHECK_EVERY = 1000


class Unreadable(Exception):
    """An answer that is none, with the reason in words.

    They may repeat what the host sent, of any length and with the secrets
    that it was told.
    """


_TYPES = frozenset({*pieces.NUMBERS, 'string', 'nil', 'struct', 'array'})
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
# What stands for its text, and holds no element.
_LEAVES = frozenset({*pieces.NUMBERS, 'string', 'name'})
_CHILDREN |= dict.fromkeys((*_LEAVES, 'nil'), frozenset())


class _Reader:
    """Builds a value from the events of a parser.

    All values are in one list, those of the innermost element at its end, and
    most elements leave theirs where they are.

    :ivar pieces: gets the text, which is taken out at the next tag.
    :param values: how many it may have, and names of members.
    :param check: called now and then; what it raises ends the reading.
    """

    __slots__ = (
        '_check',
        '_held',
        '_most',
        '_open',
        '_starts',
        '_values',
        'pieces',
    )

    def __init__(self, values: int, check: Callable[[], object]) -> None:
        self._most = values
        self._check = check
        self._open = ['']
        # Where in the list what an open element holds begins.
        self._starts = [0]
        self._held: list[Any] = []
        self._values = 0
        self.pieces: list[str] = []

    def start(self, tag: str, _attributes: object) -> None:
        opened = self._open
        parent = opened[-1]
        if tag not in _CHILDREN[parent]:
            raise Unreadable(f'XML-RPC has no element "{tag}" in "{parent}"')
        if self.pieces:
            self._skip_space(parent)
        if len(opened) > MAX_DEPTH:
            raise Unreadable(
                f'it has more than {MAX_DEPTH} elements within each other'
            )
        begin = len(self._held)
        if tag == 'value' or tag == 'name':
            self._count()
            if parent == 'member' and begin - self._starts[-1] != (
                tag == 'value'
            ):
                raise Unreadable('a member is not one name and one value')
        opened.append(tag)
        self._starts.append(begin)

    def _count(self) -> None:
        self._values += 1
        if self._values > self._most:
            raise Unreadable(f'it has more than {self._most} values')
        if self._values % CHECK_EVERY == 0:
            self._check()

    def _skip_space(self, tag: str) -> None:
        if ''.join(self.pieces).strip():
            raise Unreadable(f'there is text in "{tag}"')
        self.pieces.clear()

    def end(self, tag: str) -> None:
        self._open.pop()
        begin = self._starts.pop()
        held = self._held
        if tag in _LEAVES or (tag == 'value' and len(held) == begin):
            text = ''.join(self.pieces)
            self.pieces.clear()
            held.append(_number(tag, text) if tag in pieces.NUMBERS else text)
            return
        if self.pieces:
            self._skip_space(tag)
        if tag in _MADE:
            held[begin:] = [_MADE[tag](held[begin:])]
        elif len(held) - begin != (2 if tag == 'member' else 1):
            raise Unreadable(f'"{tag}" holds {len(held) - begin} elements')

    def result(self) -> Any:
        return self._held[0]


def _number(tag: str, text: str) -> Any:
    try:
        return pieces.number(tag, text)
    except ValueError:
        raise Unreadable(f'"{text}" is no {tag}') from None


def _nothing(_held: list[Any]) -> None:
    return None


def _struct(held: list[Any]) -> dict[str, Any]:
    """Of names and values in turn, as members leave them."""
    found = dict(zip(held[::2], held[1::2], strict=True))
    if len(found) * 2 != len(held):
        raise Unreadable('a struct has two members of one name')
    return found


def _fault(held: list[Any]) -> NoReturn:
    fault = held[0] if held and isinstance(held[0], dict) else {}
    raise Unreadable(f'an XML-RPC fault: {fault.get("faultString")}')


# What closed elements make of what they hold; the others hold what they are.
_MADE: dict[str, Callable[[list[Any]], Any]] = {
    'data': list,
    'fault': _fault,
    'nil': _nothing,
    'struct': _struct,
}


def _refuse(*_declaration: object) -> NoReturn:
    raise Unreadable('it declares a document type or an entity')


def read(
    body: bytes | bytearray, values: int, check: Callable[[], object]
) -> Any:
    """The value of an answer.

    :param values: how many it may have, and names of members.
    :param check: called now and then; what it raises ends the reading.
    :raises Unreadable: it is none, or larger than any is.
    """
    try:
        return pieces.read(body, values, check)
    except pieces.Other:
        return _parse(body, values, check)


def _parse(
    body: bytes | bytearray, values: int, check: Callable[[], object]
) -> Any:
    """The same, of an answer that may be written in any way."""
    reader = _Reader(values, check)
    # Whatever the answer declares; xapi knows no other encoding.
    parser = xml.parsers.expat.ParserCreate('utf-8')
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.pieces.append
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except xml.parsers.expat.ExpatError as exc:
        raise Unreadable(f'it is not well-formed XML: {exc}') from None
    return reader.result()
