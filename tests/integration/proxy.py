"""A proxy in front of the XenAPI ports of simulated hosts.

It reads which method a request calls and can, by rule, act before the host
gets it or after the host has answered, hold it back, or lose it. So calls
are disturbed on the network, and the product needs no hook for that.
"""

import contextlib
import dataclasses
import http.client
import http.server
import sys
import threading
import xmlrpc.client
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

HOLD_LIMIT = 150.0
UPSTREAM_TIMEOUT = 60.0
# Classes of which no call changes a pool.
PRIVATE_CLASSES = ('event', 'session', 'task')

Hook = Callable[[], object]


def changes_pool(method: str) -> bool:
    """Whether a method is more than a look."""
    class_, _dot, verb = method.removeprefix('Async.').partition('.')
    # A database that is written is as it was.
    asks = verb.startswith(('get_', 'assert_')) or verb == 'sync_database'
    return class_ not in PRIVATE_CLASSES and not asks


@dataclasses.dataclass
class Exchange:
    """One request, and what became of it.

    :ivar reached: whether it was passed on to the host.
    :ivar answer: of the host, as XML-RPC carries it; None: there was none.
    """

    host: str
    method: str
    reached: bool = False
    answer: Any = None

    @property
    def succeeded(self) -> bool:
        """Whether the host said that it was done."""
        return bool(self.answer) and not self.failure

    @property
    def failure(self) -> list[str]:
        """The error that the host answered with; empty for a success."""
        found: list[str] = (self.answer or {}).get('ErrorDescription', [])
        return found


@dataclasses.dataclass
class Rule:
    """What to do with the nth arrival of a method, or with all of them (0).

    :ivar before: called before the request is passed on.
    :ivar hold: pass it on only when ``release`` is called.
    :ivar after: called when the host has answered.
    :ivar lose: 'request' or 'answer': close the connection instead;
        'silence': give no answer until the client does not wait any more.
    :ivar arrived: set when the request is here.
    :ivar ended: set when everything was done.
    """

    method: str
    host: str | None = None
    nth: int = 1
    before: Hook | None = None
    hold: bool = False
    after: Hook | None = None
    lose: str | None = None
    seen: int = 0
    exchange: Exchange | None = None
    arrived: threading.Event = dataclasses.field(
        default_factory=threading.Event
    )
    released: threading.Event = dataclasses.field(
        default_factory=threading.Event
    )
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)

    def release(self) -> Exchange:
        """Let a held request go on, and wait for what the host answers."""
        self.released.set()
        assert self.ended.wait(HOLD_LIMIT), f'no answer to {self.method}'
        assert self.exchange is not None
        return self.exchange

    def matches(self, exchange: Exchange) -> bool:
        """Count an arrival, and say whether it is the one."""
        if self.method != exchange.method:
            return False
        if self.host not in (None, exchange.host):
            return False
        self.seen += 1
        return self.nth in (0, self.seen)


class Traffic:
    """What passes the proxies of all hosts, and the rules for it.

    :ivar errors: what hooks raised.
    """

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.errors: list[BaseException] = []
        self._refs: set[str] = set()
        self._uuids: set[str] = set()
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    @property
    def refs(self) -> frozenset[str]:
        """Of the sessions that have been handed out so far."""
        with self._lock:
            return frozenset(self._refs)

    @property
    def uuids(self) -> frozenset[str]:
        """Of the sessions that have been asked for theirs so far."""
        with self._lock:
            return frozenset(self._uuids)

    def plant(self, rule: Rule) -> Rule:
        """Add a rule; it counts arrivals from now on."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules and let go what they hold."""
        with self._lock:
            rules, self._rules = self._rules, []
        for rule in rules:
            rule.released.set()

    def arrive(self, exchange: Exchange) -> list[Rule]:
        """Note a request; the answer: the rules for it."""
        with self._lock:
            self.exchanges.append(exchange)
            rules = [rule for rule in self._rules if rule.matches(exchange)]
        for rule in rules:
            rule.exchange = exchange
            rule.arrived.set()
        return rules

    def learn(self, exchange: Exchange) -> None:
        """Keep what the answers tell of sessions."""
        value = (exchange.answer or {}).get('Value')
        if not isinstance(value, str):
            return
        with self._lock:
            if exchange.method == 'session.login_with_password':
                self._refs.add(value)
            elif exchange.method == 'session.get_uuid':
                self._uuids.add(value)

    def changing(self, hosts: Collection[str]) -> list[Exchange]:
        """The changing calls that came to some hosts, in order."""
        return [
            exchange
            for exchange in list(self.exchanges)
            if exchange.host in hosts and changes_pool(exchange.method)
        ]


