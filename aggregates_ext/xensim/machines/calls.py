"""Calls on machines, storage and networks: as little as pools need."""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import placement
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import memory


def _assert_state(
    context: operations.Context, ref: str, *expected: str
) -> database.Record:
    """A wrong state is told as xapi#join-odd-cases shows."""
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
    """Start a machine where it fits, at home if it can be."""
    db = context.db
    row = _assert_state(context, ref, 'Halted')
    fitting = placement.possible(db, ref)
    if not fitting:
        raise _nowhere(db, ref)
    home = row['affinity'] in fitting
    host = row['affinity'] if home else fitting[0]
    yield from _start(context, ref, host, paused)
    return ''


def _nowhere(db: database.Database, ref: str) -> failure.Failure:
    """With one host which is enabled, why it does not take a machine."""
    enabled = db.where('host', enabled=True)
    if len(enabled) == 1:
        try:
            placement.assert_fits(db, ref, enabled[0])
        except failure.Failure as exc:
            return exc
    return failure.Failure('NO_HOSTS_AVAILABLE')


def start_on(
    context: operations.Context,
    ref: str,
    host: str,
    paused: bool,
    force: bool,
) -> operations.Steps:
    """Start a machine on one host."""
    _assert_state(context, ref, 'Halted')
    placement.assert_fits(context.db, ref, host)
    yield from _start(context, ref, host, paused)
    return ''


def _start(
    context: operations.Context, ref: str, host: str, paused: bool
) -> operations.Steps:
    db = context.db
    row = db.row('VM', ref)
    task = host_exclusion.occupy(db, host, 'vm_start', context.task)
    row['current_operations'][task] = 'start'
    row['scheduled_to_be_resident_on'] = host
    try:
        yield context.world.times.vm_start
        state = 'Paused' if paused else 'Running'
        row.update(power_state=state, resident_on=host, domid=1)
        _attach_disks(db, ref, True)
    finally:
        row['scheduled_to_be_resident_on'] = database.NULL
        row['current_operations'].pop(task, None)
        host_exclusion.release(db, host, task)
        memory.refresh(db, host)
    return ''


def hard_shutdown(context: operations.Context, ref: str) -> str:
    """Stop a machine."""
    _assert_state(context, ref, 'Paused', 'Suspended', 'Running')
    halt(context.db, ref)
    return ''


def halt(db: database.Database, ref: str) -> None:
    """A machine stops, and its host has the memory back."""
    row = db.row('VM', ref)
    host = row['resident_on']
    row.update(power_state='Halted', resident_on=database.NULL, domid=-1)
    _attach_disks(db, ref, False)
    memory.refresh(db, host)


def assert_can_boot_here(
    context: operations.Context, ref: str, host: str
) -> str:
    """Whether a machine can run on a host (xapi#migration)."""
    placement.assert_fits(context.db, ref, host)
    return ''


def get_possible_hosts(context: operations.Context, ref: str) -> list[str]:
    """The hosts on which a machine can run (xapi#migration)."""
    context.db.row('VM', ref)
    return placement.possible(context.db, ref)


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
    row = db.row('VM', ref)
    db.delete('VM_metrics', row['metrics'])
    db.delete('VM_guest_metrics', row['guest_metrics'])
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
