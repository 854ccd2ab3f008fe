"""What two of everything do, beside one of each, on the same work.

``python -m tests.bench_two [POOLS [ROUNDS [SPEED]]]`` starts two sites: one
has one API process, one compute service and one RabbitMQ, the other has two of
each, with quorum queues. Both are on one MariaDB, with a database for each,
and on simulated hosts of their own, which speak TLS. They are measured in
turns, ROUNDS times (3); a table has the medians.

What waits for hosts grows with the services, as far as there are processors
for the rest; what takes a processor grows with the processors alone. So what
counts is the CPU of each process for one request, one operation, one look,
which is from ``/proc`` and does not depend on what else a machine does.
Services have few workers here, so that they wait and two processors are
enough. Machines are shared and noisy; nothing here passes or fails.
"""

from aggregates_ext import threads  # noqa: F401, I001 (first)

import concurrent.futures
import contextlib
import hashlib
import http.client
import itertools
import json
import pathlib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from urllib import request

import psutil
import sqlalchemy as sa

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from aggregates_ext.domain import hosts
from tests import bench
from tests import bench_joins
from tests import bench_observation
from tests import databases
from tests.integration import rabbit_cluster

SECONDS = 3.0
CONNECTIONS = 8
# That ask for changes at once: as many as two API processes have threads.
CLIENTS = 16
LOOKS = 4
POLL = 0.05
# Processes that the hosts are in, since one has one processor at most.
SIMULATORS = 4
# Seconds that a host takes for any call, beside what the call takes.
LATENCY = 0.1
PARTS = ('API', 'service', 'database', 'broker', 'hosts', 'client')
CONFIG = """
[DEFAULT]
use_stderr = false
log_file = {directory}/{name}.log
transport_url = {broker}
[oslo_messaging_rabbit]
rabbit_quorum_queue = true
rabbit_transient_quorum_queue = true
[database]
connection = {url}
[api]
bind_port = 0
auth_strategy = noauth
[compute]
workers = 4
# Looks are asked for.
observe_interval = 1000000
[xenserver]
credentials = default
[xenserver:default]
password = secret
"""


class Cost(NamedTuple):
    """What some work took.

    :ivar cpu: of each part, in seconds.
    :ivar claims: how often a service claimed a pool for it.
    """

    done: int
    seconds: float
    cpu: dict[str, float]
    claims: int

    @property
    def rate(self) -> float:
        return self.done / self.seconds

    def each(self, part: str) -> float:
        """Milliseconds of CPU for one."""
        return self.cpu[part] / self.done * 1000


