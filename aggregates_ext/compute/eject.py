"""Ejecting a host: guarded, sent once, then judged by evidence.

An eject destroys the host's local storage (contract 5.2). The order is
fixed: disable the host, read machines and disks again on the same session,
eject at once; on refusal enable again what was disabled (design 5).
"""

import contextlib
from collections.abc import Collection
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute import guard
from aggregates_ext.compute import pool
from aggregates_ext.compute import run as compute_run
from aggregates_ext.compute import views
from aggregates_ext.compute import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
CALL = 'pool.eject'


def remove_host(run: compute_run.Run) -> None:
    """Take a host out of the pool; done when the master lists it no more.

    :raises compute_run.Failed: it is still a member, and nothing was lost.
    :raises compute_run.Unresolved: what became of it is not known.
    :raises compute_run.Postpone: to be tried again.
    """
    run.end_recorded_session()
    aggregate = run.aggregate()
    host = run.host()
    if aggregate.pool_uuid is None or host.uuid is None:
        # It never joined anything: only its own answer can show that.
        _leave(run, host, aggregate)
        return
    with pool.master_of(
        run.connector, aggregate, pool.all_hosts(run)
    ) as master:
        view = master.look()
        if host.uuid not in view.hosts:
            _leave(run, host, aggregate)
        elif len(view.hosts) == 1:
            pool.remove_last_host(run, master, view)
        else:
            _Eject(run, host, host.uuid, master).follow()
            _leave(run, host, aggregate)


