"""The extension os-availability-zone: the zones that hosts are in."""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import services
from aggregates_ext.domain import inventory

EXTENSION = {
    'updated': '2012-12-21T00:00:00+00:00',
    'name': 'AvailabilityZone',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/availabilityzone/'
    'api/v1.1',
    'alias': 'os-availability-zone',
    'description': 'Add availability zones describing.',
}


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """List the zones; available where a host in it is enabled."""
    ctx.can(policy.ZONES_LIST)
    _check(query, shape)
    zones = _zones(domain)
    return {
        'availabilityZoneInfo': [
            _view(zone, available, None) for zone, available, _nodes in zones
        ]
    }


def detail(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """List the zones with their hosts; the available ones first, as Nova."""
    ctx.can(policy.ZONES_DETAIL)
    _check(query, shape)
    return {
        'availabilityZoneInfo': [
            _view(zone, available, _hosts(nodes, shape) if available else None)
            for zone, available, nodes in _zones(domain)
        ]
    }


def _check(query: Mapping[str, str], shape: shapes.Shape) -> None:
    schema.check_query(
        query, schema.NO_QUERY, strict=shape.supports(shapes.KNOWN_QUERIES)
    )


def _zones(
    domain: routing.Domain,
) -> list[tuple[str, bool, list[inventory.Node]]]:
    """Every zone with a host: name, availability, its enabled hosts."""
    enabled: dict[str, list[inventory.Node]] = {}
    for node in domain.inventory.get_all():
        hosts = enabled.setdefault(node.zone, [])
        if node.enabled:
            hosts.append(node)
    zones = [(zone, bool(nodes), nodes) for zone, nodes in enabled.items()]
    return sorted(zones, key=lambda zone: (not zone[1], zone[0]))


def _view(
    zone: str, available: bool, hosts: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        'zoneName': zone,
        'zoneState': {'available': available},
        'hosts': hosts,
    }


def _hosts(nodes: list[inventory.Node], shape: shapes.Shape) -> dict[str, Any]:
    return {
        node.name: {
            services.BINARY: {
                'available': node.up,
                'active': node.enabled,
                'updated_at': shape.time(node.seen_at),
            }
        }
        for node in nodes
    }


ROUTES: routing.Routes = {
    '/os-availability-zone': {'GET': routing.Route(index, 'query')},
    '/os-availability-zone/detail': {'GET': routing.Route(detail, 'query')},
}
