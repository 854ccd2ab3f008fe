"""What processors can, as hosts, pools and guests tell it.

Features are words of eight hexadecimal digits, with dashes between them
(xapi#cpu-features).
"""

import itertools
import re
from collections.abc import Mapping

_FEATURES = re.compile('[0-9a-f]{8}(-[0-9a-f]{8}){0,63}', re.I)


def lost(have: str, others: str) -> str:
    """Features that one has and another not, as words; '' where there are none.

    What is written in another way says nothing here.
    """
    if not _FEATURES.fullmatch(have) or not _FEATURES.fullmatch(others):
        return ''
    known = itertools.chain(_words(others), itertools.repeat(0))
    words = [
        one & ~other for one, other in zip(_words(have), known, strict=False)
    ]
    return '-'.join(f'{word:08x}' for word in words) if any(words) else ''


def _words(features: str) -> list[int]:
    return [int(word, 16) for word in features.split('-')]


def level(pool: Mapping[str, str], kind: str) -> str:
    """The field that tells what guests of a kind start with in a pool.

    :param pool: its ``cpu_info``; one of 7.0 has no fields of hosts.
    :param kind: ``hvm`` or ``pv``.
    """
    field = f'features_{kind}'
    return f'{field}_host' if f'{field}_host' in pool else field
