"""How far an operation is: a live line on a terminal, plain lines elsewhere.

What happens to hosts and guests is a line each on both.
"""

import os
import shutil
import time
import types
import unicodedata
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import TextIO

from aggregates_ext.client import waiting
from aggregates_ext.client import words

CLEAR = '\r\x1b[K'
# What is so before anything has happened.
_UNTOUCHED = ('waiting', 'queued')
# What an operation is made of: its field, what tells one from others, how it
# is told. A guest may move more than once, away and home.
_PARTS: tuple[
    tuple[str, tuple[str, ...], Callable[[words.Data], str]], ...
] = (
    ('hosts', ('host',), lambda e: f'host {e.get("host")}: {words.rolled(e)}'),
    ('changes', ('host',), lambda e: f'host {words.change(e)}'),
    ('moves', ('uuid', 'from', 'to'), lambda e: f'guest {words.move(e)}'),
)


def facts(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is worth a line when it changes: what it is about, the line."""
    for name, keys, told in _PARTS:
        for entry in operation.get(name) or ():
            if entry.get('state') not in _UNTOUCHED:
                about = ' '.join(str(entry.get(key)) for key in keys)
                yield f'{name} {about}', told(entry)
    for entry in operation.get('guests') or ():
        yield f'guest {entry.get("uuid")}', f'guest {words.guest(entry)}'
    # What it has ended with is told by who has waited.
    if operation.get('error') and not waiting.has_ended(operation):
        yield 'error', f'waits: {words.reason(operation)}'


def summary(operation: Mapping[str, Any]) -> str:
    """What an operation is at, in some words."""
    state = operation.get('state')
    step = operation.get('step') if state == 'running' else None
    who = ' '.join(
        str(operation[name])
        for name in ('kind', 'host')
        if operation.get(name)
    )
    return f'{who}: {state}{f", {step}" if step else ""}'


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        2 if unicodedata.east_asian_width(char) in 'WF' else 1 for char in text
    )


def cut(text: str, columns: int) -> str:
    """What of a text fits into so many columns."""
    while width(text) > columns:
        text = text[:-1]
    return text


class Progress:
    """Tells one operation to somebody who waits for it.

    :param stream: never where the result of a command goes.
    :param clock: tells seconds.
    """

    def __init__(
        self, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get('TERM') != 'dumb'
        self._clock = clock
        self._began = clock()
        self._told: dict[str, str] = {}
        self._line = ''

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._live:
            self._write(CLEAR)

    def update(self, operation: Mapping[str, Any]) -> None:
        """Tell what has changed."""
        if not self._live:
            self._tell('operation', summary(operation))
        for about, line in facts(operation):
            self._tell(about, line)
        if self._live:
            self._line = self._live_line(operation)
            self._draw()

    def note(self, text: str) -> None:
        """Tell something besides."""
        start, end = (CLEAR, '\n') if self._live else ('', '\n')
        self._write(f'{start}{text}{end}')
        self._draw()

    def _tell(self, about: str, line: str) -> None:
        if self._told.get(about) != line:
            self._told[about] = line
            self.note(line)

    def _live_line(self, operation: Mapping[str, Any]) -> str:
        seconds = self._clock() - self._began
        under_way = ', '.join(
            f'{entry.get("name")} {entry.get("progress") or 0} %'
            for entry in operation.get('moves') or ()
            if entry.get('state') == 'sent'
        )
        percent = operation.get('progress') or 0
        line = f'{percent:3} %  {seconds:.0f} s  {summary(operation)}'
        return f'{line}  {under_way}' if under_way else line

    def _draw(self) -> None:
        if self._live and self._line:
            columns = shutil.get_terminal_size().columns - 1
            self._write(f'{CLEAR}{cut(self._line, columns)}')

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
