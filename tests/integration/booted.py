"""A systemd of the tests' own, as the first process of a machine in memory.

It is the real one, with units, accounts and cgroups; ``boot`` tells what is
its own and what is the machine's. That takes root, and a system that lets it
make namespaces and cgroups; otherwise there is none, with the reason.
"""

import configparser
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator

from tests.integration import boot
from tests.integration import environments
from tests.integration import processes

PLACES = ('/usr/lib/systemd/systemd', '/lib/systemd/systemd')
NAMESPACES = ('--mount', '--pid', '--fork', '--ipc', '--uts', '--cgroup')
PRIVATE = ('--kill-child', '--propagation', 'private')
LIMIT = 600
SCRIPT = 'set -eu -o pipefail\n'
VENV = '/opt/aggregates_ext'
SCRIPT_OF_PIP = """#!/opt/aggregates_ext/bin/python
import sys
from {module} import {function}
sys.exit({function}())
"""


# What a machine in memory needs of the system that it is on.
TRIAL = """
mount -t tmpfs tmpfs {0} && cd {0} && mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
mount -t proc proc root/proc && mount -t sysfs sysfs root/sys
"""


class Impossible(Exception):
    """No systemd can be started here; the message says why."""


def program() -> str:
    """Where systemd is.

    :raises LookupError: it is not installed.
    """
    for place in PLACES:
        if pathlib.Path(place).exists():
            return place
    raise LookupError('systemd is not installed')


def hierarchies() -> list[pathlib.Path]:
    """Where groups of processes are made: of v2, or each of v1."""
    if (boot.CGROUPS / 'cgroup.controllers').exists():
        return [boot.CGROUPS]
    return [
        path.parent
        for path in boot.CGROUPS.glob('*/cgroup.procs')
        if not path.parent.is_symlink()
    ]


class Groups:
    """A group of its own in each hierarchy, for one process and all below."""

    def __init__(self, name: str) -> None:
        self._paths = [path / name for path in hierarchies()]
        try:
            for path in self._paths:
                path.mkdir()
        except OSError as exc:
            self.remove()
            raise Impossible(f'no cgroup can be made: {exc}') from exc
        if not self._paths:
            raise Impossible('there are no cgroups')
        for path in self._paths:
            self._complete(path)

    def _complete(self, path: pathlib.Path) -> None:
        """What a hierarchy demands before a process can be in a group."""
        for name in ('cpuset.cpus', 'cpuset.mems'):
            if (path / name).exists() and not self._is_set(path / name):
                (path / name).write_text((path.parent / name).read_text())
        control = path.parent / 'cgroup.subtree_control'
        if control.exists():
            for name in (
                (path.parent / 'cgroup.controllers').read_text().split()
            ):
                with contextlib.suppress(OSError):
                    control.write_text(f'+{name}')

    @staticmethod
    def _is_set(file: pathlib.Path) -> bool:
        return bool(file.read_text().strip())

    def enter(self) -> str:
        """For a shell, which takes itself into them."""
        return '; '.join(
            f'echo $$ > {path}/cgroup.procs' for path in self._paths
        )

    def remove(self) -> None:
        """Remove them, when no process is left."""
        for path in self._paths:
            for group in [*sorted(path.rglob('*/'), reverse=True), path]:
                with contextlib.suppress(
                    FileNotFoundError, NotADirectoryError
                ):
                    group.rmdir()


