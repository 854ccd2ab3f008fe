"""Rebooting, shutting down and starting a host in maintenance.

xapi does not ask for guests (xapi#reboots): two looks that find the host
empty stand before the call, the second right before it. What became of it is
told by what the master shows, never by an answer (design#power).
"""

import contextlib
import dataclasses
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.rules import powering as rules
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import powers
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

CALLS = {
    rules.REBOOT: 'host.reboot',
    rules.SHUTDOWN: 'host.shutdown',
    rules.STARTUP: 'host.power_on',
    rules.RESTART: 'host.restart_agent',
}
WORDS = {
    rules.REBOOT: 'rebooted',
    rules.SHUTDOWN: 'shut down',
    rules.STARTUP: 'started',
    rules.RESTART: 'given a new toolstack',
}
# The key of other_config of a host that tells of another boot, or that its
# toolstack alone has started.
BOOTED, STARTED = 'boot_time', 'agent_start_time'
# Answers after which nothing has happened; any other may come from the
# middle, as one of a host that could not be reached.
REFUSALS = frozenset(
    {
        'CLUSTERED_SR_DEGRADED',
        'HANDLE_INVALID',
        'HA_LOST_STATEFILE',
        'HOST_IS_LIVE',
        'HOST_IS_SLAVE',
        'HOST_NOT_DISABLED',
        'HOST_POWER_ON_MODE_DISABLED',
        'HOST_STILL_BOOTING',
        'MESSAGE_METHOD_UNKNOWN',
        'OTHER_OPERATION_IN_PROGRESS',
        'PERMISSION_DENIED',
        'RBAC_PERMISSION_DENIED',
        'SESSION_INVALID',
    }
)
# How often it is sent, where it left no trace.
MOST_SENT = 2
# Seconds that what else went with the host may take after it is back, and
# those after which its storage is plugged by us.
LATER_WAIT = 120.0
PLUG_WAIT = 30.0
# What part of the time that passes since a host was told passes until the
# next look at it, and the longest rest in those of ``watch_interval``.
PART = 0.025
LOOKS = 4
# Seconds for which it counts that its way into maintenance has just seen the
# host empty.
JUST = 5.0
# The parameters that tell since when a call has left no trace, and since when
# the host is back.
QUIET = 'quiet'
BACK = 'back'
NOT_BACK = 'HOST_NOT_BACK'


def check_host(
    connector: connections.Connector,
    host: records.Host,
    hosts: Sequence[records.Host],
    aggregate: records.Aggregate,
    action: str,
    find: witness.Find | None = None,
) -> preflight.Report:
    """What forbids a host to go down, or to be started, on request.

    :param hosts: those of the aggregate.
    :param find: further registered hosts by their address.
    :raises exception.AggregatesError: it could not be told.
    """
    bound = bindings.Binding(host, aggregate, hosts)
    unfit = preflight.evaluate(bindings.POWER_RULES, bound)
    if any(problem.code == bindings.NOT_A_MEMBER for problem in unfit):
        return preflight.Report(blockers=unfit)
    with masters.master_of(connector, aggregate, hosts, find=find) as master:
        master.look()
        found = rules.read(master.session, host.uuid)
    report = rules.check(found, host.uuid, action)
    around = preflight.evaluate(bindings.POWER_WARNINGS, bound)
    return dataclasses.replace(
        report,
        blockers=(*unfit, *report.blockers),
        warnings=(*report.warnings, *around),
    )


def power_host(run: compute_run.Run) -> None:
    """Reboot a host, shut it down, or start it.

    :raises outcomes.Failed: it was not told to, or its time is over.
    :raises outcomes.Postpone: to be gone on with.
    """
    step = _Power(run)
    try:
        step.go_on()
    except (failures.HostError, outcomes.Postpone) as exc:
        if not powers.sent(run.operation):
            # What was seen before counts no more.
            if not isinstance(exc, outcomes.Watching):
                run.remember(**shared.unseen(run))
            raise
        # Of a master that is away nothing else can be expected.
        step.check_time(str(exc))
        raise step.watch(str(exc)) from exc


def _is_refusal(code: str) -> bool:
    """Whether an error proves that a host was not told."""
    return code in REFUSALS


