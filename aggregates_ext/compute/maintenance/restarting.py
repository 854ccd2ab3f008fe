"""The hosts of a run that restarts them, one after another.

Each goes through the operations that its operator would ask for: into
maintenance, a reboot, and out of it. They are queued together with what is
written of them here, so whoever goes on finds what is next (design#rolling).
"""

from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.maintenance import suspending
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering
from aggregates_ext.domain.maintenance import rolling as wanted

State = records.Rolling
Entry = dict[str, Any]
# The parameter of a run that touches no host any more: why.
OVER = 'over'
NOT_WHOLE = 'HOST_NOT_WHOLE'
MASTER_CHANGED = 'MASTER_CHANGED'
# Somebody else has ended what a host was to go through.
CALLED_OFF = 'CALLED_OFF'
SUCCEEDED, GIVEN_UP = 'succeeded', 'GIVEN_UP'


class Turns:
    """The turns of the hosts, each as far as it goes now."""

    def __init__(self, run: compute_run.Run) -> None:
        self._run = run
        self._requests = run.held.read(
            lambda connection: db_operations.requests(
                connection, run.operation
            )
        )

    @property
    def _asked(self) -> dict[str, Any]:
        """What was asked for, and what was found out since."""
        return self._run.operation.parameters

    @property
    def _entries(self) -> list[Entry]:
        """How far each host is, in order; to be written as a whole."""
        return [dict(entry) for entry in self._asked[State.HOSTS]]

    @property
    def _is_given_up(self) -> bool:
        return any(r.kind == db_operations.GIVE_UP for r in self._requests)

    def go_on(self) -> None:
        """Go on with the host whose turn it is; return when it is over.

        What keeps it from going on for good ends it, and so does what lasts
        longer than a host may take to restart.

        :raises outcomes.Postpone: it goes on.
        """
        run = self._run
        try:
            while (number := self._present()) is not None:
                if self._is_given_up:
                    self._back_out(number)
                    return
                self._advance(number)
            self._end(None, SUCCEEDED)
        except outcomes.Failed as exc:
            self._end(self._present(), **exc.error)
        except (exception.HostNotFound, exception.Conflict) as exc:
            self._end(self._present(), CALLED_OFF, str(exc))
        except (failures.HostError, outcomes.Postpone) as exc:
            limit = float(run.options.power_timeout)
            if isinstance(exc, outcomes.Waiting) or run.elapsed() < limit:
                raise
            self._end(self._present(), 'TIMEOUT', f'For {limit:.0f} s: {exc}')

    def _present(self) -> int | None:
        """The host whose turn it is; None: all have been."""
        for number, entry in enumerate(self._entries):
            if entry['state'] not in State.ENDED:
                return number
        return None

    def _end(
        self,
        number: int | None,
        code: str,
        message: str = '',
        parameters: Any = (),
    ) -> None:
        """No host is touched any more; what was switched off comes back.

        :param number: of the host with which it stops; None: with none.
        """
        entries = self._entries
        if number is not None:
            entries[number] |= {'state': State.STOPPED, 'ended': self._now()}
        over = {'code': code, 'message': message, 'found': parameters}
        self._run.remember(**{State.HOSTS: entries, OVER: over})

    def _advance(self, number: int) -> None:
        """Take one host one step further.

        :raises outcomes.Failed: it did not come about.
        :raises outcomes.Postpone: it goes on.
        """
        entry = self._entries[number]
        steps = {
            State.WAITING: self._take_next,
            State.ENTERING: self._is_empty,
            State.PAUSED: self._wait_for_somebody,
            State.REBOOTING: self._is_back,
            State.LEAVING: self._serves,
        }
        steps[entry['state']](number, entry)

    def _take_next(self, number: int, entry: Entry) -> None:
        """Look at the pool once more, then let the guests of a host go."""
        run, name = self._run, entry['host']
        run.note(
            step=f'host {name}: looking at the pool',
            progress=_progress(self._entries, number),
        )
        run.end_recorded_session()
        host = run.held.read(lambda connection: db_hosts.get(connection, name))
        with planning.at_master(run) as master:
            self._check_master(master.look())
            suspending.suspend(run, master, bool(self._asked['suspend_ha']))
            found = master.session.records('host')
            down = planning.named_on(
                master.session, host, self._asked.get('shut_down', ())
            )
        if self._asked['only_if_needed'] and not planning.needs_reboot(
            found, host
        ):
            self._move_on(number, State.SKIPPED)
        elif self._is_held(host):
            self._move_on(number, State.PAUSED, held=True)
        else:
            self._enter(number, down)

    def _check_master(self, view: views.PoolView) -> None:
        """:raises outcomes.Failed: it is another one than at the beginning."""
        master = view.master
        if master.uuid != self._asked['master']:
            raise outcomes.Failed(
                MASTER_CHANGED,
                f'Host {master.name_label} ({master.uuid}) is the master '
                'now, which was another one when this began. Hosts that are '
                'not restarted yet stay as they are.',
                {'master': master.uuid},
            )

    def _enter(self, number: int, down: list[str]) -> None:
        """Queue its way into maintenance.

        :param down: uuids of its guests that may be shut down.
        """
        uuid = self._run.operation.uuid
        parameters: dict[str, Any] = {
            'stay': False,
            'reason': f'rolling reboot (operation {uuid})',
        }
        if down:
            parameters |= {
                'shut_down': down,
                'hard': self._asked.get('hard', False),
            }
        self._queue(
            number, State.ENTERING, operations.ENTER_MAINTENANCE, parameters
        )

    def _is_held(self, host: records.Host) -> bool:
        """Whether somebody else has it in maintenance, who keeps it there."""
        if host.maintenance != records.IN_MAINTENANCE:
            return False
        by = (host.maintenance_of or {}).get('operation')
        try:
            found = self._run.held.read(
                lambda connection: db_operations.get(connection, str(by))
            )
        except exception.OperationNotFound:
            return True
        return db_operations.PART_OF not in found.parameters

    def _is_empty(self, number: int, entry: Entry) -> None:
        """In maintenance: it waits for somebody, or is rebooted."""
        self._move_on(number, State.PAUSED, **_warning(self._done(number)))

    def _wait_for_somebody(self, number: int, entry: Entry) -> None:
        """It is empty, and may wait for what is to be done with it."""
        name = entry['host']
        waits = self._asked['pause'] == wanted.BEFORE_REBOOT
        if waits and not self._goes_on(name):
            raise self._rest(
                number,
                f'Host {name} is in maintenance and empty. It is rebooted '
                'when "continue_operation" is asked.',
            )
        self._queue(
            number,
            State.REBOOTING,
            operations.POWER_HOST,
            {'action': 'reboot'},
        )

    def _goes_on(self, host: str) -> bool:
        """Whether somebody has let a host go on that was to wait."""
        return any(
            request.kind == db_operations.CONTINUE
            and request.parameters['paused'] == host
            for request in self._requests
        )

    def _is_back(self, number: int, entry: Entry) -> None:
        """Rebooted: it takes guests again, if all of it is there.

        :raises outcomes.Failed: something is missing.
        """
        done = self._done(number)
        if done is not None and done.error:
            raise outcomes.Failed(
                NOT_WHOLE,
                f'{done.error["message"]} It stays in maintenance.',
                done.error['parameters'],
            )
        if entry.get('held'):
            self._move_on(number, State.DONE)
        else:
            self._leave(number, restore=False)

    def _leave(self, number: int, *, restore: bool) -> None:
        self._queue(
            number,
            State.LEAVING,
            operations.LEAVE_MAINTENANCE,
            {'restore': restore, 'start': True},
        )

    def _serves(self, number: int, entry: Entry) -> None:
        """It takes guests again."""
        self._move_on(number, State.DONE, **_warning(self._done(number)))

    def _back_out(self, number: int) -> None:
        """It is given up: the present host takes guests again, and that is all.

        What a host was told to do cannot be taken back, and is waited for.

        :raises outcomes.Resting: until it takes them.
        """
        entry = self._entries[number]
        touched = entry['state'] != State.WAITING
        if entry['state'] in (State.REBOOTING, State.LEAVING):
            self._ended(number)
        stays = entry.get('held') or entry['state'] == State.LEAVING
        if touched and not stays:
            self._leave(number, restore=True)
            raise self._rest(number, 'It is given up.')
        self._end(
            number if touched else None,
            GIVEN_UP,
            'It was given up; hosts that were not restarted are as before.',
        )

    def _queue(
        self, number: int, state: str, kind: str, parameters: dict[str, Any]
    ) -> None:
        """Queue what comes next of a host, and write that it is so far.

        :raises outcomes.Resting: until it has ended.
        """
        run, entry = self._run, self._entries[number]
        uuid = uuidutils.generate_uuid()
        given = {**parameters, db_operations.PART_OF: run.operation.uuid}
        where = (run.asked, run.aggregate_id, entry['host'])
        now = self._now()
        enters = kind == operations.ENTER_MAINTENANCE

        def work(connection: Any) -> None:
            made: records.Operation | None
            if kind == operations.POWER_HOST:
                made = powering.queue(connection, *where, given, uuid)
            else:
                made = entering.queue(connection, *where, kind, given, uuid)
            entries = self._entries
            entries[number] = _queued(entry, state, made) | (
                # Somebody else wants it to stay there.
                {'held': True} if enters and made and made.uuid != uuid else {}
            )
            entries[number].setdefault('began', now)
            db_operations.update(
                connection,
                run.operation.id,
                {'parameters': {**self._asked, State.HOSTS: entries}},
            )

        try:
            run.write(work)
        except exception.AggregateBusy as exc:
            raise self._rest(number, str(exc)) from exc

    def _ended(self, number: int) -> records.Operation | None:
        """What was queued of a host, when it has ended; None: nothing was.

        :raises outcomes.Resting: it goes on.
        """
        uuid = self._entries[number].get('operation')
        if uuid is None:
            return None
        found = self._run.held.read(
            lambda connection: db_operations.get(connection, uuid)
        )
        if found.state in db_operations.OPEN:
            raise self._rest(
                number,
                f'{found.title} (operation {found.uuid}) is {found.state}.',
            )
        return found

    def _done(self, number: int) -> records.Operation | None:
        """The same, when it has come about.

        :raises outcomes.Failed: it has not.
        """
        found = self._ended(number)
        if found is None or found.state == 'succeeded':
            return found
        error = found.error or {}
        said = error.get('message') or f'it was {found.state}.'
        raise outcomes.Failed(
            str(error.get('code') or CALLED_OFF),
            f'{found.title} (operation {found.uuid}): {said}',
            {'operation': found.uuid, 'found': error.get('parameters')},
        )

    def _rest(self, number: int, reason: str) -> outcomes.Resting:
        """What lets it rest until an operation has ended."""
        entry = self._entries[number]
        step = f'host {entry["host"]}: {entry["state"]}'
        self._run.note(progress=_progress(self._entries, number))
        return outcomes.Resting(step, reason=reason)

    def _move_on(self, number: int, state: str, **known: Any) -> None:
        """Write how far a host is."""
        entries = self._entries
        entries[number] |= {'state': state, **known}
        entries[number].setdefault('began', self._now())
        if state in State.ENDED:
            entries[number]['ended'] = self._now()
        self._run.remember(**{State.HOSTS: entries})

    def _now(self) -> float:
        return float(self._run.held.read(engine.read_clock))


def _queued(entry: Entry, state: str, made: records.Operation | None) -> Entry:
    """How far a host is when its next operation is queued.

    :param made: None: it is as that would have made it.
    """
    if made is None:
        return {**entry, 'state': state, 'operation': None}
    found = {**entry, 'state': state, 'operation': made.uuid}
    if made.kind == operations.ENTER_MAINTENANCE:
        # Whose moves tell where guests were.
        found['entered'] = [*entry.get('entered', ()), made.id]
    return found


def _warning(done: records.Operation | None) -> Entry:
    """What an operation could not do beside, for the entry of its host."""
    told = (done.error or {}).get('message') if done is not None else None
    return {'warning': told} if told else {}


def _progress(entries: list[Entry], number: int) -> int:
    """Percent: each host has its part, and each step of it."""
    order = [State.WAITING, State.ENTERING, State.REBOOTING, State.LEAVING]
    state = entries[number]['state']
    part = order.index(state) if state in order else 1
    return 95 * (number * len(order) + part) // (len(order) * len(entries))