def _leave(
    run: compute_run.Run, host: records.Host, aggregate: records.Aggregate
) -> None:
    """End a remove_host: the pool is without the host, which now returns.

    It keeps the pool's account: an eject resets no password (contract 5.2).
    """

    def work(connection: Any) -> None:
        db_hosts.move(
            connection,
            host.name,
            run.aggregate_id,
            ('leaving',),
            'returning',
            address=None,
        )
        db_operations.finish(connection, run.operation, 'succeeded')

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
        master: pool.Master,
    ) -> None:
        self._run = run
        self._host = host
        self._uuid = uuid
        self._master = master

    def follow(self) -> None:
        """Look until the host is gone; send the eject when none runs."""
        run = self._run
        quiet_since: float | None = None
        while True:
            view = self._master.look()
            if self._uuid not in view.hosts:
                return
            tasks = views.tasks(self._master.session, CALL)
            now = run.clock.monotonic()
            if any(task.status in views.RUNNING for task in tasks):
                quiet_since = None
                self._check_time(view)
            else:
                self._fail_by(tasks)
                quiet_since = now if quiet_since is None else quiet_since
                if self._may_send(now - quiet_since):
                    self._send(view)
                    quiet_since = None
            run.clock.sleep(run.options.watch_interval)

    def _sent(self) -> bool:
        return (self._run.operation.call or {}).get('call') == f'Async.{CALL}'

    def _may_send(self, quiet: float) -> bool:
        """Whether an eject is due: after a call of ours two looks must agree.

        :param quiet: seconds for which no eject was seen to run.
        :raises compute_run.Failed: it is due, and the time is over.
        """
        run = self._run
        if self._sent() and quiet < run.options.watch_interval:
            return False
        if run.elapsed() >= run.options.eject_timeout:
            self._enable_again()
            raise compute_run.Failed(
                'TIMEOUT',
                f'Host {self._host.name} could not be ejected within '
                f'{run.options.eject_timeout:.0f} s. It is still a member.',
            )
        return True

    def _check_time(self, view: views.PoolView) -> None:
        """:raises compute_run.Unresolved: the time is over."""
        run = self._run
        if run.elapsed() < run.options.eject_timeout:
            return
        own = views.look(run.connector, self._host, CALL)
        raise compute_run.Unresolved(
            'UNRESOLVED',
            f'Whether host {self._host.name} leaves is not known after '
            f'{run.elapsed():.0f} s. The master of pool {view.uuid} still '
            f'lists it, and its eject still runs; the host itself '
            f'{own.describe()}. It is looked at again with each '
            'observation; the action reset says what became of it.',
        )

    def _fail_by(self, tasks: Collection[views.Task]) -> None:
        """End an eject by what its task on the master says.

        :raises compute_run.Failed: for a reason that does not heal.
        :raises compute_run.Postpone: for one that may.
        """
        run = self._run
        sent = (run.operation.call or {}).get('task')
        ended = [t for t in tasks if t.error and self._sent()]
        if not ended:
            return
        task = next((t for t in ended if t.ref == sent), ended[-1])
        self._enable_again()
        code, *parameters = task.error
        views.forget_tasks(self._master.session, CALL)
        run.note(call=None)
        raise compute_run.translate(
            xenapi.XenAPIError(self._master.host.name, code, tuple(parameters))
        )

    def _send(self, view: views.PoolView) -> None:
        """Guard, disable, guard again, eject: on one fresh session."""
        run = self._run
        ref = view.hosts[self._uuid].ref
        with contextlib.closing(self._login()) as session:
            try:
                run.note(step='checking what would be lost', progress=5)
                self._guard(session)
                if view.hosts[self._uuid].enabled:
                    run.remember(disabled=True)
                    run.note(step='disabling the host', progress=10)
                    run.change(session, 'host.disable', ref)
                    self._guard(session)
                views.forget_tasks(session, CALL)
                run.note(step='ejecting', progress=30)
                run.change(session, f'Async.{CALL}', ref)
            except compute_run.Failed:
                self._enable_again()
                raise
            except xenapi.XenAPIError as exc:
                self._enable_again()
                raise compute_run.translate(exc) from exc

    def _login(self) -> xenapi.Session:
        return self._run.connector.login(
            self._master.host, self._master.session.credential.name
        )

    def _guard(self, session: xenapi.Session) -> None:
        """Refuse what would be destroyed without consent.

        :raises compute_run.Failed: with every reason.
        """
        run = self._run
        accepted, known = self._consent()
        report = guard.check_leave(session, self._uuid, accepted, known)
        if known is None and accepted and report.disks is not None:
            run.remember(disks=report.disks)
        if report.blockers:
            raise compute_run.refuse(
                f'Host {self._host.name} cannot leave the pool of '
                f'aggregate {run.aggregate_id}:',
                report,
            )

    def _consent(self) -> tuple[list[str], set[str] | None]:
        """The SRs given up, and the disks that were seen when they were.

        A stored consent (``host accept-data-loss``) is used once, where the
        request itself gave none.
        """
        run = self._run
        parameters = run.operation.parameters
        if not parameters.get('accept_data_loss'):
            run.write(self._use_stored_consent)
            parameters = run.operation.parameters
        accepted = list(parameters.get('accept_data_loss', ()))
        seen = parameters.get('disks')
        if seen is None and accepted:
            seen = self._refused_disks(accepted)
        if seen is None:
            return accepted, None
        return accepted, {d['uuid'] for found in seen.values() for d in found}

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
                    'accepted_by': consent['by'],
                }
            },
        )

    def _refused_disks(self, accepted: list[str]) -> Any:
        """The disks that the refusal before this consent listed."""
        refusal = self._run.held.read(
            lambda connection: db_operations.latest(
                connection,
                self._run.aggregate_id,
                self._run.operation.kind,
                self._host.name,
                'failed',
            )
        )
        if refusal is None or not isinstance(refusal.error, dict):
            return None
        parameters = refusal.error.get('parameters')
        disks = (
            parameters.get('disks') if isinstance(parameters, dict) else None
        )
        return disks if disks and set(disks) <= set(accepted) else None

    def _enable_again(self) -> None:
        """Undo the host.disable of this operation."""
        run = self._run
        if not run.operation.parameters.get('disabled'):
            return
        try:
            with contextlib.closing(self._login()) as session:
                host = views.pool_view(session).hosts.get(self._uuid)
                if host is not None and not host.enabled:
                    run.change(session, 'host.enable', host.ref)
        except (xenapi.XenAPIError, compute_run.Failed) as exc:
            LOG.warning(
                'Host %s was disabled for its removal and could not be '
                'enabled again: %s',
                self._host.name,
                exc,
            )
            return
        run.remember(disabled=False)
