"""The statements on operations: queue and history, not a lock.

History grows, so each finds its rows by an index, whatever there is beside
them (design#history).
"""

import dataclasses
import datetime
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa
from oslo_utils import timeutils
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.db import fitting
from aggregates_ext.db import hosts
from aggregates_ext.db import records
from aggregates_ext.db import services
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import notes
from aggregates_ext.db.schema import models

_TABLE = models.operations
_FIELDS = [field.name for field in dataclasses.fields(records.Operation)]
_COLUMNS = [_TABLE.c[name] for name in _FIELDS]
UNFINISHED = ('queued', 'running')
# Those whose outcome is open.
OPEN = (*UNFINISHED, 'unresolved')
# The code in ``error`` of one that rests until another has ended.
WAITING = 'WAITING'
# Kinds that name a host and are about the pool: the latest one counts.
OF_THE_POOL = ('set_master', 'adopt')
# Kinds of which each takes the place of the other before it.
OF_THE_SERVICE = (
    'disable_host',
    'enable_host',
    'enter_maintenance',
    'leave_maintenance',
)
POWER_HOST = 'power_host'
UPDATE_HOST = 'update_host'
# Kinds that are about a host in maintenance, which stays in it meanwhile.
ON_EMPTY_HOSTS = (POWER_HOST, UPDATE_HOST)
ROLLING_REBOOT = 'rolling_reboot'
ROLLING_UPDATE = 'rolling_update'
# Kinds that take the hosts of a pool one after another.
ROLLING = (ROLLING_REBOOT, ROLLING_UPDATE)
SET_HOSTS = 'set_hosts'
# Kinds that are made of other operations. They hold up nothing that comes
# after them while they rest.
STANDS_ASIDE = (*ROLLING, SET_HOSTS)
# Requests to an operation that goes on: they are history themselves.
CONTINUE = 'continue_operation'
GIVE_UP = 'cancel_operation'
REQUESTS = (CONTINUE, GIVE_UP)
# The parameter that names the operation which another one is a part of, or
# is a request to.
PART_OF = 'part_of'
# The parameter that names the operation which one tries again.
RETRY_OF = 'retry_of'
# Kinds that tell of a host in maintenance where its guests are.
OF_MAINTENANCE = ('enter_maintenance', 'leave_maintenance', POWER_HOST)
# Kinds that start a toolstack, change the master, join or eject.
STRUCTURAL = (
    'add_host',
    'remove_host',
    'set_master',
    'reapply',
    'delete',
    *ON_EMPTY_HOSTS,
)
# Kinds that would change what a run over all hosts goes by, and wait for its
# end.
AFTER_ROLLING = frozenset({*STRUCTURAL, 'adopt'} - {*ON_EMPTY_HOSTS})
# Kinds after which the pool is what is wanted: nothing counts from before.
SETTLES_ALL = ('adopt',)
# Kinds that are told on the bus, and as what.
TOLD = {
    'add_host': 'add_host',
    'remove_host': 'remove_host',
    'delete': 'delete',
    'rename': 'update_prop',
}
# The parameter that tells of a change of master that was sent.
DESIGNATED = 'designated'
# Parts of one statement; SQLite takes 500.
_PARTS = 400
# The parameter that tells of a call by which a host goes down or starts.
POWERED = 'power'


def hidden(column: Any) -> Any:
    """A number that no index is used for.

    SQLite knows not how much there is. It would rather follow an index in
    the order that is wanted than sort the few rows of another.
    """
    return column + 0


