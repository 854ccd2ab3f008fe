"""Compute services that ``forkserver`` makes, and where they wait."""

import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
from typing import Any

from tests.integration import processes

# What a forked service does that is not asked for more.
NOTHING = {'time': None, 'look_timeout': 0}


class Forked(processes.Process):
    """A process that the fork server made; not a child of ours."""

    def __init__(self, pid: int, log: pathlib.Path) -> None:
        self.log = log
        self._pid = pid
        self._handle = os.pidfd_open(pid)

    @property
    def running(self) -> bool:
        return not select.select([self._handle], [], [], 0)[0]

    @property
    def frozen(self) -> bool:
        """Whether it is stopped by a signal."""
        return processes.is_stopped(self._pid)

    def send(self, number: int) -> None:
        """Send a signal, if it still runs; never to another with its id."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        assert self._wait(), 'SIGKILL does not end it'

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)
        processes.await_stop(self._pid)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def ask_to_end(self) -> None:
        self.send(signal.SIGTERM)
        self.thaw()

    def await_end(self) -> bool:
        """Whether it ends within seconds; else it is killed."""
        ended = self._wait()
        if not ended:
            self.kill()
        return ended

    def _wait(self) -> bool:
        limit = processes.STOP_LIMIT
        return bool(select.select([self._handle], [], [], limit)[0])

    def close(self) -> None:
        """Forget an ended process."""
        os.close(self._handle)


class Gate:
    """Where a forked service waits at a COMMIT, see ``forkserver``."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.file = directory / 'gate'
        self.file.unlink(missing_ok=True)
        os.mkfifo(self.file)
        self._end: int | None = None

    def is_reached(self) -> bool:
        """Whether the service waits there; then it does until ``open``."""
        if self._end is None:
            with contextlib.suppress(OSError):
                # Refused while nobody reads at the other end.
                self._end = os.open(self.file, os.O_WRONLY | os.O_NONBLOCK)
        return self._end is not None

    def open(self) -> None:
        """Let the service pass."""
        if self._end is not None:
            os.close(self._end)
            self._end = None


class ForkServer:
    """The parent of compute services, see ``forkserver``."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, '-m', 'tests.integration.forkserver'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=processes.ROOT,
            env=processes.environment(),
        )

    def start(self, log: pathlib.Path, order: dict[str, Any]) -> Forked:
        """Make a compute service."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        log.touch()
        line = json.dumps({**NOTHING, **order, 'log': str(log)})
        self._popen.stdin.write(f'{line}\n')
        self._popen.stdin.flush()
        return Forked(int(self._popen.stdout.readline()), log)

    def stop(self) -> None:
        """Make no more."""
        self._popen.communicate()
