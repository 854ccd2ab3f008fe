"""When hosts were seen that no pool shows: the free ones."""

import sqlalchemy as sa

from aggregates_ext.db import hosts
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_TABLE = models.hosts


def _is_due(now: float, interval: float) -> sa.ColumnElement[bool]:
    last = sa.func.coalesce(_TABLE.c.looked_at, _TABLE.c.phase_since, 0.0)
    return sa.and_(
        _TABLE.c.phase == 'free', sa.func.abs(now - last) > interval
    )


def due(
    connection: sa.Connection, interval: float, limit: int
) -> list[records.Host]:
    """Free hosts that want a look.

    There may be thousands, which are asked for some at a time: by a range of
    an index each those that were never looked at, those long ago, and those
    in the future, where a clock that is set back leaves looks.

    :param interval: seconds between two looks, and before the first.
    """
    now = engine.read_clock(connection)
    looked = _TABLE.c.looked_at
    wanted = sa.select(*hosts.COLUMNS).where(_is_due(now, interval))
    found: list[records.Host] = []
    for query in (
        wanted.where(looked.is_(None)),
        wanted.where(looked < now - interval).order_by(looked),
        wanted.where(looked > now + interval).order_by(looked),
    ):
        if len(found) < limit:
            rows = connection.execute(query.limit(limit - len(found)))
            found += map(hosts.record, rows)
    return found


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
