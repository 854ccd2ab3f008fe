"""The port of a simulated host: it can serve, refuse, reset and hang."""

import collections.abc
import contextlib
import dataclasses
import functools
import http.server
import io
import socket
import ssl
import struct
import threading

from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.wire import acceptor as acceptors
from aggregates_ext.xensim.wire import codec

MAX_BODY = 4 << 20
IDLE_TIMEOUT = 600.0
RESET = struct.pack('ii', 1, 0)
"""SO_LINGER of a socket which resets its connection when it is closed."""

FORBIDDEN = (
    '<html><body><h1>HTTP 403 forbidden</h1>Access to the requested '
    'resource is forbidden.</body></html>'
)
UNAUTHORISED = '<html><body><h1>HTTP 401 unauthorised</h1></body></html>'
STATISTICS = '/rrd_updates'
"""What is read with a password in the header, and not simulated."""

INTERNAL_ERROR = (
    '<html><body><h1>HTTP 500 internal server error</h1>'
    'An unexpected error occurred; please wait a while and try again.'
    '</body></html>'
)

NOT_FOUND = '<html><body><h1>HTTP 404 not found</h1></body></html>'
BAD_REQUEST = '<html><body><h1>HTTP 400 bad request</h1></body></html>'

PAGES = {
    400: BAD_REQUEST,
    401: UNAUTHORISED,
    403: FORBIDDEN,
    404: NOT_FOUND,
    500: INTERNAL_ERROR,
}

Respond = collections.abc.Callable[[codec.Request], object]


@dataclasses.dataclass(frozen=True)
class Page:
    """What is answered to a GET; without a body, the page of its status."""

    status: int
    kind: str = 'text/html'
    body: bytes = b''


Fetch = collections.abc.Callable[[str], Page | None]


def _nothing(target: str) -> Page | None:
    """No path is served."""
    return None


class Port:
    """A loopback port which stays reserved while nobody listens on it."""

    def __init__(
        self, number: int, respond: Respond, acceptor: acceptors.Acceptor
    ) -> None:
        self.respond = respond
        self.fetch: Fetch = _nothing
        self._acceptor = acceptor
        self.speaks_json = True
        """Products before 7.0 do not (xapi#endpoints)."""
        self.tls: ssl.SSLContext | None = None
        """What is shown to clients; None: plain HTTP."""
        self._reserved = _bound(number)
        self.number: int = self._reserved.getsockname()[1]
        self._listening: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def open(self) -> None:
        """Serve the connections which come from now on."""
        self._listen(serve=True)

    def deafen(self) -> None:
        """Take connections and never answer."""
        self.close()
        self._listen(serve=False)

    def close(self) -> None:
        """Reset all connections and refuse new ones."""
        with self._lock:
            listening, self._listening = self._listening, None
            connections = list(self._connections)
            self._connections.clear()
            if listening is not None:
                self._acceptor.forget(listening)
                listening.close()
        for connection in connections:
            reset(connection)

    def release(self) -> None:
        """Close for good and give the port back."""
        self.close()
        self._reserved.close()

    def _listen(self, serve: bool) -> None:
        with self._lock:
            if self._listening is not None:
                return
            listening = self._listening = _bound(self.number)
            listening.setblocking(False)
            listening.listen(64)
            if serve:
                accept = functools.partial(self._accept, listening)
                self._acceptor.watch(listening, accept)

    def _accept(self, listening: socket.socket) -> None:
        with self._lock:
            if self._listening is not listening:
                return
            try:
                connection, peer = listening.accept()
            except OSError:
                return
            self._connections.add(connection)
        serving = threading.Thread(
            target=self._serve, args=(connection, peer), daemon=True
        )
        try:
            serving.start()
        except RuntimeError:
            # No thread is left; the one which accepts must not end too.
            with self._lock:
                self._connections.discard(connection)
            reset(connection)

    def _serve(self, connection: socket.socket, peer: object) -> None:
        try:
            connection.settimeout(IDLE_TIMEOUT)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._secured(connection)
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            Connection(connection, peer, self)
        except failure.ConnectionLost:
            reset(connection)
        except OSError:
            connection.close()
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        """The same connection with TLS, which close() knows at once."""
        if self.tls is None:
            return connection
        with self._lock:
            if connection not in self._connections:
                raise failure.ConnectionLost
            self._connections.discard(connection)
            secured = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
            self._connections.add(secured)
        return secured


