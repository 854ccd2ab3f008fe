"""The hosts of a run that restarts or updates them, one after another.

Each goes through the operations that its operator would ask for: into
maintenance, an update where that is wanted, a reboot, and out of it
(design#rolling, design#updates).
"""

from typing import Any

from aggregates_ext import exception
from aggregates_ext.compute.maintenance import entering
from aggregates_ext.compute.maintenance import homes
from aggregates_ext.compute.maintenance import lacking
from aggregates_ext.compute.maintenance import parts
from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.maintenance import suspending
from aggregates_ext.compute.maintenance import updating
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import powering
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import rolling as wanted

State = records.Rolling
Entry = dict[str, Any]
# The parameter of a run that touches no host any more: why.
OVER = 'over'
NOT_WHOLE = 'HOST_NOT_WHOLE'
MASTER_CHANGED = 'MASTER_CHANGED'
SUCCEEDED, GIVEN_UP = 'succeeded', 'GIVEN_UP'


class Turns:
    """The turns of the hosts, each as far as it goes now."""

    def __init__(self, run: compute_run.Run) -> None:
        self._run = run
        self._parts = parts.Parts(run)
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
    def _kind(self) -> str:
        return self._run.operation.kind.replace('_', ' ')

    @property
    def _way(self) -> Entry:
        """The network that guests are to move over, if one was asked for."""
        asked = self._asked
        return {'network': asked['network']} if 'network' in asked else {}

    @property
    def _is_given_up(self) -> bool:
        return wanted.is_given_up(self._requests)

    def go_on(self) -> None:
        """Go on with the host whose turn it is; return when it is over.

        What keeps it from going on for good ends it, and so does what lasts
        longer than a host may take to restart.

        :raises outcomes.Postpone: it goes on.
        """
        run = self._run
        try:
            while (number := self._present()) is not None:
                if self._is_given_up and not self._has_to_reboot(number):
                    self._back_out(number)
                    return
                self._advance(number)
            self._end(None, SUCCEEDED)
        except outcomes.Failed as exc:
            self._end(self._present(), **exc.error)
        except (exception.HostNotFound, exception.Conflict) as exc:
            self._end(self._present(), parts.CALLED_OFF, str(exc))
        except (failures.HostError, outcomes.Postpone) as exc:
            limit = float(run.options.power_timeout)
            if isinstance(exc, outcomes.Waiting) or run.elapsed() < limit:
                raise
            self._end(self._present(), 'TIMEOUT', f'For {limit:.0f} s: {exc}')

    def _has_to_reboot(self, number: int) -> bool:
        """Whether a host may have updates that ask for a reboot.

        It does that before it takes guests again.
        """
        if not self._asked.get('update'):
            return False
        entry = self._parts.entries[number]
        touched = entry['state'] in (State.ENTERING, State.PAUSED)
        return entry['state'] == State.UPDATING or (
            touched and bool(entry.get('again'))
        )

    def _present(self) -> int | None:
        """The host whose turn it is; None: all have been."""
        for number, entry in enumerate(self._parts.entries):
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
        entries = self._parts.entries
        if number is not None:
            entries[number] |= {
                'state': State.STOPPED,
                'ended': self._parts.now(),
            }
        over = {'code': code, 'message': message, 'found': parameters}
        away = homes.owed(self._run)
        self._run.remember(
            **{State.HOSTS: entries, OVER: over, State.AWAY: away}
        )

    def _advance(self, number: int) -> None:
        """Take one host one step further.

        :raises outcomes.Failed: it did not come about.
        :raises outcomes.Postpone: it goes on.
        """
        entry = self._parts.entries[number]
        steps = {
            State.WAITING: self._take_next,
            State.ENTERING: self._is_empty,
            State.PAUSED: self._wait_for_somebody,
            State.UPDATING: self._is_updated,
            State.REBOOTING: self._is_back,
            State.LEAVING: self._serves,
        }
        steps[entry['state']](number, entry)

    def _take_next(self, number: int, entry: Entry) -> None:
        """Look at the pool once more, then let the guests of a host go."""
        run, name = self._run, entry['host']
        run.note(
            step=f'host {name}: looking at the pool',
            progress=self._parts.progress(number),
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
            needed = self._needs_it(master.session, number, found, host)
        if not needed:
            self._parts.move_on(number, State.SKIPPED)
        elif self._is_held(host):
            self._parts.move_on(number, State.PAUSED, held=True)
        else:
            self._enter(number, down)

    def _needs_it(
        self, session: Any, number: int, found: Any, host: records.Host
    ) -> bool:
        """Whether a host is to be touched at all.

        :param session: at the master.
        :param found: the hosts that it shows, by reference.
        """
        needed, entries = True, self._parts.entries
        if self._asked.get('update'):
            packages = lacking.of_host(session, found, host)
            entries[number]['to_install'] = packages
            self._run.remember(**{State.HOSTS: entries})
            needed = packages is not None
        elif self._asked['only_if_needed']:
            needed = planning.needs_reboot(session.host, found, host)
        if host.maintenance == records.IN_MAINTENANCE and not self._is_held(
            host
        ):
            # An earlier run has not come to its reboot, or its end.
            entries[number] |= {'again': True, 'stranded': True}
            needed = True
            self._run.remember(**{State.HOSTS: entries})
        return needed or bool(entries[number].get('entered'))

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
            'reason': f'{self._kind} (operation {uuid})',
            **self._way,
        }
        if down:
            parameters |= {
                'shut_down': down,
                'hard': self._asked.get('hard', False),
            }
        self._parts.queue(
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
        done = self._parts.done(number)
        since = done.parameters.get(entering.EMPTY) if done else None
        self._parts.move_on(
            number,
            State.PAUSED,
            **_warning(done),
            **_emptied(since),
        )

    def _wait_for_somebody(self, number: int, entry: Entry) -> None:
        """It is empty, and may wait for what is to be done with it."""
        name = entry['host']
        waits = self._asked['pause'] != wanted.NO_PAUSE
        goes_on = wanted.is_let_go(self._requests, name)
        if waits and not goes_on and not self._is_given_up:
            raise self._parts.rest(
                number,
                f'Host {name} is in maintenance and empty. It goes on when '
                '"continue_operation" is asked.',
            )
        if self._asked.get('update'):
            self._parts.queue(
                number,
                State.UPDATING,
                operations.UPDATE_HOST,
                {updating.HASH: self._asked.get(updating.HASH)},
            )
        else:
            self._reboot(number)

    def _is_updated(self, number: int, entry: Entry) -> None:
        """All is installed: it is rebooted, or serves again."""
        done = self._parts.done(number)
        if (
            done is None
            or done.parameters[updating.REBOOT]
            # An earlier try may have installed what asks for it.
            or entry.get('again')
        ):
            self._reboot(number)
        elif done.parameters[updating.TOOLSTACK]:
            self._reboot(number, powering.RESTART)
        elif entry.get('held'):
            self._parts.move_on(number, State.DONE)
        else:
            self._leave(number, restore=self._brings_home(entry))

    def _reboot(self, number: int, action: str = powering.REBOOT) -> None:
        since = self._parts.entries[number].get(shared.EMPTIED)
        self._parts.queue(
            number,
            State.REBOOTING,
            operations.POWER_HOST,
            {'action': action, **_emptied(since)},
        )

    def _is_back(self, number: int, entry: Entry) -> None:
        """Rebooted: it takes guests again, if all of it is there.

        :raises outcomes.Failed: something is missing.
        """
        done = self._parts.done(number)
        if done is not None and done.error:
            raise outcomes.Failed(
                NOT_WHOLE,
                f'{done.error["message"]} It stays in maintenance.',
                done.error['parameters'],
            )
        if entry.get('held'):
            self._parts.move_on(number, State.DONE)
        else:
            self._leave(number, restore=self._brings_home(entry))

    def _leave(self, number: int, *, restore: bool) -> None:
        self._parts.queue(
            number,
            State.LEAVING,
            operations.LEAVE_MAINTENANCE,
            {'restore': restore, 'start': True, **self._way},
        )

    def _brings_home(self, entry: Entry) -> bool:
        """Whether its guests come home now, and not at the end.

        Of those that another run has moved this one knows no home.
        """
        stranded = entry.get('stranded') and entry.get('entered') is None
        return bool(stranded and self._asked['restore'])

    def _serves(self, number: int, entry: Entry) -> None:
        """It takes guests again."""
        self._parts.move_on(
            number, State.DONE, **_warning(self._parts.done(number))
        )

    def _back_out(self, number: int) -> None:
        """It is given up: the present host takes guests again, and that is all.

        What a host was told to do cannot be taken back, and is waited for.

        :raises outcomes.Resting: until it takes them.
        """
        entry = self._parts.entries[number]
        touched = entry['state'] != State.WAITING
        if entry['state'] in (State.REBOOTING, State.LEAVING):
            self._parts.ended(number)
        stays = entry.get('held') or entry['state'] == State.LEAVING
        if touched and not stays:
            self._leave(number, restore=True)
            raise self._parts.rest(number, 'It is given up.')
        self._end(
            number if touched else None,
            GIVEN_UP,
            'It was given up; hosts that were not restarted are as before.',
        )


def _emptied(since: float | None) -> Entry:
    """Since when a host was seen empty, for its entry and its reboot."""
    return {shared.EMPTIED: since} if since else {}


def _warning(done: records.Operation | None) -> Entry:
    """What an operation could not do beside, for the entry of its host."""
    told = (done.error or {}).get('message') if done is not None else None
    return {'warning': told} if told else {}
