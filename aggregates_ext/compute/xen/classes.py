"""The classes and fields that are read of hosts, with the kinds of them."""


def _class(**kinds: str) -> dict[str, str]:
    named = {'uuid': 'uuid'}
    return named | {
        field: kind for kind, names in kinds.items() for field in names.split()
    }


# Class -> field -> kind: all that is read of any host. What is not here is
# not kept, and to ask for it is a bug. Releases differ in those with "?".
_DECLARED: dict[str, dict[str, str]] = {
    # Its uuid is not to be shown, and not kept with the rest.
    'session': {'is_local_superuser': 'flag', 'rbac_permissions': 'items'},
    'task': _class(
        text='name_label status',
        real='progress',
        items='error_info',
        ref='resident_on',
    ),
    'pool': _class(
        text='name_label name_description',
        number='ha_host_failures_to_tolerate',
        flag='ha_enabled ha_allow_overcommit is_psr_pending?'
        ' tls_verification_enabled? wlb_enabled?',
        items='tags ha_statefiles repositories?',
        mapping='other_config current_operations restrictions cpu_info?'
        ' ha_configuration',
        ref='master default_SR suspend_image_SR crash_dump_SR',
    ),
    'host': _class(
        text='name_label name_description hostname edition iscsi_iqn?'
        ' external_auth_type external_auth_service_name last_update_hash?'
        ' power_on_mode latest_synced_updates_applied?',
        address='address',
        number='API_version_major API_version_minor memory_overhead',
        flag='enabled',
        items='tags ha_statefiles? pending_guidances?'
        ' pending_guidances_recommended?'
        ' pending_guidances_full? updates_requiring_reboot?'
        ' virtual_hardware_platform_versions?',
        mapping='software_version other_config current_operations cpu_info',
        ref='metrics control_domain?',
    ),
    'host_metrics': _class(flag='live', number='memory_total memory_free'),
    'VM_guest_metrics': _class(
        flag='PV_drivers_detected?',
        mapping='networks? PV_drivers_version other',
    ),
    'VM_metrics': _class(
        text='current_domain_type?', flag='nomigrate? nested_virt?'
    ),
    'VM': _class(
        text='name_label power_state HVM_boot_policy ha_restart_priority',
        number='domid memory_static_max memory_dynamic_min memory_overhead'
        ' VCPUs_at_startup VCPUs_max hardware_platform_version?',
        flag='is_a_template is_a_snapshot is_control_domain ha_always_run',
        items='attached_PCIs? VGPUs? VUSBs? groups? pending_guidances?'
        ' pending_guidances_recommended? pending_guidances_full?',
        mapping='other_config current_operations blocked_operations platform'
        ' last_boot_CPU_flags',
        ref='resident_on scheduled_to_be_resident_on affinity suspend_VDI'
        ' metrics guest_metrics?',
    ),
    'SR': _class(
        text='name_label type content_type',
        number='physical_utilisation',
        flag='shared is_tools_sr?',
        mapping='other_config sm_config',
    ),
    'PBD': _class(
        flag='currently_attached', mapping='device_config', ref='host SR'
    ),
    'VDI': _class(
        text='name_label on_boot?',
        number='virtual_size physical_utilisation',
        flag='missing allow_caching?',
        mapping='current_operations',
        ref='SR',
    ),
    'VBD': _class(text='type', flag='currently_attached empty', ref='VM VDI'),
    'VIF': _class(ref='VM network'),
    'VM_group': _class(text='placement'),
    'VGPU': _class(ref='type resident_on?'),
    'VGPU_type': _class(text='implementation?'),
    'PGPU': _class(mapping='compatibility_metadata?'),
    'PIF': _class(
        text='device MAC ip_configuration_mode ipv6_configuration_mode?'
        ' primary_address_type?',
        address='IP',
        number='VLAN MTU',
        flag='physical management currently_attached',
        items='IPv6?',
        ref='host network',
    ),
    'network': _class(
        text='name_label bridge',
        flag='managed?',
        items='purpose?',
        mapping='other_config',
    ),
    'SM': _class(text='type', numbers='features?'),
    'Cluster': _class(flag='pool_auto_join'),
    'Cluster_host': _class(flag='enabled', ref='host cluster PIF'),
    'SDN_controller': _class(text='protocol address', number='port'),
    'Repository': _class(text='name_label hash', flag='update'),
    'pool_update': _class(
        text='name_label', flag='enforce_homogeneity?', items='hosts'
    ),
    'pool_patch': _class(text='name_label'),
    'host_patch': _class(flag='applied', ref='host pool_patch'),
    'Certificate': _class(
        text='name? type? fingerprint? fingerprint_sha256?',
        date='not_before not_after',
        items='purpose?',
        ref='host',
    ),
    'VLAN': _class(number='tag', ref='tagged_PIF untagged_PIF'),
    'Bond': _class(ref='master'),
    'tunnel': _class(),
    'network_sriov': _class(),
    'subject': _class(mapping='other_config'),
}
CLASSES = {
    class_: {field.rstrip('?'): kind for field, kind in declared.items()}
    for class_, declared in _DECLARED.items()
}
OPTIONAL = {
    (class_, field.rstrip('?'))
    for class_, declared in _DECLARED.items()
    for field in declared
    if field.endswith('?')
}
