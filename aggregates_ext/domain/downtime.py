"""What the maintenance of a host has done with its guests, told by history.

Their power state is changed by consent alone (design#shut-down).
"""

from collections.abc import Sequence
from typing import Any

from aggregates_ext.db import records
from aggregates_ext.domain import operations

KINDS = (operations.ENTER_MAINTENANCE, operations.LEAVE_MAINTENANCE)
# Kinds that tell when it last began.
HISTORY = (*KINDS, operations.RESET)
# Guests are on a host that is in maintenance: a code of drift.
GUESTS_ARRIVED = 'GUESTS_ARRIVED'
# The parameter of an operation that tells of guests which it shuts down or
# starts, by uuid; and the states that they have in it.
GUESTS = 'guests'
STOPPING = 'stopping'
HALTED = 'halted'
STARTING = 'starting'
RUNNING = 'running'
FAILED = 'failed'
UNDER_WAY = (STOPPING, STARTING)
STATES = (STOPPING, HALTED, STARTING, RUNNING, FAILED)


def halted(history: Sequence[records.Operation]) -> dict[str, dict[str, Any]]:
    """The guests that are down for a host's maintenance, by uuid.

    :param history: as of ``since_it_left``.
    """
    found: dict[str, dict[str, Any]] = {}
    for operation in reversed(since_it_left(history)):
        found.update(operation.parameters.get(GUESTS, {}))
    return {
        uuid: entry
        for uuid, entry in found.items()
        if entry['state'] == HALTED
    }


def since_it_left(
    history: Sequence[records.Operation],
) -> list[records.Operation]:
    """Those after the host last came out of maintenance, the newest first.

    :param history: its operations of the kinds ``HISTORY``, in that order.
    """
    since = []
    for operation in history:
        if _is_end(operation):
            break
        if operation.kind in KINDS:
            since.append(operation)
    return since


def _is_end(operation: records.Operation) -> bool:
    """Whether the host has come out of maintenance, or is said to have."""
    if operation.kind == operations.RESET:
        outcome = operation.parameters['outcome']
        return bool(outcome == operations.OUT_OF_MAINTENANCE)
    left = operation.kind == operations.LEAVE_MAINTENANCE
    return left and operation.state == 'succeeded'
