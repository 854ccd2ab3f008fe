"""SQLite on another clock: its ``julianday('now')`` tells what it is told."""

from collections.abc import Callable
from typing import Any

EPOCH = 2440587.5
DAY = 86400.0


def give_clock(connection: Any, read: Callable[[], float]) -> None:
    """Let a DBAPI connection take the time from a function.

    :param read: gives seconds of the epoch.
    """
    connection.create_function(
        'julianday', 1, lambda _now: EPOCH + read() / DAY
    )
