"""What a host of a pool has for itself: storage, and the disks in it.

An eject wipes what is on its disks (xapi#eject-destroys), and SRs that the
host alone has a PBD for are forgotten (xapi#eject-forgets-storage).
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import storage
from aggregates_ext.compute.rules.leaving import places
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text

GIB = 2**30
Place = places.Place
# What may be on the disks of one host.
ON_DISKS = frozenset({Place.HOST, Place.ADAPTER, Place.UNKNOWN})
Record = dict[str, Any]
Srs = dict[str, Record]
Read = Mapping[str, preflight.Records]


def lying(records: Read, host_ref: str) -> Srs:
    """The SRs that are on the disks of a host, or may be for all we know.

    An eject destroys what is there whatever records say
    (xapi#eject-destroys), so a PBD of another host only counts for what it
    proves: that this one can reach the storage when it has it plugged.
    """
    return {
        ref: sr
        for ref, sr, pbds in _storage(records)
        if _lies_on(
            place(records, ref, host_ref),
            sr['shared'],
            [pbd for pbd in pbds if pbd['host'] == host_ref],
            [pbd for pbd in pbds if pbd['host'] != host_ref],
        )
    }


def _lies_on(
    where: Place,
    flagged: bool,
    own: Sequence[Record],
    others: Sequence[Record],
) -> bool:
    """Whether storage is on the disks of the host that has a PBD.

    :param flagged: whether it is shared by its record.
    """
    elsewhere = any(pbd['currently_attached'] for pbd in others)
    if not own:
        return False
    if where is Place.HOST:
        here = any(pbd['currently_attached'] for pbd in own)
        return here or not elsewhere
    if where is Place.ADAPTER:
        return not elsewhere
    return where is Place.UNKNOWN and not (elsewhere and flagged)


def unplaced(records: Read) -> Srs:
    """The SRs on disks of some host of which no PBD tells which."""
    return {
        ref: sr
        for ref, sr, pbds in _storage(records)
        if not pbds and place(records, ref, '') in ON_DISKS
    }


def forgotten(records: Read, host_ref: str) -> Srs:
    """The SRs that survive an eject, and whose records do not.

    See xapi#eject-forgets-storage.
    """
    here = lying(records, host_ref)
    return {
        ref: sr
        for ref, sr, pbds in _storage(records)
        if ref not in here
        and {pbd['host'] for pbd in pbds} == {host_ref}
        and place(records, ref, host_ref) is not Place.NOWHERE
    }


def place(records: Read, sr_ref: str, host_ref: str) -> Place:
    """Where an SR is, by its driver and how a host reaches it."""
    pbds = [pbd for pbd in records['PBD'].values() if pbd['SR'] == sr_ref]
    own = [pbd for pbd in pbds if pbd['host'] == host_ref]
    configs = [pbd['device_config'] for pbd in own or pbds]
    return places.place_of(records['SR'][sr_ref], configs)


def _storage(records: Read) -> Iterator[tuple[str, Record, list[Record]]]:
    """The SRs but for the tools, with their PBDs of hosts that exist."""
    found: dict[str, list[Record]] = {ref: [] for ref in records['SR']}
    for pbd in records['PBD'].values():
        if pbd['host'] in records['host']:
            found.setdefault(pbd['SR'], []).append(pbd)
    for ref, sr in records['SR'].items():
        if not storage.is_tools(sr):
            yield ref, sr, found[ref]


def disks_in(records: Read, srs: Srs) -> preflight.Disks:
    """The disks in SRs that are lost with them, by SR uuid.

    All that the database knows, snapshots and the hidden parents of disks
    among them; but for those that are missing from the storage.
    """
    users = _users(records)
    disks = {}
    for ref, sr in srs.items():
        found = [
            _disk(vdi_ref, vdi, users)
            for vdi_ref, vdi in records['VDI'].items()
            if vdi['SR'] == ref and not vdi['missing']
        ]
        if found:
            disks[sr['uuid']] = sorted(found, key=lambda d: str(d['uuid']))
    return disks


def _disk(
    ref: str, vdi: Mapping[str, Any], users: Mapping[str, set[str]]
) -> dict[str, Any]:
    return {
        'uuid': vdi['uuid'],
        'name': fields.shown(vdi, 'name_label'),
        'size': int(vdi['virtual_size']),
        'physical_utilisation': int(vdi['physical_utilisation']),
        'used_by': sorted(users.get(ref, ())),
    }


def _users(records: Read) -> dict[str, set[str]]:
    """The machines that use disks: disk -> names with states."""
    users: dict[str, set[str]] = {}
    for vdi, vm_ref in _uses(records):
        vm = records['VM'].get(vm_ref)
        if vm and vdi != preflight.NULL:
            users.setdefault(vdi, set()).add(describe_machine(vm))
    return users


def _uses(records: Read) -> Iterator[tuple[str, str]]:
    """Disks, and the memory of suspended machines, with their machines."""
    null = preflight.NULL
    # Who uses a disk is told, and decides nothing: what is odd is left out.
    for vbd in records['VBD'].values():
        vdi = fields.collect(vbd, 'VDI', null, [])
        yield vdi, fields.collect(vbd, 'VM', null, [])
    for ref, vm in records['VM'].items():
        yield fields.collect(vm, 'suspend_VDI', null, []), ref


def describe_machine(vm: Mapping[str, Any]) -> str:
    """A machine by name, state and uuid."""
    snapshot = fields.shown(vm, 'is_a_snapshot') == 'True'
    kind = 'snapshot' if snapshot else fields.shown(vm, 'power_state')
    name, uuid = (fields.shown(vm, x) for x in ('name_label', 'uuid'))
    return f'{name} ({kind}, {uuid})'


def describe_disks(disks: preflight.Disks, names: Mapping[str, str]) -> str:
    """Disks in words.

    :param names: of SRs, by uuid.
    """
    each = max(1, text.ITEMS // max(1, len(disks)))
    return text.listed(
        (
            f'SR "{names.get(sr, "")}" ({sr}) holds '
            + text.listed(map(_describe_disk, found), each)
            for sr, found in disks.items()
        ),
        between='; ',
    )


def _describe_disk(disk: Mapping[str, Any]) -> str:
    users = text.listed(disk['used_by'])
    return (
        f'"{disk["name"]}" ({disk["uuid"]}, {disk["size"] / GIB:.1f} GiB'
        + (f', used by {users})' if users else ')')
    )
