"""The HTTP server of the services, which ends without losing answers.

waitress alone answers SIGTERM by ending its loop: what its threads finish
after that is never sent.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from waitress import channel as waitress_channel
from waitress import server as waitress_server
from waitress import wasyncore

# What a body may have before the server itself refuses it; the API's own
# limit is lower, and its answer a fault that says so.
MAX_BODY = 16 * 2**20
# Seconds after which a loop that does not turn is called dead.
STUCK = 30.0
POLL = 1.0
DRAIN_POLL = 0.1
# Seconds in which a thread that has answered, or may no longer, ends; most end
# at once, on a machine at work too.
TASKS = 5.0


class Place(NamedTuple):
    """Where a server listens, and how much it takes at once.

    :ivar options: names of the options that say where, for who is refused.
    """

    host: str
    port: int
    threads: int
    connections: int
    options: str

    def url(self, port: int) -> str:
        """Where it is reached.

        :param port: what was had, where any would do.
        """
        host = f'[{self.host}]' if ':' in self.host else self.host
        return f'http://{host}:{port}'


@contextlib.contextmanager
def _named(place: Place) -> Iterator[None]:
    """:raises OSError: with the address that cannot be listened on."""
    try:
        yield
    except (OSError, ValueError) as exc:
        # ValueError: waitress finds no address of that name.
        raise OSError(
            f'{place.options}: {place.host} port {place.port} cannot be had: '
            f'{getattr(exc, "strerror", None) or exc}.'
        ) from exc


class Server:
    """A WSGI application, served by a thread of its own.

    :raises OSError: the place cannot be had.
    """

    def __init__(self, application: Any, place: Place) -> None:
        self._map: dict[int, Any] = {}
        self._place = place
        with _named(place):
            server = waitress_server.create_server(
                application,
                map=self._map,
                host=place.host,
                port=place.port,
                threads=place.threads,
                connection_limit=place.connections,
                max_request_body_size=MAX_BODY,
                # What a proxy in front says is read by the pipeline, which
                # takes it only where that is configured.
                clear_untrusted_proxy_headers=False,
                ident=None,
            )
        self._tasks = server.task_dispatcher
        self._listeners = self._of(waitress_server.BaseWSGIServer)
        self._end: float | None = None
        self._turned = time.monotonic()
        self._thread = threading.Thread(target=self._serve, name='server')

    @property
    def port(self) -> int:
        """Where it listens; the first, where there are several."""
        return int(self._listeners[0].effective_port)

    @property
    def url(self) -> str:
        """Where it is reached, by the address that was asked for."""
        return self._place.url(self.port)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether it still turns to its connections."""
        return (
            self._thread.is_alive() and time.monotonic() - self._turned < STUCK
        )

    def stop(self, limit: float) -> None:
        """Accept nothing more, and answer what has been accepted.

        :param limit: seconds; what takes longer gets no answer.
        """
        end = time.monotonic() + limit
        self._listeners[0].trigger.pull_trigger(lambda: self._end_at(end))
        self._thread.join()
        # Only here are triggers closed, and with no thread left that would
        # pull one: it would write to whatever has its number by then.
        if not self._tasks.threads:
            wasyncore.close_all(self._map)

    def _end_at(self, end: float) -> None:
        self._end = end

    def _of(self, kind: type) -> list[Any]:
        return [d for d in list(self._map.values()) if isinstance(d, kind)]

    def _turn(self, timeout: float) -> None:
        wasyncore.loop(timeout, use_poll=True, map=self._map, count=1)
        self._turned = time.monotonic()

    def _serve(self) -> None:
        while self._end is None:
            self._turn(POLL)
        # Accept who waits for it, and read what they have sent.
        self._turn(0)
        self._turn(0)
        for listener in self._listeners:
            # Not its own way, which closes the trigger that threads use to
            # have their answers sent.
            wasyncore.dispatcher.close(listener)
        while self._drain() and time.monotonic() < self._end:
            self._turn(DRAIN_POLL)
        self._tasks.shutdown(timeout=TASKS)
        for channel in self._of(waitress_channel.HTTPChannel):
            channel.handle_close()

    def _drain(self) -> bool:
        """Close connections that are at rest; whether others are left."""
        channels = self._of(waitress_channel.HTTPChannel)
        for channel in channels:
            with channel.requests_lock:
                rests = not channel.requests and channel.request is None
            if rests and not channel.total_outbufs_len:
                channel.handle_close()
        return bool(self._of(waitress_channel.HTTPChannel))
