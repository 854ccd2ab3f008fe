"""One thread which takes the connections of all listening sockets."""

import collections.abc
import contextlib
import selectors
import socket
import threading

Accept = collections.abc.Callable[[], None]


class Acceptor:
    """Waits for connections to many sockets at once.

    Sockets are added and removed while the thread waits: epoll and kqueue
    allow that, so a thousand hosts need no thread each.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to wait."""
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(
            target=self._run, name='xensim-acceptor', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Wait no more."""
        self._waker.close()
        self._thread.join()
        self._woken.close()
        self._selector.close()

    def watch(self, listening: socket.socket, accept: Accept) -> None:
        """Call a function whenever somebody connects to a socket."""
        with self._lock:
            self._selector.register(listening, selectors.EVENT_READ, accept)

    def forget(self, listening: socket.socket) -> None:
        """Leave a socket alone; to be called before it is closed."""
        with self._lock, contextlib.suppress(KeyError):
            self._selector.unregister(listening)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data()
