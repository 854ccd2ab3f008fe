"""The statements on aggregates."""

import dataclasses
import datetime
import functools
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import timeutils

from aggregates_ext import exception
from aggregates_ext.db import records
from aggregates_ext.db import stamps
from aggregates_ext.db.outbox import notes
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
_COLON: Any = sa.literal_column("':'")
_COMMA: Any = sa.literal_column("','")
_KEY = sa.bindparam('key', type_=sa.Integer)


def _texts() -> tuple[Any, Any]:
    """What belongs to aggregates, as two texts.

    The hosts, each as NAME:PHASE, and the states of the operations that
    stand. As texts, since drivers take long over many rows; neither a name
    nor a state has a comma or a colon.
    """
    host = _HOSTS.c.name + _COLON + _HOSTS.c.phase
    return (
        sa.select(sa.func.aggregate_strings(host, _COMMA).label('told')),
        sa.select(
            sa.func.aggregate_strings(_OPERATIONS.c.state, _COMMA).label(
                'told'
            )
        ).where(_OPERATIONS.c.settled == sa.false()),
    )


def _belonging(aggregate_id: Any) -> list[Any]:
    """What belongs to one aggregate."""
    hosts, standing = _texts()
    return [
        hosts.where(_HOSTS.c.aggregate_id == aggregate_id).scalar_subquery(),
        standing.where(
            _OPERATIONS.c.aggregate_id == aggregate_id
        ).scalar_subquery(),
    ]


def _all() -> Any:
    """All that live, with what belongs to each, in one pass over each."""
    hosts, standing = (
        texts.add_columns(table.c.aggregate_id)
        .group_by(table.c.aggregate_id)
        .subquery()
        for texts, table in zip(_texts(), (_HOSTS, _OPERATIONS), strict=True)
    )
    return (
        sa.select(*_LISTED, hosts.c.told, standing.c.told)
        .outerjoin_from(_TABLE, hosts, hosts.c.aggregate_id == _TABLE.c.id)
        .outerjoin(standing, standing.c.aggregate_id == _TABLE.c.id)
        .where(_LIVES)
        .order_by(_TABLE.c.id)
    )


_LIVES = _TABLE.c.deleted == sa.literal_column('0')
_LOCK = sa.select(*_LISTED).where(_TABLE.c.id == _KEY, _LIVES)
_LOCK = _LOCK.with_for_update()
_BELONGING = sa.select(*_belonging(_KEY))
_ONE = sa.select(*_COLUMNS, *_belonging(_TABLE.c.id)).where(
    _TABLE.c.id == _KEY
)
_LIVING = _ONE.where(_LIVES)
_SOME = sa.select(*_LISTED, *_belonging(_TABLE.c.id)).where(_LIVES)
# So many are asked for at once by their stamps.
FEW = 32
# As lists show them: all by id, one by ``key``, a few as ``stamped`` says.
ALL = _all()
ONE = _SOME.where(_TABLE.c.id == _KEY)
_HOLD = ONE.with_for_update()
STAMPED = _SOME.where(
    _TABLE.c.stamp.in_(
        [
            sa.bindparam(f'stamp{number}', type_=sa.BigInteger)
            for number in range(FEW)
        ]
    )
)
LISTED_PHASES = ('joining', 'member')
# What a change of some columns is told as; a zone is metadata for Nova.
_TOLD = {
    'update_prop': {'name'},
    'update_metadata': {'metadata', 'availability_zone'},
}


def _utcnow() -> datetime.datetime:
    return timeutils.utcnow()


def stamped(wanted: Collection[str]) -> dict[str, int]:
    """Parameters of ``STAMPED``.

    :param wanted: at least one stamp, and not more than ``FEW``, as texts.
    """
    numbers = [int(stamp) for stamp in wanted]
    numbers += numbers[:1] * (FEW - len(numbers))
    return {f'stamp{place}': stamp for place, stamp in enumerate(numbers)}


def record(row: Sequence[Any]) -> records.Aggregate:
    """What a row of ``ALL`` says, or of one."""
    *columns, hosts, standing = row
    return _record(columns, hosts, standing)


