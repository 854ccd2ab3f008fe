"""The statements on hosts.

One host in one aggregate holds by construction: binding is one conditional
UPDATE of the host's own row (design#one-aggregate).
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import timeutils

from aggregates_ext import exception
from aggregates_ext.db import addresses as db_addresses
from aggregates_ext.db import fitting
from aggregates_ext.db import inventory
from aggregates_ext.db import records
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import notes
from aggregates_ext.db.schema import models

_TABLE = models.hosts
_AGGREGATES = models.aggregates
_FIELDS = [field.name for field in dataclasses.fields(records.Host)]
COLUMNS = [_TABLE.c[name] for name in _FIELDS]
# What a change of phase is told as, whatever causes it. That some begin is
# told with the operation alone.
_TOLD: dict[tuple[str, str], tuple[Callable[..., None], str]] = {
    ('free', 'joining'): (notes.begin, 'add_host'),
    ('free', 'member'): (notes.happen, 'add_host'),
    ('returning', 'member'): (notes.happen, 'add_host'),
    ('joining', 'member'): (notes.end, 'add_host'),
    ('joining', 'free'): (notes.fail, 'add_host'),
    ('joining', 'returning'): (notes.fail, 'add_host'),
    ('joining', 'leaving'): (notes.begin, 'remove_host'),
    ('member', 'leaving'): (notes.begin, 'remove_host'),
    ('leaving', 'free'): (notes.end, 'remove_host'),
    ('leaving', 'returning'): (notes.end, 'remove_host'),
    ('leaving', 'member'): (notes.fail, 'remove_host'),
    ('leaving', 'joining'): (notes.fail, 'remove_host'),
    ('member', 'free'): (notes.happen, 'remove_host'),
    ('member', 'returning'): (notes.happen, 'remove_host'),
}
# What a request takes is made once: one by the name ``host``, the same beside
# an aggregate, which must live, and its way into one.
_NAMED = _TABLE.c.name == sa.bindparam('host', type_=sa.String)
_ONE = sa.select(*COLUMNS, sa.true()).where(_NAMED)
_LIVES = sa.exists().where(
    _AGGREGATES.c.id == sa.bindparam('beside', type_=sa.Integer),
    _AGGREGATES.c.deleted == 0,
)
_ONE_BESIDE = sa.select(*COLUMNS, _LIVES).where(_NAMED)
_BIND = (
    sa.update(_TABLE)
    .where(_NAMED, _TABLE.c.aggregate_id.is_(None))
    .values(phase_since=engine.now())
)
# What changes the service of a host.
_SERVED = {'service', 'disabled_reason'}
# A host outside of a pool is to be as it is.
_UNTOLD = dict.fromkeys(
    (
        'service',
        'disabled_reason',
        'disabled_start',
        'maintenance',
        'maintenance_of',
    )
)


def record(row: Any) -> records.Host:
    """What a row of ``COLUMNS`` says."""
    return records.Host(**dict(zip(_FIELDS, row, strict=True)))


def get_all(
    connection: sa.Connection, aggregate_id: int | None = None
) -> list[records.Host]:
    """Registered hosts by name, or those bound to one aggregate."""
    query = sa.select(*COLUMNS).order_by(_TABLE.c.name)
    if aggregate_id is not None:
        query = query.where(_TABLE.c.aggregate_id == aggregate_id)
    return [record(row) for row in connection.execute(query)]


def alarmed(connection: sa.Connection) -> set[int]:
    """The ids of hosts that need somebody."""
    query = sa.select(_TABLE.c.id).where(_TABLE.c.alarm.is_not(None))
    return set(connection.scalars(query))


def of_aggregates(
    connection: sa.Connection, keys: Collection[int]
) -> dict[int, list[records.Host]]:
    """The hosts bound to some aggregates, by name, in one statement."""
    rows = connection.execute(
        sa.select(*COLUMNS)
        .where(_TABLE.c.aggregate_id.in_(keys))
        .order_by(_TABLE.c.name)
    )
    found: dict[int, list[records.Host]] = {key: [] for key in keys}
    for host in map(record, rows):
        if host.aggregate_id is not None:
            found[host.aggregate_id].append(host)
    return found


def beside(
    connection: sa.Connection, key: int, names: Collection[str]
) -> dict[str, records.Host]:
    """The hosts bound to an aggregate and some others, by name, in order."""
    bound = sa.select(*COLUMNS).where(_TABLE.c.aggregate_id == key)
    # One by one: an index for each.
    others = sa.select(_TABLE.c.id).where(_TABLE.c.name.in_(names))
    query = bound
    if names:
        ids = sa.union(bound.with_only_columns(_TABLE.c.id), others)
        known = ids.subquery()
        query = sa.select(*COLUMNS).join(known, known.c.id == _TABLE.c.id)
    rows = connection.execute(query.order_by(_TABLE.c.name))
    return {
        host.name: host
        for host in map(record, rows)
        # Some databases do not tell case apart.
        if host.aggregate_id == key or host.name in names
    }


def get(
    connection: sa.Connection, name: str, *, beside: int | None = None
) -> records.Host:
    """One host.

    :param beside: id of an aggregate that must live.
    :raises exception.HostNotFound: none is registered by that name.
    :raises exception.AggregateNotFound: the aggregate does not live.
    """
    query = _ONE if beside is None else _ONE_BESIDE
    asked = {'host': name, 'beside': beside}
    row = connection.execute(query, asked).one_or_none()
    # A database that compares loosely must not find another host.
    if row is None or row.name != name:
        raise exception.HostNotFound(host=name)
    if not row[-1]:
        raise exception.AggregateNotFound(aggregate_id=beside)
    return record(row[:-1])


def named(
    connection: sa.Connection, names: Collection[str]
) -> dict[str, records.Host]:
    """The hosts of some names, in one statement; absent: none is registered."""
    rows = connection.execute(
        sa.select(*COLUMNS).where(_TABLE.c.name.in_(names))
    )
    found = {host.name: host for host in map(record, rows)}
    # A database that compares loosely must not find another host.
    return {name: found[name] for name in names if name in found}


def insert_all(
    connection: sa.Connection, values: Sequence[Mapping[str, Any]]
) -> None:
    """Register hosts, all of them or none.

    :raises exception.HostExists: a name is taken, as it is now or meanwhile.
    """
    names = {host['name'] for host in values}
    for (taken,) in connection.execute(sa.select(_TABLE.c.name)):
        if taken in names:
            raise exception.HostExists(name=taken)
    if len(names) < len(values):
        listed = [host['name'] for host in values]
        twice = next(name for name in listed if listed.count(name) > 1)
        raise exception.HostExists(name=twice)
    new = {
        'phase': 'free',
        'phase_since': engine.read_clock(connection),
        'created_at': timeutils.utcnow(),
    }
    try:
        connection.execute(
            sa.insert(_TABLE), [{**host, **new} for host in values]
        )
    except db_exc.DBDuplicateEntry as exc:
        first = exc.value or values[0]['name']
        raise exception.HostExists(name=first) from None
    inventory.write_uuids(connection)
    for name in sorted(names):
        notes.serve(connection, name, 'create')


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Register one host, as ``insert_all`` does.

    :raises exception.HostExists: the name is taken.
    """
    insert_all(connection, [values])


