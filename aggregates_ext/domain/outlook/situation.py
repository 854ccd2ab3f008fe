"""How things stand with an aggregate: what its requests are judged by.

Read at once, in as many statements whatever there is
(design#allowed-actions).
"""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import rolling
from aggregates_ext.domain.membership import retries


@dataclasses.dataclass(frozen=True)
class Situation:
    """An aggregate, its hosts, and what counts for its state.

    :ivar hosts: those that are bound and those that operations name, by name.
    :ivar standing: the operations that count, in order.
    :ivar now: when it was read, by the database's clock.
    :ivar requests: what was asked of the run that has paused.
    :ivar lasts: the last operation on a host, by aggregate and name, of hosts
        that are no members.
    :ivar successors: the last operation of each kind and host, of those that
        may have taken the place of one that has failed.
    """

    aggregate: records.Aggregate
    hosts: Mapping[str, records.Host]
    standing: Sequence[records.Operation]
    now: float
    requests: Sequence[records.Operation] = ()
    lasts: Mapping[tuple[int, str], records.Operation] = dataclasses.field(
        default_factory=dict
    )
    successors: Sequence[records.Operation] = ()

    @property
    def key(self) -> int:
        return self.aggregate.id

    @property
    def bound(self) -> list[records.Host]:
        """The hosts that are bound to it, by name."""
        return [h for h in self.hosts.values() if h.aggregate_id == self.key]

    @property
    def going_on(self) -> list[records.Operation]:
        """What is open, the newest first."""
        return operations.going_on(self.standing)

    def host(self, name: str | None) -> records.Host:
        """:raises exception.HostNotFound: it is not registered any more."""
        found = self.hosts.get(str(name))
        if found is None:
            raise exception.HostNotFound(host=name)
        return found

    def on(self, host: records.Host) -> list[records.Operation]:
        """What is open of a host, in order."""
        return [
            operation
            for operation in self.standing
            if operation.host == host.name
            and operation.state in db_operations.OPEN
        ]

    def last(self, aggregate_id: int, host: str) -> records.Operation | None:
        """As ``endings.Last``."""
        return self.lasts.get((aggregate_id, host))

    def later(self, old: records.Operation) -> records.Operation | None:
        """What took the place of an operation that has failed."""
        found = [
            operation
            for operation in self.successors
            if db_operations.replaces(operation, old)
        ]
        return max(found, key=lambda operation: operation.id, default=None)


class Outlook:
    """Tells how things stand.

    :param database: where they do.
    """

    def __init__(self, database: engine.Database) -> None:
        self._database = database

    def get(self, aggregate_id: int, host: str | None = None) -> Situation:
        """How things stand with an aggregate.

        :param host: one that is to be among the hosts, wherever it is.
        :raises exception.AggregateNotFound: there is none.
        :raises exception.HostNotFound: it is not registered.
        """
        with self._database.reader() as connection:
            aggregate = db_aggregates.get(connection, aggregate_id)
            standing, now = db_operations.counting(connection, aggregate_id)
            names = {host, *(operation.host for operation in standing)}
            hosts = db_hosts.beside(
                connection, aggregate_id, {name for name in names if name}
            )
            found = Situation(
                aggregate,
                hosts,
                standing,
                now,
                _requests(connection, standing),
                _lasts(connection, aggregate_id, hosts.values(), standing),
                _successors(connection, aggregate_id, standing),
            )
        if host is not None:
            found.host(host)
        return found


def _requests(
    connection: Any, standing: Sequence[records.Operation]
) -> list[records.Operation]:
    """What was asked of the run that has paused; there is one at a time."""
    for operation in standing:
        if rolling.paused(operation) is not None:
            return db_operations.requests(connection, operation)
    return []


def _lasts(
    connection: Any,
    key: int,
    hosts: Iterable[records.Host],
    standing: Sequence[records.Operation],
) -> dict[tuple[int, str], records.Operation]:
    """The last operations on hosts that are missed, or may be.

    One that joins is missed only by who tries to make it the master again.
    """
    failed = {o.host for o in standing if o.state in retries.ENDED}
    places = {
        (place, host.name)
        for host in hosts
        for place in (key, host.aggregate_id or key)
        if host.aggregate_id != key
        or host.phase not in db_aggregates.LISTED_PHASES
        or (host.phase != 'member' and host.name in failed)
    }
    found = db_operations.last_of(connection, places)
    return {(item.aggregate_id, str(item.host)): item for item in found}


def _successors(
    connection: Any, key: int, standing: Sequence[records.Operation]
) -> list[records.Operation]:
    failed = [o for o in standing if o.state in retries.ENDED]
    if not failed:
        return []
    return db_operations.successors(connection, key, failed)
