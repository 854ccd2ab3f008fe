"""A Containerfile, carried out without a builder.

Each stage has a directory that stands for ``/``. What is copied and run is
what the file says, but that the places that it makes are in there. The base
image is the machine of the tests, and the user who runs them runs all.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

from tests import leash

# What a Containerfile of ours makes.
_PLACE = re.compile(r'(?<![\w.])/(?:src|wheels|opt/aggregates_ext)(?=[/ :]|$)')
LIMIT = 900
# Root may write anywhere, unless it has nothing of root's but the number.
_HARMLESS = ('setpriv', '--bounding-set=-all', '--inh-caps=-all')


class Instruction(NamedTuple):
    """One of the file, continued lines joined."""

    name: str
    rest: str


def read(text: str) -> list[Instruction]:
    """The instructions of a file, without its comments."""
    lines = [line for line in text.splitlines() if line[:1] not in ('#', '')]
    joined = '\n'.join(lines).replace('\\\n', ' ')
    return [
        Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()
    ]


class Image:
    """What a file makes of a context.

    :ivar root: stands for ``/`` of the last stage.
    :ivar variables: what ENV of the last stage says.
    :ivar instructions: those of the last stage.
    """

    def __init__(self, directory: pathlib.Path, context: pathlib.Path) -> None:
        self._directory = directory
        self._context = context
        self._stages: dict[str, pathlib.Path] = {}
        self.root = directory
        self.variables: dict[str, str] = {}
        self.instructions: list[Instruction] = []

    def build(self, text: str) -> None:
        """Carry out a file.

        :raises AssertionError: something in it does not work.
        """
        for instruction in read(text):
            getattr(self, f'_{instruction.name.lower()}')(instruction.rest)
            self.instructions.append(instruction)

    def said(self, name: str) -> str:
        """What the last instruction of a name says in the last stage."""
        told = [rest for named, rest in self.instructions if named == name]
        return told[-1]

    def _arg(self, rest: str) -> None:
        assert '=' in rest, 'an argument has a default'

    def _from(self, rest: str) -> None:
        _base, *name = rest.split(' AS ')
        self.root = self._directory / f'stage{len(self._stages)}'
        self.root.mkdir()
        self._stages[name[0] if name else ''] = self.root
        self._place = self.root
        self.variables = {}
        self.instructions = []

    def _workdir(self, rest: str) -> None:
        self._place = self._inside(rest)
        self._place.mkdir(parents=True)

    def _copy(self, rest: str) -> None:
        """From the context, a directory as what is in it."""
        *sources, target = rest.split()
        for source in sources:
            found = self._context / source
            place = self._place / target
            if found.is_dir():
                shutil.copytree(found, place)
            else:
                assert target.endswith('/'), 'a file goes into a directory'
                shutil.copy(found, place)

    def _run(self, rest: str) -> None:
        mounts, command = [], rest
        while found := re.match(r'--mount=(\S+) +', command):
            mounts.append(dict(re.findall(r'(\w+)=([^,]+)', found[1])))
            command = command[found.end() :]
        with contextlib.ExitStack() as stack:
            for mount in mounts:
                stack.enter_context(self._mounted(**mount))
            done = subprocess.run(
                ['sh', '-c', self._placed(command)],
                cwd=self._place,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LIMIT,
                env=os.environ | {'PATH': self._path, **self.variables},
            )
        assert done.returncode == 0, f'{command}\n{done.stdout[-4000:]}'

    @contextlib.contextmanager
    def _mounted(self, **mount: str) -> Iterator[None]:
        assert mount['type'] == 'bind'
        source = self._stages[mount['from']] / mount['source'].strip('/')
        target = self._inside(mount['target'])
        target.symlink_to(source)
        yield
        target.unlink()

    def _env(self, rest: str) -> None:
        name, _equals, value = rest.partition('=')
        value = self._placed(value).replace('$PATH', self._path)
        self.variables[name] = value

    def _user(self, rest: str) -> None:
        """It is whoever runs the tests."""

    _expose = _user

    def _cmd(self, rest: str) -> None:
        assert isinstance(json.loads(rest), list), 'a shell gets no signals'

    @property
    def _path(self) -> str:
        here = pathlib.Path(sys.executable).parent
        return f'{here}:{os.environ["PATH"]}'

    def _inside(self, path: str) -> pathlib.Path:
        return self.root / path.strip('/')

    def _placed(self, text: str) -> str:
        return _PLACE.sub(lambda found: f'{self.root}{found[0]}', text)

    def close(self) -> None:
        """Let nobody write to it."""
        for path in [self.root, *self.root.rglob('*')]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)

    def contents(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of all files, by their paths."""
        return {
            str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in self.root.rglob('*')
        }

    def start(
        self,
        words: Sequence[str],
        log: pathlib.Path,
        etc: pathlib.Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Run a command as a container does, without a home.

        :param log: gets what it writes.
        :param etc: what is mounted at ``/etc/aggregates_ext``.
        """
        harmless = () if os.getuid() else _HARMLESS
        with log.open('wb') as output:
            return subprocess.Popen(
                [*harmless, *words],
                cwd='/',
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={
                    **leash.marked(),
                    **self.variables,
                    'HOME': '/nonexistent',
                    'OS_AGGREGATES_EXT_CONFIG_DIR': str(etc or '/nonexistent'),
                },
            )
