"""Leases on aggregates, written and compared by the database's clock.

A worker claims an aggregate by one conditional UPDATE that begins a new
epoch; every later write of that worker goes through ``fence`` (design#leases).
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.db import moves
from aggregates_ext.db import operations
from aggregates_ext.db import records
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_TABLE = models.aggregates
_HOSTS = models.hosts
_OPERATIONS = models.operations
# Seconds between two looks at a host that returns from its eject.
RETURN_INTERVAL = 10.0


def _is_free(
    now: sa.ColumnElement[float] | float,
) -> sa.ColumnElement[bool]:
    return sa.or_(_TABLE.c.lease_until.is_(None), _TABLE.c.lease_until < now)


def is_stale(
    connection: sa.Connection, aggregate_id: int, observe_interval: float
) -> bool:
    """Whether a pool is to be looked at again, see ``candidates``."""
    now = engine.read_clock(connection)
    asked = _stale(now, observe_interval, 1, aggregate_id)
    return connection.execute(asked).first() is not None


def candidates(
    connection: sa.Connection, observe_interval: float, limit: int
) -> list[int]:
    """Aggregates that want work and that nobody holds.

    A deleted one wants it too, while a host of it is on its way back.

    Each service asks each second, so it reads what is due, and no more with a
    larger fleet (design#search).

    :param observe_interval: seconds after which a pool is looked at again;
        one that a host returns from is looked at more often, unless an
        alarm says that the host needs somebody.
    """
    # A value: PostgreSQL asks no index for what its clock says now.
    now = engine.read_clock(connection)
    asked = [_due(now), _stale(now, observe_interval, limit)]
    found: dict[int, None] = {}
    for query in asked:
        if len(found) < limit:
            rows = connection.execute(query.limit(limit))
            found |= dict.fromkeys(row[0] for row in rows)
    return list(found)[:limit]


def _due(now: float) -> sa.Select[Any]:
    """Those with operations or moves to be gone on with."""
    earlier = _OPERATIONS.alias()
    # From what is unfinished, which is little, and not from the history of
    # each aggregate.
    unfinished = sa.select(_OPERATIONS.c.aggregate_id).where(
        _OPERATIONS.c.state.in_(operations.UNFINISHED),
        sa.or_(
            _OPERATIONS.c.not_before.is_(None),
            _OPERATIONS.c.not_before <= now,
        ),
        # One behind a resting operation of the same host, or like it of
        # none, rests with it.
        ~sa.exists().where(
            earlier.c.aggregate_id == _OPERATIONS.c.aggregate_id,
            # Not by the index of hosts either.
            sa.func.coalesce(earlier.c.host, '')
            == sa.func.coalesce(_OPERATIONS.c.host, ''),
            earlier.c.kind.not_in(operations.STANDS_ASIDE),
            earlier.c.settled == sa.false(),
            # Not by the order of the ids, which is that of the history.
            _OPERATIONS.c.id - earlier.c.id > 0,
            earlier.c.state.in_(operations.UNFINISHED),
            earlier.c.not_before > now,
        ),
    )
    due = sa.union(unfinished, moves.due()).subquery()
    return (
        sa.select(_TABLE.c.id)
        .join(due, due.c.aggregate_id == _TABLE.c.id)
        .where(_is_free(now))
        .order_by(_TABLE.c.observed_at)
    )


def _stale(
    now: float, interval: float, limit: int, aggregate_id: int | None = None
) -> sa.Select[Any]:
    """Those whose pools are to be looked at again, the oldest looks first.

    A range of an index each: never, long ago, and in the future, where a
    clock that is set back leaves looks.

    :param limit: how many of each are enough.
    :param aggregate_id: of the only one that is asked for, free or not.
    """
    at = _TABLE.c.observed_at
    wanted = sa.select(_TABLE.c.id, at).where(
        _is_free(now) if aggregate_id is None else _TABLE.c.id == aggregate_id
    )
    # Not EXISTS, for which MariaDB may read the hosts of all.
    bound = (
        sa.select(_HOSTS.c.id)
        .where(_HOSTS.c.aggregate_id == _TABLE.c.id)
        .limit(1)
        .correlate(_TABLE)
        .scalar_subquery()
    )
    living = wanted.where(_TABLE.c.deleted == 0, bound.is_not(None))
    age = sa.func.abs(now - at)
    soon = min(RETURN_INTERVAL, interval)
    returning = wanted.join(
        _HOSTS, _HOSTS.c.aggregate_id == _TABLE.c.id
    ).where(
        _HOSTS.c.phase == 'returning',
        sa.or_(
            at.is_(None),
            age > interval,
            sa.and_(age > soon, _HOSTS.c.alarm.is_(None)),
        ),
    )
    parts = [
        living.where(at.is_(None)),
        living.where(at < now - interval).order_by(at),
        living.where(at > now + interval).order_by(at),
        returning,
    ]
    # Of a clock that jumps, all are due: so many of them are enough.
    found = sa.union(
        *(
            sa.select(part.c.id, part.c.observed_at)
            for part in (part.limit(limit).subquery() for part in parts)
        )
    ).subquery()
    return sa.select(found.c.id).order_by(
        sa.func.coalesce(found.c.observed_at, 0.0)
    )


def rests(connection: sa.Connection) -> float | None:
    """Seconds until the first of what rests is due; None: nothing rests."""
    operation = sa.select(sa.func.min(_OPERATIONS.c.not_before)).where(
        _OPERATIONS.c.state.in_(operations.UNFINISHED),
        _OPERATIONS.c.not_before > engine.now(),
    )
    found = connection.execute(
        sa.select(
            operation.scalar_subquery(),
            moves.rests().scalar_subquery(),
            engine.now(),
        )
    ).one()
    *due, now = found
    return min((float(at) - now for at in due if at is not None), default=None)


def claim(
    connection: sa.Connection, aggregate_id: int, owner: str, ttl: float
) -> records.Lease | None:
    """Begin a new epoch on an aggregate that nobody holds, or None."""
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id, _is_free(engine.now()))
        .values(
            lease_owner=owner,
            lease_epoch=_TABLE.c.lease_epoch + 1,
            lease_until=engine.now() + ttl,
        )
    )
    if not result.rowcount:
        return None
    epoch = connection.scalar(
        sa.select(_TABLE.c.lease_epoch).where(_TABLE.c.id == aggregate_id)
    )
    return records.Lease(aggregate_id, owner, int(epoch or 0))


def renew(
    connection: sa.Connection,
    leases: Iterable[records.Lease],
    owner: str,
    ttl: float,
) -> set[int]:
    """Prolong all leases by one UPDATE.

    :returns: ids of the aggregates that are still held.
    """
    held = {lease.aggregate_id: lease.epoch for lease in leases}
    if not held:
        return set()
    mine = sa.and_(_TABLE.c.lease_owner == owner, _TABLE.c.id.in_(held))
    connection.execute(
        sa.update(_TABLE).where(mine).values(lease_until=engine.now() + ttl)
    )
    rows = connection.execute(
        sa.select(_TABLE.c.id, _TABLE.c.lease_epoch).where(mine)
    )
    return {row[0] for row in rows if held[row[0]] == row[1]}


def fence(connection: sa.Connection, lease: records.Lease) -> None:
    """Hold the row of the aggregate if the epoch is still ours.

    The first statement of each transaction of a worker: it takes the row's
    lock, so that a new epoch cannot begin before what follows is committed.

    :raises exception.LeaseLost: another epoch has begun.
    """
    result = connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.id == lease.aggregate_id,
            _TABLE.c.lease_epoch == lease.epoch,
            _TABLE.c.lease_owner == lease.owner,
        )
        .values(lease_writes=_TABLE.c.lease_writes + 1)
    )
    if not result.rowcount:
        raise exception.LeaseLost(aggregate_id=lease.aggregate_id)


def revoke(connection: sa.Connection, aggregate_id: int) -> bool:
    """End any lease on an aggregate, living or deleted.

    What its holder still writes is refused from then on. Whoever revokes one
    changes what is shown, so the stamp is renewed here.

    :returns: whether there ever was such an aggregate.
    """
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(
            lease_owner=None,
            lease_epoch=_TABLE.c.lease_epoch + 1,
            lease_until=None,
            stamp=stamps.renewed_by_itself(connection, aggregate_id),
        )
    )
    return bool(result.rowcount)


def release(connection: sa.Connection, lease: records.Lease) -> None:
    """Give an aggregate back; the epoch stays."""
    connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.id == lease.aggregate_id,
            _TABLE.c.lease_epoch == lease.epoch,
            _TABLE.c.lease_owner == lease.owner,
        )
        .values(lease_owner=None, lease_until=None)
    )
