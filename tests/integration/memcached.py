"""A memcached of the tests' own, on loopback."""

import contextlib
import os
import signal
import socket
import subprocess

from tests import databases
from tests.integration import ports
from tests.integration import processes


class Memcached:
    """A memcached that serves, until the end of a block.

    :ivar place: host and port, as ``memcached_servers`` has them.
    """

    def __init__(self) -> None:
        self._program = databases.find('memcached')
        [self._port] = ports.free(1)
        self.place = f'127.0.0.1:{self._port}'

    def __enter__(self) -> 'Memcached':
        # It refuses to be root, unless told so.
        account = [] if os.getuid() else ['-u', 'root']
        self._process = subprocess.Popen(
            [
                self._program,
                *('-l', '127.0.0.1', '-p', str(self._port), '-U', '0'),
                *('-m', '16', *account),
            ],
            stdin=subprocess.DEVNULL,
        )

        def serves() -> bool:
            assert self._process.poll() is None
            with contextlib.suppress(OSError):
                return bool(self.count('curr_connections'))
            return False

        processes.wait_for('memcached serves', serves)
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a power failure would."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it do nothing more, while its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def count(self, name: str) -> int:
        """A number that it tells of itself, such as ``cmd_set``."""
        place = ('127.0.0.1', self._port)
        with socket.create_connection(place, processes.DEADLINE) as client:
            client.sendall(b'stats\r\nquit\r\n')
            told = client.makefile().read()
        found = dict(line.split()[1:3] for line in told.splitlines()[:-1])
        return int(found[name])
