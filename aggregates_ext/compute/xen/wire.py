"""A connection to a host: every wait has an end, every byte is counted.

A limit between two bytes is none: a host that sends a byte now and then
keeps it away for ever. So each wait here, for the connection, for TLS, for
the host to take a request or to answer it, lasts until one deadline at most.
TLS is fed from here too, since its library reads as long as there is
something to read.
"""

import contextlib
import io
import math
import socket
import ssl
import time
from typing import Any

# Bytes asked of the network at once.
CHUNK = 1 << 16
# Bytes of a handshake; a chain of certificates that OpenSSL accepts has up
# to 100 KB.
HANDSHAKE = 1 << 18


class OutOfTime(OSError):
    """The time for all the calls of a look is over.

    No ``TimeoutError``: that says something about the host.
    """


class HandshakeStalled(ssl.SSLError):
    """A host took the connection, and did not finish the TLS handshake."""


class TooMuch(OSError):
    """A host sent more than any answer has."""


class Deadline:
    """When a request ends, whatever has become of it.

    :param seconds: that it may take as a whole.
    :param until: monotonic time at which a look ends that it belongs to.
    """

    def __init__(self, seconds: float, until: float = math.inf) -> None:
        now = time.monotonic()
        self._seconds = seconds
        self._until = until
        self._ends = min(now + seconds, until)

    def left(self) -> float:
        """Seconds until it.

        :raises OSError: as ``over`` has it.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            raise self.over()
        return left

    def over(self) -> OSError:
        """What has happened when nothing has until then."""
        if self._ends == self._until:
            return OutOfTime('the time for this look as a whole is over')
        return TimeoutError(f'it was not done within {self._seconds:g} s')


class Wire(io.RawIOBase):
    """A connection, with TLS or without.

    :param deadline: until which it must have come about; set it anew for
        each request.
    :param tls: None: clear text.
    :raises OSError: it did not come about.
    :ivar reader: what the host sends; it is never closed by its readers.
    """

    def __init__(
        self,
        host: str,
        port: int,
        deadline: Deadline,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__()
        self.deadline = deadline
        self._allowed = HANDSHAKE
        self._ended = False
        self._waits = True
        self._socket = _connect(host, port, deadline)
        self.reader = _Reader(self, CHUNK)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if tls is not None:
            try:
                self._secure(tls, host)
            except BaseException:
                self.close()
                raise

    def _secure(self, tls: ssl.SSLContext, host: str) -> None:
        secured = tls.wrap_bio(
            self._incoming, self._outgoing, server_hostname=host
        )
        while True:
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._push()
                try:
                    self._fill()
                except TimeoutError as exc:
                    raise HandshakeStalled(f'TLS handshake: {exc}') from exc
            except ssl.SSLError:
                # The host is told why.
                with contextlib.suppress(OSError):
                    self._push()
                raise
        self._push()
        self._tls = secured

    def certificate(self) -> bytes:
        """What the host showed; empty without TLS."""
        if self._tls is None:
            return b''
        return self._tls.getpeercert(True) or b''

    def allow(self, size: int) -> None:
        """Let the host send so many bytes from now on, and no more."""
        self._allowed = size

    def is_quiet(self) -> bool:
        """Whether the host has sent nothing unasked, and not hung up."""
        self._waits = False
        try:
            said = self.reader.peek(1)
        except OSError:
            return False
        finally:
            self._waits = True
        return not said and not self._ended

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        if self._tls is None:
            self._send(data)
            return
        while True:
            try:
                self._tls.write(data)
                break
            except ssl.SSLWantReadError:
                self._push()
                self._fill()
        self._push()

    def makefile(self, mode: str) -> io.BufferedReader:
        """As a socket has it, for ``http.client``."""
        return self.reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is; None: it would have to be waited for."""
        if self._tls is None:
            data = self._receive(len(buffer))
            if data is None:
                return None
            buffer[: len(data)] = data
            return len(data)
        while True:
            try:
                # Into a buffer; so it is a number that is returned.
                size: Any = self._tls.read(len(buffer), buffer)
            except ssl.SSLWantReadError:
                self._push()
                if not self._fill():
                    return None
                continue
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                size = 0
            self._ended = not size
            return int(size)

    def close(self) -> None:
        if not self.closed:
            self._socket.close()
        super().close()

    def _fill(self) -> bool:
        """Give TLS what has come; whether anything has, be it the end."""
        data = self._receive(CHUNK)
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
        return data is not None

    def _push(self) -> None:
        """Send what TLS has to say."""
        self._send(self._outgoing.read())

    def _receive(self, size: int) -> bytes | None:
        left = self.deadline.left() if self._waits else 0
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(size)
        except BlockingIOError:
            return None
        except TimeoutError:
            raise self.deadline.over() from None
        self._ended = not data
        self._allowed -= len(data)
        if self._allowed < 0:
            raise TooMuch('it is larger than any answer may be')
        return data

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(self.deadline.left())
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                raise self.deadline.over() from None


class _Reader(io.BufferedReader):
    """Keeps what a host has sent beyond an answer, to be noticed."""

    def close(self) -> None:
        """Stay open for the next answer."""


def _connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address that takes it, with a share for each.

    Names are looked up by the system, which has limits of its own.
    """
    deadline.left()
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    failed: OSError = OSError('the name has no address')
    for number, (family, kind, protocol, _name, place) in enumerate(found):
        left = deadline.left() / (len(found) - number)
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left)
            connection.connect(place)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            connection.close()
            failed = exc
        else:
            return connection
    if isinstance(failed, TimeoutError):
        raise deadline.over()
    raise failed
