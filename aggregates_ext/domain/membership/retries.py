"""Trying an operation again, once what was in its way is mended.

What rests is due at once, what is unresolved is looked at again, and what
has failed or was cancelled is asked for again, by the rules of the request.
"""

from collections.abc import Callable
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain.membership import members
from aggregates_ext.domain.membership import queueing

# What a request asks for beside the host; all else in the parameters of an
# operation was found out on the way.
ASKED = (
    'accept_data_loss',
    'accepted_by',
    'action',
    'again',
    'disks',
    'enable',
    'force',
    'hard',
    'hash',
    'hosts',
    'network',
    'only_if_needed',
    'pause',
    'reason',
    'restore',
    'shut_down',
    'stay',
    'suspend_ha',
    'sync',
    'update',
    # What was switched off or moved and is to be as before at the end.
    *records.Rolling.OWED,
)
# States in which nobody goes on with an operation by itself.
ENDED = ('failed', 'cancelled')
# By which rules one of these is asked for again: those of a join, of a
# removal, by force or not, of what is asked of the service of a host or of
# one in maintenance, of a whole pool by its master, of a member, or of a whole
# aggregate.
JOIN, REMOVAL, FORGET, SERVICE, POOL, MEMBER, WHOLE = (
    'join',
    'removal',
    'forget',
    'service',
    'pool',
    'member',
    'whole',
)
_WAYS = {
    operations.ADD_HOST: JOIN,
    operations.REMOVE_HOST: REMOVAL,
    operations.ADOPT: POOL,
    **dict.fromkeys(db_operations.OF_THE_SERVICE, SERVICE),
    **dict.fromkeys(db_operations.ON_EMPTY_HOSTS, SERVICE),
}
# Kinds that are written as done and are nothing to be tried.
RECORDS = (operations.RESET, *db_operations.REQUESTS)

# Writes into a transaction what a request writes beside its operation;
# gets the connection and the locked aggregate.
Queue = Callable[[Any, Any], None]
AskAgain = Callable[[Any, records.Operation, str], None]


class Retries:
    """Tries operations again.

    :param intended: how it gets into the database.
    :param membership: whose rules joins and removals keep.
    :param ask_again: asks once more what is asked by the rules of ``WHOLE``
        and ``SERVICE``, and writes what a host is to be; gets the connection,
        the old operation, and the uuid of the new one.
    """

    def __init__(
        self,
        intended: intent.Intent,
        membership: members.Members,
        ask_again: AskAgain,
    ) -> None:
        self._intent = intended
        self._members = membership
        self._ask_again = ask_again

    def under(self, guard: db_aggregates.Guard) -> 'Retries':
        """The same for a request that wants a certain state."""
        return Retries(
            self._intent.under(guard),
            self._members.under(guard),
            self._ask_again,
        )

    def retry(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        uuid: str,
        may_force: Callable[[], object] = bool,
    ) -> records.Operation:
        """Try an operation again.

        :param may_force: called before a removal is forced once more; raises
            what forbids it.
        :returns: the same one, due now; or a new one, where it had ended.
        :raises exception.OperationNotFound: not one of this aggregate.
        :raises exception.OperationNotRetryable: it runs, has succeeded, or
            a later one has taken its place.
        :raises exception.Conflict: what was asked for is refused now.
        """
        with self._intent.database.reader() as connection:
            found = db_operations.get(connection, uuid)
        if found.aggregate_id != aggregate_id:
            raise exception.OperationNotFound(operation=uuid)
        check_kind(found)
        if found.state in ENDED:
            if is_forced(found):
                may_force()
            tried = self._repeat(ctx, found)
        else:
            tried = self._hasten(ctx, found)
        self._intent.compute.wake_up()
        return tried

    def _hasten(
        self, ctx: context.RequestContext, operation: records.Operation
    ) -> records.Operation:
        """Let what rests or is unresolved be taken up now."""

        def work(connection: Any) -> records.Operation:
            self._intent.lock(connection, operation.aggregate_id)
            db_aggregates.mark(connection, operation.aggregate_id)
            now = db_operations.get(connection, operation.uuid)
            asked = {**now.parameters, 'retried_by': ctx.user_id}
            if now.state == 'unresolved':
                db_pools.forget_look(connection, now.aggregate_id)
                db_operations.update(connection, now.id, {'parameters': asked})
            elif not db_operations.hasten(connection, now, asked):
                raise _under_way(now)
            return db_operations.get(connection, operation.uuid)

        return self._intent.database.write(work)

    def _repeat(
        self, ctx: context.RequestContext, old: records.Operation
    ) -> records.Operation:
        """Ask for what an operation did not do once more."""
        parameters = _asked(old)
        uuid = uuidutils.generate_uuid()
        queue = self._prepare(old, parameters, uuid)

        def work(connection: Any) -> records.Operation:
            aggregate = self._intent.lock(connection, old.aggregate_id)
            check_latest(
                old,
                db_operations.latest(
                    connection,
                    old.aggregate_id,
                    old.host,
                    db_operations.replacing(old),
                    after=old.id,
                ),
            )
            queue(connection, aggregate)
            return db_operations.insert(
                connection,
                uuid,
                old.kind,
                old.aggregate_id,
                old.host,
                operations.asked_by(ctx),
                {**parameters, db_operations.RETRY_OF: old.uuid},
            )

        return self._intent.database.write(work)

    def _prepare(
        self, old: records.Operation, parameters: dict[str, Any], uuid: str
    ) -> Queue:
        """Check what the request itself checks before its transaction.

        :param uuid: of the operation that is to be.
        """
        key, host, way = old.aggregate_id, str(old.host), way_of(old)
        if way in (WHOLE, SERVICE):
            return lambda connection, aggregate: self._ask_again(
                connection, old, uuid
            )
        if way == JOIN:
            found = self._members.find_free(key, host)
            self._members.check(key, host, 'add')
            return lambda connection, aggregate: queueing.bind(
                connection, aggregate, found
            )
        if way == FORGET:
            return lambda connection, aggregate: queueing.forget(
                connection, key, host
            )
        if way == REMOVAL:
            found = self._members.find_member(key, host)
            parameters['was'] = found.phase
            if found.phase == 'member':
                accepted = parameters.get('accept_data_loss', ())
                self._members.check(key, host, 'remove', accepted)
            return lambda connection, aggregate: queueing.move_out(
                connection, key, host, db_aggregates.LISTED_PHASES
            )
        if way == POOL:
            # Of a whole pool, whose master is not bound yet.
            self._members.find_free(key, host)
            return _queue_pool
        return lambda connection, aggregate: check_member(
            endings.last_by(connection),
            aggregate.id,
            db_hosts.get(connection, host),
        )


