"""Speed and memory, beside a bare WSGI application in the same run.

``tox -e bench`` prints a table. Machines are shared and noisy, so rates are
given as ratios to a bare application on the same server; nothing here
passes or fails.
"""

import contextlib
import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import psutil
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import timeutils
from oslo_utils import uuidutils
from waitress import server as waitress_server

from aggregates_ext import conf as options
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models

SECONDS = 3.0
SIZES = (1, 100, 1000)
HOSTS, KEYS = 10, 5
LISTENING = 'listening on http://127.0.0.1:'
CONFIG = """
[DEFAULT]
use_stderr = false
log_file = {directory}/log
[database]
connection = sqlite:///{directory}/aggregates_ext.sqlite
[api]
bind_port = 0
auth_strategy = noauth
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
        if LISTENING in line:
            return int(line.strip().rsplit(':', 1)[1])
    raise RuntimeError('the server has ended')


def rate(port: int, method: str, path: str, body: Any = None) -> float:
    """Requests a second over one connection kept open."""
    connection = http.client.HTTPConnection('127.0.0.1', port)
    data = None if body is None else json.dumps(body)
    headers = {'Content-Type': 'application/json'} if data else {}
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f'{method} {path}: {answer.status}')
        done += 1
    connection.close()
    return done / (time.perf_counter() - began)


def bare() -> None:
    """Serve a bare WSGI application on the server that the API uses."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response('200 OK', [('Content-Type', 'application/json')])
        return [b'{}']

    server = waitress_server.create_server(
        application, host='127.0.0.1', port=0, threads=8
    )
    print(f'{LISTENING}{server.effective_port}', flush=True)
    server.run()


def resident(running: subprocess.Popen[str]) -> float:
    """Resident memory in MiB."""
    return float(psutil.Process(running.pid).memory_info().rss) / 2**20


def measure_rates(
    database: engine.Database, port: int, bare_port: int
) -> None:
    """Print rates, each beside the bare application's around it."""
    print(f'{"request":<34}{"per s":>9}{"bare per s":>12}{"ratio":>9}')
    requests: list[tuple[str, int, str, str, Any]] = [
        (f'list of {size}', size, 'GET', '/v2.1/os-aggregates', None)
        for size in SIZES
    ]
    metadata = {'set_metadata': {'metadata': {'key0': 'changed'}}}
    one = '/v2.1/os-aggregates/1'
    requests += [
        ('show, of 1000', SIZES[-1], 'GET', one, None),
        ('set_metadata', SIZES[-1], 'POST', f'{one}/action', metadata),
    ]
    for title, size, method, path, body in requests:
        fill(database, size)
        own = rate(port, method, path, body)
        other = rate(bare_port, 'GET', '/')
        print(f'{title:<34}{own:>9.1f}{other:>12.1f}{own / other:>9.4f}')


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        path = directory / 'aggregates_ext.conf'
        path.write_text(CONFIG.format(directory=directory))
        conf = cfg.ConfigOpts()
        options.parse(conf, [], [str(path)])
        database = engine.Database(conf)
        migration.upgrade(database)
        command = ('--config-file', str(path))
        with (
            process('-m', 'aggregates_ext.cmd.api', *command) as api,
            process('-m', 'tests.bench', 'bare') as plain,
        ):
            measure_rates(database, port_of(api), port_of(plain))
            print(f'resident, API process: {resident(api):.0f} MiB')
        with process('-m', 'aggregates_ext.cmd.compute', *command) as compute:
            time.sleep(5)
            print(
                f'resident, idle compute service: {resident(compute):.0f} MiB'
            )
        database.dispose()


if __name__ == '__main__':
    bare() if sys.argv[1:] == ['bare'] else main()
