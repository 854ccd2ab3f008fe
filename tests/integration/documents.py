"""What the documents tell an operator to write or run.

Tests take it from there, so that a document cannot say anything else than
what is tested.
"""

import itertools
import pathlib
import re
import shlex
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / 'doc' / 'source'
_DIRECTIVE = re.compile(r'( *)(?:#\. +)?\.\. code-block:: ([a-z]+)')
# A paragraph that announces a block, or "::" alone; no other directive.
_ANNOUNCED = re.compile(r'( *)(?!\.\. ).*::')


class Block(NamedTuple):
    """A literal block of a document, without its indentation.

    :ivar language: as the document names it, or nothing.
    """

    language: str
    text: str


def read(document: str) -> str:
    """The text of a document; of the README, too."""
    place = ROOT if document == 'README.rst' else SOURCE
    return (place / document).read_text()


def all_blocks(document: str) -> list[Block]:
    """The literal blocks of a document, with their languages."""
    lines = read(document).splitlines()
    return list(_find(lines))


def _find(lines: list[str]) -> Iterator[Block]:
    for number, line in enumerate(lines):
        directive = _DIRECTIVE.fullmatch(line)
        announced = directive or _ANNOUNCED.fullmatch(line)
        if announced:
            language = directive[2] if directive else ''
            yield Block(language, _block(lines[number + 1 :]))


def _block(lines: list[str]) -> str:
    """What a text begins with, up to a line that is indented less."""
    found = list(itertools.dropwhile(lambda line: not line.strip(), lines))
    margin = len(found[0]) - len(found[0].lstrip())
    inside = itertools.takewhile(
        lambda line: not line.strip() or line[:margin].isspace(), found
    )
    return textwrap.dedent('\n'.join(inside)).strip('\n') + '\n'


def blocks(document: str) -> list[str]:
    """The texts of the literal blocks of a document."""
    return [block.text for block in all_blocks(document)]


def blocks_from(document: str, start: str) -> list[str]:
    """The literal blocks that start with some text."""
    return [text for text in blocks(document) if text.startswith(start)]


def block(document: str, start: str) -> str:
    """The one literal block that starts with some text."""
    found = blocks_from(document, start)
    assert len(found) == 1, f'{len(found)} blocks in {document}: {start}'
    return found[0]


def command(document: str, name: str) -> list[str]:
    """The words of the one command that a document runs a program with."""
    return shlex.split(block(document, f'{name} ').replace('\\\n', ''))