def _asked(operation: records.Operation) -> dict[str, Any]:
    """What the request said; nothing that was found out on the way.

    A consent from the command line served once, and is not used again.
    """
    asked = {
        name: operation.parameters[name]
        for name in ASKED
        if name in operation.parameters
    }
    if operation.parameters.get('consent_used'):
        asked |= {'accept_data_loss': [], 'disks': []}
        asked.pop('accepted_by', None)
    if records.Rolling.HOSTS in operation.parameters:
        asked |= _gone_on_with(operation)
        # The hosts that are left install what the others have.
        asked.pop('sync', None)
    return asked


def _gone_on_with(operation: records.Operation) -> dict[str, Any]:
    """What a restart of all hosts has done, so that the rest is left."""
    state = records.Rolling
    entries = [
        entry
        if entry['state'] in (state.DONE, state.SKIPPED)
        else {
            'state': state.WAITING,
            **{n: entry[n] for n in ('host', 'entered', 'held') if n in entry},
        }
        for entry in operation.parameters[state.HOSTS]
    ]
    return {state.HOSTS: entries}


def check_kind(operation: records.Operation) -> None:
    """Refuse to try what is done, or can be asked for in another way alone.

    :raises exception.OperationNotRetryable: it is so.
    """
    if operation.state == 'succeeded' or operation.kind in RECORDS:
        raise _refusal(operation, 'It has done its work.')
    if operation.kind == operations.SET_HOSTS and operation.state in ENDED:
        raise _refusal(
            operation,
            'Send the list of hosts again, or try what has failed of it.',
        )


def check_rests(operation: records.Operation, now: float) -> None:
    """Refuse to hasten what does not rest.

    :param operation: one that has not ended.
    :param now: the database's clock.
    :raises exception.OperationNotRetryable: it does not.
    """
    unresolved = operation.state == 'unresolved'
    if not (unresolved or db_operations.rests(operation, now)):
        raise _under_way(operation)


def is_forced(operation: records.Operation) -> bool:
    """Whether it takes a host out that is gone, as one that has ended."""
    forced = bool(operation.parameters.get('force'))
    return forced and operation.state in ENDED


def way_of(operation: records.Operation) -> str:
    """By which rules an operation that has ended is asked for again."""
    if operation.host is None:
        return WHOLE
    if is_forced(operation):
        return FORGET
    return _WAYS.get(operation.kind, MEMBER)


def check_latest(
    old: records.Operation, later: records.Operation | None
) -> None:
    """Refuse what a later operation of the same kind and host replaced.

    :param later: the last one that did; None: none has.
    :raises exception.OperationNotRetryable: naming the later one.
    """
    if later is not None:
        raise _refusal(
            old,
            f'Operation {later.uuid}, which is {later.state}, has taken its '
            'place.',
        )


def _queue_pool(connection: Any, aggregate: Any) -> None:
    """Nothing is bound before the pool is seen."""


def check_member(
    last: endings.Last, aggregate_id: int, host: records.Host
) -> None:
    """:raises exception.AggregateHostNotFound: it is no member."""
    if (host.aggregate_id, host.phase) != (aggregate_id, 'member'):
        raise endings.no_host(last, aggregate_id, host.name)


def _under_way(
    operation: records.Operation,
) -> exception.OperationNotRetryable:
    return _refusal(
        operation, 'It is under way, or due already: wait for its end.'
    )


def _refusal(
    operation: records.Operation, remedy: str
) -> exception.OperationNotRetryable:
    return exception.OperationNotRetryable(
        operation=operation.uuid, state=operation.state, remedy=remedy
    )
