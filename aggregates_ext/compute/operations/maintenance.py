"""Maintenance: a host without guests, and its guests back (design#maintenance).

Guests go by moves of their own (design#moves), and this operation rests
meanwhile. None is ever stopped.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import text
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import maintenance
from aggregates_ext.domain import operations

# Operations of a host at which guests still arrive (xapi#maintenance-calls).
ARRIVALS = frozenset({'provision', 'vm_start', 'vm_resume', 'vm_migrate'})
# How often a guest is sent away before it is given up.
MOST_MOVES = 2
STUCK = 'GUESTS_REMAIN'
# Times that the guests of a host may take as long as one of them.
MOVES_EACH = 3
# Looks at a move until there is one at what it is a part of.
LOOKS = 4
_MOST_TOLD = 5


def enter(run: compute_run.Run) -> None:
    """Let a host take no guests, and move all that it has.

    :raises outcomes.Failed: guests remain; it takes guests as before.
    :raises outcomes.Postpone: to be gone on with.
    """
    moves = _moves(run)
    waiting = _open(moves)
    if waiting and not _is_called_off(run) and not _is_over(run):
        raise _wait(run, moves, waiting)
    with enabling.changing(run) as change:
        _Entering(run, change, moves).step()


def leave(run: compute_run.Run) -> None:
    """Let a host take guests again, and bring back those it had.

    Guests that do not come back are told, and no failure.

    :raises outcomes.Failed: it takes no guests, as before.
    :raises outcomes.Postpone: to be gone on with.
    """
    waiting = _open(_moves(run))
    if waiting:
        names = _names([move.guest_name for move in waiting])
        run.note(step=f'{len(waiting)} guest(s) to come back', progress=50)
        raise _watch(run, f'Guests come back: {names}.')
    with enabling.changing(run) as change:
        change.enable()
        _bring_back(run, change)
        name = run.host_name
        change.finish_as(
            True,
            lambda connection, _start: db_hosts.update(
                connection,
                name,
                {'maintenance': None, 'disabled_start': None},
            ),
        )


def _watch(run: compute_run.Run, reason: str) -> outcomes.Watching:
    seconds = LOOKS * float(run.options.watch_interval)
    return outcomes.Watching(seconds, reason=reason)


def _is_called_off(run: compute_run.Run) -> bool:
    """Whether the host is not to be in maintenance any more."""
    return run.host().maintenance != records.ENTERING


def _is_over(run: compute_run.Run) -> bool:
    """Whether its guests had more time than they may take."""
    limit = MOVES_EACH * float(run.options.move_timeout)
    return run.elapsed() >= limit


def _moves(run: compute_run.Run) -> list[records.Move]:
    """The moves of this operation, in order."""
    return run.held.read(
        lambda connection: db_moves.of_operation(connection, run.operation.id)
    )


def _open(moves: Sequence[records.Move]) -> list[records.Move]:
    return [move for move in moves if move.state in db_moves.OPEN]


def _wait(
    run: compute_run.Run,
    moves: Sequence[records.Move],
    waiting: Sequence[records.Move],
) -> outcomes.Watching:
    """Tell how far the moves are."""
    gone = sum(move.state == db_moves.COMPLETED for move in moves)
    run.note(
        step=f'{len(waiting)} guest(s) to move, {gone} moved',
        progress=10 + 80 * gone // (gone + len(waiting)),
    )
    for move in waiting:
        if move.state == db_moves.UNRESOLVED:
            return _watch(run, str((move.error or {}).get('message')))
    names = _names([move.guest_name for move in waiting])
    return _watch(run, f'Guests are on the move: {names}.')


def _names(guests: Sequence[Any]) -> str:
    return text.listed((f'"{name}"' for name in guests), _MOST_TOLD)


class _Entering:
    """One step of a host on its way into maintenance."""

    def __init__(
        self,
        run: compute_run.Run,
        change: enabling.Change,
        moves: Sequence[records.Move],
    ) -> None:
        self._run = run
        self._change = change
        self._moves = moves

    def step(self) -> None:
        """Go on, as far as it goes now."""
        run = self._run
        if _is_called_off(run):
            self._call_off()
            return
        if _is_over(run):
            self._stop_moves()
            guests = self._residents()
            if guests:
                raise self._fail(guests)
        self._check()
        self._change.disable()
        arriving = self._change.listed.operations & ARRIVALS
        if arriving:
            raise _watch(run, f'Guests arrive still: {text.listed(arriving)}.')
        guests = self._residents()
        if guests:
            self._send_away(guests)
        self._conclude()

    def _check(self) -> None:
        """What forbids it, before anything is done.

        :raises outcomes.Failed: something does.
        :raises outcomes.Postpone: something does that passes.
        """
        run = self._run
        if run.operation.parameters.get('checked'):
            return
        members = run.held.read(
            lambda connection: db_hosts.get_all(connection, run.aggregate_id)
        )
        run.note(step='checking what the host has')
        report = evacuation.look(
            self._change.session, run.host(), members
        ).report
        if report.blockers:
            raise outcomes.refuse(
                f'Host {run.host_name} cannot go into maintenance:', report
            )
        run.remember(checked=True)

    def _call_off(self) -> None:
        """Another request has come: nothing more is moved for this one."""
        run = self._run
        self._stop_moves()
        moves = _moves(run)
        if _open(moves):
            raise _wait(run, moves, _open(moves))
        run.write(
            lambda connection: db_operations.finish(
                connection, run.operation, 'cancelled'
            )
        )

    def _stop_moves(self) -> None:
        waiting = _open(self._moves)
        self._run.write(
            lambda connection: [
                db_moves.cancel(connection, move)
                for move in waiting
                if move.state != db_moves.UNRESOLVED
            ]
        )

    def _residents(self) -> list[records.Guest]:
        """The guests of the host, as its master lists them now.

        :raises OddAnswer: nobody can tell where a guest is.
        """
        run = self._run
        here = self._change.listed
        return [
            _guest(run, record)
            for record in self._change.session.records('VM').values()
            if record['resident_on'] == here.ref
            and not record['is_control_domain']
            and record['power_state'] != 'Halted'
        ]

    def _send_away(self, guests: Sequence[records.Guest]) -> None:
        """Queue a move for each guest that may still go.

        :raises outcomes.Watching: the guests are on their way.
        :raises outcomes.Failed: those that remain cannot go.
        """
        run = self._run
        going = [g for g in guests if len(self._sent(g)) < MOST_MOVES]
        if not going:
            raise self._fail(guests)

        def work(connection: Any) -> None:
            db_operations.update(
                connection,
                run.operation.id,
                {'parameters': {**run.operation.parameters, 'empty': None}},
            )
            taken = _taken(connection, run)
            for guest in sorted(going, key=lambda g: -g.memory):
                # On the move for somebody else: it is looked at again.
                if guest.uuid not in taken:
                    db_moves.insert(
                        connection,
                        uuidutils.generate_uuid(),
                        guest,
                        dataclasses.asdict(run.operation),
                        operation_id=run.operation.id,
                    )

        _queue(run, work)
        names = _names([guest.name for guest in going])
        raise _watch(run, f'Guests are to be moved: {names}.')

    def _sent(self, guest: records.Guest) -> list[records.Move]:
        """The moves of a guest by this operation."""
        return [m for m in self._moves if m.guest_uuid == guest.uuid]

    def _fail(self, guests: Sequence[records.Guest]) -> outcomes.Failed:
        """Give up, with the host as it was before, unless it is to stay."""
        run = self._run
        name = run.host_name
        reasons = text.listed(
            (self._told(guest) for guest in guests),
            _MOST_TOLD,
            ' ',
        )
        became = 'It stays disabled, as was asked.'
        if not run.operation.parameters.get('stay'):
            became = 'It takes guests as before.'
            if run.operation.parameters.get('disabling'):
                try:
                    self._change.enable()
                except exception.AggregatesError as exc:
                    became = f'It stays disabled: {exc}'
        return outcomes.Failed(
            STUCK,
            f'Host {name} is not in maintenance: {len(guests)} guest(s) '
            f'remain. {reasons} {became} Guests that were moved stay where '
            'they are.',
            {'guests': [guest.uuid for guest in guests]},
        )

    def _told(self, guest: records.Guest) -> str:
        """Why a guest has not gone."""
        for move in reversed(self._sent(guest)):
            if move.error:
                return str(move.error['message'])
        return f'Guest "{guest.name}" has not gone.'

    def _conclude(self) -> None:
        """The host is empty: seen twice, since guests may just have come."""
        run = self._run
        if not run.operation.parameters.get('empty'):
            run.remember(empty=True)
            raise _watch(run, 'The host is empty; it is looked at once more.')
        name = run.host_name
        self._change.finish_as(
            False,
            lambda connection, start: db_hosts.update(
                connection,
                name,
                {
                    'maintenance': records.IN_MAINTENANCE,
                    'disabled_start': start,
                },
            ),
        )


def _guest(run: compute_run.Run, record: Mapping[str, Any]) -> records.Guest:
    """What a move knows of a guest."""
    return records.Guest(
        id=0,
        uuid=record['uuid'],
        name=record['name_label'],
        aggregate_id=run.aggregate_id,
        host=run.host_name,
        host_uuid=None,
        zone=None,
        power_state=record['power_state'],
        memory=record['memory_static_max'],
        vcpus=0,
        operation=None,
        first_seen=0.0,
        changed_at=0.0,
    )


def _bring_back(run: compute_run.Run, change: enabling.Change) -> None:
    """Move home what was moved away, the last first.

    What somebody else has moved since, or stopped, stays as it is.

    :raises outcomes.Watching: guests are on their way.
    """
    if not run.operation.parameters.get('restore'):
        return
    if not run.operation.parameters.get('asked'):
        _ask_back(run, change)
    moves = _moves(run)
    if _open(moves):
        raise _watch(run, 'Guests are to come back.')
    left = [m.guest_name for m in moves if m.state != db_moves.COMPLETED]
    if left:
        run.remember(left=left)


def _ask_back(run: compute_run.Run, change: enabling.Change) -> None:
    """Queue the moves home."""
    name = run.host_name
    guests = {
        record['uuid']: (record, change.where(record['resident_on']))
        for record in change.session.records('VM').values()
        if record['power_state'] == 'Running'
    }

    def work(connection: Any) -> None:
        asked = dataclasses.asdict(run.operation)
        names = {
            host.uuid: host.name
            for host in db_hosts.get_all(connection, run.aggregate_id)
        }
        taken = _taken(connection, run)
        for move in reversed(_away(connection, run)):
            record, there = guests.get(move.guest_uuid, (None, None))
            host = names.get(there) if there else None
            if record is None or host is None or host != move.target:
                continue
            if move.guest_uuid in taken:
                continue
            guest = dataclasses.replace(_guest(run, record), host=host)
            db_moves.insert(
                connection,
                uuidutils.generate_uuid(),
                guest,
                asked,
                name,
                run.operation.id,
            )
        parameters = {**run.operation.parameters, 'asked': True}
        db_operations.update(
            connection, run.operation.id, {'parameters': parameters}
        )

    _queue(run, work)


def _taken(connection: Any, run: compute_run.Run) -> set[str]:
    """The guests of the pool that are on the move already."""
    open_, _now = db_moves.open_of(connection, run.aggregate_id)
    return {move.guest_uuid for move in open_}


def _queue(run: compute_run.Run, work: Callable[[Any], None]) -> None:
    """Write moves.

    :raises outcomes.Watching: somebody else has just queued one of them.
    """
    try:
        run.write(work)
    except exception.GuestMoves as exc:
        raise _watch(run, str(exc)) from exc


def _away(connection: Any, run: compute_run.Run) -> list[records.Move]:
    """Moves off the host since it last came out of maintenance, by guest."""
    key, name = run.aggregate_id, run.host_name
    history = db_operations.get_all(
        connection, key, kinds=maintenance.KINDS, host=name
    )
    ids = []
    # The newest first.
    for operation in history:
        if operation.kind == operations.ENTER_MAINTENANCE:
            ids.append(operation.id)
        elif operation.state == 'succeeded':
            break
    found = {m.guest_uuid: m for m in db_moves.homes(connection, name, ids)}
    return sorted(found.values(), key=lambda move: move.id)