def _is_open(states: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """In one of some states that have not ended: what counts, and little."""
    return sa.and_(_TABLE.c.settled == sa.false(), _TABLE.c.state.in_(states))


# One by its ``uuid``, and what ``services.judge`` takes, in one statement.
ONE = sa.select(*_COLUMNS, engine.now(), *services.LAST).where(
    _TABLE.c.uuid == sa.bindparam('uuid', type_=sa.String)
)


def told(
    row: Sequence[Any],
) -> tuple[records.Operation, float, bool, float | None]:
    """What a row of ``ONE`` says: it, when, and who was seen.

    :returns: also the database's clock, and the same as ``last_seen``.
    """
    *columns, now, left, age = row
    return _record(columns), float(now), *services.judge(left, age)


def _record(row: Any) -> records.Operation:
    return records.Operation(**dict(zip(_FIELDS, row, strict=True)))


def insert(
    connection: sa.Connection,
    uuid: str,
    kind: str,
    aggregate_id: int,
    host: str | None,
    asked: Mapping[str, str | None],
    parameters: Mapping[str, Any] | None = None,
    *,
    done: bool = False,
) -> records.Operation:
    """Queue an operation, and return it as it is written.

    :param asked: request_id, user_id and project_id of who asked; also
        global_request_id, which is kept among the parameters.
    :param done: it has succeeded by being written, and is history.
    """
    columns = dict(asked)
    known = dict(parameters or {})
    cause = columns.pop('global_request_id', None)
    if cause is not None:
        known['global_request_id'] = cause
    now = timeutils.utcnow()
    values: dict[str, Any] = {
        **dict.fromkeys(_FIELDS[1:]),
        **columns,
        'uuid': uuid,
        'kind': kind,
        'aggregate_id': aggregate_id,
        'host': host,
        'state': 'succeeded' if done else 'queued',
        'settled': done,
        'progress': 100 if done else 0,
        'attempts': 0,
        'parameters': known,
        'created_at': now,
        'finished_at': now if done else None,
    }
    result = connection.execute(sa.insert(_TABLE), values)
    (key,) = result.inserted_primary_key or (0,)
    stamps.renew(connection, aggregate_id)
    if kind in TOLD:
        notes.begin(connection, aggregate_id, TOLD[kind], host, operation=uuid)
    return records.Operation(id=int(key), **values)


def get(connection: sa.Connection, uuid: str) -> records.Operation:
    """One operation.

    :raises exception.OperationNotFound: there is none.
    """
    row = connection.execute(
        sa.select(*_COLUMNS).where(_TABLE.c.uuid == uuid)
    ).one_or_none()
    if row is None:
        raise exception.OperationNotFound(operation=uuid)
    return _record(row)


def named(
    connection: sa.Connection, uuids: Collection[str]
) -> list[records.Operation]:
    """Those of some operations that there are, in order of their arrival."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(_TABLE.c.uuid.in_(uuids))
        .order_by(_TABLE.c.id)
    )
    return [_record(row) for row in rows]


def get_all(
    connection: sa.Connection,
    aggregate_id: int | None = None,
    *,
    states: tuple[str, ...] | None = None,
    kinds: tuple[str, ...] | None = None,
    host: str | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> list[records.Operation]:
    """Operations, the newest first.

    :param before: id of one; only older ones.
    """
    query = sa.select(*_COLUMNS)
    order = _TABLE.c.id
    if aggregate_id is not None:
        # A host has less history than its aggregate.
        key = _TABLE.c.aggregate_id
        query = query.where((hidden(key) if host else key) == aggregate_id)
    if states is not None and set(states) <= set(OPEN):
        query = query.where(_is_open(states))
        order = hidden(order)
    elif states is not None:
        query = query.where(_TABLE.c.state.in_(states))
    if kinds is not None:
        query = query.where(_TABLE.c.kind.in_(kinds))
    if host is not None:
        query = query.where(_TABLE.c.host == host)
    if before is not None:
        query = query.where(order < before)
    query = query.order_by(order.desc())
    if limit is not None:
        # The ids are in the index alone. MariaDB would else begin at the
        # newest row of all, whatever ``before`` says.
        page = query.with_only_columns(_TABLE.c.id).limit(limit).subquery()
        query = (
            sa.select(*_COLUMNS)
            .join(page, page.c.id == _TABLE.c.id)
            .order_by(_TABLE.c.id.desc())
        )
    return [_record(row) for row in connection.execute(query)]


def networks(
    connection: sa.Connection, ids: Collection[int]
) -> dict[int, str]:
    """The networks that operations want their moves to take, by id."""
    if not ids:
        return {}
    rows = connection.execute(
        sa.select(_TABLE.c.id, _TABLE.c.parameters).where(_TABLE.c.id.in_(ids))
    )
    return {
        row.id: str(row.parameters['network'])
        for row in rows
        if row.parameters.get('network')
    }


def of_hosts(
    connection: sa.Connection,
    aggregate_id: int,
    names: Collection[str],
    kinds: tuple[str, ...],
) -> dict[str, list[records.Operation]]:
    """Operations of some kinds on each of some hosts, the newest first."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(
            # A host has less history than its aggregate.
            hidden(_TABLE.c.aggregate_id) == aggregate_id,
            _TABLE.c.host.in_(names),
            _TABLE.c.kind.in_(kinds),
        )
        .order_by(hidden(_TABLE.c.id).desc())
    )
    found: dict[str, list[records.Operation]] = {name: [] for name in names}
    for row in rows:
        operation = _record(row)
        # Some databases do not tell case apart.
        if operation.host in found:
            found[operation.host].append(operation)
    return found


