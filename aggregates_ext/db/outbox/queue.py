"""What is to be told, as whoever sends it takes it out.

One service sends at a time: who has claimed the oldest row. Another that
takes over sends from the oldest row on too, so whatever is told first is told
in order (design#notifications).
"""

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa
from oslo_utils import timeutils

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_TABLE = models.notifications


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table, but for the claim."""

    id: int
    uuid: str
    object: str
    action: str
    phase: str | None
    machine: str
    created_at: datetime.datetime
    aggregate_id: int | None
    aggregate_uuid: str | None
    name: str | None
    availability_zone: str | None
    metadata: dict[str, str] | None
    hosts: str | None
    host: str | None
    host_id: int | None
    registered_at: datetime.datetime | None
    service: str | None
    disabled_reason: str | None
    seen_at: float | None
    details: dict[str, Any] | None
    context: dict[str, Any] | None


_FIELDS = [field.name for field in dataclasses.fields(Row)]


class Backlog(NamedTuple):
    """What is still to be told.

    :ivar number: how many messages.
    :ivar since: when the oldest was written down, in seconds of the epoch;
        None: there is none.
    :ivar age: seconds since then.
    """

    number: int
    since: float | None = None
    age: float = 0.0


def backlog(connection: sa.Connection) -> Backlog:
    """How much there is to tell, and since when."""
    number, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(_TABLE.c.created_at))
    ).one()
    if oldest is None:
        return Backlog(0)
    age = (timeutils.utcnow() - oldest).total_seconds()
    since = oldest.replace(tzinfo=datetime.timezone.utc).timestamp()
    return Backlog(number, since, max(0.0, age))


def is_empty(connection: sa.Connection) -> bool:
    """Whether there is nothing to tell."""
    return connection.scalar(sa.select(_TABLE.c.id).limit(1)) is None


def claim(
    connection: sa.Connection, owner: str, ttl: float, limit: int
) -> list[Row]:
    """The oldest rows in order, if nobody else sends them now.

    :param ttl: seconds for which nobody else does.
    """
    oldest = connection.scalar(sa.select(sa.func.min(_TABLE.c.id)))
    result = connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.id == oldest,
            sa.or_(
                _TABLE.c.claimed_until.is_(None),
                _TABLE.c.claimed_until < engine.now(),
                _TABLE.c.claimed_by == owner,
            ),
        )
        .values(claimed_by=owner, claimed_until=engine.now() + ttl)
    )
    return waiting(connection, limit) if result.rowcount else []


def waiting(connection: sa.Connection, limit: int | None = None) -> list[Row]:
    """The oldest rows in order, or all."""
    rows = connection.execute(
        sa.select(*(_TABLE.c[name] for name in _FIELDS))
        .order_by(_TABLE.c.id)
        .limit(limit)
    )
    return [Row(*row) for row in rows]


def give_back(connection: sa.Connection, owner: str) -> None:
    """Let somebody else send what this one has claimed."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.claimed_by == owner)
        .values(claimed_by=None, claimed_until=None)
    )


def delete(connection: sa.Connection, ids: Collection[int]) -> None:
    """Forget what has been told."""
    connection.execute(sa.delete(_TABLE).where(_TABLE.c.id.in_(ids)))


def drop(
    connection: sa.Connection,
    before: datetime.datetime,
    most: int,
    limit: int,
) -> int:
    """Delete the oldest rows that are too old, or too many.

    :param before: when they must have been written, UTC.
    :param most: how many may stay.
    :param limit: how many this deletes at the most.
    :returns: how many it has deleted.
    """
    count = connection.scalar(sa.select(sa.func.count()).select_from(_TABLE))
    found = connection.execute(
        sa.select(_TABLE.c.id, _TABLE.c.created_at)
        .order_by(_TABLE.c.id)
        .limit(limit)
    ).all()
    surplus = (count or 0) - most
    ids = [
        row.id
        for number, row in enumerate(found)
        if number < surplus or row.created_at < before
    ]
    if ids:
        delete(connection, ids)
    return len(ids)
