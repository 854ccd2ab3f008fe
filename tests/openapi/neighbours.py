"""The schemas of hosts, services, hypervisors and zones in answers.

On the legacy face those of 2.1; on the modern one of every microversion
together, since no schema can depend on a header.
"""

from typing import Any

from aggregates_ext.api.forms import schema
from aggregates_ext.api.resources import absent as absent_resources
from aggregates_ext.api.servers import instanceactions
from aggregates_ext.domain import moves
from tests.openapi import responses

_NO_TEXT = {'const': ''}
_ID = {'anyOf': [responses.NUMBER, responses.UUID]}
_STATE = {'enum': ['up', 'down']}
_STATUS = {'enum': ['enabled', 'disabled']}
_NOTHING = {'type': 'null'}
_ZERO = {'type': 'integer', 'const': 0}
_COUNT = {'type': 'integer', 'minimum': 0}
# What is not known of a host is zero; Tempest takes no null but the last.
_FIGURES = {
    'vcpus': _COUNT,
    'memory_mb': _COUNT,
    'local_gb': _ZERO,
    'vcpus_used': _COUNT,
    'memory_mb_used': _COUNT,
    'local_gb_used': _ZERO,
    'free_ram_mb': _COUNT,
    'free_disk_gb': _ZERO,
    'current_workload': _ZERO,
    'running_vms': _COUNT,
    'disk_available_least': _NOTHING,
}

HOST = responses.obj(
    host_name=responses.TEXT,
    service={'const': 'compute'},
    zone=responses.TEXT,
)
RESOURCE = responses.obj(
    host=responses.TEXT,
    project={'enum': ['(total)', '(used_now)', '(used_max)']},
    cpu=responses.NUMBER,
    memory_mb=responses.NUMBER,
    disk_gb=responses.NUMBER,
)
CHANGED_HOST = responses.obj(
    ('status', 'maintenance_mode'),
    host=responses.TEXT,
    status=_STATUS,
    maintenance_mode={'enum': ['on_maintenance', 'off_maintenance']},
)
POWERED_HOST = responses.obj(
    host=responses.TEXT,
    power_action={'enum': [*schema.POWER_ACTIONS]},
)
# Of the actions that are about a host.
ACTED_HOST = responses.obj(
    ('maintenance_mode', 'power_action'),
    host=responses.TEXT,
    maintenance_mode={'enum': ['on_maintenance', 'off_maintenance']},
    power_action={'enum': [*schema.POWER_ACTIONS]},
)
STATISTICS = responses.obj(count=responses.NUMBER, **_FIGURES)


def service(face: str) -> dict[str, Any]:
    shown = {
        'binary': {'const': 'nova-compute'},
        'host': responses.TEXT,
        'id': responses.NUMBER if face == 'legacy' else _ID,
        'zone': responses.TEXT,
        'status': _STATUS,
        'state': _STATE,
        'updated_at': responses.maybe(responses.TIMES[face]),
        'disabled_reason': responses.maybe(responses.TEXT),
    }
    if face == 'legacy':
        return responses.obj(**shown)
    return responses.obj(('forced_down',), **shown, forced_down=responses.FLAG)


def changed_service(face: str) -> dict[str, Any]:
    """The answer to an action, and on the modern face to a change too."""
    named = {'host': responses.TEXT, 'binary': {'const': 'nova-compute'}}
    acted = responses.obj(
        ('disabled_reason',),
        **named,
        status=_STATUS,
        disabled_reason=responses.TEXT,
    )
    if face == 'legacy':
        return acted
    forced = responses.obj(**named, forced_down={'const': False})
    return {'oneOf': [acted, forced, service(face)]}


def hypervisor(
    face: str, detailed: bool, servers: bool = False
) -> dict[str, Any]:
    """A hypervisor.

    :param detailed: as it is shown alone.
    :param servers: whether its guests may be told on each face.
    """
    modern = face == 'modern'
    shown = {
        'id': _ID if modern else responses.NUMBER,
        'hypervisor_hostname': responses.TEXT,
        'state': _STATE,
        'status': _STATUS,
    }
    optional: tuple[str, ...] = ()
    if detailed:
        known = {**_FIGURES, 'cpu_info': _NO_TEXT}
        shown |= _details(modern) | known
        if modern:
            # Until 2.87; from 2.28 on cpu_info is an object.
            shown['cpu_info'] = {'enum': ['', {}]}
            shown['uptime'] = _NOTHING
            optional = (*known, 'uptime')
    if modern or servers:
        shown['servers'] = responses.items(
            responses.obj(uuid=responses.TEXT, name=responses.TEXT)
        )
        optional += ('servers',)
    return responses.obj(optional, **shown)


