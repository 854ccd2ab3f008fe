"""What the products differ in: one table per kind of difference.

Sources: the ladder in xapi#versions, xapi#simulated-behaviour-14, the notes on
versions in xapi#join-checks, xapi#join-copies, xapi#pool-operations and
xapi#maintenance-calls, and the life cycles in xapi#record-shapes.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Preset:
    """A product.

    :param release: the release of xapi, to be compared
    :param login_penalty: seconds a wrong password costs; None: the knob
    """

    release: tuple[int, ...]
    api_version: str
    edition: str
    software_version: dict[str, str]
    login_penalty: float | None = None


PRESETS: dict[str, Preset] = {
    'xenserver-6.1': Preset(
        (1, 3),
        '1.10',
        'free',
        {
            'build_number': '59235p',
            'date': '2012-09-20',
            'hostname': 'localhost',
            'linux': '2.6.32.43-0.4.1.xs1.6.10.734.170748xen',
            'network_backend': 'openvswitch',
            'platform_name': 'XCP',
            'platform_version': '1.6.10',
            'product_brand': 'XenServer',
            'product_version': '6.1.0',
            'xapi': '1.3',
            'xen': '4.1.3',
            'xencenter_max': '1.10',
            'xencenter_min': '1.10',
            'xs:linux': 'XenServer Linux Pack, version 6.1.0, build 59235p',
        },
        login_penalty=5.0,
    ),
    'xenserver-7.1': Preset(
        (1, 14),
        '2.6',
        'free',
        {
            'build_number': '137272c',
            'date': '2016-12-21',
            'hostname': 'localhost',
            'linux': '4.4.0+2',
            'network_backend': 'openvswitch',
            'platform_name': 'XCP',
            'platform_version': '2.2.0',
            'product_brand': 'XenServer',
            'product_version': '7.1.0',
            'product_version_text': '7.1',
            'xapi': '1.14',
            'xen': '4.7.1',
            'xencenter_max': '2.6',
            'xencenter_min': '2.6',
        },
        login_penalty=5.0,
    ),
    'xcp-ng-8.2': Preset(
        (1, 249, 42),
        '2.15',
        'xcp-ng',
        {
            'build_number': 'cloud',
            'date': '2022-02-11',
            'db_schema': '5.603',
            'git_id': '0',
            'hostname': 'localhost',
            'linux': '4.19.0+1',
            'network_backend': 'openvswitch',
            'platform_name': 'XCP',
            'platform_version': '3.2.1',
            'product_brand': 'XCP-ng',
            'product_version': '8.2.1',
            'product_version_text': '8.2',
            'xapi': '1.249',
            'xen': '4.13.4',
            'xencenter_max': '2.16',
            'xencenter_min': '2.16',
        },
        login_penalty=5.0,
    ),
    'xcp-ng-8.3': Preset(
        (24, 19, 2),
        '2.21',
        'xcp-ng',
        {
            'build_number': 'cloud',
            'date': '20241010T00:00:00Z',
            'db_schema': '5.779',
            'git_id': '0',
            'hostname': 'localhost',
            'linux': '4.19.0+1',
            'network_backend': 'openvswitch',
            'platform_name': 'XCP',
            'platform_version': '3.4.0',
            'product_brand': 'XCP-ng',
            'product_version': '8.3.0',
            'product_version_text': '8.3',
            'xapi': '24.19',
            'xapi_build': '24.19.2',
            'xen': '4.17.5',
            'xencenter_max': '2.21',
            'xencenter_min': '2.21',
        },
    ),
    'xcp-ng-8.3-lts': Preset(
        (26, 1, 8),
        '2.21',
        'xcp-ng',
        {
            'build_number': 'cloud',
            'date': '20260630T00:00:00Z',
            'db_schema': '5.793',
            'git_id': '0',
            'hostname': 'localhost',
            'linux': '4.19.0+1',
            'network_backend': 'openvswitch',
            'platform_name': 'XCP',
            'platform_version': '3.4.0',
            'product_brand': 'XCP-ng',
            'product_version': '8.3.0',
            'product_version_text': '8.3',
            'xapi': '26.1',
            'xapi_build': '26.1.8',
            'xen': '4.17.6',
            'xencenter_max': '2.21',
            'xencenter_min': '2.21',
        },
    ),
    'xenserver-8.4': Preset(
        (26, 17),
        '2.21',
        'premium',
        {
            'build_number': 'stream',
            'date': '20260817T00:00:00Z',
            'db_schema': '5.909',
            'git_id': '0',
            'hostname': 'localhost',
            'linux': '4.19.0+1',
            'network_backend': 'openvswitch',
            'platform_name': 'XCP',
            'platform_version': '3.4.0',
            'product_brand': 'XenServer',
            'product_version': '8.4.0',
            'product_version_text': '8',
            'xapi': '26.17',
            'xapi_build': '26.17.0',
            'xen': '4.17.6',
            'xencenter_max': '2.21',
            'xencenter_min': '2.21',
        },
    ),
    'xapi-26': Preset(
        (26, 17),
        '2.23',
        'xcp-ng',
        {
            'build_number': '0',
            'date': '20261122T07:38:05Z',
            'db_schema': '5.909',
            'git_id': '0',
            'hostname': 'localhost',
            'linux': '6.6.0',
            'network_backend': 'openvswitch',
            'platform_name': 'XCP',
            'platform_version': '3.4.0',
            'product_brand': 'XCP-ng',
            'product_version': '8.3.0',
            'product_version_text': '8.3',
            'xapi': '26.17',
            'xapi_build': '26.17.0',
            'xen': '4.17.5',
            'xencenter_max': '2.23',
            'xencenter_min': '2.23',
        },
    ),
}
"""Products by name, the oldest first."""

DEFAULT = 'xcp-ng-8.3'

JSON_SINCE = (1, 9, 80)
"""JSON-RPC (xapi#endpoints)."""

CHECKS_SINCE: dict[int, tuple[int, ...]] = {
    1: (1, 54),
    4: (1, 93),
    5: (25, 8),
    11: (24, 10),
    15: (1, 35),
    16: (1, 35),
    17: (1, 83),
    18: (1, 35),
    23: (1, 32),
    24: (1, 32),
    27: (1, 55),
    28: (1, 297),
    29: (1, 302),
    30: (26, 13),
    31: (1, 301),
    32: (1, 301),
    33: (24, 37),
}
"""The release in which a check came (xapi#join-checks)."""

WHOLE_FEATURES_UNTIL = (1, 9)
"""Before it processors and builds must be equal as a whole.

See xapi#join-check-13.
"""

PHYSICAL_MANAGEMENT_UNTIL = (1, 9)
PHYSICAL_PIFS_UNTIL = (1, 35)
"""Before it one of two rougher checks stands for 15 to 18.

See xapi#join-checks.
"""

ENFORCED_UPDATES_SINCE = (1, 40)
"""Before it all hotfixes are compared by check 25."""

EXCHANGE_SINCE = (1, 298)
CA_EXCHANGE_SINCE = (1, 302)
"""Steps S2 to S4 of a join (xapi#join-steps)."""

SECRETS_ON_VLAN_SINCE = (1, 45)
"""Secrets and PVS sites are copied always before it (xapi#join-copies)."""

EVACUATION_BATCHES_SINCE = (23, 27)
"""Machines leave a host one after another before it.

See xapi#maintenance-calls.
"""

EVACUATION_WINDOW_SINCE = (25, 22)
"""Before it a batch ends before the next begins.

See xapi#maintenance-calls.
"""

MIGRATION_NETWORK_SINCE = (1, 297)
"""Before it a move takes no notice of the network asked for.

See xapi#maintenance-calls.
"""

NEWER_SLAVES_STOP_SINCE = (23, 30)
"""A slave that is newer than its master does not start.

See xapi#emergency.
"""

NOT_PROTECTED_SINCE = (26, 17)
"""Evacuation names machines which HA leaves alone (xapi#ha)."""

PARAMETERS: dict[str, list[tuple[tuple[int, ...], int]]] = {
    'host.disable': [((25, 31), 2)],
    'host.evacuate': [((1, 297), 2), ((23, 27), 3)],
    'pool.sync_updates': [((1, 329), 4), ((25, 7), 6)],
}
"""How many parameters a method takes since which release: one before."""

CLASSES_SINCE: dict[str, str] = {
    'xenserver-7.1': 'PVS_cache_storage PVS_site pool_update',
    'xcp-ng-8.2': 'Certificate Cluster Cluster_host SDN_controller VMSS'
    ' network_sriov',
    'xcp-ng-8.3': 'Repository',
}
"""Classes by the first of these products which has them."""

METHODS_SINCE: dict[str, str] = {
    'xenserver-7.1': 'host.declare_dead',
    'xcp-ng-8.2': 'task.set_progress task.set_status',
    'xcp-ng-8.3': 'host.apply_updates'
    ' host.emergency_disable_tls_verification pool.check_update_readiness'
    ' pool.enable_tls_verification pool.sync_updates',
}
"""Methods by the first of these products which has them."""

FIELDS_SINCE: dict[str, dict[str, str]] = {
    'xenserver-7.1': {
        'PIF': 'managed properties capabilities',
        'SM': 'features required_cluster_stack',
        'SR': 'clustered is_tools_sr',
        'VDI': 'is_tools_iso',
        'VIF': 'ipv4_configuration_mode ipv4_addresses ipv4_gateway'
        ' ipv6_configuration_mode ipv6_addresses ipv6_gateway',
        'VM': 'generation_id hardware_platform_version has_vendor_device'
        ' requires_reboot reference_label',
        'VM_guest_metrics': 'can_use_hotplug_vbd can_use_hotplug_vif'
        ' PV_drivers_detected',
        'VM_metrics': 'hvm nested_virt nomigrate',
        'host': 'updates ssl_legacy display'
        ' virtual_hardware_platform_versions control_domain'
        ' updates_requiring_reboot',
        'network': 'assigned_ips',
        'pool': 'health_check_config ha_cluster_stack guest_agent_config'
        ' cpu_info policy_no_vendor_device live_patching_disabled',
        'pool_patch': 'pool_update',
        'session': 'originator',
        'task': 'backtrace',
    },
    'xcp-ng-8.2': {
        'Bond': 'auto_update_mac',
        'PIF': 'igmp_snooping_status sriov_physical_PIF_of'
        ' sriov_logical_PIF_of PCI',
        'VDI': 'cbt_enabled',
        'VM': 'is_default_template snapshot_schedule is_vmss_snapshot'
        ' domain_type NVRAM',
        'VM_metrics': 'current_domain_type',
        'host': 'PUSBs features iscsi_iqn multipathing uefi_certificates'
        ' certificates editions',
        'network': 'managed purpose',
        'pool': 'igmp_snooping_enabled uefi_certificates is_psr_pending',
        'pool_update': 'enforce_homogeneity',
    },
    'xcp-ng-8.3': {
        'Certificate': 'name type',
        'Cluster': 'cluster_stack_version is_quorate quorum live_hosts',
        'Cluster_host': 'live last_update_live',
        'VM': 'actions_after_softreboot pending_guidances'
        ' pending_guidances_recommended pending_guidances_full groups',
        'host': 'pending_guidances tls_verification_enabled'
        ' last_software_update https_only latest_synced_updates_applied'
        ' numa_affinity_policy pending_guidances_recommended'
        ' pending_guidances_full last_update_hash',
        'pool': 'custom_uefi_certificates tls_verification_enabled'
        ' repositories client_certificate_auth_enabled'
        ' client_certificate_auth_name repository_proxy_url'
        ' repository_proxy_username repository_proxy_password'
        ' migration_compression coordinator_bias local_auth_max_threads'
        ' ext_auth_max_threads telemetry_uuid telemetry_frequency'
        ' telemetry_next_collection last_update_sync'
        ' update_sync_frequency update_sync_day update_sync_enabled'
        ' recommendations',
        'role': 'is_internal',
        'session': 'client_certificate',
        'tunnel': 'protocol',
    },
    'xcp-ng-8.3-lts': {
        'Certificate': 'fingerprint_sha256 fingerprint_sha1',
        'Cluster': 'expected_hosts',
        'Repository': 'origin certificate',
        'VM_guest_metrics': 'netbios_name services',
        'host': 'ssh_enabled ssh_enabled_timeout ssh_expiry'
        ' console_idle_timeout ssh_auto_mode max_cstate secure_boot'
        ' ntp_mode ntp_custom_servers timezone',
        'pool': 'ext_auth_cache_enabled ext_auth_cache_size'
        ' ext_auth_cache_expiry license_server'
        ' ha_reboot_vm_on_internal_shutdown limit_console_sessions'
        ' vm_console_idle_timeout',
    },
    'xenserver-8.4': {
        'Certificate': 'purpose',
        'SM': 'supported_image_formats',
        'VIF': 'trunks',
        'VM': 'secureboot_certificates_state',
        'VM_metrics': 'numa_optimised numa_nodes numa_node_memory',
        'pool': 'auto_update_vm_secureboot_certificates',
    },
}
"""Fields by the first of these products which has them."""
