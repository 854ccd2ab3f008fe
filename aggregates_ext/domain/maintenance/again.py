"""Asking once more for what an operation did not do.

By the rules of the request, and what a host is to be is written as the first
request has written it (design#operations).
"""

from collections.abc import Sequence
from typing import Any

from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import aggregates
from aggregates_ext.domain import downtime
from aggregates_ext.domain import operations
from aggregates_ext.domain import pools
from aggregates_ext.domain.maintenance import enabling
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering
from aggregates_ext.domain.maintenance import rolling

_SERVICES = {kind: service for service, kind in enabling.KINDS.items()}


def check_whole(
    aggregate: records.Aggregate,
    standing: Sequence[records.Operation],
    old: records.Operation,
) -> None:
    """Whether what is about a whole aggregate may be asked once more.

    :param aggregate: that of the operation.
    :param standing: what counts for it, in order.
    :raises exception.Conflict: it may not be asked now.
    """
    if old.kind in operations.ROLLING:
        rolling.check_alone(standing, old)
    elif old.kind in (operations.ADOPT, operations.REAPPLY):
        pools.check_pool(aggregate, old.kind)
    elif old.kind == operations.DELETE:
        aggregates.check_empty(aggregate)
        aggregates.check_ending(operations.going_on(standing))


def check(
    host: records.Host,
    going_on: Sequence[records.Operation],
    old: records.Operation,
) -> None:
    """Whether what an operation on a host did not do may be asked once more.

    :param host: that of the operation.
    :param going_on: the open operations of the host, in order.
    :raises exception.HostNotInPool: it is no member any more.
    :raises exception.Conflict: something else goes on with it.
    """
    if old.kind in db_operations.ON_EMPTY_HOSTS:
        powering.check_power(host, going_on, old)
        return
    enabling.check_member(host, old.aggregate_id)
    if old.kind in downtime.KINDS:
        entering.check_rests(going_on)


def ask_again(connection: Any, old: records.Operation, uuid: str) -> None:
    """Ask once more, and write what a host is to be, where that is asked.

    :param old: one of a whole aggregate, which is locked, or of the service
        of a host, of its maintenance or its power.
    :param uuid: of the operation that takes its place.
    :raises exception.HostNotInPool: it is no member any more.
    :raises exception.Conflict: something else goes on, or forbids it.
    """
    key = old.aggregate_id
    if old.host is None:
        standing, _now = db_operations.counting(connection, key)
        check_whole(db_aggregates.get(connection, key), standing, old)
        return
    found, going_on = db_operations.of_host(connection, key, old.host)
    check(found, going_on, old)
    if old.kind in downtime.KINDS:
        values = entering.intended(found, old.kind, old.parameters, uuid)
        db_hosts.update(connection, found.name, values)
    elif old.kind in _SERVICES:
        reason = old.parameters.get('reason')
        enabling.write(connection, found, _SERVICES[old.kind], reason)
