"""What the tests start ends with them, also when they are killed."""

import subprocess
import sys

import psutil

from tests import leash

# Starts something that is nobody's child soon, and waits to be killed.
RUN = """
import subprocess, sys, time
from tests import leash
leash.hold()
start = 'import subprocess, sys; print(subprocess.Popen(["sleep", "600"]).pid)'
subprocess.run([sys.executable, '-c', start])
sys.stdout.flush()
time.sleep(600)
"""
# Seconds, on a slow machine.
LIMIT = 120


def test_what_is_started_ends_with_a_killed_run() -> None:
    with subprocess.Popen(
        [sys.executable, '-c', RUN], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        orphan = psutil.Process(int(run.stdout.readline()))
        assert orphan.is_running()
        run.kill()
        psutil.wait_procs([orphan], timeout=LIMIT)
    assert not orphan.is_running() or orphan.status() == 'zombie'


def test_this_run_is_held() -> None:
    """Those who make an environment of their own can pass the mark on."""
    assert leash.marked()
