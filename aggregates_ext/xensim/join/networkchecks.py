"""Checks before a join of interfaces and networks (xapi#join-checks)."""

from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import failure


def has_management(joining: joinings.Joining) -> None:
    """Check 2: the first boot is over."""
    if not joining.local.where('PIF', management=True):
        raise failure.Failure('HOST_STILL_BOOTING')


def cluster_network(joining: joinings.Joining) -> None:
    """Check 5: a pool which clusters its hosts can do so with this one."""
    remote, master = joining.remote, joining.remote.pool['master']
    for cluster in remote.where('Cluster', pool_auto_join=True):
        for ref in remote.where('Cluster_host', cluster=cluster, host=master):
            pif = remote.row('PIF', remote.row('Cluster_host', ref)['PIF'])
            if pif['VLAN'] >= 0 and not pif['management']:
                raise failure.Failure(
                    'POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN'
                    '_NETWORK',
                    str(pif['VLAN']),
                )
            network = remote.row('network', pif['network'])
            _one_address(joining, network['bridge'])


def _one_address(joining: joinings.Joining, bridge: str) -> None:
    local = joining.local
    addresses = [
        local.row('PIF', pif)['IP']
        for network in local.where('network', bridge=bridge)
        for pif in local.where('PIF', network=network)
    ]
    if len([address for address in addresses if address]) != 1:
        raise failure.Failure(
            'POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK'
        )


def only_physical(joining: joinings.Joining) -> None:
    """Instead of 15 to 18, before they came."""
    local = joining.local
    (management,) = local.where('PIF', management=True)[:1]
    if joining.release < presets.PHYSICAL_MANAGEMENT_UNTIL:
        if not local.row('PIF', management)['physical']:
            raise failure.Failure(
                'POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC'
            )
    elif local.where('PIF', physical=False):
        raise failure.Failure('POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS')


def no_bonds(joining: joinings.Joining) -> None:
    """Check 15: no bonds here."""
    if joining.local.rows('Bond'):
        raise failure.Failure('POOL_JOINING_HOST_HAS_BONDS')


def no_tunnels(joining: joinings.Joining) -> None:
    """Check 16: no tunnels here."""
    if joining.local.rows('tunnel'):
        raise failure.Failure('POOL_JOINING_HOST_HAS_TUNNELS')


def no_sriovs(joining: joinings.Joining) -> None:
    """Check 17: no SR-IOV here."""
    if joining.local.rows('network_sriov'):
        raise failure.Failure('POOL_JOINING_HOST_HAS_NETWORK_SRIOVS')


def only_management_vlan(joining: joinings.Joining) -> None:
    """Check 18: no VLANs here but that of management."""
    for _, vlan in joining.local.rows('VLAN'):
        if not joining.local.row('PIF', vlan['untagged_PIF'])['management']:
            raise failure.Failure('POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS')


def management_vlan(joining: joinings.Joining) -> None:
    """Check 19: management is on the same VLAN."""
    here, there = (pif['VLAN'] for pif in joining.management_pifs())
    if here != there:
        raise failure.Failure(
            'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
            str(here),
            str(there),
        )


def network_backend(joining: joinings.Joining) -> None:
    """Check 22: the same network backend, and SDN controller if any."""
    if not joining.same_version('network_backend'):
        raise failure.Failure(joinings.NOT_ALLOWED, 'Network backends differ')
    version = joining.here['software_version']
    if version.get('network_backend') != 'openvswitch':
        return
    here, there = (
        {
            (row['protocol'], row['address'], row['port'])
            for _, row in db.rows('SDN_controller')
        }
        for db in (joining.local, joining.remote)
    )
    if here and here != there:
        raise failure.Failure(joinings.NOT_ALLOWED, 'SDN controller differs')


def address_type(joining: joinings.Joining) -> None:
    """Check 26: both managed over IPv4, or both over IPv6."""
    here, there = (
        pif['primary_address_type'] for pif in joining.management_pifs()
    )
    if here != there:
        raise failure.Failure(
            joinings.NOT_ALLOWED, 'Primary address type differs'
        )


def nbd_purposes(joining: joinings.Joining) -> None:
    """Check 27: not nbd here and insecure_nbd there."""
    purposes = {
        purpose
        for db in (joining.local, joining.remote)
        for _, network in db.rows('network')
        for purpose in network['purpose']
    }
    if {'nbd', 'insecure_nbd'} <= purposes:
        raise failure.Failure(
            joinings.NOT_ALLOWED,
            'Incompatible network purposes: nbd and insecure_nbd',
        )
