"""When hosts were seen that no pool shows: the free ones."""

import sqlalchemy as sa

from aggregates_ext.db import hosts
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_TABLE = models.hosts


def _is_due(now: float, interval: float) -> sa.ColumnElement[bool]:
    # A clock that is set back leaves looks in the future.
    return sa.and_(
        _TABLE.c.aggregate_id.is_(None),
        sa.func.abs(now - _last()) > interval,
    )


def _last() -> sa.ColumnElement[float]:
    return sa.func.coalesce(_TABLE.c.looked_at, _TABLE.c.phase_since, 0.0)


def due(
    connection: sa.Connection, interval: float, limit: int
) -> list[records.Host]:
    """Free hosts that want a look.

    :param interval: seconds between two looks, and before the first.
    """
    rows = connection.execute(
        sa.select(*hosts.COLUMNS)
        .where(_is_due(engine.read_clock(connection), interval))
        .order_by(_last())
        .limit(limit)
    )
    return [hosts.record(row) for row in rows]


def claim(
    connection: sa.Connection, found: list[records.Host], interval: float
) -> list[records.Host]:
    """Those among some hosts that no other service looks at now."""
    now = engine.read_clock(connection)
    return [
        host
        for host in found
        if connection.execute(
            sa.update(_TABLE)
            .where(_TABLE.c.id == host.id, _is_due(now, interval))
            .values(looked_at=now)
        ).rowcount
    ]


def note(connection: sa.Connection, host: records.Host) -> None:
    """A host was seen now."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == host.id)
        .values(seen_at=engine.now())
    )
