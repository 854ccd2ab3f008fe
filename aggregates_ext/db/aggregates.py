"""The statements on aggregates."""

import dataclasses
import datetime
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import timeutils

from aggregates_ext import exception
from aggregates_ext.db import records
from aggregates_ext.db import stamps
from aggregates_ext.db.schema import models

_TABLE = models.aggregates
_HOSTS = models.hosts
_OPERATIONS = models.operations
_FIELDS = [
    field.name
    for field in dataclasses.fields(records.Aggregate)
    if field.name in _TABLE.c
]
_COLUMNS = [_TABLE.c[name] for name in _FIELDS]
# What was seen of a pool is much, and no list shows it.
_UNLISTED = 'observation'
_LISTED = [
    sa.null().label(name) if name == _UNLISTED else _TABLE.c[name]
    for name in _FIELDS
]
# Refuses a change of an aggregate that is not as it is to be, by raising.
Guard = Callable[[records.Aggregate], None]
_NOTHING: Mapping[str, Any] = {}
# So many are asked for one by one, by ids.
FEW = 100


def _union(among: Callable[[Any], sa.ColumnElement[bool]]) -> Any:
    """What belongs to some aggregates, made once: it is asked all the time.

    :param among: whether a column names one of them.
    """
    members = sa.select(
        _HOSTS.c.aggregate_id, _HOSTS.c.name, _HOSTS.c.phase
    ).where(among(_HOSTS.c.aggregate_id))
    counting = sa.select(
        _OPERATIONS.c.aggregate_id, sa.null(), _OPERATIONS.c.state
    ).where(
        among(_OPERATIONS.c.aggregate_id),
        _OPERATIONS.c.settled == sa.false(),
    )
    return members.union_all(counting)


_OF_FEW = _union(
    lambda column: column.in_(sa.bindparam('ids', expanding=True))
)
_OF_MANY = _union(
    lambda column: column.between(sa.bindparam('first'), sa.bindparam('last'))
)
_LOCK = (
    sa.select(_TABLE)
    .where(_TABLE.c.id == sa.bindparam('key'), _TABLE.c.deleted == 0)
    .with_for_update()
)
_ONE = sa.select(*_COLUMNS).where(_TABLE.c.id == sa.bindparam('key'))
_LIVING = _ONE.where(_TABLE.c.deleted == 0)
LISTED_PHASES = ('joining', 'member')


def _utcnow() -> datetime.datetime:
    return timeutils.utcnow()


def _record(row: Any, **membership: Any) -> records.Aggregate:
    values = dict(zip(_FIELDS, row, strict=True))
    values['deleted'] = bool(values['deleted'])
    values['drift'] = tuple(
        records.Drift(**entry) for entry in values['drift'] or ()
    )
    return records.Aggregate(**values, **membership)


def _complete(
    connection: sa.Connection, rows: list[Any]
) -> list[records.Aggregate]:
    """Rows with their hosts and standing operations: one statement."""
    if not rows:
        return []
    ids = [row[0] for row in rows]
    hosts: dict[int, list[tuple[str, str]]] = {}
    standing: dict[int, list[str]] = {}
    for aggregate_id, name, state in connection.execute(*_belonging(ids)):
        if name is None:
            standing.setdefault(aggregate_id, []).append(state)
        else:
            hosts.setdefault(aggregate_id, []).append((name, state))
    return [
        _record(
            row,
            hosts=tuple(
                name
                for name, phase in sorted(hosts.get(row[0], ()))
                if phase in LISTED_PHASES
            ),
            bound=len(hosts.get(row[0], ())),
            standing=tuple(standing.get(row[0], ())),
        )
        for row in rows
    ]


def _belonging(ids: list[int]) -> tuple[Any, dict[str, Any]]:
    """What asks for hosts and standing operations, and its parameters."""
    if len(ids) <= FEW:
        return _OF_FEW, {'ids': ids}
    return _OF_MANY, {'first': ids[0], 'last': ids[-1]}


