"""The work of a compute service, counted as it goes on."""

import re
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import prometheus_client

from aggregates_ext.compute.run import meter
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.metrics import families
from aggregates_ext.metrics import process

# Seconds: what ends within a look, up to the hours of a whole pool.
BUCKETS = (1, 5, 15, 60, 300, 900, 1800, 3600, 14_400)
# Operations that are followed at once. One that another service goes on with
# is never seen to end here.
FOLLOWED = 10_000
# Labels of steps; what comes after them is told as one.
MOST_STEPS = 200
OTHER = 'other'
# Before its first step.
BEGUN = 'begun'
_NUMBER = re.compile(r'\d+')
_OF_HOST = 'host '


class _At(NamedTuple):
    """Where an operation is, and since when by the monotonic clock."""

    step: str
    since: float


class Work(meter.Meter):
    """Counts what the service tells.

    :param registry: where the numbers are asked for.
    """

    def __init__(
        self,
        registry: prometheus_client.CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._followed: dict[str, _At] = {}
        self._steps: set[tuple[str, str]] = set()
        self._operations = process.histogram(
            families.OPERATION_SECONDS, registry, BUCKETS
        )
        self._step_seconds = process.histogram(
            families.STEP_SECONDS, registry, BUCKETS
        )
        self._moves = prometheus_client.Counter(
            families.MOVES_ENDED.title,
            families.MOVES_ENDED.help,
            families.MOVES_ENDED.labels,
            registry=registry,
        )
        for result in meter.RESULTS:
            # From the first one on there is an increase.
            self._moves.labels(result)
        self._at_work = prometheus_client.Gauge(
            families.AT_WORK.title, families.AT_WORK.help, registry=registry
        )
        self._lost = prometheus_client.Counter(
            families.LEASES_LOST.title,
            families.LEASES_LOST.help,
            registry=registry,
        )

    def at(self, operation: records.Operation) -> None:
        """Count the step that an operation was at, when it is at another.

        One that ends is counted once, as what it ended.
        """
        goes_on = operation.state in db_operations.UNFINISHED
        step = _name(operation.step)
        now = self._clock()
        with self._lock:
            before = self._followed.pop(operation.uuid, None)
            stays = goes_on and before is not None and before.step == step
            if goes_on:
                self._followed[operation.uuid] = (
                    before if before and stays else _At(step, now)
                )
                if len(self._followed) > FOLLOWED:
                    del self._followed[next(iter(self._followed))]
        if before is None:
            return
        if not stays:
            self._step_seconds.labels(
                operation.kind, self._known(operation.kind, before.step)
            ).observe(now - before.since)
        if not goes_on and operation.finished_at is not None:
            taken = operation.finished_at - operation.created_at
            self._operations.labels(operation.kind, operation.state).observe(
                max(0.0, taken.total_seconds())
            )

    def _known(self, kind: str, step: str) -> str:
        """A step, while there are not too many of them."""
        with self._lock:
            if (kind, step) not in self._steps:
                if len(self._steps) >= MOST_STEPS:
                    return OTHER
                self._steps.add((kind, step))
        return step

    def moved(self, result: str) -> None:
        """Count it."""
        self._moves.labels(result).inc()

    def lease_lost(self) -> None:
        """Count it."""
        self._lost.inc()

    def at_work(self, pools: int) -> None:
        """Keep how many there are."""
        self._at_work.set(pools)


def _name(step: str | None) -> str:
    """A step without what differs each time: numbers, names of hosts."""
    if step is None:
        return BEGUN
    what, colon, more = step.partition(': ')
    if what.startswith(_OF_HOST) and colon:
        what = f'{_OF_HOST.strip()}: {more}'
    return families.label(_NUMBER.sub('N', what))
