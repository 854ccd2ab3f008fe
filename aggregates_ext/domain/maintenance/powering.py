"""Hosts in maintenance that are rebooted, shut down and started.

See design#power.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import enabling
from aggregates_ext.domain.membership import members

# What a host is told to do, by the action.
WORDS = {'reboot': 'reboot', 'shutdown': 'shut down', 'startup': 'start'}


class Powering:
    """Reboots hosts in maintenance, shuts them down, and starts them.

    :param intended: how it gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def under(self, guard: db_aggregates.Guard) -> 'Powering':
        """The same for a request that wants a certain state."""
        return Powering(self._intent.under(guard))

    def power(
        self,
        ctx: context.RequestContext,
        host: str,
        action: str,
        aggregate_id: int | None = None,
    ) -> str:
        """Reboot a host in maintenance, shut it down, or start it.

        Asked again while that goes on it is the same.

        :param action: 'reboot', 'shutdown' or 'startup'.
        :param aggregate_id: of the host; None: it is looked up.
        :returns: uuid of the operation, ended or not.
        :raises exception.AggregateNotFound: there is none.
        :raises exception.HostNotFound: it is not registered.
        :raises exception.HostNotInMaintenance: it is not in maintenance.
        :raises exception.Refused: something else forbids it.
        :raises exception.Conflict: it has failed, with what was in its way.
        """
        key = aggregate_id or enabling.find(self._intent, host)
        if key is None:
            raise exception.HostNotInMaintenance(host=host)
        with self._intent.database.reader() as connection:
            if aggregate_id is not None:
                db_aggregates.check(connection, aggregate_id)
            same = _same(
                connection,
                key,
                host,
                operations.POWER_HOST,
                {'action': action},
            )
        if same is None:
            self._check_power(key, host, action)
        uuid, asked = uuidutils.generate_uuid(), operations.asked_by(ctx)

        def work(connection: Any) -> records.Operation:
            self._intent.lock(connection, key)
            return queue(
                connection,
                asked,
                key,
                host,
                operations.POWER_HOST,
                {'action': action},
                uuid,
            )

        try:
            queued = self._intent.database.write(work, operations.is_written)
        except exception.AggregateNotFound:
            if aggregate_id is not None:
                raise
            # A deleted one only lets go what is still bound to it.
            raise exception.HostNotInMaintenance(host=host) from None
        self._intent.compute.wake_up()
        return self._intent.await_end(queued, _is_told).uuid

    def _check_power(self, key: int, host: str, action: str) -> None:
        """Ask the pool; what passes by itself is waited for.

        :raises exception.Refused: naming every reason.
        """
        members.refuse(
            f'Host {host} is not told to {WORDS[action]}:',
            self._intent.compute.check_host(host, key, action),
        )


def queue(
    connection: Any,
    asked: dict[str, str | None],
    key: int,
    host: str,
    kind: str,
    parameters: dict[str, Any],
    uuid: str,
) -> records.Operation:
    """Write an operation on a host in maintenance.

    :param asked: who asked, as ``operations.asked_by``.
    :param key: id of the aggregate, which is locked.
    :param kind: one of ``ON_EMPTY_HOSTS``.
    :param parameters: with the ``action``, where it has several.
    :param uuid: of the operation, where it is a new one.
    :returns: it, or what was asked before and goes on.
    :raises exception.HostNotFound: it is not registered.
    :raises exception.HostNotInMaintenance: it is not in maintenance.
    :raises exception.AggregateBusy: something else goes on with the host.
    """
    same = _same(connection, key, host, kind, parameters)
    return same or db_operations.insert(
        connection,
        uuid,
        kind,
        key,
        host,
        asked,
        parameters,
    )


def _same(
    connection: Any,
    key: int,
    host: str,
    kind: str,
    wanted: Mapping[str, Any],
) -> records.Operation | None:
    """What was asked already and goes on; None: it may be asked.

    :param wanted: the parameters of what is asked.
    :raises exception.HostNotInMaintenance: it is not in maintenance.
    :raises exception.AggregateBusy: something else goes on with the host.
    """
    bound, going_on = db_operations.of_host(connection, key, host)
    return judge(bound, going_on, key, kind, wanted)


def judge(
    host: records.Host,
    going_on: Sequence[records.Operation],
    key: int,
    kind: str,
    wanted: Mapping[str, Any],
) -> records.Operation | None:
    """The same of a host that has been read.

    :param going_on: its open operations, in order.
    """
    for operation in going_on:
        if operation.kind not in db_operations.ON_EMPTY_HOSTS:
            continue
        had = operation.parameters
        if operation.kind == kind and all(
            had.get(name) == wanted.get(name) for name in ('action', 'hash')
        ):
            return operation
        raise endings.busy(operation)
    here = (host.aggregate_id, host.phase) == (key, 'member')
    if not here or host.maintenance != records.IN_MAINTENANCE:
        raise exception.HostNotInMaintenance(host=host.name)
    return None


def check_power(
    host: records.Host,
    going_on: Sequence[records.Operation],
    old: records.Operation,
) -> None:
    """Whether what an operation did not do may be asked once more.

    :param going_on: the open operations of its host, in order.
    :raises exception.Conflict: it may not.
    """
    found = judge(host, going_on, old.aggregate_id, old.kind, old.parameters)
    if found is not None:
        raise endings.busy(found)


def _is_told(operation: records.Operation) -> bool:
    """Whether the host was told, and only its end is to be seen."""
    return db_operations.POWERED in operation.parameters
