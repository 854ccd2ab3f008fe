"""The units under a real systemd, installed as the document says.

``booted`` starts it. Where it cannot, all of this is skipped by name.
"""

import collections
import json
import os
import shutil
import signal
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests.integration import booted
from tests.integration import documents
from tests.integration import environments
from tests.integration import ports
from tests.integration import processes

API, COMPUTE = 'aggregates-ext-api', 'aggregates-ext-compute'
UNITS = (API, COMPUTE)
PASSWORD = processes.PASSWORD
ETC = '/etc/aggregates_ext'
DATABASE = '/var/lib/aggregates_ext/aggregates_ext.sqlite'
PROBE = environments.ROOT / 'tests' / 'integration' / 'probe.py'
PYTHON = '/opt/aggregates_ext/bin/python'
READ_AGAIN = 'The configuration was read again; changed: [DEFAULT] debug'
MIB = 1 << 20
# Seconds.
WATCHDOG = 4
# Takes a unit, a command, and settings that differ; tells its name.
InPlace = Callable[..., str]


class Site(NamedTuple):
    """Both services on a machine, and simulated hosts beside it."""

    machine: booted.Machine
    sim: simulator.Simulator
    client: processes.Client


@pytest.fixture(scope='module')
def machine() -> Iterator[booted.Machine]:
    """A machine with what the installation installs."""
    try:
        with booted.booted() as made:
            made.install()
            made.run(documents.block('install.rst', 'cd /opt/aggregates_ext'))
            yield made
    except LookupError as exc:
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    except booted.Impossible as exc:
        pytest.skip(f'no systemd of our own: {exc}')


@pytest.fixture(scope='module')
def sim() -> Iterator[simulator.Simulator]:
    """Two hosts."""
    hosts = [{'name': n, 'password': PASSWORD} for n in ('xen1', 'xen2')]
    with simulator.Simulator(
        topology.load({'hosts': hosts}), clock.RunningClock(processes.SPEED)
    ) as made:
        yield made


@pytest.fixture(scope='module')
def site(machine: booted.Machine, sim: simulator.Simulator) -> Site:
    """Services that the commands of the document have started."""
    [port] = ports.free(1)
    write = machine.path
    write(f'{ETC}/aggregates_ext.conf').write_text(
        '[DEFAULT]\ndebug = false\n'
        f'[database]\nconnection = sqlite:///{DATABASE}\n'
    )
    write(f'{ETC}/api.conf.d/api.conf').write_text(
        f'[api]\nauth_strategy = noauth\nbind_port = {port}\n'
    )
    write(f'{ETC}/compute.conf.d/hosts.conf').write_text(
        '[compute]\npoll_interval = 0.2\nwatch_interval = 0.1\n'
        'call_timeout = 5\ngraceful_shutdown_timeout = 3\n'
        '[xenserver]\ncredentials = default\n'
        f'[xenserver:default]\npassword = {PASSWORD}\n'
    )
    shutil.copy(
        environments.ROOT / 'etc' / 'aggregates_ext' / 'api-paste.ini',
        write(ETC),
    )
    machine.run(documents.block('install.rst', 'runuser '))
    # It serves when "systemctl enable --now" has returned, not later.
    client = processes.Client(
        f'http://127.0.0.1:{port}', collections.deque(maxlen=5)
    )
    assert client.ask('GET', '/os-aggregates').status == 200
    for name in ('xen1', 'xen2'):
        machine.run(
            'runuser -u aggregates-ext-compute -g aggregates-ext -- '
            f'aggregates-ext-manage host add {name} --credential default '
            f'--url http://127.0.0.1:{sim.host(name).port}'
        )
    return Site(machine, sim, client)


def unit_is(machine: booted.Machine, unit: str, **wanted: str) -> bool:
    """Whether systemd tells this of a unit."""
    told = machine.properties(unit)
    return {name: told[name] for name in wanted} == wanted


def await_unit(machine: booted.Machine, unit: str, **wanted: str) -> None:
    """Wait until systemd tells it."""
    processes.wait_for(
        f'{unit} is {wanted}', lambda: unit_is(machine, unit, **wanted)
    )


@pytest.fixture
def in_place(site: Site) -> Iterator[InPlace]:
    """Runs another command by the unit of a service, under another name."""
    names = set()

    def run(unit: str, command: str, *settings: str) -> str:
        name = f'tests-{unit}'
        names.add(name)
        text = site.machine.path(f'/etc/systemd/system/{unit}.service')
        begin, _command, end = text.read_text().partition('ExecStart=')
        _arguments, _line, end = end.partition('\n')
        # What counts is said last.
        lines = ('Type=oneshot', 'WatchdogSec=0', 'Restart=no', *settings)
        kept = end.partition('[Install]')[0]
        site.machine.path(f'/run/systemd/system/{name}.service').write_text(
            f'{begin}ExecStart={command}\n{kept}' + '\n'.join((*lines, ''))
        )
        site.machine.run('systemctl daemon-reload')
        site.machine.run(f'systemctl restart {name}')
        return name

    yield run
    for name in names:
        site.machine.run(f'systemctl stop {name}')
        site.machine.path(f'/run/systemd/system/{name}.service').unlink()


