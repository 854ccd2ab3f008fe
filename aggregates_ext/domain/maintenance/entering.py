"""Hosts whose guests are to run elsewhere, and back again.

A request writes what is to be and an operation, in one transaction, and waits
a while for how that ends (design#maintenance).
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import downtime
from aggregates_ext.domain import endings
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import enabling

# By which request another one is called off.
_OPPOSITE = {
    operations.ENTER_MAINTENANCE: 'leave_maintenance',
    operations.LEAVE_MAINTENANCE: 'enter_maintenance',
}


class Maintenance:
    """Takes hosts into maintenance and out of it.

    :param intended: how it gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def under(self, guard: db_aggregates.Guard) -> 'Maintenance':
        """The same for a request that wants a certain state."""
        return Maintenance(self._intent.under(guard))

    def enter(
        self,
        ctx: context.RequestContext,
        host: str,
        aggregate_id: int | None = None,
        reason: str | None = None,
        *,
        stay_on_failure: bool = False,
        shut_down: Sequence[str] = (),
        hard: bool = False,
        network: str | None = None,
    ) -> str | None:
        """Let a host take no guests, and move those that it has.

        :param aggregate_id: of the host; None: it is looked up.
        :param reason: why.
        :param stay_on_failure: whether it stays disabled where not all
            guests could be moved.
        :param shut_down: uuids of guests that may be shut down, where they
            cannot move.
        :param hard: whether they may be so hard, if they do not go down.
        :param network: uuid of that which guests move over; None: that of
            the pool.
        :returns: uuid of the operation, ended or not; None: it is so already.
        :raises exception.HostNotFound: it is not registered.
        :raises exception.HostNotInPool: it is no member.
        :raises exception.Conflict: it has failed, with what was in its way.
        """
        parameters: dict[str, Any] = {'stay': stay_on_failure}
        if reason is not None:
            parameters['reason'] = reason
        if shut_down:
            parameters['shut_down'] = sorted(set(shut_down))
            parameters['hard'] = hard
        if network is not None:
            parameters['network'] = network
        return self._ask(
            ctx, host, aggregate_id, operations.ENTER_MAINTENANCE, parameters
        )

    def leave(
        self,
        ctx: context.RequestContext,
        host: str,
        aggregate_id: int | None = None,
        *,
        restore: bool = True,
        enable: bool = False,
        network: str | None = None,
    ) -> str | None:
        """Let a host take guests again, and bring back those it had.

        One that somebody had disabled stays so, and takes none.

        :param restore: whether guests come back that were moved away.
        :param enable: whether it is enabled whatever it was before.
        :param network: as of ``enter``.
        :returns: as ``enter``.
        :raises exception.HostNotFound: it is not registered.
        :raises exception.HostNotInPool: it is no member.
        :raises exception.Conflict: it has failed, with what was in its way.
        """
        parameters: dict[str, Any] = {'restore': restore}
        if enable:
            parameters['enable'] = True
        if network is not None:
            parameters['network'] = network
        return self._ask(
            ctx, host, aggregate_id, operations.LEAVE_MAINTENANCE, parameters
        )

    def _ask(
        self,
        ctx: context.RequestContext,
        host: str,
        aggregate_id: int | None,
        kind: str,
        parameters: dict[str, Any],
    ) -> str | None:
        key = aggregate_id or enabling.find(self._intent, host)
        if key is None and kind == operations.LEAVE_MAINTENANCE:
            return None
        if key is None:
            raise exception.HostNotInPool(host=host, phase='free')
        uuid, asked = uuidutils.generate_uuid(), operations.asked_by(ctx)

        def work(connection: Any) -> records.Operation | None:
            self._intent.lock(connection, key)
            return queue(connection, asked, key, host, kind, parameters, uuid)

        try:
            queued = self._intent.database.write(work, _is_written)
        except exception.AggregateNotFound:
            if aggregate_id is not None:
                raise
            # A deleted one only lets go what is still bound to it.
            raise exception.HostNotInPool(
                host=host, phase='returning'
            ) from None
        if queued is None:
            return None
        self._intent.compute.wake_up()
        return self._intent.await_end(queued).uuid


def queue(
    connection: Any,
    asked: dict[str, str | None],
    key: int,
    host: str,
    kind: str,
    parameters: dict[str, Any],
    uuid: str,
) -> records.Operation | None:
    """Write what a host is to be, and the operation that makes it so.

    :param asked: who asked, as ``operations.asked_by``.
    :param key: id of the aggregate, which is locked.
    :param uuid: of the operation, where it is a new one.
    :returns: it, or what was asked before and goes on; None: there is nothing
        to do.
    :raises exception.HostNotFound: it is not registered.
    :raises exception.HostNotInPool: it is no member.
    :raises exception.Conflict: something else goes on with it.
    """
    bound, going_on = db_operations.of_host(connection, key, host)
    verdict = judge(
        bound,
        going_on,
        key,
        kind,
        parameters,
        lambda: db_aggregates.get(connection, key).drift,
    )
    if not verdict.needed:
        return verdict.same
    given = {**parameters, 'again': True} if verdict.again else parameters
    db_hosts.update(connection, host, intended(bound, kind, given, uuid))
    return db_operations.insert(
        connection, uuid, kind, key, host, asked, given
    )


