"""The statements that list guests, page by page."""

import re
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from aggregates_ext.db import moves
from aggregates_ext.db import operations
from aggregates_ext.db import records
from aggregates_ext.db.schema import models

_TABLE = models.guests
_HOSTS = models.hosts
_AGGREGATES = models.aggregates
_MOVES = models.moves
# What XenAPI calls a guest that goes to another host.
MOVES = ('pool_migrate', 'migrate_send')
# The columns by which there are pages, each with an index.
ORDERS = ('first_seen', 'changed_at', 'name', 'uuid')
ESCAPE = '!'
# These would read all in that state, from the first on to the marker; by age
# alone they come across few others, since most guests run.
_BY_AGE = ('mysql', 'mariadb')
_USUAL = 'Running'
# Hosts in one statement; more of them ask for all guests.
_MOST_HOSTS = 500


class Wanted(NamedTuple):
    """Which guests are asked for; None: whatever it is.

    :ivar host: name of a registered host.
    :ivar zone: availability zone of its aggregate; empty: it has none.
    :ivar name: as ``like`` makes one.
    :ivar power_states: it is in one of these.
    :ivar moving: whether it is on the move, or is to be.
    :ivar operations: one of these is done to it.
    :ivar no_operations: none of these is.
    :ivar since, before: when it changed, in seconds of the epoch.
    """

    host: str | None = None
    zone: str | None = None
    name: str | None = None
    uuid: str | None = None
    power_states: Collection[str] | None = None
    moving: bool | None = None
    operations: Collection[str] | None = None
    no_operations: Collection[str] | None = None
    since: float | None = None
    before: float | None = None


class Order(NamedTuple):
    """In what order guests are listed.

    :ivar by: one of ``ORDERS``.
    """

    by: str = 'first_seen'
    ascending: bool = False


def like(pattern: str) -> str:
    """A pattern of SQL, of the regular expressions that clients send.

    ``^`` and ``$`` are its ends and ``.*`` is any text; all else is itself,
    with or without a backslash before it.
    """
    begun, ended = pattern.startswith('^'), pattern.endswith('$')
    inner = pattern[begun : max(begun, len(pattern) - ended)]
    found = ''.join(
        '%' if part == '.*' else _escaped(part[-1])
        for part in re.findall(r'\.\*|\\.|.', inner, re.DOTALL)
    )
    return f'{"" if begun else "%"}{found}{"" if ended else "%"}'


def _escaped(char: str) -> str:
    return f'{ESCAPE}{char}' if char in ('%', '_', ESCAPE) else char


def _exact(pattern: str) -> str | None:
    """The one text that a pattern fits; None: there may be others."""
    if '%' in re.sub(f'{ESCAPE}.', '', pattern):
        return None
    return re.sub(f'{ESCAPE}(.)', r'\1', pattern)


def page(
    connection: sa.Connection,
    wanted: Wanted,
    order: Order,
    limit: int,
    marker: str | None = None,
) -> list[records.Guest] | None:
    """Guests in order, by four statements; None: the marker is no guest.

    :param limit: how many, at most.
    :param marker: uuid of the last one of the page before.
    """
    terms = _terms(wanted, connection.dialect.name)
    column: Any = _TABLE.c[order.by]
    if marker is not None:
        last = connection.execute(
            sa.select(_TABLE.c.id, column)
            .where(_TABLE.c.uuid == marker)
            .order_by(_TABLE.c.id)
            .limit(1)
        ).one_or_none()
        if last is None:
            return None
        terms.append(_behind(column, last[1], last[0], order.ascending))
    key: Any = _TABLE.c.id
    query = sa.select(_TABLE).where(*terms)
    if wanted.moving:
        moving = _moving()
        query = query.join(moving, moving.c.id == _TABLE.c.id)
    few = wanted.uuid is not None or (wanted.name and _exact(wanted.name))
    if few or wanted.moving:
        # These few are found by what they are, and sorted.
        key = operations.hidden(key)
        column = sa.func.coalesce(column, column)
    keys = (k if order.ascending else k.desc() for k in (column, key))
    rows = connection.execute(query.order_by(*keys).limit(limit)).all()
    return _complete(connection, rows)


def _moving() -> sa.Subquery:
    """The ids of guests that move: as their pools say, and as is asked.

    Each found by its own index; either of both would read all guests.
    """
    asked = sa.select(_TABLE.c.id).join(
        _MOVES,
        sa.and_(
            _MOVES.c.guest_uuid == _TABLE.c.uuid,
            _MOVES.c.aggregate_id == operations.hidden(_TABLE.c.aggregate_id),
        ),
    )
    return sa.union(
        sa.select(_TABLE.c.id).where(_TABLE.c.operation.in_(MOVES)),
        asked.where(_MOVES.c.ended == 0, _MOVES.c.state.in_(moves.UNDER_WAY)),
    ).subquery('moving')


def _at_rest() -> list[sa.ColumnElement[bool]]:
    """That a guest does not move."""
    asked = sa.exists().where(
        _MOVES.c.aggregate_id == _TABLE.c.aggregate_id,
        _MOVES.c.guest_uuid == _TABLE.c.uuid,
        _MOVES.c.ended == 0,
        _MOVES.c.state.in_(moves.UNDER_WAY),
    )
    # Nearly all: no index is to be used for that.
    none = sa.func.coalesce(_TABLE.c.operation, '')
    return [none.not_in(MOVES), ~asked]


