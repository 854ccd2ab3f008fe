"""The fields of each simulated class, by kind (xapi#simulated-behaviour-5)."""

import dataclasses

EMPTY = {
    'text': '',
    'number': 0,
    'real': 0.0,
    'flag': False,
    'date': None,
    'items': [],
    'mapping': {},
    'ref': 'OpaqueRef:NULL',
}


@dataclasses.dataclass(frozen=True)
class Class:
    """One class: its fields with their kinds, and which can be set."""

    name: str
    fields: dict[str, str]
    writable: frozenset[str]
    listed: bool = True


def _declare(
    name: str, writable: str = '', listed: bool = True, **kinds: str
) -> Class:
    fields = {
        field: kind for kind, names in kinds.items() for field in names.split()
    }
    return Class(name, fields, frozenset(writable.split()), listed)


_DECLARED = (
    _declare(
        'session',
        'other_config',
        listed=False,
        text='uuid auth_user_sid auth_user_name originator',
        flag='pool is_local_superuser client_certificate',
        date='last_active validation_time',
        items='rbac_permissions tasks',
        mapping='other_config',
        ref='this_host this_user subject parent',
    ),
    _declare(
        'task',
        'other_config',
        text='uuid name_label name_description type result backtrace status',
        real='progress',
        date='created finished',
        items='allowed_operations error_info subtasks',
        mapping='current_operations other_config',
        ref='resident_on subtask_of',
    ),
    _declare(
        'message',
        text='uuid name cls obj_uuid body',
        number='priority',
        date='timestamp',
    ),
    _declare(
        'pool',
        'name_label name_description default_SR suspend_image_SR'
        ' crash_dump_SR other_config ha_allow_overcommit tags gui_config'
        ' health_check_config wlb_enabled wlb_verify_cert'
        ' policy_no_vendor_device live_patching_disabled'
        ' migration_compression coordinator_bias',
        text='uuid name_label name_description wlb_url wlb_username'
        ' vswitch_controller ha_cluster_stack uefi_certificates'
        ' custom_uefi_certificates client_certificate_auth_name'
        ' repository_proxy_url repository_proxy_username'
        ' telemetry_frequency update_sync_frequency',
        number='ha_host_failures_to_tolerate ha_plan_exists_for'
        ' local_auth_max_threads ext_auth_max_threads ext_auth_cache_size'
        ' ext_auth_cache_expiry update_sync_day vm_console_idle_timeout',
        flag='ha_enabled ha_allow_overcommit ha_overcommitted wlb_enabled'
        ' wlb_verify_cert redo_log_enabled policy_no_vendor_device'
        ' live_patching_disabled igmp_snooping_enabled is_psr_pending'
        ' tls_verification_enabled client_certificate_auth_enabled'
        ' migration_compression coordinator_bias ext_auth_cache_enabled'
        ' update_sync_enabled ha_reboot_vm_on_internal_shutdown'
        ' limit_console_sessions auto_update_vm_secureboot_certificates',
        date='telemetry_next_collection last_update_sync',
        items='ha_statefiles tags metadata_VDIs allowed_operations'
        ' repositories',
        mapping='other_config ha_configuration gui_config'
        ' health_check_config restrictions guest_agent_config cpu_info'
        ' recommendations license_server blobs current_operations',
        ref='master default_SR suspend_image_SR crash_dump_SR redo_log_vdi'
        ' repository_proxy_password telemetry_uuid',
    ),
    _declare(
        'pool_update',
        'other_config',
        text='uuid name_label name_description version key',
        number='installation_size',
        flag='enforce_homogeneity',
        items='after_apply_guidance hosts',
        mapping='other_config',
        ref='vdi',
    ),
    _declare(
        'host',
        'name_label name_description other_config logging suspend_image_sr'
        ' crash_dump_sr hostname address tags license_server'
        ' guest_VCPUs_params display',
        text='uuid name_label name_description API_version_vendor'
        ' sched_policy hostname address external_auth_type'
        ' external_auth_service_name edition power_on_mode iscsi_iqn'
        ' uefi_certificates last_update_hash max_cstate timezone display'
        ' latest_synced_updates_applied numa_affinity_policy ntp_mode',
        number='memory_overhead API_version_major API_version_minor'
        ' ssh_enabled_timeout console_idle_timeout',
        flag='enabled ssl_legacy multipathing tls_verification_enabled'
        ' https_only ssh_enabled ssh_auto_mode secure_boot',
        date='last_software_update ssh_expiry',
        items='allowed_operations capabilities supported_bootloaders'
        ' ha_statefiles ha_network_peers tags editions ntp_custom_servers'
        ' resident_VMs PIFs crashdumps patches updates'
        ' updates_requiring_reboot PBDs host_CPUs PCIs PGPUs PUSBs'
        ' virtual_hardware_platform_versions features certificates'
        ' pending_guidances pending_guidances_recommended'
        ' pending_guidances_full',
        mapping='current_operations API_version_vendor_implementation'
        ' software_version other_config cpu_configuration logging cpu_info'
        ' license_params external_auth_configuration license_server'
        ' bios_strings power_on_config chipset_info guest_VCPUs_params'
        ' blobs',
        ref='suspend_image_sr crash_dump_sr local_cache_sr metrics'
        ' control_domain',
    ),
    _declare(
        'host_metrics',
        'other_config',
        text='uuid',
        number='memory_total memory_free',
        flag='live',
        date='last_updated',
        mapping='other_config',
    ),
    _declare(
        'host_cpu',
        'other_config',
        text='uuid vendor modelname stepping flags features',
        number='number speed family model',
        real='utilisation',
        mapping='other_config',
        ref='host',
    ),
    _declare(
        'SR',
        'name_label name_description other_config tags sm_config',
        text='uuid name_label name_description type content_type',
        number='virtual_allocation physical_utilisation physical_size',
        flag='shared local_cache_enabled clustered is_tools_sr',
        items='allowed_operations VDIs PBDs tags',
        mapping='current_operations other_config sm_config blobs',
        ref='introduced_by',
    ),
    _declare(
        'PBD',
        'other_config device_config',
        text='uuid',
        flag='currently_attached',
        mapping='device_config other_config',
        ref='host SR',
    ),
    _declare(
        'VDI',
        'name_label name_description other_config xenstore_data sm_config'
        ' tags',
        text='uuid name_label name_description location type on_boot',
        number='virtual_size physical_utilisation',
        flag='sharable read_only storage_lock managed missing is_a_snapshot'
        ' allow_caching metadata_latest is_tools_iso cbt_enabled',
        date='snapshot_time',
        items='allowed_operations VBDs crash_dumps snapshots tags',
        mapping='current_operations other_config xenstore_data sm_config',
        ref='SR parent snapshot_of metadata_of_pool',
    ),
    _declare(
        'VBD',
        'userdevice bootable type unpluggable other_config mode'
        ' qos_algorithm_type qos_algorithm_params',
        text='uuid device userdevice status_detail qos_algorithm_type mode'
        ' type',
        number='status_code',
        flag='bootable unpluggable storage_lock empty currently_attached',
        items='allowed_operations qos_supported_algorithms',
        mapping='current_operations other_config runtime_properties'
        ' qos_algorithm_params',
        ref='VM VDI metrics',
    ),
    _declare(
        'VM',
        'name_label name_description user_version is_a_template affinity'
        ' other_config tags xenstore_data platform blocked_operations'
        ' recommendations suspend_SR',
        text='uuid name_label name_description PV_bootloader PV_kernel'
        ' PV_ramdisk PV_args PV_bootloader_args PV_legacy_args'
        ' HVM_boot_policy PCI_bus domarch last_booted_record'
        ' recommendations ha_restart_priority transportable_snapshot_id'
        ' snapshot_metadata generation_id reference_label power_state'
        ' actions_after_softreboot actions_after_shutdown'
        ' actions_after_reboot actions_after_crash domain_type'
        ' secureboot_certificates_state',
        number='user_version memory_overhead memory_target'
        ' memory_static_max memory_dynamic_max memory_dynamic_min'
        ' memory_static_min VCPUs_max VCPUs_at_startup domid start_delay'
        ' shutdown_delay order version hardware_platform_version',
        real='HVM_shadow_multiplier',
        flag='is_a_template is_default_template is_control_domain'
        ' ha_always_run is_a_snapshot is_snapshot_from_vmpp'
        ' is_vmss_snapshot has_vendor_device requires_reboot',
        date='snapshot_time',
        items='allowed_operations consoles VIFs VBDs VUSBs crash_dumps VTPMs'
        ' snapshots children tags VGPUs attached_PCIs pending_guidances'
        ' pending_guidances_recommended pending_guidances_full groups',
        mapping='current_operations VCPUs_params HVM_boot_params platform'
        ' other_config last_boot_CPU_flags xenstore_data snapshot_info'
        ' bios_strings NVRAM blobs blocked_operations',
        ref='suspend_VDI resident_on scheduled_to_be_resident_on affinity'
        ' metrics guest_metrics snapshot_of parent protection_policy'
        ' snapshot_schedule appliance suspend_SR',
    ),
    _declare(
        'VIF',
        'other_config qos_algorithm_type qos_algorithm_params',
        text='uuid device MAC status_detail qos_algorithm_type ipv4_gateway'
        ' ipv6_gateway locking_mode ipv4_configuration_mode'
        ' ipv6_configuration_mode',
        number='MTU status_code',
        flag='currently_attached MAC_autogenerated',
        items='allowed_operations qos_supported_algorithms ipv4_allowed'
        ' ipv6_allowed ipv4_addresses ipv6_addresses trunks',
        mapping='current_operations other_config runtime_properties'
        ' qos_algorithm_params',
        ref='network VM metrics',
    ),
    _declare(
        'network',
        'name_label name_description MTU other_config tags',
        text='uuid name_label name_description bridge default_locking_mode',
        number='MTU',
        flag='managed',
        items='allowed_operations VIFs PIFs tags purpose',
        mapping='current_operations other_config blobs assigned_ips',
    ),
    _declare(
        'PIF',
        'other_config',
        text='uuid device MAC IP netmask gateway DNS ipv6_gateway'
        ' ip_configuration_mode ipv6_configuration_mode'
        ' primary_address_type igmp_snooping_status',
        number='MTU VLAN',
        flag='physical currently_attached management disallow_unplug managed',
        items='bond_master_of VLAN_slave_of tunnel_access_PIF_of'
        ' tunnel_transport_PIF_of IPv6 capabilities sriov_physical_PIF_of'
        ' sriov_logical_PIF_of',
        mapping='other_config properties',
        ref='network host metrics bond_slave_of VLAN_master_of PCI',
    ),
    _declare(
        'VLAN',
        'other_config',
        text='uuid',
        number='tag',
        mapping='other_config',
        ref='tagged_PIF untagged_PIF',
    ),
    _declare(
        'Bond',
        'other_config',
        text='uuid mode',
        number='links_up',
        flag='auto_update_mac',
        items='slaves',
        mapping='other_config properties',
        ref='master primary_slave',
    ),
    _declare(
        'tunnel',
        'status other_config protocol',
        text='uuid protocol',
        mapping='status other_config',
        ref='access_PIF transport_PIF',
    ),
    _declare(
        'network_sriov',
        text='uuid configuration_mode',
        flag='requires_reboot',
        ref='physical_PIF logical_PIF',
    ),
    _declare(
        'SDN_controller',
        text='uuid protocol address',
        number='port',
    ),
    _declare(
        'Cluster',
        'other_config',
        text='uuid cluster_token cluster_stack',
        number='cluster_stack_version quorum live_hosts expected_hosts',
        real='token_timeout token_timeout_coefficient',
        flag='is_quorate pool_auto_join',
        items='cluster_hosts pending_forget allowed_operations',
        mapping='current_operations cluster_config other_config',
    ),
    _declare(
        'Cluster_host',
        text='uuid',
        flag='enabled joined live',
        date='last_update_live',
        items='allowed_operations',
        mapping='current_operations other_config',
        ref='cluster host PIF',
    ),
    _declare(
        'Repository',
        'name_label name_description',
        text='uuid name_label name_description binary_url source_url hash'
        ' gpgkey_path origin certificate',
        flag='update up_to_date',
    ),
    _declare(
        'subject',
        text='uuid subject_identifier',
        items='roles',
        mapping='other_config',
    ),
    _declare(
        'role',
        text='uuid name_label name_description',
        flag='is_internal',
        items='subroles',
    ),
    _declare(
        'PVS_site',
        'name_label name_description',
        text='uuid name_label name_description PVS_uuid',
        items='cache_storage servers proxies',
    ),
    _declare(
        'PVS_cache_storage',
        text='uuid',
        number='size',
        ref='host SR site VDI',
    ),
    _declare(
        'VMSS',
        'name_label name_description enabled',
        text='uuid name_label name_description type frequency',
        number='retained_snapshots',
        flag='enabled',
        date='last_run_time',
        items='VMs',
        mapping='schedule',
    ),
    _declare(
        'VM_appliance',
        'name_label name_description',
        text='uuid name_label name_description',
        items='allowed_operations VMs',
        mapping='current_operations',
    ),
    _declare(
        'VM_metrics',
        'other_config',
        text='uuid current_domain_type',
        number='memory_actual VCPUs_number numa_nodes',
        flag='hvm nested_virt nomigrate numa_optimised',
        date='start_time install_time last_updated',
        items='state',
        mapping='VCPUs_utilisation VCPUs_CPU VCPUs_params VCPUs_flags'
        ' numa_node_memory other_config',
    ),
    _declare(
        'VM_guest_metrics',
        'other_config',
        text='uuid can_use_hotplug_vbd can_use_hotplug_vif',
        flag='PV_drivers_up_to_date PV_drivers_detected live',
        date='last_updated',
        mapping='os_version netbios_name PV_drivers_version memory disks'
        ' networks other services other_config',
    ),
    _declare(
        'pool_patch',
        'other_config',
        text='uuid name_label name_description version',
        number='size',
        flag='pool_applied',
        items='host_patches after_apply_guidance',
        mapping='other_config',
        ref='pool_update',
    ),
    _declare(
        'host_patch',
        'other_config',
        text='uuid name_label name_description version',
        number='size',
        flag='applied',
        date='timestamp_applied',
        mapping='other_config',
        ref='host pool_patch',
    ),
    _declare(
        'SM',
        'other_config',
        text='uuid name_label name_description type vendor copyright version'
        ' required_api_version driver_filename',
        items='capabilities required_cluster_stack supported_image_formats',
        mapping='configuration other_config features',
    ),
    _declare(
        'Certificate',
        text='uuid name fingerprint fingerprint_sha256 fingerprint_sha1 type',
        date='not_before not_after',
        items='purpose',
        ref='host',
    ),
    _declare(
        'secret',
        'value other_config',
        text='uuid value',
        mapping='other_config',
    ),
)

