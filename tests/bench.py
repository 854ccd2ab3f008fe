"""Speed and memory, beside peers in the same run; and what is counted.

``tox -e bench`` prints tables. Machines are shared and noisy, so each request
is sent to the API and to its peers in turn (``bench_peers``), and what counts
is the ratio of the CPU that each took; nothing here passes or fails. Calls
and statements do not depend on the machine: ``test_calls.py`` bounds them.

``python -m tests.bench URL`` takes another database than SQLite.
"""

import contextlib
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple
from urllib import parse

import psutil
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import timeutils
from oslo_utils import uuidutils

from aggregates_ext import conf as options
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from tests import bench_peers

SECONDS = 1.0
ROUNDS = 3
SIZES = (1, 100, 1000)
ALL = '/v2.1/os-aggregates'
ONE = f'{ALL}/1'
HOSTS, KEYS = 10, 5
CONFIG = """
[DEFAULT]
use_stderr = false
log_file = {directory}/log
[database]
connection = {url}
[api]
bind_port = 0
auth_strategy = {strategy}
[keystone_authtoken]
{authtoken}
"""


def fill(database: engine.Database, size: int) -> None:
    """Make aggregates of ``HOSTS`` hosts and ``KEYS`` keys, so many in all."""
    now = timeutils.utcnow()
    with database.writer() as connection:
        there = connection.scalar(
            sa.select(sa.func.count()).select_from(models.aggregates)
        )
        numbers = range(int(there or 0) + 1, size + 1)
        if not numbers:
            return
        connection.execute(
            sa.insert(models.aggregates),
            [
                {
                    'id': number,
                    'uuid': uuidutils.generate_uuid(),
                    'name': f'aggregate{number}',
                    'availability_zone': 'zone',
                    'metadata': {f'key{k}': f'value{k}' for k in range(KEYS)},
                    'created_at': now,
                    'deleted': 0,
                    'lease_epoch': 0,
                    'stamp': stamps.new(),
                }
                for number in numbers
            ],
        )
        connection.execute(
            sa.insert(models.hosts),
            [
                {
                    'name': f'host{number}-{k}',
                    'url': 'https://10.0.0.1',
                    'credential': 'default',
                    'aggregate_id': number,
                    'phase': 'member',
                    'created_at': now,
                }
                for number in numbers
                for k in range(HOSTS)
            ],
        )


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process for the length of a block."""
    running = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        running.terminate()
        running.wait()
        if running.stdout:
            running.stdout.close()


def port_of(running: subprocess.Popen[str]) -> int:
    """The port that a server says it listens on."""
    for line in running.stdout or ():
        if bench_peers.LISTENING in line:
            return int(line.strip().rsplit(':', 1)[1])
    raise RuntimeError('the server has ended')


class Asked(NamedTuple):
    """A request that is measured.

    :ivar size: so many aggregates there are.
    :ivar change: one of them is changed before each, which counts too: what
        a list after it costs is told by the show after it.
    """

    title: str
    size: int
    path: str
    method: str = 'GET'
    body: Any = None
    change: bool = False


METADATA = {'set_metadata': {'metadata': {'key0': 'changed'}}}
REQUESTS = [
    *(Asked(f'list of {size}', size, ALL) for size in SIZES),
    Asked('change, then list', SIZES[-1], ALL, change=True),
    Asked('show', SIZES[-1], ONE),
    Asked('change, then show', SIZES[-1], ONE, change=True),
    Asked('set_metadata', SIZES[-1], f'{ONE}/action', 'POST', METADATA),
]


class Peer:
    """A server that is measured.

    :param running: its process, that says where it listens.
    """

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._process = psutil.Process(running.pid)
        self.port = port_of(running)

    def resident(self) -> float:
        """Resident memory in MiB."""
        return float(self._process.memory_info().rss) / 2**20

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def measure(self, asked: Asked, connections: int) -> tuple[float, float]:
        """Requests a second, and milliseconds of its CPU for each."""
        done = [0] * connections
        self._send(asked, 0.1, [0], 0)
        began, cpu = time.perf_counter(), self._cpu()
        threads = [
            threading.Thread(
                target=self._send, args=(asked, SECONDS, done, number)
            )
            for number in range(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        used = self._cpu() - cpu
        return sum(done) / took, used / max(1, sum(done)) * 1000

    def _send(
        self, asked: Asked, seconds: float, done: list[int], number: int
    ) -> None:
        connection = http.client.HTTPConnection('127.0.0.1', self.port)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if asked.change:
                self.ask(connection, f'{ONE}/action', 'POST', METADATA)
            self.ask(connection, asked.path, asked.method, asked.body)
            done[number] += 1
        connection.close()

    def ask(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        method: str = 'GET',
        body: Any = None,
    ) -> bytes:
        """The body of an answer."""
        data = None if body is None else json.dumps(body)
        headers = {'X-Auth-Token': f'user:{bench_peers.PROJECT}'}
        if data:
            headers['Content-Type'] = 'application/json'
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f'{method} {path}: {answer.status} {content!r}')
        return content

    def get(self, path: str) -> bytes:
        """What it answers to one question."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port)
        content = self.ask(connection, path)
        connection.close()
        return content


