"""A command on a terminal of its own, as an operator sees it."""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from tests.pictures import screen as screens

COLUMNS = 100
ROWS = 60
LIMIT = 300.0  # seconds
VARIABLES = {'TERM': 'xterm-256color', 'PYTHONUTF8': '1'}
# Colours, which may be within words, and what moves elsewhere.
_COLOUR = re.compile(r'\x1b\[[0-9;]*m')
_MOVE = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')
# Starts a command on a terminal, by its descriptor; tells what waits for its
# end and returns its exit code.
Start = Callable[[int], Callable[[], int]]


class Shown(NamedTuple):
    """What stood on the terminal.

    :ivar status: what the command ended with.
    :ivar lines: with colours, when the picture was taken.
    :ivar ever: all that was ever drawn, without colours.
    """

    status: int
    lines: list[str]
    ever: str


def program(command: Sequence[str], environment: Mapping[str, str]) -> Start:
    """What starts a program."""

    def start(terminal: int) -> Callable[[], int]:
        process = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**environment, **VARIABLES},
        )
        return lambda: process.wait(LIMIT)

    return start


def run(start: Start, look: Callable[[str], bool] | None = None) -> Shown:
    """Let a command run to its end.

    :param look: is told the text of the screen whenever it has changed, and
        says whether the picture is taken then; without it the end is shown.
    :raises TimeoutError: it does not end.
    """
    reader, terminal = pty.openpty()
    try:
        size = struct.pack('HHHH', ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
        try:
            wait = start(terminal)
        finally:
            # Or the end of the command would not be the end of what it writes.
            os.close(terminal)
        screen, taken, ever = screens.Screen(COLUMNS), None, ''
        decoder = codecs.getincrementaldecoder('utf-8')()
        deadline = time.monotonic() + LIMIT
        while data := _read(reader, deadline):
            text = decoder.decode(data)
            ever += text
            screen.write(text)
            if look and taken is None and look(screen.text()):
                taken = screen.lines()
    finally:
        os.close(reader)
    lines = screen.lines() if taken is None else taken
    told = _MOVE.sub(' ', _COLOUR.sub('', ever))
    return Shown(wait(), lines, told)


def _read(reader: int, deadline: float) -> bytes:
    """What was written meanwhile; nothing when nobody can write any more."""
    left = max(0.0, deadline - time.monotonic())
    if not select.select([reader], [], [], left)[0]:
        raise TimeoutError(f'no end within {LIMIT:.0f} s')
    with contextlib.suppress(OSError):
        return os.read(reader, 65536)
    return b''
