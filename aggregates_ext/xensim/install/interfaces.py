"""The network interfaces of a host: physical, VLANs, bonds."""

from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import host as hosts


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
        MAC=mac(spec.uuid, 'eth0'),
        **address('' if on_vlan else spec.address),
    )
    for device in spec.nics:
        add_nic(db, host, ref, device)
    for tagged in spec.vlans:
        add_vlan(db, host, ref, physical, tagged)
    for number, bonded in enumerate(spec.bonds):
        add_bond(db, host, ref, number, bonded)


def address(text: str) -> database.Record:
    """The fields of an interface with an address, or with none."""
    return {
        'IP': text,
        'ip_configuration_mode': 'Static' if text else 'None',
        'netmask': '255.255.255.0' if text else '',
    }


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
        'ip_configuration_mode': 'None',
    } | values
    return db.create(
        'PIF', host=host, device=device, network=network, **fields
    )


def add_vlan(
    db: database.Database,
    host: hosts.Host,
    ref: str,
    physical: str,
    described: topology.Vlan,
) -> None:
    """Add a VLAN on the physical interface of a host."""
    tag = described.tag
    network = find_network(db, f'xapi{tag}', f'VLAN {tag}')
    pif = vlan(db, physical, tag, network)
    if described.management:
        db.row('PIF', pif).update(management=True, **address(host.address))


def vlan(db: database.Database, tagged: str, tag: int, network: str) -> str:
    """Add a VLAN on an interface; the answer: its own interface."""
    row = db.row('PIF', tagged)
    pif = add_pif(
        db, row['host'], row['device'], network, VLAN=tag, MAC=row['MAC']
    )
    db.row('PIF', pif)['VLAN_master_of'] = db.create(
        'VLAN', tag=tag, tagged_PIF=tagged, untagged_PIF=pif
    )
    return pif


def add_bond(
    db: database.Database,
    host: hosts.Host,
    ref: str,
    number: int,
    described: topology.Bond,
) -> None:
    """Add a bond of further devices of a host."""
    slaves = [
        add_nic(db, host, ref, device)
        for device in described.devices or ['eth1', 'eth2']
    ]
    name = f'bond{number}'
    network = find_network(db, f'xapi-{name}', f'Bond {number}')
    bond(db, slaves, name, network, mac(host.uuid, name))


def add_nic(
    db: database.Database, host: hosts.Host, ref: str, device: str
) -> str:
    """A physical interface of a host, added if it is not there."""
    for pif in db.where('PIF', host=ref, device=device, physical=True):
        return pif
    network = find_network(db, f'xenbr-{device}', f'Network of {device}')
    hardware = mac(host.uuid, device)
    return add_pif(db, ref, device, network, physical=True, MAC=hardware)


def bond(
    db: database.Database,
    slaves: list[str],
    device: str,
    network: str,
    hardware: str,
) -> None:
    """Make a bond of interfaces."""
    host = db.row('PIF', slaves[0])['host']
    bond_ref = db.create(
        'Bond',
        master=add_pif(db, host, device, network, MAC=hardware),
        slaves=slaves,
        primary_slave=slaves[0],
        mode='balance-slb',
        links_up=len(slaves),
    )
    for slave in slaves:
        db.row('PIF', slave)['bond_slave_of'] = bond_ref


def tunnel(
    db: database.Database, transport: str, network: str, protocol: str = 'gre'
) -> None:
    """Add a tunnel through an interface."""
    host = db.row('PIF', transport)['host']
    db.create(
        'tunnel',
        access_PIF=add_pif(db, host, 'tunnel0', network),
        transport_PIF=transport,
        protocol=protocol,
        status={'active': 'false'},
    )


def sriov(db: database.Database, physical: str, network: str) -> None:
    """Switch SR-IOV on for an interface."""
    row = db.row('PIF', physical)
    db.create(
        'network_sriov',
        physical_PIF=physical,
        logical_PIF=add_pif(db, row['host'], row['device'], network),
        configuration_mode='sysfs',
    )
