"""What the documents tell an operator to write or run.

Tests take it from there, so that a document cannot say anything else than
what is tested.
"""

import itertools
import shlex
import textwrap

from tests.integration import environments

SOURCE = environments.ROOT / 'doc' / 'source'


def blocks(document: str) -> list[str]:
    """The literal blocks of a document, without their indentation."""
    _before, *parts = (SOURCE / document).read_text().split('::\n\n')
    return [_block(part.splitlines()) for part in parts]


def _block(lines: list[str]) -> str:
    """What a text begins with, up to a line that is indented less."""
    margin = len(lines[0]) - len(lines[0].lstrip())
    found = itertools.takewhile(
        lambda line: not line.strip() or line[:margin].isspace(), lines
    )
    return textwrap.dedent('\n'.join(found)).strip('\n') + '\n'


def block(document: str, start: str) -> str:
    """The one literal block that starts with some text."""
    found = [text for text in blocks(document) if text.startswith(start)]
    assert len(found) == 1, f'{len(found)} blocks in {document}: {start}'
    return found[0]


def command(document: str, name: str) -> list[str]:
    """The words of the one command that a document runs a program with."""
    return shlex.split(block(document, f'{name} ').replace('\\\n', ''))
