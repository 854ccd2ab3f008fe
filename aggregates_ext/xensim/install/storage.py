"""On whose disks storage lies, whatever records say of it.

See xapi#storage-drivers and xapi#eject-destroys.
"""

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import host as hosts

REMOTE = frozenset(
    {
        'cephfs',
        'cifs',
        'glusterfs',
        'hba',
        'iscsi',
        'linstor',
        'lvhdofcoe',
        'lvhdohba',
        'lvhdoiscsi',
        'lvmofcoe',
        'lvmohba',
        'lvmoiscsi',
        'moosefs',
        'nfs',
        'smb',
    }
)
"""Drivers whose storage is not on the disks of one host."""
DEVICES = 'udev'
"""The type of SRs which show devices, such as USB sticks: these stay."""
LEGACY = 'legacy_mode'
"""With this key in its device_config, images are in a local directory."""

Config = dict[str, str]


def on_disks(kind: str, config: Config) -> bool:
    """Whether storage of a type is on the disks of the host it is used on."""
    if kind == 'iso':
        return LEGACY in config or not config.get('location')
    return kind not in REMOTE and kind != DEVICES


def device_config(kind: str, name: str) -> Config:
    """How a host reaches storage of which nothing else is told."""
    if kind == 'nfs':
        return {'server': 'nfs.example.org', 'serverpath': f'/{name}'}
    return {'device': f'/dev/{name}'}


def keep(host: hosts.Host, db: database.Database, ref: str) -> None:
    """Note what is in an SR on a host's disks: records may go, it stays.

    Types do not change in xapi: one which was changed here tells the truth.
    """
    sr = db.row('SR', ref)
    uuid = sr['uuid']
    if uuid not in host.storage:
        return
    rows = [db.row('VDI', vdi) for vdi in db.where('VDI', SR=ref)]
    host.storage[uuid] = [r['uuid'] for r in rows if not r['missing']]
    pbds = db.where('PBD', SR=ref)
    configs = [db.row('PBD', pbd)['device_config'] for pbd in pbds] or [{}]
    on_any = any(on_disks(sr['type'], config) for config in configs)
    if sr['is_tools_sr'] or not on_any:
        del host.storage[uuid]


def wipe(host: hosts.Host, db: database.Database) -> list[str]:
    """Empty the disks of a host.

    :param db: where the records of its storage are, as far as there are any.
    :returns: uuids of the disks which are destroyed
    """
    for uuid in list(host.storage):
        for ref in db.where('SR', uuid=uuid):
            keep(host, db, ref)
    lost = [disk for found in host.storage.values() for disk in found]
    host.storage.clear()
    return lost
