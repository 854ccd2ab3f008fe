"""The storage of a host: plugged when its xapi starts, or not.

See xapi#join-copies and xapi#reboots.
"""

from aggregates_ext.xensim.records import database
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
    others = [other for other in world.hosts.values() if other is not member]
    away = {uuid for other in others for uuid in other.storage}
    for sr in db.where('SR', shared=True):
        existing = db.where('PBD', SR=sr)
        if existing and not db.where('PBD', SR=sr, host=host):
            config = db.row('PBD', existing[0])['device_config']
            db.create('PBD', SR=sr, host=host, device_config=config)
    if world.faults.take(('no_storage',), '', member.name) is not None:
        unplug(db, host)
        return
    for pbd in db.where('PBD', host=host):
        row = db.row('PBD', pbd)
        row['currently_attached'] = db.row('SR', row['SR'])['uuid'] not in away


def unplug(db: database.Database, host: str) -> None:
    """Detach all storage of a host: it goes down."""
    for pbd in db.where('PBD', host=host):
        db.row('PBD', pbd)['currently_attached'] = False
