"""Writing an intent: one transaction, then a wake-up, and patience.

The database holds what is wanted; the compute service finds it there
(design#processes).
"""

import copy
import dataclasses
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TypeVar

from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

SETTLE_POLL = 0.2
# What requests change in an aggregate without an operation.
REQUESTED = ('uuid', 'name', 'availability_zone', 'metadata', 'hosts')
T = TypeVar('T')


class Compute(Protocol):
    """What is asked of the compute service, whoever carries it."""

    def wake_up(self) -> None: ...

    def check_host(
        self,
        host: str,
        aggregate_id: int,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
        shut_down: Sequence[str] = (),
        *,
        hard: bool = False,
        network: str | None = None,
    ) -> dict[str, Any] | None: ...

    def plan_rolling(
        self, aggregate_id: int, asked: Mapping[str, Any]
    ) -> dict[str, Any] | None: ...


@dataclasses.dataclass(frozen=True)
class Change:
    """An aggregate after a request, and the operation that it caused."""

    aggregate: records.Aggregate
    operation: str | None = None


class _Unfinished(Exception):
    """An operation has not ended yet."""


class Intent:
    """How changes of aggregates get into the database.

    :param compute: wakes compute services.
    :param settle_wait: seconds to wait for what is just ending.
    :param sleep: replaced in tests.
    :ivar guard: looks at each aggregate before it is changed.
    """

    def __init__(
        self,
        database: engine.Database,
        compute: Compute,
        settle_wait: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.database = database
        self.compute = compute
        self._settle_wait = settle_wait
        self._sleep = sleep
        self.guard: db_aggregates.Guard | None = None

    def under(self, guard: db_aggregates.Guard) -> 'Intent':
        """The same for one request that asks for a certain state."""
        guarded = copy.copy(self)
        guarded.guard = guard
        return guarded

    def lock(self, connection: Any, aggregate_id: int) -> Any:
        """Hold an aggregate that is to be changed, if it may be."""
        return db_aggregates.lock(connection, aggregate_id, self.guard)

    def hold(self, connection: Any, aggregate_id: int) -> records.Aggregate:
        """The same, and what belongs to it."""
        return db_aggregates.hold(connection, aggregate_id, self.guard)

    def commit(self, work: Callable[[Any], Change]) -> Change:
        """Write an intent, then wake a compute service for it."""
        change = self.database.write(work, _is_written)
        if change.operation:
            self.compute.wake_up()
        return change

    def write(
        self, work: Callable[[Any], records.Aggregate]
    ) -> records.Aggregate:
        """Write what causes no operation."""
        return self.database.write(work, shows)

    def patiently(
        self,
        passing: type[Exception],
        attempt: Callable[[], T],
        last: Callable[[], T] | None = None,
    ) -> T:
        """Try until an obstacle that passes by itself is gone.

        :param passing: the refusal that may pass within ``settle_wait``.
        :param last: what is tried when that is over, if it is another thing.
        """
        waited = 0.0
        while True:
            over = waited >= self._settle_wait
            try:
                return (last or attempt)() if over else attempt()
            except passing:
                if over:
                    raise
            self._sleep(SETTLE_POLL)
            waited += SETTLE_POLL

    def await_end(
        self,
        queued: records.Operation,
        enough: Callable[[records.Operation], bool] = lambda _operation: False,
    ) -> records.Operation:
        """Wait for the end of an operation, if it comes soon.

        :param enough: whether one that has not ended is waited for no longer.
        :returns: it, as it is then, ended or not.
        :raises exception.Conflict: it has failed; whoever asked is told so,
            and it counts no longer.
        """

        def read() -> records.Operation:
            with self.database.reader() as connection:
                return db_operations.get(connection, queued.uuid)

        def look() -> records.Operation:
            found = read()
            going_on = found.state in db_operations.UNFINISHED
            if going_on and not enough(found):
                raise _Unfinished
            return found

        ended = self.patiently(_Unfinished, look, read)
        if ended.state == 'failed':
            self.database.write(
                lambda connection: db_operations.settle_failed(
                    connection, keys=(ended.id,)
                )
            )
            raise exception.Conflict(reason=(ended.error or {})['message'])
        return ended


def _is_written(connection: Any, change: Change) -> bool:
    """Whether a change is in the database, told by what it leaves there.

    :raises exception.NotFound: it is not.
    """
    if change.operation is None:
        return shows(connection, change.aggregate)
    return bool(db_operations.get(connection, change.operation))


def shows(connection: Any, wanted: records.Aggregate) -> bool:
    """Whether an aggregate is as a request wanted it.

    :raises exception.NotFound: there is none.
    """
    found = db_aggregates.get(connection, wanted.id)
    return all(
        getattr(found, name) == getattr(wanted, name) for name in REQUESTED
    )
