"""Speed and memory, beside peers in the same run; and what is counted.

``tox -e bench`` prints tables. Machines are shared and noisy, so each request
is sent to the API and to its peers in turn (``bench_peers``), and what counts
is the ratio of the CPU that each took; nothing here passes or fails. Calls
and statements do not depend on the machine: ``test_calls.py`` bounds them.

``python -m tests.bench`` takes waitress and SQLite. With ``--server gunicorn``,
which comes from PyPI as in the integration tests, it is one worker of it; with
``--database mariadb`` or ``postgresql`` a private server; with ``--memcached``
the tokens are kept there, and not in the process. MariaDB is asked by way of
mysqlclient with ``AGGREGATES_EXT_TEST_DRIVER=mysqldb``.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
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
from tests import databases
from tests.integration import environments
from tests.integration import memcached

SECONDS = 1.0
ROUNDS = 3
SIZES = (1, 100, 1000)
# So many aggregates and free hosts are there for requests that need one of
# each to themselves.
FRESH = 10_000
LISTENING = re.compile(r'(?i)listening .*http://127\.0\.0\.1:(\d+)')
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
    """Make aggregates of ``HOSTS`` hosts and ``KEYS`` keys, so many in all.

    There is a free host for each, too.
    """
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
        connection.execute(
            sa.insert(models.hosts),
            [
                {
                    'name': f'free{number}',
                    'url': 'https://10.0.0.1',
                    'credential': 'default',
                    'phase': 'free',
                    'created_at': now,
                }
                for number in numbers
            ],
        )


@contextlib.contextmanager
def process(
    *arguments: str, stderr: int | None = None, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A process for the length of a block.

    :param stderr: as ``Popen`` has it, where it says there what is read.
    """
    running = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | variables,
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
    told = []
    for line in running.stdout or ():
        if found := LISTENING.search(line):
            return int(found[1])
        told.append(line)
    raise RuntimeError(f'the server has ended: {"".join(told[-20:])}')


class Asked(NamedTuple):
    """A request that is measured.

    :ivar size: so many aggregates there are.
    :ivar path: and the body may have a ``NUMBER``, that of an aggregate and
        of a free host which no request had before.
    :ivar change: one of them is changed before each, which counts too: what
        a list after it costs is told by the show after it.
    :ivar known: who asks has what is asked for, and its ETag; of one
        aggregate, since no list has one.
    """

    title: str
    size: int
    path: str
    method: str = 'GET'
    body: Any = None
    change: bool = False
    known: bool = False


class Answer(NamedTuple):
    """What a peer has answered."""

    status: int
    etag: str | None
    body: bytes


NUMBER = 'NUMBER'
METADATA = {'set_metadata': {'metadata': {'key0': 'changed'}}}
ADD = {'add_host': {'host': f'free{NUMBER}'}}
REQUESTS = [
    *(Asked(f'list of {size}', size, ALL) for size in SIZES),
    Asked('change, then list', SIZES[-1], ALL, change=True),
    Asked('show', SIZES[-1], ONE),
    Asked('show, known (304)', SIZES[-1], ONE, known=True),
    Asked('change, then show', SIZES[-1], ONE, change=True),
    Asked('set_metadata', SIZES[-1], f'{ONE}/action', 'POST', METADATA),
    Asked('add_host, accepted', FRESH, f'{ALL}/{NUMBER}/action', 'POST', ADD),
]


