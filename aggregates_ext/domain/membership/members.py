"""Membership: hosts that join an aggregate's pool and leave it.

A structural request writes the host's phase and an operation in one
transaction; what the pool itself forbids is asked of a compute service
before, where one answers in time (design#check-before).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import leases as db_leases
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations

# The code of a check whose consent names guests that are not on the host.
UNKNOWN_GUEST = 'GUEST_UNKNOWN'
# That of one whose network is none of the pool.
UNKNOWN_NETWORK = 'NETWORK_UNKNOWN'


@dataclasses.dataclass(frozen=True)
class Problem:
    """A rule that a host does not meet, as a compute service tells it."""

    code: str
    message: str


class Members:
    """What is done to the hosts of aggregates."""

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def under(self, guard: db_aggregates.Guard) -> 'Members':
        """The same for a request that wants a certain state."""
        return Members(self._intent.under(guard))

    def add_host(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        host: str,
    ) -> intent.Change:
        """Make a host a member: it will join the pool.

        :raises exception.HostNotFound: not registered.
        :raises exception.Conflict: it is bound already, its zone is
            another, or the compute service named unmet requirements.
        """
        found = self._intent.patiently(
            exception.HostNotFree, lambda: self.find_free(aggregate_id, host)
        )
        self.check(aggregate_id, host, 'add')
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> intent.Change:
            aggregate = self._intent.lock(connection, aggregate_id)
            bind(connection, aggregate, found)
            db_operations.insert(
                connection,
                uuid,
                operations.ADD_HOST,
                aggregate_id,
                host,
                operations.asked_by(ctx),
            )
            return intent.Change(
                db_aggregates.written(connection, aggregate), uuid
            )

        return self._intent.commit(work)

    def find_free(self, aggregate_id: int, host: str) -> records.Host:
        """A host that may be bound, as it is before anybody is asked.

        :raises exception.Conflict: it is bound already.
        """
        with self._intent.database.reader() as connection:
            found = db_hosts.get(connection, host, beside=aggregate_id)
            if found.aggregate_id is not None:
                _refuse_bound(connection, aggregate_id, found)
            return found

    def remove_host(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        host: str,
        accept_data_loss: Sequence[str] = (),
        *,
        force: bool = False,
    ) -> intent.Change:
        """Take a host out: the pool will eject it, or forget a dead one.

        A join that is still queued is cancelled instead.

        :param accept_data_loss: uuids of the SRs whose disks may be lost.
        :param force: the host is gone for good.
        :raises exception.HostNotFound: not registered.
        :raises exception.AggregateHostNotFound: not a member.
        :raises exception.Refused: the compute service named what the eject
            would destroy or what forbids it.
        :raises exception.AggregateBusy: another removal of the host is under
            way, which ``force`` cannot replace.
        """
        if force:
            return self._forget_host(ctx, aggregate_id, host)
        found = self.find_member(aggregate_id, host)
        parameters: dict[str, Any] = {
            'accept_data_loss': sorted(set(accept_data_loss)),
            'disks': found.shown_disks(accept_data_loss),
            'was': found.phase,
        }
        if accept_data_loss:
            parameters['accepted_by'] = ctx.user_id
        if found.phase == 'member':
            self.check(aggregate_id, host, 'remove', accept_data_loss)
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> intent.Change:
            aggregate = self._intent.lock(connection, aggregate_id)
            joining = found.phase == 'joining'
            if joining and _cancel_join(connection, aggregate_id, host):
                return intent.Change(
                    db_aggregates.written(connection, aggregate)
                )
            phases = db_aggregates.LISTED_PHASES
            move_out(connection, aggregate_id, host, phases)
            if not joining:
                _host, going_on = db_operations.of_host(
                    connection, aggregate_id, host
                )
                drop_service(connection, going_on)
            db_operations.insert(
                connection,
                uuid,
                operations.REMOVE_HOST,
                aggregate_id,
                host,
                operations.asked_by(ctx),
                parameters,
            )
            return intent.Change(
                db_aggregates.written(connection, aggregate), uuid
            )

        return self._intent.commit(work)

    def _forget_host(
        self, ctx: context.RequestContext, aggregate_id: int, host: str
    ) -> intent.Change:
        """Take out a host that is gone for good, whatever removes it now.

        Whether it is gone is looked at in the operation: that takes longer
        than a request may.
        """
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> intent.Change:
            aggregate = self._intent.lock(connection, aggregate_id)
            forget(connection, aggregate_id, host)
            db_operations.insert(
                connection,
                uuid,
                operations.REMOVE_HOST,
                aggregate_id,
                host,
                operations.asked_by(ctx),
                {'force': True},
            )
            return intent.Change(
                db_aggregates.written(connection, aggregate), uuid
            )

        return self._intent.commit(work)

    def find_member(self, aggregate_id: int, host: str) -> records.Host:
        """A host that the aggregate lists.

        :raises exception.AggregateHostNotFound: it does not.
        """
        with self._intent.database.reader() as connection:
            found = db_hosts.get(connection, host)
            # One that has hosts is there.
            if found.aggregate_id != aggregate_id:
                db_aggregates.check(connection, aggregate_id)
            listed = found.phase in db_aggregates.LISTED_PHASES
            if found.aggregate_id != aggregate_id or not listed:
                raise endings.no_host(connection, aggregate_id, host)
        return found

    def check_host(
        self,
        aggregate_id: int,
        host: str,
        purpose: str,
        shut_down: Sequence[str] = (),
        *,
        hard: bool = False,
        network: str | None = None,
    ) -> dict[str, Any]:
        """Every blocker and warning of what is to be done with a host.

        :param purpose: 'add', 'remove' or 'maintenance'.
        :param shut_down: uuids of guests that maintenance may shut down.
        :param hard: whether it may do so hard.
        :param network: uuid of that which guests are to move over.
        :raises exception.Unavailable: no compute service makes the check.
        :raises exception.Invalid: one of these is no guest on the host, or
            the network none of its pool.
        """
        with self._intent.database.reader() as connection:
            db_hosts.get(connection, host)
            db_aggregates.get(connection, aggregate_id)
        report = self._intent.compute.check_host(
            host,
            aggregate_id,
            purpose,
            shut_down=shut_down,
            hard=hard,
            network=network,
        )
        if report is None:
            raise no_answer()
        refuse_unknown(f'host {host}', report)
        return report

    def check(
        self,
        aggregate_id: int,
        host: str,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        """Refuse what cannot come about; for what passes it will wait.

        :raises exception.Refused: naming every reason.
        """
        report = self._intent.compute.check_host(
            host, aggregate_id, purpose, accept_data_loss
        )
        what = 'join' if purpose == 'add' else 'leave'
        refuse(
            f'Host {host} cannot {what} the pool of aggregate {aggregate_id}:',
            report,
        )
        return report


def refuse_unknown(where: str, report: dict[str, Any] | None) -> None:
    """Refuse guests and a network that were named and are not there.

    :param where: on which hosts guests were looked for.
    :raises exception.Invalid: there are some.
    """
    wrong = {
        UNKNOWN_GUEST: f'shut_down names what is not on {where}',
        UNKNOWN_NETWORK: 'network names none of the pool',
    }
    for blocker in report['blockers'] if report else ():
        if said := wrong.get(blocker['code']):
            raise exception.Invalid(
                reason=f'{said}: {blocker["found"]}. {blocker["remedy"]}'
            )


def no_answer() -> exception.Unavailable:
    """What there is to say where no compute service made a check."""
    return exception.Unavailable(
        reason='No compute service made the check in time. See that '
        'aggregates-ext-compute runs, that transport_url and [api] '
        'check_timeout are set, and what the log of the API says.'
    )


def refuse(subject: str, report: dict[str, Any] | None) -> None:
    """Refuse what a check forbids; what passes by itself is waited for.

    :param report: of ``check_host``; None: there was no check.
    :raises exception.Refused: naming every reason.
    """
    blockers = report['blockers'] if report else []
    if not all(blocker.get('heals') for blocker in blockers):
        raise exception.Refused(
            subject,
            [
                Problem(blocker['code'], blocker['message'])
                for blocker in blockers
            ],
        )


def bind(connection: Any, aggregate: Any, host: records.Host) -> None:
    """Make a free host join a locked aggregate.

    :raises exception.Conflict: it is bound already, or in another zone.
    """
    if not db_hosts.bind(connection, host.name, aggregate.id):
        now = db_hosts.get(connection, host.name)
        _refuse_bound(connection, aggregate.id, now)
    _check_zone(aggregate, host)


def forget(connection: Any, aggregate_id: int, host: str) -> None:
    """Let a host of a locked aggregate leave that is gone for good.

    Whatever removes it now is replaced.

    :raises exception.AggregateHostNotFound: it is not in the aggregate.
    :raises exception.Conflict: its join or another removal is under way.
    """
    found, going_on = db_operations.of_host(connection, aggregate_id, host)
    _check_forgettable(connection, aggregate_id, found)
    if found.phase == 'leaving':
        _replace_removals(connection, aggregate_id, host, going_on)
    else:
        move_out(connection, aggregate_id, host, ('member',))
        drop_service(connection, going_on)


def _check_zone(aggregate: Any, host: records.Host) -> None:
    zones = {aggregate.availability_zone, host.availability_zone} - {None}
    if len(zones) > 1:
        raise exception.HostZoneMismatch(
            host=host.name,
            host_zone=host.availability_zone,
            aggregate_id=aggregate.id,
            zone=aggregate.availability_zone,
        )


def _refuse_bound(
    connection: Any, aggregate_id: int, host: records.Host
) -> None:
    """Say why a host could not be bound.

    :raises exception.Conflict: always.
    """
    if host.phase not in db_aggregates.LISTED_PHASES:
        raise exception.HostNotFree(
            host=host.name,
            phase=host.phase,
            what=_what_holds(connection, host),
        )
    if host.aggregate_id == aggregate_id:
        raise exception.AggregateHostExists(
            aggregate_id=aggregate_id, host=host.name
        )
    raise exception.HostInOtherAggregate(
        host=host.name, other_id=host.aggregate_id
    )


def _what_holds(connection: Any, host: records.Host) -> str:
    if host.aggregate_id is None:
        return 'just now'
    for operation in db_operations.get_all(
        connection, host.aggregate_id, host=host.name, limit=1
    ):
        return f'operation {operation.uuid}'
    return f'aggregate {host.aggregate_id}'


def _cancel_join(connection: Any, aggregate_id: int, host: str) -> bool:
    """Cancel the join of a host that is still queued, by one UPDATE."""
    pending, _now = db_operations.unfinished(connection, aggregate_id)
    for operation in pending:
        if (operation.host, operation.kind, operation.state) == (
            host,
            operations.ADD_HOST,
            'queued',
        ):
            cancelled = db_operations.cancel(connection, operation)
            return cancelled is not None and db_hosts.move(
                connection, host, aggregate_id, ('joining',), 'free'
            )
    return False


def move_out(
    connection: Any, aggregate_id: int, host: str, phases: tuple[str, ...]
) -> None:
    """Let a host leave.

    :raises exception.AggregateHostNotFound: it is in none of the phases.
    """
    if not db_hosts.move(connection, host, aggregate_id, phases, 'leaving'):
        raise endings.no_host(connection, aggregate_id, host)


def drop_service(
    connection: Any, going_on: Sequence[records.Operation]
) -> None:
    """Take back what is queued of a member's service: it would keep it there.

    It is what it was before that was asked, should it stay after all.

    :param going_on: the open operations of the host.
    """
    dropped = [
        operation
        for operation in going_on
        if operation.state == 'queued'
        and operation.kind in db_operations.OF_THE_SERVICE
        and db_operations.cancel(connection, operation)
    ]
    # What the first of them has found counts.
    for operation in reversed(dropped):
        operations.take_back(connection, operation)


def _check_forgettable(
    connection: Any, aggregate_id: int, host: records.Host
) -> None:
    """Refuse to forget what is not in the pool, or may come to be.

    :raises exception.AggregateHostNotFound: it is not in the aggregate.
    :raises exception.JoinUnknown: its join has not ended.
    """
    if host.aggregate_id != aggregate_id or host.phase == 'returning':
        raise endings.no_host(connection, aggregate_id, host.name)
    if host.phase == 'joining':
        raise exception.JoinUnknown(aggregate_id=aggregate_id, host=host.name)


def _replace_removals(
    connection: Any,
    aggregate_id: int,
    host: str,
    going_on: Sequence[records.Operation],
) -> None:
    """End the removals of a host whose eject was not sent, or is unknown.

    :raises exception.AggregateBusy: one is being carried out.
    """
    removals = [
        operation
        for operation in going_on
        if operation.kind == operations.REMOVE_HOST
    ]
    if any(operation.state == 'unresolved' for operation in removals):
        # A service that looks at it must not write over this.
        db_leases.revoke(connection, aggregate_id)
    sent = [
        operation
        for operation in removals
        if operation.state == 'running' and operation.parameters.get('sent')
    ]
    if sent or not db_operations.replace(connection, removals):
        raise endings.busy((sent or removals)[0])
