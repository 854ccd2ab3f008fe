"""What observing pools costs, on simulated hosts in a process of their own.

``python -m tests.bench_observation [POOLS [HOSTS [LOOKS [GUESTS]]]]`` makes
that many pools of that many hosts (100 of 16) with that many guests each
(19), adopts them, observes each of them LOOKS times (3) by one compute
service without a pause, and prints a table. The guests stay as they are.
Machines are shared and noisy; nothing here passes or fails. 1,000 pools a
minute within one core are 60 ms of CPU for each (design#budgets).
"""

import concurrent.futures
import contextlib
import cProfile
import hashlib
import json
import pathlib
import pstats
import resource
import ssl
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import psutil
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import uuidutils

from aggregates_ext import conf as options
from aggregates_ext.compute import manager
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from aggregates_ext.domain import hosts as registry
from tests import bench_xensim

WORKERS = 16
REGISTERED = 16_000
TLS = pathlib.Path(__file__).parent / 'unit' / 'compute' / 'xen' / 'tls'
TLS_HOSTS = {
    'tls': True,
    'tls_certificate': str(TLS / 'certificate.pem'),
    'tls_key': str(TLS / 'key.pem'),
}


def pinned() -> str:
    """The fingerprint of the certificate that all hosts have."""
    pem = (TLS / 'certificate.pem').read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def state(control: str) -> dict[str, Any]:
    """All hosts and pools of the simulator."""
    with urllib.request.urlopen(f'{control}/state', timeout=300) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


def configure(directory: pathlib.Path) -> cfg.ConfigOpts:
    """A configuration with a database and the account of the hosts."""
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    path = directory / 'aggregates_ext.sqlite'
    conf.set_override('connection', f'sqlite:///{path}', 'database')
    conf.set_override('credentials', ['default'], 'xenserver')
    group = options.register_credential(conf, 'default')
    conf.set_override('password', 'secret', group)
    return conf


def fill(
    database: engine.Database,
    addresses: list[str],
    seen: dict[str, Any],
    fingerprint: str,
    registered: int = REGISTERED,
) -> None:
    """Register all hosts as members of their pools, as joins leave them.

    :param registered: so many hosts there are, at the least.
    """
    names = list(seen['hosts'])
    urls = dict(zip(names, addresses, strict=True))
    registry.Hosts(database).add(
        [
            {
                'name': n,
                'url': f'https://{urls[n]}',
                'fingerprint': fingerprint,
            }
            for n in names
        ]
    )
    others = range(registered - len(names))
    if others:
        registry.Hosts(database).add(
            [{'name': f'other{n}', 'url': f'https://other{n}'} for n in others]
        )
    with database.writer() as connection:
        for number, pool in enumerate(seen['pools'], 1):
            connection.execute(
                sa.insert(models.aggregates).values(
                    id=number,
                    uuid=uuidutils.generate_uuid(),
                    name=pool['name_label'] or f'pool{number}',
                    metadata={},
                    created_at=sa.func.current_timestamp(),
                    deleted=0,
                    pool_uuid=pool['uuid'],
                    credential='default',
                )
            )
            for host in pool['hosts']:
                connection.execute(
                    sa.update(models.hosts)
                    .where(models.hosts.c.name == host['name'])
                    .values(
                        aggregate_id=number, phase='member', uuid=host['uuid']
                    )
                )


def mark(conf: cfg.ConfigOpts, database: engine.Database) -> None:
    """Write the mark on each pool, as an adoption does."""
    connector = connections.Connector(conf)
    hosts = {h.uuid: h for h in registry.Hosts(database).get_all()}
    with database.reader() as connection:
        rows = connection.execute(
            sa.select(models.aggregates.c.uuid, models.hosts.c.uuid).join(
                models.hosts,
                models.hosts.c.aggregate_id == models.aggregates.c.id,
            )
        ).all()
    for aggregate, host in rows:
        try:
            session = connector.login(hosts[host])
        except failures.XenAPIError:
            continue
        with contextlib.closing(session):
            (ref,) = session.call('pool.get_all')
            session.call(
                'pool.add_to_other_config', ref, views.MARK, aggregate
            )


