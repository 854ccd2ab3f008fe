"""Private MariaDB and PostgreSQL servers, and a fresh database for a test.

A server runs as the one who runs the tests, with its data in a directory of
its own and on a free port of loopback; servers that run already are never
asked. PostgreSQL refuses root, so for root both run as another account.
"""

import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import ClassVar

import psutil
import pytest
import sqlalchemy as sa
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext.db.schema import models
from tests import leash

START_LIMIT = 60.0
# Who a server is for root: the first of these accounts that exists.
ACCOUNTS = ('postgres', 'mysql', 'nobody')
# What asks MariaDB.
DRIVER = os.environ.get('AGGREGATES_EXT_TEST_DRIVER', 'pymysql')
PLACES = ('/usr/sbin', '/usr/local/sbin', '/usr/lib/postgresql/*/bin')


def find(program: str) -> str:
    """The full path of a program, or a skip that names it."""
    found = shutil.which(program)
    for place in PLACES:
        if found is None:
            found = max(glob.glob(f'{place}/{program}'), default=None)
    if found is None:
        reason = f'{program} is not installed'
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _account() -> pwd.struct_passwd:
    """Whose the server and its files are."""
    if os.getuid():
        return pwd.getpwuid(os.getuid())
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise LookupError(f'none of the accounts {ACCOUNTS} exists')


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return int(listener.getsockname()[1])