def _record(
    columns: Sequence[Any], hosts: str | None, standing: str | None
) -> records.Aggregate:
    values = dict(zip(_FIELDS, columns, strict=True))
    values['deleted'] = bool(values['deleted'])
    values['drift'] = tuple(
        records.Drift(**entry) for entry in values['drift'] or ()
    )
    bound = sorted(
        entry.split(':') for entry in (hosts.split(',') if hosts else ())
    )
    return records.Aggregate(
        **values,
        hosts=tuple(name for name, phase in bound if phase in LISTED_PHASES),
        bound=len(bound),
        standing=tuple(standing.split(',')) if standing else (),
    )


def get_all(
    connection: sa.Connection,
    *,
    limit: int | None = None,
    marker: int | None = None,
    name: str | None = None,
    availability_zone: str | None = None,
    host: str | None = None,
    phases: Collection[str] | None = LISTED_PHASES,
) -> list[records.Aggregate]:
    """Living aggregates by id; one statement whatever their number.

    They come without what was seen of their pools.

    :param marker: id of the last one of the page before.
    :param host: name of a host that is bound to it.
    :param phases: in one of these; None: in any.
    """
    query = _SOME.order_by(_TABLE.c.id).limit(limit)
    if marker is not None:
        query = query.where(_TABLE.c.id > marker)
    if name is not None:
        query = query.where(_TABLE.c.name == name)
    if availability_zone is not None:
        query = query.where(_TABLE.c.availability_zone == availability_zone)
    if host is not None:
        bound = sa.select(_HOSTS.c.aggregate_id).where(_HOSTS.c.name == host)
        if phases is not None:
            bound = bound.where(_HOSTS.c.phase.in_(phases))
        query = query.where(_TABLE.c.id == bound.scalar_subquery())
    if {limit, marker, name, availability_zone, host} == {None}:
        query = ALL
    return [record(row) for row in connection.execute(query)]


def get(
    connection: sa.Connection, aggregate_id: int, *, deleted: bool = False
) -> records.Aggregate:
    """One aggregate.

    :param deleted: whether a deleted one counts too.
    :raises exception.AggregateNotFound: there is none.
    """
    query = _ONE if deleted else _LIVING
    return record(_one(connection, query, aggregate_id))


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
    found = connection.execute(_BELONGING, {'key': row.id}).one()
    return _record(columns, *found)


def check(
    connection: sa.Connection, aggregate_id: int, *, deleted: bool = False
) -> None:
    """See to it that there is an aggregate, without its row's lock.

    :param deleted: whether a deleted one counts too.
    :raises exception.AggregateNotFound: there is none.
    """
    query = sa.select(_TABLE.c.deleted).where(_TABLE.c.id == aggregate_id)
    found = connection.scalar(query)
    if found is None or (found and not deleted):
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)


def lock(
    connection: sa.Connection, aggregate_id: int, guard: Guard | None = None
) -> Any:
    """Hold the row of a living aggregate until the transaction ends.

    For who changes what belongs to it, and reads that afterwards. Who does
    not write the row itself calls ``mark`` too.

    :param guard: looks at the aggregate as it is held; costs a statement.
    :returns: the row, without membership and what was seen of its pool.
    :raises exception.AggregateNotFound: there is none.
    """
    row = _one(connection, _LOCK, aggregate_id)
    if guard is not None:
        guard(written(connection, row))
    return row


def mark(connection: sa.Connection, aggregate_id: int) -> None:
    """Write the row of a held aggregate, where nothing else of it is written.

    The lock of a row reaches no other node of a Galera cluster. There two
    transactions exclude each other by a row that both have written: the
    second COMMIT is refused, and begun again (design#databases).
    """
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(lease_writes=_TABLE.c.lease_writes + 1)
    )


def hold(
    connection: sa.Connection, aggregate_id: int, guard: Guard | None = None
) -> records.Aggregate:
    """Hold the row of a living aggregate, and read what belongs to it.

    In one statement, but on PostgreSQL: what it reads beside the row would
    be as it was before the wait for the row (design#databases).

    :param guard: looks at the aggregate as it is held.
    :returns: the aggregate, without what was seen of its pool.
    :raises exception.AggregateNotFound: there is none.
    """
    if connection.dialect.name == 'postgresql':
        held = written(connection, lock(connection, aggregate_id))
    else:
        held = record(_one(connection, _HOLD, aggregate_id))
    if guard is not None:
        guard(held)
    return held


