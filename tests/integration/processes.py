"""A whole site for tests: simulated hosts, real processes, one database.

The simulator and the proxies before its hosts run in the process of the
tests; the API and the compute services are processes of their own, on one
SQLite file and without a broker unless a test has others.
"""

import contextlib
import hashlib
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import time
import types
import urllib.parse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import TypeVar

import sqlalchemy as sa
from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import hosts
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests import schemas
from tests.integration import children
from tests.integration import proxy
from tests.integration import wire

PASSWORD = 'the-password-of-all-hosts'
# How much faster than real time the simulated hosts are.
SPEED = 20.0
DEADLINE = children.DEADLINE
POLL = children.POLL
# What no process may ever log; oslo.db and the pool of connections tell in
# this way of failures that are not ours.
BUGS = ('Traceback (most recent call last)', ': a bug')
NO_BUG = ('oslo_db.sqlalchemy.exc_filters', 'sqlalchemy.pool.impl')
MARK = 'aggregates-ext:aggregate'
COMPUTE = {
    'workers': 16,
    'poll_interval': 0.1,
    'watch_interval': 0.05,
    'observe_interval': 1,
    'lease_ttl': 1,
    'call_timeout': 20,
    'confirm_interval': 0.5,
    'retry_interval': 0.2,
    'fuse_wait': 10,
    'join_timeout': 60,
    'eject_timeout': 60,
    'master_timeout': 60,
    # Longer than the hosts take to restart, at their speed.
    'designate_wait': 3,
    'graceful_shutdown_timeout': 5,
}

T = TypeVar('T')


def wait_for(
    what: str, look: Callable[[], T | None], timeout: float = DEADLINE
) -> T:
    """Look until something true is seen; the answer: what was seen.

    :param what: what is waited for, for the failure's message.
    """
    end = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < end, f'{what}: not within {timeout} s'
        time.sleep(POLL)
    return found


class Answer(NamedTuple):
    """What the API answered."""

    status: int
    body: Any
    headers: http.client.HTTPMessage | None = None


