"""What became of operations, in words, and what ends what they leave.

A refusal that comes after a request was accepted is told wherever somebody
looks next: in the pool, and where the host is missed (design#told-later).
"""

from collections.abc import Callable
from typing import Any

from aggregates_ext import exception
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

# Finds the last operation on a host in an aggregate, by id and name.
Last = Callable[[int, str], records.Operation | None]

# Characters of a reason that are repeated in another sentence.
REASON_CUT = 600
_STATES = {
    'queued': 'is queued',
    'running': 'is running',
    'succeeded': 'has succeeded',
    'failed': 'failed',
    'cancelled': 'was cancelled',
    'unresolved': 'is unresolved',
}
UNRESOLVED = (
    'It is looked at again with each observation, and ends when there is '
    'evidence; or say with the action "reset" what became of the host.'
)


def tell(operation: records.Operation) -> str:
    """An operation and how it stands, as one sentence, with the reason."""
    said = f'{operation.kind} ({operation.uuid}) {_STATES[operation.state]}'
    reason = str((operation.error or {}).get('message', ''))
    if not reason:
        return f'{said}.'
    if len(reason) > REASON_CUT:
        reason = f'{reason[:REASON_CUT]}…'
    return f'{said}: {reason}'


def remedy(operation: records.Operation) -> str | None:
    """What ends that an operation counts; None: it ends by itself."""
    if operation.state == 'unresolved':
        return UNRESOLVED
    if operation.state != 'failed':
        return None
    if operation.kind in db_operations.ROLLING:
        return (
            'It counts until "retry_operation" of it succeeds, or '
            '"cancel_operation" gives it up.'
        )
    whose = ''
    if operation.kind not in db_operations.OF_THE_POOL:
        whose = f' of host {operation.host}'
    return (
        f'It counts until a later {operation.kind}{whose} succeeds, as by '
        '"retry_operation"; or until the action "reset" says what host '
        f'{operation.host} is now.'
    )


def owed(operation: records.Operation) -> str:
    """What a run of all hosts has not given back, in words; empty: nothing."""
    known, told = operation.parameters, []
    if before := known.get(records.Rolling.HA):
        storage = ', '.join(before['storage']) or 'none'
        told.append(
            'high availability is not switched on again (heartbeat SRs '
            f'{storage}, {before["tolerate"]} failures to tolerate)'
        )
    if known.get(records.Rolling.AUTOSTART):
        told.append(
            'no boot of a host starts guests again ("auto_poweron" in '
            'other-config of the pool)'
        )
    if away := known.get(records.Rolling.AWAY):
        told.append(f'guests were moved and not brought home: {away}')
    return '; '.join(told)


def not_given_back(operation: records.Operation) -> exception.NotGivenBack:
    """What refuses a run of all hosts because of one that has failed."""
    return exception.NotGivenBack(
        aggregate_id=operation.aggregate_id,
        operation=operation.uuid,
        what=operation.title,
        owed=owed(operation),
    )


def last_by(connection: Any) -> Last:
    """The last operation on a host, asked of the database when needed."""

    def find(aggregate_id: int, host: str) -> records.Operation | None:
        found = db_operations.get_all(
            connection, aggregate_id, host=host, limit=1
        )
        return found[0] if found else None

    return find


def no_host(
    last: Last, aggregate_id: int, host: str
) -> exception.AggregateHostNotFound:
    """What to raise for a host that an aggregate has not."""
    found = last(aggregate_id, host)
    became = f' Its last operation there, {tell(found)}' if found else ''
    return exception.AggregateHostNotFound(
        aggregate_id=aggregate_id, host=host, became=became
    )


def busy(operation: records.Operation) -> exception.AggregateBusy:
    """What refuses a request because of an operation that goes on."""
    wait = 'Repeat the request when it has ended.'
    if operation.state == 'unresolved':
        wait = f'{wait} {UNRESOLVED}'
    elif operation.kind in db_operations.ROLLING:
        wait = f'{wait} To end it now use "cancel_operation".'
    return exception.AggregateBusy(
        aggregate_id=operation.aggregate_id,
        operation=operation.uuid,
        what=operation.title,
        state=operation.state,
        wait=wait,
    )