def _one(connection: sa.Connection, query: Any, aggregate_id: int) -> Any:
    """The row that a query finds.

    :raises exception.AggregateNotFound: there is none.
    """
    row = connection.execute(query, {'key': aggregate_id}).one_or_none()
    if row is None:
        raise exception.AggregateNotFound(aggregate_id=aggregate_id)
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
) -> records.Aggregate:
    """Create an aggregate, and return it as it is written.

    :raises exception.AggregateNameExists: the name lives already.
    """
    values: dict[str, Any] = {
        **dict.fromkeys(_FIELDS[1:]),
        'uuid': uuid,
        'name': name,
        'availability_zone': availability_zone,
        'metadata': {},
        'created_at': _utcnow(),
        'deleted': 0,
        'stamp': stamps.new(),
    }
    try:
        result = connection.execute(
            sa.insert(_TABLE), {'lease_epoch': 0, 'lease_writes': 0, **values}
        )
    except db_exc.DBDuplicateEntry:
        raise exception.AggregateNameExists(name=name) from None
    (key,) = result.inserted_primary_key or (0,)
    notes.happen(connection, int(key), 'create')
    return _record([int(key), *values.values()], None, None)


def update(
    connection: sa.Connection, aggregate_id: int, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Change columns of a locked aggregate, and when it was changed.

    :param values: of ``name``, ``availability_zone`` and ``metadata``.
    :returns: all that is written.
    :raises exception.AggregateNameExists: the new name lives already.
    """
    known = _stamped(values)
    names = frozenset(known)
    try:
        connection.execute(_update(names), {**known, 'key': aggregate_id})
    except db_exc.DBDuplicateEntry:
        raise exception.AggregateNameExists(name=values['name']) from None
    _tell(connection, aggregate_id, values)
    return known


def swap(
    connection: sa.Connection,
    seen: records.Aggregate,
    values: Mapping[str, Any],
) -> records.Aggregate | None:
    """Change columns of an aggregate that still is as it was seen.

    In one statement, which its stamp lets happen or not: no other lock is
    held before it (design#stamps).

    :param values: as ``update`` takes them, but for a name.
    :returns: the aggregate as it is written; None: it is not, for it has
        changed or is deleted.
    """
    known = _stamped(values)
    result = connection.execute(
        _swap(frozenset(known)), {**known, 'key': seen.id, 'seen': seen.stamp}
    )
    if not result.rowcount:
        return None
    _tell(connection, seen.id, values)
    return dataclasses.replace(seen, **known)


def _stamped(values: Mapping[str, Any]) -> dict[str, Any]:
    """What an UPDATE writes that changes some columns which are shown."""
    return {**values, 'updated_at': _utcnow(), 'stamp': stamps.new()}


def _tell(
    connection: sa.Connection, aggregate_id: int, values: Mapping[str, Any]
) -> None:
    """Let a transaction know what it has written."""
    stamps.note(connection, aggregate_id)
    for action, names in _TOLD.items():
        if names & values.keys():
            notes.happen(connection, aggregate_id, action)


@functools.cache
def _update(names: frozenset[str]) -> Any:
    """The UPDATE of some columns: made once for each set."""
    values: dict[str, Any] = {
        name: sa.bindparam(name) for name in sorted(names)
    }
    return sa.update(_TABLE).where(_TABLE.c.id == _KEY).values(**values)


@functools.cache
def _swap(names: frozenset[str]) -> Any:
    """The same of a living one that has a certain stamp."""
    seen = sa.bindparam('seen', type_=sa.BigInteger)
    return _update(names).where(_LIVES, _TABLE.c.stamp == seen)


def delete(connection: sa.Connection, aggregate_id: int) -> None:
    """End a locked aggregate; its row stays for the operations' sake."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(deleted=_TABLE.c.id, deleted_at=_utcnow())
    )
    notes.happen(connection, aggregate_id, 'delete')
