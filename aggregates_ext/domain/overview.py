"""Pools as they are known: what was seen of them, and what is done to them.

One of them or all are read in the same few statements (design#overview).
Nothing is asked of a host.
"""

import dataclasses
import datetime
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import downtime
from aggregates_ext.domain import operations
from aggregates_ext.domain import services
from aggregates_ext.domain import sight

# More than that are not read at once.
PAGE = 1000
STATES = ('created', 'changing', 'active', 'error')
# Of a host that is bound.
PHASES = ('joining', 'member', 'leaving', 'returning')
# States of operations that are an error of the aggregate.
WRONG = ('failed', 'unresolved')


@dataclasses.dataclass(frozen=True)
class Pool:
    """What is told of the pool of an aggregate.

    :ivar hosts: all that are bound, by name.
    :ivar standing: the operations that count for the state, in order.
    :ivar seen: the pool as a master showed it last.
    :ivar now: when it was read, by the database's clock.
    :ivar overdue: whether somebody should have looked again by now.
    :ivar abandoned: whether a compute service had it, and does not renew its
        lease any more.
    :ivar halted: guests that are down for maintenance, by name of the host;
        read of one pool alone.
    """

    aggregate: records.Aggregate
    hosts: Sequence[records.Host]
    standing: Sequence[records.Operation]
    seen: sight.Sight
    now: float = 0.0
    overdue: bool = False
    abandoned: bool = False
    halted: Mapping[str, list[dict[str, str]]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def state(self) -> str:
        """That of the aggregate, one of ``STATES``."""
        return operations.operational_state(self.aggregate)

    @property
    def master(self) -> str | None:
        """The master that was seen last, as it is registered or labelled."""
        uuid = (self.aggregate.observation or {}).get('master', '')
        for host in self.hosts:
            if host.uuid and host.uuid == uuid:
                return host.name
        label: str | None = self.seen.hosts.get(uuid, {}).get('name_label')
        return label

    @property
    def phases(self) -> dict[str, int]:
        """How many hosts are in each of ``PHASES``."""
        phases = [host.phase for host in self.hosts]
        return {phase: phases.count(phase) for phase in PHASES}

    @property
    def age(self) -> float | None:
        """Seconds since somebody looked; None: nobody has yet."""
        at = self.aggregate.observed_at
        return None if at is None else max(0.0, self.now - at)

    def shown(self, host: records.Host, field: str) -> Any:
        """What the pool shows of a host that is bound; None: not known."""
        if not self.seen.tells(host.phase, host.phase_since):
            return None
        return self.seen.hosts.get(host.uuid or '', {}).get(field)

    @property
    def wrong_since(self) -> float | None:
        """Since when something of it is an error; None: nothing is.

        In seconds of the epoch. Of what was kept by an older release no
        time may be known.
        """
        times = [entry.since for entry in self.aggregate.drift]
        times += [
            moment(operation)
            for operation in self.standing
            if operation.state in WRONG
        ]
        return min((time for time in times if time is not None), default=None)


def since(operation: records.Operation) -> datetime.datetime:
    """When an operation came into the state that it is in, in UTC."""
    found = operation.created_at
    if operation.state != 'queued':
        found = operation.finished_at or operation.started_at or found
    return found


def moment(operation: records.Operation) -> float:
    """The same in seconds of the epoch."""
    utc = since(operation).replace(tzinfo=datetime.timezone.utc)
    return utc.timestamp()


class Overview:
    """All pools that there are.

    :param database: where they are.
    :param interval: ``observe_interval``: seconds between two looks.
    """

    def __init__(
        self, database: engine.Database, interval: float = 60.0
    ) -> None:
        self._database = database
        self._interval = interval

    def get(self, aggregate_id: int) -> Pool:
        """The pool of one aggregate.

        :raises exception.AggregateNotFound: there is none.
        """
        with self._database.reader() as connection:
            aggregate = db_aggregates.get(connection, aggregate_id)
            [found] = self._read(connection, [aggregate])
            halted = _halted(connection, aggregate.id, found.hosts)
            return dataclasses.replace(found, halted=halted)

    def page(
        self,
        limit: int,
        *,
        state: str | None = None,
        drift: str | bool | None = None,
        **filters: Any,
    ) -> list[Pool]:
        """Some pools by the ids of their aggregates.

        The statements are the same ones whatever there is. What no column
        has, the state and the drift, is looked for among all aggregates.

        :param limit: ``PAGE`` and one more at the most.
        :param drift: a code; or whether there is to be any, or none.
        :param filters: as ``db.aggregates.get_all``; a host may be in any
            phase.
        """
        computed = state is not None or drift is not None
        with self._database.reader() as connection:
            found = db_aggregates.get_all(
                connection,
                limit=None if computed else limit,
                phases=None,
                **filters,
            )
            wanted = [item for item in found if _fits(item, state, drift)]
            return self._read(connection, wanted[:limit])

    def get_all(self) -> list[Pool]:
        """Every pool, of one state, in some statements for each page."""
        with self._database.reader() as connection:
            found = db_aggregates.get_all(connection)
            return [
                pool
                for start in range(0, len(found), PAGE)
                for pool in self._read(connection, found[start : start + PAGE])
            ]

    def _read(
        self, connection: Any, aggregates: Sequence[records.Aggregate]
    ) -> list[Pool]:
        """What is known of the pools of some aggregates."""
        if not aggregates:
            return []
        keys = [aggregate.id for aggregate in aggregates]
        looks = db_pools.looks(connection, keys)
        bound = db_hosts.of_aggregates(connection, keys)
        standing: dict[int, list[records.Operation]] = {k: [] for k in keys}
        counting = [found.id for found in aggregates if found.standing]
        if counting:
            for operation in services.tell(
                connection, db_operations.standing(connection, counting)
            ):
                standing[operation.aggregate_id].append(operation)
        return [
            _pool(
                aggregate,
                bound[aggregate.id],
                standing[aggregate.id],
                looks[aggregate.id],
                self._interval,
            )
            for aggregate in aggregates
        ]


def _pool(
    aggregate: records.Aggregate,
    hosts: Sequence[records.Host],
    standing: Sequence[records.Operation],
    look: db_pools.Look,
    interval: float,
) -> Pool:
    at, until, now = aggregate.observed_at, look.lease_until, look.now
    # Who works on a pool looks when that is done. Nobody looks at a pool
    # without hosts; a new one has its time from its first host on.
    last = max([at or 0.0, *(host.phase_since or 0.0 for host in hosts)])
    at_rest = until is None or until < now
    return Pool(
        dataclasses.replace(aggregate, observation=look.observation),
        hosts,
        standing,
        sight.Sight.of(look.observation, at, now, interval),
        now,
        bool(hosts) and at_rest and not sight.is_recent(last, now, interval),
        until is not None and at_rest,
    )


def _fits(
    aggregate: records.Aggregate, state: str | None, drift: str | bool | None
) -> bool:
    """Whether an aggregate is in a state and has drifted so, where asked."""
    if state not in (None, operations.operational_state(aggregate)):
        return False
    codes = {entry.code for entry in aggregate.drift}
    if isinstance(drift, bool):
        return bool(codes) is drift
    return drift is None or drift in codes


def _halted(
    connection: Any, aggregate_id: int, bound: Sequence[records.Host]
) -> dict[str, list[dict[str, str]]]:
    """The guests that are down for the maintenance of hosts, by their names."""
    names = [host.name for host in bound if host.maintenance is not None]
    if not names:
        return {}
    histories = db_operations.of_hosts(
        connection, aggregate_id, names, downtime.HISTORY
    )
    return {
        host: [
            {'name': entry['name'], 'uuid': uuid}
            for uuid, entry in sorted(downtime.halted(history).items())
        ]
        for host, history in histories.items()
    }
