"""The start of a guest that its move has left halted, where it was to go.

It may run there, whatever its record says: then the start is refused, and its
record is right again. Anywhere else it could run twice (xapi#moves-that-lie).
Each start is written down before it is asked for (design#moves-repaired).
"""

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.moving import state
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records

CALL = 'VM.start_on'
STARTS = 'GUEST_STARTS'
# How often it is asked for.
MOST_SENT = 2
# Seconds after which one that was asked for, and has left no trace, is asked
# for once more.
AGAIN = 90.0
UNWANTED = 'Somebody did not want it any more.'


class _GivenUp(Exception):
    """A start that does not come about; the text says why."""


def step(site: state.Site, move: records.Move, gate: str | None) -> bool:
    """Take the start of a guest one step further.

    What a host refuses, or does not answer, is waited for here, so that it
    keeps no move from its turn.

    :param gate: what keeps guests from being sent, and started, now.
    :returns: whether it has ended.
    """
    start = _Start(site, move)
    try:
        try:
            return start.go_on(gate)
        except (failures.HostError, outcomes.Postpone) as exc:
            return start.wait(str(exc))
    except _GivenUp as exc:
        return start.give_up(str(exc))


def expire(
    held: compute_lease.Held,
    move: records.Move,
    now: float,
    limit: float,
    why: str,
) -> bool:
    """End what has not been asked of a pool that does not answer.

    And what was, when somebody does not want it any more.

    :param now: the clock of the database.
    :param limit: seconds since it was wanted, or asked for.
    :returns: whether it is such a one.
    """
    if move.state != db_moves.STARTING or not move.call:
        return False
    unasked = not move.is_under_way
    if unasked and move.cancelled:
        why = UNWANTED
    elif _age(move.call, now) < limit or not (unasked or move.cancelled):
        return False
    state.halt_again(held, move, _error(move.call['outage'], why))
    return True


def _age(call: Mapping[str, Any], now: float) -> float:
    """Seconds since a start was wanted, or asked for where one is open."""
    since = call['at'] if call.get('open') else call.get('since', now)
    return float(now - since)


def _error(outage: dict[str, Any], why: str) -> dict[str, Any]:
    """That of the move, and why its guest was not started.

    :param outage: that of the move, perhaps with such a reason already.
    """
    said = outage.get('said', outage['message'])
    message = f'{said} It was not started: {why}'
    return {**outage, 'said': said, 'message': message}


def _starts(guest: fields.Record, task: views.Task | None) -> bool:
    """Whether a guest is seen to be started, whoever has asked for it."""
    if task is not None and task.status in views.RUNNING:
        return True
    return CALL.rpartition('.')[2] in guest['current_operations'].values()


