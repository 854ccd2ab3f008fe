"""Taking a host into maintenance: no guest comes, and all go.

See design#maintenance.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import NoReturn

from oslo_utils import uuidutils

from aggregates_ext.compute.maintenance import destinations
from aggregates_ext.compute.maintenance import downtime
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.maintenance import undoing
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import connections
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
# The parameter that tells since when its host was seen to be empty, by the
# database's clock.
EMPTY = 'empty'


def check_host(
    connector: connections.Connector,
    host: records.Host,
    hosts: Sequence[records.Host],
    aggregate: records.Aggregate,
    shut_down: Sequence[str],
    *,
    hard: bool,
    network: str | None = None,
    find: witness.Find | None = None,
) -> preflight.Report:
    """What forbids to empty a host, and where its guests would go.

    :param hosts: those of the aggregate.
    :param shut_down: uuids of guests that may be shut down instead.
    :param hard: whether they may be so hard.
    :param network: uuid of that which guests are to move over; None: that of
        the pool.
    :param find: further registered hosts by their address.
    :raises exception.AggregatesError: it could not be told.
    """
    bound = bindings.Binding(host, aggregate, hosts)
    unfit = preflight.evaluate(bindings.MAINTENANCE_RULES, bound)
    if unfit:
        return preflight.Report(blockers=unfit)
    with masters.master_of(connector, aggregate, hosts, find=find) as master:
        master.look()
        answer = evacuation.look(
            master.session,
            host,
            hosts,
            shut_down,
            hard=hard,
            network=network,
        )
    report = answer.of_the_request()
    around = preflight.evaluate(bindings.MAINTENANCE_WARNINGS, bound)
    return dataclasses.replace(report, warnings=(*report.warnings, *around))


def enter(run: compute_run.Run) -> None:
    """Let a host take no guests, and move all that it has.

    :raises outcomes.Failed: guests remain; it takes guests as before.
    :raises outcomes.Postpone: to be gone on with.
    """
    if run.host().maintenance != records.ENTERING:
        downtime.call_off(run)
        shared.call_off(run, records.ENTERING)
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
        if move.state in db_moves.STUCK:
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
        self._downtime = downtime.Downtime(run, change)

    @property
    def _asked(self) -> dict[str, Any]:
        """What was asked for, and what was found out since."""
        return self._run.operation.parameters

    def step(self) -> None:
        """Go on, as far as it goes now."""
        run = self._run
        if undoing.has_failed(run):
            raise undoing.undo(run, self._change, self._downtime)
        halted = shared.halted(self._moves)
        if halted:
            raise self._give_up(
                halted['code'],
                f'Host {run.host_name} is not in maintenance, and no further '
                f'guest was sent away. {halted["message"]}',
                halted['parameters'],
            )
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
        self._downtime.follow()
        guests = self._residents()
        if guests and self._asked.get('shut_down'):
            self._part(guests)
        elif guests:
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
        answer = self._look(members)
        self._refuse(answer, answer.of_the_request())
        here = shared.storage(
            self._change.session, self._change.listed.ref, True
        )
        run.remember(**{'checked': True, shared.STORAGE: sorted(here)})

    def _look(self, members: Sequence[records.Host]) -> evacuation.Answer:
        """What forbids it now, and who would go where or down."""
        return evacuation.look(
            self._change.session,
            self._run.host(),
            members,
            self._asked.get('shut_down', ()),
            hard=self._asked.get('hard', False),
            network=self._asked.get('network'),
        )

    def _refuse(
        self, answer: evacuation.Answer, report: preflight.Report
    ) -> None:
        """:raises outcomes.Failed: there are blockers; or Postpone."""
        if not report.blockers:
            return
        refusal = outcomes.refuse(
            f'Host {self._run.host_name} cannot go into maintenance:', report
        )
        named = set(self._asked.get('shut_down', ()))
        if set(answer.consent) - named and isinstance(
            refusal, outcomes.Failed
        ):
            told = ', '.join(f'"{uuid}"' for uuid in answer.consent)
            raise outcomes.Failed(
                refusal.error['code'],
                f'{refusal} To let all guests be shut down that cannot move: '
                f'"shut_down": [{told}].',
                {
                    **refusal.error['parameters'],
                    'shut_down': list(answer.consent),
                },
            )
        raise refusal

    def _part(self, guests: Sequence[records.Guest]) -> None:
        """Send away who can move; when they are gone, shut down the rest.

        Nobody is shut down who is not named, or whom a move may still help;
        and none of them while another stands in the way of all.

        :raises outcomes.Watching: guests are going, or going down.
        :raises outcomes.Failed: some cannot.
        """
        run, named = self._run, set(self._asked['shut_down'])
        going_down = [g for g in guests if self._downtime.stops(g.uuid)]
        if going_down:
            self._shut_down(going_down)
        members = run.held.read(
            lambda connection: db_hosts.get_all(connection, run.aggregate_id)
        )
        answer = self._look(members)
        if answer.report.heals:
            raise shared.watch(run, answer.report.blockers[0].message)
        down = {step.guest.uuid for step in answer.down}
        moving = [g for g in guests if g.uuid not in down]
        tried = [g for g in moving if len(self._sent(g)) >= MOST_MOVES]
        stuck = [g for g in tried if g.uuid not in named]
        if stuck:
            raise self._fail(stuck)
        if answer.report.blockers:
            raise self._stop(answer)
        if len(moving) > len(tried):
            self._send_away(moving)
        self._shut_down([g for g in guests if g.uuid in named])

    def _stop(self, answer: evacuation.Answer) -> Exception:
        """What was not there before stands in the way of all."""
        try:
            self._refuse(answer, answer.report)
        except outcomes.Failed as exc:
            error = exc.error
            return self._give_up(
                error['code'], error['message'], error['parameters']
            )
        return shared.watch(self._run, 'It is looked at again.')

    def _shut_down(self, guests: Sequence[records.Guest]) -> NoReturn:
        """Let the guests that remain go down, all of them at once.

        :raises outcomes.Watching: they are going down.
        :raises outcomes.Failed: some did not.
        """
        run = self._run
        run.note(step=f'{len(guests)} guest(s) to shut down', progress=90)
        late = self._downtime.shut_down(
            guests, hard=self._asked.get('hard', False)
        )
        if late:
            told = text.listed(late, shared.MOST_TOLD, ' ')
            raise self._give_up(
                downtime.STAYS_UP,
                f'Host {run.host_name} is not in maintenance. {told}',
                {'guests': [guest.uuid for guest in guests]},
            )
        names = shared.names([guest.name for guest in guests])
        raise shared.watch(run, f'Guests are going down: {names}.')

    def _residents(self) -> list[records.Guest]:
        """The guests of the host, as its master lists them now.

        :raises OddAnswer: nobody can tell where a guest is.
        """
        run = self._run
        here = self._change.listed
        return [
            shared.guest(run, record, run.host_name)
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
        best = destinations.choose(run, self._change.session)

        def work(connection: Any) -> None:
            db_operations.update(
                connection,
                run.operation.id,
                {'parameters': {**run.operation.parameters, EMPTY: None}},
            )
            taken = shared.taken(connection, run)
            for guest in sorted(going, key=lambda g: -g.memory):
                # On the move for somebody else: it is looked at again.
                if guest.uuid not in taken:
                    # One that has not got there goes wherever it can.
                    first = not self._sent(guest)
                    db_moves.insert(
                        connection,
                        uuidutils.generate_uuid(),
                        guest,
                        dataclasses.asdict(run.operation),
                        best.get(guest.uuid) if first else None,
                        run.operation.id,
                    )

        shared.queue(run, work)
        names = shared.names([guest.name for guest in going])
        raise shared.watch(run, f'Guests are to be moved: {names}.')

    def _sent(self, guest: records.Guest) -> list[records.Move]:
        """The moves of a guest by this operation."""
        return [m for m in self._moves if m.guest_uuid == guest.uuid]

    def _fail(self, guests: Sequence[records.Guest]) -> Exception:
        """Give up, since guests remain."""
        reasons = text.listed(
            (self._told(guest) for guest in guests),
            shared.MOST_TOLD,
            ' ',
        )
        return self._give_up(
            STUCK,
            f'Host {self._run.host_name} is not in maintenance: '
            f'{len(guests)} guest(s) remain. {reasons}',
            {'guests': [guest.uuid for guest in guests]},
        )

    def _give_up(self, code: str, message: str, found: Any) -> Exception:
        """End it, and undo first what it has done."""
        undoing.note_failure(self._run, code, message, found)
        return undoing.undo(self._run, self._change, self._downtime)

    def _told(self, guest: records.Guest) -> str:
        """Why a guest has not gone."""
        for move in reversed(self._sent(guest)):
            if move.error:
                # A host may answer without a name, or with another.
                return f'"{guest.name}": {move.error["message"]}'
        return f'Guest "{guest.name}" has not gone.'

    def _conclude(self) -> None:
        """The host is empty: seen twice, since guests may just have come."""
        run = self._run
        if not run.operation.parameters.get(EMPTY):
            run.remember(**{EMPTY: run.held.clock()})
            raise shared.look_again(
                run, 'The host is empty; it is looked at once more.'
            )
        name = run.host_name
        gone = run.held.read(lambda connection: shared.away(connection, run))
        told = self._change.write_keys(
            [move.guest_uuid for move in gone], late=_is_over(run)
        )
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
            told,
        )
