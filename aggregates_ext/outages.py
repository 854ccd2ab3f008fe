"""What is away: told when that begins and when it ends, and between seldom.

Who asks a database every second, and who is asked a thousand times a minute,
have one line to say while it is away, not one for each try.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

# Seconds between two lines that say the same.
REMINDER = 60.0


class Outage:
    """Something that works, or does not, as the log tells it.

    :param log: a logger, of the module that it is about.
    :param down: what is true while it lasts.
    :param up: what is true again at its end.
    """

    def __init__(
        self,
        log: Any,
        down: str,
        up: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._down = down
        self._up = up
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = 0.0
        self._times = 0

    def fails(self, reason: str, level: int = logging.WARNING) -> None:
        """It does not work: told the first time, and then once a minute."""
        with self._lock:
            now = self._clock()
            first = self._since is None
            since = now if self._since is None else self._since
            self._since = since
            self._times += 1
            if not first and now - self._told < REMINDER:
                return
            self._told = now
            times = self._times
        if first:
            self._log.log(level, '%s: %s', self._down, reason)
            return
        self._log.log(
            level,
            '%s, for %.0f s now and %d times: %s',
            self._down,
            now - since,
            times,
            reason,
        )

    def works(self) -> None:
        """It works: told where it did not before."""
        if self._since is None:
            return
        with self._lock:
            since, self._since, self._times = self._since, None, 0
        if since is not None:
            self._log.info('%s, after %.0f s', self._up, self._clock() - since)
