"""What a structural request writes: the phase of a host and its operation.

Both in one transaction, in which the aggregate is locked (design#phases).
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import leases as db_leases
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import operations

Asked = Mapping[str, str | None]


def join(
    connection: Any,
    aggregate: Any,
    found: records.Host,
    uuid: str,
    asked: Asked,
    parameters: Mapping[str, Any] | None = None,
) -> None:
    """Let a free host become a member.

    :param uuid: of the operation that is to be.
    :param asked: who asks.
    :raises exception.Conflict: it is bound meanwhile, or in another zone.
    """
    bind(connection, aggregate, found)
    db_operations.insert(
        connection,
        uuid,
        operations.ADD_HOST,
        aggregate.id,
        found.name,
        asked,
        parameters,
    )


def removal(
    connection: Any,
    aggregate_id: int,
    found: records.Host,
    uuid: str,
    asked: Asked,
    parameters: Mapping[str, Any],
) -> bool:
    """Let a host leave, or take back its join where that is still queued.

    What is queued of its service is dropped.

    :param found: it, as it was checked.
    :param uuid: of the operation that is to be.
    :param asked: who asks.
    :returns: whether there is an operation.
    :raises exception.AggregateHostNotFound: it is not listed any more.
    """
    host = found.name
    joining = found.phase == 'joining'
    if joining and _cancel_join(connection, aggregate_id, host):
        return False
    move_out(connection, aggregate_id, host, db_aggregates.LISTED_PHASES)
    if not joining:
        _host, going_on = db_operations.of_host(connection, aggregate_id, host)
        drop_service(connection, going_on)
    db_operations.insert(
        connection,
        uuid,
        operations.REMOVE_HOST,
        aggregate_id,
        host,
        asked,
        parameters,
    )
    return True


def bind(connection: Any, aggregate: Any, host: records.Host) -> None:
    """Make a free host join a locked aggregate.

    :raises exception.Conflict: it is bound already, or in another zone.
    """
    if not db_hosts.bind(connection, host.name, aggregate.id):
        now = db_hosts.get(connection, host.name)
        raise _bound(endings.last_by(connection), aggregate.id, now)
    check_zone(aggregate, host)


def forget(connection: Any, aggregate_id: int, host: str) -> None:
    """Let a host of a locked aggregate leave that is gone for good.

    Whatever removes it now is replaced.

    :raises exception.AggregateHostNotFound: it is not in the aggregate.
    :raises exception.Conflict: its join or another removal is under way.
    """
    found, going_on = db_operations.of_host(connection, aggregate_id, host)
    last = endings.last_by(connection)
    check_forgettable(last, aggregate_id, found, going_on)
    if found.phase == 'leaving':
        _replace_removals(connection, aggregate_id, going_on)
    else:
        move_out(connection, aggregate_id, host, ('member',))
        drop_service(connection, going_on)


def check_zone(aggregate: Any, host: records.Host) -> None:
    """:raises exception.HostZoneMismatch: they are in different zones."""
    zones = {aggregate.availability_zone, host.availability_zone} - {None}
    if len(zones) > 1:
        raise exception.HostZoneMismatch(
            host=host.name,
            host_zone=host.availability_zone,
            aggregate_id=aggregate.id,
            zone=aggregate.availability_zone,
        )


def check_free(
    last: endings.Last, aggregate_id: int, host: records.Host
) -> None:
    """Refuse to bind a host that is bound.

    :raises exception.Conflict: it is.
    """
    if host.aggregate_id is not None:
        raise _bound(last, aggregate_id, host)


def check_listed(
    last: endings.Last, aggregate_id: int, host: records.Host
) -> None:
    """:raises exception.AggregateHostNotFound: it is not listed there."""
    listed = host.phase in db_aggregates.LISTED_PHASES
    if host.aggregate_id != aggregate_id or not listed:
        raise endings.no_host(last, aggregate_id, host.name)


def _bound(
    last: endings.Last, aggregate_id: int, host: records.Host
) -> exception.Conflict:
    """Why a host could not be bound."""
    if host.phase not in db_aggregates.LISTED_PHASES:
        return exception.HostNotFree(
            host=host.name, phase=host.phase, what=_what_holds(last, host)
        )
    if host.aggregate_id == aggregate_id:
        return exception.AggregateHostExists(
            aggregate_id=aggregate_id, host=host.name
        )
    return exception.HostInOtherAggregate(
        host=host.name, other_id=host.aggregate_id
    )


def _what_holds(last: endings.Last, host: records.Host) -> str:
    if host.aggregate_id is None:
        return 'just now'
    operation = last(host.aggregate_id, host.name)
    if operation is None:
        return f'aggregate {host.aggregate_id}'
    return f'operation {operation.uuid}'


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
        last = endings.last_by(connection)
        raise endings.no_host(last, aggregate_id, host)


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


def check_forgettable(
    last: endings.Last,
    aggregate_id: int,
    host: records.Host,
    going_on: Sequence[records.Operation],
) -> None:
    """Refuse to forget what is not in the pool, or may come to be.

    :param going_on: the open operations of the host, in order.
    :raises exception.AggregateHostNotFound: it is not in the aggregate.
    :raises exception.JoinUnknown: its join has not ended.
    :raises exception.AggregateBusy: a removal is being carried out.
    """
    if host.aggregate_id != aggregate_id or host.phase == 'returning':
        raise endings.no_host(last, aggregate_id, host.name)
    if host.phase == 'joining':
        raise exception.JoinUnknown(aggregate_id=aggregate_id, host=host.name)
    if host.phase == 'leaving':
        _check_replaceable(_removals(going_on))


def _removals(
    going_on: Sequence[records.Operation],
) -> list[records.Operation]:
    return [o for o in going_on if o.kind == operations.REMOVE_HOST]


def _check_replaceable(removals: Sequence[records.Operation]) -> None:
    """:raises exception.AggregateBusy: one is being carried out."""
    sent = [
        operation
        for operation in removals
        if operation.state == 'running' and operation.parameters.get('sent')
    ]
    if sent or not all(map(db_operations.is_at_rest, removals)):
        raise endings.busy((sent or removals)[0])


def _replace_removals(
    connection: Any,
    aggregate_id: int,
    going_on: Sequence[records.Operation],
) -> None:
    """End the removals of a host whose eject was not sent, or is unknown.

    :raises exception.AggregateBusy: one has been taken up meanwhile.
    """
    removals = _removals(going_on)
    if any(operation.state == 'unresolved' for operation in removals):
        # A service that looks at it must not write over this.
        db_leases.revoke(connection, aggregate_id)
    if not db_operations.replace(connection, removals):
        raise endings.busy(removals[0])
