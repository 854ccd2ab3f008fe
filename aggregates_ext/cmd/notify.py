"""What systemd is told: the protocol of sd_notify(3), where it listens.

``oslo_service.systemd`` knows READY alone.
"""

import contextlib
import os
import socket
import time

from oslo_log import log as logging

LOG = logging.getLogger(__name__)


def send(*assignments: str) -> None:
    """Tell the service manager, if one listens; never fails.

    :param assignments: such as ``READY=1``.
    """
    place = os.environ.get('NOTIFY_SOCKET')
    if not place:
        return
    if place.startswith('@'):
        # An abstract socket.
        place = '\0' + place[1:]
    try:
        with contextlib.closing(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ) as channel:
            channel.settimeout(1)
            channel.sendto('\n'.join(assignments).encode(), place)
    except OSError as exc:
        LOG.debug('systemd could not be told %s: %s', assignments, exc)


def ready() -> None:
    """The service serves."""
    send('READY=1', 'STATUS=serving')


def reloading() -> None:
    """The configuration is read again; ``ready`` follows."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    send('RELOADING=1', f'MONOTONIC_USEC={now}')


def stopping() -> None:
    """The service ends when what is in flight is done."""
    send('STOPPING=1', 'STATUS=finishing what is in flight')


def watchdog_interval() -> float | None:
    """Seconds between two signs of life; None: nobody watches."""
    limit = os.environ.get('WATCHDOG_USEC', '')
    return int(limit) / 3e6 if limit.isdigit() else None


def alive() -> None:
    """A sign of life."""
    send('WATCHDOG=1')
