"""VM.pool_migrate: moving a running machine (xapi#migration)."""

import uuid

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import evacuationplan
from aggregates_ext.xensim.machines import migratable
from aggregates_ext.xensim.machines import placement
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import memory

CALL = 'VM.pool_migrate'
STEPS = 10
GIB = 1 << 30


def pool_migrate(
    context: operations.Context,
    vm: str,
    host: str,
    options: dict[str, str],
) -> operations.Steps:
    """Move a machine to another host of the pool."""
    db = context.db
    _check(db, vm, host, force=options.get('force') == 'true')
    row = db.row('VM', vm)
    source = row['resident_on']
    task = context.task or f'OpaqueRef:{uuid.uuid4()}'
    host_exclusion.occupy(db, host, 'vm_migrate', task)
    row['current_operations'][task] = migratable.OPERATION
    if source != host:
        row['scheduled_to_be_resident_on'] = host
    try:
        yield from _transfer(context, db, vm, host)
        row['resident_on'] = host
    finally:
        row['current_operations'].pop(task, None)
        row['scheduled_to_be_resident_on'] = database.NULL
        host_exclusion.release(db, host, task)
        for end in (source, host):
            memory.refresh(db, end)
    return ''


def _check(db: database.Database, vm: str, host: str, force: bool) -> None:
    """In the order of MF VM.pool_migrate, as far as it is known."""
    row = db.row('VM', vm)
    if db.pool['restrictions'].get('restrict_xen_motion') == 'true':
        raise failure.Failure('LICENCE_RESTRICTION', 'Xen_motion')
    if (reason := migratable.refusal(db, vm)) is not None:
        raise reason
    here = evacuationplan.platform(db.row('host', row['resident_on']))
    if evacuationplan.platform(db.row('host', host)) < here:
        raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')
    placement.assert_fits(
        db,
        vm,
        host,
        check_memory=row['resident_on'] != host,
        check_processors=not force,
    )


def _transfer(
    context: operations.Context, db: database.Database, vm: str, host: str
) -> operations.Steps:
    """Copy the memory; both hosts and the machine must stay."""
    row = db.row('VM', vm)
    seconds = context.world.times.migrate_per_gib * row['memory_target'] / GIB
    yield from _fault(context, row['uuid'])
    for step in range(1, STEPS + 1):
        yield seconds / STEPS
        if row['power_state'] != 'Running' or not db.exists('VM', vm):
            actual = row['power_state'].lower()
            raise failure.Failure('VM_BAD_POWER_STATE', vm, 'running', actual)
        for end in (row['resident_on'], host):
            _assert_answers(context, db, end)
        context.progress(step / STEPS)


def _assert_answers(
    context: operations.Context, db: database.Database, ref: str
) -> None:
    host = None
    if db.exists('host', ref):
        host = context.world.by_uuid(db.row('host', ref)['uuid'])
    if host is None or not context.world.answers(host):
        raise failure.Failure('CANNOT_CONTACT_HOST', ref)


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
