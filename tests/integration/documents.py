"""What the documents tell an operator to write or run.

Tests take it from there, so that a document cannot say anything else than
what is tested.
"""

import re
import shlex
import textwrap

from tests.integration import environments

SOURCE = environments.ROOT / 'doc' / 'source'
_LITERAL = re.compile(r'::\n\n((?: +.*\n|\n)+)')


def blocks(document: str) -> list[str]:
    """The literal blocks of a document, without their indentation."""
    text = (SOURCE / document).read_text()
    return [
        textwrap.dedent(found).strip('\n') + '\n'
        for found in _LITERAL.findall(text)
    ]


def block(document: str, start: str) -> str:
    """The one literal block that starts with some text."""
    found = [text for text in blocks(document) if text.startswith(start)]
    assert len(found) == 1, f'{len(found)} blocks in {document}: {start}'
    return found[0]


def command(document: str, name: str) -> list[str]:
    """The words of the one command that a document runs a program with."""
    return shlex.split(block(document, f'{name} ').replace('\\\n', ''))