class Site:
    """Simulated hosts behind proxies, and the processes that serve them.

    :param described: hosts of the topology, or how many plain ones.
    :param compute: options of the compute service that differ.
    :param credentials: name -> password; all hosts have the first.
    :param logging: further lines for the section [DEFAULT].
    :param times: of the simulated hosts that differ.
    :param connection: another database than a SQLite file of its own.
    :param transport_url: of a broker, where there is one.
    :param settle_wait: seconds that the API waits for what is ending.
    :param authtoken: options of [keystone_authtoken]; without any everybody
        is trusted.
    :param sim_clock: another than one that runs ``SPEED`` times too fast.
    :param defaults: options of the compute service to leave as they are.
    :param forked: start what serves by a fork, not as a user does, which
        takes it two seconds less of a processor.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        described: int | Sequence[dict[str, Any]],
        compute: dict[str, Any] | None = None,
        credentials: dict[str, str] | None = None,
        logging: Sequence[str] = (),
        times: dict[str, float] | None = None,
        connection: str | None = None,
        transport_url: str = '',
        authtoken: Mapping[str, str] | None = None,
        settle_wait: float = 1,
        sim_clock: clock.Clock | None = None,
        defaults: Sequence[str] = (),
        forked: bool = True,
    ) -> None:
        self.directory = directory
        self._begin = children.fork if forked else children.Process
        file = directory / 'aggregates_ext.sqlite'
        self.connection = connection or f'sqlite:///{file}'
        self.transport_url = transport_url
        self._authtoken = authtoken or {}
        self._settle_wait = settle_wait
        self.config = directory / 'aggregates_ext.conf'
        self.answers: list[str] = []
        self.processes: list[children.Child] = []
        self.traffic = proxy.Traffic()
        self._credentials = credentials or {'default': PASSWORD}
        if isinstance(described, int):
            described = [{'name': f'xen{n + 1}'} for n in range(described)]
        password = next(iter(self._credentials.values()))
        self.sim = simulator.Simulator(
            topology.load(
                {
                    'hosts': [{'password': password, **h} for h in described],
                    'times': times or {},
                }
            ),
            sim_clock or clock.RunningClock(SPEED),
        )
        self._proxies: dict[str, proxy.Proxy | wire.Wire] = {}
        self._spare = [host['name'] for host in described]
        self._names = 0
        options = {**COMPUTE, **(compute or {})}
        for name in defaults:
            del options[name]
        self._write_config(options, logging)

    def __enter__(self) -> 'Site':
        self.sim.start()
        for name, host in self.sim.world.hosts.items():
            made = (
                wire.Wire('https', host.port)
                if host.spec.tls
                else proxy.Proxy(name, host.port, self.traffic)
            )
            self._proxies[name] = made
            made.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.traffic.clear()
        for process in self.processes:
            process.ask_to_end()
        late = [p.log.name for p in self.processes if not p.await_end()]
        self.sim.stop()
        for made in self._proxies.values():
            made.stop()
        if error is None:
            assert not late, late
            assert not self.traffic.errors, self.traffic.errors
            self.check_logs()

    def _write_config(
        self, compute: dict[str, Any], logging: Sequence[str]
    ) -> None:
        lines = [
            '[DEFAULT]',
            'debug = true',
            f'transport_url = {self.transport_url}',
            *logging,
            '[database]',
            f'connection = {self.connection}',
            '[api]',
            'bind_port = 0',
            f'auth_strategy = {"keystone" if self._authtoken else "noauth"}',
            f'settle_wait = {self._settle_wait}',
            '[compute]',
            *(f'{name} = {value}' for name, value in compute.items()),
            '[xenserver]',
            f'credentials = {",".join(self._credentials)}',
        ]
        for name, password in self._credentials.items():
            lines += [f'[xenserver:{name}]', f'password = {password}']
        if self._authtoken:
            lines.append('[keystone_authtoken]')
            lines += [f'{k} = {v}' for k, v in self._authtoken.items()]
        self.config.write_text('\n'.join(lines) + '\n')

    def url(self, host: str) -> str:
        """Where the product finds a host: its proxy."""
        return self._proxies[host].url

    def set_up(self, **credentials: str) -> None:
        """Make the tables and register all hosts, in this process.

        :param credentials: host -> name, where it is not the first.
        """
        conf = cfg.ConfigOpts()
        settings.parse(conf, [], [str(self.config)])
        database = engine.Database(conf)
        first = next(iter(self._credentials))
        try:
            schemas.upgrade(database)
            hosts.Hosts(database).add(
                [
                    {
                        'name': name,
                        'url': self.url(name),
                        'credential': credentials.get(name, first),
                        'fingerprint': self._fingerprint(name),
                    }
                    for name in self._proxies
                ]
            )
        finally:
            database.dispose()

    def _fingerprint(self, host: str) -> str | None:
        """Of the certificate of a host that speaks TLS."""
        spec = self.sim.host(host).spec
        if not spec.tls:
            return None
        text = pathlib.Path(spec.tls_certificate).read_text()
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()

    def wire_of(self, host: str) -> wire.Wire:
        """What has passed to and from a host that speaks TLS."""
        found = self._proxies[host]
        assert isinstance(found, wire.Wire)
        return found

    def start(self, command: str, **variables: str) -> children.Child:
        """Start a command with the configuration of this site.

        :param variables: further ones for its environment.
        """
        log = self.directory / f'{command}-{len(self.processes)}.log'
        process = self._begin(
            log, command, ['--config-file', str(self.config)], variables
        )
        self.processes.append(process)
        return process

    def start_api(self, **variables: str) -> 'Client':
        """Start an API; it serves when this returns."""
        process = self.start('aggregates-ext-api', **variables)

        def look() -> str | None:
            assert process.running, process.text()
            for line in process.text().splitlines():
                if line.startswith('listening on '):
                    return line.split()[-1]
            return None

        return Client(wait_for('the API serves', look), self.answers)

    def start_compute(self, **variables: str) -> children.Child:
        """Start a compute service; it works soon after."""
        return self.start('aggregates-ext-compute', **variables)

    def configure(self, old: str, new: str) -> None:
        """Change a text in the configuration."""
        before = self.config.read_text()
        assert old in before
        self.config.write_text(before.replace(old, new))

    def run(self, command: str, *arguments: str, code: int = 0) -> str:
        """Run a command to its end; the answer: what it wrote.

        :param code: the exit code that it shall have.
        """
        program = pathlib.Path(sys.executable).with_name(command)
        done = subprocess.run(
            [program, '--config-file', str(self.config), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env=children.environment(),
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def take_hosts(self, number: int) -> list[str]:
        """Names of hosts that no other test of this site uses."""
        taken, self._spare = self._spare[:number], self._spare[number:]
        assert len(taken) == number, 'the topology has too few hosts'
        return taken

    def reuse_hosts(self, names: Sequence[str]) -> None:
        """Hand out these hosts next: nothing is left of their past."""
        self._spare = list(names)

    def new_name(self) -> str:
        """A name for an aggregate that is in no use here."""
        self._names += 1
        return f'pool-{self._names}'

    def freeze(self, process: children.Child) -> None:
        """Let a process do nothing more, until it is thawed.

        Not in the middle of a transaction: that would stop others who want
        to write; in SQLite all of them.
        """

        def stopped_outside() -> bool:
            process.freeze()
            try:
                with self._connect(patience=0) as connection:
                    connection.exec_driver_sql(self._try_lock)
            except (sa.exc.OperationalError, sa.exc.DBAPIError):
                process.thaw()
                return False
            return True

        wait_for('the process can be frozen', stopped_outside)

    @property
    def _try_lock(self) -> str:
        """A statement that fails while somebody else writes."""
        if self.connection.startswith('sqlite'):
            return 'BEGIN IMMEDIATE'
        return 'SELECT id FROM aggregates FOR UPDATE NOWAIT'

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the database as they are now; values are given by "?"."""
        if not self.connection.startswith('sqlite'):
            statement = statement.replace('?', '%s')
        with self._connect() as connection:
            result = connection.exec_driver_sql(statement, values)
            rows = result.all() if result.returns_rows else []
        return [tuple(row) for row in rows]

    @contextlib.contextmanager
    def _connect(self, patience: float = DEADLINE) -> Iterator[sa.Connection]:
        """A connection of its own, without a transaction.

        :param patience: seconds to wait for writers, which only SQLite has.
        """
        url = sa.make_url(self.connection)
        if url.drivername == 'sqlite':
            url = url.update_query_dict({'timeout': str(patience)})
        engine = sa.create_engine(
            url, poolclass=sa.NullPool, isolation_level='AUTOCOMMIT'
        )
        with engine.connect() as connection:
            yield connection

    def cells(self) -> Iterator[tuple[str, str, str]]:
        """Every value in the database as text, with table and column."""
        with self._connect() as connection:
            tables = sa.MetaData()
            tables.reflect(connection)
            for table in tables.tables.values():
                for row in connection.execute(sa.select(table)):
                    for column, value in row._mapping.items():
                        yield table.name, column, str(value)

    def pool_of(self, host: str) -> dict[str, Any]:
        """The simulated pool that a host is in."""
        found: dict[str, Any]
        (found,) = (
            pool
            for pool in self.sim.state()['pools']
            if host in [member['name'] for member in pool['hosts']]
        )
        return found

    def duplicate_interfaces(self, master: str) -> list[Any]:
        """Interfaces that a master's database lists more than once."""
        with self.sim.world.lock:
            rows = self.sim.host(master).database.rows('PIF')
            keys = [
                (row['host'], row['device'], row['VLAN']) for _, row in rows
            ]
        return [key for key in set(keys) if keys.count(key) > 1]

    def arrivals(self, host: str, method: str) -> int:
        """How often a call of the product reached a host."""
        return sum(
            exchange.reached
            for exchange in list(self.traffic.exchanges)
            if (exchange.host, exchange.method) == (host, method)
        )

    def check_logs(self) -> None:
        """No process has met a bug of its own."""
        for process in self.processes:
            check_log(process)

    def story(self) -> str:
        """For the message of a failure: who runs, and what was last told."""
        return '\n'.join(
            f'{process.log}, {"runs" if process.running else "has ended"}:\n'
            f'{process.text()[-2000:]}'
            for process in self.processes
        )


