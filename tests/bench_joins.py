"""How long joins take: one, a hundred into as many pools, 15 into one.

``python -m tests.bench_joins [POOLS [QUEUE [SPEED [WORKERS]]]]`` starts the
simulator and a compute service as processes of their own, and prints a
table. At speed 1 a simulated join takes as long as a real one, about half a
minute; what the service does takes as long as it takes at any speed.
Machines are shared and noisy; nothing here passes or fails.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import psutil
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext import context
from aggregates_ext import enforcers
from aggregates_ext import rpc
from aggregates_ext.db import operations
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.domain import aggregates
from aggregates_ext.domain import hosts
from aggregates_ext.domain import intent
from aggregates_ext.domain.membership import members
from tests import bench

SIMULATOR = (
    'import sys; from aggregates_ext.xensim import main; sys.exit(main.main())'
)
POLL = 0.2
CONFIG = """
[DEFAULT]
use_stderr = false
log_file = {directory}/log
[database]
connection = sqlite:///{directory}/aggregates_ext.sqlite
[compute]
poll_interval = 0.2
{workers}
[xenserver]
credentials = default
[xenserver:default]
password = secret
"""


@contextlib.contextmanager
def simulator(
    topology: pathlib.Path, described: Mapping[str, Any], speed: float
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A process of simulated hosts, and where they are: name -> URL.

    ``control`` is where it is told what is to go wrong.

    :param topology: where to describe them.
    """
    topology.write_text(json.dumps(described))
    command = ('-c', SIMULATOR, '--topology', str(topology))
    with bench.process(*command, '--speed', str(speed)) as running:
        urls: dict[str, str] = {}
        for line in running.stdout or ():
            name, *rest = line.split()
            if name == 'ready':
                break
            urls[name] = rest[0]
        yield running, urls


class Site:
    """The domain objects, as an API process would have them."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.database = engine.Database(conf)
        migration.upgrade(self.database)
        intended = intent.Intent(self.database, rpc.ComputeAPI(None, 0), 0)
        self.hosts = hosts.Hosts(self.database)
        self._aggregates = aggregates.Aggregates(intended)
        self._members = members.Members(intended)
        self._context = context.RequestContext(
            user_id='bench',
            roles=['admin'],
            enforcer=enforcers.make(conf),
        )

    def create(self, name: str) -> int:
        """A new aggregate."""
        return self._aggregates.create(name, None).id

    def add(self, plan: Sequence[tuple[int, str]]) -> float:
        """Add hosts to aggregates; the seconds until all are members."""
        began = time.perf_counter()
        for key, host in plan:
            self._members.add_host(self._context, key, host)
        while self._unfinished():
            time.sleep(POLL)
        return time.perf_counter() - began

    def _unfinished(self) -> bool:
        with self.database.reader() as connection:
            found = operations.get_all(
                connection, states=('queued', 'running', 'failed')
            )
        failed = [o.error for o in found if o.state == 'failed']
        if failed:
            raise RuntimeError(str(failed))
        return bool(found)


def measure(site: Site, names: list[str], pools: int, queue: int) -> None:
    """Print what joins take."""
    first = [(site.create(f'pool-{n}'), names.pop()) for n in range(pools)]
    print(f'{f"{pools} pools founded":<34}{site.add(first):>8.1f} s')
    one, *others = [(key, names.pop()) for key, _host in first]
    print(f'{"1 join":<34}{site.add([one]):>8.1f} s')
    seconds = site.add(others)
    print(f'{f"{len(others)} joins into as many pools":<34}{seconds:>8.1f} s')
    key, _host = first[0]
    more = [(key, names.pop()) for _ in range(queue)]
    print(f'{f"{queue} joins into one pool":<34}{site.add(more):>8.1f} s')


def main(
    pools: int = 101, queue: int = 15, speed: float = 1.0, workers: int = 0
) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        path = directory / 'aggregates_ext.conf'
        path.write_text(
            CONFIG.format(
                directory=directory,
                workers=f'workers = {workers}' if workers else '',
            )
        )
        conf = cfg.ConfigOpts()
        options.parse(conf, [], [str(path)])
        site = Site(conf)
        names = [f'xen{n}' for n in range(2 * pools + queue)]
        described = {'hosts': [{'name': name} for name in names]}
        with simulator(directory / 'topology.json', described, speed) as (
            _running,
            urls,
        ):
            del urls['control']
            site.hosts.add(
                [
                    {'name': host, 'url': url, 'credential': 'default'}
                    for host, url in urls.items()
                ]
            )
            command = ('-m', 'aggregates_ext.cmd.compute')
            with bench.process(
                *command, '--config-file', str(path)
            ) as running:
                print(f'speed {speed:g}, workers {conf.compute.workers}')
                measure(site, list(urls), pools, queue)
                used = psutil.Process(running.pid)
                print(
                    f'compute service: {used.memory_info().rss / 2**20:.0f} '
                    f'MiB, {sum(used.cpu_times()[:2]):.1f} s of CPU, '
                    f'{used.num_threads()} threads'
                )
        site.database.dispose()


if __name__ == '__main__':
    given = [float(argument) for argument in sys.argv[1:]]
    sizes = [int(number) for number in given[:2]]
    main(*sizes, *given[2:3], *(int(number) for number in given[3:]))
