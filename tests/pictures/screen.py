"""What a terminal shows of what a command has written.

Only as much of a terminal as our commands use: colours, lines that are
written anew, and lists that are drawn again where they stood.
"""

import re
from typing import NamedTuple

# A control sequence, its parameters and what it is; or a sign by itself.
_PIECE = re.compile(r'\x1b\[([0-9;?]*)([A-Za-z])|(.)', re.DOTALL)
# One whose end has not been read yet.
_HALF = re.compile(r'\x1b(\[[0-9;?]*)?\Z')
_RESET = ('', '0')


class Cell(NamedTuple):
    """A sign, and the parameters of what it is drawn with."""

    sign: str
    pen: str


BLANK = Cell(' ', '')


class Unknown(Exception):
    """A command writes what is not understood here."""


class Screen:
    """All that was ever written, as it stands now; nothing scrolls off.

    :param columns: where lines are broken.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._lines: list[list[Cell]] = [[]]
        self._row = self._column = 0
        self._pen = ''
        self._rest = ''

    def write(self, text: str) -> None:
        """:raises Unknown: a sign that moves what is not known where."""
        text = self._rest + text
        half = _HALF.search(text)
        self._rest = half[0] if half else ''
        text = text.removesuffix(self._rest)
        for found in _PIECE.finditer(text):
            parameters, kind, sign = found.groups()
            if kind:
                self._control(parameters, kind)
            else:
                self._sign(sign)

    def lines(self) -> list[str]:
        """The lines, with the colours as a terminal is sent them."""
        return [_coloured(line) for line in self._shown()]

    def text(self) -> str:
        """The same without colours."""
        return '\n'.join(
            ''.join(cell.sign for cell in line) for line in self._shown()
        )

    def _shown(self) -> list[list[Cell]]:
        """Without what is empty at the end of a line and of all."""
        shown = [_stripped(line) for line in self._lines]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def _sign(self, sign: str) -> None:
        if sign == '\r':
            self._column = 0
        elif sign == '\n':
            self._go(self._row + 1)
        elif sign.isprintable():
            if self._column == self._columns:
                self._column = 0
                self._go(self._row + 1)
            line = self._lines[self._row]
            line += [BLANK] * (self._column + 1 - len(line))
            line[self._column] = Cell(sign, self._pen)
            self._column += 1
        else:
            raise Unknown(repr(sign))

    def _control(self, parameters: str, kind: str) -> None:
        if kind == 'm':
            self._pen = (
                '' if parameters in _RESET else f'{self._pen};{parameters}'
            )
        elif kind == 'A':
            self._go(self._row - int(parameters or 1))
        elif kind == 'K':
            start = 0 if parameters == '2' else self._column
            del self._lines[self._row][start:]
        elif kind not in 'hl':
            raise Unknown(f'CSI {parameters} {kind}')

    def _go(self, row: int) -> None:
        self._row = max(0, row)
        while len(self._lines) <= self._row:
            self._lines.append([])


def _stripped(line: list[Cell]) -> list[Cell]:
    while line and line[-1] == BLANK:
        line = line[:-1]
    return line


def _coloured(line: list[Cell]) -> str:
    told, pen = '', ''
    for cell in line:
        if cell.pen != pen:
            pen = cell.pen
            told += f'\x1b[0{pen}m'
        told += cell.sign
    return told