def _behind(
    column: Any, value: Any, key: int, ascending: bool
) -> sa.ColumnElement[bool]:
    """What comes after a guest; a range of the index, and no alternative."""
    key_of = operations.hidden(_TABLE.c.id)
    if ascending:
        beyond = sa.or_(column > value, key_of > key)
        return sa.and_(column >= value, beyond)
    return sa.and_(column <= value, sa.or_(column < value, key_of < key))


def _terms(wanted: Wanted, dialect: str) -> list[sa.ColumnElement[bool]]:
    terms = [*_place(wanted), *_states(wanted, dialect)]
    if wanted.name is not None:
        exact = _exact(wanted.name)
        if exact is None:
            terms.append(_TABLE.c.name.like(wanted.name, escape=ESCAPE))
        else:
            terms.append(_TABLE.c.name == exact)
    if wanted.uuid is not None:
        terms.append(_TABLE.c.uuid == wanted.uuid)
    if wanted.since is not None:
        terms.append(_TABLE.c.changed_at >= wanted.since)
    if wanted.before is not None:
        terms.append(_TABLE.c.changed_at <= wanted.before)
    return terms


def _place(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    terms: list[sa.ColumnElement[bool]] = []
    if wanted.host is not None:
        home = sa.select(_HOSTS).where(_HOSTS.c.name == wanted.host)
        for column, of_host in (
            (_TABLE.c.host_uuid, _HOSTS.c.uuid),
            (operations.hidden(_TABLE.c.aggregate_id), _HOSTS.c.aggregate_id),
        ):
            found = home.with_only_columns(of_host).scalar_subquery()
            terms.append(column == found)
    if wanted.zone is not None:
        zone = _AGGREGATES.c.availability_zone
        of_zone = zone == wanted.zone if wanted.zone else zone.is_(None)
        keys = sa.select(_AGGREGATES.c.id).where(of_zone)
        terms.append(_TABLE.c.aggregate_id.in_(keys))
    return terms


def _states(wanted: Wanted, dialect: str) -> list[sa.ColumnElement[bool]]:
    terms: list[sa.ColumnElement[bool]] = []
    state: Any = _TABLE.c.power_state
    operation = _TABLE.c.operation
    if wanted.power_states is not None and len(wanted.power_states) == 1:
        # One value alone lets an index tell the order too.
        [value] = wanted.power_states
        if value == _USUAL and dialect in _BY_AGE:
            state = sa.func.coalesce(state, value)
        terms.append(state == value)
    elif wanted.power_states is not None:
        terms.append(state.in_(wanted.power_states))
    if wanted.moving is False:
        terms += _at_rest()
    if wanted.operations is not None:
        terms.append(operation.in_(wanted.operations))
    if wanted.no_operations is not None:
        none = sa.func.coalesce(operation, '')
        terms.append(none.not_in(wanted.no_operations))
    return terms


def _complete(
    connection: sa.Connection, rows: Sequence[Any]
) -> list[records.Guest]:
    """Guests with the names of their hosts, and with their zones.

    By two statements more; joined, databases would read all of a table.
    """
    if not rows:
        return []
    uuids = {row.host_uuid for row in rows} - {None}
    keys = {row.aggregate_id for row in rows}
    # A pool may list what is not its own, so both have to fit.
    hosts = {
        (host.aggregate_id, host.uuid): host
        for host in connection.execute(
            sa.select(
                _HOSTS.c.aggregate_id,
                _HOSTS.c.uuid,
                _HOSTS.c.name,
                _HOSTS.c.availability_zone,
            ).where(_HOSTS.c.uuid.in_(uuids))
        )
    }
    # Deleted ones too, until their guests are: a page has no holes.
    aggregates = connection.execute(
        sa.select(_AGGREGATES.c.id, _AGGREGATES.c.availability_zone).where(
            _AGGREGATES.c.id.in_(keys)
        )
    )
    zones: dict[int, str | None] = {row[0]: row[1] for row in aggregates}
    return [
        _guest(row, hosts.get((row.aggregate_id, row.host_uuid)), zones)
        for row in rows
    ]


def _guest(
    row: Any, host: Any, zones: Mapping[int, str | None]
) -> records.Guest:
    zone = zones.get(row.aggregate_id)
    return records.Guest(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        aggregate_id=row.aggregate_id,
        host=None if host is None else host.name,
        host_uuid=row.host_uuid,
        zone=zone or (None if host is None else host.availability_zone),
        power_state=row.power_state,
        memory=row.memory,
        vcpus=row.vcpus,
        operation=row.operation,
        first_seen=row.first_seen,
        changed_at=row.changed_at,
    )


def on_hosts(
    connection: sa.Connection, uuids: Collection[str]
) -> Iterator[Any]:
    """The guests on some hosts: aggregate, host, uuid and name, in order.

    :param uuids: of XenServer.
    """
    if not uuids:
        return
    host = _TABLE.c.host_uuid
    few = len(uuids) <= _MOST_HOSTS
    yield from connection.execute(
        sa.select(_TABLE.c.aggregate_id, host, _TABLE.c.uuid, _TABLE.c.name)
        .where(host.in_(uuids) if few else host.is_not(None))
        .order_by(host, _TABLE.c.first_seen, _TABLE.c.id)
    )
