"""One request on its way to a host: TLS, a pinned certificate, time limits."""

import hashlib
import hmac
import http.client
import ssl
import xmlrpc.client
from typing import Any


class WrongFingerprint(ssl.SSLError):
    """Another certificate than the pinned one.

    :ivar seen: its fingerprint.
    """

    def __init__(self, seen: str) -> None:
        super().__init__('another certificate than the pinned one')
        self.seen = seen


class _HTTPSConnection(http.client.HTTPSConnection):
    """TLS that is checked by a pinned fingerprint where there is one."""

    pinned: str | None = None

    def connect(self) -> None:
        super().connect()
        if self.pinned is None:
            return
        certificate: bytes = self.sock.getpeercert(True) or b''
        seen = hashlib.sha256(certificate).hexdigest()
        if not hmac.compare_digest(seen, self.pinned):
            self.close()
            raise WrongFingerprint(seen)


class Transport(xmlrpc.client.Transport):
    """Sends each request once, with a time limit.

    :ivar sent: whether the last request left for a connected host.
    """

    def __init__(
        self, timeout: float, tls: ssl.SSLContext | None, pinned: str | None
    ) -> None:
        super().__init__()
        self._timeout = timeout
        self._tls = tls
        self._pinned = pinned
        self.sent = False

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._connection and host == self._connection[0]:
            return self._connection[1]  # type: ignore[return-value]
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(
                host, timeout=self._timeout
            )
        else:
            connection = _HTTPSConnection(
                host, timeout=self._timeout, context=self._tls
            )
            connection.pinned = self._pinned
        self._connection = host, connection
        return connection

    def request(
        self, host: Any, handler: str, request_body: Any, verbose: bool = False
    ) -> Any:
        self.sent = False
        connection = self.make_connection(host)
        if connection.sock is None:
            connection.connect()
        self.sent = True
        return self.single_request(host, handler, request_body, verbose)