def get_all(
    connection: sa.Connection,
    *,
    limit: int | None = None,
    marker: int | None = None,
    name: str | None = None,
    availability_zone: str | None = None,
    host: str | None = None,
    ids: Collection[int] | None = None,
) -> list[records.Aggregate]:
    """Living aggregates by id; two statements whatever their number.

    They come without what was seen of their pools.

    :param marker: id of the last one of the page before.
    :param host: name of a host that the aggregate lists.
    :param ids: these alone.
    """
    query = sa.select(*_LISTED).where(_TABLE.c.deleted == 0)
    if ids is not None:
        query = query.where(_TABLE.c.id.in_(ids))
    if marker is not None:
        query = query.where(_TABLE.c.id > marker)
    if name is not None:
        query = query.where(_TABLE.c.name == name)
    if availability_zone is not None:
        query = query.where(_TABLE.c.availability_zone == availability_zone)
    if host is not None:
        query = query.where(
            _TABLE.c.id
            == sa.select(_HOSTS.c.aggregate_id)
            .where(_HOSTS.c.name == host, _HOSTS.c.phase.in_(LISTED_PHASES))
            .scalar_subquery()
        )
    rows = connection.execute(query.order_by(_TABLE.c.id).limit(limit)).all()
    return _complete(connection, list(rows))


def get(
    connection: sa.Connection, aggregate_id: int, *, deleted: bool = False
) -> records.Aggregate:
    """One aggregate.

    :param deleted: whether a deleted one counts too.
    :raises exception.AggregateNotFound: there is none.
    """
    query = _ONE if deleted else _LIVING
    rows = connection.execute(query, {'key': aggregate_id}).all()
    if not rows:
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)
    return _complete(connection, list(rows))[0]


def written(
    connection: sa.Connection, row: Any, values: Mapping[str, Any] = _NOTHING
) -> records.Aggregate:
    """A locked aggregate as this transaction leaves it, but for its stamp.

    Its own columns are not read again: they are those of the row that was
    locked, and what was written since.

    :param row: as ``lock`` returned it.
    :param values: columns that were written.
    """
    columns = [values.get(name, getattr(row, name)) for name in _FIELDS]
    return _complete(connection, [columns])[0]


def check(connection: sa.Connection, aggregate_id: int) -> None:
    """See to it that there is a living aggregate, without its row's lock.

    :raises exception.AggregateNotFound: there is none.
    """
    found = connection.scalar(
        sa.select(_TABLE.c.id).where(
            _TABLE.c.id == aggregate_id, _TABLE.c.deleted == 0
        )
    )
    if found is None:
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)


def lock(
    connection: sa.Connection, aggregate_id: int, guard: Guard | None = None
) -> Any:
    """Hold the row of a living aggregate until the transaction ends.

    :param guard: looks at the aggregate as it is held; costs a statement.
    :returns: the row, without membership.
    :raises exception.AggregateNotFound: there is none.
    """
    row = connection.execute(_LOCK, {'key': aggregate_id}).one_or_none()
    if row is None:
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)
    if guard is not None:
        guard(written(connection, row))
    return row


def lock_changing(connection: sa.Connection, aggregate_id: int) -> None:
    """Hold the row of a living aggregate, of which something shown changes.

    By the UPDATE of its stamp, so that this takes no statement of its own.

    :raises exception.AggregateNotFound: there is none.
    """
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id, _TABLE.c.deleted == 0)
        .values(stamp=stamps.renewed_by_itself(connection, aggregate_id))
    )
    if not result.rowcount:
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)


def insert(
    connection: sa.Connection,
    uuid: str,
    name: str,
    availability_zone: str | None,
) -> int:
    """Create an aggregate and return its id.

    :raises exception.AggregateNameExists: the name lives already.
    """
    try:
        result = connection.execute(
            sa.insert(_TABLE).values(
                uuid=uuid,
                name=name,
                availability_zone=availability_zone,
                metadata={},
                created_at=_utcnow(),
                deleted=0,
                lease_epoch=0,
                lease_writes=0,
                stamp=stamps.new(),
            )
        )
    except db_exc.DBDuplicateEntry:
        raise exception.AggregateNameExists(name=name) from None
    (key,) = result.inserted_primary_key or (0,)
    return int(key)


def update(
    connection: sa.Connection, aggregate_id: int, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Change columns of a locked aggregate, and when it was changed.

    :returns: all that is written but the stamp.
    :raises exception.AggregateNameExists: the new name lives already.
    """
    known = {**values, 'updated_at': _utcnow()}
    try:
        connection.execute(
            sa.update(_TABLE)
            .where(_TABLE.c.id == aggregate_id)
            .values(
                **known,
                stamp=stamps.renewed_by_itself(connection, aggregate_id),
            )
        )
    except db_exc.DBDuplicateEntry:
        raise exception.AggregateNameExists(name=values['name']) from None
    return known


def delete(connection: sa.Connection, aggregate_id: int) -> None:
    """End a locked aggregate; its row stays for the operations' sake."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(deleted=_TABLE.c.id, deleted_at=_utcnow())
    )
