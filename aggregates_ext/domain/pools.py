"""Pools: changes of an aggregate's pool as a whole.

A request writes an operation, which a compute service carries out.
"""

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


class Pools:
    """What is done to the pools of aggregates.

    :param intended: how it gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def under(self, guard: db_aggregates.Guard) -> 'Pools':
        """The same for a request that wants a certain state."""
        return Pools(self._intent.under(guard))

    def set_master(
        self, ctx: context.RequestContext, aggregate_id: int, host: str
    ) -> records.Operation:
        """Make a member the master of the pool.

        :returns: the operation that will do it.
        :raises exception.HostNotFound: not registered.
        :raises exception.AggregateHostNotFound: not a member.
        :raises exception.HostNotMember: not yet a member.
        """
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Operation:
            self._intent.lock(connection, aggregate_id)
            found = db_hosts.get(connection, host)
            check_member(endings.last_by(connection), aggregate_id, found)
            return db_operations.insert(
                connection,
                uuid,
                operations.SET_MASTER,
                aggregate_id,
                host,
                operations.asked_by(ctx),
            )

        queued = self._intent.database.write(work, operations.is_written)
        self._intent.compute.wake_up()
        return queued

    def adopt(
        self, ctx: context.RequestContext, aggregate_id: int
    ) -> records.Operation:
        """Let an aggregate follow its pool as it is now.

        :returns: the operation that will do it.
        :raises exception.Conflict: it has no pool.
        """
        return self._queue(ctx, aggregate_id, operations.ADOPT)

    def reapply(
        self, ctx: context.RequestContext, aggregate_id: int
    ) -> records.Operation:
        """Let the pool of an aggregate be made what it is to be.

        :returns: the operation that will do it.
        :raises exception.Conflict: it has no pool.
        """
        return self._queue(ctx, aggregate_id, operations.REAPPLY)

    def _queue(
        self, ctx: context.RequestContext, aggregate_id: int, kind: str
    ) -> records.Operation:
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Operation:
            aggregate = self._intent.lock(connection, aggregate_id)
            check_pool(aggregate, kind)
            return db_operations.insert(
                connection,
                uuid,
                kind,
                aggregate_id,
                None,
                operations.asked_by(ctx),
            )

        queued = self._intent.database.write(work, operations.is_written)
        self._intent.compute.wake_up()
        return queued

    def adopt_pool(
        self,
        ctx: context.RequestContext,
        name: str,
        host: str,
        availability_zone: str | None = None,
    ) -> records.Operation:
        """Make the pool of a registered master a new aggregate.

        An empty aggregate of that name is taken, such as an adoption that
        was refused leaves.

        :param host: host-id of the master.
        :returns: the operation that will do it.
        :raises exception.HostNotFound: not registered.
        :raises exception.HostInOtherAggregate: it is not free.
        :raises exception.AggregateNameExists: and is not empty, or is in
            another zone.
        """
        uuids = [uuidutils.generate_uuid(), uuidutils.generate_uuid()]

        def work(connection: Any) -> records.Operation:
            found = db_hosts.get(connection, host)
            if found.aggregate_id is not None:
                raise exception.HostInOtherAggregate(
                    host=host, other_id=found.aggregate_id
                )
            key = _find_empty(connection, name, availability_zone)
            if key is None:
                key = db_aggregates.insert(
                    connection, uuids[0], name, availability_zone
                ).id
            return db_operations.insert(
                connection,
                uuids[1],
                operations.ADOPT,
                key,
                host,
                operations.asked_by(ctx),
            )

        queued = self._intent.database.write(work, operations.is_written)
        self._intent.compute.wake_up()
        return queued


def _find_empty(
    connection: Any, name: str, availability_zone: str | None
) -> int | None:
    """An empty aggregate of a name, with which nothing is to happen.

    :raises exception.AggregateNameExists: it is not so.
    """
    for aggregate in db_aggregates.get_all(connection, name=name):
        idle = not set(aggregate.standing) & {
            'queued',
            'running',
            'unresolved',
        }
        same = availability_zone in (None, aggregate.availability_zone)
        if aggregate.bound or aggregate.pool_uuid or not (idle and same):
            raise exception.AggregateNameExists(name=name)
        return aggregate.id
    return None


def check_pool(aggregate: Any, kind: str) -> None:
    """Refuse what is about a pool where there is none.

    :param aggregate: its record, or its locked row.
    :raises exception.AggregateHasNoPool: there is none.
    """
    if aggregate.pool_uuid is None:
        raise exception.AggregateHasNoPool(
            aggregate_id=aggregate.id, kind=kind
        )


def check_member(
    last: endings.Last, aggregate_id: int, host: records.Host
) -> None:
    """Refuse a host that is not in the pool, or not yet.

    :raises exception.HostNotMember: not yet.
    :raises exception.AggregateHostNotFound: it is not.
    """
    if host.aggregate_id == aggregate_id and host.phase == 'joining':
        raise exception.HostNotMember(
            aggregate_id=aggregate_id, host=host.name
        )
    if host.aggregate_id != aggregate_id or host.phase != 'member':
        raise endings.no_host(last, aggregate_id, host.name)
