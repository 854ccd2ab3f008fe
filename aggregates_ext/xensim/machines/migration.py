"""VM.pool_migrate: moving a running machine (xapi#migration)."""

import ipaddress

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import guest as guest_exclusion
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.machines import migratable
from aggregates_ext.xensim.machines import moving
from aggregates_ext.xensim.machines import placement
from aggregates_ext.xensim.machines import powerstate
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import domains
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
    check(db, vm, host, options)
    source = db.row('VM', vm)['resident_on']
    address = receiver(context, source, host, options)
    host_exclusion.occupy(db, host, 'vm_migrate', task)
    guest_exclusion.occupy(db, vm, migratable.OPERATION, task)
    db.row('VM', vm)['scheduled_to_be_resident_on'] = host
    try:
        yield from _fault(context, vm)
        move = moving.Move(context, db, vm, source, host, address)
        yield from moving.carry(move)
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


def check(
    db: database.Database, vm: str, host: str, options: dict[str, str]
) -> None:
    """In the order of xapi#migration; ``force`` leaves out the first two."""
    force = options.get('force') == 'true'
    row = db.row('VM', vm)
    if not force:
        placement.assert_processors(db, vm, host)
        if (reason := migratable.refusal(db, vm)) is not None:
            raise reason
    upgraded = upgrading.in_progress(db) or upgrading.differ(db)
    if upgraded and not upgrading.is_not_older(db, host, row['resident_on']):
        raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')
    placement.assert_fits(db, vm, host, check_processors=False)
    haplan.assert_kept(db, haplan.Change(guest=vm, target=host))
    if db.pool['restrictions'].get('restrict_xen_motion') == 'true':
        raise failure.Failure('LICENCE_RESTRICTION', 'Xen_motion')


def receiver(
    context: operations.Context,
    source: str,
    target: str,
    options: dict[str, str],
) -> str:
    """The address to which the source sends: on the network that is asked for.

    The xapi of the source decides; an older one takes no notice of the
    network (xapi#maintenance-calls).
    """
    sender = domains.machine(context.world, context.db, source)
    known = sender is not None and (
        sender.preset.release >= presets.MIGRATION_NETWORK_SINCE
    )
    if known and 'network' in options:
        return address_on(context.db, target, options['network'])
    return str(context.db.row('host', target)['address'])


def address_on(db: database.Database, host: str, network: str) -> str:
    """The address of a host on a network, if it has one (xapi#migration)."""
    pifs = db.where('PIF', network=network, host=host)
    if not pifs:
        raise failure.Failure('PIF_NOT_PRESENT', host, network)
    pif = pifs[0]
    row = db.row('PIF', pif)
    if not row['currently_attached']:
        raise failure.Failure('REQUIRED_PIF_IS_UNPLUGGED', pif)
    found = [row['IP']] if row['IP'] else []
    if row['primary_address_type'] == 'IPv6':
        routed = (text.partition('/')[0] for text in row['IPv6'])
        found = [text for text in routed if not _is_of_the_link(text)]
    if not found:
        raise failure.Failure('INTERFACE_HAS_NO_IP', pif)
    return str(found[0])


def _is_of_the_link(text: str) -> bool:
    return ipaddress.IPv6Address(text).is_link_local


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
    check(context.db, vm, dest['host'], options)
    return ''


def _fault(context: operations.Context, vm: str) -> operations.Steps:
    """A planted fault for this machine (xapi#simulation-faults)."""
    db = context.db
    row = db.row('VM', vm)
    fault = context.world.faults.take(
        ('fail', 'halt', 'hang', 'delay'),
        CALL,
        context.host.name,
        row['uuid'],
    )
    if fault is None:
        return
    if fault.action == 'hang':
        yield fault
    elif fault.action == 'delay':
        yield fault.pause
    else:
        if fault.action == 'halt':
            source = domains.machine(context.world, db, row['resident_on'])
            domains.lose(context.world, source, row['uuid'])
            powerstate.stop(db, vm)
        raise failure.Failure(fault.code, *fault.parameters)
