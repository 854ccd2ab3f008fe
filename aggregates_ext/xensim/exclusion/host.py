"""Operations on a host: what excludes what (xapi#host-operations)."""

import uuid

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

LEAVING = frozenset({'evacuate', 'reboot', 'shutdown'})
GOING_DOWN = frozenset({'reboot', 'shutdown'})
MOVING = frozenset({'provision', 'vm_resume', 'vm_migrate'})
NEED_DISABLED = frozenset({'reboot', 'shutdown', 'apply_updates'})
RECOVERING = 'SR Recovering'
"""The label of the task of a clustered SR that is not whole yet."""

ORDER = (
    'vm_migrate',
    'provision',
    'vm_resume',
    'apply_updates',
    'enable',
    'reboot',
    'evacuate',
    'vm_start',
    'shutdown',
)
"""allowed_operations of a live host (xapi#host-operations)."""


def occupy(
    db: database.Database, ref: str, operation: str, task: str = ''
) -> str:
    """Begin an operation on a host; the answer ends it."""
    assert_valid(db, ref, operation)
    task = task or f'OpaqueRef:{uuid.uuid4()}'
    row = db.row('host', ref)
    row['current_operations'][task] = operation
    row['allowed_operations'] = allowed(row)
    return task


def release(db: database.Database, ref: str, task: str) -> None:
    """End an operation on a host."""
    if db.exists('host', ref):
        row = db.row('host', ref)
        row['current_operations'].pop(task, None)
        row['allowed_operations'] = allowed(row)


def turn_to(
    db: database.Database, ref: str, task: str, operation: str
) -> None:
    """An operation goes on under another name."""
    row = db.row('host', ref)
    row['current_operations'][task] = operation
    row['allowed_operations'] = allowed(row)


def forget(db: database.Database, ref: str) -> None:
    """What a host that is back was doing is over (xapi#reboots).

    So is, on all hosts, what no task stands for any more.
    """
    for host, row in db.rows('host'):
        for task in list(row['current_operations']):
            if host == ref or not db.exists('task', task):
                release(db, host, task)


def waits(db: database.Database, ref: str, operation: str) -> bool:
    """A second reboot waits until the first is forgotten."""
    running = db.row('host', ref)['current_operations'].values()
    return operation == 'reboot' and not GOING_DOWN.isdisjoint(running)


def assert_valid(db: database.Database, ref: str, operation: str) -> None:
    """Refuse what another operation or the state of the host forbids."""
    row = db.row('host', ref)
    if operation in NEED_DISABLED and row['enabled']:
        raise failure.Failure('HOST_NOT_DISABLED')
    for task, running in row['current_operations'].items():
        if _excludes(running, operation):
            raise failure.Failure(
                'OTHER_OPERATION_IN_PROGRESS', 'host', ref, running, task
            )
    if operation in NEED_DISABLED:
        _assert_clusters_whole(db)


def _assert_clusters_whole(db: database.Database) -> None:
    """No clustered SR that is plugged may be recovering.

    That another host of the cluster is down is no obstacle (xapi#clusters).
    """
    for sr in db.where('SR', clustered=True):
        plugged = db.where('PBD', SR=sr, currently_attached=True)
        if plugged and db.where(
            'task', name_label=RECOVERING, name_description=sr
        ):
            raise failure.Failure('CLUSTERED_SR_DEGRADED', sr)


def is_live(db: database.Database, row: database.Record) -> bool:
    """What the master believes about a host."""
    return bool(db.row('host_metrics', row['metrics'])['live'])


def _excludes(running: str, wanted: str) -> bool:
    """Leaving excludes moving there, and the other way round."""
    if running == 'evacuate':
        return wanted in MOVING | NEED_DISABLED
    if running in GOING_DOWN:
        return wanted in MOVING | {'apply_updates', 'reboot'}
    return running in MOVING and wanted in LEAVING


def allowed(row: database.Record) -> list[str]:
    """What is possible on a live host now; it binds nobody."""
    running = row['current_operations'].values()
    return [
        operation
        for operation in ORDER
        if not (row['enabled'] and operation in NEED_DISABLED)
        and not any(_excludes(other, operation) for other in running)
    ]