def check_log(process: children.Child) -> None:
    """A process has met no bug of its own."""
    for line in process.text().splitlines():
        bad = any(bug in line for bug in BUGS)
        told = any(logger in line for logger in NO_BUG)
        assert told or not bad, process.text()


class Client:
    """Speaks with one API process.

    :param answers: gets the text of each answer, headers included.
    :param headers: sent with each request.
    :param trusted: the file of the certificate, where it speaks TLS.
    :ivar url: where the API is.
    """

    def __init__(
        self,
        url: str,
        answers: list[str],
        headers: Mapping[str, str] | None = None,
        trusted: pathlib.Path | None = None,
    ) -> None:
        self.url = url
        self._place = urllib.parse.urlsplit(url).netloc
        self._answers = answers
        self._headers = dict(headers or {})
        self._trusted = trusted

    def _connection(self) -> http.client.HTTPConnection:
        if self._trusted is None:
            return http.client.HTTPConnection(self._place, timeout=DEADLINE)
        context = ssl.create_default_context(cafile=str(self._trusted))
        return http.client.HTTPSConnection(
            self._place, timeout=DEADLINE, context=context
        )

    def sending(self, **headers: str) -> 'Client':
        """The same client with further headers; ``_`` stands for ``-``."""
        more = {name.replace('_', '-'): v for name, v in headers.items()}
        headers = self._headers | more
        return Client(self.url, self._answers, headers, self._trusted)

    def ask(
        self, verb: str, path: str, body: Any = None, prefix: str = '/v2.1'
    ) -> Answer:
        """One request; a body that is not text is sent as JSON."""
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        with contextlib.closing(self._connection()) as connection:
            connection.request(
                verb,
                f'{prefix}{path}',
                body,
                {'Content-Type': 'application/json'} | self._headers,
            )
            response = connection.getresponse()
            text = response.read().decode()
        self._answers.append(f'{response.status} {response.headers}\n{text}')
        return Answer(response.status, _parsed(text), response.headers)

    def done(self, verb: str, path: str, body: Any = None) -> Any:
        """The body of a request that succeeds."""
        answer = self.ask(verb, path, body)
        assert answer.status == 200, answer.body
        return answer.body

    def create(self, name: str) -> int:
        """Create an aggregate; the answer: its id."""
        body = {'aggregate': {'name': name}}
        created = self.done('POST', '/os-aggregates', body)
        return int(created['aggregate']['id'])

    def add(self, key: int, host: str) -> Answer:
        """Ask for a host to be added."""
        body = {'add_host': {'host': host}}
        return self.ask('POST', f'/os-aggregates/{key}/action', body)

    def remove(self, key: int, host: str) -> Answer:
        """Ask for a host to be removed."""
        body = {'remove_host': {'host': host}}
        return self.ask('POST', f'/os-aggregates/{key}/action', body)

    def check(self, key: int, host: str, purpose: str) -> Answer:
        """Ask what stands against adding ('add') or removing a host."""
        body = {'check_host': {'host': host, 'for': purpose}}
        return self.ask('POST', f'/os-aggregates/{key}/action', body)

    def show(self, key: int) -> dict[str, Any]:
        """An aggregate, in the shape that tells its state."""
        path = f'/os-aggregates/{key}'
        answer = self.ask('GET', path, prefix='/v2/project')
        assert answer.status == 200, answer.body
        shown: dict[str, Any] = answer.body['aggregate']
        return shown

    def pool(self, key: int) -> dict[str, Any]:
        """What was seen of the pool of an aggregate."""
        path = f'/os-aggregates/{key}/pool'
        shown: dict[str, Any] = self.done('GET', path)['pool']
        return shown

    def operations(self, key: int) -> list[dict[str, Any]]:
        """The operations of an aggregate, the newest first."""
        path = f'/os-aggregates/{key}/operations'
        shown: list[dict[str, Any]] = self.done('GET', path)['operations']
        return shown

    def settle(self, key: int) -> dict[str, Any]:
        """Wait until no operation goes on; the answer: the newest."""

        def look() -> bool:
            return not any(
                operation['state'] in ('queued', 'running')
                for operation in self.operations(key)
            )

        try:
            wait_for(f'aggregate {key} settles', look)
        except AssertionError as exc:
            raise AssertionError(f'{exc}: {self.operations(key)}') from exc
        return self.operations(key)[0]

    def make_pool(self, name: str, names: Sequence[str]) -> int:
        """An aggregate with members; the answer: its id."""
        key = self.create(name)
        for host in names:
            assert self.add(key, host).status == 200
        if names:
            ended = self.settle(key)
            assert ended['state'] == 'succeeded', self.operations(key)
        return key


