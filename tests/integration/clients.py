"""The clients of OpenStack, as they come from PyPI."""

import json
import os
import pathlib
import subprocess
import types
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from tests.integration import environments

TIMEOUT = 300  # seconds; a client that hangs
# A program that has loaded all of ``openstack``, which alone takes a second:
# each command runs in a copy of it.
LOADED = """
import contextlib
import importlib.metadata
import json
import os
import sys
import openstack.compute.v2._proxy
from openstackclient import shell

points = importlib.metadata.entry_points()
for group in points.groups:
    if group.startswith('openstack.'):
        for point in points.select(group=group):
            with contextlib.suppress(ImportError):
                point.load()
"""
SHELL = f"""{LOADED}
import io

def run(command):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = shell.main(command)
        except SystemExit as exc:
            status = exc.code
    return [status, out.getvalue(), err.getvalue()]

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        print(json.dumps(run(json.loads(line))), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """What it told, where it has succeeded and told JSON."""
        assert self.status == 0, self.err
        return json.loads(self.out)


def environment() -> pathlib.Path:
    """A virtual environment with the clients of OpenStack."""
    return environments.install(
        'clients',
        'openstacksdk',
        'python-novaclient',
        'python-openstackclient',
    )


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, and none of OpenStack's that are there already."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
    return {**kept, **variables}


class Shell:
    """``openstack`` with the rights of one user.

    :param variables: what tells it who it is, and where to look.
    """

    def __init__(
        self, venv: pathlib.Path, variables: Mapping[str, str]
    ) -> None:
        self._popen = subprocess.Popen(
            [venv / 'bin' / 'python', '-c', SHELL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(variables),
            # Or what Python finds here would be found before the plug-in.
            cwd=venv,
            text=True,
        )

    def __enter__(self) -> 'Shell':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._popen.communicate(timeout=TIMEOUT)

    def __call__(self, *command: str, version: str = '') -> Done:
        """Run one command.

        :param version: microversion to ask for.
        """
        if version:
            command = ('--os-compute-api-version', version, *command)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write(json.dumps(command) + '\n')
        self._popen.stdin.flush()
        line = self._popen.stdout.readline()
        assert line, f'the shell has died of {command}'
        return Done(*json.loads(line))


def run(
    venv: pathlib.Path, variables: Mapping[str, str], *command: str
) -> Done:
    """Run a program of the clients' environment."""
    done = subprocess.run(
        [venv / 'bin' / command[0], *command[1:]],
        env=_environment(variables),
        cwd=venv,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    return Done(done.returncode, done.stdout, done.stderr)