def test_services_work_as_they_are_installed(site: Site) -> None:
    """They are ready when systemd says so, and a host joins a pool."""
    for unit in UNITS:
        assert unit_is(
            site.machine,
            unit,
            Type='notify',
            ActiveState='active',
            SubState='running',
            NRestarts='0',
            UnitFileState='enabled',
        )
        assert site.machine.properties(unit)['WatchdogUSec'] != '0'
    key = site.client.make_pool('pool', ['xen1', 'xen2'])
    assert site.client.show(key)['hosts'] == ['xen1', 'xen2']
    for host in ('xen2', 'xen1'):
        assert site.client.remove(key, host).status == 200
        assert site.client.settle(key)['state'] == 'succeeded'


@pytest.mark.parametrize('unit', UNITS)
def test_a_service_has_no_rights(site: Site, unit: str) -> None:
    """As the kernel has it, of the process that serves."""
    status = site.machine.status(unit)
    machine = site.machine
    user = machine.run(f'id --user {unit}').strip()
    groups = machine.run(f'id --groups {unit}').split()
    [group] = machine.run('getent group aggregates-ext').split()
    assert set(status['Uid'].split()) == {user}
    assert set(status['Gid'].split()) == {group.split(':')[2]}
    assert set(status['Groups'].split()) == set(groups)
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
        assert int(status[name], 16) == 0, name
    assert status['NoNewPrivs'] == '1'
    # Calls are filtered.
    assert status['Seccomp'] == '2'
    limits = machine.path(f'/proc/{machine.main(unit)}/limits').read_text()
    [core] = [line for line in limits.splitlines() if 'core file' in line]
    # Neither more than nothing, nor a right to raise it.
    assert core.split()[4:6] == ['0', '0']


def probe(
    site: Site, in_place: InPlace, unit: str, *settings: str
) -> dict[str, str]:
    """What the probe tells when it is run in place of a service."""
    service = unit.rpartition('-')[2]
    shutil.copy(PROBE, site.machine.path('/opt/probe.py'))
    site.machine.run(
        'touch /tmp/of-the-machine; '
        '[ -e /dev/of-the-machine ] || mknod -m 666 /dev/of-the-machine c 1 3'
    )
    command = f'{PYTHON} /opt/probe.py {service}'
    name = in_place(unit, command, *settings)
    told = [
        line
        for line in site.machine.journal(name).splitlines()
        if line.startswith('{"write to')
    ]
    found: dict[str, str] = json.loads(told[-1])
    return found


# What is refused, with what, and the setting that does so alone; "" where
# another one would still refuse it.
REFUSED = {
    'write to /usr': ('EROFS', 'ProtectSystem=no'),
    'write to /etc': ('EROFS', 'ProtectSystem=no'),
    'write to /opt': ('EROFS', 'ProtectSystem=no'),
    'write to /var': ('EROFS', 'ProtectSystem=no'),
    'make a cgroup': ('EROFS', ''),
    'see homes': ('EACCES', 'ProtectHome=no'),
    'see secrets of the other': ('EACCES', 'InaccessiblePaths='),
    'see /tmp of all': ('ENOENT', 'PrivateTmp=no'),
    'see devices': ('ENOENT', 'PrivateDevices=no'),
    'see other processes': ('ENOENT', 'ProtectProc=default'),
    'see the kernel': ('ENOENT', 'ProcSubset=all'),
    'send frames': ('EAFNOSUPPORT', 'RestrictAddressFamilies='),
    'ask for routes': ('EAFNOSUPPORT', 'RestrictAddressFamilies='),
    'make a namespace': ('EPERM', 'RestrictNamespaces=no'),
    'write code': ('EPERM', 'MemoryDenyWriteExecute=no'),
    'set the bit of a user': ('EPERM', 'RestrictSUIDSGID=no'),
    'change the user': ('EPERM', 'SystemCallFilter='),
    'change a priority': ('EPERM', 'SystemCallFilter='),
    'change how it is run': ('EPERM', 'LockPersonality=no'),
}
DONE = ('write to the state', 'write a log', 'send on the network')


@pytest.mark.parametrize('unit', UNITS)
def test_a_service_is_confined(
    site: Site, in_place: InPlace, unit: str
) -> None:
    """What it may do is done, and all else is refused."""
    assert probe(site, in_place, unit) == {
        **dict.fromkeys(DONE, 'done'),
        **{name: told for name, (told, _setting) in REFUSED.items()},
    }