def unfinished(
    connection: sa.Connection, aggregate_id: int
) -> tuple[list[records.Operation], float]:
    """Operations to be run, in order, and the database's clock."""
    return _timed(connection, aggregate_id, _is_open(UNFINISHED))


def counting(
    connection: sa.Connection, aggregate_id: int
) -> tuple[list[records.Operation], float]:
    """Those that count for the state of an aggregate, and the clock."""
    return _timed(connection, aggregate_id, _TABLE.c.settled == sa.false())


def _timed(
    connection: sa.Connection,
    aggregate_id: int,
    which: sa.ColumnElement[bool],
) -> tuple[list[records.Operation], float]:
    """Some of an aggregate, in order, and the database's clock.

    That is 0 where there are none, and nothing to be judged by it.
    """
    query = (
        sa.select(*_COLUMNS, engine.now().label('now'))
        .where(_TABLE.c.aggregate_id == aggregate_id, which)
        .order_by(hidden(_TABLE.c.id))
    )
    rows = connection.execute(query).all()
    now = rows[0].now if rows else 0.0
    return [_record(row[:-1]) for row in rows], now


class Tally(NamedTuple):
    """The operations of one kind and state that count for an aggregate.

    :ivar number: how many there are.
    :ivar due: how many of them a compute service could go on with now.
    :ivar oldest: when the first of them was asked for, in UTC.
    """

    kind: str
    state: str
    number: int
    due: int
    oldest: datetime.datetime


def tally(connection: sa.Connection) -> list[Tally]:
    """How many operations count, and how old they are."""
    is_due = sa.and_(
        _TABLE.c.state.in_(UNFINISHED),
        sa.or_(
            _TABLE.c.not_before.is_(None),
            _TABLE.c.not_before <= engine.now(),
        ),
    )
    query = (
        sa.select(
            _TABLE.c.kind,
            _TABLE.c.state,
            sa.func.count(),
            sa.func.sum(sa.case((is_due, 1), else_=0)),
            sa.func.min(_TABLE.c.created_at),
        )
        .where(_TABLE.c.settled == sa.false())
        .group_by(_TABLE.c.kind, _TABLE.c.state)
    )
    return [
        Tally(kind, state, count, int(due), oldest)
        for kind, state, count, due, oldest in connection.execute(query)
    ]


def standing(
    connection: sa.Connection, keys: Collection[int]
) -> list[records.Operation]:
    """Those that count for the states of some aggregates, in order."""
    key = _TABLE.c.aggregate_id
    query = (
        sa.select(*_COLUMNS)
        .where(
            # Of many, MariaDB would read the history instead.
            (hidden(key) if len(keys) > 1 else key).in_(keys),
            _TABLE.c.settled == sa.false(),
        )
        .order_by(hidden(_TABLE.c.id))
    )
    return [_record(row) for row in connection.execute(query)]


def of_host(
    connection: sa.Connection, aggregate_id: int, name: str
) -> tuple[records.Host, list[records.Operation]]:
    """A host, and its open operations in an aggregate, in order.

    :raises exception.HostNotFound: none is registered by that name.
    """
    query = (
        sa.select(*hosts.COLUMNS, *_COLUMNS)
        .outerjoin_from(
            models.hosts,
            _TABLE,
            sa.and_(
                _TABLE.c.aggregate_id == aggregate_id,
                _TABLE.c.host == models.hosts.c.name,
                _is_open(OPEN),
            ),
        )
        .where(models.hosts.c.name == name)
        .order_by(hidden(_TABLE.c.id))
    )
    rows = connection.execute(query).all()
    width = len(hosts.COLUMNS)
    host = hosts.record(rows[0][:width]) if rows else None
    # As in ``hosts.get``.
    if host is None or host.name != name:
        raise exception.HostNotFound(host=name)
    return host, [_record(row[width:]) for row in rows if row[width]]


