"""The statements that end history: what nothing depends on any more.

Each works on a limited number of rows, so that a transaction stays short.
"""

import datetime
from typing import Any

import sqlalchemy as sa

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_OPERATIONS = models.operations
_AGGREGATES = models.aggregates
_HOSTS = models.hosts
ENDED = ('succeeded', 'failed', 'cancelled')


def delete_operations(
    connection: sa.Connection,
    before: datetime.datetime,
    telling: tuple[str, ...],
    limit: int,
    aggregate_id: int | None = None,
) -> int:
    """Delete operations that have ended and count for nothing.

    :param before: when they must have ended, UTC.
    :param telling: the kinds that tell how a host came into its aggregate;
        the newest of them stays while the host is bound.
    :returns: how many were deleted; fewer than ``limit``: there are no more.
    """
    later = _OPERATIONS.alias()
    tells = sa.and_(
        _OPERATIONS.c.kind.in_(telling),
        sa.exists().where(
            _HOSTS.c.name == _OPERATIONS.c.host,
            _HOSTS.c.aggregate_id == _OPERATIONS.c.aggregate_id,
        ),
        ~sa.exists().where(
            later.c.aggregate_id == _OPERATIONS.c.aggregate_id,
            later.c.host == _OPERATIONS.c.host,
            later.c.kind.in_(telling),
            later.c.id > _OPERATIONS.c.id,
        ),
    )
    query = sa.select(_OPERATIONS.c.id).where(
        _OPERATIONS.c.state.in_(ENDED),
        _OPERATIONS.c.settled.is_(sa.true()),
        _OPERATIONS.c.finished_at < before,
        ~tells,
    )
    if aggregate_id is not None:
        query = query.where(_OPERATIONS.c.aggregate_id == aggregate_id)
    return _delete(
        connection, _OPERATIONS, query.order_by(_OPERATIONS.c.id).limit(limit)
    )


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
    )
    if aggregate_id is not None:
        query = query.where(_AGGREGATES.c.id == aggregate_id)
    return _delete(
        connection, _AGGREGATES, query.order_by(_AGGREGATES.c.id).limit(limit)
    )


def _delete(connection: sa.Connection, table: sa.Table, query: Any) -> int:
    # MySQL deletes from no table that the same statement reads.
    ids = list(connection.scalars(query))
    if ids:
        connection.execute(sa.delete(table).where(table.c.id.in_(ids)))
    return len(ids)
