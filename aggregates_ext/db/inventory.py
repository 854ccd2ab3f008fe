"""What is known of registered hosts, in two statements."""

import dataclasses
import datetime
import uuid
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_HOSTS = models.hosts
_AGGREGATES = models.aggregates
# Values in one statement; for more all are read.
_MOST = 1000
# What a registration is found by: how it is called there, and its column.
HYPERVISOR, SERVICE = 'hypervisor', 'service'
_UUIDS = {
    HYPERVISOR: _HOSTS.c.hypervisor_uuid,
    SERVICE: _HOSTS.c.service_uuid,
}
_NAMESPACE = uuid.UUID('6d1f3c52-8a0e-4f0b-9d55-0f6b8f3a1c77')


@dataclasses.dataclass(frozen=True)
class Home:
    """The aggregate that a host is bound to.

    :ivar observation: what was last seen of its pool; None: nothing.
    :ivar observed_at: seconds of the epoch; None: nobody has looked yet.
    """

    availability_zone: str | None
    observation: dict[str, Any] | None
    observed_at: float | None


class Entry(NamedTuple):
    """A registered host, and where it is bound.

    All fields but the last two are columns of the table.

    :ivar availability_zone: its own.
    :ivar hypervisor_uuid, service_uuid: what it is called elsewhere.
    :ivar phase_since, seen_at, now: seconds of the epoch, by the database's
        clock; ``seen_at`` is when it was last seen outside of a pool.
    """

    id: int
    name: str
    uuid: str | None
    url: str
    address: str | None
    availability_zone: str | None
    phase: str
    phase_since: float | None
    seen_at: float | None
    created_at: datetime.datetime
    service: str | None
    disabled_reason: str | None
    maintenance: str | None
    maintenance_of: dict[str, Any] | None
    hypervisor_uuid: str
    service_uuid: str
    aggregate_id: int | None
    now: float
    home: Home | None


class Registration(NamedTuple):
    """A host as it was registered, and the aggregate it is bound to."""

    id: int
    name: str
    created_at: datetime.datetime
    aggregate_id: int | None


_REGISTRATIONS = sa.select(*(_HOSTS.c[name] for name in Registration._fields))
_HOMES = sa.select(
    _AGGREGATES.c.id,
    _AGGREGATES.c.availability_zone,
    _AGGREGATES.c.observation,
    _AGGREGATES.c.observed_at,
)
# SQLite would find a few by what lives, which are all, and not by their ids.
_SOME_HOMES = _HOMES.where(_AGGREGATES.c.deleted + 0 == 0)
_HOMES = _HOMES.where(_AGGREGATES.c.deleted == 0)
_ENTRIES = sa.select(
    *(_HOSTS.c[name] for name in Entry._fields[:-2]),
    engine.now().label('now'),
)


def read(connection: sa.Connection) -> Iterator[Entry]:
    """All registered hosts, by name."""
    homes = {row.id: _home(row) for row in connection.execute(_HOMES)}
    yield from entries(connection, homes)


def entries(
    connection: sa.Connection, homes: Mapping[int, Home]
) -> Iterator[Entry]:
    """The same, where the aggregates have been read already.

    :param homes: by id.
    """
    for row in connection.execute(_ENTRIES.order_by(_HOSTS.c.name)):
        yield _entry(row, homes.get(row.aggregate_id))


def find(
    connection: sa.Connection, *, name: str | None = None, key: int = 0
) -> Entry | None:
    """The host with a name, or with the number of its registration."""
    which = _HOSTS.c.id == key if name is None else _HOSTS.c.name == name
    row = connection.execute(_ENTRIES.where(which)).one_or_none()
    # A database that compares loosely must not find another host.
    if row is None or name not in (None, row.name):
        return None
    home = None
    if row.aggregate_id is not None:
        found = connection.execute(
            _HOMES.where(_AGGREGATES.c.id == row.aggregate_id)
        ).one_or_none()
        home = None if found is None else _home(found)
    return _entry(row, home)


def named(
    connection: sa.Connection, names: Collection[str]
) -> Iterator[Entry]:
    """Some registered hosts, in two statements."""
    return _some(connection, _ENTRIES.where(_HOSTS.c.name.in_(names)))


def page(
    connection: sa.Connection, limit: int | None, after: str | None
) -> Iterator[Entry]:
    """Some registered hosts by name, in two statements.

    :param after: the name of the last one of the page before.
    """
    query = _ENTRIES.order_by(_HOSTS.c.name).limit(limit)
    if after is not None:
        query = query.where(_HOSTS.c.name > after)
    return _some(connection, query)


def _some(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Entry]:
    rows = connection.execute(query).all()
    keys = {row.aggregate_id for row in rows} - {None}
    wanted = _HOMES
    if len(keys) <= _MOST:
        wanted = _SOME_HOMES.where(_AGGREGATES.c.id.in_(keys))
    homes = {row.id: _home(row) for row in connection.execute(wanted)}
    for row in rows:
        yield _entry(row, homes.get(row.aggregate_id))


def uuid_of(
    kind: str, key: int, name: str, created_at: datetime.datetime
) -> str:
    """What a registration is called elsewhere, and never otherwise.

    :param kind: ``HYPERVISOR`` or ``SERVICE``.
    """
    text = f'{kind} {key} {name} {created_at.isoformat()}'
    return str(uuid.uuid5(_NAMESPACE, text))


def registered(
    connection: sa.Connection, kind: str, wanted: str
) -> Registration | None:
    """The registration that is called so, in one statement.

    What a former release registers during an upgrade is read besides.
    """
    # None is called so, and PostgreSQL takes no text with it.
    if '\0' in wanted:
        return None
    column = _UUIDS[kind]
    rows = connection.execute(
        _REGISTRATIONS.add_columns(column).where(
            sa.or_(column == wanted, column.is_(None))
        )
    )
    for *told, known in rows:
        found = Registration(*told)
        called = known or uuid_of(kind, found.id, found.name, found.created_at)
        # A database that compares loosely must not find another host.
        if called == wanted:
            return found
    return None


def write_uuids(connection: sa.Connection) -> None:
    """Write down what registrations are called, where that is not yet."""
    missing = sa.or_(*(column.is_(None) for column in _UUIDS.values()))
    made = [
        {'key': row.id, **_made(row)}
        for row in connection.execute(_REGISTRATIONS.where(missing))
    ]
    if made:
        connection.execute(
            sa.update(_HOSTS).where(_HOSTS.c.id == sa.bindparam('key')), made
        )


def _made(row: Any) -> dict[str, Any]:
    """What a registration is called, by column."""
    return {
        column.name: uuid_of(kind, row.id, row.name, row.created_at)
        for kind, column in _UUIDS.items()
    }


def _entry(row: Any, home: Home | None) -> Entry:
    *told, now = row
    entry = Entry._make([*told, float(now), home])
    if entry.hypervisor_uuid and entry.service_uuid:
        return entry
    # As a former release has registered it.
    return entry._replace(**_made(row))


def _home(row: Any) -> Home:
    return Home(row.availability_zone, row.observation, row.observed_at)
