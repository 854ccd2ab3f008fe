"""``openstack`` with the plug-in, on a terminal.

It takes seconds to load. So one process loads it, and each command runs in a
copy of that.
"""

import contextlib
import json
import pathlib
import socket
import subprocess
import types
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

from tests.pictures import terminal

# Gets the words of a command together with its terminal.
LOADED = """
import contextlib
import importlib.metadata
import json
import os
import socket
import sys
import openstack.compute.v2._proxy
from openstackclient import shell

for group in importlib.metadata.entry_points().groups:
    if group.startswith('openstack.'):
        for point in importlib.metadata.entry_points(group=group):
            with contextlib.suppress(ImportError):
                point.load()

asked = socket.socket(fileno=int(sys.argv[1]))
while True:
    message, files, _flags, _who = socket.recv_fds(asked, 65536, 1)
    if not message:
        break
    child = os.fork()
    if child == 0:
        for number in range(3):
            os.dup2(files[0], number)
        os.close(files[0])
        try:
            status = shell.main(json.loads(message))
        except SystemExit as exc:
            status = exc.code
        sys.stdout.flush()
        os._exit(status or 0)
    os.close(files[0])
    _child, status = os.waitpid(child, 0)
    asked.send(str(os.waitstatus_to_exitcode(status)).encode())
"""


class OpenStack:
    """Starts commands.

    :param venv: where the clients of OpenStack are installed.
    :param variables: all of the environment.
    """

    def __init__(
        self, venv: pathlib.Path, variables: Mapping[str, str]
    ) -> None:
        self._socket, other = socket.socketpair()
        self._socket.settimeout(terminal.LIMIT)
        with other:
            number = str(other.fileno())
            self._process = subprocess.Popen(
                [venv / 'bin' / 'python', '-c', LOADED, number],
                env={**variables, **terminal.VARIABLES},
                # Or what Python finds here would be found before the plug-in.
                cwd=venv,
                pass_fds=[other.fileno()],
            )

    def __enter__(self) -> 'OpenStack':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(terminal.LIMIT)
        self._process.kill()
        self._process.wait()

    def command(self, words: Sequence[str]) -> terminal.Start:
        """What starts a command, without its first word."""

        def start(tty: int) -> Callable[[], int]:
            socket.send_fds(self._socket, [json.dumps(words).encode()], [tty])
            return lambda: int(self._socket.recv(16))

        return start