class _Start:
    """One step of the start of one guest."""

    def __init__(self, site: state.Site, move: records.Move) -> None:
        self._site = site
        self._move = move
        self._session = site.master.session
        # A copy: what is written is what differs from what was read.
        fresh = {
            'since': site.now,
            'session': None,
            'task': None,
            'sent': 0,
            # Whether one may be on its way.
            'open': False,
        }
        self._call: dict[str, Any] = fresh | copy.deepcopy(move.call or {})

    def go_on(self, gate: str | None) -> bool:
        """As ``step``.

        :raises _GivenUp: it does not come about.
        """
        ref, guest = self._guest()
        if guest['power_state'] != 'Halted':
            return self._has_risen(guest)
        task = self._task()
        if _starts(guest, task):
            return self._look_later('It starts.')
        if task is not None and self._has_started(task):
            return self._has_risen(self._guest()[1])
        if self._move.cancelled:
            return self._stop()
        if self._is_due() and gate is not None:
            return self.wait(gate)
        return self._start(ref)

    def _has_risen(self, guest: fields.Record) -> bool:
        """:raises _GivenUp: it does not run where it was to be started."""
        power = str(guest['power_state'])
        if power == 'Halted':
            raise _GivenUp('It has started, and has stopped since.')
        name = self._site.name(self._site.uuid_of(guest['resident_on']))
        if power == 'Running' and name == self._move.target:
            return self._end()
        if name == self._move.source:
            raise _GivenUp(
                f'Its record tells that it is {power.lower()} on host {name}, '
                'which proves nothing until the toolstack of that has started '
                'anew.'
            )
        there = f' on host {name}' if name else ''
        # Where it could run unknown to its record is another place from now on.
        self._call['outage'][records.RAN] = True
        raise _GivenUp(f'It is {power.lower()}{there}.')

    def _is_due(self) -> bool:
        """Whether no start is on its way, or is so any more.

        What was accepted is seen by then, and nothing is from now on.
        """
        call = self._call
        if call['open'] and self._site.now - call['at'] >= AGAIN:
            self._end_session()
            call['open'] = False
        return not call['open']

    def _start(self, ref: str) -> bool:
        """Ask for its start, unless that was just done."""
        if not self._is_due():
            return self.wait('What became of its start is not known yet.')
        pause = float(self._site.options.retry_interval)
        if self._site.now - self._call.get('at', 0.0) < pause:
            return self.wait('It is asked for again in a while.')
        if self._call['sent'] >= MOST_SENT:
            return self.wait(f'Its start was asked for {MOST_SENT} times.')
        return self._send(ref)

    def _guest(self) -> tuple[str, fields.Record]:
        try:
            ref = self._session.find('VM', self._move.guest_uuid)
            return ref, self._session.record('VM', ref)
        except failures.XenAPIError as exc:
            if exc.code in ('HANDLE_INVALID', 'UUID_INVALID'):
                raise _GivenUp('It is not in the pool any more.') from exc
            raise

    def _task(self) -> views.Task | None:
        """That of its start; None: it is not known, or gone."""
        if self._call['task'] is None:
            return None
        tasks = {t.ref: t for t in views.tasks(self._session, CALL)}
        return tasks.get(self._call['task'])

    def _has_started(self, task: views.Task) -> bool:
        """Whether its task, which has ended, tells so.

        :raises _GivenUp: it was refused for good.
        """
        if task.status == 'success':
            return True
        code, *parameters = task.error or ('',)
        self._call['task'] = None
        if code in ('', 'VM_BAD_POWER_STATE'):
            # Its record is right in a moment.
            return False
        if not codes.passes(code, parameters):
            sentence, remedy = codes.explain(code, parameters)
            raise _GivenUp(f'{code}: {sentence} {remedy}')
        self._end_session()
        self._does_not_count()
        return False

    def _send(self, ref: str) -> bool:
        """Record the start, and ask for it once."""
        site, move = self._site, self._move
        host = next((h for h in site.members if h.name == move.target), None)
        seen = site.view.hosts.find(host.uuid) if host and host.uuid else None
        if seen is None:
            raise _GivenUp(f'Host {move.target} is not in the pool.')
        # Nothing is asked for that nobody would wait for.
        self._check_age(f'It is to start on host {move.target}.')
        # Whether it is the only master is asked before anything is sent.
        site.master.look()
        self._end_session()
        session = site.master.login()
        with contextlib.ExitStack() as ending:
            ending.callback(session.close)
            self._call.update(
                session=session.uuid(),
                task=None,
                at=site.held.clock(),
                sent=self._call['sent'] + 1,
                open=True,
            )
            self._move = site.update(self._move, call=self._call)
            site.held.ensure_fresh()
            try:
                task = session.call(
                    f'Async.{CALL}', ref, seen.ref, False, False
                )
            except failures.AnswerLost:
                # Its end could end what has just begun.
                ending.pop_all()
                session.leave()
                raise
            except failures.XenAPIError as exc:
                if codes.passes(exc.code, exc.parameters):
                    self._does_not_count()
                    raise
                raise _GivenUp(str(exc)) from exc
            ending.pop_all()
            session.leave()
        self._call['task'] = str(task)
        return self.wait(f'It starts on host {move.target}.')

    def _stop(self) -> bool:
        """Somebody does not want it any more.

        :raises _GivenUp: nothing is on its way.
        """
        if self._call['session']:
            # What has just been accepted is seen at the next look.
            self._end_session()
            return self._look_later('It is not wanted any more.')
        raise _GivenUp(UNWANTED)

    def wait(self, why: str) -> bool:
        """Look again later.

        :raises _GivenUp: that has lasted too long.
        """
        self._check_age(why)
        return self._look_later(why)

    def _look_later(self, why: str) -> bool:
        call = self._call
        outage = call['outage']
        message = f'{outage.get("said", outage["message"])} {why}'
        error = {'code': STARTS, 'message': message}
        self._site.look_later(self._move, call=call, error=error)
        return False

    def _check_age(self, why: str) -> None:
        """:raises _GivenUp: it has lasted too long."""
        age = _age(self._call, self._site.now)
        if age >= float(self._site.options.power_timeout):
            raise _GivenUp(f'For {age:.0f} s: {why}')

    def give_up(self, why: str) -> bool:
        """The guest is as its move has left it."""
        error = _error(self._call['outage'], why)
        with contextlib.suppress(failures.HostError):
            self._end_session()
        state.halt_again(self._site.held, self._move, error)
        return True

    def _end(self) -> bool:
        self._end_session()
        self._site.finish(self._move, db_moves.COMPLETED)
        return True

    def _does_not_count(self) -> None:
        """It was refused with what passes, and is asked for anew."""
        self._call.update(open=False, sent=self._call['sent'] - 1)

    def _end_session(self) -> None:
        """What was asked for, and comes late, is refused from then on."""
        if self._call['session']:
            self._session.end_other(self._call['session'])
            self._call['session'] = None
