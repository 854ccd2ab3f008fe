"""What the pages of tasks tell to type, and what they show of it.

A picture stands right below the commands that it shows. So a page cannot show
anything else than what it tells.
"""

import pathlib
import re
from typing import NamedTuple

from tests.integration import documents

TASKS = documents.SOURCE / 'tasks'
_BLOCK = re.compile(
    r'^\.\. code-block:: shell\n\n'
    r'((?: {3}.*\n|\n)+)'
    r'(?:\.\. image:: \.\./images/([a-z-]+)\.svg\n)?',
    re.MULTILINE,
)


class Block(NamedTuple):
    """Commands that stand together.

    :ivar commands: one each, of several lines where the page has them.
    :ivar picture: the name of what they show, or nothing.
    """

    commands: list[str]
    picture: str | None


def pages() -> list[pathlib.Path]:
    """All pages of tasks."""
    return sorted(TASKS.glob('*.rst'))


def blocks(page: pathlib.Path) -> list[Block]:
    """The commands of a page, in their order."""
    return [
        Block(_commands(found[1]), found[2])
        for found in _BLOCK.finditer(page.read_text())
    ]


def _commands(text: str) -> list[str]:
    lines = [line[3:] for line in text.rstrip().splitlines()]
    return re.split(r'(?<!\\)\n', '\n'.join(lines))
