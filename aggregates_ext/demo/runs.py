"""A restart of all hosts as it is shown: bars and rows, or in a pipe lines."""

import datetime
import types
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from rich import console as consoles
from rich import live
from rich import progress_bar
from rich import table
from rich import text as texts

Operation = Mapping[str, Any]
INDENT = '  '
# States of moves whose guest is on its way.
GOING = ('sent', 'unresolved', 'repairing', 'starting')
BAR = 30
STYLES = {
    'waiting': 'dim',
    'entering': 'yellow',
    'paused': 'yellow',
    'rebooting': 'bold magenta',
    'leaving': 'cyan',
    'done': 'green',
    'stopped': 'bold red',
}


class Display:
    """Shows how far a restart is.

    :param console: where; without a terminal there is a line per change.
    """

    def __init__(self, console: consoles.Console) -> None:
        self._console = console
        self._live = live.Live(console=console, auto_refresh=False)
        self._said: set[str] = set()

    def __enter__(self) -> 'Display':
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, operation: Operation) -> None:
        """Show it as it is now."""
        if self._console.is_terminal:
            self._live.update(picture(operation), refresh=True)
            return
        for line in lines(operation):
            if line not in self._said:
                text = texts.Text(f'{INDENT}{line}')
                self._console.print(text, soft_wrap=True)
        # What is so again is told again.
        self._said = set(lines(operation))


def lines(operation: Operation) -> Iterator[str]:
    """Where everything is; a line is another when that has changed."""
    yield f'rolling_reboot {operation["state"]}'
    for host in operation.get('hosts', ()):
        if host['state'] != 'waiting':
            yield f'{host["host"]} {host["state"]}{_took(host)}'
    for move in operation.get('moves', ()):
        if move['state'] != 'queued':
            where = f'{move["from"]} to {move["to"]}'
            yield f'{move["name"]} from {where}: {move["state"]}'
    if step := _step(operation):
        yield step


def _step(operation: Operation) -> str:
    """What it is at, where that is not the turn of a host."""
    step = str(operation['step'] or '')
    running = operation['state'] == 'running'
    return step if running and not step.startswith('host ') else ''


def picture(operation: Operation) -> consoles.Group:
    """The whole as it is now."""
    whole = operation['state'] == 'succeeded'
    percent = 100 if whole else operation['progress'] or 0
    grid = table.Table.grid(padding=(0, 2))
    grid.add_row(
        texts.Text('rolling_reboot', 'bold'),
        _bar(percent),
        texts.Text(f'{percent}%'),
        texts.Text(_left(operation)),
    )
    step = texts.Text(_step(operation), 'dim')
    return consoles.Group(grid, step, _hosts(operation), _moves(operation))


def _left(operation: Operation) -> str:
    """The time left in words, or how it has ended."""
    if operation['finished_at']:
        return str(operation['state'])
    seconds = operation.get('seconds_left')
    if seconds is None:
        return 'time left: not known yet'
    return f'time left: {seconds // 60}:{seconds % 60:02}'


def _hosts(operation: Operation) -> table.Table:
    rows = table.Table('host', 'state', 'moved away', 'seconds')
    for host in operation.get('hosts', ()):
        rows.add_row(
            texts.Text(host['host'], 'bold cyan'),
            texts.Text(host['state'], STYLES.get(host['state'], '')),
            texts.Text(str(host['moved'] or '')),
            texts.Text(_seconds(host)),
        )
    return rows


def _moves(operation: Operation) -> table.Table:
    """The moves that go on, and how many wait."""
    moves = operation.get('moves', ())
    rows = table.Table.grid(padding=(0, 2))
    for move in moves:
        if move['state'] in GOING:
            rows.add_row(
                texts.Text(move['name'], 'bold'),
                texts.Text(f'{move["from"]} to {move["to"]}'),
                _bar(move['progress'] or 0),
            )
    waiting = sum(move['state'] == 'queued' for move in moves)
    words = texts.Text(f'{waiting} waiting' if waiting else '', 'dim')
    rows.add_row(words, '', '')
    return rows


def _bar(percent: float) -> progress_bar.ProgressBar:
    return progress_bar.ProgressBar(100, percent, BAR)


def _took(host: Mapping[str, Any]) -> str:
    seconds = _seconds(host)
    return f', {seconds} s' if seconds else ''


def _seconds(host: Mapping[str, Any]) -> str:
    """How long a host took whose turn is over."""
    if not (host['began_at'] and host['ended_at']):
        return ''
    began, ended = (
        datetime.datetime.fromisoformat(host[name])
        for name in ('began_at', 'ended_at')
    )
    return f'{(ended - began).total_seconds():.0f}'
