"""A PostgreSQL, a standby that follows it, and a proxy before both.

Who asks the proxy reaches the first server while that answers, and the
standby after that. A standby only reads until it is promoted; the first one
never comes back.
"""

import pathlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from tests import databases
from tests.integration import documents

NAME = 'standby'
CONFIGURATION = """
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 5m
    timeout server 5m
    timeout check 5s
listen postgresql
    bind 127.0.0.1:{port}
    option pgsql-check user postgres
    default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
    server first 127.0.0.1:{first} check
    server standby 127.0.0.1:{standby} check backup
"""


class First(databases.PostgreSQL):
    """The one that is written to until it is lost."""

    def wait_for_the_standby(self) -> None:
        """Answer a COMMIT when the standby has it too, as the guide says."""
        told = documents.block('install.rst', 'synchronous_standby_names')
        self.administer(
            *(f'ALTER SYSTEM SET {line}' for line in told.splitlines()),
            'SELECT pg_reload_conf()',
        )

    def is_followed(self, sync: bool) -> bool:
        """Whether the standby has all, and how it follows."""
        with self._administrator() as connection:
            found = connection.exec_driver_sql(
                'SELECT sync_state, replay_lsn >= pg_current_wal_lsn() '
                'FROM pg_stat_replication'
            ).all()
        return found == [('sync' if sync else 'async', True)]


class Standby(databases.PostgreSQL):
    """Follows another server until it is promoted."""

    programs = ('pg_basebackup', 'postgres')

    def __init__(self, first: First) -> None:
        self._first = first
        self._control = databases.find('pg_ctl')
        super().__init__()

    def _prepare(self) -> list[str]:
        return [
            self._maker,
            *('-D', str(self.data), '-h', '127.0.0.1', '-U', 'postgres'),
            *('-p', str(self._first.port), '-c', 'fast', '-R', '--no-sync'),
        ]

    def _command(self) -> list[str]:
        return [*super()._command(), f'--cluster_name={NAME}']

    def stop_following(self) -> None:
        """Take in nothing more of what the first server does."""
        self.administer(
            "ALTER SYSTEM SET primary_conninfo = ''",
            'SELECT pg_reload_conf()',
        )
        self._wait('SELECT COUNT(*) = 0 FROM pg_stat_wal_receiver')

    def promote(self) -> None:
        """Let it be the server that is written to."""
        done = self._popen([self._control, 'promote', '-D', str(self.data)])
        assert not done.wait(databases.START_LIMIT), self._text()
        self._wait('SELECT NOT pg_is_in_recovery()')

    def _wait(self, condition: str) -> None:
        end = time.monotonic() + databases.START_LIMIT
        while True:
            with self._administrator() as connection:
                if connection.scalar(sa.text(condition)):
                    return
            assert time.monotonic() < end, self._text()
            time.sleep(0.05)


class Pair:
    """Two servers and the proxy before them.

    :param synchronous: whether a COMMIT waits for the standby.
    """

    def __init__(self, directory: pathlib.Path, synchronous: bool) -> None:
        program = databases.find('haproxy')
        self.first = First()
        self.standby = Standby(self.first)
        if synchronous:
            self.first.wait_for_the_standby()
        self.synchronous = synchronous
        self.port = databases.free_port()
        file = directory / 'haproxy.cfg'
        file.write_text(
            CONFIGURATION.format(
                port=self.port,
                first=self.first.port,
                standby=self.standby.port,
            )
        )
        self._log = (directory / 'haproxy.log').open('wb')
        self._proxy = subprocess.Popen(
            [program, '-db', '-f', str(file)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def new(self) -> str:
        """The URL of a fresh database, by way of the proxy."""
        url = sa.make_url(self.first.new())
        return url.set(port=self.port).render_as_string()

    def answers(self, url: str) -> bool:
        """Whether a database can be asked by way of the proxy."""
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        try:
            with engine.connect():
                return True
        except sa.exc.OperationalError:
            return False

    def close(self) -> None:
        """End all three."""
        self._proxy.kill()
        self._proxy.wait()
        self._log.close()
        self.standby.close()
        self.first.close()


@contextmanager
def running(directory: pathlib.Path, synchronous: bool) -> Iterator[Pair]:
    """A pair that ends with the block."""
    pair = Pair(directory, synchronous)
    try:
        yield pair
    finally:
        pair.close()
