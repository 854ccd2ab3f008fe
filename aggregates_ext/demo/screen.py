"""What the demonstration shows, on a terminal and in a pipe."""

import json
import time
import types
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from rich import console as consoles
from rich import progress
from rich import rule
from rich import syntax
from rich import table
from rich import text as texts
from rich import tree

from aggregates_ext.demo import client

# Data that fits in this many characters stands in one line.
ONE_LINE = 68
INDENT = '  '


def console() -> consoles.Console:
    """Where nothing that is shown is taken for markup, and nothing is cut.

    Addresses are in brackets, and names may be.
    """
    shown = consoles.Console(highlight=False, markup=False, emoji=False)
    shown.soft_wrap = not shown.is_terminal
    return shown


class Screen:
    """Numbered steps with their requests and answers.

    :param console: where it is shown.
    """

    def __init__(self, console: consoles.Console) -> None:
        self.console = console
        self._began = time.monotonic()

    def title(self, title: str | texts.Text) -> None:
        """Begin a part that has no number."""
        self._print()
        self.console.print(rule.Rule(title, align='left'))

    def step(self, number: int, of: int, title: str) -> None:
        """Begin a step."""
        seconds = time.monotonic() - self._began
        words = (f'{number}/{of}  {title}', 'bold')
        self.title(texts.Text.assemble(words, f'  ({seconds:.0f} s)'))

    def say(self, *lines: str, style: str = '') -> None:
        """Show sentences, wrapped to the width."""
        for line in lines:
            self._sentence(texts.Text(line, style))

    def paste(self, *lines: str) -> None:
        """Show lines to be copied as they are."""
        for line in lines:
            self._print(texts.Text(f'{INDENT}{line}', 'bold cyan'))

    def request(self, request: client.Request) -> None:
        """Show a request with its body."""
        self._print()
        line = texts.Text.assemble(
            (f'{request.method} ', 'bold magenta'), (request.path, 'bold')
        )
        self._print(line)
        for name, value in request.headers.items():
            self._print(texts.Text(f'{INDENT}{name}: {value}', 'dim'))
        if request.body is not None:
            self._source(_layout(request.body), 'json')

    def answer(self, answer: client.Answer, brief: bool = False) -> None:
        """Show an answer.

        :param brief: without its body.
        """
        style = 'green' if answer.status < 400 else 'yellow'
        line = texts.Text(f'{answer.status} {answer.reason}', f'bold {style}')
        if answer.operation:
            line.append(f'  {client.OPERATION}: {answer.operation}', 'dim')
        self._print(line)
        if brief or not answer.text:
            return
        if answer.content_type.endswith('json'):
            self._source(_layout(answer.json()), 'json')
        else:
            self._source(answer.text.strip(), 'xml')

    def proved(self, sentence: str) -> None:
        """Show what was found on the simulated hosts."""
        self._print()
        self._sentence(
            texts.Text.assemble(
                ('On the simulated hosts: ', 'bold green'), sentence
            )
        )

    def blockers(self, blockers: Sequence[Mapping[str, str]]) -> None:
        """Show all reasons of a refusal."""
        for number, blocker in enumerate(blockers, 1):
            line = texts.Text(f'{INDENT}{number}. ', 'bold')
            self._print(line.append(blocker['code'], 'bold yellow'))
            for name in ('rule', 'found', 'remedy'):
                self._print(
                    texts.Text.assemble(
                        (f'{INDENT * 2}{name:7}', 'dim'), blocker[name]
                    )
                )

    def disks(self, disks: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Show the disks that an eject would destroy."""
        self.grid(
            ('SR', 'disk', 'size'),
            [
                (sr, disk['name'], f'{disk["size"] / 2**30:.0f} GiB')
                for sr, found in disks.items()
                for disk in found
            ],
        )

    def phases(self, phases: Mapping[str, str]) -> None:
        """Show the phase of each host."""
        self.grid(('host', 'phase'), list(phases.items()))

    def pool(self, pool: Mapping[str, Any]) -> None:
        """Show a pool as a tree."""
        root = tree.Tree(
            texts.Text.assemble(
                (f'pool {pool["name_label"]}', 'bold'),
                (f'  {pool["uuid"]}', 'dim'),
            )
        )
        for host in pool['hosts']:
            role = 'master' if host['name'] == pool['master'] else 'slave'
            words = [
                host['address'] or '',
                role,
                host['phase'] or 'not in the aggregate',
                'live' if host['live'] else 'not live',
                'enabled' if host['enabled'] else 'disabled',
            ]
            root.add(
                texts.Text.assemble(
                    (f'{host["name"]}  ', 'bold cyan'), ', '.join(words)
                )
            )
        for entry in pool['drift']:
            root.add(texts.Text(f'drift: {entry["message"]}', 'red'))
        self._print()
        self.console.print(root)

    def grid(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Show a table."""
        grid = table.Table(
            *(table.Column(name, overflow='fold') for name in columns)
        )
        for row in rows:
            grid.add_row(*row)
        self.console.print(grid)

    def _source(self, code: str, language: str) -> None:
        """Show code in colours, indented."""
        highlighter = syntax.Syntax('', language, theme='ansi_dark')
        for line in highlighter.highlight(code).split():
            self._print(texts.Text(INDENT).append_text(line))

    def _sentence(self, line: texts.Text) -> None:
        """Print words, wrapped between them and never in them."""
        self.console.print(line, overflow='ignore', crop=False)

    def _print(self, line: texts.Text | None = None) -> None:
        """Print a line as it is: whoever copies it wants no line breaks."""
        self.console.print(line or texts.Text(), soft_wrap=True)


class Operations:
    """Shows how far operations are: bars, or in a pipe a line per step."""

    def __init__(self, console: consoles.Console) -> None:
        self._console = console
        self._bars = progress.Progress(
            progress.TextColumn('{task.description}', markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn('{task.fields[step]}', markup=False),
            progress.TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, progress.TaskID] = {}
        self._shown: dict[str, str] = {}

    def __enter__(self) -> 'Operations':
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._bars.stop()

    def update(self, operation: Mapping[str, Any]) -> None:
        """Show an operation as it is now."""
        uuid, state = operation['uuid'], operation['state']
        step = operation['step'] if state == 'running' else None
        words = f'{state}: {step}' if step else state
        percent = 100 if state == 'succeeded' else operation['progress']
        name = f'{operation["kind"]} {operation["host"]}'
        if uuid not in self._tasks:
            self._tasks[uuid] = self._bars.add_task(name, step='', total=100)
        self._bars.update(self._tasks[uuid], completed=percent, step=words)
        if self._shown.get(uuid) != words and not self._console.is_terminal:
            line = f'{INDENT}{name}  {percent or 0:3}%  {words}'
            self._console.print(texts.Text(line), soft_wrap=True)
        self._shown[uuid] = words
        if operation['finished_at']:
            self._bars.stop_task(self._tasks[uuid])


def _layout(data: Any) -> str:
    """JSON in one line where it fits."""
    line = json.dumps(data)
    return line if len(line) <= ONE_LINE else json.dumps(data, indent=2)
