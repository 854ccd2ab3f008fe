"""The statements that end history: what nothing depends on any more.

Each works on a limited number of rows, so that a transaction stays short.
"""

import datetime
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from aggregates_ext.db import operations
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_OPERATIONS = models.operations
_AGGREGATES = models.aggregates
_HOSTS = models.hosts
_MOVES = models.moves


class Part(NamedTuple):
    """What became of a part of the history.

    :ivar deleted: how many rows of it.
    :ivar last: id of its last one; None: nothing behind it is old enough.
    """

    deleted: int
    last: int | None


def delete_operations(
    connection: sa.Connection,
    before: datetime.datetime,
    telling: tuple[str, ...],
    limit: int,
    aggregate_id: int | None = None,
    *,
    after: int = 0,
    window: float = 0.0,
) -> Part:
    """Delete operations that have ended and count for nothing.

    It looks at the next ``limit`` operations alone, in order of their ids,
    so that it costs the same however many have to stay.

    :param before: when they must have ended, UTC.
    :param telling: the kinds that tell how a host came into its aggregate;
        the newest of them stays while the host is bound.
    :param after: id of the last one of the part before.
    :param window: seconds for which a change of master that was sent keeps
        others from being sent, so it stays too.
    """
    ids_alone = sa.select(_OPERATIONS.c.id).where(_OPERATIONS.c.id > after)
    if aggregate_id is not None:
        ids_alone = ids_alone.where(_OPERATIONS.c.aggregate_id == aggregate_id)
    # As in ``operations.get_all``: by an index alone.
    part = ids_alone.order_by(_OPERATIONS.c.id).limit(limit).subquery()
    found = connection.execute(
        sa.select(
            _OPERATIONS.c.id,
            _OPERATIONS.c.created_at,
            _ends(before, telling, engine.read_clock(connection) - window),
        )
        .join(part, part.c.id == _OPERATIONS.c.id)
        .order_by(_OPERATIONS.c.id)
    ).all()
    ids = [row[0] for row in found if row[2]]
    if ids:
        connection.execute(
            sa.delete(_OPERATIONS).where(_OPERATIONS.c.id.in_(ids))
        )
    # Nothing ends before it was asked for.
    more = len(found) == limit and found[-1][1] < before
    return Part(len(ids), found[-1][0] if more else None)


def _ends(
    before: datetime.datetime, telling: tuple[str, ...], designated: float
) -> sa.ColumnElement[Any]:
    """Whether nothing depends on an operation any more."""
    later = _OPERATIONS.alias()
    ended = sa.and_(
        _OPERATIONS.c.state.not_in(operations.OPEN),
        _OPERATIONS.c.settled == sa.true(),
        _OPERATIONS.c.finished_at < before,
        sa.or_(
            _OPERATIONS.c.designated.is_(None),
            _OPERATIONS.c.designated < designated,
        ),
    )
    here = (
        _HOSTS.c.name == _OPERATIONS.c.host,
        _HOSTS.c.aggregate_id == _OPERATIONS.c.aggregate_id,
    )
    bound = sa.exists().where(*here)
    brings_back = sa.and_(
        _OPERATIONS.c.kind.in_(operations.OF_MAINTENANCE),
        sa.exists().where(*here, _HOSTS.c.maintenance.is_not(None)),
    )
    replaced = sa.exists().where(
        # By the index of hosts: a host has less history.
        operations.hidden(later.c.aggregate_id) == _OPERATIONS.c.aggregate_id,
        later.c.host == _OPERATIONS.c.host,
        later.c.kind.in_(telling),
        later.c.id > _OPERATIONS.c.id,
    )
    # Cases, so that SQLite asks no more than is needed.
    tells_nothing = sa.case(
        (brings_back, sa.false()),
        (_OPERATIONS.c.kind.not_in(telling), sa.true()),
        (~bound, sa.true()),
        else_=replaced,
    )
    return sa.case((ended, tells_nothing), else_=sa.false())


def delete_moves(
    connection: sa.Connection,
    before: datetime.datetime,
    limit: int,
    aggregate_id: int | None = None,
    *,
    after: int = 0,
) -> Part:
    """Delete moves that have ended, but for those of an operation.

    In parts, as operations are: it looks at the next ``limit`` moves alone.

    :param before: when they must have ended, UTC.
    :param after: id of the last one of the part before.
    """
    ids_alone = sa.select(_MOVES.c.id).where(_MOVES.c.id > after)
    if aggregate_id is not None:
        key = operations.hidden(_MOVES.c.aggregate_id)
        ids_alone = ids_alone.where(key == aggregate_id)
    part = ids_alone.order_by(_MOVES.c.id).limit(limit).subquery()
    ends = sa.and_(
        _MOVES.c.ended != 0,
        _MOVES.c.finished_at < before,
        sa.or_(
            _MOVES.c.operation_id.is_(None),
            ~sa.exists().where(_OPERATIONS.c.id == _MOVES.c.operation_id),
        ),
    )
    found = connection.execute(
        sa.select(
            _MOVES.c.id,
            _MOVES.c.created_at,
            sa.case((ends, sa.true()), else_=sa.false()),
        )
        .join(part, part.c.id == _MOVES.c.id)
        .order_by(_MOVES.c.id)
    ).all()
    ids = [row[0] for row in found if row[2]]
    if ids:
        connection.execute(sa.delete(_MOVES).where(_MOVES.c.id.in_(ids)))
    # Nothing ends before it was asked for.
    more = len(found) == limit and found[-1][1] < before
    return Part(len(ids), found[-1][0] if more else None)


def delete_aggregates(
    connection: sa.Connection,
    before: datetime.datetime,
    limit: int,
    aggregate_id: int | None = None,
) -> int:
    """Delete the rows of deleted aggregates that nothing names any more.

    The newest aggregate stays whatever it is: some databases count on from
    the highest id there is when they start again (InnoDB of MySQL 5.7 and
    MariaDB 10.1), and ids are never reused (design#ids).

    :param before: when they must have been deleted, UTC.
    :returns: how many rows were deleted.
    """
    newest = sa.select(sa.func.max(_AGGREGATES.c.id)).scalar_subquery()
    query = sa.select(_AGGREGATES.c.id).where(
        _AGGREGATES.c.deleted != 0,
        _AGGREGATES.c.deleted_at < before,
        _AGGREGATES.c.id < newest,
        sa.or_(
            _AGGREGATES.c.lease_until.is_(None),
            _AGGREGATES.c.lease_until < engine.now(),
        ),
        ~sa.exists().where(_OPERATIONS.c.aggregate_id == _AGGREGATES.c.id),
        ~sa.exists().where(_HOSTS.c.aggregate_id == _AGGREGATES.c.id),
        ~sa.exists().where(_MOVES.c.aggregate_id == _AGGREGATES.c.id),
    )
    if aggregate_id is not None:
        query = query.where(_AGGREGATES.c.id == aggregate_id)
    # MySQL deletes from no table that the same statement reads.
    ids = list(
        connection.scalars(query.order_by(_AGGREGATES.c.id).limit(limit))
    )
    if ids:
        connection.execute(
            sa.delete(_AGGREGATES).where(_AGGREGATES.c.id.in_(ids))
        )
    return len(ids)