def _parsed(text: str) -> Any:
    """JSON as data, nothing as None; all else as it is."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def check_agreement(site: Site, client: Client, key: int) -> None:
    """The API, what it saw of the pool, and the simulator say the same.

    :raises AssertionError: they do not, or a session is still written down.
    """
    shown = client.show(key)
    marked = [
        pool
        for pool in site.sim.state()['pools']
        if pool['other_config'].get(MARK) == shown_uuid(site, key)
    ]
    if not shown['hosts']:
        assert marked == []
    else:
        (pool,) = marked
        assert pool['name_label'] == shown['name']
        assert sorted(h['name'] for h in pool['hosts']) == shown['hosts']
        to_be = {h['name']: h['service'] for h in client.pool(key)['hosts']}
        for host in pool['hosts']:
            assert host['live'], host
            assert host['enabled'] == (to_be[host['name']] == 'enabled'), host
        assert site.duplicate_interfaces(pool['master']) == []
        check_observation(client, key, pool)
    calls = site.query(
        'SELECT operations.call FROM operations WHERE aggregate_id = ?', key
    )
    assert all(call in (None, 'null') for (call,) in calls)


def check_observation(client: Client, key: int, pool: dict[str, Any]) -> None:
    """The API soon shows the pool as it is."""

    def look() -> bool:
        seen = client.pool(key)
        members = [h['name'] for h in seen['hosts'] if h['live']]
        return (
            seen['uuid'] == pool['uuid']
            and seen['master'] == pool['master']
            and seen['name_label'] == pool['name_label']
            and sorted(members) == sorted(h['name'] for h in pool['hosts'])
            and seen['drift'] == []
        )

    wait_for(f'the API shows pool {pool["uuid"]}', look)


def shown_uuid(site: Site, key: int) -> str:
    """The uuid of an aggregate, which its pool is marked with."""
    ((uuid,),) = site.query('SELECT uuid FROM aggregates WHERE id = ?', key)
    return str(uuid)
