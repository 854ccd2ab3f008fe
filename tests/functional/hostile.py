"""A host that misbehaves: a server of its own in front of a simulated one.

What it does to a call is a function in ``MISBEHAVIOURS``. All that it is not
told to spoil it passes to the simulated host behind it, so that a host can be
sound in some answers and hostile in others. It counts what it sends and whom
it holds.

A new misbehaviour is a function with ``@misbehaviour``; ``test_hostile.py``
plays it in every position.
"""

import contextlib
import gzip
import http.client
import itertools
import re
import select
import socket
import ssl
import threading
import xmlrpc.client
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from urllib import parse

PIECE = b'x' * 65536
# Seconds between two bytes of a host that is slow.
PAUSE = 0.02
HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n'
METHOD = re.compile(rb'<methodName>([^<]*)</methodName>')
LENGTH = re.compile(rb'content-length: *(\d+)', re.I)

Act = Callable[['Talk'], object]
MISBEHAVIOURS: dict[str, Act] = {}
# Before there is a request: what is done to a new connection.
GREETINGS: dict[str, Act] = {}


def misbehaviour(act: Act) -> Act:
    """Enter a function in the table, under its name."""
    MISBEHAVIOURS[act.__name__] = act
    return act


def greeting(act: Act) -> Act:
    """The same for what is done before a request is read."""
    GREETINGS[act.__name__] = act
    return act


def success(value: Any) -> bytes:
    """An answer as a host would give it, to send it wrongly."""
    return document({'Status': 'Success', 'Value': value})


def document(value: Any) -> bytes:
    """Any XML-RPC answer."""
    return xmlrpc.client.dumps((value,), methodresponse=True).encode()


def wrapped(value: str) -> bytes:
    """An answer whose value is given as XML."""
    return (
        '<?xml version="1.0"?><methodResponse><params><param>'
        '<value><struct><member><name>Status</name><value>Success</value>'
        f'</member><member><name>Value</name>{value}</member></struct>'
        '</value></param></params></methodResponse>'
    ).encode()


def whole(body: bytes, head: bytes = HEAD) -> bytes:
    """An answer of HTTP with a body that is as long as it says."""
    return head + b'Content-Length: %d\r\n\r\n' % len(body) + body


class Gone(Exception):
    """The other side has closed the connection."""


class Talk:
    """One connection, as a misbehaviour sees it."""

    def __init__(self, server: 'Hostile', connection: socket.socket) -> None:
        self._server = server
        self._connection = connection

    def send(self, data: bytes) -> None:
        """Send, and count it."""
        try:
            self._connection.sendall(data)
        except OSError as exc:
            raise Gone from exc
        self._server.count(len(data))

    def answer(self, body: bytes, head: bytes = HEAD) -> None:
        """Send a whole answer."""
        self.send(whole(body, head))

    def pour(self, data: bytes = PIECE, head: bytes = b'') -> None:
        """Send the same again and again, as fast as it is taken."""
        self.send(head)
        while True:
            self.send(data)

    def drip(self, data: Iterator[int]) -> None:
        """Send a byte now and then."""
        for byte in data:
            self.send(bytes([byte]))
            if self._server.stopping.wait(PAUSE):
                raise Gone

    def hold(self) -> None:
        """Keep the connection, and do nothing, until the other gives up."""
        while not self._server.stopping.is_set():
            ready, _, _ = select.select([self._connection], [], [], PAUSE)
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLError):
                if ready and not self._connection.recv(4096):
                    break
        raise Gone

    def read(self) -> bytes:
        """The body of the next request."""
        data = b''
        while b'\r\n\r\n' not in data:
            data += self._more()
        head, _, body = data.partition(b'\r\n\r\n')
        found = LENGTH.search(head)
        while len(body) < int(found[1] if found else 0):
            body += self._more()
        return body

    def _more(self) -> bytes:
        try:
            data = self._connection.recv(65536)
        except OSError as exc:
            raise Gone from exc
        if not data:
            raise Gone
        return data


