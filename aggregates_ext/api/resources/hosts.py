"""The extension os-hosts: the registered hosts, to be disabled and enabled.

As Nova has it until microversion 2.42. What a host has is what its pool showed
last. What is not known, such as disks, is zero, as of a host that has none.
"""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records

EXTENSION = {
    'updated': '2011-06-29T00:00:00+00:00',
    'name': 'Hosts',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/hosts/api/v1.1',
    'alias': 'os-hosts',
    'description': 'Admin-only host administration',
}
_UNTIL = (2, 43)
QUERY = schema.query(zone=fields.ANY_TEXT)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """List the enabled hosts, by name; of one zone where it is named."""
    ctx.can(policy.HOSTS_LIST)
    zone = schema.check_query(query, QUERY).get('zone')
    return {
        'hosts': (
            {'host_name': node.name, 'service': 'compute', 'zone': node.zone}
            for node in domain.inventory.get_all()
            if node.enabled and (not zone or zone == node.zone)
        )
    }


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    host_name: str,
) -> dict[str, Any]:
    """Show what one host has, and what is used of it.

    The third sum of Nova, what its servers may come to use, is the second:
    pools promise no more than that.
    """
    ctx.can(policy.HOSTS_SHOW)
    node = domain.inventory.find(host_name)
    if node is None:
        raise exception.HostNotFound(host=ascii(host_name[:255]))
    has = node.figures
    used = (has.vcpus_used, has.memory_used)
    sums = {
        '(total)': (has.vcpus, has.memory),
        '(used_now)': used,
        '(used_max)': used,
    }
    return {
        'host': [
            {
                'resource': {
                    'host': host_name,
                    'project': project,
                    'cpu': cpu,
                    'memory_mb': memory,
                    'disk_gb': 0,
                }
            }
            for project, (cpu, memory) in sums.items()
        ]
    }


def update(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    host_name: str,
    body: Any,
) -> routing.Named:
    """Disable or enable one host, or take it into maintenance or out.

    That may go on after the answer, which names the operation.
    """
    ctx.can(policy.HOSTS_UPDATE)
    if not shape.strict:
        body = _in_lower_case(body)
    asked = schema.check_fields(body, schema.HOST, strict=shape.strict)
    mode = asked.get('maintenance_mode', '').lower()
    status = asked.get('status', '').lower()
    if (mode, status) == ('enable', 'enable'):
        if domain.inventory.find(host_name) is None:
            raise exception.HostNotFound(host=ascii(host_name[:255]))
        raise exception.Invalid(
            reason='A host in maintenance is disabled: status and '
            'maintenance_mode cannot both be "enable".'
        )
    shown, operation = {'host': host_name}, None
    if mode == 'enable':
        operation = domain.maintenance.enter(ctx, host_name)
        shown['maintenance_mode'] = 'on_maintenance'
    elif mode:
        operation = domain.maintenance.leave(
            ctx, host_name, enable=status == 'enable'
        )
        shown['maintenance_mode'] = 'off_maintenance'
    if status:
        wanted = records.DISABLED if status == 'disable' else records.ENABLED
        shown['status'] = wanted
        # To enter disables the host, and to leave enables it.
        leaves = operation is not None and status == 'enable'
        if mode != 'enable' and not leaves:
            operation = domain.enabling.set_service(ctx, host_name, wanted)
    return routing.Named(shown, operation)


def startup(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    host_name: str,
) -> routing.Named:
    """Start a host in maintenance."""
    ctx.can(policy.HOSTS_START)
    return _power(ctx, domain, host_name, 'startup')


def shutdown(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    host_name: str,
) -> routing.Named:
    """Shut down a host in maintenance."""
    ctx.can(policy.HOSTS_SHUTDOWN)
    return _power(ctx, domain, host_name, 'shutdown')


def reboot(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    host_name: str,
) -> routing.Named:
    """Reboot a host in maintenance."""
    ctx.can(policy.HOSTS_REBOOT)
    return _power(ctx, domain, host_name, 'reboot')


def _power(
    ctx: context.RequestContext,
    domain: routing.Domain,
    host_name: str,
    action: str,
) -> routing.Named:
    """As the action ``power_host``, with Nova's answer."""
    operation = domain.powering.power(ctx, host_name, action)
    shown = {'host': host_name, 'power_action': action}
    return routing.Named(shown, operation)


def _in_lower_case(body: Any) -> Any:
    """The fields of a body and their texts as Nova 2012.1 read them."""
    if not isinstance(body, dict):
        return body
    return {
        name.strip().lower(): value.strip().lower()
        if isinstance(value, str)
        else value
        for name, value in body.items()
    }


ROUTES: routing.Routes = {
    '/os-hosts': {'GET': routing.Route(index, 'query', until=_UNTIL)},
    '/os-hosts/{host_name}': {
        'GET': routing.Route(show, until=_UNTIL),
        'PUT': routing.Route(update, 'fields', until=_UNTIL),
    },
    '/os-hosts/{host_name}/startup': {
        'GET': routing.Route(startup, until=_UNTIL, changes=True)
    },
    '/os-hosts/{host_name}/shutdown': {
        'GET': routing.Route(shutdown, until=_UNTIL, changes=True)
    },
    '/os-hosts/{host_name}/reboot': {
        'GET': routing.Route(reboot, until=_UNTIL, changes=True)
    },
}
