"""Pools as they are known: what was seen of them, and what is done to them.

Nothing is asked of a host.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import downtime
from aggregates_ext.domain import services
from aggregates_ext.domain import sight


@dataclasses.dataclass(frozen=True)
class Pool:
    """What is told of the pool of an aggregate.

    :ivar hosts: all that are bound, by name.
    :ivar standing: the operations that count for the state, in order.
    :ivar seen: the pool as a master showed it last.
    :ivar halted: guests that are down for maintenance, by name of the host.
    """

    aggregate: records.Aggregate
    hosts: Sequence[records.Host]
    standing: Sequence[records.Operation]
    seen: sight.Sight
    halted: dict[str, list[dict[str, str]]]


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
            found = db_aggregates.get(connection, aggregate_id)
            standing: list[records.Operation] = []
            if found.standing:
                standing = services.tell(
                    connection, db_operations.standing(connection, found.id)
                )
            bound = db_hosts.get_all(connection, aggregate_id)
            return Pool(
                found,
                bound,
                standing,
                sight.Sight.of(
                    found.observation,
                    found.observed_at,
                    engine.read_clock(connection),
                    self._interval,
                ),
                _halted(connection, found.id, bound),
            )


def _halted(
    connection: Any, aggregate_id: int, bound: Sequence[records.Host]
) -> dict[str, list[dict[str, str]]]:
    """The guests that are down for the maintenance of hosts, by their names."""
    names = [host.name for host in bound if host.maintenance is not None]
    if not names:
        return {}
    histories = db_operations.of_hosts(
        connection, aggregate_id, names, downtime.KINDS
    )
    return {
        host: [
            {'name': entry['name'], 'uuid': uuid}
            for uuid, entry in sorted(downtime.halted(history).items())
        ]
        for host, history in histories.items()
    }
