"""``openstack`` with the plug-in, on a terminal.

As ``tests.integration.clients`` runs it: each command in a copy of a process
that has loaded it, here with a terminal of its own.
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

from tests.integration import clients
from tests.pictures import terminal

# Gets the words of a command together with its terminal.
PROGRAM = f"""{clients.LOADED}
import socket

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
                [venv / 'bin' / 'python', '-c', PROGRAM, number],
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
