"""What became of a move that was sent (xapi#moves, xapi#moves-that-lie).

Its task tells. Without one the operations of the guest do, then its record,
as far as that can be trusted; what nothing proves is unresolved.
"""

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.moving import repairing
from aggregates_ext.compute.moving import state
from aggregates_ext.compute.moving import verdicts
from aggregates_ext.compute.moving import ways
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
MOVES = ('pool_migrate', 'migrate_send')
# How often a move is sent that left no trace.
MOST_ATTEMPTS = 3
# Seconds from the moment in which a toolstack that starts has the tasks of its
# host cancelled to the one in which its start is told (xapi#restarts).
STARTED_TOLD = 10.0
REPAIRED = 'MOVE_REPAIRING'
GONE = 'GUEST_GONE'


def follow(
    site: state.Site, move: records.Move, tasks: Mapping[str, views.Task]
) -> bool:
    """Take a move that was sent one step further.

    :param tasks: those of moves that the pool lists, by reference.
    :returns: whether it is not under way any more.
    """
    step = _Following(site, move)
    if move.state == db_moves.REPAIRING and move.cancelled:
        return step.give_up()
    task = tasks.get(step.call['task'] or '')
    if task is None:
        return step.without_task()
    if task.status in views.RUNNING:
        return step.watch(task)
    return step.conclude(task)


