"""The statements on guests: what was seen of the machines of pools."""

import dataclasses
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from aggregates_ext.db import fitting
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.db.schema import models

_TABLE = models.guests
_AGGREGATES = models.aggregates
_SEEN = [field.name for field in dataclasses.fields(records.Seen)]
# Values in one statement: SQLite takes a few thousand, others more.
_PART = 500


def keep(
    connection: sa.Connection,
    aggregate_id: int,
    seen: Iterable[records.Seen],
    gone: Collection[str],
    now: float,
    *,
    whole: bool,
    unread: Collection[str] = (),
) -> bool:
    """Write what has changed, and nothing else; whether anything has.

    :param seen: guests that are new or may have changed.
    :param gone: references of those that are none any more.
    :param now: seconds of the epoch, by the database's clock.
    :param whole: whether those that are not among ``seen`` are gone too.
    :param unread: references of those that stay as they were all the same.
    """
    fit = {guest.ref: _fit(guest) for guest in seen}
    known = _known(connection, aggregate_id, None if whole else [*fit, *gone])
    lost = [
        key
        for ref, (key, _values) in known.items()
        if ref in gone or (whole and ref not in fit and ref not in unread)
    ]
    made = [
        {
            **values,
            'aggregate_id': aggregate_id,
            'first_seen': now,
            'changed_at': now,
        }
        for ref, values in fit.items()
        if ref not in known
    ]
    changed = [
        {**values, 'changed_at': now, 'key': known[ref][0]}
        for ref, values in fit.items()
        if ref in known and known[ref][1] != values
    ]
    for part in _parts(lost):
        connection.execute(sa.delete(_TABLE).where(_TABLE.c.id.in_(part)))
    if made:
        connection.execute(sa.insert(_TABLE), made)
    if changed:
        connection.execute(
            sa.update(_TABLE).where(_TABLE.c.id == sa.bindparam('key')),
            changed,
        )
    risen = [
        str(values['uuid'])
        for ref, values in fit.items()
        if _has_begun(known[ref][1] if ref in known else {}, values)
    ]
    moves.have_run(connection, aggregate_id, risen)
    return bool(lost or made or changed)


def _has_begun(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a guest runs that did not, or did elsewhere, or is new."""
    place = ('power_state', 'host_uuid')
    changed = any(before.get(name) != now[name] for name in place)
    return changed and now['power_state'] not in ('Halted', '')


def _fit(guest: records.Seen) -> dict[str, Any]:
    # A reference is not cut: whoever reads one makes sure that it fits.
    return fitting.fit_columns(_TABLE, dataclasses.asdict(guest))


def _known(
    connection: sa.Connection, aggregate_id: int, refs: Sequence[str] | None
) -> dict[str, tuple[int, dict[str, Any]]]:
    """Guests that are kept, by reference: key and values; None: all."""
    query = sa.select(_TABLE.c.id, *(_TABLE.c[name] for name in _SEEN)).where(
        _TABLE.c.aggregate_id == aggregate_id
    )
    queries = [query]
    if refs is not None:
        queries = [query.where(_TABLE.c.ref.in_(p)) for p in _parts(refs)]
    return {
        row.ref: (row.id, {name: getattr(row, name) for name in _SEEN})
        for query in queries
        for row in connection.execute(query)
    }


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]


def totals(
    connection: sa.Connection, aggregate_id: int
) -> dict[str, tuple[int, int]]:
    """Guests and their processors, by XenServer uuid of the host."""
    found = connection.execute(
        sa.select(
            _TABLE.c.host_uuid,
            sa.func.count(_TABLE.c.id),
            sa.func.sum(_TABLE.c.vcpus),
        )
        .where(
            _TABLE.c.aggregate_id == aggregate_id,
            _TABLE.c.host_uuid.is_not(None),
        )
        .group_by(_TABLE.c.host_uuid)
    )
    return {uuid: (int(count), int(vcpus)) for uuid, count, vcpus in found}


def on_host(
    connection: sa.Connection, aggregate_id: int, host_uuid: str, limit: int
) -> list[tuple[str, str]]:
    """Some guests that are on a host, by name: uuids and names."""
    found = connection.execute(
        sa.select(_TABLE.c.uuid, _TABLE.c.name)
        .where(
            _TABLE.c.aggregate_id == aggregate_id,
            _TABLE.c.host_uuid == host_uuid,
        )
        .order_by(_TABLE.c.name, _TABLE.c.id)
        .limit(limit)
    )
    return [(uuid, name) for uuid, name in found]


def orphaned(connection: sa.Connection) -> list[int]:
    """Aggregates that have no pool any more, and guests of one."""
    # Not EXISTS, for which MariaDB may read the guests of all.
    one = (
        sa.select(_TABLE.c.id)
        .where(_TABLE.c.aggregate_id == _AGGREGATES.c.id)
        .limit(1)
        .correlate(_AGGREGATES)
        .scalar_subquery()
    )
    found = connection.scalars(
        sa.select(_AGGREGATES.c.id)
        .where(_AGGREGATES.c.pool_uuid.is_(None), one.is_not(None))
        .limit(_PART)
    )
    return list(found)


def forget(connection: sa.Connection, aggregate_id: int) -> None:
    """Forget the guests of an aggregate that has no pool any more."""
    connection.execute(
        sa.delete(_TABLE).where(
            _TABLE.c.aggregate_id == aggregate_id,
            sa.exists().where(
                _AGGREGATES.c.id == aggregate_id,
                _AGGREGATES.c.pool_uuid.is_(None),
            ),
        )
    )