def delete(connection: sa.Connection, name: str) -> bool:
    """Forget a free host; False when it is bound, and nothing is to be kept."""
    notes.serve(connection, name, 'delete', now=True)
    result = connection.execute(
        sa.delete(_TABLE).where(
            _TABLE.c.name == name, _TABLE.c.aggregate_id.is_(None)
        )
    )
    return bool(result.rowcount)


def bind(
    connection: sa.Connection,
    name: str,
    aggregate_id: int,
    phase: str = 'joining',
    **values: Any,
) -> bool:
    """Give a free host to an aggregate; False when it is not free.

    :param phase: that it begins with.
    :param values: further columns of the host to write with it.
    """
    result = connection.execute(
        _BIND,
        {
            'host': name,
            'aggregate_id': aggregate_id,
            'phase': phase,
            'alarm': None,
            **fitting.fit_columns(_TABLE, values),
        },
    )
    if result.rowcount:
        stamps.renew(connection, aggregate_id)
        _tell(connection, aggregate_id, name, ('free',), phase)
    return bool(result.rowcount)


def move(
    connection: sa.Connection,
    name: str,
    aggregate_id: int,
    seen: tuple[str, ...],
    phase: str,
    **values: Any,
) -> bool:
    """Take a bound host from one phase to another; False if it was not there.

    :param seen: the phases that the change starts from.
    :param phase: 'free' ends the binding.
    :param values: further columns of the host to write with it.
    """
    values['phase'] = phase
    values['phase_since'] = engine.now()
    values.setdefault('alarm', None)
    if phase in ('free', 'joining', 'returning'):
        values |= _UNTOLD
    if phase == 'free':
        values['aggregate_id'] = None
    result = connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.name == name,
            _TABLE.c.aggregate_id == aggregate_id,
            _TABLE.c.phase.in_(seen),
        )
        .values(**fitting.fit_columns(_TABLE, values))
    )
    if result.rowcount:
        stamps.renew(connection, aggregate_id)
        _tell(connection, aggregate_id, name, seen, phase)
    return bool(result.rowcount)


