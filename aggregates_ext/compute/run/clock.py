"""Time as operations see it, so that tests can step it."""

import threading
import time


class Stopping(Exception):
    """The service is asked to stop; what was begun is taken up later."""


class Clock:
    """Seconds that pass by themselves, and a wait that a stop ends."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait.

        :raises Stopping: the service stops.
        """
        if self._stopped.wait(seconds):
            raise Stopping

    def stop(self) -> None:
        """End all waits, now and to come."""
        self._stopped.set()
