"""The statements on moves: guests on their way, and where they have been.

Moves of a pool run beside one another, and are not shown of its aggregate, so
none of these renews a stamp (design#moves).
"""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import timeutils

from aggregates_ext import exception
from aggregates_ext.db import fitting
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import notes
from aggregates_ext.db.schema import models

_TABLE = models.moves
_FIELDS = [field.name for field in dataclasses.fields(records.Move)]
_COLUMNS = [_TABLE.c[name] for name in _FIELDS]
QUEUED, SENT, UNRESOLVED = 'queued', 'sent', 'unresolved'
REPAIRING, STARTING = 'repairing', 'starting'
# The part of a call that tells when a repair has made toolstacks start, or
# somebody has given up what it had found.
RESTARTED = 'restarted'
COMPLETED, FAILED, CANCELLED = 'completed', 'failed', 'cancelled'
# Those that may still move the guest, or start it.
OPEN = (QUEUED, SENT, UNRESOLVED, REPAIRING, STARTING)
# Those of which nobody knows what became of them.
STUCK = (UNRESOLVED, REPAIRING)
# Those that are on their way: of the others nobody knows.
UNDER_WAY = (QUEUED, SENT)
# Rows of one statement, which may have so many values.
AT_ONCE = 500


class Wanted(NamedTuple):
    """Which moves are asked for; None: whatever it is.

    :ivar host: name of either end.
    :ivar states: it is in one of these.
    :ivar begun: whether progress was told of it.
    :ivar since, before: when it last changed, in UTC; they come in that
        order then.
    """

    host: str | None = None
    source: str | None = None
    guest_uuid: str | None = None
    states: tuple[str, ...] | None = None
    begun: bool | None = None
    user_id: str | None = None
    project_id: str | None = None
    since: Any = None
    before: Any = None


def _record(row: Any) -> records.Move:
    return records.Move(**dict(zip(_FIELDS, row, strict=True)))


def insert(
    connection: sa.Connection,
    uuid: str,
    guest: records.Guest,
    asked: Mapping[str, str | None],
    wanted: str | None = None,
    operation_id: int | None = None,
) -> records.Move:
    """Queue the move of a guest away from where it is.

    :param asked: request_id, user_id and project_id of who asked.
    :param wanted: name of the host that it is to move to; None: any.
    :raises exception.GuestMoves: it has one that is open.
    """
    now = timeutils.utcnow()
    values: dict[str, Any] = {
        **dict.fromkeys(_FIELDS[1:]),
        **{
            name: asked.get(name)
            for name in ('request_id', 'user_id', 'project_id')
        },
        'uuid': uuid,
        'aggregate_id': guest.aggregate_id,
        'operation_id': operation_id,
        'guest_uuid': guest.uuid,
        'guest_name': guest.name,
        'source': guest.host,
        'wanted': wanted,
        'state': QUEUED,
        'cancelled': False,
        'progress': 0,
        'attempts': 0,
        'tried': {},
        'created_at': now,
        'updated_at': now,
    }
    try:
        result = connection.execute(sa.insert(_TABLE), {**values, 'ended': 0})
    except db_exc.DBDuplicateEntry as exc:
        raise exception.GuestMoves(guest=guest.name) from exc
    (key,) = result.inserted_primary_key or (0,)
    made = records.Move(id=int(key), **values)
    _tell(connection, made, notes.START)
    return made


