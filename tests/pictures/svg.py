"""Pictures of a terminal, which need nothing from the network.

rich draws them, and names fonts of a server on the web. Here they take what
the machine of the reader has; each text is stretched to its columns anyway.
"""

import io
import pathlib
import re
from collections.abc import Iterable
from xml.etree import ElementTree

from rich import ansi
from rich import console as consoles

from tests.pictures import terminal

ROOT = pathlib.Path(__file__).parents[2]
IMAGES = ROOT / 'doc' / 'source' / 'images'
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Courier New', monospace"
_FONT_FACE = re.compile(r'\s*@font-face \{\{.*?\}\}', re.DOTALL)
FORMAT = _FONT_FACE.sub('', consoles.CONSOLE_SVG_FORMAT).replace(
    'Fira Code, monospace', FONTS
)
# How wide a column is drawn.
_COLUMN = 12.2
_TEXT = '{http://www.w3.org/2000/svg}text'


def file(name: str) -> pathlib.Path:
    """Where the picture of a name is."""
    return IMAGES / f'{name}.svg'


def draw(name: str, lines: Iterable[str]) -> str:
    """A picture of lines with the colours of a terminal."""
    console = consoles.Console(
        record=True,
        file=io.StringIO(),
        width=terminal.COLUMNS,
        force_terminal=True,
        color_system='truecolor',
        legacy_windows=False,
    )
    for line in lines:
        text = ansi.AnsiDecoder().decode_line(line)
        console.print(text, no_wrap=True, overflow='ignore', crop=False)
    return console.export_svg(title='', code_format=FORMAT, unique_id=name)


def read(drawn: str) -> str:
    """The text that is in a picture; lines that were broken are whole."""
    lines: dict[float, str] = {}
    for text in ElementTree.fromstring(drawn).iter(_TEXT):  # noqa: S314
        place = float(text.attrib['y'])
        column = round(float(text.attrib['x']) / _COLUMN)
        line = lines.get(place, '').ljust(column)
        lines[place] = line + (text.text or '').replace('\xa0', ' ')
    return ''.join(
        line if len(line) == terminal.COLUMNS else f'{line}\n'
        for _place, line in sorted(
            (place, line.rstrip()) for place, line in lines.items()
        )
    )
