"""What other operations have to know of hosts that go down or start.

While one does, nothing else starts a toolstack in its pool, joins, ejects or
moves anything; and nothing at all is asked of a master that is away
(design#power).
"""

from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

KIND = db_operations.POWER_HOST


def sent(operation: records.Operation) -> Mapping[str, Any]:
    """What is written down of the call to a host; empty: none was sent."""
    return operation.parameters.get(db_operations.POWERED) or {}


def is_under_way(operation: records.Operation) -> bool:
    """Whether an unfinished operation has told a host to go down or start."""
    return operation.kind == KIND and bool(sent(operation))


def is_off(operation: records.Operation) -> bool:
    """Whether it has shut its host down, and nobody has started it since."""
    parameters = operation.parameters
    return (
        operation.kind == KIND
        and operation.state == 'succeeded'
        and parameters.get('action') == 'shutdown'
    )


def await_others(run: compute_run.Run) -> None:
    """Let an operation wait for hosts that go down or start, and these for it.

    A removal by force does not wait: its host may be the one.

    :raises outcomes.Waiting: there is one.
    """
    own = run.operation
    if run.changed or own.parameters.get('force'):
        return
    structural = own.kind in db_operations.STRUCTURAL
    for other in run.held.read(
        lambda connection: db_operations.get_all(
            connection,
            run.aggregate_id,
            states=('running', 'unresolved'),
            kinds=db_operations.STRUCTURAL,
        )
    ):
        if other.id == own.id:
            continue
        if other.kind == KIND:
            waits = sent(other) and (structural or sent(other)['master'])
        else:
            waits = own.kind == KIND and _may_act(other)
        if waits:
            raise outcomes.Waiting(
                reason=f'Operation {other.uuid} ({other.title}) is at work '
                'in the pool; this begins when it has ended.'
            )


def _may_act(operation: records.Operation) -> bool:
    """Whether what an operation has sent may still come about."""
    return operation.state == 'unresolved' or bool(
        operation.parameters.get('changed')
    )
