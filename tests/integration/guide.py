"""A machine as the installation document leaves it, below one directory.

What the document writes is run by bash as it stands, but that the places of
the system are below that directory, and that programs which need root or
systemd tell what they were asked.
"""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from collections.abc import Mapping

from tests.integration import clients
from tests.integration import documents
from tests.integration import environments
from tests.integration import processes

PLACES = ('/opt/aggregates_ext', '/usr/local', '/etc', '/var/lib')
# A place where one begins: no longer path ends so.
_PLACE = re.compile('(?<![\\w.])(' + '|'.join(PLACES) + ')(?=/|$)', re.M)
TELL = '#!/bin/sh\necho "$(basename "$0") $*" >> "{log}"\n'
SUBSTITUTES = {
    'systemctl': '',
    'systemd-sysusers': '',
    'systemd-tmpfiles': '',
    # After "--" is what the account shall do.
    'runuser': 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n',
}
SCRIPT = 'set -eu -o pipefail\n'
LIMIT = 600


class Machine:
    """Runs what the documents say.

    :ivar root: stands for ``/``.
    :ivar source: the checkout, where commands are run.
    :ivar told: what was asked of programs that need root, a line each.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.root = directory / 'root'
        self.source = directory / 'source'
        self.etc = self.root / 'etc' / 'aggregates_ext'
        self._asked = directory / 'asked.log'
        self._substitutes = directory / 'substitutes'
        self._home = directory / 'home'
        self._started = 0
        for place in (self.etc, self._substitutes, self._home):
            place.mkdir(parents=True)
        for place in ('usr/local/bin', 'var/lib/aggregates_ext', 'opt'):
            (self.root / place).mkdir(parents=True)
        for name in ('systemd/system', 'sysusers.d', 'tmpfiles.d'):
            (self.root / 'etc' / name).mkdir(parents=True)
        (self.root / 'etc' / 'logrotate.d').mkdir()
        for name, rest in SUBSTITUTES.items():
            program = self._substitutes / name
            program.write_text(TELL.format(log=self._asked) + rest)
            program.chmod(0o755)
        ignored = shutil.ignore_patterns(
            '.*', '*.egg-info', '__pycache__', 'build', 'tests'
        )
        shutil.copytree(environments.ROOT, self.source, ignore=ignored)

    @property
    def venv(self) -> pathlib.Path:
        """The virtual environment that the document makes."""
        return self.root / 'opt' / 'aggregates_ext'

    @property
    def home(self) -> pathlib.Path:
        """The home of who runs the commands."""
        return self._home

    @property
    def told(self) -> list[str]:
        return self._asked.read_text().splitlines()

    def environment(self, **variables: str) -> dict[str, str]:
        """What commands find: our programs first, and no other settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
        path = [self.venv / 'bin', self._substitutes]
        path += [pathlib.Path(sys.executable).parent]
        return {
            **kept,
            'PATH': ':'.join([*map(str, path), os.environ['PATH']]),
            'HOME': str(self._home),
            # Stands for /etc/aggregates_ext, which is looked into anyway.
            'OS_AGGREGATES_EXT_CONFIG_DIR': str(self.etc),
            **variables,
        }

    def configure(self, url: str, more: str = '') -> None:
        """A configuration with little more than a database."""
        (self.etc / 'aggregates_ext.conf').write_text(
            f'[database]\nconnection = {url}\n{more}'
        )

    def place(self, text: str) -> str:
        """The same with our places for those of the system."""
        return _PLACE.sub(lambda found: f'{self.root}{found[0]}', text)

    def run(self, text: str, code: int = 0, **variables: str) -> str:
        """Run what a block says, to its end; the answer: what it printed."""
        done = subprocess.run(
            ['bash', '-c', SCRIPT + self.place(text)],
            cwd=self.source,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=self.environment(**variables),
        )
        assert done.returncode == code, f'{text}\n{done.stdout}{done.stderr}'
        return done.stdout

    def install(self, block: str) -> None:
        """Run the block that makes the virtual environment.

        It finds the dependencies of the tests, so that pip gets little more
        than what is not there.
        """
        make, *rest = block.splitlines()
        self.run(make)
        [site] = self.venv.glob('lib/python*/site-packages')
        (site / 'tests.pth').write_text(sysconfig.get_path('purelib') + '\n')
        self.run('\n'.join(rest), PIP_DISABLE_PIP_VERSION_CHECK='1')
        here = pathlib.Path(sys.executable).parent
        for script in here.glob('oslopolicy-*'):
            _first, _end, text = script.read_text().partition('\n')
            ours = self.venv / 'bin' / script.name
            ours.write_text(f'#!{self.venv}/bin/python\n{text}')
            ours.chmod(0o755)

    @contextlib.contextmanager
    def running(
        self, text: str, serves: str, **variables: str
    ) -> Iterator[str]:
        """Run a command that stays, until the block ends.

        :param serves: a pattern in what it says once it serves; its group is
            the answer.
        """
        self._started += 1
        log = self._home / f'{self._started}.log'
        with log.open('w') as output:
            process = subprocess.Popen(
                ['bash', '-c', f'exec {self.place(text)}'],
                # Not where the sources are, which would be imported.
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment(**variables),
            )

        def look() -> str | None:
            assert process.poll() is None, log.read_text()
            found = re.search(serves, log.read_text())
            return found[1] if found else None

        try:
            yield processes.wait_for(f'"{text}" serves', look)
        finally:
            process.terminate()
            process.wait(timeout=120)


def filled(text: str, values: Mapping[str, str]) -> str:
    """A sample with our values; each one must be there."""
    for sample, value in values.items():
        assert sample in text, f'{sample} in\n{text}'
        text = text.replace(sample, value)
    return text


def commands(document: str, start: str) -> list[list[str]]:
    """The words of each command of a block of them."""
    text = documents.block(document, start).replace('\\\n', '')
    return [shlex.split(line) for line in text.splitlines()]


def served(unit: str) -> str:
    """The command that a unit ends up with: a later one counts."""
    return re.findall(r'^ExecStart=(.+)$', unit, re.MULTILINE)[-1]


def tell(
    openstack: clients.Shell,
    commands: list[list[str]],
    values: dict[str, str],
) -> None:
    """Run commands of openstack, as Keystone's administrator."""
    for words in commands:
        assert words.pop(0) == 'openstack'
        line = ' '.join(words)
        for sample, value in values.items():
            line = line.replace(sample, value)
        done = openstack(*line.split())
        assert done.status == 0, (line, done.err)
