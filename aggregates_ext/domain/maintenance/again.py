"""Asking once more for what an operation on a host did not do.

What the host is to be is written as the first request has written it
(design#operations).
"""

from collections.abc import Sequence
from typing import Any

from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import downtime
from aggregates_ext.domain.maintenance import enabling
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering


def check(
    host: records.Host,
    going_on: Sequence[records.Operation],
    old: records.Operation,
) -> None:
    """Whether what an operation did not do may be asked once more.

    :param host: that of the operation.
    :param going_on: the open operations of the host, in order; they matter
        for its power alone.
    :raises exception.HostNotInPool: it is no member any more.
    :raises exception.Conflict: something else goes on with it.
    """
    if old.kind in db_operations.ON_EMPTY_HOSTS:
        powering.check_power(host, going_on, old)
    else:
        enabling.check_member(host, old.aggregate_id)


def ask_again(connection: Any, old: records.Operation, uuid: str) -> None:
    """Write once more what a host is to be.

    :param old: one of the service of a host, of its maintenance or its power.
    :param uuid: of the operation that takes its place.
    :raises exception.HostNotInPool: it is no member any more.
    :raises exception.Conflict: something else goes on with the host.
    """
    if old.kind in db_operations.ON_EMPTY_HOSTS:
        found, going_on = db_operations.of_host(
            connection, old.aggregate_id, str(old.host)
        )
        check(found, going_on, old)
        return
    found = db_hosts.get(connection, str(old.host))
    check(found, (), old)
    if old.kind in downtime.KINDS:
        values = entering.intended(found, old.kind, old.parameters, uuid)
        db_hosts.update(connection, found.name, values)
        return
    services = {kind: service for service, kind in enabling.KINDS.items()}
    enabling.write(
        connection,
        found,
        services[old.kind],
        old.parameters.get('reason'),
    )
