"""What a process still has when large answers are gone.

``python -m tests.functional.held PLACE THREADS ROUNDS`` asks a host again and
again, from several threads at once, and prints by how many bytes the process
has grown. Each thread keeps something small, as services do.
"""

import contextlib
import sys
import threading

import psutil

from aggregates_ext.compute.xen import transport
from aggregates_ext.compute.xen import wire

LIMIT = 64 << 20
SECONDS = 120.0


def size() -> int:
    """Bytes of this process alone."""
    return int(psutil.Process().memory_full_info().uss)


def ask(place: str, kept: list[bytearray]) -> None:
    """One request, to which more comes than may be."""
    line = transport.Transport(SECONDS, None, None)
    line.limit = LIMIT
    with contextlib.suppress(wire.TooMuch):
        line.get(place, '/')
    kept.append(bytearray(3000))


def main(place: str, number: str, rounds: str) -> None:
    """Measure it."""
    before = size()
    kept: list[bytearray] = []
    for _ in range(int(rounds)):
        asking = [
            threading.Thread(target=ask, args=(place, kept))
            for _ in range(int(number))
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
    assert len(kept) == int(rounds) * int(number)
    print(size() - before)


if __name__ == '__main__':
    main(*sys.argv[1:])
