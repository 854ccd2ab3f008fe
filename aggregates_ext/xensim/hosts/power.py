"""Rebooting hosts and switching them off and on.

See xapi#host-operations and xapi#maintenance-calls.
"""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.hosts import calls as host_calls
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.life import plugging
from aggregates_ext.xensim.machines import powerstate
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory


def shutdown(context: operations.Context, ref: str) -> operations.Steps:
    """Switch a disabled host off, after the answer."""
    host, db = (yield from _prepare(context, ref, 'shutdown')), context.db

    def off() -> None:
        _leave(context, db, ref)
        lifecycle.power_off(context.world, host)

    _go_down(context, host, off)
    return ''


def reboot(context: operations.Context, ref: str) -> operations.Steps:
    """Reboot a disabled host, after the answer."""
    host, db = (yield from _prepare(context, ref, 'reboot')), context.db
    world = context.world

    def down() -> None:
        if world.faults.take(('no_boot',), '', host.name) is not None:
            lifecycle.restart(world, host, world.times.restart)
            return
        _leave(context, db, ref)
        lifecycle.reboot(world, host)

    _go_down(context, host, down)
    return ''


def _go_down(
    context: operations.Context, host: hosts.Host, act: lifecycle.Action
) -> None:
    """Do it later, unless the machine has gone down before."""
    xapi = host.xapi

    def when_due() -> None:
        if xapi is not None and xapi.alive:
            act()

    context.world.later(context.world.times.fuse, when_due)


def _prepare(
    context: operations.Context, ref: str, operation: str
) -> operations.Steps:
    """The host, if it may go down; with HA on it stays disabled.

    The operation is there until the host is back (xapi#reboots).
    """
    host: hosts.Host = yield from host_calls.reach(context, ref)
    db, times = context.db, context.world.times
    while host_exclusion.waits(db, ref, operation):
        yield times.pool_operation_retry / 2
    task = host_exclusion.occupy(db, ref, operation, context.task)
    yield times.host_operation
    if db.pool['ha_enabled'] and _has_lost_statefile(context, ref, host):
        host_exclusion.release(db, ref, task)
        raise failure.Failure('HA_LOST_STATEFILE')
    host_exclusion.turn_to(db, ref, task, 'shutdown')
    host.disabled_until_reboot = bool(db.pool['ha_enabled'])
    return host


def _has_lost_statefile(
    context: operations.Context, ref: str, host: hosts.Host
) -> bool:
    """The daemon of HA has no access to it (xapi#ha-statefile).

    As the record says, or as was planted: then it has lost it just now.
    """
    db, faults = context.db, context.world.faults
    known = (
        db.pool['ha_statefiles'] and not db.row('host', ref)['ha_statefiles']
    )
    return bool(known) or (
        faults.take(('no_state',), '', host.name) is not None
    )


def _leave(
    context: operations.Context, db: database.Database, ref: str
) -> None:
    """Guests are shut down, storage is detached; a clean end is told.

    See xapi#simulated-behaviour-13.
    """
    if not db.exists('host', ref):
        return
    host = domains.machine(context.world, db, ref)
    context.world.lost += [] if host is None else host.domains
    for vm in db.where('VM', resident_on=ref, is_control_domain=False):
        powerstate.stop(db, vm)
    plugging.unplug(db, ref)
    if ref != db.pool['master']:
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
        lifecycle.power_on(world, host)
    return ''


def set_power_on_mode(
    context: operations.Context, ref: str, mode: str, config: dict[str, str]
) -> str:
    """Say how a host can be switched on."""
    row = context.db.row('host', ref)
    row['power_on_mode'], row['power_on_config'] = mode, dict(config)
    return ''
