"""Why a machine cannot be moved while it runs (xapi#evacuation-plan)."""

import collections.abc

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

OPERATION = 'pool_migrate'

Rule = collections.abc.Callable[
    [database.Database, str, database.Record], failure.Failure | None
]


def _blocked(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    if OPERATION in row['blocked_operations']:
        reason = row['blocked_operations'][OPERATION]
        return failure.Failure('OPERATION_BLOCKED', vm, reason)
    return None


def _state(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    if row['power_state'] != 'Running':
        actual = row['power_state'].lower()
        return failure.Failure('VM_BAD_POWER_STATE', vm, 'running', actual)
    return None


def _busy(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    for task, operation in row['current_operations'].items():
        return failure.Failure(
            'OTHER_OPERATION_IN_PROGRESS', 'VM', vm, operation, task
        )
    return None


def _hardware(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    for field, code in (
        ('attached_PCIs', 'VM_HAS_PCI_ATTACHED'),
        ('VGPUs', 'VM_HAS_VGPU'),
        ('VUSBs', 'VM_HAS_VUSBS'),
    ):
        if row[field]:
            return failure.Failure(code, vm)
    return None


def _immobile(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    if not db.exists('VM_metrics', row['metrics']):
        return None
    metrics = db.row('VM_metrics', row['metrics'])
    if metrics['nomigrate'] or metrics['nested_virt']:
        return failure.Failure('VM_IS_IMMOBILE', vm)
    return None


def _guest(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    """What the drivers in the guest tell, if they do."""
    if not db.exists('VM_guest_metrics', row['guest_metrics']):
        return failure.Failure('VM_LACKS_FEATURE', vm)
    told = db.row('VM_guest_metrics', row['guest_metrics'])
    if reason := told['other'].get('data-cant-suspend-reason'):
        return failure.Failure('VM_NON_SUSPENDABLE', vm, reason)
    if not told['PV_drivers_detected']:
        return failure.Failure('VM_LACKS_FEATURE', vm)
    return None


def _disks(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    for vbd in db.where('VBD', VM=vm, empty=False):
        disk = db.row('VDI', db.row('VBD', vbd)['VDI'])
        if disk['on_boot'] == 'reset' and disk['allow_caching']:
            return failure.Failure(
                'VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION'
            )
    return None


RULES: tuple[Rule, ...] = (
    _blocked,
    _state,
    _busy,
    _hardware,
    _immobile,
    _guest,
    _disks,
)


def refusal(db: database.Database, vm: str) -> failure.Failure | None:
    """The first reason why a machine stays where it is."""
    row = db.row('VM', vm)
    for rule in RULES:
        if (found := rule(db, vm, row)) is not None:
            return found
    return None
