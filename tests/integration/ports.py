"""Ports for servers that cannot choose one themselves."""

import contextlib
import pathlib
import random
import socket

CLIENT_PORTS = pathlib.Path('/proc/sys/net/ipv4/ip_local_port_range')


def free(number: int) -> list[int]:
    """Ports on loopback that nobody listens on.

    None that the system gives to clients: one of those might have it when a
    server that was killed is started again.

    :raises LookupError: there are not so many.
    """
    lowest = int(CLIENT_PORTS.read_text().split()[0])
    found: list[int] = []
    for port in random.sample(range(10_000, max(lowest, 20_000)), 1000):
        with contextlib.suppress(OSError):
            socket.create_server(('127.0.0.1', port)).close()
            found.append(port)
        if len(found) == number:
            return found
    raise LookupError('there are no free ports')
