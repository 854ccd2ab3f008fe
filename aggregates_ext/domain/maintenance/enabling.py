"""Hosts that are to take machines, and those that are not.

A request writes what a host is to be and an operation, in one transaction.
It waits a while for how that ends: what the pool refuses is taken back
(design#service).
"""

from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations

KINDS = {
    records.DISABLED: operations.DISABLE_HOST,
    records.ENABLED: operations.ENABLE_HOST,
}


class Enabling:
    """Disables and enables hosts in their pools.

    :param intended: how it gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def set_service(
        self,
        ctx: context.RequestContext,
        host: str,
        service: str,
        reason: str | None = None,
        aggregate_id: int | None = None,
    ) -> str | None:
        """Let a host take machines, or none; asked again it is the same.

        :param service: ``records.DISABLED`` or ``records.ENABLED``.
        :param reason: why it is disabled.
        :param aggregate_id: of the host; None: it is looked up.
        :returns: uuid of the operation, ended or not; None: there is
            nothing to do.
        :raises exception.HostNotFound: it is not registered.
        :raises exception.HostNotInPool: it is no member.
        :raises exception.Conflict: the pool has refused it.
        """
        if aggregate_id is None:
            aggregate_id = find(self._intent, host)
        if aggregate_id is None:
            if service == records.DISABLED:
                raise exception.HostNotInPool(host=host, phase='free')
            return None
        try:
            queued = self._queue(ctx, aggregate_id, host, service, reason)
        except exception.AggregateNotFound:
            # A deleted one only lets go what is still bound to it.
            raise exception.HostNotInPool(
                host=host, phase='returning'
            ) from None
        self._intent.compute.wake_up()
        return self._intent.await_end(queued).uuid

    def _queue(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        host: str,
        service: str,
        reason: str | None,
    ) -> records.Operation:
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Operation:
            db_aggregates.lock_changing(connection, aggregate_id)
            bound, going_on = db_operations.of_host(
                connection, aggregate_id, host
            )
            check_member(bound, aggregate_id)
            _check_maintenance(bound, service)
            write(connection, bound, service, reason)
            last = last_of_service(going_on)
            if last is not None and last.kind == KINDS[service]:
                return last
            return db_operations.insert(
                connection,
                uuid,
                KINDS[service],
                aggregate_id,
                host,
                operations.asked_by(ctx),
                {} if reason is None else {'reason': reason},
            )

        return self._intent.database.write(work, operations.is_written)


def find(intended: intent.Intent, host: str) -> int | None:
    """The aggregate that a host is bound to.

    :raises exception.HostNotFound: it is not registered.
    """
    # No name has it, and PostgreSQL takes no text with it.
    if '\0' in host:
        raise exception.HostNotFound(host=ascii(host[:255]))
    with intended.database.reader() as connection:
        return db_hosts.get(connection, host).aggregate_id


def _check_maintenance(host: records.Host, service: str) -> None:
    """:raises exception.HostInMaintenance: it cannot be enabled so."""
    stays = host.maintenance not in (None, records.LEAVING)
    if stays and service == records.ENABLED:
        raise exception.HostInMaintenance(host=host.name)


def check_member(host: records.Host, aggregate_id: int) -> None:
    """:raises exception.HostNotInPool: it is no member of the aggregate."""
    if (host.aggregate_id, host.phase) != (aggregate_id, 'member'):
        raise exception.HostNotInPool(host=host.name, phase=host.phase)


def write(
    connection: Any, host: records.Host, service: str, reason: str | None
) -> None:
    """Write what a member of a locked aggregate is to be.

    The reason stays while it is enabled, which may be refused. One that is in
    maintenance is to be so after that.
    """
    values: dict[str, Any] = {'service': service}
    if service == records.DISABLED:
        values['disabled_reason'] = reason
        if host.maintenance is not None:
            asked = host.maintenance_of or {}
            values['maintenance_of'] = {**asked, 'disabled': True}
    db_hosts.update(connection, host.name, values)


def last_of_service(
    going_on: list[records.Operation],
) -> records.Operation | None:
    """What was last asked of a host, if that has not ended."""
    found = [o for o in going_on if o.kind in db_operations.OF_THE_SERVICE]
    return found[-1] if found else None
