"""Answers in the form that xapi gives them, read in long pieces.

A service spends much of its time in reading answers. xapi puts nothing
between its elements, and most of what it says is text (xapi#wire): so that
is found by regular expressions, many values at a time, in less than half the
time that a parser's events take. What is written in any other way, rightly or
wrongly, is left to ``answers``, which reads all of XML-RPC and tells what is
wrong.
"""

import re
import xmlrpc.client
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

# Characters of a number or a date, far more than any has.
MAX_SCALAR = 64
# Structs and arrays within each other; XenAPI nests seven (event.from). They
# are fewer than a parser takes, three elements each.
MAX_DEPTH = 8
# Bytes of an answer whose text may take four times as much in memory, as it
# does for the sake of one odd character.
MOST_ODD = 4 << 20
# Texts that are read at once, at most, and values after which the time is
# looked at.
MANY = 500
CHECK_EVERY = 1000
_INT = re.compile(r'[+-]?[0-9]{1,19}')


class Other(Exception):
    """An answer that is written in another way than xapi's."""


def _read_int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise ValueError
    return int(text)


def _read_double(text: str) -> float:
    if '_' in text:
        raise ValueError
    return float(text)


def _read_boolean(text: str) -> bool:
    if text not in ('0', '1'):
        raise ValueError
    return text == '1'


NUMBERS: dict[str, Callable[[str], Any]] = {
    'int': _read_int,
    'i4': _read_int,
    'i8': _read_int,
    'double': _read_double,
    'boolean': _read_boolean,
    'dateTime.iso8601': xmlrpc.client.DateTime,
}


def number(tag: str, text: str) -> Any:
    """What an element says, which is one of ``NUMBERS``.

    :raises ValueError: no such thing.
    """
    if len(text) > MAX_SCALAR:
        raise ValueError
    return NUMBERS[tag](text.strip())


_REFERENCES = {'amp': '&', 'lt': '<', 'gt': '>', 'quot': '"', 'apos': "'"}
_REFERENCE = re.compile(f'&({"|".join(_REFERENCES)});')
# Text, with its references. Before a "<" it is looked through once, whether
# that follows or not: no host can make a match go back and forth.
_CHARACTER = r'[^<>\x00-\x08\x0b-\x1f\ufffe\uffff]'
_TEXT = f'{_CHARACTER}*'
_BEGIN = re.compile(
    r'<\?xml version="1\.0"\?>\n?<methodResponse><params><param>'
)
_END = '</param></params></methodResponse>'
# Another value, or what such begins with; and what ends it.
_VALUE = re.compile(
    # A group that ends before the "<" would be gone back through.
    f'(?:(?=<member><name>{_TEXT}</name>)<member><name>({_TEXT})</name>)?'
    '<value>(?:(<struct>|<array><data>)|'
    f'<({"|".join(map(re.escape, NUMBERS))})>'
    f'({_CHARACTER}{{0,{MAX_SCALAR}}})</\\3></value>(</member>)?)'
)
_CLOSE = re.compile('(</struct>|</data></array>)</value>(</member>)?')


class _Form(NamedTuple):
    """How texts stand in a struct, or in an array.

    :ivar one: one of them, with a group for each part.
    :ivar many: as many as are read at once.
    :ivar end: what ends it.
    """

    one: re.Pattern[str]
    many: re.Pattern[str]
    end: str


def _form(pattern: str, end: str) -> _Form:
    """:param pattern: with ``{}`` where text stands."""
    return _Form(
        re.compile(pattern.replace('{}', f'({_TEXT})')),
        re.compile(f'(?:{pattern.replace("{}", _TEXT)}){{1,{MANY}}}'),
        end,
    )


_STRUCT = _form(
    '<member><name>{}</name><value>{}</value></member>', '</struct>'
)
_ARRAY = _form('<value>{}</value>', '</data></array>')


