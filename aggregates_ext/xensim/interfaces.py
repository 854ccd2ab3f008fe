"""The network interfaces of a host: physical, VLANs, bonds."""

from aggregates_ext.xensim import database
from aggregates_ext.xensim import host as hosts
from aggregates_ext.xensim import topology


def find_network(db: database.Database, bridge: str, label: str) -> str:
    """The network on a bridge, made if it is not there."""
    for ref in db.where('network', bridge=bridge):
        return ref
    return db.create(
        'network',
        bridge=bridge,
        name_label=label,
        MTU=1500,
        managed=True,
        default_locking_mode='unlocked',
    )


def add(db: database.Database, host: hosts.Host, ref: str) -> None:
    """Add the management interface, the VLANs and the bonds of a host."""
    spec = host.spec
    on_vlan = any(vlan.management for vlan in spec.vlans)
    label = 'Pool-wide network 0'
    physical = add_pif(
        db,
        ref,
        'eth0',
        find_network(db, 'xenbr0', label),
        physical=True,
        management=not on_vlan,
        IP='' if on_vlan else spec.address,
        MAC=mac(spec.uuid, 'eth0'),
    )
    for vlan in spec.vlans:
        add_vlan(db, host, ref, physical, vlan)
    for number, bond in enumerate(spec.bonds):
        add_bond(db, host, ref, number, bond)


def mac(*names: str) -> str:
    """A locally administered address, always the same for a device."""
    digits = topology.identity(*names).replace('-', '')
    return ':'.join(['02', *(digits[at : at + 2] for at in range(0, 10, 2))])


def add_pif(
    db: database.Database,
    host: str,
    device: str,
    network: str,
    **values: database.Value,
) -> str:
    """Add an interface of a host."""
    fields: database.Record = {
        'MTU': 1500,
        'VLAN': -1,
        'currently_attached': True,
        'managed': True,
        'igmp_snooping_status': 'disabled',
        'ipv6_configuration_mode': 'None',
        'primary_address_type': 'IPv4',
        'properties': {'gro': 'on'},
        'ip_configuration_mode': 'Static' if values.get('IP') else 'None',
        'netmask': '255.255.255.0' if values.get('IP') else '',
    } | values
    return db.create(
        'PIF', host=host, device=device, network=network, **fields
    )


def add_vlan(
    db: database.Database,
    host: hosts.Host,
    ref: str,
    physical: str,
    vlan: topology.Vlan,
) -> None:
    """Add a VLAN on the physical interface of a host."""
    bridge = f'xapi{vlan.tag}'
    pif = add_pif(
        db,
        ref,
        db.row('PIF', physical)['device'],
        find_network(db, bridge, f'VLAN {vlan.tag}'),
        VLAN=vlan.tag,
        management=vlan.management,
        IP=host.address if vlan.management else '',
        MAC=db.row('PIF', physical)['MAC'],
    )
    db.row('PIF', pif)['VLAN_master_of'] = db.create(
        'VLAN', tag=vlan.tag, tagged_PIF=physical, untagged_PIF=pif
    )


def add_bond(
    db: database.Database,
    host: hosts.Host,
    ref: str,
    number: int,
    bond: topology.Bond,
) -> None:
    """Add a bond of further devices of a host."""
    slaves = [
        add_pif(
            db,
            ref,
            device,
            find_network(db, f'xenbr-{device}', f'Network of {device}'),
            physical=True,
            MAC=mac(host.uuid, device),
        )
        for device in bond.devices or ['eth1', 'eth2']
    ]
    master = add_pif(
        db,
        ref,
        f'bond{number}',
        find_network(db, f'xapi-bond{number}', f'Bond {number}'),
        MAC=mac(host.uuid, f'bond{number}'),
    )
    bond_ref = db.create(
        'Bond',
        master=master,
        slaves=slaves,
        primary_slave=slaves[0],
        mode='balance-slb',
        links_up=len(slaves),
    )
    for slave in slaves:
        db.row('PIF', slave)['bond_slave_of'] = bond_ref
