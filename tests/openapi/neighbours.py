"""The schemas of hosts, services, hypervisors and zones in answers.

On the legacy face those of 2.1; on the modern one of every microversion
together, since no schema can depend on a header.
"""

from typing import Any

from aggregates_ext.api.resources import absent as absent_resources
from tests.openapi import responses

_NO_TEXT = {'const': ''}
_ID = {'anyOf': [responses.NUMBER, responses.UUID]}
_STATE = {'enum': ['up', 'down']}
_STATUS = {'enum': ['enabled', 'disabled']}
_NOTHING = {'type': 'null'}
# What is not known of a host; Tempest takes no null but the last.
_UNKNOWN = dict.fromkeys(
    (
        'vcpus',
        'memory_mb',
        'local_gb',
        'vcpus_used',
        'memory_mb_used',
        'local_gb_used',
        'free_ram_mb',
        'free_disk_gb',
        'current_workload',
        'running_vms',
    ),
    {'type': 'integer', 'const': 0},
) | {'disk_available_least': _NOTHING}

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
CHANGED_HOST = responses.obj(host=responses.TEXT, status=_STATUS)
STATISTICS = responses.obj(count=responses.NUMBER, **_UNKNOWN)


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


def hypervisor(face: str, detailed: bool) -> dict[str, Any]:
    """A hypervisor.

    :param detailed: as it is shown alone.
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
        known = {**_UNKNOWN, 'cpu_info': _NO_TEXT}
        shown |= _details(modern) | known
        if modern:
            # Until 2.87; from 2.28 on cpu_info is an object.
            shown['cpu_info'] = {'enum': ['', {}]}
            shown['uptime'] = _NOTHING
            optional = (*known, 'uptime')
    if modern:
        shown['servers'] = {'type': 'array', 'maxItems': 0}
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
