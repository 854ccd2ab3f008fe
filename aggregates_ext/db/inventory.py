"""What is known of every registered host, in two statements."""

import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from aggregates_ext.db.schema import models

_HOSTS = models.hosts
_AGGREGATES = models.aggregates


@dataclasses.dataclass(frozen=True)
class Home:
    """The aggregate that a host is bound to.

    :ivar seen: the hosts of its pool as last seen, by XenServer uuid; None:
        its pool did not let itself be seen.
    :ivar observed_at: seconds of the epoch; None: nobody has looked yet.
    """

    availability_zone: str | None
    seen: dict[str, Any] | None
    observed_at: float | None


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered host, and where it is bound.

    :ivar availability_zone: its own.
    """

    id: int
    name: str
    uuid: str | None
    url: str
    address: str | None
    availability_zone: str | None
    phase: str
    created_at: datetime.datetime
    home: Home | None


def read(connection: sa.Connection) -> list[Entry]:
    """All registered hosts, by name."""
    homes = {
        row.id: _home(row)
        for row in connection.execute(
            sa.select(
                _AGGREGATES.c.id,
                _AGGREGATES.c.availability_zone,
                _AGGREGATES.c.observation,
                _AGGREGATES.c.observed_at,
            ).where(_AGGREGATES.c.deleted == 0)
        )
    }
    return [
        Entry(
            id=row.id,
            name=row.name,
            uuid=row.uuid,
            url=row.url,
            address=row.address,
            availability_zone=row.availability_zone,
            phase=row.phase,
            created_at=row.created_at,
            home=homes.get(row.aggregate_id),
        )
        for row in connection.execute(
            sa.select(
                _HOSTS.c.id,
                _HOSTS.c.name,
                _HOSTS.c.uuid,
                _HOSTS.c.url,
                _HOSTS.c.address,
                _HOSTS.c.availability_zone,
                _HOSTS.c.phase,
                _HOSTS.c.created_at,
                _HOSTS.c.aggregate_id,
            ).order_by(_HOSTS.c.name)
        )
    ]


def _home(row: Any) -> Home:
    seen = None
    if row.observation is not None:
        seen = {host['uuid']: host for host in row.observation['hosts']}
    return Home(row.availability_zone, seen, row.observed_at)
