"""Ejecting a host: guarded, sent once, then judged by evidence.

An eject destroys the host's local storage (xapi#eject-destroys). The order is
fixed: disable the host, read machines and disks again on the same session,
eject at once; on refusal enable again what was disabled (design#eject-order).
Before the master of others leaves, another member becomes the master.
"""

import contextlib
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.mastership import designate
from aggregates_ext.compute.mastership import designations
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import departures
from aggregates_ext.compute.operations import forget
from aggregates_ext.compute.operations import pool
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import successor
from aggregates_ext.compute.rules.leaving import guard
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
CALL = 'pool.eject'
# The error of an eject of which nothing is seen.
UNKNOWN = ''


def remove_host(run: compute_run.Run) -> None:
    """Take a host out of the pool; done when the master lists it no more.

    :raises outcomes.Failed: it is still a member, and nothing was lost.
    :raises outcomes.Unresolved: what became of it is not known.
    :raises outcomes.Postpone: to be tried again.
    """
    if run.operation.parameters.get('force'):
        forget.remove_host(run)
        return
    designate.resume(run)
    run.end_recorded_session()
    aggregate = run.aggregate()
    host = run.host()
    compute_run.await_joins(run, host.name)
    if aggregate.pool_uuid is None or host.uuid is None:
        # It never joined anything: only its own answer can show that.
        _leave(run, host, aggregate)
        return
    hosts = masters.bound(run)
    with masters.of_run(run, aggregate, hosts) as master:
        view = master.look()
        eject = _Eject(run, host, host.uuid, master)
        if host.uuid not in view.hosts:
            _leave(run, host, aggregate)
            return
        if len(view.hosts) == 1:
            pool.remove_last_host(run, master, view)
            return
        if view.master.uuid != host.uuid:
            eject.follow()
            _leave(run, host, aggregate)
            return
        heir = eject.find_successor(hosts)
    designate.change_master(run, heir)
    # All sessions are over with that: on to the new master.
    remove_host(run)


def _leave(
    run: compute_run.Run, host: records.Host, aggregate: records.Aggregate
) -> None:
    """End a remove_host: the pool is without the host, which now returns.

    It keeps the pool's account: an eject resets no password
    (xapi#eject-destroys).
    """

    def work(connection: Any) -> None:
        db_hosts.move(
            connection,
            host.name,
            run.aggregate_id,
            ('leaving',),
            'returning',
            address=None,
            shown=None,
        )
        db_operations.finish(connection, run.operation, 'succeeded')
        db_pools.release_master(connection, run.aggregate_id, host.uuid)
        # Hosts of nobody may go on in it.
        db_pools.forget_pool_if_empty(connection, run.aggregate_id)

    run.write(work)


