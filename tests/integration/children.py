"""Commands of the project that tests start, and how they end.

What a user starts is a ``Process``. A ``Forked`` runs the same command in a
copy of a process that has imported all of it before, see ``forkserver``: it
works at once.
"""

import abc
import contextlib
import functools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
DEADLINE = 180.0
# Seconds that one may take which has been killed already, or has not.
KILLED = 10.0
POLL = 0.03


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of all processes: our Paste file is found."""
    directory = str(ROOT / 'etc' / 'aggregates_ext')
    mine = {**os.environ, 'OS_AGGREGATES_EXT_CONFIG_DIR': directory}
    return {**mine, **(variables or {})}


def is_stopped(pid: int) -> bool:
    """Whether no thread of a process runs: a signal has stopped it."""
    threads = pathlib.Path(f'/proc/{pid}/task').glob('*/stat')
    states = [
        file.read_text().rpartition(')')[2].split()[0] for file in threads
    ]
    return set(states) <= set('TXZ')


class Child(abc.ABC):
    """A command that runs.

    :ivar log: gets what it writes, to be read while it runs.
    """

    def __init__(self, log: pathlib.Path, process_id: int) -> None:
        self.log = log
        self.process_id = process_id

    @property
    @abc.abstractmethod
    def running(self) -> bool:
        """Whether it has not ended."""

    @abc.abstractmethod
    def send(self, number: int) -> None:
        """Send a signal, if it still runs; never to another with its id."""

    @abc.abstractmethod
    def wait(self, seconds: float = DEADLINE) -> int | None:
        """Wait for it; its exit code, None when it has not ended."""

    @property
    def frozen(self) -> bool:
        """Whether it is stopped by a signal."""
        return is_stopped(self.process_id)

    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text()

    def reload(self) -> None:
        """Let it read its configuration again."""
        self.send(signal.SIGHUP)

    def kill(self) -> None:
        """End it as a power failure would."""
        self.send(signal.SIGKILL)
        assert self.wait() is not None, 'SIGKILL does not end it'

    def freeze(self) -> None:
        """Let it do nothing more, until ``thaw``."""
        self.send(signal.SIGSTOP)
        end = time.monotonic() + DEADLINE
        # Its threads stop one after another.
        while not self.frozen:
            assert time.monotonic() < end, 'SIGSTOP does not stop it'
            time.sleep(POLL)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.send(signal.SIGCONT)

    def ask_to_end(self) -> None:
        """Send SIGTERM, also to a frozen process."""
        self.send(signal.SIGTERM)
        self.thaw()

    def await_end(self, seconds: float = DEADLINE) -> bool:
        """Whether it ends within some time; else it is killed."""
        if self.wait(seconds) is None:
            self.kill()
            return False
        return True

    def terminate(self) -> int:
        """Ask it to end; the answer: its exit code."""
        self.ask_to_end()
        code = self.wait()
        assert code is not None, f'{self.log.name}: not ended by SIGTERM'
        return code


class Process(Child):
    """A command that is started as users do.

    :param arguments: of the command.
    :param variables: further ones for its environment.
    """

    def __init__(
        self,
        log: pathlib.Path,
        command: str,
        arguments: Sequence[str],
        variables: Mapping[str, str],
    ) -> None:
        program = pathlib.Path(sys.executable).with_name(command)
        with log.open('wb') as file:
            self._popen = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(variables),
            )
        super().__init__(log, self._popen.pid)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def send(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, seconds: float = DEADLINE) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(seconds)
        return None


class Forked(Child):
    """A process that a fork server made, which is its parent."""

    def __init__(
        self, log: pathlib.Path, process_id: int, server: 'ForkServer'
    ) -> None:
        super().__init__(log, process_id)
        self._server = server
        self._handle = os.pidfd_open(process_id)
        self._code: int | None = None

    @property
    def running(self) -> bool:
        return not select.select([self._handle], [], [], 0)[0]

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def wait(self, seconds: float = DEADLINE) -> int | None:
        if self._code is None:
            ended, _, _ = select.select([self._handle], [], [], seconds)
            if ended:
                self._code = self._server.ask(ended=self.process_id)
        return self._code

    def close(self) -> None:
        """Forget an ended process."""
        os.close(self._handle)


class ForkServer:
    """The parent of processes, see ``forkserver``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen = subprocess.Popen(
            [sys.executable, '-m', 'tests.integration.forkserver'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def ask(self, **order: Any) -> int:
        """Give an order, and wait for what it answers."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with self._lock:
            self._popen.stdin.write(f'{json.dumps(order)}\n')
            self._popen.stdin.flush()
            return int(self._popen.stdout.readline())

    def start(
        self,
        log: pathlib.Path,
        command: str,
        arguments: Sequence[str],
        variables: Mapping[str, str] | None = None,
        **disturbed: Any,
    ) -> Forked:
        """Start a command; the parameters are those of ``Process``.

        :param disturbed: what is different, see ``forkserver.disturb``.
        """
        log.touch()
        process_id = self.ask(
            log=str(log),
            command=command,
            arguments=list(arguments),
            environment=environment(variables),
            disturbed=disturbed,
        )
        return Forked(log, process_id, self)

    def stop(self) -> None:
        """Make no more."""
        self._popen.communicate()


@functools.cache
def fork_server() -> ForkServer:
    """The one of this process, which ends with it."""
    return ForkServer()


def fork(
    log: pathlib.Path,
    command: str,
    arguments: Sequence[str],
    variables: Mapping[str, str],
) -> Forked:
    """Start a command at once; the parameters are those of ``Process``."""
    return fork_server().start(log, command, arguments, variables)
