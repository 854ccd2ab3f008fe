"""Programs from PyPI, each in a virtual environment of its own."""

import os
import pathlib
import subprocess
import sys

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


def install(name: str, *requirements: str) -> pathlib.Path:
    """A virtual environment with some packages; one made before is kept.

    Its place is ``AGGREGATES_EXT_NAME_VENV``, else it is among those of tox.
    Where it cannot be made the test is skipped by name, or fails with
    ``REQUIRE_SERVICES=1``.
    """
    chosen = os.environ.get(f'AGGREGATES_EXT_{name.upper()}_VENV')
    venv = pathlib.Path(chosen or ROOT / '.tox' / f'{name}-venv').absolute()
    major, minor = sys.version_info[:2]
    complete = venv / 'complete'
    wanted = f'{major}.{minor} {" ".join(requirements)}'
    if complete.exists() and complete.read_text() == wanted:
        return venv
    try:
        if not (venv / 'bin' / f'pip{major}.{minor}').exists():
            run(sys.executable, '-m', 'venv', '--clear', venv)
        # Completes what was interrupted.
        run(venv / 'bin' / 'pip', 'install', *requirements)
        complete.write_text(wanted)
    except CommandFailed as exc:
        reason = f'{name} is missing and cannot be installed: {exc}'
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(reason)
        pytest.skip(reason)
    return venv