class _Eject:
    """One eject, looked at on the master until its outcome is known.

    :param uuid: the XenServer uuid of the host.
    """

    def __init__(
        self,
        run: compute_run.Run,
        host: records.Host,
        uuid: str,
        master: masters.Master,
    ) -> None:
        self._run = run
        self._host = host
        self._uuid = uuid
        self._master = master
        self._departure = departures.Departure(run, host, master)
        self._limit = run.options.eject_timeout + designations.allowance(
            run.operation, run.options.master_timeout
        )

    def find_successor(self, hosts: Sequence[records.Host]) -> records.Host:
        """Who takes over from this host, which is the master.

        What would refuse its eject then is looked at first: the master is
        not changed for an eject that does not come about.

        :param hosts: those of the aggregate.
        :raises outcomes.Failed: it cannot leave, or nobody can.
        :raises outcomes.Postpone: for a reason that passes.
        """
        self._finish_refused()
        session = self._master.session
        report, chosen = successor.settle(
            self._look_at_loss(session), session, self._host, hosts
        )
        self._refuse_by(report)
        if chosen is None:
            raise outcomes.Postpone(
                reason='The other hosts of the pool leave it first, or the '
                'master has changed while it was looked at.'
            )
        return chosen

    def follow(self) -> None:
        """Look until the host is gone; send the eject when none runs."""
        run = self._run
        self._finish_refused()
        while True:
            # The tasks first: what is listed after that is all that is left.
            tasks = views.tasks(self._master.session, CALL)
            view = self._master.look()
            if self._uuid not in view.hosts:
                return
            pending = [t for t in tasks if t.status in views.RUNNING]
            if pending:
                self._departure.doubt()
                self._check_time(view)
                self._note_progress(view, pending[-1])
            elif not self._fail_by(tasks, view) and self._may_send(view):
                self._send(view)
                self._departure.doubt()
            run.clock.sleep(run.options.watch_interval)

    def _may_send(self, view: views.PoolView) -> bool:
        """Whether an eject is due: none runs, and after one of ours none did.

        That one may have told the host to go and left no task, as where the
        toolstack of the master has started since: it is asked as after an
        error, at more looks than one.

        :raises outcomes.Failed: it is due, and the time is over.
        :raises outcomes.Unresolved: the host has left, or that is not known
            and the time is over.
        """
        run = self._run
        if run.sent and not self._departure.is_off(UNKNOWN, view):
            self._check_time(view)
            return False
        if run.elapsed() >= self._limit:
            self._departure.ask(view)
            self._refuse(
                outcomes.Failed(
                    'TIMEOUT',
                    f'Host {self._host.name} could not be ejected within '
                    f'{self._limit:.0f} s. It is still a member.',
                )
            )
        return True

    def _check_time(self, view: views.PoolView) -> None:
        """:raises outcomes.Unresolved: the time is over."""
        run = self._run
        if run.elapsed() < self._limit:
            return
        own = views.look(run.connector, self._host, CALL)
        raise outcomes.Unresolved(
            'UNRESOLVED',
            f'Whether host {self._host.name} leaves is not known after '
            f'{run.elapsed():.0f} s. The master of pool {view.uuid} still '
            f'lists it; the host itself '
            f'{own.describe()}. It is looked at again with each '
            'observation; the action reset says what became of it.',
        )

    def _note_progress(self, view: views.PoolView, task: views.Task) -> None:
        """Tell how far it is, or what it waits for inside xapi."""
        others = {
            operation
            for ref, operation in view.operations.items()
            if ref != task.ref
        }
        if others:
            self._run.note(step=compute_run.wait_for_pool(others))
        else:
            progress = 30 + int(60 * task.progress)
            self._run.note(step='ejecting', progress=progress)

    def _fail_by(
        self, tasks: Collection[views.Task], view: views.PoolView
    ) -> bool:
        """End an eject by what its task on the master and the host say.

        :returns: whether it has failed and that is not sure yet.
        :raises outcomes.Failed: for a reason that does not heal.
        :raises outcomes.Postpone: for one that may.
        """
        run = self._run
        sent = (run.operation.call or {}).get('task')
        ended = [task for task in tasks if task.error and run.sent]
        if not ended:
            return False
        task = next((t for t in ended if t.ref == sent), ended[-1])
        code, *parameters = task.error
        if not self._departure.is_off(code, view):
            self._check_time(view)
            return True
        failure = outcomes.translate(
            failures.XenAPIError(
                self._master.host.name, code, tuple(parameters)
            )
        )
        if isinstance(failure, outcomes.Failed):
            self._refuse(failure)
        run.note(
            call=None, parameters={**run.operation.parameters, 'sent': False}
        )
        raise failure

    def _refuse(self, failure: outcomes.Failed) -> None:
        """End an eject for a reason that stays.

        The reason is written before its task is removed and the host enabled
        again: whoever takes over knows that this eject has ended, and does
        not send it again.

        :raises outcomes.Failed: always, if the host could be asked.
        """
        known = {
            **self._run.operation.parameters,
            'sent': False,
            'refused': failure.error,
        }
        self._run.note(call=None, parameters=known)
        views.forget_tasks(self._master.session, CALL)
        self._finish_refused()

    def _finish_refused(self) -> None:
        """End an eject that was refused: the host is enabled again.

        :raises outcomes.Failed: for the reason of the refusal.
        """
        refused = self._run.operation.parameters.get('refused')
        if refused:
            raise outcomes.Failed(
                refused['code'],
                f'{refused["message"]}{designations.tell(self._run)}'
                f'{self._enable_again()}',
                refused['parameters'],
            )

    def _send(self, view: views.PoolView) -> None:
        """Guard, disable, guard again, eject: on one fresh session."""
        run = self._run
        view.hosts.check()
        ref = view.hosts[self._uuid].ref
        with contextlib.closing(self._master.login()) as session:
            try:
                run.note(step='checking what would be lost', progress=5)
                self._guard(session)
                self._master.confirm_slave(self._host, view)
                if view.hosts[self._uuid].enabled:
                    run.remember(disabled=True)
                    run.note(step='disabling the host', progress=10)
                    run.change(session, 'host.disable', ref)
                run.note(step='ejecting', progress=30)
                run.change(
                    session,
                    f'Async.{CALL}',
                    ref,
                    check=lambda: self._check_last(session),
                )
            except outcomes.Failed as exc:
                self._refuse(exc)
            except failures.XenAPIError as exc:
                failure = outcomes.translate(exc)
                if isinstance(failure, outcomes.Failed):
                    self._refuse(failure)
                raise failure from exc

    def _check_last(self, session: xenapi.Session) -> None:
        """Look a last time, when the call is recorded."""
        views.forget_tasks(session, CALL)
        self._guard(session)

    def _guard(self, session: xenapi.Session) -> None:
        """Refuse what would be destroyed without consent.

        :raises outcomes.Failed: with every reason.
        """
        self._refuse_by(self._look_at_loss(session))

    def _look_at_loss(self, session: xenapi.Session) -> preflight.Report:
        accepted, known = self._consent()
        return guard.check_leave(session, self._uuid, accepted, known)

    def _refuse_by(self, report: preflight.Report) -> None:
        """:raises outcomes.Failed: with every blocker."""
        run, host = self._run, self._host
        if not report.blockers:
            return
        if report.disks:
            run.write(
                lambda connection: db_hosts.update(
                    connection, host.name, {'shown': report.disk_uuids()}
                )
            )
        raise outcomes.refuse(
            f'Host {host.name} cannot leave the pool of aggregate '
            f'{run.aggregate_id}:',
            report,
        )

    def _consent(self) -> tuple[list[str], list[str]]:
        """The SRs given up, and the disks that had been shown then.

        A stored consent (``host accept-data-loss``) is used once, where the
        request itself gave none.
        """
        run = self._run
        if not run.operation.parameters.get('accept_data_loss'):
            run.write(self._use_stored_consent)
        parameters = run.operation.parameters
        return (
            list(parameters.get('accept_data_loss', ())),
            list(parameters.get('disks', ())),
        )

    def _use_stored_consent(self, connection: Any) -> None:
        consent = db_hosts.use_consent(connection, self._host.name)
        if consent is None:
            return
        db_operations.update(
            connection,
            self._run.operation.id,
            {
                'parameters': {
                    **self._run.operation.parameters,
                    'accept_data_loss': consent['srs'],
                    'disks': consent['disks'],
                    'accepted_by': consent['by'],
                    'consent_used': True,
                }
            },
        )

    def _enable_again(self) -> str:
        """Undo the host.disable of this operation.

        A host that is to take no machines stays as it is.

        :returns: a sentence for the message when that is not possible.
        """
        run = self._run
        if not run.operation.parameters.get('disabled') or run.host().disabled:
            return ''
        try:
            with contextlib.closing(self._master.login()) as session:
                view = views.pool_view(session).hosts.get(self._uuid)
                if view is not None and not view.enabled:
                    run.change(session, 'host.enable', view.ref)
        except (
            failures.XenAPIError,
            failures.OddAnswer,
            outcomes.Failed,
        ) as exc:
            LOG.warning('Host %s stays disabled: %s', self._host.name, exc)
            return (
                ' The host was disabled for its removal, and could not be '
                f'enabled again: {exc}'
            )
        run.remember(disabled=False)
        return ''