class Site:
    """So many API processes and compute services, and what they work on.

    :param names: its hosts, by their simulators.
    """

    def __init__(
        self,
        database: engine.Database,
        running: dict[str, list[psutil.Process]],
        ports: list[int],
        names: list[list[str]],
    ) -> None:
        self.database = database
        self.ports = ports
        self.keys: list[int] = []
        self._names = names
        self._running = running
        self._joined: list[str] = []

    def _measure(self, work: Callable[[], int]) -> Cost:
        """Do some work; the answer: how much of it, and what it took."""
        claims = self._claims()
        before, began = self._used(), time.perf_counter()
        done = work()
        took, after = time.perf_counter() - began, self._used()
        cpu = {part: after[part] - before[part] for part in after}
        return Cost(done, took, cpu, self._claims() - claims)

    def _used(self) -> dict[str, float]:
        return {
            part: sum(sum(p.cpu_times()[:2]) for p in processes)
            for part, processes in self._running.items()
        }

    def _claims(self) -> int:
        """How often pools were claimed until now."""
        ask = sa.select(sa.func.sum(models.aggregates.c.lease_epoch))
        with self.database.reader() as connection:
            return int(connection.scalar(ask) or 0)

    def _ask(self, port: int, path: str, body: Any) -> Any:
        """One POST, as JSON."""
        with contextlib.closing(
            http.client.HTTPConnection('127.0.0.1', port)
        ) as connection:
            headers = {'Content-Type': 'application/json'}
            connection.request('POST', path, json.dumps(body), headers)
            answer = connection.getresponse()
            told = answer.read()
        if answer.status != 200:
            raise RuntimeError(f'{path}: {answer.status} {told!r}')
        return json.loads(told)

    def _change(self, kind: str, names: Sequence[str]) -> Cost:
        """Change the members of all pools, many at once.

        :param names: a host for each pool.
        """
        ports = itertools.cycle(self.ports)

        def send(key: int, host: str, port: int) -> None:
            path = f'{bench.ALL}/{key}/action'
            self._ask(port, path, {kind: {'host': host}})

        def work() -> int:
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                return len(list(pool.map(send, self.keys, names, ports)))

        return self._measure(work)

    def found(self, pools: int) -> None:
        """Make pools of one host, and get ready."""
        for number in range(pools):
            port = self.ports[number % len(self.ports)]
            body = {'aggregate': {'name': f'pool{number}'}}
            made = self._ask(port, bench.ALL, body)
            self.keys.append(made['aggregate']['id'])
        self._change('add_host', self._take())
        self._finish()

    def _take(self) -> list[str]:
        """A new host for each pool, always of the same simulator."""
        simulators = itertools.cycle(self._names)
        return [next(simulators).pop() for _ in self.keys]

    def join(self) -> tuple[Cost, Cost]:
        """A host joins each pool: as carried out, and as accepted."""
        self._joined = self._take()
        return self._carry_out('add_host')

    def eject(self) -> tuple[Cost, Cost]:
        """The host that joined each pool leaves it."""
        return self._carry_out('remove_host')

    def _carry_out(self, kind: str) -> tuple[Cost, Cost]:
        accepted: list[Cost] = []

        def work() -> int:
            accepted.append(self._change(kind, self._joined))
            self._finish()
            return len(self._joined)

        return self._measure(work), accepted[0]

    def _finish(self) -> None:
        """Wait until all has succeeded."""
        states = models.operations.c.state
        ask = sa.select(states, sa.func.count()).group_by(states)
        while True:
            with self.database.reader() as connection:
                found = {row[0] for row in connection.execute(ask)}
            if found <= {'succeeded'}:
                return
            if found - {'succeeded', 'queued', 'running'}:
                raise RuntimeError(f'operations are {found}')
            time.sleep(POLL)

    def look(self) -> Cost:
        """Have all pools looked at, several times."""
        return self._measure(lambda: sum(self._look() for _ in range(LOOKS)))

    def _look(self) -> int:
        table = models.aggregates.c
        with self.database.writer() as connection:
            connection.execute(
                sa.update(models.aggregates).values(observed_at=None)
            )
        ask = sa.select(sa.func.count()).where(table.observed_at.is_(None))
        while True:
            with self.database.reader() as connection:
                if not connection.scalar(ask):
                    return len(self.keys)
            time.sleep(POLL)

    def read(self, path: str) -> Cost:
        """Read for some seconds by ``CONNECTIONS`` connections."""
        ports = itertools.cycle(self.ports)
        chosen = [next(ports) for _ in range(CONNECTIONS)]

        def work() -> int:
            end = time.perf_counter() + SECONDS
            with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
                return sum(
                    pool.map(lambda port: _read(port, path, end), chosen)
                )

        return self._measure(work)


def _read(port: int, path: str, end: float) -> int:
    """Read again and again; the answer: how often.

    By a socket, since a client of HTTP takes as much CPU as the server. All
    answers are as long as the first.
    """
    asked = f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    count = 0
    with socket.create_connection(('127.0.0.1', port)) as connection:
        connection.sendall(asked)
        head, _, body = connection.recv(1 << 20).partition(b'\r\n\r\n')
        if b' 200 ' not in head:
            raise RuntimeError(head.decode())
        words = head.lower().split(b'content-length: ')[1]
        length = len(head) + 4 + int(words.split()[0])
        left = length - len(head) - 4 - len(body)
        while time.perf_counter() < end:
            while left:
                got = len(connection.recv(left))
                if not got:
                    raise RuntimeError(f'{path}: the answer ends early')
                left -= got
            count += 1
            connection.sendall(asked)
            left = length
    return count


@contextlib.contextmanager
def simulated(
    topology: pathlib.Path, names: list[str], speed: float
) -> Iterator[tuple[psutil.Process, list[dict[str, str]]]]:
    """Hosts, each call of which takes a while: what is registered of them.

    :param topology: where to describe them.
    """
    tls = bench_observation.TLS
    host = {
        'tls': True,
        'tls_certificate': str(tls / 'certificate.pem'),
        'tls_key': str(tls / 'key.pem'),
    }
    described = [{'name': name, **host} for name in names]
    pem = (tls / 'certificate.pem').read_text()
    pinned = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    with bench_joins.simulator(topology, {'hosts': described}, speed) as (
        running,
        urls,
    ):
        late = {'action': 'delay', 'times': 0, 'seconds': LATENCY * speed}
        asked = request.Request(  # noqa: S310
            f'{urls.pop("control")}/faults',
            json.dumps(late).encode(),
            {'Content-Type': 'application/json'},
        )
        request.urlopen(asked).close()  # noqa: S310
        yield (
            psutil.Process(running.pid),
            [
                {
                    'name': name,
                    'url': url,
                    'credential': 'default',
                    'fingerprint': pinned,
                }
                for name, url in urls.items()
            ],
        )