def owing(
    standing: Sequence[records.Operation],
) -> list[records.Operation]:
    """Those that took hosts in turn, failed, and owe something still.

    What one that is tried again owes, it owes no more: the other one does.

    :param standing: what counts for an aggregate.
    """
    runs = [o for o in standing if o.kind in ROLLING]
    again = {o.parameters.get(RETRY_OF) for o in runs}
    return [
        o
        for o in runs
        if o.state == 'failed'
        and o.uuid not in again
        and records.Rolling.owes(o)
    ]


def tried(
    standing: Sequence[records.Operation], operation: records.Operation
) -> set[int]:
    """The ids of an operation, and of those that it tries again.

    :param standing: what counts for its aggregate.
    """
    by_uuid = {o.uuid: o for o in standing}
    found, now = set(), operation
    while now.id not in found:
        found.add(now.id)
        now = by_uuid.get(str(now.parameters.get(RETRY_OF)), now)
    return found


def replacing(operation: records.Operation) -> tuple[str, ...]:
    """Kinds that take the place of an operation on the same host."""
    if operation.kind in OF_THE_SERVICE:
        return OF_THE_SERVICE
    return (operation.kind,)


def latest(
    connection: sa.Connection,
    aggregate_id: int,
    host: str | None,
    kinds: tuple[str, ...],
    after: int = 0,
) -> records.Operation | None:
    """The newest operation of some kinds on a host; None: on no host.

    Of a kind that is about the pool: on any host.

    :param after: id of one; only later ones.
    """
    key = _TABLE.c.aggregate_id
    query = sa.select(*_COLUMNS).where(
        (hidden(key) if host else key) == aggregate_id,
        _TABLE.c.kind.in_(kinds),
        _TABLE.c.id > after,
    )
    if not set(kinds) <= set(OF_THE_POOL):
        query = query.where(
            _TABLE.c.host == host if host else _TABLE.c.host.is_(None)
        )
    row = connection.execute(
        query.order_by(_TABLE.c.id.desc()).limit(1)
    ).one_or_none()
    return None if row is None else _record(row)


def last_of(
    connection: sa.Connection, places: Collection[tuple[int, str]]
) -> list[records.Operation]:
    """The last operation on each of some hosts in an aggregate.

    :param places: ids of aggregates with names of hosts. So many at once as
        SQLite takes.
    """
    found: list[records.Operation] = []
    wanted = sorted(places)
    for start in range(0, len(wanted), _PARTS):
        parts = [
            sa.select(
                sa.select(_TABLE.c.id)
                # A host has less history than its aggregate.
                .where(hidden(_TABLE.c.aggregate_id) == key)
                .where(_TABLE.c.host == name)
                .order_by(_TABLE.c.id.desc())
                .limit(1)
                .scalar_subquery()
                .label('id')
            )
            for key, name in wanted[start : start + _PARTS]
        ]
        last = sa.union_all(*parts).subquery('last')
        rows = connection.execute(
            sa.select(*_COLUMNS).join(last, last.c.id == _TABLE.c.id)
        )
        found += [_record(row) for row in rows]
    return found


def replaces(later: records.Operation, old: records.Operation) -> bool:
    """Whether one takes the place of another, as ``latest`` finds it."""
    same = later.host == old.host or old.kind in OF_THE_POOL
    return later.id > old.id and later.kind in replacing(old) and same


def successors(
    connection: sa.Connection,
    aggregate_id: int,
    old: Collection[records.Operation],
) -> list[records.Operation]:
    """The last one of each kind and host that may replace some others.

    One that names no host, or is about the pool, is looked for among those
    that did not succeed: a success would have settled what it replaces, but
    for one that was unresolved then.

    :param old: some that have failed, which count.
    """
    after = min(operation.id for operation in old)
    key = _TABLE.c.aggregate_id
    of_hosts = [o for o in old if o.host and o.kind not in OF_THE_POOL]
    plain = [o for o in old if o not in of_hosts]
    parts = []
    if of_hosts:
        kinds = {k for o in of_hosts for k in replacing(o)}
        parts.append(
            sa.and_(
                hidden(key) == aggregate_id,
                _TABLE.c.host.in_({o.host for o in of_hosts}),
                _TABLE.c.kind.in_(kinds),
            )
        )
    if plain:
        parts.append(
            sa.and_(
                key == aggregate_id,
                _TABLE.c.state.in_(('failed', 'cancelled', *OPEN)),
                _TABLE.c.kind.in_({k for o in plain for k in replacing(o)}),
            )
        )
    asked = [
        sa.select(sa.func.max(_TABLE.c.id).label('id'))
        .where(part, _TABLE.c.id > after)
        .group_by(_TABLE.c.kind, _TABLE.c.host)
        for part in parts
    ]
    found = sa.union_all(*asked).subquery('found')
    rows = connection.execute(
        sa.select(*_COLUMNS).join(found, found.c.id == _TABLE.c.id)
    )
    return [_record(row) for row in rows]


