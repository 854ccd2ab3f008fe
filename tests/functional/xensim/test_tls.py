"""Hosts which speak TLS: xapi#endpoints, xapi#simulated-behaviour-1."""

import shutil
import ssl
import subprocess
import types
import xmlrpc.client

import pytest
import XenAPI

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import described as descriptions
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests.functional.xensim import conftest
from tests.functional.xensim import waiting


@pytest.fixture
def described():
    return {'tls': True, 'hosts': [{'name': 'xen1'}, {'name': 'xen2'}]}


@pytest.fixture
def files(tmp_path):
    """A certificate and a key of our own."""
    certificate, key = tmp_path / 'host.crt', tmp_path / 'host.key'
    command = ['openssl', 'req', '-x509', '-newkey', 'ec', '-nodes']
    command += ['-pkeyopt', 'ec_paramgen_curve:prime256v1', '-days', '2']
    command += ['-subj', '/CN=ours']
    command += ['-addext', 'subjectAltName=IP:127.0.0.1']
    subprocess.run(
        [*command, '-out', certificate, '-keyout', key],
        check=True,
        capture_output=True,
    )
    return {'tls_certificate': str(certificate), 'tls_key': str(key)}


def trusting(host, trusted=None):
    """The genuine client, which trusts one certificate alone."""
    certificate = (trusted or host).spec.tls_certificate
    context = ssl.create_default_context(cafile=certificate)
    transport = xmlrpc.client.SafeTransport(context=context)
    return XenAPI.Session(host.url, transport)


def login(session):
    session.login_with_password('root', conftest.PASSWORD, '1.0', 'tests')
    return session


def test_the_certificate_is_verified(sim):
    host = sim.host('xen1')
    assert host.url.startswith('https://127.0.0.1:')
    session = login(trusting(host))
    assert len(session.xenapi.pool.get_all()) == 1
    assert session.API_version == '2.21'
    session('close')()


def test_each_host_has_a_certificate_of_its_own(sim):
    session = trusting(sim.host('xen2'), trusted=sim.host('xen1'))
    with pytest.raises(ssl.SSLCertVerificationError):
        login(session)
    session('close')()


def test_a_client_which_ignores_certificates(sim):
    session = login(XenAPI.Session(sim.host('xen1').url, ignore_ssl=True))
    assert len(session.xenapi.host.get_all()) == 1
    session('close')()


def test_plain_http_gets_no_answer(sim):
    url = sim.host('xen1').url.replace('https', 'http')
    session = XenAPI.Session(url)
    with pytest.raises(OSError):  # noqa: PT011 - reset, or closed
        login(session)
    session('close')()


def test_a_join_over_tls(sim, clk):
    session = login(trusting(sim.host('xen2')))
    session.xenapi.pool.join(conftest.MASTER, 'root', conftest.PASSWORD)
    session('close')()
    clk.advance(30)
    slave = trusting(sim.host('xen2'))
    with pytest.raises(XenAPI.Failure, match='HOST_IS_SLAVE'):
        login(slave)
    slave('close')()


def test_an_ejected_host_has_a_new_certificate(sim, clk):
    session = login(trusting(sim.host('xen2')))
    session.xenapi.pool.join(conftest.MASTER, 'root', conftest.PASSWORD)
    session('close')()
    clk.advance(60)
    before = sim.host('xen2').spec
    master = login(trusting(sim.host('xen1')))
    ref = master.xenapi.host.get_by_uuid(sim.host('xen2').uuid)
    master.xenapi.pool.eject(ref)
    master('close')()
    clk.advance(600)
    old = trusting(
        sim.host('xen2'), trusted=types.SimpleNamespace(spec=before)
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        login(old)
    old('close')()
    new = login(trusting(sim.host('xen2')))
    assert len(new.xenapi.host.get_all()) == 1
    new('close')()


def test_a_blocked_call_breaks_when_xapi_ends(sim):
    session = login(trusting(sim.host('xen1')))
    token = session.xenapi.event_from(['*'], '', 0.0)['token']
    call = waiting.blocked(
        sim, 'xen1', session.xenapi.event_from, ['*'], token, 60.0
    )
    sim.restart_toolstack('xen1')
    assert isinstance(call.result(), OSError)
    session('close')()


def test_a_reset_before_the_answer(sim):
    session = login(trusting(sim.host('xen1')))
    sim.plant(call='pool.get_all', action='reset', times=0)
    with pytest.raises(OSError):  # noqa: PT011 - reset, or end of TLS
        session.xenapi.pool.get_all()
    session('close')()


def build(*hosts, **more):
    described = topology.load({'hosts': list(hosts), **more})
    return simulator.Simulator(described, clock.SteppedClock())


def test_given_files_and_hosts_without_tls(files):
    with build({'name': 'a', 'tls': True, **files}, {'name': 'b'}) as sim:
        assert sim.host('a').spec.tls_certificate == files['tls_certificate']
        session = login(trusting(sim.host('a')))
        assert len(session.xenapi.pool.get_all()) == 1
        session('close')()
        assert sim.host('b').url.startswith('http://')


@pytest.mark.parametrize('field', ['tls_certificate', 'tls_key'])
def test_one_file_without_the_other(files, field):
    files[field] = ''
    message = rf'topology\.hosts\[0\]\.{field}: missing'
    with pytest.raises(descriptions.TopologyError, match=message):
        build({'name': 'a', 'tls': True, **files})


@pytest.mark.parametrize('field', ['tls_certificate', 'tls_key'])
def test_a_file_which_is_not_there(files, field):
    files[field] = '/nonexistent/file'
    message = rf'topology\.hosts\[0\]\.{field}: there is no file'
    with pytest.raises(descriptions.TopologyError, match=message):
        build({'name': 'a', 'tls': True, **files})


def test_files_which_do_not_fit(files, sim):
    files['tls_key'] = sim.host('xen1').spec.tls_key
    message = r'hosts\[0\]\.tls_certificate: does not fit tls_key'
    with pytest.raises(descriptions.TopologyError, match=message):
        build({'name': 'a', 'tls': True, **files})


def test_without_files_and_without_openssl(monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    message = r'hosts\[1\]\.tls_certificate: missing.*openssl'
    with pytest.raises(descriptions.TopologyError, match=message):
        build({'name': 'a'}, {'name': 'b', 'tls': True})
