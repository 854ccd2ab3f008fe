"""What a host of a pool has for itself: storage, and the disks in it.

An eject wipes it (xapi#eject-destroys), and SRs that the host alone sees are
forgotten with it (xapi#eject-checks).
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import storage

# SRs of these types show devices; an eject destroys nothing in them.
DEVICE_TYPES = ('udev',)
# SRs of these types are on devices of a host, whatever is flagged of them.
LOCAL_TYPES = frozenset({'btrfs', 'ext', 'largeblock', 'lvm', 'xfs', 'zfs'})
GIB = 2**30


def own_srs(
    records: Mapping[str, preflight.Records], host_ref: str
) -> dict[str, dict[str, Any]]:
    """The SRs that a host alone has a PBD for, plugged or not.

    :returns: SR records by reference, without tools and devices.
    """
    seen_by: dict[str, set[str]] = {}
    for pbd in records['PBD'].values():
        seen_by.setdefault(pbd['SR'], set()).add(pbd['host'])
    return {
        ref: sr
        for ref, sr in records['SR'].items()
        if seen_by.get(ref) == {host_ref}
        and sr['type'] not in DEVICE_TYPES
        and not storage.is_tools(sr)
    }


def is_elsewhere(
    records: Mapping[str, preflight.Records], sr_ref: str
) -> bool:
    """Whether what is in an SR survives the wipe of its only host.

    It does in shared storage, and in a library of ISO images on a server.
    Of other network storage that is not flagged as shared nothing tells.
    The flag itself can be set on any storage, also on a local disk.
    """
    sr = records['SR'][sr_ref]
    if sr['shared'] and sr['type'] not in LOCAL_TYPES:
        return True
    places = [
        pbd['device_config'].get('location', '')
        for pbd in records['PBD'].values()
        if pbd['SR'] == sr_ref
    ]
    return bool(sr['type'] == 'iso' and all(map(_is_on_server, places)))


def _is_on_server(location: str) -> bool:
    """Whether it is like server:/path or //server/share."""
    return location.startswith('//') or ':/' in location


def local_disks(
    records: Mapping[str, preflight.Records], host_ref: str
) -> preflight.Disks:
    """The disks that an eject of a host destroys, by SR uuid.

    All that the database knows, snapshots and the hidden parents of disks
    among them; but for those that are missing from the storage.
    """
    users = _users(records)
    disks = {}
    for ref, sr in own_srs(records, host_ref).items():
        if is_elsewhere(records, ref):
            continue
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
        'name': vdi['name_label'],
        'size': int(vdi['virtual_size']),
        'physical_utilisation': int(vdi['physical_utilisation']),
        'used_by': sorted(users.get(ref, ())),
    }


def _users(
    records: Mapping[str, preflight.Records],
) -> dict[str, set[str]]:
    """The machines that use disks: disk -> names with states."""
    users: dict[str, set[str]] = {}
    for vdi, vm_ref in _uses(records):
        vm = records['VM'].get(vm_ref)
        if vm and vdi != preflight.NULL:
            users.setdefault(vdi, set()).add(describe_machine(vm))
    return users


def _uses(
    records: Mapping[str, preflight.Records],
) -> Iterator[tuple[str, str]]:
    """Disks, and the memory of suspended machines, with their machines."""
    for vbd in records['VBD'].values():
        yield vbd['VDI'], vbd['VM']
    for ref, vm in records['VM'].items():
        yield vm.get('suspend_VDI', preflight.NULL), ref


def describe_machine(vm: Mapping[str, Any]) -> str:
    """A machine by name, state and uuid."""
    kind = 'snapshot' if vm['is_a_snapshot'] else vm['power_state']
    return f'{vm["name_label"]} ({kind}, {vm["uuid"]})'


def describe_disks(disks: preflight.Disks, names: Mapping[str, str]) -> str:
    """Disks in words.

    :param names: of SRs, by uuid.
    """
    return '; '.join(
        f'SR "{names.get(sr, "")}" ({sr}) holds '
        + ', '.join(map(_describe_disk, found))
        for sr, found in disks.items()
    )


def _describe_disk(disk: Mapping[str, Any]) -> str:
    users = in_words(disk['used_by'])
    return (
        f'"{disk["name"]}" ({disk["uuid"]}, {disk["size"] / GIB:.1f} GiB'
        + (f', used by {users})' if users else ')')
    )


def in_words(items: Iterable[str], most: int = 20) -> str:
    """Items in words, as many as can be read."""
    found = sorted(items)
    more = len(found) - most
    return ', '.join(found[:most]) + (f' and {more} more' if more > 0 else '')
