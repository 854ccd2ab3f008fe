"""The services and simulated hosts that commands are typed at."""

import contextlib
import os
import pathlib
import re
import shlex
import socket
import sys
import sysconfig
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.demo import life
from aggregates_ext.demo import site as sites
from tests import leash
from tests.integration import processes
from tests.pictures import openstack
from tests.pictures import terminal

GIB = 2**30
SPEED = 20.0
SCRIPTS = pathlib.Path(sysconfig.get_path('scripts'))
# Three hosts that fit together, the last with disks of its own, and one that
# fits nowhere.
PLAN: Sequence[Mapping[str, Any]] = (
    {'name': 'xen1'},
    {'name': 'xen2'},
    {
        'name': 'xen3',
        'srs': [
            {
                'name': 'Local storage',
                'vdis': [
                    {'name': 'scratch', 'size': 20 * GIB},
                    {'name': 'cache', 'size': 100 * GIB},
                ],
            }
        ],
    },
    life.PLAN[3],
)
# Name of the guest -> where it is at home.
HOMES = {
    f'{kind}{number}': f'xen{number}'
    for number in (1, 2, 3)
    for kind in ('web', 'db')
}
# Of the machine on which a picture is made, which is nobody's business.
_NAME = re.compile(
    rf'(?<=compute services: ){re.escape(socket.gethostname())}\b'
)


@contextlib.contextmanager
def opened(
    venv: pathlib.Path, plugin: pathlib.Path, *, asks: bool
) -> Iterator['Stage']:
    """A pool of the first two hosts, made by typing.

    :param venv: where the clients of OpenStack are installed.
    :param plugin: where the plug-in is.
    :param asks: whether requests are checked before they are accepted.
    """
    with sites.Site(SPEED, PLAN, asks=asks) as site:
        site.prepare()
        site.serve()
        variables = {
            'PATH': os.defpath,
            'HOME': str(site.directory),
            'PYTHONPATH': str(plugin),
            'OS_AUTH_TYPE': 'none',
            'OS_ENDPOINT': f'{site.api.url}/v2.1',
            'CLIFF_FIT_WIDTH': '1',
            **leash.marked(),
        }
        with openstack.OpenStack(venv, variables) as shell:
            stage = Stage(site, shell)
            stage.type('openstack aggregate create pool1')
            for host in ('xen1', 'xen2'):
                stage.type(
                    f'openstack aggregate pool host add --wait pool1 {host}'
                )
            yield stage


class Stage:
    """Where the commands of documents are typed.

    :param site: running services, and simulated hosts.
    :param shell: starts ``openstack``.
    """

    def __init__(self, site: sites.Site, shell: openstack.OpenStack) -> None:
        self.site = site
        self._openstack = shell

    def type(
        self,
        command: str,
        look: Callable[[str], bool] | None = None,
        status: int = 0,
    ) -> terminal.Shown:
        """Run a command of a document; what the terminal shows.

        :param look: says when the picture is taken, else it is at the end.
        :param status: what the command is to end with.
        """
        words = shlex.split(command.replace('\\\n', ''))
        if words[0] == 'openstack':
            start = self._openstack.command(words[1:])
        else:
            conf = ('--config-file', str(self.site.configuration))
            program = SCRIPTS / words[0]
            start = terminal.program(
                [sys.executable, str(program), *conf, *words[1:]], os.environ
            )
        shown = terminal.run(start, look)
        assert shown.status == status, f'{command}\n{shown.ever}'
        lines = [_NAME.sub('compute1', line) for line in shown.lines]
        return shown._replace(lines=lines)

    def fill(self) -> None:
        """Give the pool shared storage, and guests to each host."""
        simulator = self.site.simulator
        disks = [{'name': name, 'size': 10 * GIB} for name in HOMES]
        storage = {'name': 'NFS', 'shared': True, 'vdis': disks}
        simulator.post('/hosts/xen1/srs', storage)
        for name, host in HOMES.items():
            guest = {'name': name, 'vdis': [name]}
            simulator.post(f'/hosts/{host}/vms', guest)
        master = self.site.xenapi('xen1')
        for host in master.call('host.get_all'):
            master.call('host.set_power_on_mode', host, 'DRAC', {})

    def end(self, host: str) -> None:
        """Pull the plug of a host, and wait until its pool says so."""
        self.site.simulator.post(f'/hosts/{host}/power', {'on': False})
        processes.wait_for(
            f'it is seen that {host} is dead',
            lambda: any(
                drift['code'] == 'MEMBER_DEAD' for drift in self._drift()
            ),
        )

    def await_return(self, host: str) -> None:
        """Wait until a host that was ejected is as it is when new."""
        path = '/v2.1/os-aggregates/1/action'
        body = {'host': host, 'for': 'add'}

        def look() -> bool:
            answer = self.site.api.post(path, {'check_host': body})['check']
            return not answer['blockers'] and not any(
                warning['code'] == 'HOST_DISABLED'
                for warning in answer['warnings']
            )

        processes.wait_for(f'{host} is back', look)

    def _drift(self) -> list[dict[str, str]]:
        """How the pool differs from what it is to be."""
        pool = self.site.api.get('/v2.1/os-aggregates/1/pool')['pool']
        drift: list[dict[str, str]] = pool['drift']
        return drift
