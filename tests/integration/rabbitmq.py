"""A RabbitMQ of the tests' own: private, on loopback, without root.

Debian's ``/usr/sbin/rabbitmq-server`` insists on its own account, so the
scripts behind it are called, with everything of theirs in one directory.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator

import kombu
import psutil

from tests import leash
from tests.integration import ports
from tests.integration import processes

# Debian's place first: what is on PATH may be the wrapper.
PLACES = f'/usr/lib/rabbitmq/bin:{os.environ.get("PATH", "")}'
PROGRAMS = ('rabbitmq-server', 'rabbitmqctl', 'epmd')
START_LIMIT = 90.0
USER = 'aggregates'
PASSWORD = 'zQ5-password-of-the-broker'
# Few threads, which sleep at once: the machine has other things to do.
ERLANG = '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none'


class Missing(Exception):
    """A program that is needed is not installed."""


def find_programs() -> dict[str, str]:
    """The full path of each program.

    :raises Missing: one is not there.
    """
    found = {name: shutil.which(name, path=PLACES) for name in PROGRAMS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise Missing(
            f'RabbitMQ: there is no {", ".join(missing)}; '
            'the package is rabbitmq-server'
        )
    return {name: str(path) for name, path in found.items()}


class Names:
    """A name server of Erlang (epmd), and a home with a cookie.

    Nodes find and believe each other by these.

    :param directory: both write there.
    :ivar port: of the name server.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._program = find_programs()['epmd']
        self._output = directory / 'epmd.out'
        (self.port,) = ports.free(1)
        self.home = directory / 'home'
        self.home.mkdir()
        self._epmd: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve names."""
        with self._output.open('wb') as output:
            self._epmd = subprocess.Popen(
                [
                    self._program,
                    *('-port', str(self.port), '-address', '127.0.0.1'),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def stop(self) -> None:
        """Serve no more."""
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()


class Broker:
    """One broker: alone, or a node of a cluster.

    :param directory: everything it writes goes there.
    :param node: its name.
    :param names: those of its cluster; else it has its own.
    :param joins: name of the node whose cluster it joins when it is new.
    :raises Missing: it is not installed.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        node: str = 'aggregates',
        names: Names | None = None,
        joins: str = '',
    ) -> None:
        self._programs = find_programs()
        self.directory = directory
        self.node = f'{node}@localhost'
        self.port, self._distribution = ports.free(2)
        self._is_alone = names is None
        self._names = names or Names(directory)
        self._vhosts = 0
        self._server: subprocess.Popen[bytes] | None = None
        for name in ('mnesia', 'log'):
            (directory / name).mkdir()
        (directory / 'enabled_plugins').write_text('[].\n')
        lines = [
            f'listeners.tcp.1 = 127.0.0.1:{self.port}',
            f'default_user = {USER}',
            f'default_pass = {PASSWORD}',
        ]
        if joins:
            lines += [
                'cluster_formation.peer_discovery_backend = classic_config',
                f'cluster_formation.classic_config.nodes.1 = {joins}',
            ]
        (directory / 'rabbitmq.conf').write_text('\n'.join(lines) + '\n')

    def __enter__(self) -> 'Broker':
        if self._is_alone:
            self._names.start()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        if self._is_alone:
            self._names.stop()

    def _environment(self) -> dict[str, str]:
        place = self.directory
        return {
            **leash.marked(),
            'PATH': os.environ.get('PATH', os.defpath),
            'HOME': str(self._names.home),
            'LANG': 'C.UTF-8',
            'ERL_EPMD_PORT': str(self._names.port),
            'ERL_EPMD_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODENAME': self.node,
            'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODE_PORT': str(self.port),
            'RABBITMQ_DIST_PORT': str(self._distribution),
            'RABBITMQ_MNESIA_BASE': str(place / 'mnesia'),
            'RABBITMQ_LOG_BASE': str(place / 'log'),
            'RABBITMQ_CONFIG_FILE': str(place / 'rabbitmq.conf'),
            'RABBITMQ_CONF_ENV_FILE': str(place / 'none'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(place / 'enabled_plugins'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': ERLANG,
        }

    def start(self) -> None:
        """Start it, and wait until it serves."""
        output = self.directory / 'broker.out'
        with output.open('ab') as file:
            # A group of its own, to be signalled as a whole: the script
            # and the machine of Erlang under it.
            self._server = subprocess.Popen(
                [self._programs['rabbitmq-server']],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self._environment(),
                cwd=self.directory,
                start_new_session=True,
            )

        def serves() -> bool:
            assert self._server is not None
            assert self._server.poll() is None, output.read_text()
            try:
                with self.connect('/', timeout=1):
                    return True
            except OSError:
                return False

        processes.wait_for('RabbitMQ serves', serves, START_LIMIT)

    def kill(self) -> None:
        """End it as a power failure would, with all that it has started.

        From time to time that is a start of epmd, in a group of its own; it
        would find the port free once ours has ended.
        """
        if self._server is not None and self._server.poll() is None:
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._server.wait(processes.DEADLINE)
        self._server = None

    def processes(self) -> list[psutil.Process]:
        """The broker with all its children, the parent first."""
        assert self._server is not None
        server = psutil.Process(self._server.pid)
        return [server, *server.children(recursive=True)]

    def recover(self) -> None:
        """Let it run again, whatever was done to it."""
        if self._server is not None and self._server.poll() is None:
            self.thaw()
        else:
            self.start()

    def freeze(self) -> None:
        """Let it do nothing more: connections stay, nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None:
            os.killpg(self._server.pid, number)

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl; the answer: what it wrote."""
        done = subprocess.run(
            [self._programs['rabbitmqctl'], '--quiet', *arguments],
            capture_output=True,
            text=True,
            timeout=START_LIMIT,
            env=self._environment(),
            cwd=self.directory,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def make_vhost(self) -> str:
        """A part of the broker that nobody else uses; the answer: its name."""
        self._vhosts += 1
        vhost = f'v{self._vhosts}'
        self.control('add_vhost', vhost)
        self.allow(vhost)
        return vhost

    def allow(self, vhost: str) -> None:
        """Let the account of ``transport_url`` do everything there."""
        self.control('set_permissions', '-p', vhost, USER, '.*', '.*', '.*')

    def url(self, vhost: str, password: str = PASSWORD) -> str:
        """A ``transport_url``; a broker that is back is found soon."""
        place = f'{USER}:{password}@127.0.0.1:{self.port}/{vhost}'
        return f'rabbit://{place}?rabbit_interval_max=1'

    @contextlib.contextmanager
    def connect(
        self, vhost: str, timeout: float = 10
    ) -> Iterator[kombu.Connection]:
        """A connection that is open.

        :raises OSError: there is nobody.
        """
        connection = kombu.Connection(
            hostname='127.0.0.1',
            port=self.port,
            userid=USER,
            password=PASSWORD,
            virtual_host=vhost,
            connect_timeout=timeout,
        )
        with connection:
            connection.connect()
            yield connection
