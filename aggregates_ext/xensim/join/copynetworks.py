"""Copying a joiner's interfaces and networks into its pool.

See xapi#join-copies.
"""

import itertools

from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.records import database

INTERNAL_MANAGEMENT = 'is_host_internal_management_network'

PIF_NEW = ('uuid', 'host', 'network', 'VLAN_master_of', 'bond_slave_of')

Refs = dict[str, str]


def copy(
    local: database.Database, remote: database.Database, refs: Refs
) -> None:
    """Physical interfaces and a management VLAN; repeats duplicate them."""
    for ref, row in local.rows('PIF'):
        if row['physical']:
            found = network(local, remote, refs, row['network'])
            refs[ref] = _pif(remote, row, refs, found)
    for _, row in local.rows('VLAN'):
        untagged = local.row('PIF', row['untagged_PIF'])
        if untagged['management']:
            _management_vlan(remote, row, untagged, refs)


def _pif(
    remote: database.Database,
    row: database.Record,
    refs: Refs,
    network_ref: str,
) -> str:
    kept = {name: row[name] for name in row if name not in PIF_NEW}
    kept |= {'metrics': database.NULL, 'PCI': database.NULL}
    host = refs[row['host']]
    return remote.create('PIF', **kept, host=host, network=network_ref)


def _management_vlan(
    remote: database.Database,
    row: database.Record,
    untagged: database.Record,
    refs: Refs,
) -> None:
    """It goes to the network which the pool is managed on."""
    master = remote.pool['master']
    pool_pif = remote.row('PIF', joinings.management_pif(remote, master))
    pif = _pif(remote, untagged, refs, pool_pif['network'])
    remote.row('PIF', pif)['VLAN_master_of'] = remote.create(
        'VLAN',
        tag=row['tag'],
        tagged_PIF=refs[row['tagged_PIF']],
        untagged_PIF=pif,
    )
    refs[row['untagged_PIF']] = pif


def network(
    local: database.Database,
    remote: database.Database,
    refs: Refs,
    ref: str,
) -> str:
    """The network in the pool: the same bridge, or a new internal one."""
    if ref not in refs:
        row = local.row('network', ref)
        merged = _is_merged(local, ref, row)
        same = remote.where('network', bridge=row['bridge']) if merged else []
        if same:
            refs[ref] = same[0]
        else:
            new = database.fresh(row) | {'blobs': {}}
            if not merged:
                new['bridge'] = free_bridge(remote)
            refs[ref] = remote.create('network', **new)
    return refs[ref]


def _is_merged(
    local: database.Database, ref: str, row: database.Record
) -> bool:
    internal = row['other_config'].get(INTERNAL_MANAGEMENT) == 'true'
    return internal or bool(local.where('PIF', network=ref, physical=True))


def free_bridge(db: database.Database) -> str:
    """The first bridge xapiN which no network has."""
    for number in itertools.count():
        bridge = f'xapi{number}'
        if not db.where('network', bridge=bridge):
            return bridge
    raise AssertionError('numbers do not end')
