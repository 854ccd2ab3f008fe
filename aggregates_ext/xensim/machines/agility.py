"""Whether a guest could run on any host of its pool (xapi#ha-plan)."""

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure


def refusal(db: database.Database, vm: str) -> failure.Failure | None:
    """What ties a guest to some hosts, or None."""
    row = db.row('VM', vm)
    for field, code in (('VGPUs', 'VM_HAS_VGPU'), ('VUSBs', 'VM_HAS_VUSBS')):
        if row[field]:
            return failure.Failure(code, vm)
    enabled = set(db.where('host', enabled=True))
    for vbd in db.where('VBD', VM=vm, empty=False):
        sr = db.row('VDI', db.row('VBD', vbd)['VDI'])['SR']
        pbds = db.where('PBD', SR=sr, currently_attached=True)
        plugged = {db.row('PBD', pbd)['host'] for pbd in pbds}
        if not db.row('SR', sr)['shared'] or not enabled <= plugged:
            code = 'HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED'
            return failure.Failure(code, sr)
    for vif in db.where('VIF', VM=vm):
        network = db.row('VIF', vif)['network']
        pifs = db.where('PIF', network=network, bond_slave_of=database.NULL)
        if not enabled <= {db.row('PIF', pif)['host'] for pif in pifs}:
            code = 'HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED'
            return failure.Failure(code, network)
    return None
