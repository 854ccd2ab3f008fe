"""The operation which occupies a pool (xapi#pool-operations)."""

import uuid

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.plan import restrictions
from aggregates_ext.xensim.plan import timing
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

BLOCKING = frozenset(
    {
        'ha_enable',
        'ha_disable',
        'cluster_create',
        'designate_new_master',
        'tls_verification_enable',
        'configure_repositories',
        'sync_updates',
        'sync_bundle',
        'apply_updates',
    }
)
"""One of them refuses another at once; all others wait."""

WAITING = frozenset(
    {
        'eject',
        'exchange_certificates_on_join',
        'exchange_ca_certificates_on_join',
        'exchange_crls_on_join',
        'cert_refresh',
        'copy_primary_host_certs',
        'get_updates',
    }
)


def occupy(
    db: database.Database,
    times: timing.Times,
    operation: str,
    task: str = '',
) -> operations.Steps:
    """Wait until the pool is free and take it; the answer releases it."""
    waited = 0.0
    while found := _refusal(db, operation):
        late = waited >= times.pool_operation_wait_max
        if late or found.code != 'OTHER_OPERATION_IN_PROGRESS':
            raise found
        yield operations.Cancellable(times.pool_operation_retry)
        waited += times.pool_operation_retry
    return hold(db, operation, task)


def _refusal(db: database.Database, operation: str) -> failure.Failure | None:
    if db.pool['is_psr_pending']:
        return failure.Failure('POOL_SECRET_ROTATION_PENDING')
    for ref, running in db.pool['current_operations'].items():
        if running in BLOCKING and operation in BLOCKING:
            return failure.Failure(f'{running.upper()}_IN_PROGRESS')
        return failure.Failure(
            'OTHER_OPERATION_IN_PROGRESS', 'pool', db.pool_ref, running, ref
        )
    return _of_availability(db, operation)


def _of_availability(
    db: database.Database, operation: str
) -> failure.Failure | None:
    """What high availability stands against, itself among it."""
    enabled = db.pool['ha_enabled']
    if enabled and operation in ('ha_enable', 'tls_verification_enable'):
        return failure.Failure('HA_IS_ENABLED')
    if not enabled and operation == 'ha_disable':
        return failure.Failure('HA_NOT_ENABLED')
    return None


def hold(db: database.Database, operation: str, task: str = '') -> str:
    """Show an operation as running; the answer ends it."""
    if operation not in BLOCKING | WAITING:
        raise ValueError(f'{operation!r} is no operation of a pool')
    task = task or f'OpaqueRef:{uuid.uuid4()}'
    db.pool['current_operations'][task] = operation
    refresh(db)
    return task


def release(db: database.Database, task: str) -> None:
    """Let the pool go."""
    if db.rows('pool'):
        db.pool['current_operations'].pop(task, None)
        refresh(db)


def refresh(db: database.Database) -> None:
    """Tell what is possible now; it binds nobody."""
    pool = db.pool
    idle = not (pool['current_operations'] or pool['is_psr_pending'])
    change = 'ha_disable' if pool['ha_enabled'] else 'ha_enable'
    pool['allowed_operations'] = [
        change if operation == 'ha_enable' else operation
        for operation in restrictions.POOL_OPERATIONS
        if idle
    ]
