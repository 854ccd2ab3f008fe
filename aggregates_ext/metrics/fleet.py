"""What the database knows of all pools, for their numbers.

The statements are the same ones whatever there is: none for a pool or a host
(design#numbers).
"""

import datetime
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from oslo_utils import timeutils

from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import inventory as db_inventory
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import services as db_services
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import queue
from aggregates_ext.domain import inventory


class Host(NamedTuple):
    """A registered host.

    :ivar live: it is up, as ``os-services`` tells it.
    :ivar enabled: it takes machines, as far as is known.
    """

    entry: db_inventory.Entry
    live: bool
    enabled: bool
    alarm: bool


class Fleet(NamedTuple):
    """All that there is, at one moment.

    :ivar services: how many compute services are alive, and how many not.
    :ivar oldest: kind -> age in seconds of what has not ended.
    :ivar moves: state -> how many that have not ended.
    :ivar pools: by id of their aggregates.
    :ivar hosts: in the order of their registration.
    :ivar backlog: what is still to be told on the bus; None: nothing is told
        there.
    """

    services: tuple[int, int]
    operations: Sequence[db_operations.Tally]
    oldest: dict[str, float]
    moves: dict[str, int]
    pools: Sequence[db_pools.Known]
    hosts: Sequence[Host]
    backlog: queue.Backlog | None = None


def read_services(connection: Any) -> tuple[int, int]:
    """How many compute services are alive, and how many are dead."""
    found, now = db_services.get_all(connection)
    alive = sum(service.alive_until >= now for service in found)
    return alive, len(found) - alive


def services(database: engine.Database) -> tuple[int, int]:
    """The same, and nothing else.

    :raises exception.Unavailable: the database cannot be reached.
    """
    with database.reader() as connection:
        return read_services(connection)


def read(
    database: engine.Database, interval: float, *, telling: bool = False
) -> Fleet:
    """All of it.

    :param interval: ``observe_interval``, by which a look is too old.
    :param telling: whether changes are told on the bus.
    :raises exception.Unavailable: the database cannot be reached.
    """
    with database.reader() as connection:
        counted = db_operations.tally(connection)
        pools = db_pools.known(connection)
        homes = {
            pool.id: db_inventory.Home(
                None, pool.observation, pool.observed_at
            )
            for pool in pools
        }
        alarmed = db_hosts.alarmed(connection)
        sights = inventory.Sights(interval)
        hosts = [
            Host(
                entry,
                *inventory.up_and_enabled(entry, sights),
                entry.id in alarmed,
            )
            for entry in db_inventory.entries(connection, homes)
        ]
        return Fleet(
            read_services(connection),
            counted,
            _oldest(counted, timeutils.utcnow()),
            db_moves.tally(connection),
            pools,
            sorted(hosts, key=lambda host: host.entry.id),
            queue.backlog(connection) if telling else None,
        )


def _oldest(
    counted: Sequence[db_operations.Tally], now: datetime.datetime
) -> dict[str, float]:
    """The greatest age of each kind that has something unfinished."""
    ages: dict[str, float] = {}
    for tally in counted:
        if tally.state in db_operations.UNFINISHED:
            age = max(0.0, (now - tally.oldest).total_seconds())
            ages[tally.kind] = max(age, ages.get(tally.kind, 0.0))
    return ages
