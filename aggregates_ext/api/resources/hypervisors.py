"""The extension os-hypervisors: each registered host as a hypervisor.

Its figures are those that its pool showed last. What is not known, such as
disks, is zero or empty, as of a hypervisor that has none; null where Nova
itself may not know it, as clients are ready for no other. Uptime is not known.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.domain import inventory

EXTENSION = {
    'updated': '2012-06-21T00:00:00+00:00',
    'name': 'Hypervisors',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/hypervisors/api/v1.1',
    'alias': 'os-hypervisors',
    'description': 'Admin-only hypervisor administration.',
}
_PAGES_SINCE = (2, 33)
# From here on ids are UUIDs, and queries do what paths did.
_UUID_SINCE = (2, 53)
_SERVERS_SINCE = (2, 75)
_BARE_SINCE = (2, 88)
_CPU_OBJECT_SINCE = (2, 28)
PAGE_QUERY = schema.query(limit=fields.NUMBER, marker=fields.ANY_TEXT)
QUERY = schema.query(
    limit=fields.NUMBER,
    marker=fields.ANY_TEXT,
    hypervisor_hostname_pattern=fields.NAME,
    with_servers=fields.BOOLEAN,
)
SHOW_QUERY = schema.query(with_servers=fields.BOOLEAN)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> routing.Page:
    """List the hypervisors, by host."""
    ctx.can(policy.HYPERVISORS_LIST)
    return _list(domain, shape, query, detailed=False)


def detail(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> routing.Page:
    """List the hypervisors with all that is told of them."""
    ctx.can(policy.HYPERVISORS_DETAIL)
    return _list(domain, shape, query, detailed=True)


def _list(
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
    *,
    detailed: bool,
) -> routing.Page:
    asked = _asked(shape, query)
    nodes = _wanted(domain, shape, asked)
    shown = nodes[: asked.get('limit')]
    marker = None
    if shown and len(nodes) > len(shown):
        marker = str(_id(shown[-1], shape))
    servers = _servers_of(domain, shown, shape, asked)
    views = (_view(node, shape, detailed, servers) for node in shown)
    return routing.Page('hypervisors', views, marker)


def _wanted(
    domain: routing.Domain, shape: shapes.Shape, asked: Mapping[str, Any]
) -> Sequence[inventory.Node]:
    """Those of a page, and one more if there is another page."""
    limit, after = asked.get('limit'), None
    if 'marker' in asked:
        after = _marked(domain, shape, asked['marker']).name
    if limit is not None or after is not None:
        more = None if limit is None else limit + 1
        return domain.inventory.page(more, after)
    nodes = domain.inventory.get_all()
    if 'hypervisor_hostname_pattern' in asked:
        return _matching(nodes, asked['hypervisor_hostname_pattern'])
    return nodes


def _asked(shape: shapes.Shape, query: Mapping[str, str]) -> dict[str, Any]:
    """What a query means at a microversion.

    :raises exception.Invalid: a field breaks its rule, or does not go
        together with another.
    """
    if not shape.supports(_PAGES_SINCE):
        return {}
    if not shape.supports(_UUID_SINCE):
        return schema.check_query(query, PAGE_QUERY)
    asked = schema.check_query(query, QUERY, strict=True)
    if 'hypervisor_hostname_pattern' in asked and (
        'limit' in asked or 'marker' in asked
    ):
        raise exception.Invalid(
            reason='Paging over hypervisors with the '
            'hypervisor_hostname_pattern query parameter is not supported; '
            'leave out limit and marker.'
        )
    return asked


def _matching(
    nodes: Sequence[inventory.Node], pattern: str
) -> list[inventory.Node]:
    """The hosts whose names contain a text, in any case, as in Nova.

    :raises exception.NoHypervisorMatches: none does.
    """
    found = [node for node in nodes if pattern.lower() in node.name.lower()]
    if not found:
        raise exception.NoHypervisorMatches(pattern=pattern[:255])
    return found


def _marked(
    domain: routing.Domain, shape: shapes.Shape, marker: str
) -> inventory.Node:
    """The last host of the page before.

    :raises exception.Invalid: there is none with that id.
    """
    if shape.supports(_UUID_SINCE):
        found = domain.inventory.find_hypervisor(marker)
    else:
        found = domain.inventory.find_registration(marker)
    if found is None:
        raise exception.Invalid(
            reason=f'marker [{ascii(marker[:40])[1:-1]}] not found'
        )
    return found


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    hypervisor_id: str,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """Show one hypervisor."""
    ctx.can(policy.HYPERVISORS_SHOW)
    asked = {}
    if shape.supports(_UUID_SINCE):
        asked = schema.check_query(query, SHOW_QUERY, strict=True)
    node = _find(domain, shape, hypervisor_id)
    servers = _servers_of(domain, [node], shape, asked)
    return {'hypervisor': _view(node, shape, True, servers)}


def uptime(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    hypervisor_id: str,
) -> None:
    """Say that the uptime is not known, as of drivers that cannot tell."""
    ctx.can(policy.HYPERVISORS_UPTIME)
    node = _find(domain, shape, hypervisor_id)
    raise exception.NotSupported(
        reason=f'The uptime of host {node.name} is not known here: the '
        'requested functionality is not supported.'
    )


def search(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    pattern: str,
) -> dict[str, Any]:
    """List the hypervisors whose names contain a text."""
    ctx.can(policy.HYPERVISORS_SEARCH)
    found = _matching(domain.inventory.get_all(), pattern)
    return {'hypervisors': (_view(node, shape) for node in found)}


def servers(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    pattern: str,
) -> dict[str, Any]:
    """The same, each with the guests on it, if there are any."""
    ctx.can(policy.HYPERVISORS_SERVERS)
    found = _matching(domain.inventory.get_all(), pattern)
    guests = domain.inventory.guests_of(found)
    return {
        'hypervisors': (
            _view(node, shape)
            | (
                {'servers': _named(guests[node.name])}
                if node.name in guests
                else {}
            )
            for node in found
        )
    }


def statistics(
    ctx: context.RequestContext, domain: routing.Domain, shape: shapes.Shape
) -> dict[str, Any]:
    """Count the hypervisors, and add up what they have, as Nova does.

    Those that are disabled do not count.
    """
    ctx.can(policy.HYPERVISORS_STATISTICS)
    nodes = [node for node in domain.inventory.get_all() if node.enabled]
    sums = _figures(*(node.figures for node in nodes))
    return {'hypervisor_statistics': {'count': len(nodes), **sums}}


def _servers_of(
    domain: routing.Domain,
    nodes: Sequence[inventory.Node],
    shape: shapes.Shape,
    asked: Mapping[str, Any],
) -> Mapping[str, list[tuple[str, str]]] | None:
    """The guests of each; None: they are not asked for."""
    if not asked.get('with_servers'):
        return None
    return domain.inventory.guests_of(nodes)


def _named(guests: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{'uuid': uuid, 'name': name} for uuid, name in guests]


def _id(node: inventory.Node, shape: shapes.Shape) -> str | int:
    return node.hypervisor_uuid if shape.supports(_UUID_SINCE) else node.id


def _find(
    domain: routing.Domain, shape: shapes.Shape, hypervisor_id: str
) -> inventory.Node:
    """The host with an id.

    :raises exception.Invalid: it is no UUID where it must be one.
    :raises exception.HypervisorNotFound: no host has it.
    """
    if shape.supports(_UUID_SINCE) and not uuidutils.is_uuid_like(
        hypervisor_id
    ):
        raise exception.Invalid(reason=f'Invalid uuid {hypervisor_id[:40]}')
    if shape.supports(_UUID_SINCE):
        node = domain.inventory.find_hypervisor(hypervisor_id.lower())
    else:
        node = domain.inventory.find_registration(hypervisor_id)
    if node is None:
        raise exception.HypervisorNotFound(hypervisor_id=hypervisor_id[:40])
    return node


def _view(
    node: inventory.Node,
    shape: shapes.Shape,
    detailed: bool = False,
    servers: Mapping[str, list[tuple[str, str]]] | None = None,
) -> dict[str, Any]:
    """A hypervisor with the keys of Nova at that microversion.

    :param servers: by its name; None: they are not asked for.
    """
    shown: dict[str, Any] = {
        'id': _id(node, shape),
        'hypervisor_hostname': node.name,
        'state': 'up' if node.up else 'down',
        'status': 'enabled' if node.enabled else 'disabled',
    }
    if detailed:
        shown |= _details(node, shape)
    found = () if servers is None else servers.get(node.name, ())
    empty = servers is not None and shape.supports(_SERVERS_SINCE)
    if found or empty:
        shown['servers'] = _named(found)
    return shown


def _details(node: inventory.Node, shape: shapes.Shape) -> dict[str, Any]:
    uuid = shape.supports(_UUID_SINCE)
    shown: dict[str, Any] = {
        'hypervisor_type': 'XenServer',
        'hypervisor_version': node.version,
        'host_ip': node.address,
        'service': {
            'id': node.service_uuid if uuid else node.id,
            'host': node.name,
            'disabled_reason': node.disabled_reason,
        },
    }
    if shape.supports(_BARE_SINCE):
        return shown | {'uptime': None}
    cpu_info = {} if shape.supports(_CPU_OBJECT_SINCE) else ''
    return shown | _figures(node.figures) | {'cpu_info': cpu_info}


def _figures(*hosts: inventory.Figures) -> dict[str, Any]:
    """What hosts have together; nothing is known of disks."""
    total = sum(host.memory for host in hosts)
    used = sum(host.memory_used for host in hosts)
    return {
        'vcpus': sum(host.vcpus for host in hosts),
        'memory_mb': total,
        'local_gb': 0,
        'vcpus_used': sum(host.vcpus_used for host in hosts),
        'memory_mb_used': used,
        'local_gb_used': 0,
        'free_ram_mb': total - used,
        'free_disk_gb': 0,
        'current_workload': 0,
        'running_vms': sum(host.guests for host in hosts),
        'disk_available_least': None,
    }


_ITEM = '/os-hypervisors/{hypervisor_id}'
_PATTERN = '/os-hypervisors/{pattern}'
ROUTES: routing.Routes = {
    '/os-hypervisors': {'GET': routing.Route(index, 'query')},
    '/os-hypervisors/detail': {'GET': routing.Route(detail, 'query')},
    '/os-hypervisors/statistics': {
        'GET': routing.Route(statistics, until=_BARE_SINCE)
    },
    _ITEM: {'GET': routing.Route(show, 'query')},
    f'{_ITEM}/uptime': {'GET': routing.Route(uptime, until=_BARE_SINCE)},
    f'{_PATTERN}/search': {'GET': routing.Route(search, until=_UUID_SINCE)},
    f'{_PATTERN}/servers': {'GET': routing.Route(servers, until=_UUID_SINCE)},
}