@contextlib.contextmanager
def processes_of(
    directory: pathlib.Path, number: int, broker: str, url: str
) -> Iterator[dict[str, list[subprocess.Popen[str]]]]:
    """So many processes of each command.

    :param broker: its ``transport_url``.
    :param url: of the database.
    """
    started: dict[str, list[subprocess.Popen[str]]] = {}
    with contextlib.ExitStack() as stack:
        for command in ('api', 'compute'):
            for which in range(number):
                name = f'{command}-{number}-{which}'
                path = directory / f'{name}.conf'
                path.write_text(
                    CONFIG.format(
                        directory=directory, name=name, url=url, broker=broker
                    )
                )
                process = bench.process(
                    *('-m', f'aggregates_ext.cmd.{command}'),
                    *('--config-file', str(path)),
                )
                started.setdefault(command, []).append(
                    stack.enter_context(process)
                )
        yield started


@contextlib.contextmanager
def site(
    directory: pathlib.Path,
    number: int,
    server: databases.Server,
    registered: list[list[dict[str, str]]],
    simulators: list[psutil.Process],
) -> Iterator[Site]:
    """A site of one of each, or of two of each.

    :param registered: its hosts, by their simulators.
    """
    place = directory / f'cluster{number}'
    place.mkdir()
    url = server.new()
    database = engine.Database(databases.configure(url))
    migration.upgrade(database)
    hosts.Hosts(database).add(list(itertools.chain(*registered)))
    with rabbit_cluster.Cluster(place, number) as cluster:
        broker = cluster.url(cluster.make_vhost())
        with processes_of(directory, number, broker, url) as started:
            yield Site(
                database,
                {
                    'API': [psutil.Process(p.pid) for p in started['api']],
                    'service': [
                        psutil.Process(p.pid) for p in started['compute']
                    ],
                    'database': server.processes(),
                    'broker': [
                        process
                        for node in cluster.nodes
                        for process in node.processes()
                    ],
                    'hosts': simulators,
                    'client': [psutil.Process()],
                },
                [bench.port_of(p) for p in started['api']],
                [[host['name'] for host in those] for those in registered],
            )
    database.dispose()


def turns(
    sites: Sequence[Site], rounds: int
) -> Iterator[tuple[str, int, Cost]]:
    """What was done, at which site, and what it took."""
    for _ in range(rounds):
        for number, one in enumerate(sites):
            yield 'reads, list', number, one.read(bench.ALL)
        for number, one in enumerate(sites):
            yield 'reads, one', number, one.read(f'{bench.ALL}/{one.keys[0]}')
        for number, one in enumerate(sites):
            yield 'looks', number, one.look()
        for title, act in (('joins', Site.join), ('ejects', Site.eject)):
            for number, one in enumerate(sites):
                done, accepted = act(one)
                yield f'{title}, accepted', number, accepted
                yield title, number, done


def show(found: Mapping[str, Sequence[Sequence[Cost]]]) -> None:
    """Print the medians: of one of each, and of two of each."""
    print(
        f'{"":18}{"per second":>16}{"":7}{"claims":>12}'
        f'   ms of CPU for each: {", ".join(PARTS)}'
    )
    for title, both in found.items():
        one, two = (statistics.median(c.rate for c in s) for s in both)
        line = f'{title:18}{one:8.2f}{two:8.2f}{two / one:7.2f}'
        for costs in both:
            each = statistics.median(c.claims / c.done for c in costs)
            line += f'{each:6.1f}'
        for part in PARTS:
            line += '  '
            for costs in both:
                each = statistics.median(c.each(part) for c in costs)
                line += f'{each:7.1f}'
        print(line)


def main(pools: int = 16, rounds: int = 3, speed: float = 1) -> None:
    """Measure, and print a table."""
    each = -(-pools // SIMULATORS) * (1 + rounds)
    found: dict[str, tuple[list[Cost], list[Cost]]] = {}
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        server = stack.enter_context(databases.MariaDB())
        simulators, registered = [], []
        for which in range(SIMULATORS):
            names = [f'xen{which}-{n}' for n in range(2 * each)]
            topology = directory / f'{which}.json'
            process, those = stack.enter_context(
                simulated(topology, names, speed)
            )
            simulators.append(process)
            registered.append(those)
        sites = []
        for number in (1, 2):
            mine = [those[number - 1 :: 2] for those in registered]
            made = site(directory, number, server, mine, simulators)
            sites.append(stack.enter_context(made))
        for one in sites:
            one.found(pools)
        print(f'{pools} pools, speed {speed:g}', flush=True)
        for title, number, cost in turns(sites, rounds):
            found.setdefault(title, ([], []))[number].append(cost)
            print(f'  {title}, {number + 1}: {cost.rate:.2f}', flush=True)
        show(found)


if __name__ == '__main__':
    given = [float(argument) for argument in sys.argv[1:]]
    main(*(int(number) for number in given[:2]), *given[2:3])
