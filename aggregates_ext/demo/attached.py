"""Runs a module of ours as a command that does not outlive its parent.

``python -m aggregates_ext.demo.attached PARENT DIRECTORY MODULE
[ARGUMENT]...``: also when the parent is killed and can end nothing itself.
Then the directory of the demonstration goes with it, too.
"""

import contextlib
import ctypes
import os
import runpy
import shutil
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1


def attach(parent: int) -> None:
    """Let the end of the parent be a SIGTERM to this process.

    Linux alone knows that; elsewhere nothing happens.
    """
    # What ends at a SIGTERM sets a handler of its own later.
    signal.signal(signal.SIGTERM, _end)
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        # It was quicker.
        sys.exit(1)


def _end(*_signal: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def main(parent: int, directory: str, *command: str) -> None:
    """Run a command; after the end of the parent nothing of it stays.

    :param directory: that the parent has made for itself. It removes it at
        its own end; where that did not come about, each of what it has
        started does so, and the last to end finds nobody writing there.
    """
    try:
        attach(parent)
        sys.argv = list(command)
        runpy.run_module(command[0], run_name='__main__', alter_sys=True)
    finally:
        if os.getppid() != parent:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    main(int(sys.argv[1]), *sys.argv[2:])
