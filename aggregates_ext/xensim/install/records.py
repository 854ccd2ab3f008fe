"""Filling databases: the records of a host as its installation makes them."""

from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.install import interfaces
from aggregates_ext.xensim.plan import restrictions
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import processors

GIB = 1 << 30
OVERHEAD = 3 * GIB

SM_FEATURES = {'VDI_CREATE': 1, 'VDI_DELETE': 1, 'VDI_RESIZE': 1}


def new_pool(host: hosts.Host, now: float) -> None:
    """Give a host a database of its own (xapi#model and xapi#pool-record)."""
    host.database = db = database.Database()
    db.version = host.spec.version
    _add_pool(db, host)
    _add_internal_network(db)
    for driver in ('ext', 'lvm', 'nfs', 'iso'):
        db.create(
            'SM', type=driver, name_label=driver, features=dict(SM_FEATURES)
        )
    db.pool['master'] = add_host(db, host, now)
    recompute_cpu_info(db)


def _add_pool(db: database.Database, host: hosts.Host) -> None:
    db.create(
        'pool',
        other_config={'memory-ratio-hvm': '0.25', 'memory-ratio-pv': '0.25'},
        restrictions=dict(restrictions.NONE),
        allowed_operations=list(restrictions.POOL_OPERATIONS),
        ha_enabled=host.spec.ha_enabled,
        ha_cluster_stack='xhad',
        ha_reboot_vm_on_internal_shutdown=True,
        tls_verification_enabled=host.tls_verification_enabled,
        wlb_verify_cert=True,
        coordinator_bias=True,
        local_auth_max_threads=8,
        ext_auth_max_threads=1,
        ext_auth_cache_size=50,
        ext_auth_cache_expiry=300,
        telemetry_frequency='weekly',
        telemetry_uuid=db.create('secret', value='telemetry'),
        update_sync_frequency='weekly',
    )


def _add_internal_network(db: database.Database) -> None:
    db.create(
        'network',
        bridge='xenapi',
        name_label='Host internal management network',
        name_description='Network on which guests will be assigned a'
        ' private link-local IP address which can be used to talk XenAPI',
        MTU=1500,
        managed=True,
        default_locking_mode='unlocked',
        other_config={
            'ip_begin': '169.254.0.1',
            'ip_end': '169.254.255.254',
            'is_guest_installer_network': 'true',
            'is_host_internal_management_network': 'true',
            'netmask': '255.255.0.0',
        },
    )


def add_host(db: database.Database, host: hosts.Host, now: float) -> str:
    """Add the records of a running host."""
    spec = host.spec
    started = start_time(now + spec.clock_offset)
    metrics = db.create(
        'host_metrics',
        live=True,
        memory_total=spec.memory_gib * GIB,
        memory_free=spec.memory_gib * GIB,
        last_updated=database.date(now),
    )
    ref = db.create(
        'host',
        **_host_fields(host),
        enabled=True,
        metrics=metrics,
        cpu_info=cpu_info(spec.cpu),
        other_config=spec.other_config
        | {'agent_start_time': started, 'boot_time': started},
    )
    db.row('host', ref)['control_domain'] = add_control_domain(db, host, ref)
    add_cpus(db, spec.cpu, ref)
    add_certificates(db, ref, now)
    interfaces.add(db, host, ref)
    memory.refresh(db, ref)
    return ref