CLASSES = {declared.name: declared for declared in _DECLARED}

MEMBERS = {
    ('host', 'PIFs'): ('PIF', 'host'),
    ('host', 'PBDs'): ('PBD', 'host'),
    ('host', 'host_CPUs'): ('host_cpu', 'host'),
    ('host', 'resident_VMs'): ('VM', 'resident_on'),
    ('host', 'certificates'): ('Certificate', 'host'),
    ('task', 'subtasks'): ('task', 'subtask_of'),
    ('SR', 'VDIs'): ('VDI', 'SR'),
    ('SR', 'PBDs'): ('PBD', 'SR'),
    ('VDI', 'VBDs'): ('VBD', 'VDI'),
    ('VM', 'VBDs'): ('VBD', 'VM'),
    ('VM', 'VIFs'): ('VIF', 'VM'),
    ('network', 'PIFs'): ('PIF', 'network'),
    ('network', 'VIFs'): ('VIF', 'network'),
    ('PIF', 'VLAN_slave_of'): ('VLAN', 'tagged_PIF'),
    ('PIF', 'bond_master_of'): ('Bond', 'master'),
    ('PIF', 'tunnel_access_PIF_of'): ('tunnel', 'access_PIF'),
    ('PIF', 'tunnel_transport_PIF_of'): ('tunnel', 'transport_PIF'),
    ('PIF', 'sriov_physical_PIF_of'): ('network_sriov', 'physical_PIF'),
    ('PIF', 'sriov_logical_PIF_of'): ('network_sriov', 'logical_PIF'),
    ('Cluster', 'cluster_hosts'): ('Cluster_host', 'cluster'),
    ('PVS_site', 'cache_storage'): ('PVS_cache_storage', 'site'),
    ('VMSS', 'VMs'): ('VM', 'snapshot_schedule'),
    ('VM_appliance', 'VMs'): ('VM', 'appliance'),
    ('VM', 'snapshots'): ('VM', 'snapshot_of'),
    ('VM', 'children'): ('VM', 'parent'),
    ('VDI', 'snapshots'): ('VDI', 'snapshot_of'),
    ('pool_patch', 'host_patches'): ('host_patch', 'pool_patch'),
    ('host', 'patches'): ('host_patch', 'host'),
}
"""Sets which are the other end of a reference: computed, never stored."""
