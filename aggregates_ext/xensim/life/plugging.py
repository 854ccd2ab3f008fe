"""The storage of a host: plugged when its xapi starts, or not.

See xapi#join-copies and xapi#reboots.
"""

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


def plug(
    world: worlds.World, member: hosts.Host, db: database.Database
) -> None:
    """Attach all storage, the pool's shared SRs included.

    What lies on the disks of another host cannot be, whatever its flag says;
    nor can what the planted fault ``no_storage`` keeps away.
    """
    host = db.by_uuid('host', member.uuid)
    for sr in db.where('SR', shared=True):
        existing = db.where('PBD', SR=sr)
        if existing and not db.where('PBD', SR=sr, host=host):
            config = db.row('PBD', existing[0])['device_config']
            db.create('PBD', SR=sr, host=host, device_config=config)
    if _planted(world, member):
        unplug(db, host)
        return
    for pbd in db.where('PBD', host=host):
        row = db.row('PBD', pbd)
        row['currently_attached'] = not _away(world, member, db, row['SR'])


def attach(
    world: worlds.World, member: hosts.Host, db: database.Database, pbd: str
) -> None:
    """Attach one SR to a host.

    :raises failure.Failure: it is not there, see ``plug``.
    """
    row = db.row('PBD', pbd)
    if row['currently_attached']:
        return
    if _planted(world, member) or _away(world, member, db, row['SR']):
        raise failure.Failure(
            'SR_BACKEND_FAILURE_47',
            '',
            'The SR is not available [opterr=no such storage]',
            '',
        )
    row['currently_attached'] = True


def _planted(world: worlds.World, member: hosts.Host) -> bool:
    """Whether the storage of a host is kept away this time."""
    return world.faults.take(('no_storage',), '', member.name) is not None


def _away(
    world: worlds.World, member: hosts.Host, db: database.Database, sr: str
) -> bool:
    """Whether an SR lies on the disks of another host."""
    uuid = db.row('SR', sr)['uuid']
    others = [other for other in world.hosts.values() if other is not member]
    return any(uuid in other.storage for other in others)


def unplug(db: database.Database, host: str) -> None:
    """Detach all storage of a host: it goes down."""
    for pbd in db.where('PBD', host=host):
        db.row('PBD', pbd)['currently_attached'] = False