class Server:
    """A private database server, started when it is made.

    :ivar port: on loopback; the same after each start.
    """

    kind = ''
    programs: tuple[str, str] = ('', '')
    url = ''
    administration = ''
    create = 'CREATE DATABASE {name}'
    # Seconds in which it comes to serve.
    limit = START_LIMIT
    # Those that serve, by their ports.
    known: ClassVar[dict[int, 'Server']] = {}

    def __init__(self) -> None:
        self._maker, self._server = [find(name) for name in self.programs]
        self.port = free_port()
        self._account = _account()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='aggregates-'))
        self.data = self.directory / 'data'
        self._made = 0
        self._log = (self.directory / 'log').open('ab')
        if not os.getuid():
            os.chown(
                self.directory, self._account.pw_uid, self._account.pw_gid
            )
        done = self._popen(self._prepare()).wait(START_LIMIT)
        assert not done, self._text()
        self.start()

    def _prepare(self) -> list[str]:
        """The command that makes the data directory."""
        raise NotImplementedError

    def _command(self) -> list[str]:
        """The command that serves."""
        raise NotImplementedError

    def _popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        other: dict[str, Any] = {}
        if not os.getuid():
            other = {
                'user': self._account.pw_uid,
                'group': self._account.pw_gid,
                'extra_groups': [],
            }
        return subprocess.Popen(
            command,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={
                'PATH': os.environ['PATH'],
                'LC_ALL': 'C.UTF-8',
                **leash.marked(),
            },
            **other,
        )

    def _text(self) -> str:
        return (self.directory / 'log').read_text(errors='replace')

    def start(self) -> None:
        """Start to serve, also after ``kill``; it does when this returns."""
        self._process = self._popen(self._command())
        end = time.monotonic() + self.limit
        while not self._serves():
            assert self._process.poll() is None, self._text()
            assert time.monotonic() < end, self._text()
            time.sleep(0.05)
        self.known[self.port] = self

    def _serves(self) -> bool:
        try:
            self.administer('SELECT 1')
        except sa.exc.DBAPIError:
            return False
        return True

    @contextlib.contextmanager
    def _administrator(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(
            self.administration.format(port=self.port),
            poolclass=sa.NullPool,
            isolation_level='AUTOCOMMIT',
        )
        with engine.connect() as connection:
            yield connection

    def administer(self, *statements: str) -> None:
        """Run statements as the owner of the server."""
        with self._administrator() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def new(self) -> str:
        """The URL of a fresh, empty database."""
        self._made += 1
        name = f'test_{self._made}'
        self.administer(self.create.format(name=name))
        return self.url.format(port=self.port, name=name)

    def copy(self, source: str, target: str) -> None:
        """Make an empty database the same as another."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        """The server with all its children, the parent first."""
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def freeze(self) -> None:
        """Let it do nothing more, while its connections stay open."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, where it is frozen."""
        if not self.running:
            return
        for process in reversed(self.processes()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power failure would."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def __enter__(self) -> 'Server':
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and remove what it has written."""
        self.known.pop(self.port, None)
        if self.running:
            self.kill()
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class MariaDB(Server):
    """mariadbd; what is committed survives a kill, not a power failure."""

    kind = 'mariadb'
    programs = ('mariadb-install-db', 'mariadbd')
    url = f'mysql+{DRIVER}://root@127.0.0.1:{{port}}/{{name}}'
    if DRIVER == 'pymysql':
        # For TLS, which is not there, it would read all certificates of the
        # system before each connection.
        url += '?ssl_disabled=true'
    administration = url.replace('{name}', 'mysql')

    def _prepare(self) -> list[str]:
        return [
            self._maker,
            '--no-defaults',
            f'--datadir={self.data}',
            f'--tmpdir={self.directory}',
            '--auth-root-authentication-method=normal',
            '--skip-test-db',
            '--innodb-flush-method=nosync',
            '--innodb-log-file-size=16M',
        ]

    def _command(self) -> list[str]:
        return [
            self._server,
            '--no-defaults',
            f'--datadir={self.data}',
            f'--tmpdir={self.directory}',
            f'--socket={self.directory}/socket',
            f'--pid-file={self.directory}/pid',
            '--bind-address=127.0.0.1',
            f'--port={self.port}',
            '--skip-name-resolve',
            '--skip-log-bin',
            # So that a test can see the statements on their way.
            '--skip-ssl',
            '--innodb-flush-method=nosync',
            '--innodb-flush-log-at-trx-commit=2',
            '--innodb-buffer-pool-size=32M',
            '--innodb-log-file-size=16M',
        ]

    def copy(self, source: str, target: str) -> None:
        """As SHOW CREATE TABLE tells the tables, and with their rows."""
        with self._administrator() as connection:
            ask = connection.exec_driver_sql
            ask(f'USE {source}')
            tables = ask('SHOW TABLES').scalars().all()
            told = [ask(f'SHOW CREATE TABLE {t}').one()[1] for t in tables]
            ask(f'USE {target}')
            ask('SET foreign_key_checks = 0')
            for table, statement in zip(tables, told, strict=True):
                ask(statement)
                ask(f'INSERT INTO {table} SELECT * FROM {source}.{table}')  # noqa: S608


class PostgreSQL(Server):
    """postgres; what is committed survives a kill, not a power failure."""

    kind = 'postgresql'
    programs = ('initdb', 'postgres')
    url = 'postgresql+psycopg2://postgres@127.0.0.1:{port}/{name}'
    administration = 'postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres'

    def _prepare(self) -> list[str]:
        return [
            self._maker,
            *('-D', str(self.data), '-U', 'postgres', '-A', 'trust'),
            *('-E', 'UTF8', '--no-locale', '--no-sync'),
        ]

    def _command(self) -> list[str]:
        settings = {
            'listen_addresses': '127.0.0.1',
            'port': self.port,
            'unix_socket_directories': self.directory,
            'fsync': 'off',
            'full_page_writes': 'off',
            'shared_buffers': '32MB',
            'deadlock_timeout': '100ms',
        }
        options = [f'--{name}={value}' for name, value in settings.items()]
        return [self._server, '-D', str(self.data), *options]

    def copy(self, source: str, target: str) -> None:
        """As the server copies the files of a template."""
        self.administer(
            f'DROP DATABASE {target} WITH (FORCE)',
            f'CREATE DATABASE {target} TEMPLATE {source}',
        )


def server_of(url: sa.URL) -> Server | None:
    """Which of the servers here a URL leads to, and not by another way."""
    return Server.known.get(url.port or 0)


# How a server of a kind is made.
CLASSES: dict[str, Callable[[], Server]] = {
    made.kind: made for made in (MariaDB, PostgreSQL)
}
SERVERS = tuple(CLASSES)
KINDS = ('sqlite', *SERVERS)
# On which database a test runs that does not say so.
USUAL = os.environ.get('AGGREGATES_EXT_TEST_DATABASE', 'sqlite')


class Servers:
    """The servers of one test run, each started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def get(self, kind: str) -> Server:
        """The server of a kind.

        :param kind: 'mariadb', 'postgresql' or 'galera'.
        """
        if kind not in self._running:
            self._running[kind] = CLASSES[kind]()
        return self._running[kind]

    def close(self) -> None:
        """End all of them."""
        for server in self._running.values():
            server.close()


@contextlib.contextmanager
def running() -> Iterator[Servers]:
    """Servers that end with the block."""
    servers = Servers()
    try:
        yield servers
    finally:
        servers.close()


def configure(url: str) -> cfg.ConfigOpts:
    """A configuration with a database and nothing else."""
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    conf.set_override('connection', url, 'database')
    return conf


def analyze(connection: sa.Connection) -> None:
    """As each server does it by itself after a while; SQLite does not."""
    kind = connection.dialect.name
    if kind == 'sqlite':
        return
    table = 'TABLE' if kind == 'mysql' else ''
    for name in models.METADATA.tables:
        connection.exec_driver_sql(f'ANALYZE {table} {name}')
