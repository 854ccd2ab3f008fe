"""What a fleet costs each minute, and whether that grows faster than it does.

``python -m tests.bench_fleet [DATABASE [POOLS ...]]`` fills a database
(``sqlite``, ``mariadb`` or ``postgresql``) with so many pools of 16 hosts and
320 guests (1,000, then 10,000), and lets a compute service do all that it
does in a minute, with hosts that answer what was recorded (``replay``): its
CPU, that of the database's server, and SQL statements. Then the API answers
at that size, and one and two services work on a backlog. Machines are shared
and noisy; nothing here passes or fails (design#where-it-ends).

A look at a pool is measured on some of them. What costs more with a larger
fleet shows in the last column: 1.0 grows as the fleet does.
"""

import contextlib
import functools
import gc
import itertools
import json
import pathlib
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import prometheus_client
import psutil
import sqlalchemy as sa
import webob

from aggregates_ext.cmd.commands import health
from aggregates_ext.compute import heartbeat
from aggregates_ext.compute import lookout
from aggregates_ext.compute import manager
from aggregates_ext.compute import purge
from aggregates_ext.compute.notifying import sender
from aggregates_ext.compute.observation import observe
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from aggregates_ext.domain import history
from aggregates_ext.domain import overview
from aggregates_ext.domain import services
from aggregates_ext.metrics import collector
from tests import counting
from tests import databases
from tests import fleet
from tests import replay
from tests.functional import api_service

SIZES = (1000, 10_000)
# Pools that are looked at, spread over all; and rounds of what is quick.
SAMPLE, ROUNDS = 60, 10
# What one core is to look at in a minute, so the number of services.
EACH = 1000
# Seconds that services work on a backlog.
SECONDS = 20.0
ADMIN = {
    'X-Auth-Token': f'operator:{api_service.PROJECT}:admin',
    'OpenStack-API-Version': 'compute 2.79',
}
PAGE = 1000


class Cost(NamedTuple):
    """What something took.

    :ivar own: CPU seconds of this process, without the answers of hosts.
    :ivar server: those of the database's server.
    :ivar statements: of SQL, without BEGIN.
    """

    own: float
    server: float
    statements: float

    def __mul__(self, times: Any) -> 'Cost':
        return Cost(*(value * times for value in self))

    @property
    def cpu(self) -> float:
        """CPU seconds in all."""
        return self.own + self.server


class Gauge:
    """Measures what is done.

    :param server: of the database; None: it is in this process.
    """

    def __init__(
        self, recorded: replay.Recorded, server: databases.Server | None
    ) -> None:
        self._recorded = recorded
        self._server = server

    def _of_server(self) -> float:
        if self._server is None:
            return 0.0
        found = 0.0
        for process in self._server.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found += times.user + times.system
        return found

    def measure(self, act: Callable[[], object], times: int = 1) -> Cost:
        """What an act costs, done so many times."""
        gc.collect()
        with counting.counting_statements('BEGIN') as statements:
            spent, server = self._recorded.spent, self._of_server()
            began = time.process_time()
            for _ in range(times):
                act()
            own = time.process_time() - began
        return Cost(
            own - (self._recorded.spent - spent),
            self._of_server() - server,
            len(statements),
        ) * (1 / times)


