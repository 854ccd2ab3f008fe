"""The pictures of the documents show what the commands print now.

``python -m tests.pictures`` draws those anew that do not.
"""

import pathlib
import re

import pytest

from tests.integration import documents
from tests.pictures import likeness
from tests.pictures import pages
from tests.pictures import screen as screens
from tests.pictures import sessions
from tests.pictures import svg
from tests.pictures import terminal

LARGEST = 60_000  # bytes
NAMES = sorted(file.stem for file in svg.IMAGES.glob('*.svg'))
IMAGE = re.compile(r'\.\. image:: (?:\S*/)?images/([a-z-]+)\.svg\n +:alt: \S')


@pytest.fixture(scope='module')
def made(
    clients_venv: pathlib.Path, plugin_path: pathlib.Path
) -> dict[str, sessions.Picture]:
    """What all commands of the documents print, by the name of the picture."""
    pictures = sessions.everything(clients_venv, plugin_path, '--speed', '20')
    return {picture.name: picture for picture in pictures}


@pytest.mark.pictures
@pytest.mark.parametrize('name', NAMES)
def test_a_picture_shows_what_is_printed(
    made: dict[str, sessions.Picture], name: str
) -> None:
    drawn = svg.read(svg.file(name).read_text())
    now = svg.read(svg.draw(name, made[name].lines))
    strange = likeness.strange(drawn, now, made[name].moment)
    assert strange == [], 'run: python -m tests.pictures'


def test_each_picture_is_shown_and_told_in_words() -> None:
    shown = IMAGE.findall(documents.read('README.rst'))
    for page in pages.pages():
        shown += IMAGE.findall(page.read_text())
    assert sorted(shown) == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_a_picture_is_small_and_needs_no_network(name: str) -> None:
    text = svg.file(name).read_text()
    assert len(text.encode()) < LARGEST
    assert re.findall(r'@font-face|@import|<image|href|<script', text) == []
    assert set(re.findall(r'url\((.)', text)) <= {'#'}


@pytest.mark.parametrize('page', pages.pages(), ids=lambda page: page.stem)
def test_all_that_a_page_tells_is_typed(page: pathlib.Path) -> None:
    told = documents.all_blocks(f'tasks/{page.name}')
    assert {block.language for block in told} == {'shell'}
    blocks = pages.blocks(page)
    assert len(told) == len(blocks)
    # Which is missed where the page is not typed.
    assert any(block.picture for block in blocks)


def test_a_screen_shows_what_a_terminal_would() -> None:
    screen = screens.Screen(10)
    for written in (
        'one\r\ntwo\r\n\x1b[31mthree\x1b[0m',
        # Drawn again where it stood, by what is read in pieces.
        '\r\x1b[2K\x1b',
        '[1A\x1b[2KTWO\r\n',
        '\x1b[1;3',
        '2mabcdefghijk\x1b[0m',
        '\r\x1b[Kl\x1b[?25l',
    ):
        screen.write(written)
    assert screen.text() == 'one\nTWO\nabcdefghij\nl'
    assert screen.lines()[2] == '\x1b[0;1;32mabcdefghij'
    drawn = svg.draw('colours', [*screen.lines(), 'plain'])
    assert svg.read(drawn) == 'one\nTWO\nabcdefghij\nl\nplain\n'
    broken = svg.draw('broken', ['a' * terminal.COLUMNS, 'b', ' c  d'])
    assert svg.read(broken) == 'a' * terminal.COLUMNS + 'b\n c  d\n'
    styles = re.findall(r'class="colours-(r\d)"[^>]*>([a-z]+)', drawn)
    drawn_with = {text: style for style, text in styles}
    assert drawn_with['plain'] == drawn_with['one']
    assert drawn_with['plain'] != drawn_with['abcdefghij']
    with pytest.raises(screens.Unknown):
        screen.write('\x1b[5H')


def test_what_differs_in_each_run_is_not_compared() -> None:
    drawn = 'xen1 0b7a9d9e-71d4-4c8e-9a06-d2d3bb1c76b4 7 s 2026-01-02T03:04:05'
    now = 'xen1  6bd52f3a-9d50-4f10-8a0b-5c0ea2b3e1a7 12 s 2027-01-02T03:04:06'
    assert likeness.strange(drawn, now, None) == []
    assert likeness.strange('xen1 member', 'xen2 member', None) == [
        '- xen1',
        '+ xen2',
    ]
    assert likeness.strange('xen1 gone', '', 'xen1 going') == ['gone']
