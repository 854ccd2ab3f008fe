"""The pool's VLANs, bonds, tunnels and SR-IOV on a new member.

See xapi#join-copies.

Pushed onto a slave when it starts; what it has already
or has no interface for is left out.
"""

from aggregates_ext.xensim.install import interfaces
from aggregates_ext.xensim.records import database


def push(db: database.Database, host: str) -> None:
    """Give a host what the master has."""
    if host == db.pool['master']:
        return
    _bonds(db, host)
    _vlans(db, host)
    _tunnels(db, host)
    _sriovs(db, host)


def _on_master(db: database.Database, pif: str) -> database.Record | None:
    """An interface, if it is one of the master's."""
    if not db.exists('PIF', pif):
        return None
    row = db.row('PIF', pif)
    return row if row['host'] == db.pool['master'] else None


def _twin(
    db: database.Database, host: str, row: database.Record
) -> str | None:
    """The interface of a host which is like one of the master."""
    found = db.where('PIF', host=host, device=row['device'], VLAN=row['VLAN'])
    return found[0] if found else None


def _present(db: database.Database, host: str, network: str) -> str | None:
    """The interface which a host has on a network."""
    return next(iter(db.where('PIF', host=host, network=network)), None)


def _bonds(db: database.Database, host: str) -> None:
    for _, bond in db.rows('Bond'):
        row = _on_master(db, bond['master'])
        if row is None or _present(db, host, row['network']):
            continue
        slaves = [
            twin
            for slave in bond['slaves']
            if (twin := _twin(db, host, db.row('PIF', slave)))
        ]
        if slaves:
            mac = db.row('PIF', slaves[0])['MAC']
            interfaces.bond(db, slaves, row['device'], row['network'], mac)


def _vlans(db: database.Database, host: str) -> None:
    for _, vlan in db.rows('VLAN'):
        row = _on_master(db, vlan['untagged_PIF'])
        if row is None or _present(db, host, row['network']):
            continue
        tagged = _twin(db, host, db.row('PIF', vlan['tagged_PIF']))
        if tagged:
            interfaces.vlan(db, tagged, vlan['tag'], row['network'])


def _tunnels(db: database.Database, host: str) -> None:
    for _, tunnel in db.rows('tunnel'):
        row = _on_master(db, tunnel['access_PIF'])
        if row is None or _present(db, host, row['network']):
            continue
        transport = db.row('PIF', tunnel['transport_PIF'])
        ours = _present(db, host, transport['network'])
        if ours:
            interfaces.tunnel(db, ours, row['network'], tunnel['protocol'])


def _sriovs(db: database.Database, host: str) -> None:
    for _, sriov in db.rows('network_sriov'):
        row = _on_master(db, sriov['logical_PIF'])
        if row is None or _present(db, host, row['network']):
            continue
        physical = _twin(db, host, db.row('PIF', sriov['physical_PIF']))
        if physical:
            interfaces.sriov(db, physical, row['network'])
