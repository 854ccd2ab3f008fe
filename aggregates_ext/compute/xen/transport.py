"""One request on its way to a host: a pinned certificate, time and size."""

import hashlib
import hmac
import http.client
import math
import ssl
from typing import Any
from urllib import parse

from aggregates_ext.compute.xen import answers
from aggregates_ext.compute.xen import wire

# Bytes of status line and headers, and of what comes before or around an
# answer; xapi's headers have some 300.
HEAD = 1 << 16
# Bytes of an answer that holds no records. The largest are the permissions
# of a session, some 200 KB in a release of today.
PLAIN = 1 << 20
# Bytes of one of records, unless configured (xapi#answer-sizes).
RECORDS = 64 << 20
# Bytes of one that lists packages; some 1 KB each.
PACKAGES = 8 << 20
CHUNK = 1 << 16
AGENT = 'aggregates-ext'


class WrongFingerprint(ssl.SSLError):
    """Another certificate than the pinned one.

    :ivar seen: its fingerprint.
    """

    def __init__(self, seen: str) -> None:
        super().__init__('another certificate than the pinned one')
        self.seen = seen


class Transport:
    """Sends each request once, and reads the answer to it within bounds.

    :param timeout: seconds for a request as a whole.
    :param tls: None: clear text.
    :param pinned: the SHA-256 fingerprint that is asked for.
    :param until: monotonic time after which nothing is sent or awaited.
    :param records: bytes that an answer with records may have.
    :ivar sent: whether the last request left for a connected host.
    :ivar limit: bytes that the next answer may have.
    """

    def __init__(
        self,
        timeout: float,
        tls: ssl.SSLContext | None,
        pinned: str | None,
        until: float = math.inf,
        records: int = RECORDS,
    ) -> None:
        self.timeout = timeout
        self.records = records
        self.limit = PLAIN
        self.sent = False
        self._tls = tls
        self._pinned = pinned
        self._until = until
        self._wire: wire.Wire | None = None

    def request(
        self, host: str, handler: str, body: bytes, verbose: bool = False
    ) -> tuple[Any]:
        """As ``xmlrpc.client`` asks for it.

        :param host: the host and its port, as the URL has them.
        :param handler: the path.
        :raises OSError: of the network, or a limit that was reached.
        :raises http.client.HTTPException: no answer of HTTP.
        :raises Unreadable: no answer of XML-RPC.
        """
        more = f'Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n'
        answer, line = self._exchange(host, 'POST', handler, more, body)
        values = self.limit // answers.SPARSEST
        return (answers.read(answer, values, line.deadline.left),)

    def get(self, host: str, path: str) -> bytes:
        """What is at a path, as it is.

        :raises OSError: of the network, or a limit that was reached.
        :raises http.client.HTTPException: no answer of HTTP.
        :raises Unreadable: another status than 200.
        """
        return bytes(self._exchange(host, 'GET', path, '', b'')[0])

    def _exchange(
        self, host: str, method: str, path: str, more: str, body: bytes
    ) -> tuple[bytearray, wire.Wire]:
        """Send a request, and read the answer in full.

        :param more: lines of its head.
        """
        self.sent = False
        head = _head(host, method, path, more)
        line = self._connect(host)
        self.sent = True
        keep = False
        try:
            line.allow(HEAD)
            line.sendall(head + body)
            response = http.client.HTTPResponse(
                line,  # type: ignore[arg-type]  # no more than makefile()
                method=method,
            )
            response.begin()
            answer = self._read(line, response)
            keep = not response.will_close
        finally:
            if not keep:
                self.close()
        return answer, line

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        line, self._wire = self._wire, None
        if line is not None:
            line.close()

    def _connect(self, host: str) -> wire.Wire:
        """The connection, if it is still one; else another.

        A host that has hung up meanwhile, or has said something unasked
        which could be taken for the next answer, has been sent nothing yet.
        """
        deadline = wire.Deadline(self.timeout, self._until)
        deadline.left()
        if self._wire is not None and self._wire.is_quiet():
            self._wire.deadline = deadline
            return self._wire
        self.close()
        name, port = _place(host, 80 if self._tls is None else 443)
        line = wire.Wire(name, port, deadline, self._tls)
        if self._pinned is not None and self._tls is not None:
            seen = hashlib.sha256(line.certificate()).hexdigest()
            if not hmac.compare_digest(seen, self._pinned):
                line.close()
                raise WrongFingerprint(seen)
        self._wire = line
        return line

    def _read(
        self, line: wire.Wire, response: http.client.HTTPResponse
    ) -> bytearray:
        """The body of an answer that is one, in full."""
        if response.status != 200:
            raise answers.Unreadable(
                f'it answered with HTTP status {response.status}'
            )
        for name, plain in (
            ('Content-Encoding', 'identity'),
            ('Transfer-Encoding', 'chunked'),
        ):
            encoding = response.getheader(name, plain).lower()
            if encoding != plain:
                raise answers.Unreadable(
                    f'it sent the {name} "{encoding}" unasked'
                )
        line.allow(self.limit + HEAD)
        if (response.length or 0) > self.limit:
            raise wire.TooMuch(self._describe_limit())
        # One piece of memory: as many small ones leave holes between what
        # other threads keep, which the system does not get back.
        answer = bytearray()
        while piece := response.read1(CHUNK):
            answer += piece
            if len(answer) > self.limit:
                raise wire.TooMuch(self._describe_limit())
        if response.length:
            raise http.client.IncompleteRead(b'', response.length)
        return answer

    def _describe_limit(self) -> str:
        return (
            f'the answer has more than {self.limit >> 10} KiB, which is the '
            'limit for such a call'
        )


def _place(host: str, default: int) -> tuple[str, int]:
    """Where to connect to.

    :raises http.client.InvalidURL: a registered URL that has no such place.
    """
    try:
        parts = parse.urlsplit(f'//{host}')
        return parts.hostname or '', parts.port or default
    except ValueError as exc:
        raise http.client.InvalidURL(str(exc)) from exc


def _head(host: str, method: str, path: str, more: str) -> bytes:
    """The head of a request.

    :raises http.client.InvalidURL: a registered URL that HTTP cannot have.
    """
    name = host if host.isascii() else host.encode('idna').decode()
    if not all(33 <= ord(sign) < 127 for sign in name + path):
        raise http.client.InvalidURL('the URL holds what no URL can')
    return (
        f'{method} {path} HTTP/1.1\r\n'
        f'Host: {name}\r\n'
        f'User-Agent: {AGENT}\r\n'
        'Accept-Encoding: identity\r\n'
        f'{more}\r\n'
    ).encode('ascii')