class Proxy:
    """The port of one host, as the product knows it.

    :param port: where the simulated host itself listens.
    """

    def __init__(self, name: str, port: int, traffic: Traffic) -> None:
        self.name = name
        self.upstream = port
        self.traffic = traffic
        bound = type('Bound', (_Handler,), {'proxy': self})
        self._server = _Server(bound, traffic.errors)
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name=name
        )

    def start(self) -> None:
        """Take requests."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the requests under way."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def forward(self, path: str, body: bytes) -> bytes:
        """The answer of the host.

        :raises OSError: there is none; so does HTTPException.
        """
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.upstream, timeout=UPSTREAM_TIMEOUT
        )
        with contextlib.closing(connection):
            headers = {'Content-Type': 'text/xml'}
            connection.request('POST', path, body, headers)
            return connection.getresponse().read()


class _Server(http.server.ThreadingHTTPServer):
    # So that server_close() waits for the threads of all requests.
    daemon_threads = False
    request_queue_size = 64

    def __init__(
        self, handler: type['_Handler'], errors: list[BaseException]
    ) -> None:
        super().__init__(('127.0.0.1', 0), handler)
        self._errors = errors

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what a hook raised; a client may end as it likes."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self._errors.append(error)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request on a connection of its own, as HTTP/1.0 has it."""

    proxy: Proxy
    timeout = UPSTREAM_TIMEOUT

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        length = int(self.headers['Content-Length'])
        body = self.rfile.read(length)
        if len(body) < length:
            # Its sender was killed.
            return
        _parameters, method = xmlrpc.client.loads(body)
        exchange = Exchange(self.proxy.name, str(method))
        rules = self.proxy.traffic.arrive(exchange)
        try:
            answer = self._pass_on(rules, exchange, body)
        finally:
            for rule in rules:
                rule.ended.set()
        if _loses(rules, 'silence'):
            self._await_end()
        elif answer is not None and not _loses(rules, 'answer'):
            self._answer(answer)

    def _await_end(self) -> None:
        """Say nothing until the client has closed the connection."""
        with contextlib.suppress(OSError):
            self.rfile.read(1)

    def _pass_on(
        self, rules: Sequence[Rule], exchange: Exchange, body: bytes
    ) -> bytes | None:
        for rule in rules:
            if rule.before is not None:
                rule.before()
            if rule.hold:
                rule.released.wait(HOLD_LIMIT)
        if _loses(rules, 'request'):
            return None
        exchange.reached = True
        try:
            answer = self.proxy.forward(self.path, body)
            ((exchange.answer,), _name) = xmlrpc.client.loads(answer)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return None
        self.proxy.traffic.learn(exchange)
        for rule in rules:
            if rule.after is not None:
                rule.after()
        return answer

    def _answer(self, answer: bytes) -> None:
        with contextlib.suppress(OSError):
            self.send_response_only(200)
            self.send_header('Content-Type', 'text/xml')
            self.send_header('Content-Length', str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            self.wfile.flush()


def _loses(rules: Sequence[Rule], what: str) -> bool:
    return any(rule.lose == what for rule in rules)
