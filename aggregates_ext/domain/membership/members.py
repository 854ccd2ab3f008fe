"""Membership: hosts that join an aggregate's pool and leave it.

What the pool itself forbids is asked of a compute service before anything is
written, where one answers in time (design#check-before).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain.membership import queueing

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
            queueing.join(
                connection, aggregate, found, uuid, operations.asked_by(ctx)
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
            last = endings.last_by(connection)
            queueing.check_free(last, aggregate_id, found)
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
        if found.phase == 'member':
            self.check(aggregate_id, host, 'remove', accept_data_loss)
        uuid = uuidutils.generate_uuid()
        parameters = removal(ctx, found, accept_data_loss)

        def work(connection: Any) -> intent.Change:
            aggregate = self._intent.lock(connection, aggregate_id)
            queued = queueing.removal(
                connection,
                aggregate_id,
                found,
                uuid,
                operations.asked_by(ctx),
                parameters,
            )
            return intent.Change(
                db_aggregates.written(connection, aggregate),
                uuid if queued else None,
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
            queueing.forget(connection, aggregate_id, host)
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
            last = endings.last_by(connection)
            queueing.check_listed(last, aggregate_id, found)
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


def removal(
    ctx: context.RequestContext,
    found: records.Host,
    accept_data_loss: Sequence[str],
) -> dict[str, Any]:
    """The parameters of a removal that takes a host as it is.

    :param accept_data_loss: uuids of the SRs whose disks may be lost.
    """
    parameters: dict[str, Any] = {
        'accept_data_loss': sorted(set(accept_data_loss)),
        'disks': found.shown_disks(accept_data_loss),
        'was': found.phase,
    }
    if accept_data_loss:
        parameters['accepted_by'] = ctx.user_id
    return parameters


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
