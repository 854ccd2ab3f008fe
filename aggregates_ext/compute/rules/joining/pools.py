"""Pools as wholes: who is in them, HA, clusters, what runs in them."""

from typing import Any

from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases
from aggregates_ext.db import addresses

_HA_REMEDY = (
    'Switch it off there ("xe pool-ha-disable"), and on again after the join.'
)


def _ha(side: sides.Side) -> list[str]:
    return ['on'] if side.pool['ha_enabled'] else []


HA_HERE = kinds.none(
    'HA_IS_ENABLED',
    'high availability must be off on the joining host',
    _HA_REMEDY,
    _ha,
)
HA_THERE = kinds.Rule(
    'HA_IS_ENABLED',
    'high availability must be off in the pool',
    _HA_REMEDY,
    lambda facts: kinds.listed(_ha(facts.master)),
)
CLUSTERED = kinds.none(
    'CLUSTERING_ENABLED',
    'the joining host must be in no cluster',
    'Destroy its cluster first (Cluster.destroy).',
    lambda side: [
        f'cluster member {fields.shown(member, "uuid")}'
        for member in side.all('Cluster_host')
        if member['enabled'] and member['host'] == side.master_ref
    ],
)


def _cluster_pifs(facts: sides.Sides) -> list[dict[str, Any]]:
    """The master's interfaces in clusters that new hosts enter."""
    side = facts.master
    if facts.release < releases.CLUSTER_NETWORK:
        return []
    return [
        pif
        for member in side.all('Cluster_host')
        if side.get('Cluster', member['cluster']).get('pool_auto_join')
        and member['host'] == side.master_ref
        and (pif := side.get('PIF', member['PIF']))
    ]


def _on_vlan(pif: dict[str, Any]) -> bool:
    return int(pif['VLAN']) >= 0 and not pif['management']


def _cluster_vlan(facts: sides.Sides) -> str:
    return kinds.listed(
        f'VLAN {pif["VLAN"]} on '
        f'{fields.shown(pif, "device") or "an unknown device"}'
        for pif in _cluster_pifs(facts)
        if _on_vlan(pif)
    )


CLUSTER_VLAN = kinds.Rule(
    'POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK',
    'the cluster of the pool must be on no VLAN but the management one',
    'Set the cluster up again on another network of the pool.',
    _cluster_vlan,
)


def _cluster_addresses(facts: sides.Sides) -> str:
    found = []
    for pif in _cluster_pifs(facts):
        network = facts.master.get('network', pif['network'])
        addresses = _addresses(facts.joiner, network.get('bridge'))
        if len(addresses) != 1 and not _on_vlan(pif):
            have = kinds.listed(addresses) or 'none'
            found.append(f'{have} on network {kinds.named(network)}')
    return kinds.listed(found)


def _addresses(side: sides.Side, bridge: str | None) -> list[str]:
    return [
        pif['IP']
        for pif in side.all('PIF')
        if side.get('network', pif['network']).get('bridge') == bridge
        and pif['IP']
    ]


CLUSTER_ADDRESS = kinds.Rule(
    'POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK',
    'the joining host must have exactly one address on the network of the '
    "pool's cluster",
    'Give it one there (PIF.reconfigure_ip).',
    _cluster_addresses,
)


def _itself(facts: sides.Sides) -> str:
    uuid = facts.joiner.master['uuid']
    if uuid != facts.master.master['uuid']:
        return ''
    return f'uuid {uuid} on both sides'


ITSELF = kinds.Rule(
    'OPERATION_NOT_ALLOWED',
    'the master of the pool must be another host',
    'Cloned installations need uuids of their own: install one anew.',
    _itself,
)


def _listed_already(facts: sides.Sides) -> str:
    uuid = facts.joiner.master['uuid']
    return kinds.listed(
        f'{kinds.named(host)} in the pool'
        for ref, host in facts.master.records['host'].items()
        if host['uuid'] == uuid and ref != facts.master.master_ref
    )


LISTED_ALREADY = kinds.Rule(
    'OPERATION_NOT_ALLOWED',
    'the pool must not list the host already',
    'A stale record of an earlier attempt is removed with "xe '
    'host-forget uuid=UUID"; cloned installations need uuids of their own.',
    _listed_already,
    stricter='a second join reuses the record and duplicates interfaces',
)
ALONE = kinds.none(
    'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS',
    'only a stand-alone host can join',
    'Eject the other hosts first, or forget the dead ones ("xe host-forget '
    'uuid=UUID").',
    lambda side: [
        kinds.named(host)
        for ref, host in side.records['host'].items()
        if ref != side.master_ref
    ],
)


def _applying(side: sides.Side) -> list[str]:
    running = side.pool['current_operations'].values()
    return ['apply_updates'] if 'apply_updates' in running else []


APPLYING = kinds.Rule(
    'NOT_SUPPORTED_DURING_UPGRADE',
    'no update may be applied on either side',
    'Wait for its end.',
    lambda facts: (
        kinds.on_sides(facts, _applying)
        if facts.release >= releases.UPDATES_RUNNING
        else ''
    ),
)


def _rotating(facts: sides.Sides) -> str:
    if facts.release < releases.EXCHANGE:
        return ''
    return 'one' if facts.master.pool.get('is_psr_pending') else ''


ROTATION = kinds.Rule(
    'POOL_SECRET_ROTATION_PENDING',
    'no rotation of the pool secret may be pending',
    'Wait for its end; one that stopped is repeated with "xe '
    'pool-secret-rotate".',
    _rotating,
)
BUSY = kinds.Rule(
    'OTHER_OPERATION_IN_PROGRESS',
    'no operation may run on either pool',
    'Wait for its end, or cancel its task.',
    lambda facts: kinds.on_sides(
        facts,
        lambda side: (
            set(side.pool['current_operations'].values()) - {'apply_updates'}
        ),
    ),
    stricter='xapi waits up to two hours for it within the join, and what '
    'runs on the joining host may change what was just checked',
)


MASTER_ADDRESS = kinds.Rule(
    'HOST_HAS_NO_MANAGEMENT_IP',
    'the master of the pool must have an address, to which the host is sent',
    'If that lasts, look at DHCP and the cable of the master.',
    lambda facts: (
        '' if facts.master.master['address'] else 'none at the master'
    ),
    stricter='xapi would try to join to nowhere, and say so late',
)


def _same_address(facts: sides.Sides) -> str:
    own = facts.joiner.master
    return kinds.listed(
        f'{own["address"]} at host {kinds.named(host)} too'
        for host in facts.master.all('host')
        if own['uuid'] != host['uuid']
        and addresses.same(own['address'], host['address'])
    )


ADDRESS = kinds.Rule(
    'ADDRESS_CLASH',
    'addresses must be unique in a pool',
    'Give the host an address of its own.',
    _same_address,
    stricter='calls would reach the other machine',
)


def hosts_by(facts: sides.Sides, *fields: str) -> list[str]:
    """Hosts of the pool that share a value with the joining one."""
    own = facts.joiner.master
    values = {own[field] for field in fields} - {''}
    return [
        kinds.named(host)
        for host in facts.master.all('host')
        if values & {host[field] for field in fields}
        and host['uuid'] != own['uuid']
    ]
