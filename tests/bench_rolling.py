"""How long the restart of a whole pool takes, beside what the pool needs.

``python -m tests.bench_rolling [HOSTS [GUESTS [SPEED]]]`` (16, 200, 2) starts
the simulator, the API and a compute service as processes of their own, with
their defaults, lets the aggregate take over a pool of so many hosts and
guests, and asks ``rolling_reboot`` of it. At speed 1 simulated hosts restart,
and guests move, as fast as the real ones that were observed; what the service
does takes as long as it takes at any speed.

What the pool needs is the time in which something goes on in it, as the
simulator itself tells: a guest is on the move, a host is not back from its
reboot, high availability is being changed. Where several go on at once the
time counts once, so moves count as they were sent. All other time is that of
the service: it looks, waits for its next look, or rests. That is told by what
the host was at whose turn it was.

Machines are shared and noisy; nothing here passes or fails.
"""

import collections
import contextlib
import pathlib
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import psutil
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext.demo import client
from tests import bench
from tests import bench_joins

# Seconds between two looks at the simulator, and at the API.
PAUSE = 0.05
REST = 0.5
SERVICE = 'aggregates_ext.cmd.compute'
AGGREGATE = '/v2.1/os-aggregates/1'
CONFIG = (
    bench_joins.CONFIG.replace('poll_interval = 0.2\n', '')
    + """
[api]
bind_port = 0
auth_strategy = noauth
"""
)
HOST = {'memory_gib': 128}


def topology(hosts: int, guests: int) -> dict[str, Any]:
    """A pool, and its guests spread over it as evenly as can be."""
    names = [f'xen{number:02}' for number in range(hosts)]
    placed = [
        [{'name': f'g{guest}'} for guest in range(number, guests, hosts)]
        for number in range(hosts)
    ]
    return {
        'hosts': [
            {'name': name, 'vms': vms, **HOST}
            for name, vms in zip(names, placed, strict=True)
        ],
        'pools': [
            {'hosts': names, 'name_label': 'pool', 'srs': [{'name': 'NFS'}]}
        ],
    }


def busy(state: Mapping[str, Any], turn: Mapping[str, Any]) -> bool:
    """Whether anything goes on in the pool.

    :param turn: the host whose turn it is, which may be disabled.
    """
    [pool] = state['pools']
    for member in pool['hosts']:
        name = member['name']
        if state['hosts'][name]['phase'] != 'running' or not member['live']:
            return True
        # All are disabled for a while when a master starts.
        others = name != turn.get('host')
        if member['current_operations'] or (others and not member['enabled']):
            return True
    return bool(pool['busy_guests'] or pool['current_operations'])


