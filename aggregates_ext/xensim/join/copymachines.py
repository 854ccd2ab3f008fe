"""Copying a joiner's machines into its pool (xapi#join-copies)."""

from aggregates_ext.xensim.join import copynetworks
from aggregates_ext.xensim.records import database

VM_REFS = (
    'resident_on',
    'affinity',
    'scheduled_to_be_resident_on',
    'suspend_VDI',
    'suspend_SR',
    'snapshot_of',
    'parent',
)
VM_LOST = {
    'appliance': database.NULL,
    'protection_policy': database.NULL,
    'snapshot_schedule': database.NULL,
    'blobs': {},
    'current_operations': {},
}
"""Appliances, schedules and blobs are not in the metadata of machines."""

Refs = dict[str, str]


def copy(
    local: database.Database, remote: database.Database, refs: Refs
) -> None:
    """Copy machines, snapshots and templates with disks and interfaces."""
    new = []
    for ref, row in local.rows('VM'):
        if found := remote.where('VM', uuid=row['uuid']):
            refs[ref] = found[0]
        else:
            refs[ref] = remote.create('VM', **(row | VM_LOST))
            new.append((ref, row))
    for ref, row in new:
        copied = remote.row('VM', refs[ref])
        for field in VM_REFS:
            copied[field] = refs.get(row[field], database.NULL)
        for field, kind in (
            ('metrics', 'VM_metrics'),
            ('guest_metrics', 'VM_guest_metrics'),
        ):
            copied[field] = _measured(local, remote, kind, row[field])
    _disks(local, remote, refs)
    _interfaces(local, remote, refs)


def _measured(
    local: database.Database, remote: database.Database, kind: str, ref: str
) -> str:
    if not local.exists(kind, ref):
        return database.NULL
    return remote.create(kind, **local.row(kind, ref))


def _disks(
    local: database.Database, remote: database.Database, refs: Refs
) -> None:
    for _, row in local.rows('VBD'):
        if not remote.where('VBD', uuid=row['uuid']):
            ends = {field: refs[row[field]] for field in ('VM', 'VDI')}
            ends['metrics'] = database.NULL
            remote.create('VBD', **(row | ends))


def _interfaces(
    local: database.Database, remote: database.Database, refs: Refs
) -> None:
    for _, row in local.rows('VIF'):
        if not remote.where('VIF', uuid=row['uuid']):
            found = copynetworks.network(local, remote, refs, row['network'])
            ends = {'VM': refs[row['VM']], 'network': found}
            ends['metrics'] = database.NULL
            remote.create('VIF', **(row | ends))
