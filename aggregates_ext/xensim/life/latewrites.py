"""A database that is written late: what a killed master has lost.

See xapi#late-writes.

Without the planted fault ``late_writes`` every change is on the disk at once.
"""

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import faults
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

ACTION = 'late_writes'


def begin(world: worlds.World, host: hosts.Host, fault: faults.Fault) -> None:
    """Write the database now, and then at most every five minutes."""
    write(host)

    def write_again() -> None:
        if fault in world.faults.planted and not fault.hit.is_set():
            write(host)
            world.later(world.times.database_write, write_again)
        else:
            host.written = None

    world.later(world.times.database_write, write_again)


def write(host: hosts.Host) -> None:
    """What is on the disk is what the master has in its memory."""
    if host.database.rows('pool'):
        host.written = host.database.clone()


def sync(host: hosts.Host) -> None:
    """pool.sync_database writes at once."""
    if host.written is not None:
        write(host)


def lose(world: worlds.World, host: hosts.Host) -> None:
    """A master that is killed has what was written last.

    With high availability on it loses nothing: there is the redo log.
    """
    if host.written is None or not host.database.rows('pool'):
        return
    if host.database.pool['ha_enabled']:
        return
    if world.faults.take((ACTION,), '', host.name) is not None:
        host.database = _as_read(host.written)
        host.written = None


def _as_read(written: database.Database) -> database.Database:
    """Operations of pool and hosts die with their tasks."""
    read = written.clone()
    for kind in ('pool', 'host', 'VM'):
        for _, row in read.rows(kind):
            row['current_operations'] = {}
    return read