def _details(modern: bool) -> dict[str, Any]:
    return {
        'hypervisor_type': {'const': 'XenServer'},
        'hypervisor_version': responses.NUMBER,
        'host_ip': responses.maybe(responses.TEXT),
        'service': responses.obj(
            id=_ID if modern else responses.NUMBER,
            host=responses.TEXT,
            disabled_reason=responses.maybe(responses.TEXT),
        ),
    }


_FLAVOR = {
    'oneOf': [
        responses.obj(id={'const': 'xapi'}, links=responses.BOOKMARKS),
        responses.obj(
            original_name={'const': 'xapi'},
            vcpus=_COUNT,
            ram=_COUNT,
            disk=_ZERO,
            ephemeral=_ZERO,
            swap=_ZERO,
            extra_specs=responses.obj(),
        ),
    ]
}
_STATUSES = [
    'ACTIVE',
    'HARD_REBOOT',
    'MIGRATING',
    'PAUSED',
    'REBOOT',
    'SHUTOFF',
    'SUSPENDED',
    'UNKNOWN',
]
_NO_ITEMS = {'type': 'array', 'maxItems': 0}
_MOMENT = {
    'type': 'string',
    'pattern': '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$',
}
# From some microversion on, or for who may see them.
_NOT_ALWAYS = {
    'progress': {**_COUNT, 'maximum': 100},
    'OS-EXT-SRV-ATTR:host': responses.maybe(responses.TEXT),
    'OS-EXT-SRV-ATTR:hypervisor_hostname': responses.maybe(responses.TEXT),
    'OS-EXT-SRV-ATTR:instance_name': responses.TEXT,
    'OS-EXT-SRV-ATTR:hostname': responses.TEXT,
    'OS-EXT-SRV-ATTR:kernel_id': _NO_TEXT,
    'OS-EXT-SRV-ATTR:launch_index': _ZERO,
    'OS-EXT-SRV-ATTR:ramdisk_id': _NO_TEXT,
    'OS-EXT-SRV-ATTR:reservation_id': _NO_TEXT,
    'OS-EXT-SRV-ATTR:root_device_name': _NOTHING,
    'OS-EXT-SRV-ATTR:user_data': _NOTHING,
    'locked': {'const': False},
    'host_status': {'enum': ['UP', 'MAINTENANCE', 'UNKNOWN', '']},
    'description': _NOTHING,
    'tags': _NO_ITEMS,
    'trusted_image_certificates': _NOTHING,
    'locked_reason': _NOTHING,
    'pinned_availability_zone': _NOTHING,
    'scheduler_hints': responses.obj(),
    'server_groups': _NO_ITEMS,
}
_BRIEF = {
    'id': responses.TEXT,
    'name': responses.TEXT,
    'links': responses.BOOKMARKS,
}
BRIEF_SERVER = responses.obj(**_BRIEF)
SERVER = responses.obj(
    (*_NOT_ALWAYS,),
    **_BRIEF,
    **_NOT_ALWAYS,
    **{
        'status': {'enum': _STATUSES},
        'tenant_id': responses.TEXT,
        'user_id': responses.TEXT,
        'metadata': responses.obj(),
        'hostId': responses.TEXT,
        'image': _NO_TEXT,
        'flavor': _FLAVOR,
        'created': _MOMENT,
        'updated': _MOMENT,
        'addresses': responses.obj(),
        'accessIPv4': _NO_TEXT,
        'accessIPv6': _NO_TEXT,
        'OS-DCF:diskConfig': {'const': 'MANUAL'},
        'OS-EXT-AZ:availability_zone': responses.TEXT,
        'config_drive': _NO_TEXT,
        'key_name': _NOTHING,
        'OS-SRV-USG:launched_at': _NOTHING,
        'OS-SRV-USG:terminated_at': _NOTHING,
        'security_groups': _NO_ITEMS,
        'OS-EXT-STS:task_state': responses.maybe(responses.TEXT),
        'OS-EXT-STS:vm_state': responses.TEXT,
        'OS-EXT-STS:power_state': responses.NUMBER,
        'os-extended-volumes:volumes_attached': _NO_ITEMS,
    },
)


_SERVER = '/servers/{server_id}'
_MIGRATIONS = f'{_SERVER}/migrations'
_MIGRATION = f'{_MIGRATIONS}/{{migration_id}}'
# Always refused, or answered without a body.
_SILENT: dict[tuple[str, str], dict[str, Any] | None] = {
    ('POST', f'{_MIGRATION}/action'): None,
}


def _migration(**beside: Any) -> dict[str, Any]:
    """What a move has everywhere, and more."""
    host = responses.maybe(responses.TEXT)
    return responses.obj(
        ('uuid', 'user_id', 'project_id', 'migration_type', 'links'),
        id=responses.NUMBER,
        status={'enum': [*moves.STATUSES]},
        created_at=responses.TIMES['modern'],
        updated_at=responses.TIMES['modern'],
        source_compute=host,
        source_node=host,
        dest_compute=host,
        dest_node=host,
        dest_host=_NOTHING,
        uuid=responses.UUID,
        user_id=responses.maybe(responses.TEXT),
        project_id=responses.maybe(responses.TEXT),
        **beside,
    )


