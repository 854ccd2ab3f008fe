"""What processes and tables take, and whether it grows with time."""

import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import psutil

MIB = 1 << 20
# Seconds in which caches fill, threads are made and the heap finds its size.
WARM_UP = 900.0
# Fewer samples after the warm-up tell nothing of a trend.
LEAST = 8


class Slack(NamedTuple):
    """By how much the second half of a run may be above the first.

    :ivar share: of the first half.
    """

    least: float
    share: float = 0.0

    def of(self, value: float) -> float:
        """The most that may come after a value."""
        return value + max(self.least, self.share * value)


# What is asked of a process, each in its own unit.
SLACKS = {
    'memory': Slack(3.0, 0.03),
    'descriptors': Slack(3),
    'threads': Slack(3),
    'rows': Slack(10, 0.25),
}


def of_process(process_id: int) -> dict[str, float]:
    """What a process takes now; memory in MiB, that of no other process."""
    process = psutil.Process(process_id)
    return {
        'memory': process.memory_full_info().uss / MIB,
        'descriptors': process.num_fds(),
        'threads': process.num_threads(),
    }


class Series:
    """Samples of many things, taken at the same moments."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def add(
        self, what: str, sample: Mapping[str, float], moment: float
    ) -> None:
        """Take down one sample of a process or a table.

        :param moment: seconds since the beginning.
        """
        for kind, value in sample.items():
            self._values.setdefault((what, kind), []).append((moment, value))

    def halves(self) -> dict[tuple[str, str], tuple[float, float]]:
        """The medians of both halves after the warm-up.

        Of what has too few samples there is none.
        """
        found = {}
        for key, values in self._values.items():
            warm = [value for moment, value in values if moment >= WARM_UP]
            if len(warm) >= LEAST:
                middle = len(warm) // 2
                found[key] = (
                    statistics.median(warm[:middle]),
                    statistics.median(warm[middle:]),
                )
        return found

    def grown(self) -> list[str]:
        """What is not flat: a line each."""
        return [
            f'{what}: {kind} {first:.1f} -> {second:.1f}'
            for (what, kind), (first, second) in self.halves().items()
            if second > SLACKS[kind].of(first)
        ]

    def table(self) -> Sequence[str]:
        """A line for each: how often, first, both medians, most and last."""
        halves = self.halves()
        lines = []
        for (what, kind), taken in sorted(self._values.items()):
            values = [value for _moment, value in taken]
            medians = ' -> '.join(
                f'{v:7.1f}' for v in halves.get((what, kind), ())
            )
            lines.append(
                f'{what:30} {kind:12} n={len(values):3} '
                f'first {values[0]:7.1f}  halves {medians or "-":18} '
                f'most {max(values):7.1f}  last {values[-1]:7.1f}'
            )
        return lines
