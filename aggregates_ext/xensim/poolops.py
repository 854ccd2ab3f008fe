"""The operation which occupies a pool (contract 7.1)."""

import uuid

from aggregates_ext.xensim import database
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import operations
from aggregates_ext.xensim import timing


def occupy(
    db: database.Database, times: timing.Times, operation: str
) -> operations.Steps:
    """Wait until the pool is free and take it; the answer releases it."""
    if db.pool['is_psr_pending']:
        raise failure.Failure('POOL_SECRET_ROTATION_PENDING')
    waited = 0.0
    while running := db.pool['current_operations']:
        if waited >= times.pool_operation_wait_max:
            ref, name = next(iter(running.items()))
            raise failure.Failure(
                'OTHER_OPERATION_IN_PROGRESS', 'pool', db.pool_ref, name, ref
            )
        yield times.pool_operation_retry
        waited += times.pool_operation_retry
    task = f'OpaqueRef:{uuid.uuid4()}'
    db.pool['current_operations'][task] = operation
    return task


def release(db: database.Database, task: str) -> None:
    """Let the pool go."""
    db.pool['current_operations'].pop(task, None)
