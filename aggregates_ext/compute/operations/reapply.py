"""Reapplying the membership: the pool is made what it is to be.

What can be set at once is; hosts are joined and ejected by operations of
their own, with all their checks and guards.
"""

from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import undone
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import adopt
from aggregates_ext.compute.operations import census
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.domain import operations


def reapply(run: compute_run.Run) -> None:
    """Give the pool its label, mark, master and hosts again.

    :raises outcomes.Failed: for all reasons at once; nothing is changed.
    :raises outcomes.Postpone: to be tried again.
    """
    run.end_recorded_session()
    aggregate, hosts = run.aggregate(), masters.bound(run)
    if aggregate.pool_uuid is None:
        raise outcomes.Failed(
            'NO_POOL',
            f'Aggregate {aggregate.id} has no pool any more; a host that is '
            'added founds one.',
        )
    with masters.of_run(run, aggregate, hosts) as master:
        view = views.pool_view(master.session)
        counted = census.take(run, view, hosts)
        census.refuse_all(
            f'Aggregate {aggregate.id} cannot be reapplied to its pool:',
            [
                *census.check_identity(aggregate, master, view),
                *census.check_hosts(counted),
                *census.check_proof(run, counted),
            ],
        )
        done = adopt.mark_again(run, master.session, view, aggregate)
        done += _label_again(run, master.session, view, aggregate)
        account = master.session.credential.name
    queue = _Queue(run, counted, account)
    run.write(lambda connection: queue.fill(connection, done))


def _label_again(
    run: compute_run.Run,
    session: xenapi.Session,
    view: views.PoolView,
    aggregate: records.Aggregate,
) -> list[str]:
    if view.name_label == aggregate.name:
        return []
    run.note(step='naming the pool')
    run.change(session, 'pool.set_name_label', view.ref, aggregate.name)
    return [f'The pool is named "{aggregate.name}".']


class _Queue:
    """The operations that a reapplication leaves, in one transaction.

    :param account: credential that the hosts of the pool have.
    """

    def __init__(
        self, run: compute_run.Run, counted: census.Census, account: str
    ) -> None:
        self._run = run
        self._counted = counted
        self._account = account

    def fill(self, connection: Any, done: Sequence[str]) -> None:
        """Queue what brings the pool back; end the operation."""
        result = list(done)
        result += self._join_missing(connection)
        result += self._lead_again(connection)
        result += self._eject_surplus(connection)
        result += self._disable_again(connection)
        adopt.finish(connection, self._run, result)

    def _insert(
        self, connection: Any, kind: str, host: str, **parameters: Any
    ) -> str:
        """Queue an operation in the name of who asked for this one."""
        uuid = uuidutils.generate_uuid()
        db_operations.insert(
            connection,
            uuid,
            kind,
            self._run.aggregate_id,
            host,
            self._run.asked,
            {**parameters, 'reapply': True},
        )
        return f'Queued: {kind} {host}, operation {uuid}.'

    def _join_missing(self, connection: Any) -> list[str]:
        return [
            self._insert(connection, operations.ADD_HOST, host.name)
            for host in self._counted.absent
            if host.phase == 'member'
            and host.name not in self._counted.busy
            and db_hosts.move(
                connection,
                host.name,
                self._run.aggregate_id,
                ('member',),
                'joining',
            )
        ]

    def _disable_again(self, connection: Any) -> list[str]:
        """Queue what disables hosts that somebody has enabled."""
        counted = self._counted
        members = [h for h in counted.bound if h.phase == 'member']
        return [
            self._insert(
                connection,
                operations.DISABLE_HOST,
                host.name,
                reason=host.disabled_reason,
            )
            for host, _listed in undone.find(
                members, counted.view, counted.busy
            )
        ]

    def _lead_again(self, connection: Any) -> list[str]:
        """Let the expected master lead, where it still can."""
        aggregate, view = self._counted.aggregate, self._counted.view
        expected = aggregate.master_uuid
        if expected in (None, view.master.uuid):
            return []
        for host in self._counted.bound:
            if host.uuid == expected and host.phase == 'member':
                return [
                    self._insert(connection, operations.SET_MASTER, host.name)
                ]
        db_pools.set_master(connection, aggregate.id, view.master.uuid)
        return [
            f'The master that was to be, {expected}, is no member any more: '
            f'{view.master.name_label} ({view.master.uuid}) stays.'
        ]

    def _eject_surplus(self, connection: Any) -> list[str]:
        """Queue the removal of hosts that were joined by hand.

        With all guards: nobody has given up their disks.
        """
        result = []
        for seen, host in self._counted.surplus:
            adopt.bind_all(
                connection,
                self._run.aggregate_id,
                [(seen, host)],
                'leaving',
                self._account,
            )
            result.append(self._remove(connection, host))
        for _seen, host in self._counted.present:
            if host.phase == 'returning' and db_hosts.move(
                connection,
                host.name,
                self._run.aggregate_id,
                ('returning',),
                'leaving',
                credential=self._account,
            ):
                result.append(self._remove(connection, host))
        return result

    def _remove(self, connection: Any, host: records.Host) -> str:
        return self._insert(
            connection,
            operations.REMOVE_HOST,
            host.name,
            accept_data_loss=[],
            disks=[],
        )