class Service:
    """A compute service that is not started: what it does is called."""

    def __init__(self, account: fleet.Account, gauge: Gauge) -> None:
        conf, database = account
        self.database = database
        self._gauge = gauge
        self._connector = connections.Connector(conf)
        self._manager = manager.Manager(conf, database, self._connector)
        self._keeper = compute_lease.Keeper(database, 'bench', 30.0)
        self._lookout = lookout.Lookout(conf, database, self._connector)
        self._purge = purge.Purge(conf, database)
        self._heartbeat = heartbeat.Heartbeat(database, 'bench', lambda: True)
        self._sender = sender.Sender(conf, database, 'bench')
        self._workers = conf.compute.workers

    def search(self) -> Cost:
        """A search for work."""
        return self._gauge.measure(
            lambda: self._manager._find_work(self._workers), ROUNDS
        )

    def look(self, recorded: replay.Recorded, pools: int, what: int) -> Cost:
        """A look at a pool.

        :param what: as ``Recorded.look``.
        """
        recorded.look = what
        keys = itertools.cycle(range(1, pools + 1, max(1, pools // SAMPLE)))
        found = self._gauge.measure(
            lambda: self._manager.work_on(next(keys)), SAMPLE
        )
        recorded.look = 0
        return found

    def lease(self) -> Cost:
        """A lease that is taken and given back."""

        def act() -> None:
            with self._keeper.hold(2):
                pass

        return self._gauge.measure(act, ROUNDS)

    def renewal(self) -> Cost:
        """The renewal of all leases that one service has."""
        with contextlib.ExitStack() as held:
            for key in range(1, self._workers + 1):
                held.enter_context(self._keeper.hold(key))
            return self._gauge.measure(self._keeper.renew, ROUNDS)

    def beat(self) -> Cost:
        """A heartbeat."""
        return self._gauge.measure(self._heartbeat.beat, ROUNDS)

    def outbox(self) -> Cost:
        """A look for what is to be told, where there is nothing."""
        return self._gauge.measure(self._sender.send, ROUNDS)

    def free_hosts(self) -> Cost:
        """A round of looks at free hosts."""
        return self._gauge.measure(self._lookout.look, ROUNDS)

    def end_of_history(self, days: float) -> Cost:
        """A purge."""
        past = history.History(self.database, 180.0)
        return self._gauge.measure(lambda: past.purge(days))


def let(
    database: engine.Database, table: sa.Table, which: Any, **values: Any
) -> None:
    """Write columns of many rows."""
    patient = database.without_limits()
    with patient.writer() as connection:
        connection.execute(sa.update(table).where(which).values(values))
    patient.dispose()


def seen(database: engine.Database, ago: float) -> None:
    """Let all pools have been looked at so many seconds ago."""
    pools = models.aggregates
    let(
        database,
        pools,
        pools.c.id < fleet.BEHIND,
        observed_at=engine.now() - ago,
    )


def loop(
    account: fleet.Account, gauge: Gauge, recorded: replay.Recorded, pools: int
) -> Iterator[tuple[str, Cost, float]]:
    """What a service does: the cost of each piece, and times a minute.

    With as many services as ``EACH`` says, and all of them together.
    """
    database, fleets = account.database, max(1, pools // EACH)
    made = Service(account, gauge)
    seen(database, 0)
    yield 'search for work, none due', made.search(), 60 * fleets
    seen(database, 100)
    yield 'search for work, all due', made.search(), 0
    made.look(recorded, pools, 0)
    yield 'look, nothing has changed', made.look(recorded, pools, 0), pools
    for what in replay.RENAMED:
        cost = made.look(recorded, pools, what)
    yield 'look, a guest has changed', cost, 0
    yield '  of that: lease', made.lease(), 0
    yield 'renewal of 128 leases', made.renewal(), 6 * fleets
    yield 'heartbeat', made.beat(), 6 * fleets
    yield 'look for messages', made.outbox(), 60 * fleets
    free = models.hosts.c.aggregate_id.is_(None)
    let(database, models.hosts, free, looked_at=engine.now())
    yield 'free hosts, none due', made.free_hosts(), 12 * fleets
    let(database, models.hosts, free, looked_at=1.0)
    rounds = pools * fleet.HOSTS / fleet.FREE / lookout.ROUND
    yield 'free hosts, 64 of all', made.free_hosts(), rounds
    yield 'purge, first', made.end_of_history(90), 0
    yield 'purge, each hour', made.end_of_history(90), fleets / 60
    yield 'numbers for Prometheus', numbers(account, gauge), 1


def numbers(account: fleet.Account, gauge: Gauge) -> Cost:
    """What Prometheus asks once, with names of 10,000 hosts at the most."""
    registry = prometheus_client.CollectorRegistry()
    found = collector.of_all(account.conf, account.database)
    # However long it takes.
    with contextlib.ExitStack() as patched:
        patched.enter_context(_longer())
        registry.register(found)
        return gauge.measure(
            lambda: prometheus_client.generate_latest(registry)
        )


@contextlib.contextmanager
def _longer() -> Iterator[None]:
    before, collector.LIMIT = collector.LIMIT, 600.0
    yield
    collector.LIMIT = before


def requests(pools: int) -> dict[str, str]:
    """Requests, by what they ask for."""
    middle = pools // 2
    name = f'{replay.title(middle)}-h03'
    return {
        'aggregates, all': 'os-aggregates',
        'aggregates, again': 'os-aggregates',
        'aggregates, a page': f'os-aggregates?limit={PAGE}&marker=500',
        'aggregate': f'os-aggregates/{middle}',
        'aggregate of a host': f'os-aggregates?host={name}',
        'pool': f'os-aggregates/{middle}/pool',
        'allowed actions': f'os-aggregates/{middle}/allowed_actions',
        'operations, a page': f'os-aggregates/{middle}/operations?limit=100',
        'pools, a page': 'os-aggregate-pools?limit=100',
        'pools that drift': 'os-aggregate-pools?drift=true&limit=100',
        'services': 'os-services',
        'service of a host': f'os-services?host={name}',
        'hypervisors': 'os-hypervisors',
        'hypervisors, a page': f'os-hypervisors/detail?limit={PAGE}',
        'hypervisors by name': (
            f'os-hypervisors?hypervisor_hostname_pattern={name}'
        ),
        'zones': 'os-availability-zone',
        'hosts (2.1)': 'os-hosts',
        'host (2.1)': f'os-hosts/{name}',
        'servers, a page': 'servers/detail?limit=1000&all_tenants=1',
        'servers of a host': f'servers?host={name}&all_tenants=1',
        'migrations, a page': 'os-migrations?limit=100',
    }


def answers(
    account: fleet.Account, gauge: Gauge, pools: int
) -> Iterator[tuple[str, Cost, float]]:
    """What the API takes for each request, and what commands take."""
    account.conf.set_override('settle_wait', 0, 'api')
    application = api_service.serve(account.conf)

    def ask(path: str, version: str) -> webob.Response:
        headers = {**ADMIN, 'OpenStack-API-Version': f'compute {version}'}
        asked = webob.Request.blank(f'/v2.1/{path}', headers=headers)
        found = asked.get_response(application)
        if found.status_int != 200:
            # A machine that is busy may be too slow for a large answer.
            print(f'  {path}: {found.status}', flush=True)
        return found

    ask('os-aggregates/1', '2.79')
    for title, path in requests(pools).items():
        version = '2.1' if '2.1' in title else '2.79'
        yield title, gauge.measure(functools.partial(ask, path, version)), 0
    last = ask('os-hypervisors?limit=1', '2.79').json['hypervisors'][0]['id']
    for title, path in (
        ('hypervisor', f'os-hypervisors/{last}'),
        ('hypervisors, page 2', f'os-hypervisors?limit={PAGE}&marker={last}'),
    ):
        yield title, gauge.measure(functools.partial(ask, path, '2.79')), 0
    database = account.database

    def status() -> object:
        pools = overview.Overview(database).get_all()
        return health.report(pools, services.Services(database).get_all())

    past = history.History(database, 180.0)
    yield 'command: status', gauge.measure(status), 0
    yield 'command: operation list', gauge.measure(past.get_all), 0
    yield 'all registered hosts', gauge.measure(lambda: _hosts(database)), 0


def _hosts(database: engine.Database) -> None:
    with database.reader() as connection:
        db_hosts.get_all(connection)


def serve(url: str, recording: str) -> None:
    """Be a compute service for ``SECONDS``, and tell what it has done."""
    recorded = pickle.loads(pathlib.Path(recording).read_bytes())  # noqa: S301
    account = fleet.configure(url)
    done = {'looks': 0, 'lost': 0}
    hold, note = compute_lease.Keeper.hold, observe.note

    @contextlib.contextmanager
    def holding(self: Any, key: int) -> Iterator[Any]:
        with hold(self, key) as held:
            done['lost'] += held is None
            yield held

    def noting(*rest: Any) -> None:
        note(*rest)
        done['looks'] += 1

    compute_lease.Keeper.hold = holding  # type: ignore[method-assign,assignment]
    observe.note = noting
    connector = connections.Connector(account.conf)
    made = manager.Manager(account.conf, account.database, connector)
    with replay.answering(recorded):
        thread = threading.Thread(target=made.serve, daemon=True)
        began = time.process_time()
        thread.start()
        time.sleep(SECONDS)
        cpu, counted = time.process_time() - began, dict(done)
        made.stop()
        thread.join(60)
    memory = psutil.Process().memory_info().rss >> 20
    print(json.dumps({**counted, 'cpu': cpu, 'memory': memory}))


def together(url: str, recording: str, number: int) -> dict[str, float]:
    """Let so many services work on one backlog; what all of them did."""
    command = (sys.executable, '-m', 'tests.bench_fleet', 'serve')
    running = [
        subprocess.Popen(
            [*command, url, recording],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(number)
    ]
    told = [json.loads(each.communicate()[0]) for each in running]
    return {name: sum(one[name] for one in told) for name in told[0]}


def measure(
    kind: str, pools: int, recorded: replay.Recorded, recording: str
) -> dict[str, tuple[Cost, float]]:
    """The cost of each piece with so many pools; prints what it finds."""
    found: dict[str, tuple[Cost, float]] = {}
    with contextlib.ExitStack() as stack:
        server = None
        if kind == 'sqlite':
            place = stack.enter_context(tempfile.TemporaryDirectory())
            url = f'sqlite:///{place}/aggregates_ext.sqlite'
        else:
            server = stack.enter_context(CLASSES[kind]())
            url = server.new()
        account = fleet.configure(url)
        migration.upgrade(account.database)
        began = time.perf_counter()
        fleet.fill(account, recorded, pools)
        took = time.perf_counter() - began
        print(f'{kind}: {pools} pools, filled in {took:.0f} s', flush=True)
        gauge = Gauge(recorded, server)
        stack.enter_context(replay.answering(recorded))
        for piece in (
            loop(account, gauge, recorded, pools),
            answers(account, gauge, pools),
        ):
            for title, cost, times in piece:
                found[title] = cost, times
                print(
                    f'  {title:28}{cost.own * 1000:10.1f} ms'
                    f'{cost.server * 1000:10.1f} ms{cost.statements:8.1f}',
                    flush=True,
                )
        memory = psutil.Process().memory_info().rss >> 20
        print(f'  memory of this process: {memory} MiB')
        account.database.dispose()
        for number in (1, 2):
            seen(account.database, 100)
            account.database.dispose()
            done = together(url, recording, number)
            print(
                f'  {number} service(s) on a backlog: {done["looks"]:.0f} '
                f'looks in {SECONDS:.0f} s, '
                f'{done["cpu"] / max(1, done["looks"]) * 1000:.1f} ms each, '
                f'{done["lost"]:.0f} leases of others asked for, '
                f'{done["memory"] / number:.0f} MiB each',
                flush=True,
            )
    return found


class MariaDB(databases.MariaDB):
    """With as much memory as the tables want."""

    def _command(self) -> list[str]:
        return [*super()._command(), '--innodb-buffer-pool-size=1G']


class PostgreSQL(databases.PostgreSQL):
    """With as much memory as the tables want."""

    def _command(self) -> list[str]:
        return [*super()._command(), '--shared_buffers=512MB']


CLASSES: dict[str, type[databases.Server]] = {
    made.kind: made for made in (MariaDB, PostgreSQL)
}


def compare(
    sizes: list[int], found: list[dict[str, tuple[Cost, float]]]
) -> None:
    """Print the two sizes beside each other."""
    few, many = found[0], found[-1]
    growth = sizes[-1] / sizes[0]
    print(f'{"CPU":30}{sizes[0]:>12}{sizes[-1]:>12}{"per pool":>10}')
    for title, (cost, _times) in few.items():
        other = many[title][0]
        ratio = other.cpu / max(1e-6, cost.cpu) / growth
        print(
            f'{title:30}{cost.cpu * 1000:9.1f} ms{other.cpu * 1000:9.1f} ms'
            f'{ratio:10.2f}'
        )
    sums = [
        sum(cost.cpu * times for cost, times in each.values()) / size
        for size, each in zip((sizes[0], sizes[-1]), (few, many), strict=True)
    ]
    print(
        f'{"each pool, each minute":30}{sums[0] * 1000:9.1f} ms'
        f'{sums[1] * 1000:9.1f} ms{sums[1] / sums[0]:10.2f}'
    )


def main(kind: str = 'sqlite', *numbers: str) -> None:
    """Print the tables."""
    if kind == 'serve':
        serve(*numbers)
        return
    sizes = [int(number) for number in numbers] or list(SIZES)
    with tempfile.TemporaryDirectory() as place:
        recorded = replay.record(fleet.HOSTS, fleet.GUESTS)
        recording = pathlib.Path(place, 'recorded')
        recording.write_bytes(pickle.dumps(recorded))
        found = [
            measure(kind, size, recorded, str(recording)) for size in sizes
        ]
    compare(sizes, found)


if __name__ == '__main__':
    main(*sys.argv[1:])
