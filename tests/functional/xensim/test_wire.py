"""Encodings and bad requests (xapi#endpoints, xapi#wire)."""

import contextlib
import http.client
import json
import socket
import threading
import xmlrpc.client

import pytest


@pytest.fixture
def http_connection(sim):
    host = sim.host('xen1')
    connection = http.client.HTTPConnection('127.0.0.1', host.port, timeout=5)
    yield connection
    connection.close()


def post(connection, path, body):
    connection.request('POST', path, body)
    answer = connection.getresponse()
    return answer, answer.read()


LOGIN = xmlrpc.client.dumps(('root', 'wrong'), 'session.login_with_password')


@pytest.mark.parametrize('path', ['/', '/RPC2'])
def test_raw_answer_on_a_connection_which_stays(http_connection, path):
    for _ in range(2):
        answer, body = post(http_connection, path, LOGIN)
        assert answer.status == 200
        assert answer.headers['Content-Type'] == 'text/xml'
        assert answer.headers['Connection'] == 'keep-alive'
        assert answer.headers['Access-Control-Allow-Origin'] == '*'
        assert body.startswith(
            b'<?xml version="1.0"?><methodResponse><params><param><value>'
            b'<struct><member><name>Status</name><value>Failure</value>'
        )


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">'
    '<!ENTITY b "&a;&a;">]><methodCall><methodName>&b;</methodName>'
    '</methodCall>'
)


@pytest.mark.parametrize(
    ('path', 'body'),
    [
        ('/', ''),
        ('/', 'garbage'),
        ('/RPC2', '<methodCall><methodName>'),
        ('/RPC2', '<methodCall></methodCall>'),
        ('/RPC2', '<a>' * 5000),
        ('/RPC2', BOMB),
        (
            '/RPC2',
            '<methodCall><methodName>a.b</methodName><params><param><value>'
            '<int>one</int></value></param></params></methodCall>',
        ),
        ('/jsonrpc', 'garbage'),
        ('/jsonrpc', '[]'),
        ('/jsonrpc', '{"method": 5, "params": []}'),
        ('/jsonrpc', '[' * 100000),
    ],
)
def test_malformed_bodies_get_a_page(http_connection, path, body):
    answer, page = post(http_connection, path, body)
    assert answer.status == 500
    assert answer.headers['Content-Type'] == 'text/html'
    assert b'Traceback' not in page


def test_too_much_is_refused(http_connection):
    http_connection.putrequest('POST', '/')
    http_connection.putheader('Content-Length', '99999999999')
    http_connection.endheaders()
    assert http_connection.getresponse().status == 413


@pytest.mark.parametrize('path', ['/', '/jsonrpc', '/nosuch'])
def test_get_is_forbidden(http_connection, path):
    http_connection.request('GET', path)
    answer = http_connection.getresponse()
    assert answer.status == 403
    assert b'HTTP 403 forbidden' in answer.read()


def test_json_rpc_2(http_connection):
    def call(method, *params):
        request = {
            'jsonrpc': '2.0',
            'method': method,
            'params': params,
            'id': 7,
        }
        body = json.dumps(request)
        return json.loads(post(http_connection, '/jsonrpc', body)[1])

    ref = call('session.login_with_password', 'root', 'secret')['result']
    (record,) = call('host.get_all_records', ref)['result'].values()
    assert record['API_version_major'] == 2
    assert record['last_software_update'] == '19700101T00:00:00Z'
    assert call('pool.nosuch', ref) == {
        'jsonrpc': '2.0',
        'error': {
            'code': 1,
            'message': 'MESSAGE_METHOD_UNKNOWN',
            'data': ['pool.nosuch'],
        },
        'id': 7,
    }


def test_json_rpc_1(http_connection):
    body = json.dumps({'method': 'pool.nosuch', 'params': [''], 'id': 'a'})
    assert json.loads(post(http_connection, '/jsonrpc', body)[1]) == {
        'result': None,
        'error': ['MESSAGE_METHOD_UNKNOWN', 'pool.nosuch'],
        'id': 'a',
    }


def test_types_over_xml(clients):
    session = clients.login('xen1')
    (record,) = session.xenapi.host.get_all_records().values()
    assert record['API_version_major'] == '2'
    assert record['enabled'] is True
    assert record['virtual_hardware_platform_versions'] == ['0', '1', '2']
    assert record['last_software_update'] == '19700101T00:00:00Z'
    (metrics,) = session.xenapi.host_metrics.get_all_records().values()
    assert metrics['memory_total'].isdigit()
    (cpu, *_) = session.xenapi.host_cpu.get_all_records().values()
    assert cpu['utilisation'] == 0.0
    pool = session.xenapi.pool.get_all()[0]
    assert session.xenapi.pool.set_name_label(pool, 'Ä <&> ]]>') == ''
    assert session.xenapi.pool.get_name_label(pool) == 'Ä <&> ]]>'


@pytest.mark.parametrize(
    ('verb', 'path', 'status', 'realm', 'origins'),
    [
        ('GET', '/rrd_updates', 401, 'Basic realm="rrd_updates"', None),
        ('GET', '/nosuch', 403, None, None),
        ('OPTIONS', '/', 200, None, '*'),
    ],
)
def test_what_is_no_call(http_connection, verb, path, status, realm, origins):
    """xapi#endpoints."""
    http_connection.request(verb, path)
    answer = http_connection.getresponse()
    answer.read()
    assert answer.status == status
    assert answer.getheader('WWW-Authenticate') == realm
    assert answer.getheader('Access-Control-Allow-Origin') == origins
    kept = 'keep-alive' if status == 200 else 'close'
    assert answer.getheader('Connection') == kept
    assert answer.getheader('Cache-Control') == 'no-cache, no-store'


def test_both_spellings(call, clients):
    ref = clients.ref('xen1')
    for method in ('host_metrics.get_all', 'host_metrics_get_all'):
        assert len(call('xen1', method, ref)) == 1
    assert call('xen1', 'host_get_all', ref) == call(
        'xen1', 'host.get_all', ref
    )


def test_the_client_asks_for_the_api_version(clients):
    assert clients.login('xen1').API_version == '2.21'


def test_half_a_request_does_not_block_the_others(sim, clients):
    port = sim.host('xen1').port
    with socket.create_connection(('127.0.0.1', port)) as half:
        half.sendall(b'POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf')
        assert clients.login('xen1').xenapi.pool.get_all()


def test_a_request_that_ends_early_is_no_request(sim):
    port = sim.host('xen1').port
    with socket.create_connection(('127.0.0.1', port), timeout=10) as half:
        half.sendall(b'POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf')
        half.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert half.recv(1) == b''
    assert sim.calls == []


def test_without_a_thread_left_the_hosts_go_on(call, clients, monkeypatch):
    ref = clients.ref('xen1')

    def start(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, 'start', start)
        with pytest.raises(ConnectionError):
            call('xen1', 'pool.get_all', ref)
    assert len(call('xen1', 'pool.get_all', ref)) == 1
