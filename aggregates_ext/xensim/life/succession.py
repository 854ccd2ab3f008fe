"""The database of a pool goes with the role of its master.

See xapi#change-of-master.
"""

import dataclasses

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


def settle(world: worlds.World, host: hosts.Host) -> None:
    """Hand over what is due, whichever of the two hosts starts first."""
    if host.master is None:
        if not host.database.rows('pool'):
            _take_over(world, host)
        return
    heir = world.at_address(host.master)
    if heir is not None and _is_due(host, heir):
        _hand_over(host, heir)


def give_way(world: worlds.World, host: hosts.Host) -> None:
    """A master which starts follows another one that it finds.

    It asks all hosts that it knows (xapi#two-masters).
    """
    db = host.database
    if host.master is not None or host.broken or not db.rows('pool'):
        return
    for _, row in db.rows('host'):
        other = world.by_uuid(row['uuid'])
        if other is None or other is host:
            continue
        serves = world.serving_master(other.address) is other
        if serves and world.reaches(host, other) and _same(db, other.database):
            host.master = other.address
            return


def _same(mine: database.Database, other: database.Database) -> bool:
    """Whether two databases are of one pool: who asks has its secret."""
    return bool(other.where('pool', uuid=mine.pool['uuid']))


def _take_over(world: worlds.World, heir: hosts.Host) -> None:
    for old in world.hosts.values():
        if old.master == heir.address and _is_due(old, heir):
            _hand_over(old, heir)
            return


def _is_due(old: hosts.Host, heir: hosts.Host) -> bool:
    """Whether the heir has nothing and is known to the old master."""
    if heir.master is not None or heir.database.rows('pool'):
        return False
    return bool(old.database.where('host', uuid=heir.uuid))


def _hand_over(old: hosts.Host, heir: hosts.Host) -> None:
    """Who still runs as master keeps its copy as long."""
    if old.xapi is None or old.xapi.is_slave:
        heir.database, old.database = old.database, database.Database()
    else:
        heir.database = old.database.clone()
    pool = heir.database.pool
    pool['master'] = heir.database.by_uuid('host', heir.uuid)
    pool['last_update_sync'] = database.NEVER
    heir.spec = dataclasses.replace(
        heir.spec, read_only_users=dict(old.spec.read_only_users)
    )