class _Power:
    """One step of one host."""

    def __init__(self, run: compute_run.Run) -> None:
        self._run = run
        self._action = run.operation.parameters['action']
        self._call = CALLS[self._action]
        self._now = run.held.clock()

    def go_on(self) -> None:
        """Go on, as far as it goes now."""
        run = self._run
        run.end_recorded_session()
        aggregate, hosts = run.aggregate(), masters.bound(run)
        with masters.of_run(run, aggregate, hosts) as master:
            if not powers.sent(run.operation):
                master.look()
                self._prepare(master)
            elif self._follow(master):
                self._end(master)

    def watch(self, reason: str) -> outcomes.Watching:
        """What lets it rest until there is more to see.

        The longer it lasts, the later: a host that is back does nothing
        until that is seen.
        """
        least = float(self._run.options.watch_interval)
        sent = powers.sent(self._run.operation)
        age = self._now - sent['at'] if sent else 0.0
        seconds = min(max(least, PART * age), LOOKS * least)
        return outcomes.Watching(seconds, reason=reason)

    def check_time(self, state: str) -> None:
        """:raises outcomes.Failed: it has had all the time that it may have.

        A host that is back has another time for what went with it.

        :param state: of the host, in a sentence.
        """
        limit = float(self._run.options.power_timeout)
        age = self._now - powers.sent(self._run.operation)['at']
        back = self._run.operation.parameters.get(BACK)
        if age >= limit and (back is None or self._now - back >= limit):
            raise outcomes.Failed(
                NOT_BACK,
                f'Host {self._run.host_name} was to be '
                f'{WORDS[self._action]} {age:.0f} s ago, and is not seen to '
                f'be: {state} It stays in maintenance; look at its console, '
                'then use "retry_operation".',
            )

    def _prepare(self, master: masters.Master) -> None:
        """Look whether it may be told, and tell it at the second look."""
        run, limit = self._run, float(self._run.options.power_timeout)
        if run.elapsed() >= limit:
            raise outcomes.Failed(
                'TIMEOUT',
                f'Host {run.host_name} could not be {WORDS[self._action]} '
                f'within {limit:.0f} s; it was not told to.',
            )
        run.note(step='looking whether the host is empty', progress=5)
        if db_operations.PART_OF in run.operation.parameters:
            uuid = run.host().uuid
            found = rules.read(master.session, uuid, guests=False)
            if found is not None and found.host['enabled']:
                shared.disable_again(run)
        if (
            run.operation.parameters.get(shared.READY)
            or self._was_just_emptied()
        ):
            self._send(master, 1)
        self._check(master.session)
        run.remember(**{shared.READY: True})
        raise shared.look_again(run, 'It is looked at once more, then told.')

    def _was_just_emptied(self) -> bool:
        """Whether its way into maintenance has looked twice just now."""
        since = self._run.operation.parameters.get(shared.EMPTIED)
        return since is not None and 0 <= self._now - since <= JUST

    def _check(self, session: xenapi.Session) -> rules.Powering:
        """What the master shows of the host, if it may be told.

        :raises outcomes.Failed: something forbids it.
        :raises outcomes.Postpone: something does that passes.
        """
        return shared.check_idle(
            self._run, session, self._action, WORDS[self._action]
        )

    def _send(self, master: masters.Master, times: int) -> None:
        """Tell the host, from a session of its own, at a last look.

        :raises outcomes.Watching: it is told.
        """
        run = self._run
        with contextlib.closing(master.login()) as session:

            def look() -> rules.Powering:
                return self._check(session)

            found = look()
            if found.is_master:
                # What it has not written is lost (xapi#late-writes).
                session.call('pool.sync_database')
            told = {
                'boot_time': self._start(found),
                'master': found.is_master,
                'storage': sorted(shared.storage(session, found.ref, True)),
                'enabled': sorted(found.others_enabled),
                **powers.sent(run.operation),
                'times': times,
            }
            run.note(step=f'the host is being {WORDS[self._action]}')
            try:
                run.change(
                    session,
                    f'Async.{self._call}',
                    found.ref,
                    check=look,
                    known=lambda connection: _known(connection, told),
                    proves=_is_refusal,
                )
            except outcomes.Answered as exc:
                if _is_refusal(exc.answer.code):
                    raise
                raise self.watch(str(exc)) from exc
        run.note(progress=30)
        raise self.watch('The host is told.')

    def _follow(self, master: masters.Master) -> bool:
        """Whether the host is seen to have done what it was told.

        :raises outcomes.Watching: not yet.
        """
        run, told = self._run, powers.sent(self._run.operation)
        uuid = run.host().uuid
        found = rules.read(master.session, uuid, guests=False)
        if found is None:
            raise self.watch('Its master does not list it.')
        down = found.operations & rules.GOING_DOWN
        booted = self._start(found) != told['boot_time']
        if found.is_live and booted and not down:
            return True
        if self._action == rules.SHUTDOWN and not found.is_live:
            answer = views.ask(run.connector, run.host(), run.aggregate())
            if answer.role == 'silent':
                return True
        task = self._task(master.session)
        if task is not None and task.error and _is_refusal(task.error[0]):
            self._take_back(master.session, task)
        traceless = not down and not booted and task is None
        still = found.is_live is (self._action != rules.STARTUP)
        if self._is_quiet(traceless and still):
            self._send(master, told['times'] + 1)
        raise self.watch(_state(found, booted, self._key))

    @property
    def _key(self) -> str:
        """The key that proves that it has done what it was told."""
        return STARTED if self._action == rules.RESTART else BOOTED

    def _start(self, found: rules.Powering) -> str:
        """When it has started, as that key says."""
        if self._action == rules.RESTART:
            return found.agent_start_time
        return found.boot_time

    def _is_quiet(self, traceless: bool) -> bool:
        """Whether the call has left no trace for so long that it is repeated.

        Not that it was sent long ago: a host that comes back tells its boot
        some moments after it is live (xapi#reboots).

        :param traceless: whether there is none now.
        """
        run = self._run
        since = run.operation.parameters.get(QUIET)
        if not traceless or since is None:
            found = self._now if traceless else None
            if found != since:
                run.remember(**{QUIET: found})
            return False
        # One that was switched on may take its time.
        done = self._action == rules.STARTUP and 'task' in (
            run.operation.call or {}
        )
        most = powers.sent(run.operation)['times'] >= MOST_SENT
        wait = float(run.options.power_wait)
        return not (done or most) and self._now - since >= wait

    def _task(self, session: xenapi.Session) -> views.Task | None:
        """The task of the call, unless it has ended well."""
        call = self._run.operation.call or {}
        for task in views.tasks(session, self._call):
            mine = task.ref == call.get('task')
            if task.status in views.RUNNING or (mine and task.error):
                return task
        return None

    def _take_back(self, session: xenapi.Session, task: views.Task) -> None:
        """The call was refused after all: nothing has happened.

        :raises outcomes.Answered: with what it was refused.
        """
        parameters = {
            name: value
            for name, value in self._run.operation.parameters.items()
            if name not in (db_operations.POWERED, 'changed', 'sent')
        } | shared.unseen(self._run)
        self._run.note(call=None, parameters=parameters)
        code, *said = task.error
        raise outcomes.answered(
            failures.XenAPIError(session.host, code, tuple(said))
        )

    def _end(self, master: masters.Master) -> None:
        """The host is back, or off: wait for what went with it, and end."""
        run, error = self._run, None
        if self._action != rules.SHUTDOWN:
            error = self._missing(master)
        run.write(
            lambda connection: db_operations.finish(
                connection, run.operation, 'succeeded', error
            )
        )

    def _missing(self, master: masters.Master) -> dict[str, Any] | None:
        """What was there before the host went and is not, to be told.

        :raises outcomes.Watching: it may still come.
        """
        run, told = self._run, powers.sent(self._run.operation)
        uuid = run.host().uuid
        found = rules.read(master.session, uuid, guests=False)
        ref = found.ref if found is not None else ''
        enabled = found.others_enabled if found is not None else set()
        pbds = shared.storage(master.session, ref, False)
        storage = {uuid: pbds[uuid] for uuid in pbds.keys() & told['storage']}
        # All are disabled for a while when a master starts.
        hosts = set(told['enabled']) - enabled if told['master'] else set()
        if not storage and not hosts:
            return None
        if BACK not in run.operation.parameters:
            run.remember(**{BACK: self._now})
        age = self._now - run.operation.parameters[BACK]
        if age >= PLUG_WAIT:
            self._plug(master, storage)
        if age < LATER_WAIT:
            run.note(step='waiting for storage and other hosts', progress=90)
            raise self.watch('The host is back, not all that went with it is.')
        return {
            'code': shared.NOT_WHOLE,
            'parameters': {'pbds': sorted(storage), 'hosts': sorted(hosts)},
            'message': f'Host {run.host_name} is back, and not all that was '
            f'there before: {self._tell(storage, hosts)}.',
        }

    def _plug(self, master: masters.Master, storage: dict[str, str]) -> None:
        """Plug what the host has not found at its start, each once.

        Its own start has tried it once too (xapi#reboots): a server of
        storage may have come back later than the host.

        :param storage: uuid -> reference of PBDs.
        :raises outcomes.Watching: one was plugged, or was not to be.
        """
        plugged = shared.plug(self._run, master.login, storage)
        if plugged:
            raise self.watch(plugged)

    def _tell(self, storage: Iterable[str], hosts: Iterable[str]) -> str:
        """What is missing, and what to do about it."""
        told: list[str] = []
        if storage:
            unplugged = shared.describe_unplugged(self._run, storage)
            told.append(f'{unplugged} before it leaves maintenance')
        if hosts:
            told.append(f'hosts {text.listed(sorted(hosts))} are not enabled')
        return '; '.join(told)


def _known(connection: Any, told: dict[str, Any]) -> dict[str, Any]:
    """What is written with the call; ``at`` is when it was first sent."""
    sent = {'at': engine.read_clock(connection), **told}
    return {db_operations.POWERED: sent, QUIET: None}


def _state(found: rules.Powering, booted: bool, key: str) -> str:
    """How the master lists a host, in a sentence.

    :param key: that tells whether it has started.
    """
    live = 'live' if found.is_live else 'not live'
    start = 'a new' if booted else 'the old'
    doing = text.listed(found.operations)
    beside = f', with {doing} under way' if doing else ''
    return f'Its master lists it as {live}, with {start} {key}{beside}.'
