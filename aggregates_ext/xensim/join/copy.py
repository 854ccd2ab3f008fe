"""Copying a joiner's records into its new pool (xapi#join-copies)."""

from aggregates_ext.xensim.join import copymachines
from aggregates_ext.xensim.join import copynetworks
from aggregates_ext.xensim.join import copystorage
from aggregates_ext.xensim.join import poolchecks
from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

HOST_KEPT = [
    'uuid',
    'name_label',
    'hostname',
    'address',
    'API_version_major',
    'API_version_minor',
    'API_version_vendor',
    'API_version_vendor_implementation',
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
    'latest_synced_updates_applied',
    'pending_guidances',
    'pending_guidances_recommended',
    'pending_guidances_full',
    'ssh_enabled',
    'ssh_enabled_timeout',
    'ssh_expiry',
    'ssh_auto_mode',
    'console_idle_timeout',
    'https_only',
    'ntp_mode',
    'ntp_custom_servers',
    'timezone',
    'other_config',
    'tls_verification_enabled',
    'capabilities',
    'display',
    'supported_bootloaders',
    'virtual_hardware_platform_versions',
    'sched_policy',
    'numa_affinity_policy',
    'memory_overhead',
    'secure_boot',
]
"""All else is empty or what host.create makes of it."""

HOST_SRS = ['suspend_image_sr', 'crash_dump_sr', 'local_cache_sr']


def copy(joining: joinings.Joining) -> None:
    """Copy everything; what an earlier join left behind is used again.

    Step S6 is best effort: what fails is logged there and swallowed
    (xapi#join-steps), so without a host record nothing else is copied.
    """
    refs = {database.NULL: database.NULL}
    joiner = joining.here_ref
    try:
        refs[joiner] = host_record(joining)
    except failure.Failure:
        return
    _certificates(joining, refs)
    copystorage.copy(joining.local, joining.remote, refs)
    copynetworks.copy(joining.local, joining.remote, refs)
    copymachines.copy(joining.local, joining.remote, refs)
    if _copies_secrets(joining):
        copystorage.copy_secrets(joining.local, joining.remote, refs)
    row, here = joining.remote.row('host', refs[joiner]), joining.here
    row['control_domain'] = refs[here['control_domain']]
    for field in HOST_SRS:
        row[field] = refs.get(here[field], database.NULL)


def host_record(joining: joinings.Joining) -> str:
    """The joiner's record on the master, dead and disabled at first."""
    remote, here = joining.remote, joining.here
    for ref in remote.where('host', uuid=joining.joiner.uuid):
        return ref
    if poolchecks.size_exceeded(remote.pool['restrictions'], remote):
        raise failure.Failure('LICENCE_RESTRICTION', 'Pool_size')
    metrics = remote.create('host_metrics', live=False)
    return remote.create(
        'host',
        **{field: here[field] for field in HOST_KEPT},
        name_description='Default install',
        metrics=metrics,
    )


def _certificates(joining: joinings.Joining, refs: dict[str, str]) -> None:
    """Those of the host, and trusted ones the pool has not (S5)."""
    local, remote = joining.local, joining.remote
    host = refs[joining.here_ref]
    if remote.where('Certificate', host=host):
        return
    known = {row['name'] for _, row in remote.rows('Certificate')}
    for _, row in local.rows('Certificate'):
        if row['host'] != database.NULL:
            new = database.fresh(row) | {'host': host}
            remote.create('Certificate', **new)
        elif row['name'] not in known:
            remote.create('Certificate', **database.fresh(row))
    for _, row in local.rows('host_cpu'):
        remote.create('host_cpu', **(database.fresh(row) | {'host': host}))


def _copies_secrets(joining: joinings.Joining) -> bool:
    """Since 1.45 only with management on a VLAN (xapi#join-copies)."""
    if joining.release < presets.SECRETS_ON_VLAN_SINCE:
        return True
    local = joining.local
    pif = joinings.management_pif(local, joining.here_ref)
    return bool(local.row('PIF', pif)['VLAN'] >= 0)
