"""pool.eject: checks, destruction, reboot as a new pool (xapi#eject)."""

import dataclasses
import uuid

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.install import contents
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.install import storage
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.life import points
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


def eject(context: operations.Context, ref: str) -> operations.Steps:
    """Throw a slave out of this pool; its local disks are lost."""
    db, times = context.db, context.world.times
    task = yield from pool_exclusion.occupy(db, times, 'eject', context.task)
    try:
        victim = yield from _reach(context, ref)
        _check(db, ref)
        yield from points.at(context, 'E1', victim.name)
        yield times.eject_unplug
        _unplug(db, ref)
        _forget_storage(db, victim, ref)
        # What fails from here on leaves a member without its own storage.
        yield from points.at(context, 'E2', victim.name)
        _remove_control_domain(db, ref)
        yield times.eject_finish
        # From here on nothing stops the reset (xapi#eject-destroys).
        context.world.destroyed_vdis.extend(storage.wipe(victim, db))
        _reset(context, victim)
        # What fails from here on leaves a record without a member.
        yield from points.at(context, 'E3', victim.name)
        _remove_host(context, ref)
    finally:
        pool_exclusion.release(db, task)
    return ''


def _reach(context: operations.Context, ref: str) -> operations.Steps:
    """The victim; a host which died unnoticed takes long (xapi#dead-hosts).

    A host which does not yet, or not at all, run as a slave of this
    master cannot be told to leave.
    """
    db, world = context.db, context.world
    if not db.exists('host', ref) or not is_live(db, ref):
        raise failure.Failure('HOST_OFFLINE', ref)
    victim = world.by_uuid(db.row('host', ref)['uuid'])
    if victim is None or not world.answers(victim, context.host):
        times = world.times
        silent = victim and world.silence(victim, context.host)
        yield silent or times.contact_timeout
        raise failure.Failure('CANNOT_CONTACT_HOST', ref)
    role = victim.xapi.master if victim.xapi else None
    if victim is not context.host and role != context.host.address:
        raise failure.Failure('CANNOT_CONTACT_HOST', ref)
    return victim


def is_live(db: database.Database, ref: str) -> bool:
    """What the master believes about a host."""
    metrics = db.row('host', ref)['metrics']
    return bool(db.row('host_metrics', metrics)['live'])


def _check(db: database.Database, ref: str) -> None:
    """xapi#eject-checks, in its order."""
    if db.pool['master'] == ref:
        raise failure.Failure(
            'INTERNAL_ERROR', 'Xapi_pool.Cannot_eject_master'
        )
    if db.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')
    if 'apply_updates' in db.pool['current_operations'].values():
        raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')
    for vm in db.where('VM', resident_on=ref, is_control_domain=False):
        if db.row('VM', vm)['power_state'] != 'Halted':
            raise failure.Failure(
                'OPERATION_NOT_ALLOWED', 'VM resident on host'
            )


def _unplug(db: database.Database, ref: str) -> None:
    """Unplug the victim's PBDs; a disk in use stops that half-way.

    See xapi#eject-checks.
    """
    for pbd in db.where('PBD', host=ref):
        row = db.row('PBD', pbd)
        for vdi in db.where('VDI', SR=row['SR']):
            if _in_use(db, ref, vdi):
                raise failure.Failure('VDI_IN_USE', vdi, 'detach')
        row['currently_attached'] = False


def _in_use(db: database.Database, ref: str, vdi: str) -> bool:
    """Whether the victim's own control domain holds a disk."""
    return any(
        db.row('VM', row['VM'])['is_control_domain']
        and db.row('VM', row['VM'])['resident_on'] == ref
        for row in (db.row('VBD', vbd) for vbd in db.where('VBD', VDI=vdi))
        if row['currently_attached']
    )


def _forget_storage(
    db: database.Database, victim: hosts.Host, ref: str
) -> None:
    """Forget the SRs which only the victim has a PBD for, shared or not.

    See xapi#eject-forgets-storage.
    """
    for pbd in db.where('PBD', host=ref):
        sr = db.row('PBD', pbd)['SR']
        storage.keep(victim, db, sr)
        db.delete('PBD', pbd)
        if db.where('PBD', SR=sr):
            continue
        for vdi in db.where('VDI', SR=sr):
            db.delete('VDI', vdi)
        db.delete('SR', sr)


def _remove_control_domain(db: database.Database, ref: str) -> None:
    for vm in db.where('VM', resident_on=ref, is_control_domain=True):
        db.delete('VM', vm)


def _remove_host(context: operations.Context, ref: str) -> None:
    """The record goes at once, what hangs on it later.

    See xapi#eject-timeline.
    """
    db = context.db
    forget(db, ref)
    metrics = db.row('host', ref)['metrics']
    db.delete('host', ref)
    host_records.recompute_cpu_info(db)

    def garbage() -> None:
        db.delete('host_metrics', metrics)
        for pif in db.where('PIF', host=ref):
            db.delete('PIF', pif)

    context.world.later(context.world.times.eject_garbage, garbage)


def forget(db: database.Database, ref: str) -> None:
    """Remove what cannot be without its host."""
    for kind in ('host_cpu', 'Certificate', 'PBD'):
        for member in db.where(kind, host=ref):
            db.delete(kind, member)


def _reset(context: operations.Context, victim: hosts.Host) -> None:
    """Let the victim burn its fuse, lose all, and come back as new."""
    world, method = context.world, context.method
    if victim.xapi is None:
        return

    def burnt() -> None:
        lifecycle.stop(world, victim)
        _reinstall(world, victim)
        if world.faults.take(('no_return',), method, victim.name):
            lifecycle.power_off(world, victim)
        world.later(world.times.reboot, lambda: _first_boot(world, victim))

    lifecycle.light_fuse(world, victim, victim.xapi, burnt)


def _reinstall(world: worlds.World, victim: hosts.Host) -> None:
    """What is left after the reset (xapi#eject-destroys)."""
    victim.master = None
    victim.tls_verification_enabled = False
    victim.auto_enable = True
    victim.spec = dataclasses.replace(
        victim.spec, other_config={}, vlans=[], bonds=[], ha_enabled=False
    )
    world.certify(victim)
    host_records.new_pool(victim, world.clock.time())
    db = victim.database
    new = topology.Repository('Local storage', str(uuid.uuid4()), 'ext')
    contents.add_sr(db, new, [db.pool['master']], victim)


def _first_boot(world: worlds.World, victim: hosts.Host) -> None:
    """Start anew; enabled only when storage is there (xapi#eject-timeline)."""
    lifecycle.start(world, victim, world.times.first_storage_init)