@contextlib.contextmanager
def counting() -> Iterator[list[int]]:
    """How many SQL statements are sent in a block."""
    count = [0]

    def listen(_conn: Any, _cursor: Any, statement: str, *_args: Any) -> None:
        count[0] += not statement.startswith('PRAGMA')

    sa.event.listen(sa.Engine, 'before_cursor_execute', listen)
    yield count
    sa.event.remove(sa.Engine, 'before_cursor_execute', listen)


def used() -> float:
    """CPU seconds of this process until now."""
    times = resource.getrusage(resource.RUSAGE_SELF)
    return times.ru_utime + times.ru_stime


def observe_all(service: manager.Manager, pools: int, workers: int) -> float:
    """Observe every pool once; the answer: seconds by the clock."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        list(threads.map(service.work_on, range(1, pools + 1)))
    return time.perf_counter() - began


def measure(
    pools: int, hosts: int, looks: int, guests: int, profile: bool
) -> Iterator[tuple[str, str]]:
    """The rows of the table."""
    with (
        bench_xensim.running(
            pools,
            hosts,
            **TLS_HOSTS,
            vms=[{'name': f'guest{number}'} for number in range(guests)],
        ) as simulator,
        tempfile.TemporaryDirectory() as name,
    ):
        conf = configure(pathlib.Path(name))
        database = engine.Database(conf)
        migration.upgrade(database)
        found = state(simulator.control)
        fill(database, simulator.addresses, found, pinned())
        mark(conf, database)
        service = manager.Manager(conf, database, connections.Connector(conf))
        observe_all(service, pools, WORKERS)
        with database.reader() as connection:
            drift = connection.scalars(sa.select(models.aggregates.c.drift))
            strange = [entry for entry in drift if entry]
        with database.reader() as connection:
            count = sa.select(sa.func.count(models.guests.c.id))
            kept = connection.scalar(count)
        yield 'pools, hosts of each, guests', f'{pools}, {hosts}, {kept}'
        yield 'pools with drift', f'{len(strange)} {strange[:1] or ""}'
        before = len(calls(simulator.control))
        with counting() as statements:
            observe_all(service, pools, 1)
        asked = len(calls(simulator.control)) - before
        yield 'XenAPI calls of each look', f'{asked / pools:.1f}'
        yield 'SQL statements of each look', f'{statements[0] / pools:.1f}'
        cpu, wall = used(), 0.0
        for _ in range(looks):
            wall += observe_all(service, pools, WORKERS)
        each = (used() - cpu) / looks / pools
        yield 'CPU of each look', f'{each * 1000:.1f} ms'
        yield 'one core observes each minute', f'{60 / each:.0f} pools'
        yield 'by the clock, with the simulator', f'{wall / looks:.1f} s'
        rss = psutil.Process().memory_info().rss
        yield 'memory', f'{rss >> 20} MiB'
        if profile:
            run_profile(service, pools)
        database.dispose()


def calls(control: str) -> list[Any]:
    """The calls that have arrived at the simulator."""
    with urllib.request.urlopen(f'{control}/calls', timeout=300) as answer:  # noqa: S310
        found: list[Any] = json.load(answer)
    return found


def run_profile(service: manager.Manager, pools: int) -> None:
    """Print where the time of this process goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    for number in range(1, pools + 1):
        service.work_on(number)
    profiler.disable()
    pstats.Stats(profiler).sort_stats('tottime').print_stats(25)


def main(*arguments: str) -> None:
    """Print the table; ``profile`` as last argument adds a profile."""
    numbers = [int(argument) for argument in arguments if argument.isdigit()]
    defaults = (100, 16, 3, 19)
    sizes = [*numbers, *defaults[len(numbers) :]]
    for what, value in measure(*sizes, 'profile' in arguments):
        print(f'{what:38} {value:>14}', flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
