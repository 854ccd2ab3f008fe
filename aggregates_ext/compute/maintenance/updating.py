"""Installing the updates of a host in maintenance.

It may be told again at any time: what is installed already is not installed
once more. What became of it is told by the task of the call, or else by what
the host lacks still (design#updates).
"""

import contextlib
from typing import Any

from aggregates_ext.compute.maintenance import lacking
from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import powering
from aggregates_ext.compute.rules import updating as rules
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import updates
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import operations as db_operations

APPLY = 'host.apply_updates'
# The parameters of the operation: what is to be installed, as XenServer names
# it; how often it was told, without what passes; whether some of that has not
# come about, as far as was seen; whether its host has to restart now, and
# whether at least its toolstack has to.
HASH = 'hash'
TIMES = 'times'
UNSEEN = 'unseen'
REBOOT = 'reboot'
TOOLSTACK = 'restart_toolstack'
MOST_SENT = 3
# How the task of a call stands that is under way, or has come about.
SEEN = (*views.RUNNING, 'success')
# Looks at a host until there is one at what becomes of it.
LOOKS = 4


def update_host(run: compute_run.Run) -> None:
    """Install what there is for a host.

    :raises outcomes.Failed: it was not told to, it could not, or its time is
        over.
    :raises outcomes.Postpone: to be gone on with.
    """
    step = _Update(run)
    try:
        step.go_on()
    except (failures.HostError, outcomes.Postpone) as exc:
        limit = float(run.options.update_timeout)
        if run.elapsed() >= limit:
            raise outcomes.Failed(
                'TIMEOUT',
                f'Host {run.host_name} is not updated after {limit:.0f} s: '
                f'{exc} It stays in maintenance.',
            ) from exc
        raise step.watch(str(exc)) from exc


def guests_to_restart(session: xenapi.Session) -> str:
    """What is to be told of guests that an update wants to be restarted.

    :param session: at the master.
    :returns: a sentence; '' where there are none.
    """
    found = [
        vm['name_label']
        for vm in session.records('VM').values()
        if rules.wants(vm, rules.RESTARTS_OF_GUESTS)
    ]
    if not found:
        return ''
    return (
        f'{len(found)} guest(s) have what was installed only when their '
        f'owners have restarted them: {shared.names(sorted(found))}.'
    )


class _Update:
    """One step of one host."""

    def __init__(self, run: compute_run.Run) -> None:
        self._run = run

    @property
    def _asked(self) -> dict[str, Any]:
        """What was asked for, and what was found out since."""
        return self._run.operation.parameters

    def watch(self, reason: str) -> outcomes.Watching:
        """What lets it rest until there is more to see."""
        seconds = LOOKS * float(self._run.options.watch_interval)
        return outcomes.Watching(seconds, reason=reason)

    def go_on(self) -> None:
        """Go on, as far as it goes now."""
        run = self._run
        if 'task' not in (run.operation.call or {}):
            run.end_recorded_session()
        with planning.at_master(run) as master:
            master.look()
            # First, or its end would be seen and not what it has left.
            task = shared.task_of_call(run, master.session)
            uuid = run.host().uuid
            found = powering.read(master.session, uuid, guests=False)
            if found is None:
                raise self.watch('Its master does not list it.')
            if task is not None and task.status not in SEEN:
                self._give_up_task(master.session, task)
                task = None
            if self._is_at_work(task, found):
                raise self.watch('Packages are being installed.')
            if found.host['enabled']:
                shared.disable_again(run)
            told = self._asked.get(TIMES, 0)
            if task is not None or self._has_all(master.session, found):
                self._end(found, task, told)
            elif told < MOST_SENT:
                self._tell(master, told + 1)
            else:
                raise outcomes.Failed(
                    'APPLY_UPDATES_FAILED',
                    f'Host {run.host_name} was told {told} times to install '
                    'its updates, and lacks some still. Look at its log, '
                    '/var/log/xensource.log.',
                )

    def _give_up_task(self, session: Any, task: views.Task) -> None:
        """It has ended, and not well: the host tells what it has installed.

        :raises outcomes.Answered: with its error, if it has one.
        """
        run = self._run
        run.end_recorded_session()
        code, *about = updates.meaning(task.error or ('',))
        times = self._asked[TIMES] - codes.passes(code, about)
        run.note(
            call=None, parameters={**self._asked, TIMES: times, UNSEEN: True}
        )
        if task.error:
            raise outcomes.answered(
                failures.XenAPIError(session.host, code, tuple(about))
            )

    def _is_at_work(
        self, task: views.Task | None, found: powering.Powering
    ) -> bool:
        """Whether it is being updated now, by whomever."""
        if task is not None and task.status in views.RUNNING:
            return True
        return 'apply_updates' in found.operations

    def _has_all(self, session: Any, found: powering.Powering) -> bool:
        """Whether there is nothing that it is to install still."""
        if not updates.is_xcp_ng(found.host):
            host, wanted = found.host, self._asked[HASH]
            return bool(
                (wanted and host['last_update_hash'] == wanted)
                or host.get('latest_synced_updates_applied') == 'yes'
            )
        hosts = found.records['host']
        return not lacking.packages(session, hosts, found.ref, found.pool)

    def _tell(self, master: masters.Master, times: int) -> None:
        """Tell the host, from a session of its own.

        That lasts as long as the packages take: the plug-in of a master uses
        it, and fails without it (xapi#updates).

        :raises outcomes.Watching: it is told.
        """
        run = self._run
        session = master.login()
        with contextlib.ExitStack() as failing:
            failing.callback(session.close)

            def look() -> powering.Powering:
                return shared.check_idle(
                    run, session, powering.REBOOT, 'updated'
                )

            found = look()
            own = session.uuid()
            run.note(step='packages are being installed', progress=10)
            run.change(
                session,
                f'Async.{_call(found)}',
                found.ref,
                *self._arguments(found),
                check=look,
                known=lambda _connection: {TIMES: times},
            )
            failing.pop_all()
        session.leave()
        run.note(call={**(run.operation.call or {}), 'session': own})
        raise self.watch('The host is told.')

    def _arguments(self, found: powering.Powering) -> tuple[Any, ...]:
        if updates.is_xcp_ng(found.host):
            return updates.PLUGIN, 'update', {}
        return (self._asked[HASH],)

    def _end(
        self, found: powering.Powering, task: views.Task | None, told: int
    ) -> None:
        """All is installed: write whether the host has to restart now.

        XCP-ng tells nothing of that, and most updates need it; XenServer's
        tells it when a call that has installed all comes to its end. A host
        that is empty loses nothing by a restart that it might do without.
        """
        run = self._run
        run.end_recorded_session()
        told_well = (
            task is not None and told == 1 and not self._asked.get(UNSEEN)
        )
        reboots = rules.wants(found.host, rules.REBOOTS) or (
            told > 0 and (updates.is_xcp_ng(found.host) or not told_well)
        )
        restarts = {
            REBOOT: reboots,
            TOOLSTACK: rules.wants(found.host, rules.RESTARTS),
        }

        def work(connection: Any) -> None:
            values = {'parameters': {**self._asked, **restarts}}
            db_operations.update(connection, run.operation.id, values)
            db_operations.finish(connection, run.operation, 'succeeded')

        run.write(work)


def _call(found: powering.Powering) -> str:
    """What tells a host to install its updates."""
    return updates.CALL if updates.is_xcp_ng(found.host) else APPLY
