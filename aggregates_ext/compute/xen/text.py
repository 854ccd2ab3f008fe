"""Text of hosts: made harmless at the border, in one place for all of it.

What a host says goes into logs, the database, answers and commands to paste;
nothing of it is believed to be short, printable or free of what the host was
told (design#words-of-hosts).
"""

import ipaddress
import json
import re
import shlex
import unicodedata
import urllib.parse
from collections.abc import Iterable
from collections.abc import Set
from typing import NamedTuple
from xml.sax import saxutils

from aggregates_ext.compute.xen import codes

REDACTED = '***'
# Characters of one text, of a message, and of a code; texts of a failure.
LIMIT = 1000
MESSAGE_LIMIT = 4000
PARAMETERS = 16
# Characters of a text of a record.
KEPT_LIMIT = 65536
# A secret that is shorter may stand in any name by chance: what is compared
# keeps it.
LEAST_SECRET = 8
CUT = ' …'
# What is put for a code that is none; its text is the first parameter.
NOT_A_CODE = 'NOT_A_CODE'
_CODE = re.compile(r'[A-Z][A-Z0-9_]{0,99}')
# Of whoever has asked for a move, in the text of its error.
_SESSION = re.compile(r'(session_id=)[^\s"\'&)]+')


# Items that a message names of a list.
ITEMS = 10


class Listed(str):
    """A list in words.

    :ivar items: all of them, where the words leave some out.
    """

    items: tuple[str, ...] = ()


def listed(
    items: Iterable[str], most: int = ITEMS, between: str = ', '
) -> Listed:
    """Items in words, as many as can be read; empty without any.

    A set is told in the order of its names, all else as it comes.
    """
    found = sorted(items) if isinstance(items, Set) else list(items)
    more = len(found) - most
    words = between.join(found[:most])
    told = Listed(f'{words} and {more} more' if more > 0 else words)
    if more > 0:
        told.items = tuple(found)
    return told


class Failure(NamedTuple):
    """What a host said of an error."""

    code: str
    parameters: tuple[str, ...]


def clean(text: str, limit: int = LIMIT) -> str:
    """Text of one line that can be printed, and is no longer than that.

    What ends lines, or moves, hides or turns other text is written out.
    """
    kept = text[: limit + 1]
    if not kept.isprintable():
        kept = ''.join(map(_shown, kept))
    if len(kept) <= limit:
        return kept
    return kept[: max(0, limit - len(CUT))] + CUT[:limit]


def _shown(char: str) -> str:
    # Spaces of other widths are no harm, and names may have them.
    if char.isprintable() or unicodedata.category(char) == 'Zs':
        return char
    if char.isspace() and char not in '\x1c\x1d\x1e\x1f':
        return ' '
    return char.encode('unicode_escape').decode('ascii')


def _forms(secret: str) -> set[str]:
    """How a secret may be spelled in a text about it."""
    return {
        secret,
        clean(secret, len(secret)),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        saxutils.escape(secret),
        saxutils.escape(secret, {'"': '&quot;', "'": '&apos;'}),
        urllib.parse.quote(secret, safe='', errors='replace'),
        urllib.parse.quote_plus(secret, errors='replace'),
    } - {''}


def redact(text: str, secrets: Iterable[str]) -> str:
    """A text without secrets, however they are spelled; the longest first.

    Nor with the session of a move, which its errors name (xapi#moves).
    """
    forms: set[str] = set()
    for secret in secrets:
        forms |= _forms(secret)
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, REDACTED)
    return _SESSION.sub(rf'\1{REDACTED}', text)


def safe(text: str, secrets: Iterable[str], limit: int = LIMIT) -> str:
    """A text without secrets, clean and bounded.

    Secrets go first: what is cut in the middle is not found any more. And
    last: what is cleaned may have become one.
    """
    known = list(secrets)
    return redact(clean(redact(text, known), limit), known)


class Words:
    """Makes what one host says harmless; made once for much of it.

    :param secrets: what the host was told.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = list(secrets)
        forms: set[str] = set()
        for secret in self._secrets:
            if len(secret) >= LEAST_SECRET:
                forms |= _forms(secret)
        self._forms = sorted(forms, key=len, reverse=True)

    def tell(self, said: str, limit: int = LIMIT) -> str:
        """For a message."""
        return safe(said, self._secrets, limit)

    def keep(self, said: str) -> str:
        """For a record, whose texts are compared."""
        for form in self._forms:
            if form in said:
                said = said.replace(form, REDACTED)
        return clean(said, KEPT_LIMIT)


NO_SECRETS = Words()


def read_failure(details: object, secrets: Iterable[str]) -> Failure:
    """Code and parameters of an error, as a host told them.

    A code that we know is no secret; any other may be one, as the parameters
    may. The address of a master is looked up, so one that is an address stays
    whatever it has in common with a password; a name does not.
    """
    known = list(secrets)
    said = details if isinstance(details, list | tuple) else [details]
    code, *told = [str(detail) for detail in said] or ['']
    if code == 'SESSION_INVALID' or told[:1] == ['session']:
        told = []
    parameters = [safe(text, known) for text in told[:PARAMETERS]]
    if code == 'HOST_IS_SLAVE' and told and _is_address(told[0], known):
        parameters[0] = told[0]
    if not codes.is_known(code):
        shown = safe(code, known)
        if not _CODE.fullmatch(shown):
            return Failure(NOT_A_CODE, (shown, *parameters)[:PARAMETERS])
        code = shown
    return Failure(code, tuple(parameters))


def _is_address(text: str, secrets: Iterable[str]) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text not in secrets and len(text) <= LIMIT and text.isprintable()


def command(*words: str) -> str:
    """A command to paste, each of its words one word to a shell.

    In quotation marks as messages have it, but for one that has special
    signs: between such marks a shell would see them.
    """
    joined = shlex.join(clean(word) for word in words)
    plain = all(word == shlex.quote(word) for word in words)
    return f'"{joined}"' if plain else joined
