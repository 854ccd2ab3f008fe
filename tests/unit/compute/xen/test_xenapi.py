"""The door to XenAPI: sent once, checked, translated, without secrets."""

import hashlib
import http.server
import os
import pathlib
import ssl
import threading
import traceback
import xmlrpc.client
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext import exception
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

TLS = pathlib.Path(__file__).parent / 'tls'
CERTIFICATE = TLS / 'certificate.pem'
SESSION = 'OpaqueRef:the-session'
PASSWORD = 'sentinel'


class Host(http.server.ThreadingHTTPServer):
    """Answers XML-RPC from a table; an answer None breaks the connection.

    :ivar arrived: the methods that arrived, in order.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.arrived: list[str] = []
        self.answers: dict[str, Any] = {
            'session.login_with_password': success(SESSION),
            'session.logout': success(''),
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what is tested."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server: Host

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers['Content-Length']))
        _parameters, method = xmlrpc.client.loads(body)
        self.server.arrived.append(str(method))
        answer = self.server.answers.get(str(method))
        if answer is None:
            self.close_connection = True
            return
        data = (
            answer
            if isinstance(answer, bytes)
            else xmlrpc.client.dumps((answer,), methodresponse=True).encode()
        )
        self.send_response(200)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None: ...


def success(value: Any) -> dict[str, Any]:
    return {'Status': 'Success', 'Value': value}


def failure(*details: str) -> dict[str, Any]:
    return {'Status': 'Failure', 'ErrorDescription': list(details)}


def serve(server: Host) -> Iterator[Host]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    yield from serve(Host())


@pytest.fixture
def tls_host() -> Iterator[Host]:
    server = Host()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, TLS / 'key.pem')
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield from serve(server)


@pytest.fixture
def login() -> Callable[..., xenapi.Session]:
    """Logs in at a host, with further columns of its registration."""
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    conf.set_override('credentials', ['default'], 'xenserver')
    conf.set_override('call_timeout', 5.0, 'compute')
    group = options.register_credential(conf, 'default')
    conf.set_override('password', PASSWORD, group)
    connector = connections.Connector(conf)

    def log_in(
        server: Host,
        scheme: str = 'http',
        ca_file: str | None = None,
        passwords: dict[str, str] | None = None,
        **columns: Any,
    ) -> xenapi.Session:
        conf.set_override('ca_file', ca_file, 'xenserver')
        values = {
            'fingerprint': None,
            'credential': 'default',
            **columns,
        }
        record = records.Host(
            id=1,
            name='xen1',
            uuid=None,
            url=f'{scheme}://127.0.0.1:{server.server_port}',
            address=None,
            availability_zone=None,
            aggregate_id=None,
            phase='free',
            phase_since=None,
            alarm=None,
            shown=None,
            consent=None,
            **values,
        )
        for name, password in (passwords or {}).items():
            other = options.register_credential(conf, name)
            conf.set_override('password', password, other)
            conf.set_override('credentials', ['default', name], 'xenserver')
            connector.credential(name, 'xen1')
        conf.set_override('credentials', ['default'], 'xenserver')
        return connector.login(record)

    return log_in


Login = Callable[..., xenapi.Session]


def test_broken_connection_is_one_request_and_no_answer(
    host: Host, login: Login
) -> None:
    session = login(host)
    with pytest.raises(failures.AnswerLost, match='pool.eject'):
        session.call('pool.eject', 'OpaqueRef:x')
    assert host.arrived.count('pool.eject') == 1
    session.close()


def test_session_invalid_is_an_error_and_no_new_login(
    host: Host, login: Login
) -> None:
    host.answers['pool.eject'] = failure('SESSION_INVALID', SESSION)
    session = login(host)
    with pytest.raises(failures.XenAPIError) as error:
        session.call('pool.eject', 'OpaqueRef:x')
    assert error.value.code == 'SESSION_INVALID'
    assert SESSION not in str(error.value)
    assert host.arrived.count('session.login_with_password') == 1
    assert host.arrived.count('pool.eject') == 1
    session.close()


def test_refusal_keeps_code_and_parameters(host: Host, login: Login) -> None:
    host.answers['pool.eject'] = failure('VDI_IN_USE', 'OpaqueRef:v')
    session = login(host)
    with pytest.raises(failures.XenAPIError, match='xen1 answered VDI_IN_USE'):
        session.call('pool.eject', 'OpaqueRef:x')
    session.close()


def test_nobody_there_means_that_nothing_was_sent(
    host: Host, login: Login
) -> None:
    session = login(host)
    session.close()
    dead = Host()
    dead.server_close()
    with pytest.raises(failures.Unreachable):
        login(dead)


@pytest.mark.parametrize(
    'answer', [b'not xml', b'<a/>', xmlrpc.client.dumps((1,)).encode(), []]
)
def test_nonsense_is_no_answer(host: Host, login: Login, answer: Any) -> None:
    host.answers['host.get_all'] = answer
    session = login(host)
    with pytest.raises(failures.AnswerLost):
        session.call('host.get_all')
    session.close()


def test_other_session_that_is_gone_already_is_ended(
    host: Host, login: Login
) -> None:
    host.answers['session.get_by_uuid'] = failure('UUID_INVALID', 'session')
    session = login(host)
    session.end_other('uuid')
    assert host.arrived[-1] == 'session.get_by_uuid'
    session.close()


def test_credential_that_is_not_configured_is_named(
    host: Host, login: Login
) -> None:
    with pytest.raises(failures.CredentialUnknown, match='lab'):
        login(host, credential='lab')
    assert host.arrived == []


def test_password_is_in_no_representation(host: Host, login: Login) -> None:
    session = login(host)
    assert 'sentinel' not in repr(session.credential)
    assert 'sentinel' not in str(session.credential)
    session.close()


@pytest.mark.parametrize(
    'answer',
    [
        failure('INTERNAL_ERROR', 'login(root, sentinel) failed'),
        failure('INTERNAL_ERROR', f'session {SESSION} is tired'),
        failure('sentinel', 'what'),
        failure(f'REFUSED_{PASSWORD}'),
        failure(SESSION),
        failure('HOST_IS_SLAVE', PASSWORD),
        failure('HOST_IS_SLAVE', f'{PASSWORD}.example.org'),
        failure('OPERATION_NOT_ALLOWED', *['x'] * 9, PASSWORD, PASSWORD),
        failure('INTERNAL_ERROR', 'x' * 990 + PASSWORD),
        xmlrpc.client.dumps(xmlrpc.client.Fault(1, 'sentinel')).encode(),
    ],
)
def test_what_a_host_repeats_of_secrets_is_not_passed_on(
    host: Host, login: Login, answer: Any
) -> None:
    host.answers['pool.join'] = answer
    session = login(host)
    with pytest.raises(exception.AggregatesError) as error:
        session.call('pool.join', '10.0.0.1', 'root', PASSWORD)
    told = ''.join(traceback.format_exception(error.value))
    assert 'sentinel' not in told
    assert SESSION not in told
    assert text.REDACTED in str(error.value)
    session.close()


@pytest.mark.parametrize('address', ['10.0.0.1', 'fe80::10'])
def test_redaction_spares_the_address_of_the_master(
    host: Host, login: Login, address: str
) -> None:
    """It is looked up, whatever it has in common with a password."""
    host.answers['host.get_all'] = failure('HOST_IS_SLAVE', address)
    session = login(host, passwords={'short': '10', 'long': '10.0.0.1:80'})
    with pytest.raises(failures.XenAPIError) as error:
        session.call('host.get_all')
    assert error.value.parameters == (address,)
    session.close()


def test_unknown_authority_is_refused(tls_host: Host, login: Login) -> None:
    with pytest.raises(failures.Unreachable, match='certificate'):
        login(tls_host, 'https')
    assert tls_host.arrived == []


def test_known_authority_is_accepted(tls_host: Host, login: Login) -> None:
    login(tls_host, 'https', ca_file=str(CERTIFICATE)).close()
    assert tls_host.arrived[0] == 'session.login_with_password'


def test_authorities_are_read_once_until_they_change(
    tls_host: Host,
    login: Login,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading the system's takes more than all the rest of a login."""
    authorities = tmp_path / 'ca.pem'
    authorities.write_bytes(CERTIFICATE.read_bytes())
    made = ssl.create_default_context
    read: list[Any] = []

    def read_again(**kwargs: Any) -> ssl.SSLContext:
        read.append(kwargs)
        return made(**kwargs)

    monkeypatch.setattr(connections.ssl, 'create_default_context', read_again)
    for _ in range(3):
        login(tls_host, 'https', ca_file=str(authorities)).close()
    assert len(read) == 1
    os.utime(authorities, (1, 1))
    login(tls_host, 'https', ca_file=str(authorities)).close()
    assert len(read) == 2


def test_pinned_certificate_is_accepted(tls_host: Host, login: Login) -> None:
    der = ssl.PEM_cert_to_DER_cert(CERTIFICATE.read_text())
    pinned = hashlib.sha256(der).hexdigest()
    login(tls_host, 'https', fingerprint=pinned).close()
    assert tls_host.arrived[0] == 'session.login_with_password'


def test_other_certificate_than_the_pinned_gets_no_password(
    tls_host: Host, login: Login
) -> None:
    with pytest.raises(failures.Unreachable, match='fingerprint'):
        login(tls_host, 'https', fingerprint='0' * 64)
    assert tls_host.arrived == []
