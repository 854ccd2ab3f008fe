"""What a compute API has beside aggregates, and this one has nothing of.

Dashboards and clients ask for it on the way to something else, and give up
on a 404. The answers are Nova's for somebody who has none: every list is
empty, every limit and every use is zero.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import shapes

# Path -> the name of the list.
LISTS = {
    '/flavors': 'flavors',
    '/flavors/detail': 'flavors',
    '/os-keypairs': 'keypairs',
    '/os-server-groups': 'server_groups',
    '/os-simple-tenant-usage': 'tenant_usages',
}
LIMITS = (
    'maxServerGroupMembers',
    'maxServerGroups',
    'maxServerMeta',
    'maxTotalCores',
    'maxTotalInstances',
    'maxTotalKeypairs',
    'maxTotalRAMSize',
    'totalCoresUsed',
    'totalInstancesUsed',
    'totalRAMUsed',
    'totalServerGroupsUsed',
)
# The first microversion without them -> further limits.
LIMITS_UNTIL = {
    (2, 36): (
        'maxSecurityGroupRules',
        'maxSecurityGroups',
        'maxTotalFloatingIps',
        'totalFloatingIpsUsed',
        'totalSecurityGroupsUsed',
    ),
    (2, 39): ('maxImageMeta',),
    (2, 57): ('maxPersonality', 'maxPersonalitySize'),
}


def limits(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """Tell the limits of a project: nothing can be made here."""
    names = [*LIMITS]
    for since, further in LIMITS_UNTIL.items():
        if not shape.supports(since):
            names += further
    absolute = dict.fromkeys(sorted(names), 0)
    return {'limits': {'rate': [], 'absolute': absolute}}


def usage(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    tenant_id: str,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """Tell what a project has used: nothing."""
    return {'tenant_usage': {}}


def _none_of(name: str) -> Callable[..., dict[str, Any]]:
    def index(
        ctx: context.RequestContext,
        domain: routing.Domain,
        shape: shapes.Shape,
        query: Mapping[str, str],
    ) -> dict[str, Any]:
        """List none: there are none here."""
        return {name: []}

    return index


ROUTES: routing.Routes = {
    '/limits': {'GET': routing.Route(limits, 'query')},
    **{
        path: {'GET': routing.Route(_none_of(name), 'query')}
        for path, name in LISTS.items()
    },
    '/os-simple-tenant-usage/{tenant_id}': {
        'GET': routing.Route(usage, 'query')
    },
}
