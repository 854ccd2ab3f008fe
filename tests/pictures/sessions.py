"""Every picture of the documents, made anew by typing what they tell."""

import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

from tests.pictures import pages
from tests.pictures import stage as stages
from tests.pictures import terminal

# What stands in the documents for the operation that has failed.
_OPERATION = '88e0c8d8-1ca7-43b3-8091-ccbe8eb840a0'
# Those that are to end otherwise than well.
STATUSES = {
    'openstack aggregate pool host check pool1 xen4': 1,
    'openstack aggregate pool host check --for remove pool1 xen3': 1,
    'openstack aggregate pool host add --wait pool1 xen4': 1,
    f'openstack aggregate pool operation retry --wait {_OPERATION}': 1,
}
CRITICAL = 2
DEMO = 'aggregates-ext-demo --story rolling'


class Picture(NamedTuple):
    """What a terminal shows.

    :ivar lines: with colours.
    :ivar moment: all that was drawn, where the picture shows a moment of it,
        or what happens in any order.
    """

    name: str
    lines: list[str]
    moment: str | None


def _rebooting(text: str) -> bool:
    """The line that lives says so."""
    return bool(re.search(r' % +\d+ s .*xen2: rebooting', text))


# Pictures of what goes on -> when they are taken, else at the end.
MOMENTS: dict[str, Callable[[str], bool] | None] = {
    'repair': None,
    'rolling': _rebooting,
}


def everything(
    venv: pathlib.Path, plugin: pathlib.Path, *options: str
) -> Iterator[Picture]:
    """All pictures; what a document tells is carried out for them.

    :param venv: where the clients of OpenStack are installed.
    :param plugin: where the plug-in is.
    :param options: of the demonstration, which are not shown.
    """
    with stages.opened(venv, plugin, asks=False) as stage:
        yield from _page(stage, 'refused')
    with stages.opened(venv, plugin, asks=True) as stage:
        yield from _page(stage, 'add')
        yield from _page(stage, 'remove')
        stage.await_return('xen3')
        yield from _page(stage, 'hosts')
        _type(stage, 'host add --wait pool1 xen2')
        stage.fill()
        yield from _page(stage, 'rolling')
        yield from _page(stage, 'repair')
        _type(stage, 'host maintenance set --wait pool1 xen2')
        yield from _page(stage, 'watch')
        _type(stage, 'host maintenance unset --wait pool1 xen2')
        yield from _page(stage, 'master')
        stage.end('xen3')
        yield from _page(stage, 'wrong', CRITICAL)
    yield demo(*options)


def _type(stage: stages.Stage, words: str) -> None:
    stage.type(f'openstack aggregate pool {words}')


def _page(
    stage: stages.Stage, name: str, status: int = 0
) -> Iterator[Picture]:
    """Type all that a page tells.

    :param status: what ``aggregates-ext-manage status`` ends with.
    """
    for block in pages.blocks(pages.TASKS / f'{name}.rst'):
        lines: list[str] = []
        ever = ''
        for command in block.commands:
            typed = _typed(stage, command)
            shown = stage.type(
                typed,
                MOMENTS.get(block.picture or ''),
                _status(command, status),
            )
            lines += [*([''] if lines else []), *_prompt(typed), *shown.lines]
            ever += f'$ {typed}\n{shown.ever}\n'
        if block.picture:
            moment = ever if block.picture in MOMENTS else None
            yield Picture(block.picture, lines, moment)


def _status(command: str, found: int) -> int:
    """What a command is to end with."""
    line = ' '.join(command.replace('\\\n', '').split())
    return STATUSES.get(line, found if line.endswith(' status') else 0)


def _typed(stage: stages.Stage, command: str) -> str:
    """A command of a document, with the operation that has really failed."""
    if _OPERATION not in command:
        return command
    found = stage.site.api.get('/v2.1/os-aggregates/1/operations')
    [failed] = [o for o in found['operations'] if o['state'] == 'failed']
    return command.replace(_OPERATION, failed['uuid'])


def _prompt(command: str) -> list[str]:
    """How a command stands on a terminal."""
    first, *rest = (f'\x1b[1m{line}\x1b[0m' for line in command.split('\n'))
    return [f'\x1b[32m$\x1b[0m {first}', *rest]


def demo(*options: str) -> Picture:
    """The demonstration, when one host has restarted and another is next."""
    program, *words = DEMO.split()
    command = [sys.executable, str(stages.SCRIPTS / program), *words, *options]
    with tempfile.TemporaryDirectory() as directory:
        shown = terminal.run(
            terminal.program(command, {**os.environ, 'TMPDIR': directory}),
            _half_way,
        )
    assert shown.status == 0, shown.ever
    [start] = [n for n, line in enumerate(shown.lines) if '4/4' in line]
    lines = [*_prompt(DEMO), '\x1b[2m…\x1b[0m', *shown.lines[start:]]
    return Picture('demo', lines, f'$ {DEMO} …\n{shown.ever}')


def _half_way(text: str) -> bool:
    """One host is done, the next is emptied, and a guest is on its way."""
    going = re.search('xen2 to xen[134] .*━', text)
    return bool(going and re.search('xen1 .* done', text))
