"""Ends what a run of the tests has started, however the run itself ends.

A process of the tests puts a mark into its environment, which all that it
starts inherits. Another process waits for it to end, by whatever signal, and
then kills what still has the mark, whoever its parent is by then.
"""

import os
import sys
import uuid

import psutil

MARK = 'AGGREGATES_EXT_TEST_RUN'


def marked() -> dict[str, str]:
    """For an environment that is not made of this process's own."""
    return {MARK: os.environ[MARK]} if MARK in os.environ else {}


def hold() -> None:
    """Let nothing that is started from now on outlive this process."""
    os.environ.pop(MARK, None)
    mark = str(uuid.uuid4())
    reads, writes = os.pipe()
    # Its input ends when this process does: nobody else has the other side.
    # It is not waited for, and not ended with the group of this one.
    os.posix_spawn(
        sys.executable,
        [sys.executable, __file__, mark],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reads, 0)],
        setsid=True,
    )
    os.close(reads)
    os.set_inheritable(writes, False)
    os.environ[MARK] = mark


def kill(mark: str) -> None:
    """Kill all that has a mark, and what that starts meanwhile."""
    while True:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == mark:
                    process.kill()
                    found.append(process)
            except psutil.Error:
                continue
        if not found:
            return
        psutil.wait_procs(found, timeout=1)


def main() -> None:
    """Wait for the end of who has started this."""
    sys.stdin.buffer.read()
    kill(sys.argv[1])


if __name__ == '__main__':
    main()