def test_each_setting_confines(site: Site, in_place: InPlace) -> None:
    """Without it the same is not refused, or by the rights of files alone."""
    for setting in {setting for _told, setting in REFUSED.values()} - {''}:
        told = probe(site, in_place, COMPUTE, setting)
        for name, (refused, by) in REFUSED.items():
            if by == setting:
                assert told[name] != refused, (name, setting)


def test_reload_reads_the_configuration_again(site: Site) -> None:
    """From within the sandbox, without a new process."""
    file = site.machine.path(f'{ETC}/aggregates_ext.conf')
    before = file.read_text()
    mains = [site.machine.main(unit) for unit in UNITS]
    file.write_text(before.replace('debug = false', 'debug = true'))
    site.machine.run(f'systemctl reload {API} {COMPUTE}')
    for unit in UNITS:
        processes.wait_for(
            f'{unit} has read it',
            lambda unit=unit: READ_AGAIN in site.machine.journal(unit),
        )
        await_unit(site.machine, unit, ActiveState='active')
    file.write_text(before)
    site.machine.run(f'systemctl reload {API} {COMPUTE}')
    assert [site.machine.main(unit) for unit in UNITS] == mains


def limit(site: Site, unit: str) -> int:
    """The memory that the kernel lets a unit have, in bytes."""
    group = site.machine.properties(unit)['ControlGroup']
    places = (
        f'/sys/fs/cgroup/memory{group}/memory.limit_in_bytes',
        f'/sys/fs/cgroup{group}/memory.max',
    )
    for place in map(site.machine.path, places):
        if place.exists():
            return int(place.read_text())
    pytest.skip('there are no cgroups of memory here')


@pytest.mark.parametrize('unit', UNITS)
def test_the_memory_of_a_service_is_limited(site: Site, unit: str) -> None:
    told = site.machine.properties(unit)['MemoryMax']
    assert limit(site, unit) == int(told)


def test_who_takes_too_much_memory_is_replaced(
    site: Site, in_place: InPlace
) -> None:
    """It ends, the machine goes on, and it is started again."""
    limit(site, COMPUTE)
    name = in_place(
        COMPUTE,
        f"{PYTHON} -c 'x = bytearray({256 * MIB})'",
        'Type=exec',
        'MemoryMax=64M',
        'MemorySwapMax=0',
        'Restart=on-failure',
        'RestartSec=1',
    )
    processes.wait_for(
        'it is started again',
        lambda: int(site.machine.properties(name)['NRestarts']) > 1,
    )
    killed = f'code=killed, status={int(signal.SIGKILL)}/KILL'
    assert killed in site.machine.journal(name)


def test_a_service_that_hangs_is_replaced(site: Site) -> None:
    """One that works is heard of; then the watchdog hears nothing of it."""
    machine = site.machine
    for unit in UNITS:
        machine.change(unit, f'WatchdogSec={WATCHDOG}')
    mains = {unit: machine.main(unit) for unit in UNITS}
    moment = 'WatchdogTimestampMonotonic'
    for unit in UNITS:
        heard: set[str] = set()

        def is_heard_again(unit: str = unit, heard: set[str] = heard) -> bool:
            heard.add(machine.properties(unit)[moment])
            return len(heard) > 4

        processes.wait_for(f'{unit} is heard of', is_heard_again)
        assert unit_is(machine, unit, MainPID=str(mains[unit]), NRestarts='0')
    for main in mains.values():
        machine.run(f'kill -STOP {main}')
    for unit in UNITS:
        wanted = {'ActiveState': 'active', 'SubState': 'running'}
        await_unit(machine, unit, NRestarts='1', **wanted)
        assert machine.main(unit) != mains[unit]
        said = f'Watchdog timeout (limit {WATCHDOG}s)'
        assert said in machine.journal(unit)
    assert site.client.ask('GET', '/os-aggregates').status == 200


def test_services_stop_within_their_limits(site: Site) -> None:
    """With a call in flight that a host does not answer, and when frozen."""
    key = site.client.make_pool('stopping', ['xen1'])
    site.sim.plant('Async.pool.join', action='hang')
    assert site.client.add(key, 'xen2').status == 200
    processes.wait_for(
        'the join is sent',
        lambda: any(
            call.method == 'Async.pool.join' and call.host == 'xen2'
            for call in site.sim.calls
        ),
    )
    site.machine.run(f'kill -STOP {site.machine.main(API)}')
    site.machine.run(f'systemctl stop {API} {COMPUTE}')
    for unit in UNITS:
        said = site.machine.journal(unit).rpartition('Stopping ')[2]
        # A limit that was over would end in a SIGKILL, and be a failure.
        assert f'{unit}.service: Deactivated successfully.' in said, said
        assert 'timed out' not in said
        assert 'Killing' not in said
