"""Calls on the storage of a host: as little as pools need."""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.hosts import calls
from aggregates_ext.xensim.life import plugging
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts


def plug(context: operations.Context, ref: str) -> operations.Steps:
    """Attach an SR to a host, which does it itself (xapi#reboots)."""
    row = context.db.row('PBD', ref)
    host: hosts.Host = yield from calls.reach(context, row['host'])
    plugging.attach(context.world, host, context.db, ref)
    return ''


def unplug(context: operations.Context, ref: str) -> str:
    """Detach an SR from a host, unless a machine there uses it."""
    db = context.db
    row = db.row('PBD', ref)
    for vdi in db.where('VDI', SR=row['SR']):
        for vbd in db.where('VBD', VDI=vdi, currently_attached=True):
            vm = db.row('VM', db.row('VBD', vbd)['VM'])
            if vm['resident_on'] == row['host']:
                raise failure.Failure('VDI_IN_USE', vdi, 'unplug')
    row['currently_attached'] = False
    return ''