def _tell(
    connection: sa.Connection,
    move: records.Move,
    phase: str,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Let a move be told, as it was read or written last."""
    notes.move(
        connection,
        move.aggregate_id,
        move.uuid,
        phase,
        guest=move.guest_uuid,
        guest_name=move.guest_name,
        source=move.source,
        target=move.target or move.wanted,
        error=fitting.fit_json(error),
    )


def get(connection: sa.Connection, uuid: str) -> records.Move:
    """One move.

    :raises exception.MoveNotFound: there is none.
    """
    row = connection.execute(
        sa.select(*_COLUMNS).where(_TABLE.c.uuid == uuid)
    ).one_or_none()
    if row is None:
        raise exception.MoveNotFound(move=uuid)
    return _record(row)


def find(
    connection: sa.Connection, key: int, guest_uuid: str
) -> records.Move | None:
    """A move of a guest by its id; None: it has none such."""
    row = connection.execute(
        sa.select(*_COLUMNS).where(
            _TABLE.c.id == key, _TABLE.c.guest_uuid == guest_uuid
        )
    ).one_or_none()
    return None if row is None else _record(row)


def find_asked(
    connection: sa.Connection, guest_uuid: str, request_id: str, uuid: str
) -> records.Move | None:
    """A move of a guest by who has asked for it; None: it has none such.

    :param request_id: of a request that has asked for this one alone.
    :param uuid: else of the move.
    """
    row = connection.execute(
        sa.select(*_COLUMNS)
        .where(
            _TABLE.c.guest_uuid == guest_uuid,
            sa.or_(
                sa.and_(
                    _TABLE.c.request_id == request_id,
                    _TABLE.c.operation_id.is_(None),
                ),
                _TABLE.c.uuid == uuid,
            ),
        )
        .order_by(_TABLE.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _record(row)


def under_way(
    connection: sa.Connection, guest_uuids: Collection[str]
) -> dict[tuple[int, str], int]:
    """How far guests are that move, by aggregate and uuid, in percent."""
    rows = connection.execute(
        sa.select(
            _TABLE.c.aggregate_id, _TABLE.c.guest_uuid, _TABLE.c.progress
        ).where(
            _TABLE.c.ended == 0,
            _TABLE.c.guest_uuid.in_(guest_uuids),
            _TABLE.c.state.in_(UNDER_WAY),
        )
    )
    return {(row[0], row[1]): row[2] for row in rows}


def open_of(
    connection: sa.Connection, aggregate_id: int
) -> tuple[list[records.Move], float]:
    """The open moves of an aggregate, in order, and the database's clock."""
    rows = connection.execute(
        sa.select(*_COLUMNS, engine.now().label('now'))
        .where(_TABLE.c.ended == 0, _TABLE.c.aggregate_id == aggregate_id)
        .order_by(_TABLE.c.id)
    ).all()
    now = rows[0].now if rows else 0.0
    return [_record(row[:-1]) for row in rows], now


def due() -> sa.Select[Any]:
    """The aggregates that have a move to be gone on with now."""
    return sa.select(_TABLE.c.aggregate_id).where(
        _TABLE.c.ended == 0,
        sa.or_(
            _TABLE.c.not_before.is_(None),
            _TABLE.c.not_before <= engine.now(),
        ),
    )


def rests() -> sa.Select[Any]:
    """When the first of all moves that rest is to be gone on with."""
    return sa.select(sa.func.min(_TABLE.c.not_before)).where(
        _TABLE.c.ended == 0, _TABLE.c.not_before > engine.now()
    )


def tally(connection: sa.Connection) -> dict[str, int]:
    """How many moves are open, by each state that such a one has."""
    rows = connection.execute(
        sa.select(_TABLE.c.state, sa.func.count())
        .where(_TABLE.c.ended == 0)
        .group_by(_TABLE.c.state)
    )
    return {**dict.fromkeys(OPEN, 0), **{row[0]: row[1] for row in rows}}


def unresolved(connection: sa.Connection) -> list[records.Move]:
    """The moves of which nobody knows what became of them, in order."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(_TABLE.c.ended == 0, _TABLE.c.state.in_(STUCK))
        .order_by(_TABLE.c.id)
    )
    return [_record(row) for row in rows]


def of_operation(
    connection: sa.Connection, operation_id: int
) -> list[records.Move]:
    """The moves that are a part of an operation, in order."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(_TABLE.c.operation_id == operation_id)
        .order_by(_TABLE.c.id)
    )
    return [_record(row) for row in rows]


def of_operations(
    connection: sa.Connection, operation_ids: Collection[int]
) -> list[records.Move]:
    """The moves that are a part of some operations, in order."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(_TABLE.c.operation_id.in_(operation_ids))
        .order_by(_TABLE.c.id)
    )
    return [_record(row) for row in rows]


def last_of(
    connection: sa.Connection, aggregate_id: int, uuids: Sequence[str]
) -> list[records.Move]:
    """The last move of each of some guests of an aggregate that has moved."""
    found: list[records.Move] = []
    for first in range(0, len(uuids), AT_ONCE):
        last = (
            sa.select(sa.func.max(_TABLE.c.id))
            .where(
                _TABLE.c.guest_uuid.in_(uuids[first : first + AT_ONCE]),
                _TABLE.c.aggregate_id == aggregate_id,
            )
            .group_by(_TABLE.c.guest_uuid)
        )
        query = sa.select(*_COLUMNS).where(_TABLE.c.id.in_(last))
        found += map(_record, connection.execute(query))
    return found


def homes(
    connection: sa.Connection, host: str, operation_ids: Collection[int]
) -> list[records.Move]:
    """The moves by which operations have taken guests off a host, in order."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(
            _TABLE.c.operation_id.in_(operation_ids),
            _TABLE.c.source == host,
            _TABLE.c.state == COMPLETED,
        )
        .order_by(_TABLE.c.id)
    )
    return [_record(row) for row in rows]


