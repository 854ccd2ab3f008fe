"""Copying a joiner's storage and secrets into its pool (xapi#join-copies)."""

from aggregates_ext.xensim.records import database

SR_KEPT = [
    'uuid',
    'name_label',
    'name_description',
    'content_type',
    'other_config',
    'sm_config',
    'physical_size',
    'physical_utilisation',
    'virtual_allocation',
    'local_cache_enabled',
    'is_tools_sr',
]

SECRET = '_secret'  # noqa: S105 - how keys which name a secret end

Refs = dict[str, str]


def copy(
    local: database.Database, remote: database.Database, refs: Refs
) -> None:
    """Copy SRs, their PBDs and disks."""
    for ref, row in local.rows('SR'):
        refs[ref] = _sr(remote, row)
    for _, row in local.rows('PBD'):
        _pbd(remote, row, refs)
    disks = [
        (ref, row)
        for ref, row in local.rows('VDI')
        if not remote.where('VDI', uuid=row['uuid'])
    ]
    for ref, row in local.rows('VDI'):
        if found := remote.where('VDI', uuid=row['uuid']):
            refs[ref] = found[0]
    for ref, row in disks:
        refs[ref] = remote.create('VDI', **(row | {'SR': refs[row['SR']]}))
    for ref, row in disks:
        copied = remote.row('VDI', refs[ref])
        for field in ('snapshot_of', 'parent', 'metadata_of_pool'):
            copied[field] = refs.get(row[field], database.NULL)


def _sr(remote: database.Database, row: database.Record) -> str:
    """The same SR, no longer shared; there is one SR of tools."""
    same = (
        {'is_tools_sr': True} if row['is_tools_sr'] else {'uuid': row['uuid']}
    )
    for ref in remote.where('SR', **same):
        return ref
    kept = {field: row[field] for field in SR_KEPT}
    shared = row['is_tools_sr']
    return remote.create('SR', **kept, type=row['type'].lower(), shared=shared)


def _pbd(remote: database.Database, row: database.Record, refs: Refs) -> None:
    """A new PBD; without the secret it names it is lost."""
    host, sr = refs[row['host']], refs[row['SR']]
    if remote.where('PBD', host=host, SR=sr):
        return
    config = dict(row['device_config'])
    for key, value in config.items():
        if key.endswith(SECRET):
            known = remote.where('secret', uuid=value)
            if not known:
                return
            config[key] = _second(remote, known[0])
    remote.create('PBD', host=host, SR=sr, device_config=config)


def _second(remote: database.Database, ref: str) -> str:
    """A second secret with the same value: its uuid."""
    value = remote.row('secret', ref)['value']
    new = remote.create('secret', value=value)
    return str(remote.row('secret', new)['uuid'])


def copy_secrets(
    local: database.Database, remote: database.Database, refs: Refs
) -> None:
    """Copy secrets, and the sites and caches of PVS."""
    for kind in ('secret', 'PVS_site'):
        for ref, row in local.rows(kind):
            same = remote.where(kind, uuid=row['uuid'])
            refs[ref] = same[0] if same else remote.create(kind, **row)
    for ref, row in local.rows('PVS_cache_storage'):
        if not remote.where('PVS_cache_storage', uuid=row['uuid']):
            ends = {
                field: refs.get(row[field], database.NULL)
                for field in ('host', 'SR', 'site', 'VDI')
            }
            refs[ref] = remote.create('PVS_cache_storage', **(row | ends))
