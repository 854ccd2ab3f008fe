"""Rebooting hosts and switching them off and on.

See xapi#host-operations and xapi#maintenance-calls.
"""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.hosts import calls as host_calls
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.machines import calls as machine_calls
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory


def shutdown(context: operations.Context, ref: str) -> operations.Steps:
    """Switch a disabled host off, after the answer."""
    host, db = (yield from _prepare(context, ref, 'shutdown')), context.db
    world = context.world

    def off() -> None:
        _leave(context, db, ref)
        lifecycle.power_off(world, host)

    world.later(world.times.fuse, off)
    return ''


def reboot(context: operations.Context, ref: str) -> operations.Steps:
    """Reboot a disabled host, after the answer."""
    host, db = (yield from _prepare(context, ref, 'reboot')), context.db
    world = context.world

    def down() -> None:
        _leave(context, db, ref)
        booted = host_records.start_time(context.now + world.times.reboot)
        if db.exists('host', ref):
            db.row('host', ref)['other_config']['boot_time'] = booted
        host.disabled_until_reboot = False
        lifecycle.restart(world, host, world.times.reboot)

    world.later(world.times.fuse, down)
    return ''


def _prepare(
    context: operations.Context, ref: str, operation: str
) -> operations.Steps:
    """The host, if it may go down; with HA on it stays disabled."""
    host: hosts.Host = yield from host_calls.reach(context, ref)
    db = context.db
    task = host_exclusion.occupy(db, ref, operation, context.task)
    host_exclusion.release(db, ref, task)
    host.disabled_until_reboot = bool(db.pool['ha_enabled'])
    return host


def _leave(
    context: operations.Context, db: database.Database, ref: str
) -> None:
    """Guests are shut down; a clean end is told.

    See xapi#simulated-behaviour-13.
    """
    if not db.exists('host', ref):
        return
    for vm in db.where('VM', resident_on=ref, is_control_domain=False):
        machine_calls.halt(db, vm)
    liveness.set_live(context.world, db, ref, live=False)
    memory.refresh(db, ref)


def power_on(context: operations.Context, ref: str) -> operations.Steps:
    """Switch a host on by its management controller, if it has one."""
    db, world = context.db, context.world
    row = db.row('host', ref)
    if host_exclusion.is_live(db, row):
        raise failure.Failure('HOST_IS_LIVE', ref)
    if not row['power_on_mode']:
        raise failure.Failure('HOST_POWER_ON_MODE_DISABLED')
    yield world.times.power_on
    host = world.by_uuid(row['uuid'])
    if host is not None:
        host.disabled_until_reboot = False
        lifecycle.power_on(world, host)
    return ''


def set_power_on_mode(
    context: operations.Context, ref: str, mode: str, config: dict[str, str]
) -> str:
    """Say how a host can be switched on."""
    row = context.db.row('host', ref)
    row['power_on_mode'], row['power_on_config'] = mode, dict(config)
    return ''
