"""Listening to the bus in a thread of its own.

With the broker away or frozen, starting and stopping a server of
oslo.messaging take as long as that lasts. The service works by polling
meanwhile, and ends when it is told to.
"""

import logging as std_logging
import threading
from collections.abc import Callable

import oslo_messaging
from oslo_log import log as logging

from aggregates_ext import rpc

LOG = logging.getLogger(__name__)
# Seconds until a broker that refused us is asked again; doubled up to a limit.
RETRY = 1.0
MAX_RETRY = 60.0


class Listener:
    """A server of the bus, for as long as the service works.

    :param make_server: a server that has not been started; called again
        after a broker has refused the last one.
    """

    def __init__(
        self, make_server: Callable[[], oslo_messaging.MessageHandlingServer]
    ) -> None:
        self._make_server = make_server
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='listener', daemon=True
        )

    def start(self) -> None:
        """Listen as soon as there is a broker."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages, and finish what was taken; see ``join``."""
        self._stopping.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end after ``stop``; whether it came in time."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        server = self._begin()
        if server is None:
            return
        LOG.info('Messages are listened to')
        self._stopping.wait()
        server.stop()
        server.wait()

    def _begin(self) -> oslo_messaging.MessageHandlingServer | None:
        """A server that runs; None: the service stops before there is one."""
        pause = RETRY
        while not self._stopping.is_set():
            server = self._make_server()
            try:
                server.start()
            except Exception as exc:
                # A broker that is away is tried by the driver itself; one
                # that refuses us (its account, its virtual host) is not.
                rpc.BROKER.fails(
                    f'the broker refuses us: {rpc.describe(exc)}. Check '
                    'transport_url.',
                    std_logging.ERROR,
                )
                self._stopping.wait(pause)
                pause = min(2 * pause, MAX_RETRY)
            else:
                rpc.BROKER.works()
                return server
        return None
