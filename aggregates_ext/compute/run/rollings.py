"""What other operations have to know of a pool that is restarted.

While its hosts are restarted one after another no host joins it or leaves it,
and its master stays (design#rolling).
"""

from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records


def await_end(run: compute_run.Run) -> None:
    """Let an operation wait for a restart of all hosts.

    What was sent goes on, and so does a removal by force. A host may go down
    or start besides where its operator wants that: the restart waits for it.

    :raises outcomes.Waiting: there is one that has begun.
    """
    own = run.operation
    waits = own.kind in db_operations.AFTER_ROLLING
    if not waits or run.changed or own.parameters.get('force'):
        return
    for other in run.held.read(
        lambda connection: db_operations.get_all(
            connection,
            run.aggregate_id,
            states=db_operations.UNFINISHED,
            kinds=db_operations.ROLLING,
        )
    ):
        if records.Rolling.HOSTS in other.parameters:
            raise outcomes.Waiting(
                reason='The hosts of the pool are being taken in turn '
                f'({other.kind}, operation {other.uuid}); this begins when '
                'that has ended. To end it now use "cancel_operation".'
            )