def open_of_guest(
    connection: sa.Connection, guest_uuid: str
) -> list[records.Move]:
    """The open moves of a guest, in order: one, unless two pools have it."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(_TABLE.c.guest_uuid == guest_uuid, _TABLE.c.ended == 0)
        .order_by(_TABLE.c.id)
    )
    return [_record(row) for row in rows]


def page(
    connection: sa.Connection,
    wanted: Wanted,
    limit: int,
    marker: str | None = None,
) -> list[records.Move] | None:
    """Moves, the newest first; None: the marker is no move.

    :param marker: uuid of the last one of the page before.
    """
    key, changed = _TABLE.c.id, _TABLE.c.updated_at
    by_change = wanted.since is not None or wanted.before is not None
    order = (changed.desc(), key.desc()) if by_change else (key.desc(),)
    beyond: list[sa.ColumnElement[bool]] = []
    if marker is not None:
        last = connection.execute(
            sa.select(key, changed).where(_TABLE.c.uuid == marker)
        ).one_or_none()
        if last is None:
            return None
        beyond.append(key < last[0])
        if by_change:
            # One bound, which an index can begin at.
            bounds = [last[1], *filter(None, [wanted.before])]
            wanted = wanted._replace(before=min(bounds))
            beyond = [sa.or_(changed < last[1], *beyond)]
    ids = sa.select(key).where(*_terms(wanted), *beyond)
    if any(wanted) and not by_change:
        ids = _by_what_is_asked(ids)
    keys = _ids_of_a_page(ids.order_by(*order).limit(limit), wanted.host)
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .join(keys, keys.c.id == key)
        .order_by(*order)
        .limit(limit)
    )
    return [_record(row) for row in rows]


def _by_what_is_asked(ids: sa.Select[Any]) -> sa.Select[Any]:
    """Not by the ids of all, where an index has those that are asked for.

    MariaDB would look at both, and then begin at the newest whatever the
    marker says.
    """
    for dialect in ('mysql', 'mariadb'):
        ids = ids.with_hint(_TABLE, 'IGNORE INDEX (PRIMARY)', dialect)
    return ids


def _ids_of_a_page(ids: sa.Select[Any], host: str | None) -> sa.Subquery:
    """The ids alone, which are in each index.

    :param host: at either end, each by its own index: one alternative of
        both would read all.
    """
    if host is None:
        return ids.subquery()
    ends = [
        ids.where(column == host).subquery()
        for column in (_TABLE.c.source, _TABLE.c.target)
    ]
    return sa.union(*(sa.select(end.c.id) for end in ends)).subquery()


def _terms(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    terms: list[sa.ColumnElement[bool]] = []
    if wanted.states is not None:
        terms.append(_TABLE.c.state.in_(wanted.states))
    if wanted.begun is not None:
        begun = _TABLE.c.progress > 0
        terms.append(begun if wanted.begun else ~begun)
    for name in ('source', 'guest_uuid', 'user_id', 'project_id'):
        value = getattr(wanted, name)
        if value is not None:
            terms.append(_TABLE.c[name] == value)
    if wanted.since is not None:
        terms.append(_TABLE.c.updated_at >= wanted.since)
    if wanted.before is not None:
        terms.append(_TABLE.c.updated_at <= wanted.before)
    return terms


def update(
    connection: sa.Connection, move: records.Move, values: Mapping[str, Any]
) -> records.Move:
    """Write how far an open move is, and return it so.

    One that was queued, or is mended, goes on only while it is wanted.

    :raises exception.MoveTakenBack: a request has asked for something else
        since it was read; nothing is written.
    """
    written: dict[str, Any] = {
        **fitting.fit_columns(_TABLE, dict(values)),
        'updated_at': timeutils.utcnow(),
    }
    still = [_TABLE.c.id == move.id, _TABLE.c.ended == 0, *_as_read(move)]
    if move.state == QUEUED:
        still.append(_TABLE.c.cancelled == sa.false())
    result = connection.execute(
        sa.update(_TABLE).where(*still).values(**written)
    )
    if not result.rowcount:
        raise exception.MoveTakenBack(move=move.uuid)
    return dataclasses.replace(move, **written)


def _as_read(move: records.Move) -> list[sa.ColumnElement[bool]]:
    """What holds of one that is mended, as long as nobody asks for more.

    It may have been given up since it was read, or be wanted again.
    """
    if move.state not in (REPAIRING, STARTING):
        return []
    return [_TABLE.c.cancelled == move.cancelled]


def _given_up(move: records.Move) -> list[sa.ColumnElement[bool]]:
    """The same of one that ends since it was given up."""
    return _as_read(move) if move.cancelled else []


def rest(
    connection: sa.Connection, moves: Sequence[records.Move], seconds: float
) -> None:
    """Let moves be for a time."""
    keys = [move.id for move in moves]
    for first in range(0, len(keys), AT_ONCE):
        connection.execute(
            sa.update(_TABLE)
            .where(_TABLE.c.id.in_(keys[first : first + AT_ONCE]))
            .values(not_before=engine.now() + seconds)
        )


def finish(
    connection: sa.Connection,
    move: records.Move,
    state: str,
    error: dict[str, Any] | None = None,
) -> bool:
    """End an open move: completed, failed or cancelled.

    :returns: whether it was open, and has not been wanted again since it was
        read, which only one that is completed needs no more.
    """
    values: dict[str, Any] = {'error': fitting.fit_json(error)}
    still = _given_up(move)
    if state == COMPLETED:
        values['progress'] = 100
        still = []
    if not _end(connection, move, OPEN, state, still, **values):
        return False
    if state == COMPLETED:
        _tell(connection, move, notes.END)
    else:
        _tell(connection, move, notes.ERROR, error or _why(move, state))
    return True


def _end(
    connection: sa.Connection,
    move: records.Move,
    before: Collection[str],
    after: str,
    still: Sequence[sa.ColumnElement[bool]] = (),
    **values: Any,
) -> bool:
    """Let a move be open no more.

    :param before: it has one of these states.
    :param still: what else holds.
    :param values: what else is to be so.
    :returns: whether it had.
    """
    now = timeutils.utcnow()
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == move.id, _TABLE.c.state.in_(before), *still)
        .values(
            state=after,
            ended=move.id,
            call=None,
            not_before=None,
            updated_at=now,
            finished_at=now,
            **values,
        )
    )
    return bool(result.rowcount)


def _why(move: records.Move, state: str) -> dict[str, str]:
    """What there is to say of an end without a reason."""
    return {
        'code': state.upper(),
        'message': f'The move {move.uuid} is {state}.',
    }


def cancel_all(connection: sa.Connection, operation_id: int) -> None:
    """Let no guest go any more that has not gone yet for an operation.

    What is unresolved stays so: somebody has to find out.
    """
    for move in of_operation(connection, operation_id):
        if move.state in UNDER_WAY:
            cancel(connection, move)


def cancel(connection: sa.Connection, move: records.Move) -> str | None:
    """Let a move not be made any more, by one UPDATE.

    One that was not sent ends; of one that was, the pool may be at work, so
    it is told to stop, which may come too late. One that is unresolved ends as
    failed: somebody says that there is nothing to find out any more. But where
    a repair has made toolstacks start, what that has made of the record of its
    guest is looked at first.

    :returns: its state then; None: it has ended before.
    """
    if _end(connection, move, (QUEUED,), CANCELLED, cancelled=True):
        why = move.error or _why(move, CANCELLED)
        _tell(connection, move, notes.ERROR, why)
        return CANCELLED
    if _look_again(connection, move):
        return REPAIRING
    # What was in the way of a look since then is no reason.
    told = move.error or {}
    if told.get('code') != records.UNPROVEN:
        message = unproven(move, 'it was given up')
        told = {'code': records.UNPROVEN, 'message': message}
    if _end(
        connection, move, (UNRESOLVED,), FAILED, cancelled=True, error=told
    ):
        _tell(connection, move, notes.ERROR, told)
        return FAILED
    for state in (SENT, REPAIRING, STARTING):
        if _go_on(connection, move, (state,), cancelled=True):
            return state
    return None


def _look_again(connection: sa.Connection, move: records.Move) -> bool:
    """Have it looked at once more before an unresolved move ends.

    :returns: whether it is one for which toolstacks have started.
    """
    if move.state not in STUCK:
        return False
    # That of one which is being repaired tells so just now, perhaps.
    query = sa.select(_TABLE.c.call).where(_TABLE.c.id == move.id)
    call = connection.scalar(query) or {}
    if RESTARTED not in call:
        return False
    call = {**call, RESTARTED: connection.scalar(sa.select(engine.now()))}
    asked = {'state': REPAIRING, 'cancelled': True, 'call': call}
    return _go_on(connection, move, (UNRESOLVED,), **asked)


def unproven(move: records.Move, why: str) -> str:
    """Tell of a move of which nothing proves what became of it."""
    return (
        f'What became of the move of guest "{move.guest_name}" from host '
        f'{move.source} to {move.target} is not proven: {why.rstrip(".")}. It '
        f'may run on {move.target} whatever its record says, so do not start '
        f'it on {move.source}.'
    )


def _go_on(
    connection: sa.Connection,
    move: records.Move,
    before: Collection[str],
    **values: Any,
) -> bool:
    """Have something else done with an open move, at once.

    :param before: it has one of these states.
    :returns: whether it had.
    """
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == move.id, _TABLE.c.state.in_(before))
        .values(not_before=None, updated_at=timeutils.utcnow(), **values)
    )
    return bool(result.rowcount)


def repair(connection: sa.Connection, move: records.Move) -> bool:
    """Have a move repaired.

    One of which nobody knows what became of it, or one that has left its
    guest halted, if that has not been moved since.

    :returns: whether it is such a one, as which it may have been repaired
        already.
    :raises exception.GuestMoves: its guest has another one that is open.
    """
    if move.has_halted:
        return _start(connection, move)
    # What was given up, and has not ended yet, is wanted again.
    if move.state == STARTING:
        return _go_on(connection, move, (STARTING,), cancelled=False)
    return _go_on(connection, move, STUCK, state=REPAIRING, cancelled=False)


def _start(connection: sa.Connection, move: records.Move) -> bool:
    """Open a move again, to start the guest that it has left halted."""
    last = connection.scalar(
        sa.select(sa.func.max(_TABLE.c.id)).where(
            _TABLE.c.guest_uuid == move.guest_uuid
        )
    )
    if last != move.id or not move.is_doubtful:
        return False
    since = connection.scalar(sa.select(engine.now()))
    try:
        result = connection.execute(
            sa.update(_TABLE)
            .where(_TABLE.c.id == move.id, _TABLE.c.state == FAILED)
            .values(
                state=STARTING,
                ended=0,
                cancelled=False,
                call={'outage': move.error, 'since': since},
                not_before=None,
                updated_at=timeutils.utcnow(),
                finished_at=None,
            )
        )
    except db_exc.DBDuplicateEntry as exc:
        raise exception.GuestMoves(guest=move.guest_name) from exc
    return bool(result.rowcount)


def have_run(
    connection: sa.Connection, aggregate_id: int, uuids: Sequence[str]
) -> None:
    """Note of guests that they run: where they went before tells nothing now.

    Those that moves have left halted are not to be started there any more.

    :param uuids: of guests that run, and have not where they run now before.
    """
    for first in range(0, len(uuids), AT_ONCE):
        rows = connection.execute(
            sa.select(_TABLE.c.id, _TABLE.c.error).where(
                _TABLE.c.guest_uuid.in_(uuids[first : first + AT_ONCE]),
                _TABLE.c.aggregate_id == aggregate_id,
                _TABLE.c.state == FAILED,
            )
        ).all()
        for key, error in rows:
            if error and error.get('code') in records.DOUBTFUL:
                connection.execute(
                    sa.update(_TABLE)
                    .where(_TABLE.c.id == key, _TABLE.c.state == FAILED)
                    .values(error={**error, records.RAN: True})
                )


def halt_again(
    connection: sa.Connection, move: records.Move, error: Mapping[str, Any]
) -> bool:
    """End a move whose guest was to be started, as it had ended before.

    :returns: whether it was such a one, and is not wanted again.
    """
    told = fitting.fit_json(error)
    still = _given_up(move)
    return _end(connection, move, (STARTING,), FAILED, still, error=told)
