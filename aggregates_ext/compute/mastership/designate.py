"""Changing the master of a pool: sent once, watched, judged by evidence.

``pool.designate_new_master`` answers before anybody restarts, and a second
one while they do can wreck the pool (xapi#change-of-master, xen-api#6056). So
the call is written down before it is sent; for ``designate_wait`` seconds
after that, by the database's clock, everybody only watches
(design#change-of-master).
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.mastership import designations
from aggregates_ext.compute.mastership import handover
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import successor
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

LOG = logging.getLogger(__name__)
# Answers after which nothing has happened: given before the second phase, in
# which roles are written (xapi#change-of-master). Any other may come from the
# middle.
REFUSALS = frozenset(
    {
        'HA_IS_ENABLED',
        'HA_ABORT_NEW_MASTER',
        'HANDLE_INVALID',
        'HOST_IS_SLAVE',
        'HOST_OFFLINE',
        'HOST_STILL_BOOTING',
        'MESSAGE_METHOD_UNKNOWN',
        'POOL_SECRET_ROTATION_PENDING',
        'RBAC_PERMISSION_DENIED',
        'SESSION_INVALID',
    }
)
BUSY = '_IN_PROGRESS'
# Seconds for which the lease is kept beyond the limits.
GRACE = 120.0


def _is_refusal(code: str) -> bool:
    """Whether an error proves that no role was written."""
    return code in REFUSALS or code.endswith(BUSY)


def set_master(run: compute_run.Run) -> None:
    """Make a member the master of the pool.

    :raises outcomes.Failed: the master is who it was.
    :raises outcomes.Unresolved: who the master is is not known.
    :raises outcomes.Postpone: to be tried again; nothing was sent.
    """
    host = run.host()
    known = designations.sent(run)
    if not known:
        run.end_recorded_session()
        if host.aggregate_id != run.aggregate_id or host.phase != 'member':
            raise outcomes.Failed(
                'NOT_A_MEMBER',
                f'Host {host.name} is {host.phase}; only a member of the '
                'aggregate can be made the master.',
            )
    late = known['late'] if known.get('done') else change_master(run, host)
    run.write(
        lambda connection: db_operations.finish(
            connection, run.operation, 'succeeded', _tell_late(host, late)
        )
    )


def _tell_late(
    host: records.Host, late: Sequence[str]
) -> dict[str, Any] | None:
    """What a change of master that is done leaves to be told."""
    if not late:
        return None
    return {
        'code': 'MEMBERS_NOT_BACK',
        'parameters': {'hosts': list(late)},
        'message': f'Host {host.name} is the master. These hosts are not '
        f'back as its slaves, live and enabled: {", ".join(late)}. See their '
        'alarms in GET /os-aggregates/ID/pool.',
    }


def resume(run: compute_run.Run) -> None:
    """Follow a change of master that was sent, until it is known.

    For operations of which it is only a part.
    """
    if designations.is_open(run):
        target = handover.find_host(run, designations.sent(run)['uuid'])
        if target is not None:
            change_master(run, target)


def change_master(run: compute_run.Run, target: records.Host) -> list[str]:
    """Let a host become the master, and wait until the pool is whole again.

    :returns: names of the members that are not back at the time limit.
    :raises outcomes.Failed: the master is who it was.
    :raises outcomes.Unresolved: who the master is is not known.
    :raises outcomes.Postpone: nothing was sent, try again later.
    """
    return _Change(run, target).follow()


class _Change:
    """One change of master: checked, sent once, handed to the watch."""

    def __init__(self, run: compute_run.Run, target: records.Host) -> None:
        self._run = run
        self._target = target

    def follow(self) -> list[str]:
        """Watch until the outcome is known; send the call when none was."""
        run = self._run
        watch = handover.Watch(run, self._target)
        while True:
            if not designations.is_open(run):
                if self._send():
                    return []
                watch = handover.Watch(run, self._target)
            self._keep_lease()
            late = watch.look()
            if late is not None:
                return late
            run.clock.sleep(watch.pause)

    def _keep_lease(self) -> None:
        options = self._run.options
        self._run.held.extend(
            options.master_timeout + options.eject_timeout + GRACE
        )

    def _send(self) -> bool:
        """Check the pool, then send the call from a session of its own.

        :returns: whether there is nothing to do: the host is the master.
        """
        run, target = self._run, self._target
        run.note(step='checking who can be the master', progress=5)
        hosts = masters.bound(run)
        with masters.of_run(run, run.aggregate(), hosts) as master:
            view = master.look()
            if view.master.uuid == target.uuid:
                handover.write_master(run, view)
                return True
            designations.await_window(run)
            # One under way would go to a master that is none any more.
            compute_run.await_joins(run)
            with contextlib.closing(master.login()) as session:
                self._check(session)
                master.confirm_all(view)
                run.note(step='changing the master', progress=10)
                try:
                    run.change(
                        session,
                        designations.CALL,
                        view.hosts[str(target.uuid)].ref,
                        check=lambda: self._check(session),
                        known=lambda connection: {
                            designations.KEY: self._describe(connection, view)
                        },
                        proves=_is_refusal,
                    )
                except outcomes.Unknown as exc:
                    LOG.info('Operation %s: %s', run.operation.uuid, exc)
                except outcomes.Answered as exc:
                    if _is_refusal(exc.answer.code):
                        raise
                    self._keep(exc.answer)
        return False

    def _check(self, session: xenapi.Session) -> None:
        """:raises outcomes.Failed: with every requirement not met."""
        report = successor.check(
            successor.read(session), self._target.uuid, self._target.disabled
        )
        if report.blockers:
            raise outcomes.refuse(
                f'Host {self._target.name} cannot become the master of the '
                f'pool of aggregate {self._run.aggregate_id}:',
                report,
            )

    def _describe(
        self, connection: Any, view: views.PoolView
    ) -> dict[str, Any]:
        """What is written down of the call, in the moment it is recorded."""
        target = self._target
        return {
            'at': engine.read_clock(connection),
            'uuid': target.uuid,
            'name': target.name,
            'from': view.master.uuid,
            'enabled': sorted(
                h.uuid for h in view.hosts.values() if h.enabled
            ),
            'started': {
                h.uuid: h.agent_start_time for h in view.hosts.values()
            },
        }

    def _keep(self, answer: failures.XenAPIError) -> None:
        """Keep an error that may come from the middle of the change."""
        said = {
            'code': answer.code,
            'parameters': list(answer.parameters),
            'message': str(answer),
        }
        self._run.write(
            lambda connection: designations.write(
                connection,
                self._run,
                {**designations.sent(self._run), 'said': said},
            )
        )
