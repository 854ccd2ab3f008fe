"""The rules of single fields, and those of texts on each face.

``RELAXED`` is for clients of 2012, ``STRICT`` is what Nova has wanted since
2.1, so that a client of today finds no other rules here.
"""

import unicodedata
from typing import Any
from typing import NamedTuple

import jsonschema

# Formats that a schema can name.
FORMATS = jsonschema.FormatChecker(formats=())
# What Nova can store: nothing beyond the first plane.
_LAST = '\ufffe'


def _is_printable(text: str) -> bool:
    """Neither control and format characters nor ends of lines, as in Nova."""
    for char in text:
        category = unicodedata.category(char)
        if char > _LAST or category[0] == 'C' or category in ('Zl', 'Zp'):
            return False
    return True


def _check_printable(value: object) -> bool:
    """Printable, and not of white space alone; a newline may end it."""
    if not isinstance(value, str) or not value:
        return True  # for other rules to judge
    return bool(value.strip()) and _is_printable(value.removesuffix('\n'))


def _check_trimmed(value: object) -> bool:
    """The same without white space around it."""
    if not isinstance(value, str):
        return True
    text = value.removesuffix('\n')
    return _check_printable(value) and text == text.strip()


FORMATS.checks('printable')(_check_printable)
FORMATS.checks('trimmed')(_check_trimmed)


class Texts(NamedTuple):
    """The rules that differ from face to face.

    Each description completes "FIELD must be ...".

    :ivar name: of a new aggregate.
    :ivar new_name: of one that has a name.
    :ivar zone: as a field.
    :ivar zone_value: as a value in metadata.
    """

    name: Any
    new_name: Any
    zone: Any
    zone_value: Any
    key: Any
    host: Any


def _text(**rules: Any) -> dict[str, Any]:
    return {'type': 'string', 'minLength': 1, 'maxLength': 255, **rules}


def _zone(**rules: Any) -> dict[str, Any]:
    """Null, or text without a colon."""
    return _text(**rules) | {'type': ['string', 'null']}


# \Z where others write $, which would let a final newline pass.
# Besides controls, what ends or turns a line.
_CONTROLS = r'\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069'
NAME = _text(
    pattern=rf'^[^{_CONTROLS}]*\Z',
    description='text of 1 to 255 characters without control characters',
)
_ZONE = _zone(
    pattern=rf'^[^{_CONTROLS}:]*\Z',
    description='null or text of 1 to 255 characters without ":" and '
    'control characters',
)
RELAXED = Texts(
    name=NAME,
    new_name=NAME,
    zone=_ZONE,
    zone_value=_ZONE,
    key=NAME,
    host=NAME,
)
_PRINTABLE = 'text of 1 to 255 characters, all printable'
STRICT = Texts(
    name=_text(
        format='trimmed',
        description=f'{_PRINTABLE}, without white space around it',
    ),
    new_name=_text(
        format='printable',
        description=f'{_PRINTABLE}, not white space alone',
    ),
    zone=_zone(
        format='trimmed',
        pattern='^[^:]*$',
        description=f'null or {_PRINTABLE}, without ":" and without white '
        'space around it',
    ),
    zone_value=_zone(
        format='printable',
        pattern='^[^:]*$',
        description=f'null or {_PRINTABLE}, without ":", not white space alone',
    ),
    key=_text(
        pattern=r'^[a-zA-Z0-9_:. -]*\Z',
        description='text of 1 to 255 letters of ASCII, digits, spaces and '
        '"-", "_", ":", "."',
    ),
    # A final newline passes: such a host is not found, as in Nova.
    host=_text(
        pattern='^[a-zA-Z0-9._-]*$',
        description='text of 1 to 255 letters of ASCII, digits and "-", '
        '"_", "."',
    ),
)

VALUE = {
    'type': ['string', 'null'],
    'maxLength': 255,
    'pattern': r'^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*\Z',
    'description': 'null, which removes the key, or text of up to 255 '
    'characters without control characters',
}
UUID = {
    'type': 'string',
    'pattern': r'^[0-9A-Fa-f-]{32,36}\Z',
    'description': 'a UUID',
}
NUMBER = {
    'type': 'string',
    'pattern': r'^[0-9]{1,9}\Z',
    'description': 'a number of up to 9 digits',
}
ANY_TEXT = {'type': 'string', 'description': 'text'}
TRUE = ('True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes')
_FALSE = (
    'False',
    'FALSE',
    'false',
    '0',
    'OFF',
    'Off',
    'off',
    'NO',
    'No',
    'no',
)
# As Nova spells it in queries.
BOOLEAN = {
    'type': 'string',
    'enum': [*TRUE, *_FALSE],
    'description': 'true or false',
}
