"""A limit to the patience of a database driver that has none.

psycopg2 waits for an answer as long as the connection stands, and that of a
server which hangs stands for ever. Here the socket is shut down instead,
and the driver reports a lost connection.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

LOOK_INTERVAL = 0.5


class Watchdog:
    """Shuts down sockets that wait for too long."""

    def __init__(self) -> None:
        self._due: dict[int, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def over(self, file: int, limit: float) -> Iterator[None]:
        """Watch a socket for the length of a block.

        :param limit: seconds that it may take.
        """
        with self._changed:
            self._due[file] = time.monotonic() + limit
            # After a fork the thread is not there.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name='database-watchdog', daemon=True
                )
                self._thread.start()
            elif len(self._due) == 1:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(file, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due:
                    self._changed.wait()
                now = time.monotonic()
                for file in [f for f, due in self._due.items() if due < now]:
                    del self._due[file]
                    shut_down(file)
            time.sleep(LOOK_INTERVAL)


def shut_down(file: int) -> None:
    """End the connection of a socket whose owner keeps the descriptor."""
    with (
        contextlib.suppress(OSError),
        socket.socket(fileno=os.dup(file)) as ours,
    ):
        ours.shutdown(socket.SHUT_RDWR)


def watched(extensions: Any, dog: Watchdog, limit: float) -> type[Any]:
    """A class of psycopg2 connections whose waits have a limit.

    :param extensions: ``psycopg2.extensions``.
    :param limit: seconds.
    """

    class Cursor(extensions.cursor):  # type: ignore[misc]
        def execute(self, *arguments: Any) -> None:
            with dog.over(self.connection.fileno(), limit):
                super().execute(*arguments)

    class Connection(extensions.connection):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.cursor_factory = Cursor

        def commit(self) -> None:
            with dog.over(self.fileno(), limit):
                super().commit()

        def rollback(self) -> None:
            with dog.over(self.fileno(), limit):
                super().rollback()

    return Connection
