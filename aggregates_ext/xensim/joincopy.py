"""Copying a joiner's records into its new pool (contract 4.4)."""

from aggregates_ext.xensim import database
from aggregates_ext.xensim import joinchecks

HOST_KEPT = [
    'uuid',
    'name_label',
    'hostname',
    'address',
    'API_version_major',
    'API_version_minor',
    'API_version_vendor',
    'external_auth_type',
    'external_auth_service_name',
    'external_auth_configuration',
    'edition',
    'editions',
    'license_params',
    'license_server',
    'chipset_info',
    'software_version',
    'last_software_update',
    'last_update_hash',
    'ssh_enabled',
    'ssh_auto_mode',
    'https_only',
    'ntp_mode',
    'timezone',
    'other_config',
    'tls_verification_enabled',
    'capabilities',
    'display',
    'supported_bootloaders',
    'virtual_hardware_platform_versions',
    'sched_policy',
    'numa_affinity_policy',
    'latest_synced_updates_applied',
]
SR_KEPT = [
    'uuid',
    'name_label',
    'name_description',
    'type',
    'content_type',
    'other_config',
    'sm_config',
    'physical_size',
    'physical_utilisation',
    'virtual_allocation',
]
PIF_NEW = [
    'uuid',
    'host',
    'network',
    'VLAN_master_of',
    'bond_slave_of',
    'metrics',
]


def copy(joining: joinchecks.Joining) -> None:
    """Copy everything; what an earlier join left behind is used again."""
    refs = {database.NULL: database.NULL}
    local, remote = joining.local, joining.remote
    joiner = local.by_uuid('host', joining.joiner.uuid)
    refs[joiner] = host_record(joining)
    _certificates(local, remote, refs, joiner)
    _storage(local, remote, refs)
    _interfaces(local, remote, refs)
    _machines(local, remote, refs)
    row = remote.row('host', refs[joiner])
    row['control_domain'] = refs[local.row('host', joiner)['control_domain']]


def host_record(joining: joinchecks.Joining) -> str:
    """The joiner's record on the master, dead and disabled at first."""
    remote, here = joining.remote, joining.here
    for ref in remote.where('host', uuid=joining.joiner.uuid):
        return ref
    metrics = remote.create('host_metrics', live=False)
    return remote.create(
        'host',
        **{field: here[field] for field in HOST_KEPT},
        name_description='Default install',
        metrics=metrics,
    )


def _certificates(
    local: database.Database,
    remote: database.Database,
    refs: dict[str, str],
    joiner: str,
) -> None:
    if remote.where('Certificate', host=refs[joiner]):
        return
    for _, row in local.rows('Certificate'):
        remote.create('Certificate', **(_fresh(row) | {'host': refs[joiner]}))
    for _, row in local.rows('host_cpu'):
        remote.create('host_cpu', **(_fresh(row) | {'host': refs[joiner]}))


def _fresh(row: database.Record) -> database.Record:
    """A record without its identity."""
    return {field: row[field] for field in row if field != 'uuid'}


def _same(
    remote: database.Database, kind: str, row: database.Record
) -> str | None:
    """The record with the same uuid, if an earlier join made it."""
    return next(iter(remote.where(kind, uuid=row['uuid'])), None)


def _storage(
    local: database.Database, remote: database.Database, refs: dict[str, str]
) -> None:
    for ref, row in local.rows('SR'):
        refs[ref] = _same(remote, 'SR', row) or remote.create(
            'SR', **{field: row[field] for field in SR_KEPT}, shared=False
        )
    for _, row in local.rows('PBD'):
        host, sr = refs[row['host']], refs[row['SR']]
        if not remote.where('PBD', host=host, SR=sr):
            remote.create(
                'PBD', host=host, SR=sr, device_config=row['device_config']
            )
    for ref, row in local.rows('VDI'):
        refs[ref] = _same(remote, 'VDI', row) or remote.create(
            'VDI', **(row | {'SR': refs[row['SR']]})
        )


def _interfaces(
    local: database.Database, remote: database.Database, refs: dict[str, str]
) -> None:
    """Networks of interfaces merge by bridge; a repeat makes duplicates."""
    for _, row in local.rows('PIF'):
        if row['physical'] or row['management']:
            network = _network(local, remote, refs, row['network'])
            remote.create(
                'PIF',
                **{name: row[name] for name in row if name not in PIF_NEW},
                host=refs[row['host']],
                network=network,
            )


def _network(
    local: database.Database,
    remote: database.Database,
    refs: dict[str, str],
    ref: str,
) -> str:
    row = local.row('network', ref)
    same = remote.where('network', bridge=row['bridge'])
    refs[ref] = same[0] if same else remote.create('network', **_fresh(row))
    return refs[ref]


def _machines(
    local: database.Database, remote: database.Database, refs: dict[str, str]
) -> None:
    for ref, row in local.rows('VM'):
        refs[ref] = _same(remote, 'VM', row) or remote.create(
            'VM',
            **(
                row
                | {
                    field: refs.get(row[field], database.NULL)
                    for field in ('resident_on', 'affinity', 'suspend_VDI')
                }
            ),
        )
    for _, row in local.rows('VBD'):
        if not _same(remote, 'VBD', row):
            ends = {field: refs[row[field]] for field in ('VM', 'VDI')}
            remote.create('VBD', **(row | ends))
    for _, row in local.rows('VIF'):
        if not _same(remote, 'VIF', row):
            network = _network(local, remote, refs, row['network'])
            ends = {'VM': refs[row['VM']], 'network': network}
            remote.create('VIF', **(row | ends))