def turn_of(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The host whose turn it is."""
    for host in operation['hosts']:
        if host['state'] not in ('done', 'skipped', 'stopped'):
            return dict(host)
    return {'state': 'homes' if operation['hosts'] else 'begin'}


class Watch:
    """Times the simulated pool while a restart goes on.

    :ivar needed: seconds in which something went on, by what the host was
        whose turn it was; real ones, as are all here.
    :ivar idle: those in which nothing did.
    """

    def __init__(self, simulator: client.Client, speed: float) -> None:
        self._simulator = simulator
        self._speed = speed
        self._last: float | None = None
        self.needed: collections.Counter[str] = collections.Counter()
        self.idle: collections.Counter[str] = collections.Counter()

    def look(self, turn: Mapping[str, Any]) -> None:
        """Count the time since the last look."""
        state = self._simulator.get('/state')
        now = state['time'] / self._speed
        passed = now - (now if self._last is None else self._last)
        self._last = now
        kind = self.needed if busy(state, turn) else self.idle
        kind[turn['state']] += passed


def roll(
    api: client.Client, watch: Watch, service: psutil.Process
) -> dict[str, Any]:
    """Restart all hosts; the operation when it has ended."""
    asked = api.post(f'{AGGREGATE}/action', {'rolling_reboot': {}})
    path = f'/v2.1/os-aggregates/operations/{asked["operation"]["uuid"]}'
    known, began, sizes = '', time.monotonic(), []
    operation: dict[str, Any] = asked['operation']
    turn: Mapping[str, Any] = {'state': 'begin'}
    looked = 0.0
    while not operation['finished_at']:
        # The API is asked less often than the simulator: it is on the same
        # machine as all else.
        if time.monotonic() - looked > REST:
            operation = api.get(path)['operation']
            looked, turn = time.monotonic(), turn_of(operation)
        watch.look(turn)
        host = str(turn.get('host', turn['state']))
        if host != known:
            known = host
            sizes.append(service.memory_info().rss / 2**20)
            print(
                f'{time.monotonic() - began:>7.0f} s  {host:<8}'
                f'{sizes[-1]:>5.0f} MiB',
                flush=True,
            )
        time.sleep(PAUSE)
    print(f'memory of the service: {min(sizes):.0f} to {max(sizes):.0f} MiB')
    return operation


def adopt(path: pathlib.Path, master: str) -> None:
    """Let the first aggregate be the pool of a host."""
    command = ('aggregates_ext.cmd.manage', '--config-file', str(path))
    with bench.process('-m', *command, 'pool', 'adopt', 'pool', master) as run:
        if run.wait():
            raise RuntimeError(f'the pool of {master} is not taken over')


def tell(
    operation: Mapping[str, Any], watch: Watch, calls: list[dict[str, Any]]
) -> None:
    """Print what was measured."""
    needed, idle = watch.needed.total(), watch.idle.total()
    moves = len(operation['moves'])
    print(f'{operation["state"]}: {operation["error"]}')
    print(f'in all                {needed + idle:>8.1f} s, {moves} moves')
    print(f'what the pool needs   {needed:>8.1f} s')
    print(f'all else              {idle:>8.1f} s, {idle / needed:.1%} more')
    for state in sorted({*watch.needed, *watch.idle}):
        print(
            f'  {state:<20}{watch.needed[state]:>8.1f} s needed, '
            f'{watch.idle[state]:.1f} s else'
        )
    found = collections.Counter(call['method'] for call in calls)
    print(f'XenAPI calls          {found.total():>6}')
    for method, number in found.most_common(8):
        print(f'  {method:<40}{number:>6}')


def main(hosts: int = 16, guests: int = 200, speed: float = 2.0) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as site:
        directory = pathlib.Path(name)
        path = directory / 'aggregates_ext.conf'
        path.write_text(CONFIG.format(directory=directory, workers=''))
        conf = cfg.ConfigOpts()
        options.parse(conf, [], [str(path)])
        made = bench_joins.Site(conf)
        site.callback(made.database.dispose)
        _running, urls = site.enter_context(
            bench_joins.simulator(
                directory / 'topology.json', topology(hosts, guests), speed
            )
        )
        simulator = client.Client(urls.pop('control'))
        made.hosts.add(
            [
                {'name': host, 'url': url, 'credential': 'default'}
                for host, url in urls.items()
            ]
        )
        processes = [
            site.enter_context(
                bench.process('-m', module, '--config-file', str(path))
            )
            for module in ('aggregates_ext.cmd.api', SERVICE)
        ]
        api = client.Client(f'http://127.0.0.1:{bench.port_of(processes[0])}')
        adopt(path, next(iter(urls)))
        while len(api.get(f'{AGGREGATE}/pool')['pool']['hosts']) < hosts:
            time.sleep(REST)
        print(f'{hosts} hosts, {guests} guests, speed {speed:g}')
        before = simulator.get('/calls')
        watch = Watch(simulator, speed)
        service = psutil.Process(processes[1].pid)
        operation = roll(api, watch, service)
        tell(operation, watch, simulator.get('/calls')[len(before) :])
        print(f'CPU of the service    {sum(service.cpu_times()[:2]):>8.1f} s')


if __name__ == '__main__':
    given = [float(argument) for argument in sys.argv[1:]]
    main(*(int(number) for number in given[:2]), *given[2:])