class _Following:
    """One step of one move that was sent."""

    def __init__(self, site: state.Site, move: records.Move) -> None:
        self._site = site
        self._move = move
        self._session = site.master.session
        # A copy: what is written is what differs from what was read.
        self.call: dict[str, Any] = copy.deepcopy(move.call or {})

    def watch(self, task: views.Task) -> bool:
        """The task runs: tell how far it is, or stop it."""
        site, move = self._site, self._move
        if move.cancelled:
            # Answered OK, also where it comes too late.
            with contextlib.suppress(failures.XenAPIError):
                self._session.call('task.cancel', task.ref)
        told = int(100 * min(max(task.progress, 0.0), 0.99))
        # When all is sent it begins anew (xapi#moves-cancelled), for a moment.
        progress = max(told, move.progress)
        if progress != move.progress:
            self.call['progressed'] = site.now
        idle = site.now - self.call.get('progressed', self.call['at'])
        if idle > float(site.options.move_timeout):
            self._leave_open(
                f'it has made no progress for {idle:.0f} s, and a host may '
                'be away'
            )
            return False
        site.look_later(move, progress=progress, call=self.call)
        return False

    def give_up(self) -> bool:
        """Somebody wants no repair any more: what the record says now counts.

        A toolstack that was told may have made it tell of a halted guest.
        """
        guest, move = self._guest(), self._move
        if guest is None:
            return self._end(None, db_moves.FAILED, GONE, _gone(move))
        if self._is_at(guest, 'to'):
            return self._end(None, db_moves.COMPLETED)
        if guest['power_state'] == 'Halted' or repairing.has_told(self.call):
            outage = self._outage('Its repair was given up.')
            return self._end(None, db_moves.FAILED, *outage)
        told = db_moves.unproven(move, 'its repair was given up')
        return self._end(None, db_moves.FAILED, records.UNPROVEN, told)

    def conclude(self, task: views.Task) -> bool:
        """The task has ended."""
        if task.status == 'success':
            return self._end(task.ref, db_moves.COMPLETED)
        if task.status == 'cancelled' and not task.error:
            return self._stopped(task)
        code, *parameters = task.error or ('',)
        verdict = verdicts.judge(code, parameters)
        if verdict is verdicts.Verdict.DOUBT:
            sentence, remedy = codes.explain(code, parameters)
            return self._doubt(said=[code, f'{code}: {sentence} {remedy}'])
        if verdict is verdicts.Verdict.UNKNOWN:
            self.call['task'] = None
            said = codes.meaning(code, parameters).sentence
            self._leave_open(f'it ended in {code}: {said.rstrip(".")}')
            return False
        return self._failed(task, verdict, code, parameters)

    def _failed(
        self,
        task: views.Task,
        verdict: verdicts.Verdict,
        code: str,
        parameters: list[str],
    ) -> bool:
        """The guest is where it was; look whether it runs there."""
        site, move = self._site, self._move
        sentence, remedy = codes.explain(code, parameters)
        message = f'Host {move.target} answered {code}: {sentence} {remedy}'
        if self._is_halted():
            outage = self._outage(message)
            return self._end(task.ref, db_moves.FAILED, *outage)
        if verdict is verdicts.Verdict.FINAL:
            return self._end(task.ref, db_moves.FAILED, code, message)
        if verdict is verdicts.Verdict.OTHER_TARGET and move.target:
            tried = ways.note(move, self.call, code, f'{code}: {sentence}')
            move = site.update(move, tried=tried)
        elif move.attempts >= MOST_ATTEMPTS:
            return self._end(task.ref, db_moves.FAILED, code, message)
        again = verdict is verdicts.Verdict.AGAIN
        pause = float(site.options.retry_interval) if again else 0.0
        site.requeue(move, code, message, pause)
        self._tidy(task.ref)
        return True

    def _stopped(self, task: views.Task) -> bool:
        """Cancelled by us, by somebody else, or since the guest has ended.

        Or by a toolstack that starts, while the guest goes on: only its
        record tells, once it is known that none has (xapi#moves-that-lie).
        """
        return self._doubt(stopped=task.ref)

    def _doubt(self, **known: Any) -> bool:
        """Let the record tell what the task does not, from now on."""
        self.call.update(task=None, quiet=None, **known)
        self._site.look_later(self._move, call=self.call)
        return False

    def without_task(self) -> bool:
        """The call got no answer, or its task is gone with its xapi."""
        guest = self._guest()
        if guest is None:
            return self._end(None, db_moves.FAILED, GONE, _gone(self._move))
        running = [
            ref
            for ref, name in guest['current_operations'].items()
            if name in MOVES
        ]
        if running:
            ours = self.call['task'] is None and not self.call.get('stopped')
            if len(running) == 1 and ours:
                self.call['task'] = running[0]
            self._site.look_later(self._move, call=self.call)
            return False
        if self._is_at(guest, 'to'):
            return self._end(None, db_moves.COMPLETED)
        if self._has_left():
            return self._end(
                None, db_moves.FAILED, records.UNPROVEN, self._unproven()
            )
        if not verdicts.records_hold(self.call, self._site.view):
            self._leave_open(
                'a toolstack has started meanwhile, or does not tell, and '
                'nobody has written down what became of it'
            )
            return False
        return self._has_not_happened(guest)

    def _has_left(self) -> bool:
        """Whether one of both hosts is not in the pool any more."""
        hosts = self._site.view.hosts
        ends = (self.call['from'], self.call['to'])
        return not hosts.unnamed and None in map(hosts.find, ends)

    def _unproven(self) -> str:
        move = self._move
        return (
            f'What became of the move of guest "{move.guest_name}" from host '
            f'{move.source} to {move.target} cannot be found out any more: '
            'one of the two is not in the pool. Look where the guest runs '
            'before you start it.'
        )

    def _has_not_happened(self, guest: fields.Record) -> bool:
        """The record can be trusted, and says that the guest did not move.

        What may still be on its way to the master is kept out by the end of
        its session, and then looked for once more.
        """
        site, move = self._site, self._move
        since = self.call.get('quiet')
        if since is None or self.call['session']:
            self._end_session()
            self.call.update(quiet=site.held.clock(), session=None)
            site.look_later(move, call=self.call)
            return False
        said, stopped = self.call.get('said'), self.call.get('stopped')
        if site.now - since < self._time_to_tell():
            site.look_later(move)
            return False
        if stopped and guest['power_state'] == 'Halted':
            outage = self._outage('The move was stopped.')
            return self._end(stopped, db_moves.FAILED, *outage)
        if stopped:
            return self._end(stopped, db_moves.CANCELLED)
        code, message = said or (
            'NO_TRACE',
            'The move has left no trace, and the guest is where it was.',
        )
        if guest['power_state'] == 'Halted':
            return self._end(None, db_moves.FAILED, *self._outage(message))
        if said or move.attempts >= MOST_ATTEMPTS or self.call.get('broken'):
            return self._end(None, db_moves.FAILED, code, message)
        site.requeue(move, code, message)
        return True

    def _time_to_tell(self) -> float:
        """Seconds in which a toolstack that has started tells its master."""
        options = self._site.options
        if self.call.get('said'):
            return float(options.confirm_interval)
        if self.call.get('stopped'):
            # It tells within seconds after it has had tasks cancelled.
            return min(STARTED_TOLD, float(options.confirm_interval))
        return float(options.watch_interval)

    def _leave_open(self, why: str) -> None:
        """Nothing proves what became of the guest: touch nothing.

        Unless somebody wants it repaired.
        """
        site, move = self._site, self._move
        if move.state == db_moves.REPAIRING:
            try:
                said = repairing.step(site, move, self.call)
            except (repairing.GivenUp, outcomes.Failed) as exc:
                if repairing.on_its_way(site, self.call):
                    self._go_on_repairing(f'It ends soon: {exc}')
                    return
                repairing.forget(self.call)
                why = f'{why}; and the repair was given up: {exc}'.rstrip('.')
            else:
                self._go_on_repairing(said)
                return
        message = (
            f'{db_moves.unproven(move, why)} '
            f'{repairing.advise(site, move, self.call)} It is looked at again.'
        )
        known: dict[str, Any] = {'call': self.call}
        if move.state == db_moves.SENT:
            started = verdicts.starts(site.view, *self.call['started'])
            self.call['broken'] = started
        if move.state != db_moves.UNRESOLVED:
            # Not again: a request may have asked for its repair meanwhile.
            known['state'] = db_moves.UNRESOLVED
            LOG.error('Move %s: %s', move.uuid, message)
        state.postpone(
            site.held,
            [site.update(move, **known)],
            float(site.options.observe_interval),
            records.UNPROVEN,
            message,
        )

    def _go_on_repairing(self, said: str) -> None:
        message = f'Its repair goes on. {said}'
        self._site.look_later(
            self._move,
            call=self.call,
            error={'code': REPAIRED, 'message': message},
        )

    def _outage(self, message: str) -> tuple[str, str]:
        verb = 'is' if self._is_halted() else 'may be'
        return records.GUEST_HALTED, state.outage(self._move, verb, message)

    def _end(self, task: str | None, result: str, *said: str) -> bool:
        # Nothing that was told for its repair may come after its end.
        repairing.end_sessions(self._site, self.call)
        if repairing.on_its_way(self._site, self.call):
            self._go_on_repairing('It ends soon: a toolstack may start yet.')
            return False
        ended = self._site.finish(self._move, result, *said)
        self._tidy(task)
        return ended

    def _tidy(self, task: str | None) -> None:
        """End what the move has left; a xapi keeps it for a day else.

        When the end is written: until then the task tells of it.
        """
        with contextlib.suppress(failures.HostError):
            self._end_session()
            if task is not None:
                self._session.call('task.destroy', task)

    def _end_session(self) -> None:
        if self.call.get('session'):
            self._session.end_other(self.call['session'])

    def _guest(self) -> fields.Record | None:
        """Its record as it is now; None: there is none."""
        try:
            return self._session.record('VM', self.call['guest'])
        except failures.XenAPIError as exc:
            if exc.code != 'HANDLE_INVALID':
                raise
            return None

    def _is_halted(self) -> bool:
        guest = self._guest()
        return guest is not None and guest['power_state'] == 'Halted'

    def _is_at(self, guest: fields.Record, end: str) -> bool:
        there = self._site.uuid_of(guest['resident_on'])
        return bool(
            guest['power_state'] != 'Halted' and there == self.call[end]
        )


def _gone(move: records.Move) -> str:
    return (
        f'Guest "{move.guest_name}" ({move.guest_uuid}) is not in the pool '
        'any more.'
    )