def designations(
    connection: sa.Connection, aggregate_id: int, window: float
) -> list[tuple[records.Operation, float]]:
    """Those that sent a change of master, the newest first, and how long ago.

    :param window: seconds; older ones only while their outcome is open.
    """
    # A value: PostgreSQL asks no index for what its clock says now.
    now = engine.read_clock(connection)
    of_all = sa.select(*_COLUMNS).where(_TABLE.c.aggregate_id == aggregate_id)
    found = {}
    for which in (
        _TABLE.c.designated > now - window,
        _is_open(('running', 'unresolved')),
    ):
        for row in connection.execute(of_all.where(which)):
            operation = _record(row)
            found[operation.id] = operation
    return [
        (operation, now - operation.designated)
        for _key, operation in sorted(found.items(), reverse=True)
        if operation.designated is not None
    ]


def wake(connection: sa.Connection, operation_id: int) -> None:
    """Let an operation that rests go on now."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == operation_id, _TABLE.c.state.in_(UNFINISHED))
        .values(not_before=None)
    )


def ask(
    connection: sa.Connection,
    kind: str,
    operation: records.Operation,
    asked: Mapping[str, str | None],
    parameters: Mapping[str, Any],
) -> None:
    """Write down what is asked of an operation, which goes on at once.

    :param kind: one of ``REQUESTS``.
    :param asked: who asks, as for ``insert``.
    """
    insert(
        connection,
        uuidutils.generate_uuid(),
        kind,
        operation.aggregate_id,
        None,
        asked,
        {**parameters, PART_OF: operation.uuid},
        done=True,
    )
    wake(connection, operation.id)


def requests(
    connection: sa.Connection, operation: records.Operation
) -> list[records.Operation]:
    """What was asked of an operation since it was, in order."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(
            _TABLE.c.aggregate_id == operation.aggregate_id,
            _TABLE.c.id > operation.id,
            _TABLE.c.kind.in_(REQUESTS),
        )
        .order_by(_TABLE.c.id)
    )
    found = [_record(row) for row in rows]
    return [f for f in found if f.parameters[PART_OF] == operation.uuid]


def rests(operation: records.Operation, now: float) -> bool:
    """Whether one may be hastened, as ``hasten`` has it.

    :param now: the clock of the database.
    """
    waits = operation.not_before is not None and operation.not_before > now
    return waits and operation.state in UNFINISHED


def hasten(
    connection: sa.Connection,
    operation: records.Operation,
    parameters: Mapping[str, Any],
) -> bool:
    """Let a resting operation try again now; False when it does not rest."""
    result = connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.id == operation.id,
            _TABLE.c.state.in_(UNFINISHED),
            _TABLE.c.not_before > engine.now(),
        )
        .values(not_before=None, parameters=dict(parameters))
    )
    return bool(result.rowcount)


def find_standing(connection: sa.Connection, host: str) -> int | None:
    """An aggregate for which an operation on a host still counts."""
    return connection.scalar(
        sa.select(_TABLE.c.aggregate_id)
        .where(_TABLE.c.host == host, _TABLE.c.settled == sa.false())
        .order_by(hidden(_TABLE.c.id).desc())
        .limit(1)
    )