@contextlib.contextmanager
def peers(
    directory: pathlib.Path, files: dict[str, pathlib.Path]
) -> Iterator[dict[str, Peer]]:
    """All that are measured, by name, each with and without authtoken.

    :param files: configurations of the API, by strategy.
    """
    module = ('-m', 'tests.bench_peers')
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Peer:
            return Peer(stack.enter_context(process(*arguments)))

        api = ('-m', 'aggregates_ext.cmd.api', '--config-file')
        ours = start(*api, str(files['noauth']))
        bodies = directory / 'bodies'
        bodies.mkdir()
        for path in (ALL, ONE):
            name = parse.quote(path, safe='')
            (bodies / name).write_bytes(ours.get(path))
        url = files['keystone'].read_text().partition('endpoint = ')[2]
        url = url.partition('/v3')[0]
        yield {
            'ours': ours,
            'bare': start(*module, 'bare', str(bodies)),
            'ours+authtoken': start(*api, str(files['keystone'])),
            'limit': start(*module, 'limit', str(bodies), url),
        }


def compare(
    database: engine.Database,
    directory: pathlib.Path,
    files: dict[str, pathlib.Path],
) -> None:
    """Print what each request takes, beside the peers of the same size."""
    print(
        f'{"request":<24}{"connections":>12}{"ms ours":>9}{"bare":>7}'
        f'{"bare:ours":>11}{"ms +auth":>10}{"limit":>7}{"limit:ours":>12}'
        f'{"per s":>8}'
    )
    for size in SIZES:
        fill(database, size)
        place = directory / str(size)
        place.mkdir()
        with peers(place, files) as named:
            for asked in REQUESTS:
                if asked.size == size:
                    for connections in (1, 8):
                        show(asked, named, connections)
            memory = named['ours'].resident()
            print(f'resident, API process of {size}: {memory:.0f} MiB')


def show(asked: Asked, named: dict[str, Peer], connections: int) -> None:
    """Measure a request in turns, and print the medians."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in named}
    for _ in range(ROUNDS):
        for name, peer in named.items():
            found[name].append(peer.measure(asked, connections))
    rates, cpus = (
        {
            name: statistics.median(pair[index] for pair in pairs)
            for name, pairs in found.items()
        }
        for index in (0, 1)
    )
    behind = cpus['ours+authtoken']
    print(
        f'{asked.title:<24}{connections:>12}{cpus["ours"]:>9.2f}'
        f'{cpus["bare"]:>7.2f}{cpus["bare"] / cpus["ours"]:>11.2f}'
        f'{behind:>10.2f}{cpus["limit"]:>7.2f}'
        f'{cpus["limit"] / behind:>12.2f}{rates["ours"]:>8.0f}',
        flush=True,
    )


def main(url: str = '') -> None:
    """Measure, and print tables.

    :param url: of an empty database; else SQLite's.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        process('-m', 'tests.bench_peers', 'keystone') as identity,
    ):
        directory = pathlib.Path(name)
        url = url or f'sqlite:///{directory}/aggregates_ext.sqlite'
        keystone = f'http://127.0.0.1:{port_of(identity)}'
        told = bench_peers.authtoken(keystone).items()
        files = {}
        for strategy in ('noauth', 'keystone'):
            files[strategy] = directory / f'{strategy}.conf'
            files[strategy].write_text(
                CONFIG.format(
                    directory=directory,
                    url=url,
                    strategy=strategy,
                    authtoken='\n'.join(f'{k} = {v}' for k, v in told),
                )
            )
        conf = cfg.ConfigOpts()
        options.parse(conf, [], [str(files['noauth'])])
        database = engine.Database(conf)
        migration.upgrade(database)
        compare(database, directory, files)
        command = ('--config-file', str(files['noauth']))
        with process('-m', 'aggregates_ext.cmd.compute', *command) as compute:
            time.sleep(5)
            memory = psutil.Process(compute.pid).memory_info().rss / 2**20
            print(f'resident, idle compute service: {memory:.0f} MiB')
        database.dispose()


if __name__ == '__main__':
    main(*sys.argv[1:])
