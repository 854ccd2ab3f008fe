"""Runs a module of ours as a command that does not outlive its parent.

``python -m aggregates_ext.demo.attached PARENT MODULE [ARGUMENT]...``: also
when the parent is killed and can end nothing itself.
"""

import contextlib
import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def attach(parent: int) -> None:
    """Let the end of the parent be a SIGTERM to this process.

    Linux alone knows that; elsewhere nothing happens.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        # It was quicker.
        sys.exit(1)


if __name__ == '__main__':
    attach(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