class Verdict(NamedTuple):
    """What is to be done about a host that is to be in maintenance, or not.

    :ivar needed: whether an operation has to make it so.
    :ivar again: whether it is in maintenance, and has to be emptied again.
    :ivar same: what was asked before and goes on, where that is the same.
    """

    needed: bool
    again: bool = False
    same: records.Operation | None = None


def judge(
    host: records.Host,
    going_on: list[records.Operation],
    key: int,
    kind: str,
    parameters: dict[str, Any],
    drift: Callable[[], Sequence[records.Drift]],
) -> Verdict:
    """Whether a member may go into maintenance or out, and has to.

    :param going_on: its open operations, in order.
    :param key: id of the aggregate.
    :param drift: tells where its pool differs, if that is needed.
    :raises exception.HostNotInPool: it is no member.
    :raises exception.Conflict: something else goes on with it.
    """
    enabling.check_member(host, key)
    last = enabling.last_of_service(going_on)
    if last is not None and last.kind == kind:
        _check_same(last, parameters)
        return Verdict(needed=False, same=last)
    enters = kind == operations.ENTER_MAINTENANCE
    again = enters and _has_guests(host, drift)
    if not (again or _is_needed(host, kind)):
        return Verdict(needed=False)
    check_rests(going_on)
    return Verdict(needed=True, again=again)


def _has_guests(
    host: records.Host, drift: Callable[[], Sequence[records.Drift]]
) -> bool:
    """Whether guests have come to a host that is in maintenance."""
    if host.maintenance != records.IN_MAINTENANCE:
        return False
    return any(
        entry.code == downtime.GUESTS_ARRIVED and entry.host == host.name
        for entry in drift()
    )


def check_rests(going_on: Sequence[records.Operation]) -> None:
    """:raises exception.AggregateBusy: it is rebooted or the like."""
    for operation in going_on:
        if operation.kind in db_operations.ON_EMPTY_HOSTS:
            raise endings.busy(operation)


def _check_same(
    going_on: records.Operation, parameters: dict[str, Any]
) -> None:
    """Refuse a consent or a network that what is under way does not have.

    A restart of all hosts takes it over whatever network it goes.

    :raises exception.Conflict: it has another.
    """
    had = going_on.parameters
    told = ''
    if 'shut_down' in parameters and any(
        had.get(name) != parameters[name] for name in ('shut_down', 'hard')
    ):
        told = 'with other guests that may be shut down'
    elif db_operations.PART_OF not in parameters and had.get(
        'network'
    ) != parameters.get('network', had.get('network')):
        told = 'over another network'
    if told:
        raise exception.Conflict(
            reason=f'Operation {going_on.uuid} ({going_on.title}) is under '
            f'way, {told}. Wait for its end, or call it off with '
            f'"{_OPPOSITE[going_on.kind]}"; then ask again.'
        )


def _is_needed(host: records.Host, kind: str) -> bool:
    """Whether a host is not yet what is asked for."""
    if kind == operations.ENTER_MAINTENANCE:
        return host.maintenance != records.IN_MAINTENANCE
    return host.maintenance is not None


def intended(
    host: records.Host, kind: str, parameters: dict[str, Any], uuid: str
) -> dict[str, Any]:
    """What the row of the host is to say from now on.

    Why somebody had disabled it before stays there for the time after.

    :param uuid: of the operation.
    """
    if kind == operations.LEAVE_MAINTENANCE:
        return _left(host, parameters)
    before: dict[str, Any] = {'disabled': host.disabled}
    if host.maintenance in (records.ENTERING, records.IN_MAINTENANCE):
        before = host.maintenance_of or {}
    return {
        'maintenance': records.ENTERING,
        'service': records.DISABLED,
        'maintenance_of': {
            'operation': uuid,
            'reason': parameters.get('reason', before.get('reason')),
            'disabled': bool(before.get('disabled')),
        },
    }


def _left(host: records.Host, parameters: dict[str, Any]) -> dict[str, Any]:
    """What the row of a host says that is to be in maintenance no more."""
    disabled = bool((host.maintenance_of or {}).get('disabled'))
    if disabled and not parameters.get('enable'):
        return {'maintenance': records.LEAVING, 'service': records.DISABLED}
    return {'maintenance': records.LEAVING, 'service': records.ENABLED}


def _is_written(connection: Any, wanted: records.Operation | None) -> bool:
    return wanted is None or operations.is_written(connection, wanted)
