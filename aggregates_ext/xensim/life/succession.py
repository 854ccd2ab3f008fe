"""The database of a pool goes with the role of its master.

See xapi#change-of-master.
"""

import dataclasses

from aggregates_ext.xensim.life import liveness
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


def is_watched(host: hosts.Host) -> bool:
    """Whether others take over when this master is away (xapi#ha-master)."""
    if host.master is not None or not host.database.rows('pool'):
        return False
    return bool(host.database.pool['ha_enabled'])


def depose(world: worlds.World, old: hosts.Host) -> list[hosts.Host]:
    """Give the role to a host that lives, and point all others to it.

    Nothing is lost: each change is in the redo log. The old master finds out
    when it boots, as do others that are off. Without a host that lives it
    keeps the role.

    :returns: those that restart with their new roles
    """
    db = old.database
    if not is_watched(old) or old.xapi is not None:
        return []
    known = [world.by_uuid(row['uuid']) for _, row in db.rows('host')]
    members = [
        host
        for host in known
        if host is not None and host.master == old.address
    ]
    living = [host for host in members if world.answers(host)]
    if not living:
        return []
    # Who asks first: it may be any, a disabled one too.
    heir = min(living, key=lambda host: host.uuid)
    liveness.set_live(world, db, db.by_uuid('host', old.uuid), live=False)
    _hand_over(old, heir)
    heir.backup = None
    for host in (old, *members):
        host.master = None if host is heir else heir.address
    return living


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
