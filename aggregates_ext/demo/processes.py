"""A service of the demonstration as a process, with a log of its own."""

import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence

from aggregates_ext.demo import errors

START_LIMIT = 60.0
STOP_LIMIT = 10.0
POLL = 0.05
RUN = (sys.executable, '-m', 'aggregates_ext.demo.attached')


class Process:
    """A module of this package that runs as a command.

    In a session of its own, so that Ctrl-C reaches the demonstration alone,
    which then ends the processes in order.

    :param name: what it is called on the screen, and the name of its log.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        directory: pathlib.Path,
    ) -> None:
        self.name = name
        self._log = directory / f'{name}.log'
        with self._log.open('w', encoding='utf-8') as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules
                [*RUN, str(os.getpid()), str(directory), module, *arguments],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """All that it has said."""
        return self._log.read_text(encoding='utf-8', errors='replace')

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it says a line.

        :raises errors.DemoError: it ends before, or it takes too long.
        """
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            running = self._process.poll() is None
            found = re.search(pattern, self.output(), re.MULTILINE)
            if found:
                return found
            if not running:
                raise errors.DemoError(self._ended())
            time.sleep(POLL)
        raise errors.DemoError(
            f'{self.name} was not ready within {START_LIMIT:.0f} s.'
        )

    def finish(self) -> str:
        """Wait for the end of a command, and return what it has said.

        :raises errors.DemoError: it failed, or it takes too long.
        """
        try:
            code = self._process.wait(START_LIMIT)
        except subprocess.TimeoutExpired:
            raise errors.DemoError(
                f'{self.name} did not end within {START_LIMIT:.0f} s.'
            ) from None
        if code:
            raise errors.DemoError(self._ended())
        return self.output()

    def check(self) -> None:
        """:raises errors.DemoError: it has ended."""
        if self._process.poll() is not None:
            raise errors.DemoError(self._ended())

    def stop(self) -> None:
        """End it: politely, then not."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ended(self) -> str:
        return f'{self.name} ended with {self._process.returncode}.'
