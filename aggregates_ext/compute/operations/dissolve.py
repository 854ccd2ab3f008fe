"""The end of an aggregate whose last hosts were leaving when it was asked for.

Nothing of a host is changed here (design#late-deletion).
"""

from typing import Any

from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import operations as db_operations
from aggregates_ext.domain import aggregates


def delete(run: compute_run.Run) -> None:
    """Delete the aggregate, once nothing else goes on in it.

    :raises outcomes.Waiting: something does.
    :raises outcomes.Failed: a host is in it again.
    """

    def work(connection: Any) -> None:
        aggregate = db_aggregates.get(connection, run.aggregate_id)
        if aggregate.hosts:
            raise outcomes.Failed(
                'NOT_EMPTY',
                f'Aggregate {aggregate.id} is not deleted: these hosts are '
                f'in it: {", ".join(aggregate.hosts)}. Remove them, then '
                'delete it again.',
                list(aggregate.hosts),
            )
        for other in db_operations.get_all(
            connection, run.aggregate_id, states=db_operations.OPEN
        ):
            if other.id != run.operation.id:
                raise outcomes.Waiting(
                    reason=f'The aggregate is deleted when operation '
                    f'{other.uuid} ({other.title}), which is '
                    f'{other.state}, has ended.'
                )
        db_operations.finish(connection, run.operation, 'succeeded')
        aggregates.end(connection, run.aggregate_id)

    run.write(work)