class Machine:
    """A machine with a systemd that runs.

    :param process_id: of the systemd, as this machine has it.
    :ivar root: its files.
    """

    def __init__(self, process_id: int) -> None:
        self._process_id = process_id
        self.root = pathlib.Path(f'/proc/{process_id}/root')

    def run(self, text: str, code: int | None = 0) -> str:
        """Run commands there as root; the answer: what they printed.

        :param code: the exit code that they shall have; None: any.
        """
        done = subprocess.run(
            [
                *('nsenter', '--target', str(self._process_id)),
                *('--mount', '--pid', '--ipc', '--uts', '--cgroup'),
                *('--root', '--wd=/'),
                *('bash', '-c', SCRIPT + text),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={**os.environ, 'PATH': boot.PATH, 'HOME': '/root'},
        )
        output = done.stdout + done.stderr
        assert code in (None, done.returncode), f'{text}\n{output}'
        return done.stdout

    def path(self, place: str) -> pathlib.Path:
        """A file or directory of it, as this machine has it."""
        return self.root / place.removeprefix('/')

    def install(self) -> None:
        """What pip leaves of the package, at the place of the document.

        That pip does so is seen elsewhere, and takes half a minute.
        """
        venv = self.path('/opt/aggregates_ext')
        self.run(
            'PATH=/opt/python/bin:$PATH '
            'python3 -m venv --without-pip /opt/aggregates_ext'
        )
        [site] = venv.glob('lib/python*/site-packages')
        (site / 'tests.pth').write_text('/opt/packages\n')
        name = 'aggregates_ext'
        shutil.copytree(environments.ROOT / name, site / name)
        setup = configparser.ConfigParser()
        setup.read(environments.ROOT / 'setup.cfg')
        for place, files in setup['options.data_files'].items():
            (venv / place).mkdir(parents=True, exist_ok=True)
            for file in files.split():
                shutil.copy(environments.ROOT / file, venv / place)
        scripts = setup['options.entry_points']['console_scripts']
        for line in scripts.strip().splitlines():
            command, module, function = re.split(r'\s*[=:]\s*', line)
            script = venv / 'bin' / command
            script.write_text(
                SCRIPT_OF_PIP.format(module=module, function=function)
            )
            script.chmod(0o755)
        self.run(f'{VENV}/bin/python -m compileall -q {VENV}/lib')

    def properties(self, unit: str) -> dict[str, str]:
        """What systemd tells of a unit."""
        lines = self.run(f'systemctl show {unit}').splitlines()
        return dict(line.split('=', 1) for line in lines if '=' in line)

    def main(self, unit: str) -> int:
        """The main process of a unit, as the machine has it."""
        return int(self.properties(unit)['MainPID'])

    def status(self, unit: str) -> dict[str, str]:
        """What the kernel tells of the main process of a unit."""
        text = self.path(f'/proc/{self.main(unit)}/status').read_text()
        pairs = (line.split(':', 1) for line in text.splitlines())
        return {name: value.strip() for name, value in pairs}

    def journal(self, unit: str) -> str:
        """What a unit has said, and what systemd has said of it."""
        return self.run(f'journalctl --no-pager --output=cat --unit={unit}')

    def change(self, unit: str, *settings: str) -> None:
        """Change settings of a unit's section [Service], and restart it."""
        directory = self.path(f'/run/systemd/system/{unit}.service.d')
        directory.mkdir(parents=True, exist_ok=True)
        lines = ('[Service]', *settings, '')
        (directory / 'tests.conf').write_text('\n'.join(lines))
        self.run(f'systemctl daemon-reload && systemctl restart {unit}')


def attempt(place: pathlib.Path) -> None:
    """Make namespaces and mounts as ``boot`` does, for a moment.

    :param place: a directory to mount at.
    :raises Impossible: this system does not let us.
    """
    done = subprocess.run(
        [
            *('unshare', *NAMESPACES, *PRIVATE),
            *('sh', '-ec', TRIAL.format(place)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    if done.returncode:
        raise Impossible(done.stderr)


@contextlib.contextmanager
def booted() -> Iterator[Machine]:
    """A machine whose systemd has come up; it is gone after the block.

    :raises LookupError: systemd is not installed.
    :raises Impossible: it cannot be started here.
    """
    systemd = program()
    if os.getuid():
        raise Impossible('only root can start a systemd')
    with tempfile.TemporaryDirectory(prefix='aggregates-') as directory:
        place = pathlib.Path(directory)
        attempt(place)
        groups = Groups(f'aggregates-ext-{uuid.uuid4()}')
        with _started(systemd, place, groups) as machine:
            yield machine


@contextlib.contextmanager
def _started(
    systemd: str, place: pathlib.Path, groups: Groups
) -> Iterator[Machine]:
    with tempfile.NamedTemporaryFile() as output:
        process = subprocess.Popen(
            [
                *('sh', '-ec', f'{groups.enter()}; exec "$@"', 'sh'),
                *('unshare', *NAMESPACES, *PRIVATE),
                *(sys.executable, '-m', boot.__name__, systemd, place),
                *(sys.base_prefix, sysconfig.get_path('purelib')),
            ],
            cwd=environments.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield _await(process, pathlib.Path(output.name))
        finally:
            process.kill()
            process.wait()
            # The first process of the namespace ends with it, and all others.
            processes.wait_for('its groups go', lambda: _emptied(groups))


def _await(process: subprocess.Popen[bytes], log: pathlib.Path) -> Machine:
    """The machine, when its systemd has come up."""
    children = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children')

    def look() -> Machine | None:
        assert process.poll() is None, log.read_text()
        first = children.read_text().split()
        if not first:
            return None
        machine = Machine(int(first[0]))
        said = machine.run('systemctl is-system-running', code=None)
        return machine if said.strip() in ('running', 'degraded') else None

    return processes.wait_for('systemd comes up', look)


def _emptied(groups: Groups) -> bool:
    try:
        groups.remove()
    except OSError:
        return False
    return True