class Peer:
    """A server that is measured.

    :param running: its process, that says where it listens.
    :param fresh: numbers that no request to its database had; else all do.
    """

    def __init__(
        self,
        running: subprocess.Popen[str],
        fresh: Iterator[int] | None = None,
    ) -> None:
        self._fresh = itertools.count(1) if fresh is None else fresh
        self.port = port_of(running)
        self._process = psutil.Process(running.pid)
        if 'gunicorn' in ' '.join(self._process.cmdline()):
            while not self._process.children():
                time.sleep(0.1)
            [self._process] = self._process.children()

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
        known = None
        if asked.known:
            known = self.ask(connection, asked.path).etag
            assert known, f'{asked.path} has no ETag'
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if asked.change:
                self.ask(connection, f'{ONE}/action', 'POST', METADATA)
            self.ask(connection, asked.path, asked.method, asked.body, known)
            done[number] += 1
        connection.close()

    def ask(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        method: str = 'GET',
        body: Any = None,
        known: str | None = None,
    ) -> Answer:
        """What it answers to one request, on a connection.

        :param known: the ETag of what who asks has already.
        """
        data = None if body is None else json.dumps(body)
        if NUMBER in path:
            fresh = str(next(self._fresh))
            path = path.replace(NUMBER, fresh)
            data = data and data.replace(NUMBER, fresh)
        headers = {'X-Auth-Token': f'user:{bench_peers.PROJECT}'}
        if data:
            headers['Content-Type'] = 'application/json'
        if known:
            headers['If-None-Match'] = known
        connection.request(method, path, data, headers)
        told = connection.getresponse()
        answer = Answer(told.status, told.headers['ETag'], told.read())
        if answer.status != (304 if known else 200):
            raise RuntimeError(f'{method} {path}: {answer}')
        return answer

    def get(self, path: str) -> bytes:
        """What it answers to one question."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port)
        content = self.ask(connection, path).body
        connection.close()
        return content


class Waitress:
    """The server that the API brings."""

    def api(self, conf: pathlib.Path) -> Any:
        """Serve the API, to be entered."""
        return process(
            '-m', 'aggregates_ext.cmd.api', '--config-file', str(conf)
        )

    def peer(self, kind: str, *arguments: str) -> Any:
        """Serve what it is measured beside, to be entered."""
        return process('-m', 'tests.bench_peers', kind, *arguments)


class Gunicorn(Waitress):
    """One worker of gunicorn, with as many threads as the guide says.

    :param home: where it may keep files.
    """

    def __init__(self, home: pathlib.Path) -> None:
        self._home = home
        venv = environments.install('gunicorn', 'gunicorn')
        [self._site] = venv.glob('lib/python*/site-packages')

    def _process(self, application: str, **variables: str) -> Any:
        return process(
            *('-m', 'gunicorn', '--workers', '1', '--threads', '4'),
            # A loaded machine may let a connection rest for long.
            *('--keep-alive', '75', '--bind', '127.0.0.1:0', application),
            stderr=subprocess.STDOUT,
            HOME=str(self._home),
            PYTHONPATH=f'{environments.ROOT}{os.pathsep}{self._site}',
            **variables,
        )

    def api(self, conf: pathlib.Path) -> Any:
        return self._process(
            'aggregates_ext.wsgi:application',
            OS_AGGREGATES_EXT_CONFIG_DIR=str(conf.parent),
        )

    def peer(self, kind: str, *arguments: str) -> Any:
        return self._process(f'tests.bench_peers:make({kind!r}, {arguments})')


class Measured(NamedTuple):
    """What is measured, and with what.

    :ivar files: configurations of the API, by strategy.
    :ivar identity: arguments of what is behind authtoken.
    """

    server: Waitress
    database: engine.Database
    files: dict[str, pathlib.Path]
    identity: list[str]

    @contextlib.contextmanager
    def peers(self, directory: pathlib.Path) -> Iterator[dict[str, Peer]]:
        """All, by name, each with and without authtoken."""
        with contextlib.ExitStack() as stack:
            numbers = iter(range(1, FRESH + 1))

            def start(
                running: Any, fresh: Iterator[int] | None = None
            ) -> Peer:
                return Peer(stack.enter_context(running), fresh)

            serve = self.server
            ours = start(serve.api(self.files['noauth']), numbers)
            bodies = directory / 'bodies'
            bodies.mkdir()
            for path in (ALL, ONE):
                name = parse.quote(path, safe='')
                (bodies / name).write_bytes(ours.get(path))
            url = self.database.engine.url.render_as_string(False)
            plain = (str(bodies), url)
            yield {
                'ours': ours,
                'bare': start(serve.peer('bare', *plain)),
                'ours+authtoken': start(
                    serve.api(self.files['keystone']), numbers
                ),
                'limit': start(serve.peer('limit', *plain, *self.identity)),
            }


def compare(measured: Measured, directory: pathlib.Path) -> None:
    """Print what each request takes, beside the peers of the same size."""
    print(
        f'{"request":<24}{"connections":>12}{"ms ours":>9}{"bare":>7}'
        f'{"bare:ours":>11}{"ms +auth":>10}{"limit":>7}{"limit:ours":>12}'
        f'{"per s":>8}'
    )
    for size in sorted({asked.size for asked in REQUESTS}):
        fill(measured.database, size)
        place = directory / str(size)
        place.mkdir()
        with measured.peers(place) as named:
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


def configure(
    directory: pathlib.Path, url: str, identity: list[str]
) -> dict[str, pathlib.Path]:
    """Configurations of the API, by strategy, each in a directory."""
    told = bench_peers.authtoken(*identity).items()
    files = {}
    for strategy in ('noauth', 'keystone'):
        place = directory / strategy
        place.mkdir()
        files[strategy] = place / 'aggregates_ext.conf'
        files[strategy].write_text(
            CONFIG.format(
                directory=directory,
                url=url,
                strategy=strategy,
                authtoken='\n'.join(f'{k} = {v}' for k, v in told),
            )
        )
        paste = environments.ROOT / 'etc' / 'aggregates_ext' / 'api-paste.ini'
        shutil.copy(paste, place)
    return files


def options_of(arguments: list[str]) -> argparse.Namespace:
    """What the command line chooses."""
    parser = argparse.ArgumentParser(prog='python -m tests.bench')
    parser.add_argument(
        '--server', choices=('waitress', 'gunicorn'), default='waitress'
    )
    parser.add_argument(
        '--database', choices=databases.KINDS, default='sqlite'
    )
    parser.add_argument('--memcached', action='store_true')
    return parser.parse_args(arguments)


def main(*arguments: str) -> None:
    """Measure, and print tables."""
    chosen = options_of(list(arguments))
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        directory = pathlib.Path(enter(tempfile.TemporaryDirectory()))
        keystone = enter(process('-m', 'tests.bench_peers', 'keystone'))
        identity = [f'http://127.0.0.1:{port_of(keystone)}']
        if chosen.memcached:
            identity.append(enter(memcached.Memcached()).place)
        url = f'sqlite:///{directory}/aggregates_ext.sqlite'
        if chosen.database != 'sqlite':
            servers = enter(databases.running())
            url = servers.get(chosen.database).new()
        files = configure(directory, url, identity)
        conf = cfg.ConfigOpts()
        options.parse(conf, [], [str(files['noauth'])])
        database = engine.Database(conf)
        migration.upgrade(database)
        server = Waitress()
        if chosen.server == 'gunicorn':
            server = Gunicorn(directory)
        print(f'{chosen.server}, {chosen.database}', flush=True)
        compare(Measured(server, database, files, identity), directory)
        command = ('--config-file', str(files['noauth']))
        with process('-m', 'aggregates_ext.cmd.compute', *command) as compute:
            time.sleep(5)
            memory = psutil.Process(compute.pid).memory_info().rss / 2**20
            print(f'resident, idle compute service: {memory:.0f} MiB')
        database.dispose()


if __name__ == '__main__':
    main(*sys.argv[1:])
