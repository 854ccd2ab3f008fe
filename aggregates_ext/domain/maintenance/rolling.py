"""Restarting or updating the hosts of a pool, one after another.

See design#rolling and design#updates.
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
from aggregates_ext.domain.membership import members

# How a run may wait before it touches what cannot be taken back.
NO_PAUSE = 'none'
PAUSES = (NO_PAUSE, 'before_reboot')
UPDATE_PAUSES = (NO_PAUSE, 'before_update')
WORDS = {
    operations.ROLLING_REBOOT: 'restarted',
    operations.ROLLING_UPDATE: 'updated',
}


class Rolling:
    """Restarts the hosts of pools, and updates them.

    :param intended: how it gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def under(self, guard: db_aggregates.Guard) -> 'Rolling':
        """The same for a request that wants a certain state."""
        return Rolling(self._intent.under(guard))

    def begin(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        kind: str,
        asked: Mapping[str, Any],
    ) -> records.Operation:
        """Take the hosts of a pool in turn, each when its guests have left it.

        :param kind: one of ``operations.ROLLING``.
        :param asked: ``hosts``, names of those that are meant, in order; None
            or absent: all. ``restore``, whether guests come home at the end.
            ``shut_down``, uuids of guests that may be shut down where they
            cannot move, and ``hard``, whether they may be so hard.
            ``suspend_ha``, whether high availability may be off for the
            time. ``pause``, one of ``PAUSES`` or ``UPDATE_PAUSES``.
            ``only_if_needed``, whether hosts are left out of which no update
            asks for a reboot. ``sync``, whether the master copies what is
            published before. ``network``, uuid of that which guests move
            over.
        :returns: the operation, as it is queued.
        :raises exception.AggregateNotFound: there is none.
        :raises exception.Invalid: a guest that is named is on no such host, or
            the network none of the pool.
        :raises exception.Refused: something forbids it.
        :raises exception.AggregateBusy: one goes on already.
        :raises exception.NotGivenBack: one has failed that owes something.
        """
        with self._intent.database.reader() as connection:
            db_aggregates.check(connection, aggregate_id)
            _refuse_second(connection, aggregate_id)
        parameters = _parameters(kind, asked)
        report = self._intent.compute.plan_rolling(aggregate_id, parameters)
        members.refuse_unknown('these hosts', report)
        members.refuse(
            f'The hosts of aggregate {aggregate_id} are not {WORDS[kind]}:',
            report,
        )
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Operation:
            self._intent.lock(connection, aggregate_id)
            _refuse_second(connection, aggregate_id)
            return db_operations.insert(
                connection,
                uuid,
                kind,
                aggregate_id,
                None,
                operations.asked_by(ctx),
                parameters,
            )

        queued = self._intent.database.write(work, operations.is_written)
        self._intent.compute.wake_up()
        return queued

    def plan(
        self, aggregate_id: int, kind: str, asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What such a run would do, and what forbids it.

        Nothing is changed.

        :param kind: one of ``operations.ROLLING``.
        :param asked: as for ``begin``.
        :returns: ``blockers``, ``warnings``, and the plan: ``hosts``, in
            order, each with its ``moves``; ``homes``, the moves at the end;
            ``worst``, the host during whose absence least memory is free.
        :raises exception.AggregateNotFound: there is none.
        :raises exception.Invalid: a guest that is named is on no such host, or
            the network none of the pool.
        :raises exception.Unavailable: no compute service has answered.
        """
        with self._intent.database.reader() as connection:
            db_aggregates.check(connection, aggregate_id)
        found = self._intent.compute.plan_rolling(
            aggregate_id, _parameters(kind, asked)
        )
        if found is None:
            raise members.no_answer()
        members.refuse_unknown('these hosts', found)
        return found

    def go_on(
        self, ctx: context.RequestContext, aggregate_id: int, uuid: str
    ) -> records.Operation:
        """Let a restart go on that has paused.

        :returns: it, as it is.
        :raises exception.OperationNotFound: not one of this aggregate.
        :raises exception.OperationNotPaused: it does not wait for that.
        """

        def work(connection: Any) -> records.Operation:
            self._intent.lock(connection, aggregate_id)
            found = db_operations.get(connection, uuid)
            if found.aggregate_id != aggregate_id:
                raise exception.OperationNotFound(operation=uuid)
            requests = db_operations.requests(connection, found)
            host = check_paused(found, requests)
            if not is_let_go(requests, host):
                db_operations.ask(
                    connection,
                    db_operations.CONTINUE,
                    found,
                    operations.asked_by(ctx),
                    {'paused': host},
                )
            return db_operations.get(connection, uuid)

        found = self._intent.database.write(work)
        self._intent.compute.wake_up()
        return found

    def paused(self, operation: records.Operation) -> str | None:
        """The host that waits for ``continue_operation``; None: none does.

        One that somebody has answered waits no more, though the service may
        be about to read it.
        """
        host = paused(operation)
        if host is None:
            return None
        with self._intent.database.reader() as connection:
            requests = db_operations.requests(connection, operation)
        answered = is_given_up(requests) or is_let_go(requests, host)
        return None if answered else host


def check_paused(
    operation: records.Operation, requests: Sequence[records.Operation]
) -> str:
    """The host that somebody may let go on.

    :param requests: as of ``is_given_up``.
    :raises exception.OperationNotPaused: none waits for that.
    """
    host, given_up = paused(operation), is_given_up(requests)
    if host is None or given_up:
        raise exception.OperationNotPaused(
            operation=operation.uuid,
            state=operation.state,
            remedy=_why_not_paused(operation, given_up),
        )
    return host


def _why_not_paused(operation: records.Operation, given_up: bool) -> str:
    """What there is to do about one that cannot be let go on."""
    if operation.kind not in operations.ROLLING:
        return 'Only one that takes the hosts of a pool in turn does.'
    if operation.state == 'succeeded':
        return 'It has done its work.'
    if operation.state not in db_operations.UNFINISHED:
        return 'It has ended: "retry_operation" takes the hosts that are left.'
    if given_up:
        return 'It is given up, and ends by itself.'
    pauses = PAUSES
    if operation.kind == operations.ROLLING_UPDATE:
        pauses = UPDATE_PAUSES
    return (
        f'One that was asked with "pause": "{pauses[-1]}" does, when a host '
        'is empty.'
    )


def paused(operation: records.Operation) -> str | None:
    """The host that an operation has paused with, answered or not."""
    if operation.state not in db_operations.UNFINISHED:
        return None
    if operation.parameters.get('pause') in (None, NO_PAUSE):
        return None
    for entry in operation.parameters.get(records.Rolling.HOSTS, ()):
        if entry['state'] == records.Rolling.PAUSED:
            return str(entry['host'])
    return None


def is_given_up(requests: Sequence[records.Operation]) -> bool:
    """Whether somebody has given an operation up.

    :param requests: to it, as ``db_operations.requests`` has them.
    """
    return any(r.kind == db_operations.GIVE_UP for r in requests)


def is_let_go(requests: Sequence[records.Operation], host: str) -> bool:
    """Whether somebody has let a host go on that was to wait."""
    return any(
        request.kind == db_operations.CONTINUE
        and request.parameters['paused'] == host
        for request in requests
    )


def _parameters(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, with what stands where nothing was said."""
    found: dict[str, Any] = {
        'restore': asked.get('restore', True),
        'suspend_ha': asked.get('suspend_ha', False),
        'pause': asked.get('pause', NO_PAUSE),
        'only_if_needed': asked.get('only_if_needed', False),
    }
    if kind == operations.ROLLING_UPDATE:
        found['update'] = True
        found['sync'] = asked.get('sync', False)
    if asked.get('hosts') is not None:
        found['hosts'] = list(dict.fromkeys(asked['hosts']))
    if asked.get('network'):
        found['network'] = asked['network']
    if asked.get('shut_down'):
        found['shut_down'] = sorted(set(asked['shut_down']))
        found['hard'] = asked.get('hard', False)
    return found


def _refuse_second(connection: Any, aggregate_id: int) -> None:
    """Refuse a run as ``check_alone`` does."""
    standing, _now = db_operations.counting(connection, aggregate_id)
    check_alone(standing)


def check_alone(
    standing: Sequence[records.Operation],
    again: records.Operation | None = None,
) -> None:
    """Refuse a run beside one that goes on, or that owes something still.

    :param standing: what counts for the aggregate, in order.
    :param again: the run that is to be tried again, with what it owes.
    :raises exception.AggregateBusy: one goes on already.
    :raises exception.NotGivenBack: one has failed, and has not given back
        what it switched off or moved.
    """
    for operation in reversed(standing):
        unfinished = operation.state in db_operations.UNFINISHED
        if operation.kind in operations.ROLLING and unfinished:
            raise endings.busy(operation)
    tried = db_operations.tried(standing, again) if again else ()
    for operation in db_operations.owing(standing):
        if operation.id not in tried:
            raise endings.not_given_back(operation)


def seconds_left(operation: records.Operation, now: float) -> int | None:
    """How long a restart will take still, by what its hosts took so far.

    :param now: the database's clock.
    :returns: seconds; None where no host has ended, or it has ended itself.
    """
    if operation.state not in db_operations.UNFINISHED:
        return None
    entries = operation.parameters.get(records.Rolling.HOSTS, ())
    took = [
        entry['ended'] - entry['began']
        for entry in entries
        if entry['state'] == records.Rolling.DONE
    ]
    if not took:
        return None
    each = sum(took) / len(took)
    left = 0.0
    for entry in entries:
        if entry['state'] not in records.Rolling.ENDED:
            spent = now - entry['began'] if 'began' in entry else 0.0
            left += max(0.0, each - spent)
    return round(left)
