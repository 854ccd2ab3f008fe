"""The network between the service and its database, which tests can cut.

It reads along: both MariaDB and PostgreSQL are sent the word COMMIT.
"""

import contextlib
import select
import socket
import socketserver
import threading
from typing import Any
from typing import cast

# The end of a packet of either protocol.
COMMIT = (b'COMMIT', b'COMMIT\0')

# What MariaDB's connections are told before they write and before they read,
# where they did the other before; and what begins PostgreSQL's that write.
WRITER, READER = b'READ COMMITTED', b'REPEATABLE READ'
BEGIN = b'BEGIN\0'


class Wire(socketserver.ThreadingTCPServer):
    """Passes connections on to a server.

    :ivar commits: how many of writers were on their way to the server.
    :ivar asked: how often the service sent something.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int) -> None:
        super().__init__(('127.0.0.1', 0), Connection)
        self.server_port = port
        self.port = int(self.server_address[1])
        self.commits = 0
        self.asked = 0
        self.ended = threading.Event()
        self._cut: tuple[int, str, bool] | None = None
        self._down = threading.Event()
        self._lock = threading.Lock()
        self._open = 0
        self._closed = threading.Condition(self._lock)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> 'Wire':
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def plan(
        self, lose: str, nth: int = 1, *, stay_down: bool = False
    ) -> None:
        """Cut the connection at a COMMIT of a writer to come.

        :param lose: 'commit' before it reaches the server, 'answer' when
            the server has answered it, or 'both': at the moment it is on
            its way, so that nobody knows.
        :param nth: 1 is the next one.
        :param stay_down: let no further connection through, till ``mend``.
        """
        with self._lock:
            self.commits = 0
            self._cut = (nth, lose, stay_down)

    def cut_all(self) -> None:
        """Cut every connection, and let none through till ``mend``."""
        self._down.set()

    def cut_and_mend(self) -> None:
        """End every connection, as a server does that starts again."""
        self.cut_all()
        with self._closed:
            assert self._closed.wait_for(lambda: not self._open, 30)
        self.mend()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._closed:
            self._open -= 1
            self._closed.notify_all()

    def mend(self) -> None:
        """Let connections through again."""
        self._down.clear()

    @property
    def is_down(self) -> bool:
        return self._down.is_set()

    @property
    def was_cut(self) -> bool:
        """Whether what was planned has happened."""
        return self._cut is None

    def consider(self) -> str | None:
        """What is to be lost of a COMMIT on its way to the server."""
        with self._lock:
            self.commits += 1
            if self._cut is None or self._cut[0] != self.commits:
                return None
            _nth, lose, stay_down = self._cut
            self._cut = None
            if stay_down:
                self._down.set()
            return lose


class Connection(socketserver.BaseRequestHandler):
    """One connection of the service."""

    # Whether its transactions write, and whether the one that goes on does.
    _writer = _writes = False

    def handle(self) -> None:
        wire = cast(Wire, self.server)
        if wire.is_down:
            return
        client = cast(socket.socket, self.request)
        with (
            contextlib.suppress(OSError),
            socket.create_connection(
                ('127.0.0.1', wire.server_port)
            ) as server,
        ):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._carry(wire, client, server)

    def _carry(
        self, wire: Wire, client: socket.socket, server: socket.socket
    ) -> None:
        while not (wire.ended.is_set() or wire.is_down):
            ready, _, _ = select.select([client, server], [], [], 0.02)
            if server in ready:
                data = server.recv(65536)
                if not data:
                    return
                client.sendall(data)
            if client in ready:
                data = client.recv(65536)
                wire.asked += 1
                lose = self._read(wire, data)
                if not data or lose == 'commit':
                    return
                server.sendall(data)
                if lose == 'answer':
                    server.recv(65536)
                if lose is not None:
                    return

    def _read(self, wire: Wire, data: bytes) -> str | None:
        """Look what passes; the answer: what is to be lost of it."""
        if WRITER in data or READER in data:
            self._writer = WRITER in data
        if data.endswith(BEGIN):
            self._writes = True
        if not data.endswith(COMMIT) or not (self._writer or self._writes):
            return None
        self._writes = False
        return wire.consider()
