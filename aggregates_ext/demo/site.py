"""The site of the demonstration: hosts, database and services on loopback.

Everything lives in one temporary directory and is gone at the end.
"""

import json
import pathlib
import re
import secrets
import shutil
import tempfile
import types
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.demo import client
from aggregates_ext.demo import processes
from aggregates_ext.demo import xenapi

# Lines of each log that are shown after a failure.
TAIL = 15

# Of its own: the demonstration runs wherever the package is, whatever an
# operator has made of the installed Paste file.
PASTE = """\
[pipeline:main]
pipeline = request_id versions noauth application

[app:application]
paste.app_factory = aggregates_ext.deploy:app_factory

[filter:noauth]
paste.filter_factory = aggregates_ext.api.edge.identity:noauth_filter_factory

[filter:versions]
paste.filter_factory = aggregates_ext.api.edge.versions:filter_factory

[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
"""
# Messages stay in the process of the API, which has its own answers.
ASKING = '[DEFAULT]\ntransport_url = fake:/\n'
CONFIGURATION = """\
[database]
connection = sqlite:///{directory}/aggregates_ext.sqlite
[api]
bind_port = 0
paste_config = {directory}/api-paste.ini
auth_strategy = noauth
[compute]
poll_interval = 0.2
watch_interval = 0.1
observe_interval = 0.5
retry_interval = 0.5
graceful_shutdown_timeout = 5
[xenserver]
credentials = default
[xenserver:default]
username = root
password = {password}
"""


class Site:
    """Starts the services, and leaves nothing behind.

    :param speed: how much faster than real time the hosts are.
    :param hosts: as the simulator's topology has them.
    :param asks: whether requests are checked before they are accepted.
    :ivar interrupted: set by whoever handles signals.
    """

    api: client.Client
    simulator: client.Client

    def __init__(
        self,
        speed: float,
        hosts: Sequence[Mapping[str, Any]] = (),
        *,
        asks: bool = False,
    ) -> None:
        self.interrupted = False
        self._speed = speed
        self._plan = hosts
        self._asks = asks
        self._password = secrets.token_urlsafe(12)
        self._services: list[processes.Process] = []
        self._hosts: list[dict[str, str]] = []

    def __enter__(self) -> 'Site':
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='aggregates-'))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        for service in reversed(self._services):
            service.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def configuration(self) -> pathlib.Path:
        """The file that all commands read."""
        return self.directory / 'aggregates_ext.conf'

    def prepare(self) -> None:
        """Start the simulator, create the database, register the hosts."""
        topology = self._write(
            'topology.yaml',
            {'hosts': [{**h, 'password': self._password} for h in self._plan]},
        )
        simulator = self._start(
            'simulator',
            'aggregates_ext.xensim.main',
            ['--topology', str(topology), '--speed', str(self._speed)],
        )
        self._write('api-paste.ini', PASTE)
        self._write(
            self.configuration.name,
            (ASKING if self._asks else '')
            + CONFIGURATION.format(
                directory=self.directory, password=self._password
            ),
        )
        self.manage('db', 'sync')
        simulator.wait_for('^ready$')
        said = simulator.output()
        self.simulator = client.Client(
            re.findall('^control (http:.*)$', said, re.MULTILINE)[0]
        )
        found = re.findall(r'^(\S+) (http:\S+) \S+$', said, re.MULTILINE)
        self._hosts = [{'name': name, 'url': url} for name, url in found]
        hosts = self._write('hosts.yaml', self._hosts)
        self.manage('host', 'add', '--file', str(hosts))

    def serve(self) -> None:
        """Start the API and the compute service."""
        arguments = ['--config-file', str(self.configuration)]
        module = 'aggregates_ext.cmd.' + ('asking' if self._asks else 'api')
        api = self._start('api', module, arguments)
        compute = self._start(
            'compute', 'aggregates_ext.cmd.compute', arguments
        )
        compute.wait_for('The compute service works')
        listening = api.wait_for(r'^listening on (http://\S+)$')
        self.api = client.Client(listening[1])

    @property
    def hosts(self) -> list[str]:
        """The simulated hosts and their URLs."""
        return [f'{host["name"]} {host["url"]}' for host in self._hosts]

    def manage(self, *arguments: str) -> str:
        """What a command of aggregates-ext-manage says."""
        command = processes.Process(
            'aggregates-ext-manage',
            'aggregates_ext.cmd.manage',
            ['--config-file', str(self.configuration), *arguments],
            self.directory,
        )
        self._services.append(command)
        said = command.finish()
        self._services.remove(command)
        return said

    def xenapi(self, host: str) -> xenapi.Session:
        """What the operator of a host has, who needs no OpenStack for it.

        :raises errors.DemoError: the host lets nobody in.
        """
        urls = {host['name']: host['url'] for host in self._hosts}
        return xenapi.Session(client.Client(urls[host]), self._password)

    def phases(self) -> dict[str, str]:
        """The phase of each registered host."""
        said = self.manage('host', 'list', '--json')
        return {host['name']: host['phase'] for host in json.loads(said)}

    def check(self) -> None:
        """See whether to go on.

        :raises errors.DemoError: a service has ended by itself.
        :raises KeyboardInterrupt: one was raised before, and lost, as
            happens to those that are raised while an object is finalized.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        for service in self._services:
            service.check()

    def tails(self) -> list[tuple[str, str]]:
        """The last lines of each log, without the password."""
        return [
            (service.name, self._tail(service)) for service in self._services
        ]

    def _tail(self, service: processes.Process) -> str:
        lines = service.output().splitlines()[-TAIL:]
        return '\n'.join(lines).replace(self._password, '***')

    def _start(
        self, name: str, module: str, arguments: Sequence[str]
    ) -> processes.Process:
        service = processes.Process(name, module, arguments, self.directory)
        self._services.append(service)
        return service

    def _write(self, name: str, content: Any) -> pathlib.Path:
        path = self.directory / name
        if not isinstance(content, str):
            content = json.dumps(content, indent=2)
        path.write_text(content, encoding='utf-8')
        return path