class _Open(NamedTuple):
    """A struct or an array whose end has not come.

    :ivar held: what has been read of it: a dictionary, or a list.
    :ivar name: of the member that it is; None: it is none.
    """

    form: _Form
    held: Any
    name: str | None

    def hold(self, name: str | None, value: Any) -> None:
        """Keep a value, which is a member by its name or an item.

        :raises Other: such a one cannot stand here.
        """
        if (name is None) == (self.form is _STRUCT):
            raise Other
        if name is None:
            self.held.append(value)
        elif name in self.held:
            raise Other
        else:
            self.held[name] = value

    def hold_many(self, found: re.Match[str]) -> int:
        """Keep texts that stand one after another; how many values they are.

        :raises Other: two members have one name.
        """
        texts: list[Any] = self.form.one.findall(
            found.string, found.start(), found.end()
        )
        plain = '&' not in found[0]
        if self.form is _ARRAY:
            self.held.extend(texts if plain else map(_text, texts))
            return len(texts)
        if not plain:
            texts = [(_text(name), _text(value)) for name, value in texts]
        wanted = len(self.held) + len(texts)
        self.held.update(texts)
        if len(self.held) < wanted:
            raise Other
        return 2 * len(texts)


def _text(written: str) -> str:
    """A text without references.

    :raises Other: one of them is none of XML's five.
    """
    if '&' not in written:
        return written
    found, times = _REFERENCE.subn(_of, written)
    if times < written.count('&'):
        raise Other
    return found


def _of(reference: re.Match[str]) -> str:
    return _REFERENCES[reference[1]]


def read(
    body: bytes | bytearray, values: int, check: Callable[[], object]
) -> Any:
    """The value of an answer, as ``answers.read`` has it.

    :raises Other: it is written in another way, or not to be read.
    """
    text, place = _decode(body)
    count, due = 0, CHECK_EVERY
    # As if the answer were an array of one.
    stack = [_Open(_ARRAY, [], None)]
    while True:
        found = stack[-1].form.many.match(text, place)
        if found is not None:
            count += stack[-1].hold_many(found)
        elif (found := _VALUE.match(text, place)) is not None:
            count += _begin(stack, found)
        elif (found := _CLOSE.match(text, place)) is not None:
            _end(stack, found)
        else:
            break
        place = found.end()
        if count > values:
            raise Other
        if count >= due:
            check()
            due = count + CHECK_EVERY
    [*opened, answer] = stack
    if opened or len(answer.held) != 1 or text[place:] != _END:
        raise Other
    return answer.held[0]


def _decode(body: bytes | bytearray) -> tuple[str, int]:
    """Its text, and where the value in it begins."""
    if len(body) > MOST_ODD and not body.isascii():
        raise Other
    try:
        text = str(body, 'utf-8')
    except UnicodeDecodeError:
        raise Other from None
    begin = _BEGIN.match(text)
    if begin is None:
        raise Other
    return text, begin.end()


def _begin(stack: list[_Open], found: re.Match[str]) -> int:
    """A value that is no text, or begins to be; how many values that is."""
    name, opened, tag, written, closed = found.groups()
    if name is not None:
        name = _text(name)
    if opened is not None:
        if len(stack) > MAX_DEPTH:
            raise Other
        struct = opened == '<struct>'
        stack.append(
            _Open(_STRUCT, {}, name) if struct else _Open(_ARRAY, [], name)
        )
    elif (closed is None) != (name is None):
        raise Other
    else:
        try:
            stack[-1].hold(name, number(tag, _text(written)))
        except ValueError:
            raise Other from None
    return 1 if name is None else 2


def _end(stack: list[_Open], found: re.Match[str]) -> None:
    """A struct or an array is whole."""
    end, closed = found.groups()
    ended = stack.pop()
    if not stack or ended.form.end != end:
        raise Other
    if (closed is None) != (ended.name is None):
        raise Other
    stack[-1].hold(ended.name, ended.held)
