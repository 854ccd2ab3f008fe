"""What an API has answered, made harmless for a terminal.

Names and messages come from hosts and guests, and whatever stands before an
API may answer in its place. What ends lines, or moves, hides or turns other
text is written out.
"""

import unicodedata
from typing import Any


def clean(data: Any) -> Any:
    """The same data with texts, and names of fields, that can be printed."""
    if isinstance(data, str):
        return data if data.isprintable() else ''.join(map(_shown, data))
    if isinstance(data, dict):
        return {clean(name): clean(value) for name, value in data.items()}
    if isinstance(data, list):
        return [clean(value) for value in data]
    return data


def _shown(char: str) -> str:
    # Spaces of other widths do no harm, and names may have them.
    if char.isprintable() or unicodedata.category(char) == 'Zs':
        return char
    return char.encode('unicode_escape').decode('ascii')
