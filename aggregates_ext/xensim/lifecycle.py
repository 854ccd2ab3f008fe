"""How xapi ends and starts: fuses, restarts, power, being a slave anew."""

import collections.abc

from aggregates_ext.xensim import database
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import host as hosts
from aggregates_ext.xensim import population
from aggregates_ext.xensim import restrictions
from aggregates_ext.xensim import world as worlds

Action = collections.abc.Callable[[], None]


def start(world: worlds.World, host: hosts.Host) -> None:
    """Start xapi in the role which the role file says."""
    if host.xapi is not None or not host.powered:
        return
    host.xapi = xapi = hosts.Xapi(host.master)
    reopen(host)
    if xapi.master is None:
        _start_as_master(world, host)
    else:
        _start_as_slave(world, host, xapi)


def stop(world: worlds.World, host: hosts.Host) -> None:
    """End xapi: connections break, sessions and tasks are lost."""
    xapi, host.xapi = host.xapi, None
    if xapi is not None:
        xapi.ended.set()
        if host.door is not None:
            host.door.close()
        _fall_silent(world, host)


def restart(world: worlds.World, host: hosts.Host, down: float) -> None:
    """End xapi, and start it again after a time."""
    stop(world, host)
    world.later(down, lambda: start(world, host))


def light_fuse(
    world: worlds.World, host: hosts.Host, xapi: hosts.Xapi, end: Action
) -> None:
    """Change the role when the fuse has burnt (contract 1)."""
    xapi.fused = True

    def burnt() -> None:
        if xapi.alive:
            end()

    world.later(world.times.fuse, burnt)


def power_off(world: worlds.World, host: hosts.Host) -> None:
    """Pull the plug."""
    stop(world, host)
    host.powered = False


def power_on(world: worlds.World, host: hosts.Host) -> None:
    """Switch the machine on; it boots."""
    if not host.powered:
        host.powered = True
        world.later(world.times.reboot, lambda: start(world, host))


def cut_off(world: worlds.World, host: hosts.Host, cut: bool) -> None:
    """Take a running host off the network, or put it back."""
    if host.reachable is not cut:
        return
    host.reachable = not cut
    if host.door is None or host.xapi is None:
        return
    if cut:
        host.door.deafen()
        _fall_silent(world, host)
    else:
        host.door.close()
        reopen(host)
        _heartbeat(world, host)


def refuse(
    world: worlds.World, host: hosts.Host, seconds: float | None
) -> None:
    """Close the port while the process behind it goes on."""
    if host.door is not None:
        host.door.close()
    if seconds is not None:
        world.later(seconds, lambda: reopen(host))


def reopen(host: hosts.Host) -> None:
    """Take connections again, if there is a process to serve them."""
    if host.door is not None and host.xapi is not None and host.reachable:
        host.door.open()


def _start_as_master(world: worlds.World, host: hosts.Host) -> None:
    db = host.database
    db.clear('session')
    db.clear('task')
    db.pool['current_operations'] = {}
    row = db.row('host', db.pool['master'])
    _mark_start(world, row)
    set_enabled(row, host.auto_enable)


def _mark_start(world: worlds.World, row: database.Record) -> None:
    started = population.start_time(world.clock.time())
    row['other_config']['agent_start_time'] = started


def set_enabled(row: database.Record, enabled: bool) -> None:
    """Let a host take machines, or not."""
    row['enabled'] = enabled
    row['allowed_operations'] = list(
        restrictions.HOST_OPERATIONS
        if enabled
        else restrictions.HOST_DISABLED_OPERATIONS
    )


def _start_as_slave(
    world: worlds.World, host: hosts.Host, xapi: hosts.Xapi
) -> None:
    """Pass through what join_2.txt shows before the master is asked."""
    times = world.times
    host.database = database.Database()
    xapi.blocked_until = world.clock.time() + times.slave_blocked

    def emergency(code: str) -> None:
        if xapi.alive:
            xapi.emergency = failure.Failure(code)

    moment = times.slave_blocked
    world.later(moment, lambda: emergency('HOST_HAS_NO_MANAGEMENT_IP'))
    moment += times.no_management_ip
    world.later(moment, lambda: emergency('HOST_STILL_BOOTING'))
    moment += times.still_booting
    world.later(moment, lambda: _hello(world, host, xapi))


def _hello(world: worlds.World, host: hosts.Host, xapi: hosts.Xapi) -> None:
    """Report to the master (contract 2.6 and 4.5)."""
    if not xapi.alive or xapi.master is None:
        return
    master = world.serving_master(xapi.master) if host.reachable else None
    if master is None:
        retry = world.times.master_retry
    elif not master.database.where('host', uuid=host.uuid):
        xapi.emergency = failure.Failure('HOST_UNKNOWN_TO_MASTER', host.uuid)
        retry = world.times.unknown_retry
    else:
        _welcome(world, host, xapi, master)
        return
    world.later(retry, lambda: _hello(world, host, xapi))


def _welcome(
    world: worlds.World,
    host: hosts.Host,
    xapi: hosts.Xapi,
    master: hosts.Host,
) -> None:
    xapi.emergency, xapi.blocked_until = None, 0.0
    host.silent_since = None
    host.password = master.password
    db = master.database
    ref = db.by_uuid('host', host.uuid)
    row = db.row('host', ref)
    set_enabled(row, False)
    _mark_start(world, row)
    row['cpu_info'] = population.cpu_info(host.spec.cpu)
    set_live(world, db, ref, True)
    population.recompute_cpu_info(db)

    def storage_ready() -> None:
        if xapi.alive and db.exists('host', ref):
            _plug_storage(db, ref)
            set_enabled(row, host.auto_enable)

    world.later(world.times.storage_init, storage_ready)


def _plug_storage(db: database.Database, host: str) -> None:
    """Attach all storage, the pool's shared SRs included (contract 4.4)."""
    for sr in db.where('SR', shared=True):
        existing = db.where('PBD', SR=sr)
        if existing and not db.where('PBD', SR=sr, host=host):
            config = db.row('PBD', existing[0])['device_config']
            db.create('PBD', SR=sr, host=host, device_config=config)
    for pbd in db.where('PBD', host=host):
        db.row('PBD', pbd)['currently_attached'] = True


def set_live(
    world: worlds.World, db: database.Database, ref: str, live: bool
) -> None:
    """Write whether a host is alive, as its master sees it."""
    metrics = db.row('host_metrics', db.row('host', ref)['metrics'])
    metrics['live'] = live
    metrics['last_updated'] = database.date(world.clock.time())


def _on_master(
    world: worlds.World, host: hosts.Host
) -> tuple[database.Database, str] | None:
    """The record of a slave in the database of its master."""
    master = world.at_address(host.master) if host.master else None
    if master is None:
        return None
    for ref in master.database.where('host', uuid=host.uuid):
        return master.database, ref
    return None


def _heartbeat(world: worlds.World, host: hosts.Host) -> None:
    host.silent_since = None
    if found := _on_master(world, host):
        set_live(world, *found, live=True)


def _fall_silent(world: worlds.World, host: hosts.Host) -> None:
    """The master gives up a silent host after ten minutes (contract 3.2)."""
    host.silent_since = moment = world.clock.time()

    def give_up() -> None:
        found = _on_master(world, host)
        if found and host.silent_since == moment:
            set_live(world, *found, live=False)

    world.later(world.times.assumed_dead, give_up)
