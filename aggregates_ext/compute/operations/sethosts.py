"""A list of hosts that comes about: the joins and removals it is made of.

They are queued with it, so here is only looked whether they have ended
(design#declared-membership).
"""

from collections.abc import Sequence

from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import text
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import operations

FAILED = 'HOSTS_FAILED'
# Hosts of which a failure tells the reason.
_MOST_TOLD = 3


def set_hosts(run: compute_run.Run) -> None:
    """End when all hosts of a list have joined, or left.

    :raises outcomes.Waiting: some are on their way.
    :raises outcomes.Failed: some have not.
    """
    parts = run.held.read(
        lambda connection: operations.parts_of(connection, run.operation)
    )
    going_on = [part for part in parts if part.state in db_operations.OPEN]
    if going_on:
        _rest(run, parts, going_on)
    failed = [part for part in parts if part.state == 'failed']
    if failed:
        told = text.listed(
            [f'Host {part.host}: {endings.tell(part)}' for part in failed],
            _MOST_TOLD,
            ' ',
        )
        raise outcomes.Failed(
            FAILED,
            f'Of {len(parts)} hosts {len(failed)} did not change as the list '
            f'says. {told}',
            [part.host for part in failed],
            'Mend that, then try those operations again, or send the list '
            'again.',
        )
    called_off = any(part.state == 'cancelled' for part in parts)
    run.write(
        lambda connection: db_operations.finish(
            connection,
            run.operation,
            'cancelled' if called_off else 'succeeded',
        )
    )


def _rest(
    run: compute_run.Run,
    parts: Sequence[records.Operation],
    going_on: Sequence[records.Operation],
) -> None:
    """:raises outcomes.Resting: until one of its parts has ended."""
    done = len(parts) - len(going_on)
    run.note(progress=95 * done // len(parts))
    first = going_on[0]
    raise outcomes.Resting(
        f'{done} of {len(parts)} hosts are done',
        reason=f'{first.title} (operation {first.uuid}) is {first.state}.',
    )
