"""A network in which simulated hosts are found at their pool addresses.

An HTTP proxy: CONNECT to a pool-internal address reaches the port of that
host on loopback. So a client can follow HOST_IS_SLAVE.
"""

import contextlib
import select
import socket
import socketserver
import threading
from typing import cast

from aggregates_ext.xensim import simulator

HEAD_LIMIT = 8192


class Network(socketserver.ThreadingTCPServer):
    """The proxy; ``url`` is what clients are told."""

    daemon_threads = True

    def __init__(self, sim: simulator.Simulator) -> None:
        super().__init__(('127.0.0.1', 0), Tunnel)
        self.ports = {
            host.address: host.port for host in sim.world.hosts.values()
        }
        self.ended = threading.Event()
        self.url = f'http://127.0.0.1:{self.server_address[1]}'
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), daemon=True
        )

    def __enter__(self) -> 'Network':
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class Tunnel(socketserver.StreamRequestHandler):
    """One connection through the proxy."""

    def handle(self) -> None:
        network = cast(Network, self.server)
        target = self._target()
        try:
            port = network.ports[target.partition(':')[0]]
            upstream = socket.create_connection(('127.0.0.1', port))
        except (KeyError, OSError):
            self.wfile.write(b'HTTP/1.1 502 Bad Gateway\r\n\r\n')
            return
        with upstream, contextlib.suppress(OSError):
            self.wfile.write(b'HTTP/1.1 200 OK\r\n\r\n')
            carry(self.connection, upstream, network.ended)

    def _target(self) -> str:
        """The address and port that a client wants."""
        line = self.rfile.readline(HEAD_LIMIT).decode()
        while self.rfile.readline(HEAD_LIMIT).strip():
            pass
        return line.split()[1]


def carry(
    one: socket.socket, other: socket.socket, ended: threading.Event
) -> None:
    """Pass bytes both ways until one side ends."""
    peers = {one: other, other: one}
    while not ended.is_set():
        ready, _, _ = select.select([one, other], [], [], 0.1)
        for side in ready:
            data = side.recv(65536)
            if not data:
                return
            peers[side].sendall(data)
