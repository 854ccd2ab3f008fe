"""Large answers leave nothing behind in a process."""

import functools
import random
import subprocess
import sys
import threading

import psutil

from aggregates_ext.cmd import heap

THREADS, ANSWERS = 8, 60
MIB = 1 << 20
# What all of it may leave, where it is some 70 MiB otherwise.
LEFT = 20 * MIB


def _read_answers(number: int, kept: list[bytearray]) -> None:
    """Take large answers, and keep something small of each."""
    dice = random.Random(number)
    for _ in range(ANSWERS):
        answer = bytearray()
        size = dice.randrange(2 * heap.LARGE, 8 * MIB)
        while len(answer) < size:
            answer += bytes(1 << 16)
        kept.append(bytearray(dice.randrange(600, 60_000)))
        if len(kept) > 25:
            kept.pop(dice.randrange(25))


def main() -> None:
    """Print what is left, in bytes."""
    heap.give_back()
    process = psutil.Process()
    before = process.memory_full_info().uss
    kept: list[list[bytearray]] = [[] for _ in range(THREADS)]
    threads = [
        threading.Thread(target=functools.partial(_read_answers, n, kept[n]))
        for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(process.memory_full_info().uss - before)


def test_what_large_answers_have_taken_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, '-c', f'from {__name__} import main; main()'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < LEFT
