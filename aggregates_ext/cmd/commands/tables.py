"""Tables of the commands: whole, literal, for people and for ``cut``.

No library draws them: one that knows markup takes ``[fd00::11]`` for a
style, and one that knows the width of a terminal cuts what does not fit.
"""

from collections.abc import Iterable
from collections.abc import Sequence

GAP = '  '
NOTHING = '-'


def draw(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A header and a line for each row; the last column is as long as it is.

    Every cell has something in it, so that columns can be counted.
    """
    lines = [list(columns), *([_cell(value) for value in r] for r in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0
    return '\n'.join(
        GAP.join(
            text.ljust(width) for text, width in zip(line, widths, strict=True)
        )
        for line in lines
    )


def _cell(value: object) -> str:
    """A value in one line, without what a terminal would obey."""
    text = ' '.join(str('' if value is None else value).split())
    return harmless(text) or NOTHING


def harmless(text: str) -> str:
    """A text without what a terminal would obey."""
    return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
