"""Programs from PyPI, each in a virtual environment of its own."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]


class CommandFailed(Exception):
    """A command of the set-up failed; the message is its output."""


def run(*command: str | pathlib.Path) -> None:
    """Run a command; its output is told only when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise CommandFailed(f'{command[0]}: {done.stdout[-4000:]}')


@contextlib.contextmanager
def alone(file: pathlib.Path) -> Iterator[None]:
    """Keep other processes with the same file out of a block."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(name: str, *requirements: str) -> pathlib.Path:
    """A virtual environment with some packages; one made before is kept.

    Its place is ``AGGREGATES_EXT_NAME_VENV``, else it is among those of tox.
    Tests may run side by side: one makes it. Where it cannot be made the
    test is skipped by name, or fails with ``REQUIRE_SERVICES=1``.
    """
    chosen = os.environ.get(f'AGGREGATES_EXT_{name.upper()}_VENV')
    tox = ROOT / '.tox'
    venv = pathlib.Path(chosen or tox / f'{name}-venv').absolute()
    major, minor = sys.version_info[:2]
    complete = venv / 'complete'
    wanted = f'{major}.{minor} {" ".join(requirements)}'
    try:
        with alone(tox / f'{name}-venv.lock'):
            if complete.exists() and complete.read_text() == wanted:
                return venv
            if not (venv / 'bin' / f'pip{major}.{minor}').exists():
                run(sys.executable, '-m', 'venv', '--clear', venv)
            # Completes what was interrupted.
            run(
                *(venv / 'bin' / 'pip', 'install', '--no-compile'),
                *requirements,
            )
            complete.write_text(wanted)
    except CommandFailed as exc:
        reason = f'{name} is missing and cannot be installed: {exc}'
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(reason)
        pytest.skip(reason)
    return venv


def install_alone(venv: pathlib.Path, directory: pathlib.Path) -> pathlib.Path:
    """A directory with the package, as the pip of an environment makes it.

    What the services need is not there.
    """
    source = directory / 'source'
    ignored = shutil.ignore_patterns(
        '.*', '*.egg-info', '__pycache__', 'build', 'tests'
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    target = directory / 'installed'
    run(
        *(venv / 'bin' / 'pip', 'install', '--no-deps'),
        *('--target', target, source),
    )
    return target
