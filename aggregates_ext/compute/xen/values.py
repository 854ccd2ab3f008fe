"""The kinds of values that fields of records have, and how each is read.

A value of another kind, or beyond all bounds, is refused with ValueError.
"""

import datetime
import math
import re
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

from aggregates_ext.compute.xen import text

# Bounds: characters of a text, of what names something; items of a set or
# a map. All are far beyond what hosts have.
LONGEST = text.KEPT_LIMIT
LONGEST_NAME = 255
MOST_ITEMS = 10_000


class Kind(NamedTuple):
    """What a field can be.

    :ivar name: in words, for messages.
    :ivar read: makes one spelling of all; raises ValueError for no such.
    """

    name: str
    read: Callable[[Any], Any]


def _text(value: Any, longest: int = LONGEST) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError
    return value


def _name(value: Any) -> str:
    return _text(value, LONGEST_NAME)


def _identity(value: Any) -> str:
    if not _IDENTITY.fullmatch(_text(value)):
        raise ValueError
    return str(value)


def _address(value: Any) -> str:
    if not _ADDRESS.fullmatch(_text(value)):
        raise ValueError
    return str(value)


def _number(value: Any) -> int:
    """A whole number, which is a text in XML-RPC (xapi#record-shapes)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError
    if abs(int(value)) >= 2**63:
        raise ValueError
    return int(value)


def _real(value: Any) -> float:
    """A number that can be compared and kept: neither NaN nor endless."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    if isinstance(value, str) and not _REAL.fullmatch(value):
        raise ValueError
    try:
        found = float(value)
    except OverflowError:
        raise ValueError from None
    if not math.isfinite(found):
        raise ValueError
    return found


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _date(value: Any) -> str:
    """A date as most releases write it, so that text compares as time."""
    # A value of XML-RPC is in an object of the client's.
    spelled = getattr(value, 'value', value)
    parts = _DATE.fullmatch(_text(spelled))
    if parts is None:
        raise ValueError
    moment = datetime.datetime.strptime(
        ''.join(parts[name] for name in _PARTS_OF_DATE), '%Y%m%d%H%M%S'
    )
    if parts['sign']:
        apart = datetime.timedelta(
            hours=int(parts['hours']), minutes=int(parts['minutes'])
        )
        try:
            moment += apart if parts['sign'] == '-' else -apart
        except OverflowError:
            raise ValueError from None
    return f'{moment:%Y%m%dT%H:%M:%SZ}'.rjust(18, '0')


def _items(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ValueError
    return [_text(item) for item in value]


def _mapping(value: Any) -> dict[str, str]:
    return _map(value, _text)


def _lists(value: Any) -> dict[str, list[str]]:
    return _map(value, _items)


def _numbers(value: Any) -> dict[str, int]:
    return _map(value, _number)


def _map(value: Any, read: Callable[[Any], Any]) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST_ITEMS:
        raise ValueError
    return {_text(key): read(item) for key, item in value.items()}


_IDENTITY = re.compile(r'[!-~]{1,36}')
_ADDRESS = re.compile(r'[!-~]{0,255}')
_NUMBER = re.compile(r'-?[0-9]{1,20}')
# OCaml writes '1795336195.'.
_REAL = re.compile(r'-?[0-9]{1,30}(\.[0-9]{0,30})?')
_PARTS_OF_DATE = ('year', 'month', 'day', 'hour', 'minute', 'second')
# 20261123T10:11:12Z, since xapi 24 also 2026-11-23T10:11:12Z; with parts of
# a second, without Z, or with the distance to it (xapi#record-shapes).
_DATE = re.compile(
    r'(?P<year>[0-9]{4})-?(?P<month>[0-9]{2})-?(?P<day>[0-9]{2})'
    r'[T ](?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2}):?(?P<second>[0-9]{2})'
    r'([.,][0-9]{1,9})?'
    r'(Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?'
)

KINDS: dict[str, Kind] = {
    'uuid': Kind('uuid', _identity),
    'text': Kind(f'text of at most {LONGEST} characters', _text),
    'ref': Kind('reference', _name),
    'address': Kind('address', _address),
    'number': Kind('whole number', _number),
    'real': Kind('number', _real),
    'flag': Kind('boolean', _flag),
    'date': Kind('date', _date),
    'items': Kind('set of text', _items),
    'mapping': Kind('map of text', _mapping),
    'numbers': Kind('map of whole numbers', _numbers),
    'lists': Kind('map of sets of text', _lists),
}