def _host_fields(host: hosts.Host) -> database.Record:
    spec = host.spec
    major, minor = spec.api_version.split('.')
    return {
        'uuid': spec.uuid,
        'name_label': spec.hostname,
        'name_description': 'Default install',
        'hostname': spec.hostname,
        'address': spec.address,
        'memory_overhead': OVERHEAD,
        'API_version_major': int(major),
        'API_version_minor': int(minor),
        'API_version_vendor': 'XenSource',
        'allowed_operations': [
            operation
            for operation in host_exclusion.ORDER
            if operation not in host_exclusion.NEED_DISABLED
        ],
        'software_version': host.software_version,
        'edition': spec.edition,
        'editions': [spec.edition],
        'license_params': dict(restrictions.NONE),
        'license_server': {'address': 'localhost', 'port': '27000'},
        'external_auth_type': spec.external_auth_type,
        'external_auth_service_name': spec.external_auth_service_name,
        'tls_verification_enabled': host.tls_verification_enabled,
        'capabilities': ['xen-3.0-x86_64', 'hvm-3.0-x86_64'],
        'supported_bootloaders': ['pygrub', 'eliloader'],
        'virtual_hardware_platform_versions': [0, 1, 2],
        'chipset_info': {'iommu': 'false'},
        'https_only': True,
        'ssh_auto_mode': True,
        'display': 'enabled',
        'sched_policy': 'credit',
        'timezone': 'Etc/UTC',
        'ntp_mode': 'Disabled',
        'numa_affinity_policy': 'default_policy',
        'latest_synced_updates_applied': 'unknown',
    }


def measure_memory(
    db: database.Database, ref: str, spec: topology.Host
) -> None:
    """What a host that joined has, once its xapi looks.

    See xapi#simulated-behaviour-6.
    """
    row = db.row('host_metrics', db.row('host', ref)['metrics'])
    row['memory_total'] = row['memory_total'] or spec.memory_gib * GIB
    memory.refresh(db, ref)


def start_time(now: float) -> str:
    """A moment as other_config of a host has it (xapi#record-shapes)."""
    return f'{int(now)}.'


def cpu_info(cpu: topology.Cpu) -> dict[str, str]:
    """The cpu_info of a host."""
    empty = 'family flags model modelname speed stepping'
    features = (*processors.HOSTS, *processors.POOLS)
    return dict.fromkeys(empty.split(), '') | {
        **dict.fromkeys(features, cpu.features),
        'cpu_count': str(cpu.count),
        'nr_nodes': '1',
        'socket_count': '1',
        'threads_per_core': '1',
        'vendor': cpu.vendor,
    }


def add_cpus(db: database.Database, cpu: topology.Cpu, host: str) -> None:
    """Add the processors of a host."""
    for number in range(cpu.count):
        db.create('host_cpu', host=host, number=number, vendor=cpu.vendor)


def recompute_cpu_info(db: database.Database) -> None:
    """Level the processors of the pool.

    See xapi#eject-timeline, xapi#simulated-behaviour-6.
    """
    infos = [row['cpu_info'] for _, row in db.rows('host') if row['cpu_info']]
    db.pool['cpu_info'] = {
        'cpu_count': str(sum(int(info['cpu_count']) for info in infos)),
        **{
            name: processors.common(info.get(name, '') for info in infos)
            for name in processors.POOLS
        },
        'socket_count': str(sum(int(info['socket_count']) for info in infos)),
        'vendor': infos[0]['vendor'] if infos else 'unknown',
    }


def add_control_domain(
    db: database.Database, host: hosts.Host, ref: str
) -> str:
    """Add the dom0 of a host."""
    return db.create(
        'VM',
        uuid=topology.identity(host.uuid, 'dom0'),
        name_label=f'Control domain on host: {host.spec.hostname}',
        name_description='The domain which manages physical devices and'
        ' manages other domains',
        is_control_domain=True,
        power_state='Running',
        resident_on=ref,
        affinity=ref,
        domain_type='pv',
        domarch='x64',
        memory_static_max=GIB,
        memory_dynamic_max=GIB,
        memory_dynamic_min=GIB,
        memory_target=GIB,
        VCPUs_max=2,
        VCPUs_at_startup=2,
        user_version=1,
    )


def add_certificates(db: database.Database, host: str, now: float) -> None:
    """Add the two certificates of a host (xapi#endpoints)."""
    for kind in ('host', 'host_internal'):
        db.create(
            'Certificate',
            type=kind,
            host=host,
            not_before=database.date(now),
            not_after=database.date(now + 10 * 365 * 86400),
        )