def cancel(
    connection: sa.Connection, operation: records.Operation
) -> records.Operation | None:
    """Cancel a queued operation by one UPDATE; None when it has started.

    :returns: it, as it is written.
    """
    values: dict[str, Any] = {
        'state': 'cancelled',
        'settled': True,
        'finished_at': timeutils.utcnow(),
    }
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == operation.id, _TABLE.c.state == 'queued')
        .values(values)
    )
    if not result.rowcount:
        return None
    stamps.renew(connection, operation.aggregate_id)
    _tell_end(connection, operation, 'cancelled')
    if PART_OF in operation.parameters:
        _wake_waiting(connection, operation.aggregate_id)
    return dataclasses.replace(operation, **values)


def is_at_rest(operation: records.Operation) -> bool:
    """Whether another one may take its place, as ``replace`` has it."""
    if operation.state == 'running':
        return operation.not_before is not None
    return operation.state in ('queued', 'unresolved')


def replace(
    connection: sa.Connection, replaced: Sequence[records.Operation]
) -> bool:
    """End operations because another one takes their place, by one UPDATE.

    Those that may have had an effect end as failed, else as cancelled.

    :returns: whether all were at rest, as they have to be.
    """
    result = connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.id.in_([operation.id for operation in replaced]),
            sa.or_(
                _TABLE.c.state.in_(('queued', 'unresolved')),
                sa.and_(
                    _TABLE.c.state == 'running',
                    _TABLE.c.not_before.is_not(None),
                ),
            ),
        )
        .values(
            state=sa.case(
                (_TABLE.c.state == 'unresolved', 'failed'), else_='cancelled'
            ),
            settled=True,
            call=None,
            not_before=None,
            finished_at=timeutils.utcnow(),
        )
    )
    stamps.renew(connection, *{known.aggregate_id for known in replaced})
    for operation in replaced:
        _tell_end(connection, operation, 'replaced')
    return bool(result.rowcount == len(replaced))


def start(connection: sa.Connection, operation_id: int) -> bool:
    """Begin or resume an operation; False when it was cancelled meanwhile."""
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == operation_id, _TABLE.c.state.in_(UNFINISHED))
        .values(
            state='running',
            attempts=_TABLE.c.attempts + 1,
            begun=sa.func.coalesce(_TABLE.c.begun, engine.now()),
            not_before=None,
            # Of its last rest, which is over.
            error=None,
            started_at=sa.func.coalesce(
                _TABLE.c.started_at, timeutils.utcnow()
            ),
        )
    )
    return bool(result.rowcount)


def update(
    connection: sa.Connection, operation_id: int, values: Mapping[str, Any]
) -> None:
    """Write progress of an operation that is under way."""
    written = dict(values)
    if 'parameters' in written:
        sent = written['parameters'].get(DESIGNATED) or {}
        written['designated'] = sent.get('at')
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == operation_id)
        .values(**fitting.fit_columns(_TABLE, written))
    )


def postpone(
    connection: sa.Connection, operation_id: int, state: str, seconds: float
) -> None:
    """Let an operation rest; others go on meanwhile.

    :param state: 'queued' when nothing was sent yet, else 'running'.
    """
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == operation_id)
        .values(state=state, not_before=engine.now() + seconds)
    )


def finish(
    connection: sa.Connection,
    operation: records.Operation,
    state: str,
    error: dict[str, Any] | None = None,
) -> None:
    """End an operation; a success settles what failed before it.

    One that was called off counts for nothing, and neither does what it tried
    again: a run of all hosts has given back what that owed. One about no host
    (a rename) does not stand: what it did not do shows as drift of the pool.
    That a restart of all hosts has stopped does not.
    """
    succeeded = state == 'succeeded'
    stands = operation.host is not None or operation.kind in ROLLING
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == operation.id)
        .values(
            state=state,
            settled=not stands or state in ('succeeded', 'cancelled'),
            error=fitting.fit_json(error),
            call=_TABLE.c.call if state == 'unresolved' else None,
            not_before=None,
            finished_at=timeutils.utcnow(),
            **({'progress': 100, 'step': 'done'} if succeeded else {}),
        )
    )
    if succeeded:
        _settle(connection, operation)
    elif state == 'cancelled' and operation.kind in ROLLING:
        standing, _now = counting(connection, operation.aggregate_id)
        settle_failed(connection, keys=tried(standing, operation))
    stamps.renew(connection, operation.aggregate_id)
    _tell_end(connection, operation, state, error)
    _wake_waiting(connection, operation.aggregate_id)


