"""Bytes from the wire, to the real process: no 5xx, no hang, it serves on."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Sequence

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LISTENING = 'listening on http://127.0.0.1:'
PATH = b'/v2.1/os-aggregates'
LEGACY = b'/v1.1/p/os-aggregates'
BODY = b'{"aggregate": {"name": "n"}}'
PATIENCE = 60  # seconds until a test is called hanging
STATUS = re.compile(rb'(?:\A|(?<=\r\n\r\n)|(?<=[}>]))HTTP/1\.[01] (\d{3}) ')


class Server:
    """The stand-alone API as a process of its own, without authentication.

    :ivar log: what it wrote on stderr.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        paste = ROOT / 'etc/aggregates_ext/api-paste.ini'
        (directory / 'api-paste.ini').write_text(paste.read_text())
        self.database = directory / 'db.sqlite'
        (directory / 'aggregates_ext.conf').write_text(
            '[api]\nauth_strategy = noauth\nbind_port = 0\nthreads = 4\n'
            f'[database]\nconnection = sqlite:///{self.database}\n'
        )
        self.log = directory / 'log'
        environment = os.environ | {
            'OS_AGGREGATES_EXT_CONFIG_DIR': str(directory)
        }
        migrate = 'from aggregates_ext.cmd import manage; manage.main()'
        subprocess.run(
            [sys.executable, '-c', migrate, 'db', 'sync'],
            env=environment,
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        code = 'from aggregates_ext.cmd import api; api.main()'
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-c', code],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = next(
            text for text in self.process.stdout if text.startswith(LISTENING)
        )
        self.port = int(line.removeprefix(LISTENING))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def connect(self) -> socket.socket:
        return socket.create_connection(
            ('127.0.0.1', self.port), timeout=PATIENCE
        )

    def send(self, *parts: bytes, end: bool = True) -> bytes:
        """All that is answered to some bytes, until the end.

        :param end: whether our side ends after them.
        """
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                for part in parts:
                    connection.sendall(part)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            return read(connection)

    def names(self) -> list[str]:
        """The aggregates that there are."""
        connection = sqlite3.connect(self.database)
        rows = connection.execute('SELECT name FROM aggregates').fetchall()
        connection.close()
        return [name for (name,) in rows]


