"""The command and its control endpoint, on a clock which runs."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import XenAPI

from aggregates_ext.xensim import control
from aggregates_ext.xensim import main
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock

COMMAND = (
    'import sys; from aggregates_ext.xensim import main; sys.exit(main.main())'
)


def ask(url, verb='GET', **body):
    data = None if verb == 'GET' else json.dumps(body).encode()
    return send(url, verb, data, {'Content-Type': 'application/json'})


def send(url, verb, data, headers):
    """A request, and its answer or its status and error."""
    request = urllib.request.Request(url, data, headers, method=verb)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)['error']


@pytest.fixture
def url(sim):
    server = control.Control(sim)
    server.start()
    yield server.url
    server.stop()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_ended(number):
    process = subprocess.Popen(
        [sys.executable, '-c', COMMAND, '--speed', '200'],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        lines = [process.stdout.readline().split() for _ in range(5)]
        assert [line[0] for line in lines] == [
            'xen1',
            'xen2',
            'xen3',
            'control',
            'ready',
        ]
        assert lines[1][2] == '10.0.0.12'
        session = XenAPI.Session(lines[1][1])
        session.login_with_password('root', 'secret')
        session('close')()
        assert len(ask(f'{lines[3][1]}/state')['pools']) == 3
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


def test_a_bad_topology_ends_the_command(tmp_path, capsys):
    path = tmp_path / 'bad.yaml'
    path.write_text('hosts: 5\n')
    assert main.main(['--topology', str(path)]) == 2
    assert 'topology.hosts: must be a list' in capsys.readouterr().err


def test_control(url, sim, call):
    ref = call('xen1', 'session.login_with_password', 'root', 'secret')
    assert ask(f'{url}/calls')[0]['method'].startswith('session.')
    assert ask(f'{url}/streams') == []
    before = sim.clock.time()
    ask(f'{url}/advance', 'POST', seconds=5)
    assert sim.clock.time() == before + 5
    ask(f'{url}/faults', 'POST', call='pool.get_all', action='fail')
    assert call('xen1', 'pool.get_all', ref)[0] == 'ERR'
    ask(f'{url}/faults', 'POST', host='xen1', action='refuse')
    ask(f'{url}/faults', 'DELETE')
    assert len(call('xen1', 'pool.get_all', ref)) == 1
    disks = [{'name': 'd', 'size': 5}]
    ask(f'{url}/hosts/xen1/srs', 'POST', name='more', vdis=disks)
    ask(f'{url}/hosts/xen1/updates', 'POST', xapi='99.0')
    assert sim.host('xen1').update == {'xapi': '99.0'}
    assert 'ref' in ask(f'{url}/hosts/xen1/repository', 'POST')
    published = f'{url}/hosts/xen1/published'
    new = ask(published, 'POST', packages=['xapi-core-99.0-1.x86_64'])
    assert new == {'name': 'UPD-1'}
    ask(f'{url}/hosts/xen1/fields', 'POST', edition='free')
    assert sim.host('xen1').database.where('host', edition='free')
    ask(f'{url}/hosts/xen1/vms', 'POST', name='vm', vdis=['d'])
    srs = ask(f'{url}/state')['hosts']['xen1']['srs']
    assert srs[1]['vdis'][0]['size'] == 5
    ask(f'{url}/hosts/xen1/power', 'POST', on=False)
    assert ask(f'{url}/state')['hosts']['xen1']['phase'] == 'off'
    running = f'{url}/hosts/xen1/pool-operations'
    ref = ask(running, 'POST', operation='apply_updates')['ref']
    assert ask(running, 'DELETE', ref=ref) == {}
    ask(f'{url}/hosts/xen2/restart-toolstack', 'POST')
    assert ask(f'{url}/state')['hosts']['xen2']['phase'] == 'down'


@pytest.mark.parametrize(
    ('verb', 'path', 'body', 'status'),
    [
        ('GET', '/nosuch', {}, 404),
        ('POST', '/hosts/nosuch/power', {'on': True}, 404),
        ('POST', '/hosts/xen1/power', {'on': 5}, 400),
        ('POST', '/hosts/xen1/srs', {'nosuch': 5}, 400),
        ('POST', '/hosts/xen1/updates', {'xapi': 5}, 400),
        ('POST', '/hosts/xen1/published', {'packages': ['xapi']}, 400),
        ('POST', '/hosts/xen1/fields', {'nosuch': 5}, 400),
        ('POST', '/hosts/xen1/srs', {'name': 5}, 400),
        ('POST', '/hosts/xen1/srs', {'name': 'Local storage'}, 400),
        ('POST', '/hosts/xen1/vms', {'name': 'v', 'vdis': ['x']}, 400),
        ('POST', '/faults', {'action': 'nosuch'}, 400),
        ('POST', '/advance', {}, 400),
    ],
)
def test_control_refuses_nonsense(url, verb, path, body, status):
    assert ask(f'{url}{path}', verb, **body)[0] == status


JSON = {'Content-Type': 'application/json'}


@pytest.mark.parametrize('verb', ['GET', 'POST', 'DELETE'])
@pytest.mark.parametrize(
    ('headers', 'status'),
    [
        ({'Origin': 'http://evil.example'}, 403),
        ({'Origin': 'null'}, 403),
        ({'Sec-Fetch-Site': 'cross-site'}, 403),
        ({'Host': 'evil.example'}, 403),
        ({'Host': '127.0.0.1'}, 403),
        ({'Host': '127.0.0.1:1'}, 403),
        ({'Host': ''}, 403),
        ({'Content-Type': 'text/plain'}, 415),
        ({'Content-Type': 'application/x-www-form-urlencoded'}, 415),
        ({'Content-Type': 'multipart/form-data; boundary=x'}, 415),
    ],
)
def test_control_takes_nothing_from_web_pages(url, sim, verb, headers, status):
    """A page can send these without asking, or by a name that leads here."""
    sim.plant(call='pool.get_all', action='fail')
    before = json.dumps(sim.state(), default=str)
    for path in ('/faults', '/hosts/xen1/restart-toolstack', '/state'):
        answer = send(f'{url}{path}', verb, b'{}', JSON | headers)
        if verb == 'GET' and status == 415:
            continue
        assert answer[0] == status
    assert json.dumps(sim.state(), default=str) == before


@pytest.mark.parametrize('name', ['127.0.0.1', 'localhost', '[::1]'])
def test_control_answers_by_the_names_of_loopback(url, name):
    host = f'{name}:{url.rpartition(":")[2]}'
    assert 'pools' in send(f'{url}/state', 'GET', None, {'Host': host})


def test_a_running_clock_is_not_stepped_and_a_join_gets_through():
    clk = clock.RunningClock(factor=200)
    with simulator.Simulator(topology.load(topology.DEFAULT), clk) as sim:
        answer = control.act(sim, 'POST', '/advance', {'seconds': 1})
        assert answer[0] == 409
        session = XenAPI.Session(sim.host('xen2').url)
        session.login_with_password('root', 'secret')
        session.xenapi.pool.join('10.0.0.11', 'root', 'secret')
        session('close')()
        deadline = clk.time() + 2000
        while clk.time() < deadline:
            (*_, member) = sim.state()['pools'][0]['hosts']
            if member['enabled'] and member['name'] == 'xen2':
                break
        assert member == {
            'name': 'xen2',
            'uuid': sim.host('xen2').uuid,
            'enabled': True,
            'live': True,
            'current_operations': [],
        }
