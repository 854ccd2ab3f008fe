"""The other end of NOTIFY_SOCKET, as systemd has it."""

import contextlib
import pathlib
import socket
import threading
import types

from tests.integration import processes


class Listener:
    """Collects what a service tells.

    :ivar place: for the service's NOTIFY_SOCKET.
    :ivar told: one assignment each, in order.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.place = str(directory / 'notify')
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> 'Listener':
        self._socket.bind(self.place)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        with contextlib.closing(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ) as own:
            own.sendto(b'', self.place)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while text := self._socket.recv(4096).decode():
            self.told += text.split('\n')

    def count(self, assignment: str) -> int:
        """How often something was told, such as ``READY=1``."""
        return self.told.count(assignment)

    def await_count(self, assignment: str, number: int = 1) -> None:
        """Wait until something was told so often."""
        processes.wait_for(
            f'{assignment} is told {number} times',
            lambda: self.count(assignment) >= number,
        )
