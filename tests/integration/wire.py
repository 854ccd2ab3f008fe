"""The wire to a host: passes bytes on, and keeps them."""

import contextlib
import socket
import socketserver
import threading
from typing import cast

BLOCK = 65536


class Wire(socketserver.ThreadingTCPServer):
    """A port in front of that of a host, whatever is spoken there.

    :ivar url: where the product finds the host.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, scheme: str, port: int) -> None:
        super().__init__(('127.0.0.1', 0), _Connection)
        self.upstream = port
        self.url = f'{scheme}://127.0.0.1:{self.server_address[1]}'
        self._seen: list[bytes] = []
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name='wire'
        )

    def start(self) -> None:
        """Take connections."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def keep(self, data: bytes) -> None:
        """Remember what has passed."""
        self._seen.append(data)

    def holds(self, secret: str) -> bool:
        """Whether a text has passed, in a block or across two."""
        return secret.encode() in b''.join(list(self._seen))

    @property
    def passed(self) -> int:
        """How many bytes have passed."""
        return sum(map(len, list(self._seen)))


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire = cast(Wire, self.server)
        try:
            host = socket.create_connection(('127.0.0.1', wire.upstream))
        except OSError:
            return
        with host:
            back = threading.Thread(
                target=_pass_on, args=(host, self.request, wire), daemon=True
            )
            back.start()
            _pass_on(self.request, host, wire)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, wire: Wire) -> None:
    """Pass bytes one way until an end, and pass that on too."""
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK):
            wire.keep(data)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
