"""The extension os-services: each registered host as a compute service.

Clients look here for the hosts that can be added to an aggregate. There is
no agent on a host; "nova-compute" is the name that they look for.
"""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.domain import inventory

EXTENSION = {
    'updated': '2012-10-28T00:00:00-00:00',
    'name': 'Services',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/services/api/v2',
    'alias': 'os-services',
    'description': 'Services support.',
}
BINARY = 'nova-compute'
_FORCED_DOWN_SINCE = (2, 11)
_UUID_SINCE = (2, 53)
_STRICT_SINCE = (2, 75)
QUERY = schema.query(host=fields.ANY_TEXT, binary=fields.ANY_TEXT)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """List the services by host; of one host or binary where named."""
    ctx.can(policy.SERVICES_LIST)
    strict = shape.supports(_STRICT_SINCE)
    asked = schema.check_query(query, QUERY, strict=strict)
    if (asked.get('binary') or BINARY) != BINARY:
        return {'services': []}
    host = asked.get('host')
    nodes = domain.inventory.get_all()
    if host:
        found = domain.inventory.find(host)
        nodes = [] if found is None else [found]
    return {'services': (_view(node, shape) for node in nodes)}


def _view(node: inventory.Node, shape: shapes.Shape) -> dict[str, Any]:
    uuid = shape.supports(_UUID_SINCE)
    shown = {
        'binary': BINARY,
        'host': node.name,
        'id': node.service_uuid if uuid else node.id,
        'zone': node.zone,
        'status': 'enabled' if node.enabled else 'disabled',
        'state': 'up' if node.up else 'down',
        'updated_at': shape.time(node.seen_at),
        'disabled_reason': None if node.enabled else inventory.DISABLED_REASON,
    }
    if shape.supports(_FORCED_DOWN_SINCE):
        shown['forced_down'] = False
    return shown


ROUTES: routing.Routes = {
    '/os-services': {'GET': routing.Route(index, 'query')},
}