def _bound(number: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        with named(number):
            bound.bind(('127.0.0.1', number))
    except OSError:
        bound.close()
        raise
    return bound


@contextlib.contextmanager
def named(number: int) -> collections.abc.Iterator[None]:
    """:raises OSError: with the port that cannot be had."""
    try:
        yield
    except OSError as exc:
        raise OSError(
            f'port {number} of 127.0.0.1 cannot be had: {exc.strerror}'
        ) from exc


def reset(connection: socket.socket) -> None:
    """End a connection so that its client sees a reset."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # Not the method of an SSLSocket, which is not safe while another
        # thread reads from it.
        socket.socket.shutdown(connection, socket.SHUT_RD)
    connection.close()


class Connection(http.server.BaseHTTPRequestHandler):
    """One connection: HTTP requests one after another."""

    protocol_version = 'HTTP/1.1'
    wbufsize = io.DEFAULT_BUFFER_SIZE

    def __init__(
        self, request: socket.socket, peer: object, port: Port
    ) -> None:
        self.port = port
        super().__init__(request, peer, port)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the simulator keeps its own list of calls."""

    def do_GET(self) -> None:
        """What a real host says without credentials (xapi#endpoints)."""
        self.close_connection = True
        if self.path.partition('?')[0] == STATISTICS:
            page = Page(401)
        else:
            page = self.port.fetch(self.path) or Page(403)
        body = page.body or PAGES[page.status].encode()
        self._answer(page.status, page.kind, body)

    def do_OPTIONS(self) -> None:
        """Allow other origins, as xapi does (xapi#endpoints)."""
        self._answer(200, 'text/plain', b'')

    def do_POST(self) -> None:
        """Take one call."""
        body = self._body()
        if body is None:
            return
        try:
            kind, answer = self._respond(body)
        except codec.Malformed:
            self._answer(500, 'text/html', INTERNAL_ERROR.encode())
        else:
            self._answer(200, kind, answer)

    def _body(self) -> bytes | None:
        """The body; None after an answer that there is no good one."""
        length = self.headers.get('Content-Length', '')
        path = self.path.partition('?')[0]
        json = ('/jsonrpc',) if self.port.speaks_json else ()
        if path not in ('/', '/RPC2', *json):
            self.close_connection = True
            self._answer(403, 'text/html', FORBIDDEN.encode())
            return None
        if not length.isascii() or not length.isdigit():
            self.close_connection = True
            self._answer(500, 'text/html', INTERNAL_ERROR.encode())
            return None
        if len(length) > 12 or int(length) > MAX_BODY:
            self.close_connection = True
            self._answer(413, 'text/html', INTERNAL_ERROR.encode())
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            # The connection ended under it: nobody asked anything.
            raise failure.ConnectionLost
        return body

    def _respond(self, body: bytes) -> tuple[str, bytes]:
        if self.path.partition('?')[0] == '/jsonrpc':
            request = codec.read_json(body)
            try:
                value = self.port.respond(request)
            except failure.Failure as exc:
                return 'application/json', codec.json_failure(request, exc)
            return 'application/json', codec.json_success(request, value)
        request = codec.read_xml(body)
        try:
            value = self.port.respond(request)
        except failure.Failure as exc:
            return 'text/xml', codec.xml_failure(exc)
        return 'text/xml', codec.xml_success(value)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header('Content-Length', str(len(body)))
        connection = 'close' if self.close_connection else 'keep-alive'
        self.send_header('Connection', connection)
        self.send_header('Cache-Control', 'no-cache, no-store')
        self.send_header('Content-Type', kind)
        if status == 401:
            path = self.path.partition('?')[0]
            realm = f'Basic realm="{path.strip("/")}"'
            self.send_header('WWW-Authenticate', realm)
        elif status != 403:
            allowed = 'X-Requested-With'
            self.send_header('Access-Control-Allow-Origin', '*')
            self.send_header('Access-Control-Allow-Headers', allowed)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