class Hostile:
    """A server in front of a simulated host.

    :param url: of the simulated host.
    :param tls: what it shows; None: plain HTTP.
    :ivar calls: the methods that have come, in order.
    :ivar greeted: connections that were spoilt before any call.
    :ivar sent: bytes that were taken from it when it misbehaved.
    :ivar most_held: the most connections it has had at once.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self._upstream = parse.urlsplit(url).netloc
        self._tls = tls
        self._lock = threading.Lock()
        self._act: Act | None = None
        self._greet: Act | None = None
        self._methods: tuple[str, ...] = ()
        self.stopping = threading.Event()
        self.calls: list[str] = []
        self.greeted = 0
        self.sent = 0
        self.held = 0
        self.most_held = 0
        self._listening = socket.create_server(('127.0.0.1', 0), backlog=128)
        scheme = 'http' if tls is None else 'https'
        self.url = f'{scheme}://127.0.0.1:{self._listening.getsockname()[1]}'
        threading.Thread(target=self._accept, daemon=True).start()

    def misbehave(self, name: str | Act, *methods: str) -> None:
        """Spoil the answers to some methods from now on, or to all."""
        with self._lock:
            if callable(name):
                self._act, self._greet = name, None
            else:
                self._act = MISBEHAVIOURS.get(name)
                self._greet = GREETINGS.get(name)
            self._methods = methods

    def behave(self) -> None:
        """Be sound again."""
        with self._lock:
            self._act = self._greet = None

    def stop(self) -> None:
        """End all of it."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def count(self, size: int) -> None:
        """Count what was sent."""
        with self._lock:
            self.sent += size

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.held += 1
            self.most_held = max(self.held, self.most_held)
            greet = self._greet
            self.greeted += greet is not None
        try:
            if greet is not None:
                greet(Talk(self, connection))
            if self._tls is not None:
                connection = self._tls.wrap_socket(
                    connection, server_side=True
                )
            talk = Talk(self, connection)
            while True:
                self._reply(talk, talk.read())
        except (Gone, OSError, http.client.HTTPException):
            connection.close()
        finally:
            with self._lock:
                self.held -= 1

    def _reply(self, talk: Talk, body: bytes) -> None:
        found = METHOD.search(body)
        method = found[1].decode() if found else ''
        with self._lock:
            self.calls.append(method)
            act = self._act
            if self._methods and method not in self._methods:
                act = None
        if act is not None:
            act(talk)
            return
        upstream = http.client.HTTPConnection(self._upstream)
        with contextlib.closing(upstream):
            upstream.request('POST', '/RPC2', body)
            answer = upstream.getresponse().read()
        talk.answer(answer)


# Slow: something comes, and never an end of it.


@misbehaviour
def silent(talk: Talk) -> None:
    talk.hold()


@misbehaviour
def slow_body(talk: Talk) -> None:
    talk.send(HEAD + b'Content-Length: 1000000\r\n\r\n')
    talk.drip(itertools.repeat(32))


@misbehaviour
def slow_head(talk: Talk) -> None:
    talk.drip(iter(HEAD + b'X: ' + b'x' * 60000))
    talk.hold()


@misbehaviour
def slow_chunks(talk: Talk) -> None:
    talk.send(HEAD + b'Transfer-Encoding: chunked\r\n\r\n')
    talk.drip(itertools.cycle(b'1\r\n \r\n'))


@misbehaviour
def slow_continues(talk: Talk) -> None:
    talk.drip(itertools.cycle(b'HTTP/1.1 100 Continue\r\n\r\n'))


# Endless: as fast as it is taken.


@misbehaviour
def endless_body(talk: Talk) -> None:
    talk.pour(head=HEAD + b'\r\n')


@misbehaviour
def endless_chunks(talk: Talk) -> None:
    chunk = b'10000\r\n' + PIECE + b'\r\n'
    talk.pour(chunk, HEAD + b'Transfer-Encoding: chunked\r\n\r\n')


@misbehaviour
def endless_small_chunks(talk: Talk) -> None:
    chunk = b'1\r\nx\r\n' * 10000
    talk.pour(chunk, HEAD + b'Transfer-Encoding: chunked\r\n\r\n')


@misbehaviour
def endless_trailers(talk: Talk) -> None:
    head = HEAD + b'Transfer-Encoding: chunked\r\n\r\n'
    all_ = b'%x\r\n' % len(success('x')) + success('x') + b'\r\n0\r\n'
    talk.pour(b'X: y\r\n' * 10000, head + all_)


@misbehaviour
def endless_headers(talk: Talk) -> None:
    talk.pour(b'X: y\r\n' * 10000, HEAD)


@misbehaviour
def endless_line(talk: Talk) -> None:
    talk.pour()


@misbehaviour
def endless_continues(talk: Talk) -> None:
    talk.pour(b'HTTP/1.1 100 Continue\r\n\r\n' * 1000)


@misbehaviour
def endless_error(talk: Talk) -> None:
    talk.pour(head=b'HTTP/1.1 500 Internal Server Error\r\n\r\n')


# Lying: about how much it is, or what.


@misbehaviour
def huge_length(talk: Talk) -> None:
    talk.pour(head=HEAD + b'Content-Length: 99999999999\r\n\r\n')


