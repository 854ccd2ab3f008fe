"""Why a machine cannot be moved while it runs (xapi#migration-rules)."""

import collections.abc

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

OPERATION = 'pool_migrate'
PARAVIRTUAL = ('pv', 'pv_in_pvh', 'pvh')
TRUE = ('1', 'true')

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
    """What held when it started; without metrics, what is to hold."""
    if db.exists('VM_metrics', row['metrics']):
        metrics = db.row('VM_metrics', row['metrics'])
        tied = metrics['nomigrate'] or metrics['nested_virt']
    else:
        platform = row['platform']
        keys = ('nomigrate', 'nested-virt')
        tied = any(platform.get(key) in TRUE for key in keys)
    return failure.Failure('VM_IS_IMMOBILE', vm) if tied else None


def _guest(
    db: database.Database, vm: str, row: database.Record
) -> failure.Failure | None:
    """What the guest can, as its kernel and its drivers tell."""
    detected, other = False, {}
    if db.exists('VM_guest_metrics', row['guest_metrics']):
        told = db.row('VM_guest_metrics', row['guest_metrics'])
        detected, other = told['PV_drivers_detected'], told['other']
    if reason := other.get('data-cant-suspend-reason'):
        return failure.Failure('VM_NON_SUSPENDABLE', vm, reason)
    if detected or other.get('feature-suspend') == '1':
        return None
    if db.exists('VM_metrics', row['metrics']):
        metrics = db.row('VM_metrics', row['metrics'])
        if metrics['current_domain_type'] in PARAVIRTUAL:
            return None
    return failure.Failure('VM_LACKS_FEATURE', vm)


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
    _immobile,
    _guest,
    _disks,
    _hardware,
)


def refusal(db: database.Database, vm: str) -> failure.Failure | None:
    """The first reason why a machine stays where it is."""
    row = db.row('VM', vm)
    for rule in RULES:
        if (found := rule(db, vm, row)) is not None:
            return found
    return None