def read(connection: socket.socket) -> bytes:
    """What comes until the other side ends; a reset is an end too."""
    found = b''
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            found += data
    return found


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers on a connection."""
    return [int(status) for status in STATUS.findall(answer)]


def request(
    method: bytes = b'GET',
    path: bytes = PATH,
    headers: Sequence[bytes] = (),
    body: bytes = b'',
    version: bytes = b'1.1',
) -> bytes:
    """A request that is right but for what it is given."""
    lines = [
        method + b' ' + path + b' HTTP/' + version,
        b'Host: localhost',
        b'X-Auth-Token: admin:p',
        *headers,
    ]
    return b'\r\n'.join(lines) + b'\r\n\r\n' + body


def length(body: bytes) -> bytes:
    return b'Content-Length: %d' % len(body)


JSON = b'Content-Type: application/json'
XML = b'Content-Type: application/xml'
CLOSE = b'Connection: close'


@pytest.fixture(scope='module')
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp('sockets'))
    yield made
    assert made.stop() == 0
    log = made.log.read_text()
    assert 'Traceback' not in log, log


@pytest.fixture(autouse=True)
def _it_serves_on(server: Server) -> Iterator[None]:
    before = server.names()
    yield
    assert statuses(server.send(request())) == [200]
    assert server.names() == before


def post(
    path: bytes = PATH, body: bytes = BODY, headers: Sequence[bytes] = (JSON,)
) -> bytes:
    return request(b'POST', path, [*headers, length(body), CLOSE], body)


BAD_TEXT = [b'\xff\xfe', b'%FF', b'%00', b'%0d%0aX-Injected: 1', b'%ED%A0%80']
MANY = b'9' * 100_000
REFUSED = [
    # what is sent, the statuses that it may have
    pytest.param(request(path=PATH + b'/' + MANY), {404}, id='huge id'),
    pytest.param(request(path=LEGACY + b'/' + MANY), {404}, id='huge legacy'),
    pytest.param(request(path=PATH + b'/-' + MANY), {404}, id='huge minus'),
    pytest.param(request(path=PATH + b'?limit=' + MANY), {400}, id='limit'),
    pytest.param(request(path=PATH + b'?marker=' + MANY), {400}, id='marker'),
    pytest.param(request(headers=[b'If-Match: ' + MANY]), {200}, id='tag'),
    pytest.param(
        request(headers=[b'OpenStack-API-Version: compute 2.' + b'9' * 5000]),
        {400, 406},
        id='huge microversion',
    ),
    pytest.param(
        request(headers=[b'OpenStack-API-Version: compute \xff\xfe']),
        {400},
        id='microversion is no text',
    ),
    pytest.param(
        request(path=LEGACY, headers=[b'Accept: ' + b'a/b;q=1,' * 9000]),
        {200},
        id='long accept',
    ),
    pytest.param(
        request(path=LEGACY, headers=[b'Accept: \xff;q=\xff']),
        {200},
        id='accept is no text',
    ),
    pytest.param(
        request(headers=[b'X-Long: ' + b'x' * 2**20]), {431}, id='1 MiB header'
    ),
    pytest.param(
        request(headers=[b'X-%d: x' % n for n in range(60_000)]),
        {431},
        id='many headers',
    ),
    pytest.param(request(version=b'1.0'), {200}, id='HTTP/1.0'),
    pytest.param(b'GET ' + PATH + b'\r\n\r\n', {200, 400}, id='HTTP/0.9'),
    pytest.param(request(version=b'9.9'), {200, 400, 505}, id='HTTP/9.9'),
    pytest.param(b'\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', {400}, id='TLS'),
    pytest.param(b'\x00' * 100 + b'\r\n\r\n', {400}, id='null bytes'),
    pytest.param(request(b'G\x00T'), {400, 405}, id='null in method'),
    pytest.param(request(b'X' * 70_000), {400, 405}, id='long method'),
    pytest.param(
        request(headers=[b'X-A: b\r\n c: d']), {200, 400}, id='folded header'
    ),
    pytest.param(request(headers=[b'No colon']), {400}, id='no colon'),
    pytest.param(request(headers=[b'X-A: \x00']), {200, 400}, id='null value'),
    pytest.param(
        request(b'POST', headers=[JSON, b'Content-Length: -1']),
        {400},
        id='negative length',
    ),
    pytest.param(
        request(b'POST', headers=[JSON, b'Content-Length: 1e3']),
        {400},
        id='length is no number',
    ),
    pytest.param(
        request(b'POST', headers=[JSON, b'Content-Length: ' + MANY]),
        {400, 413},
        id='huge length',
    ),
    pytest.param(
        request(
            b'POST',
            headers=[JSON, length(BODY), b'Content-Length: 1', CLOSE],
            body=BODY,
        ),
        {400},
        id='two lengths',
    ),
    pytest.param(
        request(
            b'POST',
            headers=[JSON, b'Transfer-Encoding: gzip', CLOSE],
            body=BODY,
        ),
        {400, 501},
        id='encoding unknown',
    ),
    pytest.param(
        request(
            b'POST',
            headers=[JSON, b'Transfer-Encoding: chunked', CLOSE],
            body=b'zz\r\n' + BODY,
        ),
        {400},
        id='chunk without size',
    ),
    pytest.param(
        request(
            b'POST',
            headers=[JSON, b'Transfer-Encoding: chunked', CLOSE],
            body=b'5\r\n' + BODY[:5] + b'XX0\r\n\r\n',
        ),
        {400},
        id='chunk too long',
    ),
    *(
        pytest.param(request(path=PATH + b'/' + text), {400}, id=f'path {n}')
        for n, text in enumerate(BAD_TEXT)
    ),
    *(
        pytest.param(
            request(path=LEGACY + b'/' + text), {400, 404}, id=f'legacy {n}'
        )
        for n, text in enumerate(BAD_TEXT)
    ),
    *(
        pytest.param(
            request(path=PATH + b'?name=' + text), {200, 400}, id=f'query {n}'
        )
        for n, text in enumerate(BAD_TEXT)
    ),
    *(
        pytest.param(post(PATH + b'/1/' + text), {400, 404}, id=f'below {n}')
        for n, text in enumerate(BAD_TEXT)
    ),
    pytest.param(post(body=b'{"aggregate": "\xff"}'), {400}, id='body'),
    pytest.param(
        post(LEGACY, b'<aggregate name="\xff"/>', [XML]), {400}, id='XML body'
    ),
    pytest.param(
        post(headers=[b'Content-Type: \xff/\x80']), {415}, id='content type'
    ),
    pytest.param(
        post(body=b'{}', headers=[JSON + b'; charset=utf-99; ;']),
        {400},
        id='charset',
    ),
]


@pytest.mark.parametrize(('sent', 'expected'), REFUSED)
def test_bytes_are_answered(
    server: Server, sent: bytes, expected: set[int]
) -> None:
    answer = server.send(sent)
    found = statuses(answer)
    assert found or answer == b'', answer[:300]
    assert set(found[:1]) <= expected, answer[:300]
    assert b'\nX-Injected' not in answer


def test_body_that_is_shorter_than_told(server: Server) -> None:
    """What there is of it may be whole; it is not what was sent."""
    for body in (b'', BODY[:5], BODY):
        headers = [JSON, b'Content-Length: 100', CLOSE]
        answer = server.send(request(b'POST', PATH, headers, body))
        assert set(statuses(answer)) <= {400}, answer


def test_body_that_is_longer_than_told(server: Server) -> None:
    """The rest is the next request, and none that is understood."""
    headers = [JSON, b'Content-Length: 2']
    answer = server.send(request(b'POST', PATH, headers, b'{}a b\r\n\r\n'))
    assert statuses(answer) == [400, 400], answer


def test_body_in_chunks(server: Server) -> None:
    headers = [JSON, b'Transfer-Encoding: chunked', CLOSE]
    parts = [b'%x\r\n%s\r\n' % (1, bytes([byte])) for byte in b'{"a": {}}']
    answer = server.send(
        request(b'POST', PATH, headers), *parts, b'0\r\n\r\n', end=False
    )
    assert statuses(answer) == [400], answer
    assert b'it has no aggregate' in answer


def test_chunks_without_end_and_a_length_beside_them(server: Server) -> None:
    """What a proxy could take for two requests is not carried out."""
    headers = [JSON, b'Transfer-Encoding: chunked', length(BODY), CLOSE]
    hidden = request(b'DELETE', PATH + b'/1')
    answer = server.send(
        request(b'POST', PATH, headers, b'0\r\n\r\n' + hidden)
    )
    assert statuses(answer)[:1] == [400], answer
    assert len(statuses(answer)) == 1, answer


def test_body_of_17_mebibytes(server: Server) -> None:
    """More than the server itself takes."""
    headers = [JSON, length(b'x' * 17 * 2**20), CLOSE]
    answer = server.send(request(b'POST', PATH, headers), b'x' * 2**16)
    assert set(statuses(answer)) <= {413}, answer


def test_body_above_our_limit_is_answered_with_a_fault(server: Server) -> None:
    answer = server.send(post(body=b' ' * 2**20), end=False)
    assert statuses(answer) == [413], answer[:300]
    assert b'114688 bytes at most' in answer


def test_slow_bodies_keep_nobody_waiting(server: Server) -> None:
    """More of them than there are threads; each is answered at its end."""
    headers = [JSON, b'Content-Length: 2', CLOSE]
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(20)]
        for connection in slow:
            connection.sendall(request(b'POST', PATH, headers, b'{'))
        assert statuses(server.send(request())) == [200]
        for connection in slow:
            connection.sendall(b'}')
            assert statuses(read(connection)) == [400]


def test_clients_that_go_away(server: Server) -> None:
    """Nobody waits for the rest of what they sent."""
    parts = (b'G', request()[:-2], request(b'POST', PATH, [length(BODY)]))
    for part in parts * 8:
        with server.connect() as connection:
            connection.sendall(part)
    assert statuses(server.send(request())) == [200]


def test_requests_in_a_row_are_answered_in_order(server: Server) -> None:
    answer = server.send(
        request(),
        request(path=PATH + b'/99'),
        request(b'PATCH'),
        request(b'POST', PATH, [JSON, length(b'{}')], b'{}'),
        request(b'HEAD'),
        request(headers=[CLOSE]),
    )
    assert statuses(answer) == [200, 404, 405, 400, 200, 200], answer


def test_who_waits_for_a_go_ahead_gets_it(server: Server) -> None:
    headers = [JSON, b'Content-Length: 2', b'Expect: 100-continue', CLOSE]
    with server.connect() as connection:
        connection.sendall(request(b'POST', PATH, headers))
        first = connection.recv(65536)
        assert first.startswith(b'HTTP/1.1 100 '), first
        connection.sendall(b'{}')
        assert statuses(read(connection)) == [400]


def test_expectation_that_nobody_knows(server: Server) -> None:
    headers = [JSON, length(b'{}'), b'Expect: the-unexpected', CLOSE]
    answer = server.send(request(b'POST', PATH, headers, b'{}'))
    assert set(statuses(answer)) <= {400, 417}, answer


@pytest.mark.parametrize(
    'host',
    [b'"><script>', b'a\x00b', b'\xff', b'x' * 60_000, b'[', b'a:b:c', b' '],
)
@pytest.mark.parametrize('path', [b'/', b'/v2.1/', PATH + b'?limit=1'])
def test_host_that_is_none(server: Server, host: bytes, path: bytes) -> None:
    """It is in links of answers, and nowhere else."""
    sent = b'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n'
    answer = server.send(sent % (path, host))
    assert set(statuses(answer)) <= {200, 400}, answer[:300]


def test_identity_that_is_no_text(server: Server) -> None:
    for token in (b'\xff:\xfe', b'\x00', b':', b'a:b:c', b'x' * 60_000):
        sent = b'GET %s HTTP/1.1\r\nHost: a\r\nX-Auth-Token: %s\r\n\r\n'
        answer = server.send(sent % (PATH, token))
        assert set(statuses(answer)) <= {200, 400}, answer[:300]


def test_token_that_is_handed_out_injects_no_header(server: Server) -> None:
    for user in (b'a\r b', b'a%0d%0aX-Injected: 1', b'\xff', b'a\x0b'):
        sent = b'GET /v1.1/ HTTP/1.1\r\nHost: a\r\nX-Auth-User: %s\r\n\r\n'
        answer = server.send(sent % user)
        assert set(statuses(answer)) <= {200, 204, 400}, answer[:300]
        assert b'\nX-Injected' not in answer