@misbehaviour
def huge_chunk(talk: Talk) -> None:
    head = HEAD + b'Transfer-Encoding: chunked\r\n\r\n7fffffffffff\r\n'
    talk.pour(head=head)


@misbehaviour
def negative_chunk(talk: Talk) -> None:
    talk.pour(head=HEAD + b'Transfer-Encoding: chunked\r\n\r\n-5\r\n')


@misbehaviour
def length_too_long(talk: Talk) -> None:
    body = success('OpaqueRef:x')
    talk.send(HEAD + b'Content-Length: %d\r\n\r\n' % (len(body) + 9) + body)
    raise Gone


@misbehaviour
def length_too_short(talk: Talk) -> None:
    body = success('OpaqueRef:x')
    talk.send(HEAD + b'Content-Length: %d\r\n\r\n' % (len(body) - 9) + body)


@misbehaviour
def gzip_bomb(talk: Talk) -> None:
    body = gzip.compress(b'<a>' + bytes(64 << 20))
    talk.answer(body, HEAD + b'Content-Encoding: gzip\r\n')


@misbehaviour
def odd_transfer(talk: Talk) -> None:
    talk.answer(success('x'), HEAD + b'Transfer-Encoding: gzip\r\n')


@misbehaviour
def redirect(talk: Talk) -> None:
    talk.answer(
        b'', b'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n'
    )


@misbehaviour
def switch(talk: Talk) -> None:
    talk.answer(b'', b'HTTP/1.1 101 Switching Protocols\r\n')


# Malformed: whole answers of HTTP, with something else in them.

BODIES = {
    'empty': b'',
    'no_xml': b'\x00\xff' * 100,
    'half_xml': success('OpaqueRef:x')[:-30],
    'two_documents': success('OpaqueRef:x') * 2,
    'html': b'<html><body>Sign in</body></html>',
    'entities': (
        b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
        + wrapped('<value>&b;</value>').partition(b'?>')[2]
    ),
    'other_encoding': b'<?xml version="1.0" encoding="utf-16"?><a/>',
    'deep': wrapped(
        '<value><array><data>' * 50000 + '</data></array></value>' * 50000
    ),
    'unclosed': wrapped('<value>' * 100000),
    'wide': wrapped(f'<value><array>{"<data/>" * 100000}</array></value>'),
    'many_values': wrapped(
        f'<value><array><data>{"<value/>" * 100000}</data></array></value>'
    ),
    'no_int': wrapped('<value><int>abc</int></value>'),
    'long_int': wrapped(f'<value><int>{"9" * 100000}</int></value>'),
    'no_boolean': wrapped('<value><boolean>2</boolean></value>'),
    'no_double': wrapped('<value><double>x</double></value>'),
    'no_name': wrapped(
        '<value><struct><member><value/></member></struct></value>'
    ),
    'two_values': wrapped('<value><int>1</int><int>2</int></value>'),
    'stray_text': wrapped('<value><struct>x</struct></value>'),
    'fault': xmlrpc.client.dumps(xmlrpc.client.Fault(1, 'no')).encode(),
    'no_parameter': b'<methodResponse><params/></methodResponse>',
    'a_call': xmlrpc.client.dumps((1,), 'system.listMethods').encode(),
    'a_list': document([1, 2]),
    'no_status': document({'Value': 'OpaqueRef:x'}),
    'no_value': document({'Status': 'Success'}),
    'no_error': document({'Status': 'Failure'}),
    'empty_error': document({'Status': 'Failure', 'ErrorDescription': []}),
    'error_in_text': document(
        {'Status': 'Failure', 'ErrorDescription': 'HOST_IS_SLAVE'}
    ),
    'error_of_structs': document(
        {'Status': 'Failure', 'ErrorDescription': [{'a': 1}]}
    ),
    'a_number': success(7),
    'nothing': success(''),
}


def _say(body: bytes) -> Act:
    return lambda talk: talk.answer(body)


MISBEHAVIOURS |= {name: _say(body) for name, body in BODIES.items()}


# Before a request, or where TLS is expected.


@greeting
def answer_before_request(talk: Talk) -> None:
    talk.answer(success('OpaqueRef:x'))


@greeting
def hang_up(talk: Talk) -> None:
    raise Gone


@greeting
def never_a_handshake(talk: Talk) -> None:
    talk.hold()


@greeting
def slow_greeting(talk: Talk) -> None:
    # The head of a record of a handshake, whose body does not come.
    talk.drip(itertools.chain(b'\x16\x03\x03\x40\x00', itertools.repeat(0)))


@greeting
def endless_greeting(talk: Talk) -> None:
    talk.pour(b'\x16\x03\x03\x40\x00' + bytes(0x4000))
