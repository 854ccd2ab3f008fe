"""What a master knows of its hosts: alive or not, enabled or not."""

from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


def mark_start(
    world: worlds.World, host: hosts.Host, row: database.Record
) -> None:
    """Tell when xapi has started, and the machine, where that is new.

    By its own clock.
    """
    config = row['other_config']
    offset, now = host.spec.clock_offset, world.clock.time()
    config['agent_start_time'] = host_records.start_time(now + offset)
    if host.booted is not None:
        booted = host_records.start_time(host.booted + offset)
        config['boot_time'] = booted
        host.booted = None


def set_enabled(row: database.Record, enabled: bool) -> None:
    """Let a host take machines, or not."""
    row['enabled'] = enabled
    row['allowed_operations'] = host_exclusion.allowed(row)


def set_live(
    world: worlds.World, db: database.Database, ref: str, live: bool
) -> None:
    """Write whether a host is alive, as its master sees it."""
    metrics = db.row('host_metrics', db.row('host', ref)['metrics'])
    changed = metrics['live'] != live
    metrics['live'] = live
    metrics['last_updated'] = database.date(world.clock.time())
    if changed:
        haplan.follow(db)


def _on_master(
    world: worlds.World, host: hosts.Host, address: str
) -> tuple[database.Database, str] | None:
    """The record of a slave in the database of its master."""
    master = world.at_address(address)
    if master is None:
        return None
    for ref in master.database.where('host', uuid=host.uuid):
        return master.database, ref
    return None


def heartbeat(world: worlds.World, host: hosts.Host) -> None:
    """The master hears its slave, and knows what can be done with it."""
    host.silent_since = None
    if host.master and (found := _on_master(world, host, host.master)):
        db, ref = found
        set_live(world, db, ref, live=True)
        set_enabled(db.row('host', ref), db.row('host', ref)['enabled'])


def miss(world: worlds.World, host: hosts.Host) -> None:
    """A new master gives up those who follow another (xapi#two-masters)."""

    def give_up() -> None:
        if host.master is not None or not host.database.rows('pool'):
            return
        for ref, row in host.database.rows('host'):
            member = world.by_uuid(row['uuid'])
            if member is None or not world.is_member(member, host):
                set_live(world, host.database, ref, live=False)

    world.later(world.times.assumed_dead, give_up)


def fall_silent(world: worlds.World, host: hosts.Host) -> None:
    """The master gives up a silent host after ten minutes.

    It does so too when the host has left it meanwhile. See
    xapi#host-record and xapi#eject-errors.
    """
    address = host.master
    if address is None:
        return
    host.silent_since = moment = host.silent_since or world.clock.time()

    def give_up() -> None:
        found = _on_master(world, host, address)
        if found and host.silent_since == moment:
            set_live(world, *found, live=False)

    world.later(world.times.assumed_dead, give_up)
