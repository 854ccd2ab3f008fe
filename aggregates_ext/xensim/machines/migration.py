"""VM.pool_migrate: moving a running machine (xapi#migration)."""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import guest as guest_exclusion
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import evacuationplan
from aggregates_ext.xensim.machines import migratable
from aggregates_ext.xensim.machines import moving
from aggregates_ext.xensim.machines import placement
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import memory

CALL = 'VM.pool_migrate'


def pool_migrate(
    context: operations.Context,
    vm: str,
    host: str,
    options: dict[str, str],
) -> operations.Steps:
    """Move a machine to another host of the pool, after its other calls."""
    db, task = context.db, context.task
    yield from guest_exclusion.turn(
        db,
        context.world.times,
        vm,
        migratable.OPERATION,
        context.cancelled,
    )
    check(db, vm, host, force=options.get('force') == 'true')
    source = db.row('VM', vm)['resident_on']
    host_exclusion.occupy(db, host, 'vm_migrate', task)
    guest_exclusion.occupy(db, vm, migratable.OPERATION, task)
    db.row('VM', vm)['scheduled_to_be_resident_on'] = host
    try:
        yield from _fault(context, db.row('VM', vm)['uuid'])
        yield from moving.carry(moving.Move(context, db, vm, source, host))
    finally:
        _release(db, vm, task)
        host_exclusion.release(db, host, task)
        for end in (source, host):
            memory.refresh(db, end)
    return ''


def _release(db: database.Database, vm: str, task: str) -> None:
    """The end of a move that a restart has forgotten changes nothing."""
    if not db.exists('VM', vm):
        return
    row = db.row('VM', vm)
    if task in row['current_operations']:
        row['scheduled_to_be_resident_on'] = database.NULL
    guest_exclusion.release(db, vm, task)


def check(db: database.Database, vm: str, host: str, force: bool) -> None:
    """In the order of MF VM.pool_migrate, as far as it is known."""
    row = db.row('VM', vm)
    if db.pool['restrictions'].get('restrict_xen_motion') == 'true':
        raise failure.Failure('LICENCE_RESTRICTION', 'Xen_motion')
    if (reason := migratable.refusal(db, vm)) is not None:
        raise reason
    here = evacuationplan.platform(db.row('host', row['resident_on']))
    if evacuationplan.platform(db.row('host', host)) < here:
        raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')
    placement.assert_fits(db, vm, host, check_processors=not force)


def assert_can_migrate(
    context: operations.Context,
    vm: str,
    dest: dict[str, str],
    live: bool,
    vdi_map: dict[str, str],
    vif_map: dict[str, str],
    options: dict[str, str],
    vgpu_map: dict[str, str] | None = None,
) -> str:
    """The checks of a move inside the pool (xapi#migration)."""
    if 'host' not in dest:
        raise failure.Failure('INTERNAL_ERROR', 'Not_found')
    force = options.get('force') == 'true'
    check(context.db, vm, dest['host'], force)
    return ''


def _fault(context: operations.Context, identity: str) -> operations.Steps:
    """A planted fault for this machine (xapi#simulation-faults)."""
    fault = context.world.faults.take(
        ('fail', 'hang', 'delay'), CALL, context.host.name, identity
    )
    if fault is None:
        return
    if fault.action == 'hang':
        yield fault
    elif fault.action == 'delay':
        yield fault.pause
    else:
        raise failure.Failure(fault.code, *fault.parameters)
