"""Taking a host into maintenance: no guest comes, and all go.

See design#maintenance.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import text
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

# Operations of a host at which guests still arrive (xapi#maintenance-calls).
ARRIVALS = frozenset({'provision', 'vm_start', 'vm_resume', 'vm_migrate'})
# How often a guest is sent away before it is given up.
MOST_MOVES = 2
STUCK = 'GUESTS_REMAIN'


def enter(run: compute_run.Run) -> None:
    """Let a host take no guests, and move all that it has.

    :raises outcomes.Failed: guests remain; it takes guests as before.
    :raises outcomes.Postpone: to be gone on with.
    """
    if run.host().maintenance != records.ENTERING:
        shared.call_off(run)
        return
    moves = shared.moves_of(run)
    waiting = shared.still_open(moves)
    if waiting and not _is_over(run):
        raise _wait(run, moves, waiting)
    with enabling.changing(run) as change:
        _Entering(run, change, moves).step()


def _is_over(run: compute_run.Run) -> bool:
    """Whether its guests had more time than they may take."""
    limit = shared.MOVES_EACH * float(run.options.move_timeout)
    return run.elapsed() >= limit


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
            return shared.watch(run, str((move.error or {}).get('message')))
    names = shared.names([move.guest_name for move in waiting])
    return shared.watch(run, f'Guests are on the move: {names}.')


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
        if _is_over(run):
            shared.stop(run)
            guests = self._residents()
            if guests:
                raise self._fail(guests)
        self._check()
        self._change.disable()
        arriving = self._change.listed.operations & ARRIVALS
        if arriving:
            raise shared.watch(
                run, f'Guests arrive still: {text.listed(arriving)}.'
            )
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

    def _residents(self) -> list[records.Guest]:
        """The guests of the host, as its master lists them now.

        :raises OddAnswer: nobody can tell where a guest is.
        """
        run = self._run
        here = self._change.listed
        return [
            shared.guest(run, record)
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
            taken = shared.taken(connection, run)
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

        shared.queue(run, work)
        names = shared.names([guest.name for guest in going])
        raise shared.watch(run, f'Guests are to be moved: {names}.')

    def _sent(self, guest: records.Guest) -> list[records.Move]:
        """The moves of a guest by this operation."""
        return [m for m in self._moves if m.guest_uuid == guest.uuid]

    def _fail(self, guests: Sequence[records.Guest]) -> outcomes.Failed:
        """Give up, with the host as it was before, unless it is to stay.

        :raises outcomes.Postpone: it could not be enabled, or that is not
            known; to be tried again.
        """
        run = self._run
        name = run.host_name
        reasons = text.listed(
            (self._told(guest) for guest in guests),
            shared.MOST_TOLD,
            ' ',
        )
        asked = run.operation.parameters
        if asked.get('again') or asked.get('stay'):
            became = 'It stays disabled, as was asked.'
            self._keep_start()
        else:
            became = 'It takes guests as before.'
            if asked.get('disabling'):
                try:
                    self._change.enable()
                except outcomes.Failed as exc:
                    became = f'It stays disabled: {exc}'
        return outcomes.Failed(
            STUCK,
            f'Host {name} is not in maintenance: {len(guests)} guest(s) '
            f'remain. {reasons} {became} Guests that were moved stay where '
            'they are.',
            {'guests': [guest.uuid for guest in guests]},
        )

    def _keep_start(self) -> None:
        """What its xapi has proven: its next start is known as one."""
        name, start = self._run.host_name, self._change.listed.agent_start_time
        self._run.write(
            lambda connection: db_hosts.update(
                connection, name, {'disabled_start': start}
            )
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
            raise shared.watch(
                run, 'The host is empty; it is looked at once more.'
            )
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
