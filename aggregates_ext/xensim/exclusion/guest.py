"""Operations of a guest: they wait for each other (xapi#moves-twice)."""

import collections.abc

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.plan import timing
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

MIGRATE = 'pool_migrate'
PARAVIRTUAL = ('pv', 'pv_in_pvh', 'pvh')
SOON = 60.0
"""Seconds after which a waiting call looks less often."""

HARD = frozenset({'hard_reboot', 'hard_shutdown'})
"""They break off a move, and what asks a guest, instead of waiting."""

ASKING = frozenset({'clean_reboot', 'clean_shutdown', 'suspend'})
"""What a guest has to do itself."""

DRIVEN = frozenset(
    {'checkpoint', 'clean_reboot', 'clean_shutdown', MIGRATE, 'suspend'}
)
"""What needs drivers in the guest."""

ALLOWED: dict[str, tuple[str, ...]] = {
    'Halted': (
        'changing_NVRAM',
        'changing_VCPUs',
        'changing_dynamic_range',
        'changing_memory_limits',
        'changing_shadow_memory',
        'changing_static_range',
        'clone',
        'copy',
        'destroy',
        'export',
        'make_into_template',
        'migrate_send',
        'snapshot',
        'start',
        'start_on',
    ),
    'Running': (
        'changing_VCPUs_live',
        'changing_dynamic_range',
        'checkpoint',
        'clean_reboot',
        'clean_shutdown',
        'hard_reboot',
        'hard_shutdown',
        'migrate_send',
        'pause',
        MIGRATE,
        'snapshot',
        'suspend',
    ),
    'Paused': ('hard_reboot', 'hard_shutdown', 'snapshot', 'unpause'),
    'Suspended': ('hard_shutdown', 'resume', 'resume_on', 'snapshot'),
}
"""What a guest in a state can do while nothing else is done to it."""


def turn(
    db: database.Database,
    times: timing.Times,
    ref: str,
    operation: str,
    cancelled: collections.abc.Callable[[], bool] = lambda: False,
) -> operations.Steps:
    """Wait until nothing stands against an operation on a guest.

    A cancel is seen only now and then; what is blocked does not wait.
    """
    row = db.row('VM', ref)
    if operation in row['blocked_operations']:
        reason = row['blocked_operations'][operation]
        raise failure.Failure('OPERATION_BLOCKED', ref, reason)
    waited, looked = 0.0, 0.0
    while found := _blocker(db, ref, operation):
        if waited >= times.pool_operation_wait_max:
            raise found
        early = waited < SOON
        pause = times.guest_wait if early else times.guest_wait_later
        yield pause
        waited += pause
        if waited - looked >= times.guest_retry:
            looked = waited
            if cancelled():
                raise failure.Failure('TASK_CANCELLED')
    return ''


def _blocker(
    db: database.Database, ref: str, operation: str
) -> failure.Failure | None:
    for task, running in db.row('VM', ref)['current_operations'].items():
        broken_off = running == MIGRATE or running in ASKING
        if operation not in HARD or not broken_off:
            return failure.Failure(
                'OTHER_OPERATION_IN_PROGRESS', 'VM', ref, running, task
            )
    return None


def occupy(db: database.Database, ref: str, operation: str, task: str) -> None:
    """Begin an operation on a guest."""
    db.row('VM', ref)['current_operations'][task] = operation
    refresh(db, ref)


def release(db: database.Database, ref: str, task: str) -> None:
    """End an operation on a guest, if it is still there."""
    if db.exists('VM', ref):
        db.row('VM', ref)['current_operations'].pop(task, None)
        refresh(db, ref)


def refresh(db: database.Database, ref: str) -> None:
    """Tell what is possible now; it binds nobody."""
    row = db.row('VM', ref)
    row['allowed_operations'] = _allowed(db, row)


def _allowed(db: database.Database, row: database.Record) -> list[str]:
    running = set(row['current_operations'].values())
    if running:
        return sorted(HARD) if running <= {MIGRATE, *ASKING} else []
    if row['is_control_domain'] or row['is_a_template']:
        return []
    possible = ALLOWED.get(row['power_state'], ())
    barred = set(row['blocked_operations'])
    barred |= {name for name in DRIVEN if not _driven(db, row, name)}
    return [name for name in possible if name not in barred]


def assert_driven(db: database.Database, ref: str, operation: str) -> None:
    """Refuse what a guest without drivers cannot do (xapi#shutdowns)."""
    if not _driven(db, db.row('VM', ref), operation):
        raise failure.Failure('VM_LACKS_FEATURE', ref)


def _driven(
    db: database.Database, row: database.Record, operation: str
) -> bool:
    metrics, guest = row['metrics'], row['guest_metrics']
    if db.exists('VM_metrics', metrics):
        kind = db.row('VM_metrics', metrics)['current_domain_type']
        if kind in PARAVIRTUAL:
            return True
    if not db.exists('VM_guest_metrics', guest):
        return False
    told = db.row('VM_guest_metrics', guest)
    stops = operation in ('clean_shutdown', 'clean_reboot')
    feature = 'feature-shutdown' if stops else 'feature-suspend'
    return bool(
        told['PV_drivers_detected'] or told['other'].get(feature) == '1'
    )