def _tell(
    connection: sa.Connection,
    aggregate_id: int,
    name: str,
    seen: tuple[str, ...],
    phase: str,
) -> None:
    """Let a change of phase be told.

    :param seen: one of these it was in; all of them are told alike.
    """
    told = _TOLD.get((seen[0], phase))
    if told is not None:
        tell, action = told
        tell(connection, aggregate_id, action, name)


def update(
    connection: sa.Connection, name: str, values: Mapping[str, Any]
) -> None:
    """Write what was learnt of a host.

    :raises exception.Conflict: another registered host has that uuid.
    """
    try:
        connection.execute(
            sa.update(_TABLE)
            .where(_TABLE.c.name == name)
            .values(**fitting.fit_columns(_TABLE, values))
        )
    except db_exc.DBDuplicateEntry:
        raise exception.Conflict(
            reason=f'Host {name} has the XenServer uuid '
            f'{values["uuid"]}, and so has another registered host: '
            'they are the same machine or a cloned installation. Remove '
            'one registration, or give the clone a uuid of its own.'
        ) from None
    if _SERVED & values.keys():
        notes.serve(connection, name, 'update')


def take_back_service(
    connection: sa.Connection, name: str, aggregate_id: int, *, stays: bool
) -> None:
    """Let a host be what it was last proven to be: disabled, or not.

    :param stays: whether one that is disabled is still in maintenance, or on
        its way there, if it was.
    """
    proven = _TABLE.c.disabled_start.is_not(None)
    kept = _TABLE.c.maintenance if stays else None
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.name == name, _TABLE.c.aggregate_id == aggregate_id)
        .values(
            maintenance=sa.case((proven, kept), else_=None),
            service=sa.case((proven, records.DISABLED), else_=records.ENABLED),
        )
    )
    notes.serve(connection, name, 'update')


def find(
    connection: sa.Connection,
    uuids: Collection[str] = (),
    addresses: Collection[str] = (),
    names: Collection[str] = (),
) -> list[records.Host]:
    """The hosts with one of some XenServer uuids, addresses or names.

    :param addresses: as XenAPI tells them: of the host in its pool, or the
        one in its registered URL.
    """
    spelled = {address for address in addresses if address}
    spelled |= set(map(db_addresses.normal, spelled))
    terms: list[sa.ColumnElement[bool]] = [
        _TABLE.c.uuid.in_(uuids),
        _TABLE.c.address.in_(spelled),
        _TABLE.c.name.in_(names),
    ]
    for address in spelled:
        terms.append(_TABLE.c.url.contains(f'//{address}', autoescape=True))
    if spelled:
        # Of IPv6, which has many spellings, all are looked at below.
        terms += [
            _TABLE.c.address.contains(':'),
            _TABLE.c.url.contains('//['),
        ]
    rows = connection.execute(
        sa.select(*COLUMNS).where(sa.or_(*terms)).order_by(_TABLE.c.name)
    )
    return [
        host
        for host in map(record, rows)
        if host.uuid in uuids
        or host.name in names
        or any(has_address(host, address) for address in addresses)
    ]


def has_address(host: records.Host, address: str) -> bool:
    """Whether a registered host is known by an address that XenAPI tells."""
    return any(
        db_addresses.same(address, own)
        for own in (host.address, db_addresses.of_url(host.url))
    )


def change_credential(
    connection: sa.Connection, aggregate_id: int, credential: str
) -> None:
    """Give the account of a pool to all hosts that are in it."""
    connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.aggregate_id == aggregate_id,
            _TABLE.c.phase.in_(('member', 'leaving')),
        )
        .values(credential=credential)
    )


def grant(
    connection: sa.Connection, name: str, consent: dict[str, Any], ttl: float
) -> None:
    """Store a consent to lose disks for ``ttl`` seconds."""
    until = engine.read_clock(connection) + ttl
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.name == name)
        .values(consent={**consent, 'until': until})
    )


def get_consent(connection: sa.Connection, name: str) -> dict[str, Any] | None:
    """The stored consent of a host, if it still holds."""
    row = connection.execute(
        sa.select(_TABLE.c.consent, engine.now()).where(_TABLE.c.name == name)
    ).one()
    consent: dict[str, Any] | None = row[0]
    return consent if consent and consent['until'] > row[1] else None


def use_consent(connection: sa.Connection, name: str) -> dict[str, Any] | None:
    """Take a stored consent away and return it, if it still holds."""
    consent = get_consent(connection, name)
    connection.execute(
        sa.update(_TABLE).where(_TABLE.c.name == name).values(consent=None)
    )
    return consent
