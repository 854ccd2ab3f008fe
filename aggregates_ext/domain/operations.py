"""Operations in words: the computed state, and the ways out of every state.

An operation is the record of one structural change; design#operations tells
its states, design#phases the phases of a host.
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
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import endings
from aggregates_ext.domain import remedies
from aggregates_ext.domain import services

ADD_HOST = 'add_host'
REMOVE_HOST = 'remove_host'
RENAME = 'rename'
SET_MASTER = 'set_master'
ADOPT = 'adopt'
REAPPLY = 'reapply'
RESET = 'reset'
DELETE = 'delete'
SET_HOSTS = db_operations.SET_HOSTS
DISABLE_HOST = 'disable_host'
ENABLE_HOST = 'enable_host'
ENTER_MAINTENANCE = 'enter_maintenance'
LEAVE_MAINTENANCE = 'leave_maintenance'
_OF_MAINTENANCE = {ENTER_MAINTENANCE, LEAVE_MAINTENANCE}
POWER_HOST = db_operations.POWER_HOST
UPDATE_HOST = db_operations.UPDATE_HOST
ROLLING_REBOOT = db_operations.ROLLING_REBOOT
ROLLING_UPDATE = db_operations.ROLLING_UPDATE
ROLLING = db_operations.ROLLING

# The parameter of ``SET_HOSTS``: uuids of the joins and removals it asks for.
PARTS = 'parts'

# The phase that an outcome named by `reset` gives to a bound host.
OUT_OF_MAINTENANCE = 'out_of_maintenance'
OUTCOMES = {
    'member': 'member',
    'free': 'free',
    OUT_OF_MAINTENANCE: 'member',
}


def operational_state(aggregate: records.Aggregate) -> str:
    """The state of an aggregate, computed and never stored (design#state)."""
    if aggregate.deleted:
        return 'dismissed'
    standing = set(aggregate.standing)
    if standing & {'queued', 'running'}:
        return 'changing'
    if standing & {'failed', 'unresolved'} or aggregate.drift:
        return 'error'
    return 'active' if aggregate.bound else 'created'


def going_on(
    standing: Sequence[records.Operation],
) -> list[records.Operation]:
    """What is open of that which counts, the newest first."""
    return [o for o in reversed(standing) if o.state in db_operations.OPEN]


def asked_by(ctx: context.RequestContext) -> dict[str, str | None]:
    """Who asked, as operations keep it."""
    return {
        'request_id': ctx.request_id,
        'user_id': ctx.user_id,
        'project_id': ctx.project_id,
        'global_request_id': ctx.global_request_id,
    }


class Operations:
    """What can be read of operations, and done to them.

    :param database: where they are.
    :param guard: looks at each aggregate before it is changed.
    """

    def __init__(
        self,
        database: engine.Database,
        guard: db_aggregates.Guard | None = None,
    ) -> None:
        self._database = database
        self._guard = guard

    def under(self, guard: db_aggregates.Guard) -> 'Operations':
        """The same for a request that wants a certain state."""
        return Operations(self._database, guard)

    def get(self, uuid: str) -> records.Operation:
        """One operation, also of a deleted aggregate.

        :raises exception.OperationNotFound: there is none.
        """
        found, _now = self.look(uuid)
        return found

    def look(self, uuid: str) -> tuple[records.Operation, float]:
        """The same with the database's clock, in one statement.

        :raises exception.OperationNotFound: there is none.
        """
        rows = self._database.ask(db_operations.ONE, uuid=uuid)
        if not rows:
            raise exception.OperationNotFound(operation=uuid)
        operation, now, alive, age = db_operations.told(rows[0])
        if services.is_waiting(operation):
            [operation] = services.tell_by(alive, age, [operation])
        return operation, now

    def parts_of(
        self, operation: records.Operation
    ) -> list[records.Operation]:
        """The joins and removals that one of ``SET_HOSTS`` is made of."""
        with self._database.reader() as connection:
            return parts_of(connection, operation)

    def get_all(
        self,
        aggregate_id: int,
        *,
        limit: int = 1000,
        marker: str | None = None,
        state: str | None = None,
    ) -> list[records.Operation]:
        """The history of an aggregate, the newest first.

        :param marker: uuid of the last one of the page before.
        :raises exception.AggregateNotFound: there never was one.
        :raises exception.Invalid: the marker is none of its operations.
        """
        with self._database.reader() as connection:
            db_aggregates.check(connection, aggregate_id, deleted=True)
            before = None
            if marker is not None:
                before = _find_marker(connection, aggregate_id, marker)
            found = db_operations.get_all(
                connection,
                aggregate_id,
                states=None if state is None else (state,),
                before=before,
                limit=limit,
            )
            return services.tell(connection, found)

    def aggregate_of(self, host: str) -> int | None:
        """The aggregate in which failures of a host still count."""
        with self._database.reader() as connection:
            return db_operations.find_standing(connection, host)

    def cancel(
        self, ctx: context.RequestContext, aggregate_id: int, uuid: str
    ) -> records.Operation:
        """Take a queued operation back, and with it what it would do.

        One that restarts hosts one after another is given up: it ends when
        what it did to the pool is undone. Where it has failed, it counts no
        more for the state of its aggregate, and its error tells what stays
        as it has left it. Of a list of hosts those changes
        are taken back that have not begun.

        :raises exception.OperationNotFound: not one of this aggregate.
        :raises exception.OperationNotCancellable: it has started or ended.
        """

        def work(connection: Any) -> records.Operation:
            db_aggregates.lock(connection, aggregate_id, self._guard)
            operation = db_operations.get(connection, uuid)
            if operation.aggregate_id != aggregate_id:
                raise exception.OperationNotFound(operation=uuid)
            of_hosts = operation.kind == SET_HOSTS
            parts = parts_of(connection, operation) if of_hosts else []
            check_cancellable(operation, parts)
            if _has_stopped(operation):
                return _let_be(connection, operation)
            if _is_rolling(operation):
                db_operations.ask(
                    connection,
                    db_operations.GIVE_UP,
                    operation,
                    asked_by(ctx),
                    {},
                )
                return db_operations.get(connection, uuid)
            if of_hosts:
                cancelled = _cancel_parts(connection, operation, parts)
            else:
                cancelled = db_operations.cancel(connection, operation)
            if cancelled is None:
                raise _not_cancellable(operation)
            take_back(connection, operation)
            return cancelled

        return self._database.write(work, is_written)

    def reset(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        host: str,
        outcome: str,
    ) -> records.Operation:
        """Declare what became of a host, where evidence cannot tell.

        Ends the lease too: what a compute service still does with the
        aggregate is not written over it.

        Settles the failed and unresolved operations of the host, and leaves
        a succeeded one of kind ``reset`` that says who asked.

        :param outcome: one of ``OUTCOMES``.
        :raises exception.AggregateNotFound: there is none, or it is deleted
            and the host is not to be taken out of it.
        :raises exception.HostNotFound: not registered.
        :raises exception.Conflict: work on the host is queued or running,
            or it belongs to another aggregate and is to be a member here, or
            it is in no maintenance and is to be out of it.
        """
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Operation:
            if self._guard is not None:
                db_aggregates.lock(connection, aggregate_id, self._guard)
            if not db_leases.revoke(connection, aggregate_id):
                raise exception.AggregateNotFound(aggregate_id=aggregate_id)
            bound, found = db_operations.of_host(
                connection, aggregate_id, host
            )
            if bound.aggregate_id != aggregate_id or outcome != 'free':
                # A deleted one only lets go what is still bound to it.
                db_aggregates.check(connection, aggregate_id)
            last = endings.last_by(connection)
            check_reset(last, aggregate_id, bound, found, outcome)
            if bound.aggregate_id == aggregate_id:
                db_hosts.move(
                    connection,
                    host,
                    aggregate_id,
                    (bound.phase,),
                    OUTCOMES[outcome],
                )
            if outcome == OUT_OF_MAINTENANCE:
                _drop_maintenance(connection, bound)
            db_operations.reset(connection, aggregate_id, host)
            db_pools.forget_pool_if_empty(connection, aggregate_id)
            return db_operations.insert(
                connection,
                uuid,
                RESET,
                aggregate_id,
                host,
                asked_by(ctx),
                {'outcome': outcome},
                done=True,
            )

        return self._database.write(work, is_written)


def check_cancellable(
    operation: records.Operation, parts: Sequence[records.Operation]
) -> None:
    """Refuse to take back what has begun, or has ended.

    :param parts: of one of ``SET_HOSTS``: what it is made of.
    :raises exception.OperationNotCancellable: it has.
    """
    if _has_stopped(operation) or _is_rolling(operation):
        return
    left = [operation]
    if operation.kind == SET_HOSTS:
        goes_on = operation.state in db_operations.UNFINISHED
        left = list(parts) if goes_on else []
    if not any(part.state == 'queued' for part in left):
        raise _not_cancellable(operation)


def _not_cancellable(
    operation: records.Operation,
) -> exception.OperationNotCancellable:
    return exception.OperationNotCancellable(
        operation=operation.uuid,
        state=operation.state,
        remedy=remedies.of_cancelling(operation),
    )


def _let_be(
    connection: Any, operation: records.Operation
) -> records.Operation:
    """Give a failed run of all hosts up, with all that it tried again.

    What it has not given back stays, and its error tells that from now on.
    """
    standing, _now = db_operations.counting(connection, operation.aggregate_id)
    tried = db_operations.tried(standing, operation)
    db_operations.settle_failed(connection, keys=tried)
    found = dataclasses.replace(operation, settled=True)
    if operation in db_operations.owing(standing):
        stays = f'It is given up, and this stays: {endings.owed(operation)}.'
        error = dict(operation.error or {})
        error['message'] = f'{error.get("message", "")} {stays}'.strip()
        db_operations.update(connection, operation.id, {'error': error})
        found = dataclasses.replace(found, error=error)
    return found


def _has_stopped(operation: records.Operation) -> bool:
    """Whether it restarted hosts, has failed, and may be gone on with."""
    return operation.kind in ROLLING and (
        operation.state,
        operation.settled,
    ) == ('failed', False)


def _is_rolling(operation: records.Operation) -> bool:
    """Whether it restarts hosts, and has begun: with one, or to tell one."""
    return (
        operation.kind in ROLLING
        and operation.state in db_operations.UNFINISHED
        and (
            records.Rolling.HOSTS in operation.parameters
            or bool(operation.parameters.get('changed'))
        )
    )


def _find_marker(connection: Any, aggregate_id: int, marker: str) -> int:
    """The place of an operation in the history of its aggregate."""
    try:
        found = db_operations.get(connection, marker)
    except exception.OperationNotFound:
        found = None
    if found is None or found.aggregate_id != aggregate_id:
        raise exception.Invalid(
            reason=f'Invalid query: marker {marker} is no operation of '
            f'aggregate {aggregate_id}; take the uuid of the last one of '
            'the page before.'
        )
    return found.id


def is_written(connection: Any, wanted: records.Operation) -> bool:
    """Whether an operation is as a request made it.

    One that was queued may have gone on since.

    :raises exception.NotFound: there is none.
    """
    found = db_operations.get(connection, wanted.uuid)
    return wanted.state in ('queued', found.state)


def parts_of(
    connection: Any, operation: records.Operation
) -> list[records.Operation]:
    """The operations that one of ``SET_HOSTS`` is made of, in their order.

    Of an old one those that are not purged.
    """
    return db_operations.named(connection, operation.parameters[PARTS])


def _cancel_parts(
    connection: Any,
    operation: records.Operation,
    parts: Sequence[records.Operation],
) -> records.Operation | None:
    """Take back what has not begun of a list of hosts; None: nothing is left.

    It ends itself when the others have.
    """
    cancelled = [
        part for part in parts if db_operations.cancel(connection, part)
    ]
    for part in cancelled:
        take_back(connection, part)
    return operation if cancelled else None


def take_back(connection: Any, operation: records.Operation) -> None:
    """Give the host of an operation that came to nothing back what it was.

    Joins and removals change its phase; whether it is to take machines was
    written with the request. Whatever has ended may have been the last that
    held the pool of an aggregate without hosts.
    """
    host = operation.host
    if host is not None and operation.kind in db_operations.OF_THE_SERVICE:
        _take_back_service(connection, operation, host)
    if host is not None and operation.kind in (ADD_HOST, REMOVE_HOST):
        seen = 'joining' if operation.kind == ADD_HOST else 'leaving'
        phase = 'free'
        if operation.kind == REMOVE_HOST:
            phase = _phase_before(connection, operation)
        db_hosts.move(connection, host, operation.aggregate_id, (seen,), phase)
    db_pools.forget_pool_if_empty(connection, operation.aggregate_id)


def _take_back_service(
    connection: Any, operation: records.Operation, host: str
) -> None:
    """Unless a later request has said what the host is to be.

    One that did not come out of maintenance is still in it, and one whose
    guests were to go again; one that was to stay is on its way there. A later
    request to disable it says nothing of its maintenance. Where this one was
    taken back before it began, what it would have called off goes on.
    """
    key, kind = operation.aggregate_id, operation.kind
    parameters = operation.parameters
    if parameters.get('stay') and parameters.get('disabling'):
        return
    pending, _now = db_operations.unfinished(connection, key)
    others = [
        other
        for other in pending
        if other.kind in db_operations.OF_THE_SERVICE
        and other.host == host
        and other.id != operation.id
    ]
    later = {other.kind for other in others}
    if _what_is_called_off_goes_on(connection, operation, others):
        return
    again = kind == ENTER_MAINTENANCE and parameters.get('again')
    still = (kind == LEAVE_MAINTENANCE or again) and ENABLE_HOST not in later
    if later & _OF_MAINTENANCE:
        return
    if still:
        values = {
            'maintenance': records.IN_MAINTENANCE,
            'service': records.DISABLED,
        }
        db_hosts.update(connection, host, values)
    elif not later:
        stays = kind != ENTER_MAINTENANCE
        db_hosts.take_back_service(connection, host, key, stays=stays)
    elif kind in _OF_MAINTENANCE:
        db_hosts.update(connection, host, {'maintenance': None})


def _what_is_called_off_goes_on(
    connection: Any,
    operation: records.Operation,
    others: Sequence[records.Operation],
) -> bool:
    """Whether an operation was taken back that would have called one off.

    Before it began, and nothing is asked of the maintenance after it.

    :param others: what else goes on with the service of its host, in order.
    """
    if operation.state != 'queued' or operation.kind not in _OF_MAINTENANCE:
        return False
    wishes = [other for other in others if other.kind in _OF_MAINTENANCE]
    if not wishes or wishes[-1].id > operation.id:
        return False
    host = str(operation.host)
    after = [other for other in others if other.id > operation.id]
    if any(other.kind == ENABLE_HOST for other in after):
        # That was asked last.
        db_hosts.update(connection, host, {'maintenance': None})
    else:
        _let_go_on(connection, wishes[-1], host)
    return True


def _let_go_on(
    connection: Any, operation: records.Operation, host: str
) -> None:
    """Have a host be again what an earlier request wants, which goes on."""
    if operation.kind == ENTER_MAINTENANCE:
        maintenance, disabled = records.ENTERING, True
    else:
        asked = db_hosts.get(connection, host).maintenance_of or {}
        maintenance, disabled = records.LEAVING, bool(asked.get('disabled'))
    service = records.DISABLED if disabled else records.ENABLED
    values = {'maintenance': maintenance, 'service': service}
    db_hosts.update(connection, host, values)


def _drop_maintenance(connection: Any, host: records.Host) -> None:
    """Want no maintenance of a host any more, and do nothing for its end.

    Whether somebody wants it disabled besides stays.
    """
    disabled = bool((host.maintenance_of or {}).get('disabled'))
    values: dict[str, Any] = {'maintenance': None, 'maintenance_of': None}
    if not disabled:
        values |= {
            'service': records.ENABLED,
            'disabled_reason': None,
            # Nobody has looked whether it still is.
            'disabled_start': None,
        }
    db_hosts.update(connection, host.name, values)


def _phase_before(connection: Any, removal: records.Operation) -> str:
    """The phase of a host without its removal.

    For one that was joining, what that came to since. One that was joined by
    hand, and is ejected to reapply the membership, was free before.
    """
    if removal.parameters.get('reapply'):
        return 'free'
    if removal.parameters.get('was') == 'member':
        return 'member'
    entry = db_operations.latest(
        connection,
        removal.aggregate_id,
        str(removal.host),
        (ADD_HOST, RESET),
    )
    if entry is None or entry.kind == RESET:
        return OUTCOMES[entry.parameters['outcome']] if entry else 'member'
    if entry.state in ('failed', 'cancelled'):
        return 'free'
    return 'member' if entry.state == 'succeeded' else 'joining'


def check_reset(
    last: endings.Last,
    aggregate_id: int,
    host: records.Host,
    found: Sequence[records.Operation],
    outcome: str,
) -> None:
    """Refuse to declare what is not so, or not known yet.

    :param found: the open operations of the host in the aggregate.
    :param outcome: one of ``OUTCOMES``.
    :raises exception.Conflict: work on it is queued or running, or it
        belongs to another aggregate and is to be a member here, or it is in
        no maintenance and is to be out of it.
    :raises exception.AggregateHostNotFound: it is free, and is to be one.
    """
    elsewhere = host.aggregate_id not in (None, aggregate_id)
    # That it is not in this aggregate is true then.
    if elsewhere and outcome != 'free':
        raise exception.HostInOtherAggregate(
            host=host.name, other_id=host.aggregate_id
        )
    if host.aggregate_id is None and outcome != 'free':
        raise endings.no_host(last, aggregate_id, host.name)
    if outcome == OUT_OF_MAINTENANCE and host.maintenance is None:
        raise exception.Conflict(
            reason=f'Host {host.name} is in no maintenance.'
        )
    for operation in found:
        if operation.state in db_operations.UNFINISHED:
            raise endings.busy(operation)
