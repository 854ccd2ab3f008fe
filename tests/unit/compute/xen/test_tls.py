"""Which TLS is spoken with a host, and which refusals are for good."""

import pathlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from collections.abc import Iterator

import pytest
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import tls
from aggregates_ext.compute.xen import wire
from aggregates_ext.db import records

FILES = pathlib.Path(__file__).parent / 'tls'
GROUP = 'xenserver:default'


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    conf.set_override('credentials', ['default'], 'xenserver')
    conf.set_override('ca_file', str(FILES / 'certificate.pem'), 'xenserver')
    conf.set_override('call_timeout', 20.0, 'compute')
    conf.set_override(
        'password', 'secret', options.register_credential(conf, 'default')
    )
    return conf


def login(conf: cfg.ConfigOpts, url: str) -> None:
    host = records.Host(
        id=1,
        name='xen1',
        uuid=None,
        url=url,
        address=None,
        availability_zone=None,
        aggregate_id=None,
        phase='free',
        phase_since=None,
        credential='default',
        fingerprint=None,
        shown=None,
        alarm=None,
        consent=None,
    )
    connections.Connector(conf).login(host)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """A server whose handshakes are all there is to it."""
    listening = []

    def start(
        newest: ssl.TLSVersion | None = None, ciphers: str | None = None
    ) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(FILES / 'certificate.pem', FILES / 'key.pem')
        context.set_ciphers(ciphers or 'DEFAULT:@SECLEVEL=0')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            if newest is not None:
                context.maximum_version = newest
        server = socket.create_server(('127.0.0.1', 0))
        listening.append(server)

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    context.wrap_socket(connection, server_side=True).close()
                except ssl.SSLError:
                    connection.close()
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return f'https://127.0.0.1:{server.getsockname()[1]}'

    yield start
    for server in listening:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_old_tls_is_refused_for_good_and_says_how_to_allow_it(
    conf: cfg.ConfigOpts, serve: Callable[..., str]
) -> None:
    with pytest.raises(failures.TLSRefused, match='tls_minimum') as refusal:
        login(conf, serve(ssl.TLSVersion.TLSv1_1))
    assert not codes.passes(refusal.value.code)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('version', ['TLSv1', 'TLSv1.1', 'TLSv1.2'])
def test_old_tls_is_spoken_where_it_is_allowed(
    conf: cfg.ConfigOpts, serve: Callable[..., str], version: str
) -> None:
    """The server hangs up after the handshake: a request was sent."""
    conf.set_override('tls_minimum', version, GROUP)
    with pytest.raises(failures.AnswerLost):
        login(conf, serve(tls.VERSIONS[version]))


def test_lowest_version_can_be_raised(
    conf: cfg.ConfigOpts, serve: Callable[..., str]
) -> None:
    conf.set_override('tls_minimum', 'TLSv1.3', GROUP)
    with pytest.raises(failures.TLSRefused):
        login(conf, serve(ssl.TLSVersion.TLSv1_2))


def test_ciphers_are_those_of_the_credential(
    conf: cfg.ConfigOpts, serve: Callable[..., str]
) -> None:
    url = serve(ssl.TLSVersion.TLSv1_2, 'ECDHE-RSA-AES256-GCM-SHA384')
    conf.set_override('tls_ciphers', 'AES128-SHA', GROUP)
    with pytest.raises(failures.TLSRefused):
        login(conf, url)
    conf.set_override('tls_ciphers', 'ECDHE-RSA-AES256-GCM-SHA384', GROUP)
    with pytest.raises(failures.AnswerLost):
        login(conf, url)


def test_ciphers_that_do_not_exist_are_named_by_their_option(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / 'a.conf'
    path.write_text(
        '[xenserver]\ncredentials = default\n'
        '[xenserver:default]\ntls_ciphers = NONE-OF-THEM\n'
    )
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [str(path)])
    with pytest.raises(ValueError, match='NONE-OF-THEM'):
        options.validate(conf)


def test_certificate_of_nobody_known_is_refused_for_good(
    conf: cfg.ConfigOpts, serve: Callable[..., str]
) -> None:
    conf.set_override('ca_file', None, 'xenserver')
    with pytest.raises(failures.TLSRefused, match='fingerprint'):
        login(conf, serve())


@pytest.mark.parametrize(
    ('reason', 'final'),
    [
        ('TLSV1_ALERT_PROTOCOL_VERSION', True),
        ('SSLV3_ALERT_HANDSHAKE_FAILURE', True),
        ('TLSV1_ALERT_UNKNOWN_CA', True),
        ('TLSV1_ALERT_INTERNAL_ERROR', False),
        ('WRONG_VERSION_NUMBER', True),
        ('UNEXPECTED_EOF_WHILE_READING', False),
        ('', False),
    ],
)
def test_alerts_are_told_apart(reason: str, final: bool) -> None:
    exc = ssl.SSLError(1, reason)
    exc.reason = reason
    assert tls.is_final(exc) is final
    assert not tls.is_final(OSError(reason))
    assert not tls.is_final(wire.HandshakeStalled(reason))


@pytest.mark.parametrize(
    ('said', 'final'),
    [
        ('legacy sigalg disallowed or unsupported', True),
        ('tlsv1 alert protocol version', True),
        ('unexpected eof while reading', False),
    ],
)
def test_what_python_has_no_name_for_is_told_by_its_text(
    said: str, final: bool
) -> None:
    """As of an OpenSSL that is younger than it."""
    exc = ssl.SSLError(1, f'[SSL] {said} (_ssl.c:992)')
    assert getattr(exc, 'reason', None) is None
    assert tls.is_final(exc) is final


@pytest.mark.parametrize(
    'url', ['http://10.0.0.1', 'HTTP://10.0.0.1', 'ftp://10.0.0.1', '10.0.0.1']
)
def test_clear_text_is_refused_at_login_too(
    conf: cfg.ConfigOpts, url: str
) -> None:
    """A registration may be older than the rule, or made past it."""
    with pytest.raises(failures.ClearText, match='in clear') as refusal:
        login(conf, url)
    assert not codes.passes(refusal.value.code)
