"""What was read elsewhere, made to fit where it is kept.

A text that is longer than its column, a NUL, half a surrogate pair or NaN
is refused by one database and not by another. What hosts say must not keep
from being written that they said it.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

# Characters of a text without another bound; entries of a list or map.
LONGEST = 8192
MOST = 100_000
# What PostgreSQL does not take in a text, and no database in UTF-8.
_UNFIT = re.compile('[\x00\ud800-\udfff]')


def fit_text(text: str, longest: int = LONGEST) -> str:
    """A text that a database takes."""
    fit = _UNFIT.sub('\ufffd', text)
    return fit if len(fit) <= longest else f'{fit[: longest - 1]}…'


def fit_json(value: Any) -> Any:
    """A value as JSON that a database takes; NaN and the like are null."""
    if isinstance(value, str):
        return fit_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        items = list(value.items())[:MOST]
        return {fit_text(str(key)): fit_json(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [fit_json(item) for item in value[:MOST]]
    return value


def fit_columns(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row that a database takes.

    An identity is not cut: whoever reads one makes sure that it is one.
    """
    return {name: _fit(table.c[name], v) for name, v in values.items()}


def _fit(column: sa.Column[Any], value: Any) -> Any:
    if isinstance(column.type, sa.JSON):
        return fit_json(value)
    if not isinstance(value, str) or column.unique:
        return value
    return fit_text(value, getattr(column.type, 'length', None) or LONGEST)
