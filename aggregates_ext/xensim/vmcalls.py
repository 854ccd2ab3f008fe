"""Calls on machines, storage and networks: as little as pools need."""

from aggregates_ext.xensim import database
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import operations


def _assert_state(
    context: operations.Context, ref: str, *expected: str
) -> database.Record:
    """A wrong state is told as join_cases.txt shows."""
    row = context.db.row('VM', ref)
    if row['power_state'] not in expected:
        raise failure.Failure(
            'VM_BAD_POWER_STATE',
            ref,
            ', '.join(state.lower() for state in expected),
            row['power_state'].lower(),
        )
    return row


def start(
    context: operations.Context, ref: str, paused: bool, force: bool
) -> operations.Steps:
    """Start a machine where it fits: on the first enabled host."""
    db = context.db
    row = _assert_state(context, ref, 'Halted')
    enabled = db.where('host', enabled=True)
    if not enabled:
        raise failure.Failure('NO_HOSTS_AVAILABLE')
    host = row['affinity'] if row['affinity'] in enabled else enabled[0]
    yield context.world.times.vm_start
    state = 'Paused' if paused else 'Running'
    row.update(power_state=state, resident_on=host, domid=1)
    _attach_disks(db, ref, True)
    return ''


def hard_shutdown(context: operations.Context, ref: str) -> str:
    """Stop a machine."""
    row = _assert_state(context, ref, 'Paused', 'Suspended', 'Running')
    row.update(power_state='Halted', resident_on=database.NULL, domid=-1)
    _attach_disks(context.db, ref, False)
    return ''


def _attach_disks(db: database.Database, ref: str, attached: bool) -> None:
    for vbd in db.where('VBD', VM=ref):
        db.row('VBD', vbd)['currently_attached'] = attached


def destroy(context: operations.Context, ref: str) -> str:
    """Remove a machine; its disks stay."""
    db = context.db
    _assert_state(context, ref, 'Halted')
    for kind in ('VBD', 'VIF'):
        for member in db.where(kind, VM=ref):
            db.delete(kind, member)
    db.delete('VM', ref)
    return ''


def plug(context: operations.Context, ref: str) -> str:
    """Attach an SR to a host."""
    context.db.row('PBD', ref)['currently_attached'] = True
    return ''


def unplug(context: operations.Context, ref: str) -> str:
    """Detach an SR from a host, unless a machine there uses it."""
    db = context.db
    row = db.row('PBD', ref)
    for vdi in db.where('VDI', SR=row['SR']):
        for vbd in db.where('VBD', VDI=vdi, currently_attached=True):
            vm = db.row('VM', db.row('VBD', vbd)['VM'])
            if vm['resident_on'] == row['host']:
                raise failure.Failure('VDI_IN_USE', vdi, 'unplug')
    row['currently_attached'] = False
    return ''


def create_network(
    context: operations.Context, record: database.Record
) -> str:
    """Add an internal network."""
    return context.db.create(
        'network',
        name_label=str(record.get('name_label', '')),
        name_description=str(record.get('name_description', '')),
        bridge=f'xapi{len(context.db.rows("network"))}',
        MTU=1500,
        managed=True,
        default_locking_mode='unlocked',
    )