def _wake_waiting(connection: sa.Connection, aggregate_id: int) -> None:
    """Let those look again now that waited for one that has ended."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.aggregate_id == aggregate_id, _is_waiting())
        .values(not_before=None)
    )


def _tell_end(
    connection: sa.Connection,
    operation: records.Operation,
    state: str,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Let it be told how an operation has ended, if it has.

    :param state: in which it ended; 'replaced' by another one.
    """
    action = TOLD.get(operation.kind)
    if action is None or state == 'unresolved':
        return
    about = (connection, operation.aggregate_id, action, operation.host)
    if state == 'succeeded':
        notes.end(*about, operation=operation.uuid)
        return
    why = fitting.fit_json(error) or {
        'code': state.upper(),
        'message': f'Operation {operation.uuid} is {state}.',
    }
    notes.fail(*about, operation=operation.uuid, error=why)


def _is_waiting() -> sa.ColumnElement[bool]:
    """It rests until another operation has ended."""
    return sa.and_(
        _is_open(UNFINISHED),
        _TABLE.c.error['code'].as_string() == WAITING,
    )


def _settle(connection: sa.Connection, success: records.Operation) -> None:
    """Let earlier failures of the kind stop to count for the aggregate.

    But not a run of all hosts that owes something still, which only another
    try of it gives back.
    """
    query = sa.update(_TABLE).where(
        _TABLE.c.aggregate_id == success.aggregate_id,
        _TABLE.c.settled == sa.false(),
        _TABLE.c.state == 'failed',
        _TABLE.c.id < success.id,
    )
    if success.kind in OF_THE_SERVICE:
        query = query.where(_TABLE.c.kind.in_(OF_THE_SERVICE))
    elif success.kind not in SETTLES_ALL:
        query = query.where(_TABLE.c.kind == success.kind)
    if success.kind not in OF_THE_POOL:
        query = query.where(
            _TABLE.c.host == success.host
            if success.host
            else _TABLE.c.host.is_(None)
        )
    if success.kind in (*ROLLING, *SETTLES_ALL):
        standing, _now = counting(connection, success.aggregate_id)
        owed = {o.id for o in owing(standing)} - tried(standing, success)
        if owed:
            query = query.where(_TABLE.c.id.not_in(owed))
    connection.execute(query.values(settled=True, call=None))


def reset(connection: sa.Connection, aggregate_id: int, host: str) -> None:
    """Let nothing that failed or is unresolved of a host count any more.

    Unresolved ones end as failed. What waited for another operation looks
    again now.
    """
    standing = sa.and_(
        _TABLE.c.host == host,
        _TABLE.c.state.in_(('failed', 'unresolved')),
    )
    # MySQL computes each value from those before it, so all ask what none
    # of them changes: whether it waits.
    waits = _TABLE.c.state.in_(UNFINISHED)
    connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.aggregate_id == aggregate_id,
            _TABLE.c.settled == sa.false(),
            sa.or_(standing, _is_waiting()),
        )
        .values(
            state=sa.case((waits, _TABLE.c.state), else_='failed'),
            settled=sa.case((waits, _TABLE.c.settled), else_=sa.true()),
            call=sa.case((waits, _TABLE.c.call), else_=sa.null()),
            not_before=None,
        )
    )
    stamps.renew(connection, aggregate_id)


def settle_failed(
    connection: sa.Connection,
    *,
    host: str | None = None,
    aggregate_id: int | None = None,
    keys: Collection[int] | None = None,
) -> None:
    """Let nothing count any more that failed of a host, or an aggregate.

    :param keys: ids of some operations, which alone are meant.
    """
    whose = (
        _TABLE.c.aggregate_id == aggregate_id
        if host is None
        else _TABLE.c.host == host
    )
    if keys is not None:
        whose = _TABLE.c.id.in_(keys)
    failed = (
        whose,
        _TABLE.c.settled == sa.false(),
        _TABLE.c.state == 'failed',
    )
    found = connection.scalars(
        sa.select(_TABLE.c.aggregate_id).where(*failed).distinct()
    ).all()
    # In these alone: where one fails meanwhile, there is no new stamp.
    if found:
        stamps.renew(connection, *found)
        connection.execute(
            sa.update(_TABLE)
            .where(*failed, _TABLE.c.aggregate_id.in_(found))
            .values(settled=True)
        )
