"""The simulator and the client which Xen Orchestra is built on.

xen-api speaks JSON-RPC, watches events and follows HOST_IS_SLAVE; what it
expects of a host, its authors learnt from real ones.
"""

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests.integration import addresses

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(__file__).with_name('xen_api_client.mjs')
PACKAGE = 'xen-api@4'
SPEED = 40
HOSTS = {
    'hosts': [{'name': 'xen1'}, {'name': 'xen2'}, {'name': 'xen3'}],
    'pools': [{'hosts': ['xen1', 'xen2'], 'name_label': 'both'}],
    # The client gives up for good when a login fails while it renews its
    # session, so the host which was master lacks these phases.
    'times': {'no_management_ip': 0, 'still_booting': 0},
}


def install() -> pathlib.Path:
    """The directory with the package, installed once."""
    default = ROOT / '.tox' / 'xen-api-node'
    directory = pathlib.Path(
        os.environ.get('AGGREGATES_EXT_NODE_MODULES') or default
    )
    if not (directory / 'node_modules' / 'xen-api').is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        npm = ['npm', 'install', '--no-audit', '--no-fund', PACKAGE]
        subprocess.run(
            [*npm, '--prefix', str(directory)],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
            env={**authorities(), **os.environ},
        )
    return directory


def authorities() -> dict[str, str]:
    """Node's own authorities, and the system's, for a site's registry."""
    bundle = pathlib.Path('/etc/ssl/certs/ca-certificates.crt')
    return {'NODE_EXTRA_CA_CERTS': str(bundle)} if bundle.exists() else {}


@pytest.fixture(scope='module')
def directory() -> pathlib.Path:
    try:
        if shutil.which('node') is None:
            raise FileNotFoundError('there is no node')
        return install()
    except (OSError, subprocess.SubprocessError) as exc:
        told = getattr(exc, 'stderr', None) or exc
        reason = f'xen-api is missing and cannot be installed: {told}'
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def sim() -> Iterator[simulator.Simulator]:
    time = clock.RunningClock(SPEED)
    with simulator.Simulator(topology.load(HOSTS), time) as simulated:
        yield simulated


class Client:
    """The script as a process: a command a line, an answer a line."""

    def __init__(self, process: 'subprocess.Popen[str]') -> None:
        self.process = process

    def __call__(self, *command: Any) -> Any:
        """The value of a command, or a failure as a list."""
        self.send(*command)
        return self.receive()

    def send(self, *command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + '\n')
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, 'the client has ended'
        answer = json.loads(line)
        if 'code' in answer:
            return ['ERR', answer['code'], *answer['params']]
        return answer['value']


@pytest.fixture
def open_client(
    directory: pathlib.Path, sim: simulator.Simulator
) -> Iterator[Callable[[str], Client]]:
    """Starts a client of a host, found at its pool-internal address."""
    processes = []

    def start(name: str) -> Client:
        url = f'http://{sim.host(name).address}'
        process = subprocess.Popen(
            ['node', str(SCRIPT), str(directory), url, network.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return Client(process)

    with addresses.Network(sim) as network:
        yield start
        for process in processes:
            with process:
                process.kill()


def pool_of(sim: simulator.Simulator, name: str) -> Any:
    return sim.host(name).database.pool['uuid']


def test_it_connects_and_reads(
    open_client: Callable[[str], Client], sim: simulator.Simulator
) -> None:
    client = open_client('xen1')
    assert client('connect') == pool_of(sim, 'xen1')
    (pool,) = client('call', 'pool.get_all_records').values()
    assert pool['name_label'] == 'both'
    assert len(client('call', 'host.get_all')) == 2
    assert client('disconnect') is None


def test_it_takes_failures_for_what_they_are(
    open_client: Callable[[str], Client],
) -> None:
    client = open_client('xen1')
    client('connect')
    reference = 'OpaqueRef:bogus'
    assert client('call', 'host.get_record', reference) == [
        'ERR',
        'HANDLE_INVALID',
        'host',
        reference,
    ]
    assert client('call', 'pool.nosuch') == [
        'ERR',
        'MESSAGE_METHOD_UNKNOWN',
        'pool.nosuch',
    ]


def test_it_follows_a_slave_to_its_master(
    open_client: Callable[[str], Client], sim: simulator.Simulator
) -> None:
    client = open_client('xen2')
    assert client('connect') == pool_of(sim, 'xen1')


def test_it_waits_for_a_task(open_client: Callable[[str], Client]) -> None:
    client = open_client('xen3')
    client('connect')
    client('watch')
    login = ('10.0.0.1', 'root', 'secret')
    assert client('callAsync', 'pool.join', *login) == [
        'ERR',
        'INTERNAL_ERROR',
        'Connection failed: no route to host.',
    ]
    master = ('10.0.0.11', 'root', 'secret')
    assert client('callAsync', 'pool.join', *master) == ''


def test_it_sees_what_others_change(
    open_client: Callable[[str], Client], sim: simulator.Simulator
) -> None:
    client = open_client('xen1')
    client('connect')
    assert sorted(client('watch')) == ['xen1', 'xen2']
    sim.set_pool('xen1', name_label='renamed')
    identity = pool_of(sim, 'xen1')
    assert client('until', 'pool', 'name_label', 'renamed') == identity
    assert client('barrier') == identity


def test_it_sees_a_host_join(
    open_client: Callable[[str], Client], sim: simulator.Simulator
) -> None:
    master, joiner = open_client('xen1'), open_client('xen3')
    master('connect')
    master('watch')
    master.send('until', 'host', 'name_label', 'xen3')
    joiner('connect')
    joiner('call', 'pool.join', '10.0.0.11', 'root', 'secret')
    assert master.receive() == sim.host('xen3').uuid


def test_it_follows_a_change_of_master(
    open_client: Callable[[str], Client], sim: simulator.Simulator
) -> None:
    client = open_client('xen1')
    client('connect')
    client('watch')
    records = client('call', 'host.get_all_records')
    (chosen,) = [r for r in records if records[r]['name_label'] == 'xen2']
    client('call', 'pool.designate_new_master', chosen)
    identity = pool_of(sim, 'xen1')
    assert client('until', 'pool', 'master', chosen) == identity
    sim.set_pool('xen2', name_label='renamed')
    assert client('until', 'pool', 'name_label', 'renamed') == identity
    assert {
        call.host for call in sim.calls if call.method == 'event.from'
    } == {
        'xen1',
        'xen2',
    }
