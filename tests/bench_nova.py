"""What requests cost beside a real Nova, on the same MariaDB, with authtoken.

``python -m tests.bench_nova`` prints a table. Both are served by waitress in
one process each, have the same aggregates, and ask the same Keystone, which is
played (``bench_peers``) and whose tokens both keep. Each request is sent to
both in turn; what counts is the ratio of the CPU that each took, since
machines are shared and noisy. Nova comes from PyPI, as in the integration
tests.
"""

import pathlib
import shutil
import statistics
import tempfile
import uuid
from typing import Any

import psutil
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import timeutils

from aggregates_ext import conf as options
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from tests import bench
from tests import bench_peers
from tests import databases
from tests.integration import environments
from tests.integration import nova

TABLES = ('aggregates', 'aggregate_hosts', 'aggregate_metadata')
REQUESTS = [
    asked
    for asked in bench.REQUESTS
    if asked.size in bench.SIZES and not (asked.change or asked.known)
]


class Nova(bench.Peer):
    """A Nova API that is measured."""

    def __init__(self, server: nova.Server) -> None:
        self._process = psutil.Process(server.pid)
        self.port = server.port


def fill(url: str, size: int) -> None:
    """Give Nova the aggregates that ``bench.fill`` gives ours.

    :param url: of its API database.
    """
    made = timeutils.utcnow()
    database = sa.create_engine(url)
    with database.begin() as connection:
        tables = sa.MetaData()
        tables.reflect(connection, only=TABLES)
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        there = connection.scalar(
            sa.select(sa.func.count()).select_from(tables.tables['aggregates'])
        )
        for number in range(int(there or 0) + 1, size + 1):
            rows['aggregates'].append(
                {
                    'id': number,
                    'uuid': str(uuid.uuid4()),
                    'name': f'aggregate{number}',
                    'created_at': made,
                }
            )
            common = {'aggregate_id': number, 'created_at': made}
            rows['aggregate_hosts'] += [
                {**common, 'host': f'host{number}-{k}'}
                for k in range(bench.HOSTS)
            ]
            metadata = {f'key{k}': f'value{k}' for k in range(bench.KEYS)}
            metadata['availability_zone'] = 'zone'
            rows['aggregate_metadata'] += [
                {**common, 'key': key, 'value': value}
                for key, value in metadata.items()
            ]
        for name in TABLES:
            if rows[name]:
                insert = sa.insert(tables.tables[name])
                connection.execute(insert, rows[name])
    database.dispose()


def configure(
    venv: pathlib.Path,
    directory: pathlib.Path,
    authtoken: dict[str, str],
    urls: dict[str, str],
) -> None:
    """Configuration and databases of Nova, with its pipelines as shipped."""
    paste = directory / 'shipped' / 'api-paste.ini'
    paste.parent.mkdir()
    shutil.copy(venv / 'etc' / 'nova' / 'api-paste.ini', paste)
    conf = directory / 'nova.conf'
    conf.write_text(
        '[DEFAULT]\ntransport_url = fake:/\nmy_ip = 127.0.0.1\n'
        f'state_path = {directory}\n'
        f'[api_database]\nconnection = {urls["api"]}\n'
        f'[database]\nconnection = {urls["cell0"]}\n'
        '[keystone_authtoken]\n'
        + ''.join(f'{k} = {v}\n' for k, v in authtoken.items())
    )
    manage = (venv / 'bin' / 'nova-manage', '--config-file', conf)
    environments.run(*manage, 'api_db', 'sync')
    environments.run(
        *(*manage, 'cell_v2', 'map_cell0'),
        *('--database_connection', urls['cell0']),
    )
    environments.run(*manage, 'db', 'sync')


def compare(ours: bench.Peer, theirs: bench.Peer, size: int) -> None:
    """Print what each request takes at both."""
    for asked in REQUESTS:
        if asked.size != size:
            continue
        found: dict[str, list[float]] = {'ours': [], 'nova': []}
        for _ in range(bench.ROUNDS):
            for name, peer in (('ours', ours), ('nova', theirs)):
                _rate, cpu = peer.measure(asked, 1)
                found[name].append(cpu)
        mine, other = (statistics.median(found[n]) for n in ('ours', 'nova'))
        print(
            f'{asked.title:<16}{mine:>10.2f}{other:>10.2f}'
            f'{other / mine:>10.1f}',
            flush=True,
        )


def main() -> None:
    """Measure, and print the table."""
    venv = environments.install('nova', 'nova', 'setuptools>=77', 'waitress')
    environments.run(venv / 'bin' / 'pip', 'install', '-q', 'pymysql')
    with (
        tempfile.TemporaryDirectory() as name,
        databases.MariaDB() as server,
        bench.process('-m', 'tests.bench_peers', 'keystone') as identity,
    ):
        directory = pathlib.Path(name)
        keystone = f'http://127.0.0.1:{bench.port_of(identity)}'
        told = bench_peers.authtoken(keystone)
        urls = {which: server.new() for which in ('ours', 'api', 'cell0')}
        conf = directory / 'ours.conf'
        conf.write_text(
            bench.CONFIG.format(
                directory=directory,
                url=urls['ours'],
                strategy='keystone',
                authtoken='\n'.join(f'{k} = {v}' for k, v in told.items()),
            )
        )
        known = cfg.ConfigOpts()
        options.parse(known, [], [str(conf)])
        database = engine.Database(known)
        migration.upgrade(database)
        configure(venv, directory, told, urls)
        print(
            f'{"request":<16}{"ms ours":>10}{"ms Nova":>10}{"Nova:ours":>10}'
        )
        command = ('-m', 'aggregates_ext.cmd.api', '--config-file', str(conf))
        for size in bench.SIZES:
            bench.fill(database, size)
            fill(urls['api'], size)
            with (
                bench.process(*command) as running,
                nova.serve(venv, directory, 'shipped') as theirs,
            ):
                compare(bench.Peer(running), Nova(theirs), size)
        database.dispose()


if __name__ == '__main__':
    main()