_LISTED = _migration(
    instance_uuid=responses.TEXT,
    old_instance_type_id=_NOTHING,
    new_instance_type_id=_NOTHING,
    migration_type={'const': 'live-migration'},
    links=responses.BOOKMARKS,
)
_SHOWN = _migration(
    server_uuid=responses.TEXT,
    **{
        f'{what}_{part}_bytes': _NOTHING
        for what in ('disk', 'memory')
        for part in ('processed', 'remaining', 'total')
    },
)

_ACTIONS = f'{_SERVER}/os-instance-actions'
_ACTION = f'{_ACTIONS}/{{request_id}}'


def _action(**beside: Any) -> dict[str, Any]:
    """What is told of something that was done to a server, and more."""
    return responses.obj(
        ('updated_at', *beside),
        action={'const': instanceactions.ACTION},
        instance_uuid=responses.TEXT,
        request_id=responses.TEXT,
        user_id=responses.maybe(responses.TEXT),
        project_id=responses.maybe(responses.TEXT),
        start_time=responses.TIMES['modern'],
        updated_at=responses.TIMES['modern'],
        message=responses.maybe(responses.TEXT),
        **beside,
    )


_EVENT = responses.obj(
    ('traceback', 'host', 'hostId', 'details'),
    event={'const': instanceactions.EVENT},
    start_time=responses.TIMES['modern'],
    finish_time=responses.maybe(responses.TIMES['modern']),
    result={'enum': [instanceactions.SUCCESS, instanceactions.ERROR, None]},
    traceback=responses.maybe(responses.TEXT),
    host=responses.TEXT,
    hostId=responses.TEXT,
    details=responses.maybe(responses.TEXT),
)


def servers(face: str) -> dict[tuple[str, str], dict[str, Any] | None]:
    """Guests, by method and path; the legacy face has none of them."""
    if face == 'legacy':
        nothing = {'type': 'array', 'maxItems': 0, 'items': responses.TEXT}
        return {
            **_SILENT,
            ('POST', f'{_SERVER}/action'): None,
            ('GET', '/os-migrations'): {'migrations': nothing},
            ('GET', _ACTIONS): None,
            ('GET', _ACTION): None,
            ('GET', _MIGRATIONS): None,
            ('GET', _MIGRATION): None,
            ('DELETE', _MIGRATION): None,
            ('GET', '/servers'): {'servers': nothing},
            ('GET', '/servers/detail'): {'servers': nothing},
            ('GET', '/servers/{server_id}'): None,
        }
    return {
        **_SILENT,
        ('POST', f'{_SERVER}/action'): {},
        ('GET', '/os-migrations'): {'migrations': responses.items(_LISTED)},
        ('GET', _MIGRATIONS): {'migrations': responses.items(_SHOWN)},
        ('GET', _MIGRATION): {'migration': _SHOWN},
        ('GET', _ACTIONS): {'instanceActions': responses.items(_action())},
        ('GET', _ACTION): {
            'instanceAction': _action(events=responses.items(_EVENT))
        },
        ('DELETE', _MIGRATION): {},
        ('GET', '/servers'): {'servers': responses.items(BRIEF_SERVER)},
        ('GET', '/servers/detail'): {'servers': responses.items(SERVER)},
        ('GET', '/servers/{server_id}'): {'server': SERVER},
    }


def zone(face: str) -> dict[str, Any]:
    state = responses.obj(
        available=responses.FLAG,
        active=responses.FLAG,
        updated_at=responses.maybe(responses.TIMES[face]),
    )
    services = responses.obj(**{'nova-compute': state})
    return responses.obj(
        zoneName=responses.TEXT,
        zoneState=responses.obj(available=responses.FLAG),
        hosts={'type': ['object', 'null'], 'additionalProperties': services},
    )


def absent() -> dict[tuple[str, str], dict[str, Any]]:
    """What there is nothing of, by method and path."""
    zero = {'type': 'integer', 'const': 0}
    nothing = {'type': 'array', 'maxItems': 0, 'items': responses.TEXT}
    always = dict.fromkeys(absent_resources.LIMITS, zero)
    once = dict.fromkeys(
        (
            name
            for names in absent_resources.LIMITS_UNTIL.values()
            for name in names
        ),
        zero,
    )
    absolute = responses.obj((*once,), **always, **once)
    return {
        ('GET', '/limits'): {
            'limits': responses.obj(rate=nothing, absolute=absolute)
        },
        ('GET', '/os-simple-tenant-usage/{tenant_id}'): {
            'tenant_usage': responses.obj()
        },
        **{
            ('GET', path): {name: nothing}
            for path, name in absent_resources.LISTS.items()
        },
    }
