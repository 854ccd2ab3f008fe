"""The hosts of an aggregate as one list that is to be."""

from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.domain.membership import declared
from aggregates_ext.domain.outlook import verdicts


def set_hosts(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named | dict[str, Any]:
    """Let hosts join and leave until those of a list are left.

    Or tell what that would do. It is for those who may do each of it.
    """
    fields = schema.check(body, schema.SET_HOSTS, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    asked = fields['hosts'], fields.get('accept_data_loss', ())
    if fields.get('dry_run', False):
        planned = domain.membership.plan(key, *asked)
        return {'plan': {'hosts': [*map(_planned, planned.entries)]}}
    found = domain.membership.set_hosts(ctx, key, *asked)
    shown = {
        'hosts': [
            {
                'host': entry.found.name,
                'change': entry.change,
                'operation': entry.operation,
            }
            for entry in found.entries
        ],
        'operation': found.operation,
    }
    return routing.Named({'membership': shown}, found.operation)


def _planned(entry: declared.Entry) -> dict[str, Any]:
    """What would be done with a host, and what a check says of it."""
    report = entry.report or {}
    return {
        'host': entry.found.name,
        'change': entry.change,
        'blockers': report.get('blockers', []),
        'warnings': report.get('warnings', []),
        'disks': report.get('disks', {}),
    }


_SET_HOSTS = routing.Action(
    set_hosts,
    (policy.ADD_HOST, policy.REMOVE_HOST),
    (routing.Question(routing.AGGREGATE, verdicts.nothing),),
)
ROUTES: routing.Routes = {
    '/os-aggregates/{aggregate_id}/hosts': {
        'PUT': routing.Route.of('set_hosts', _SET_HOSTS, 'body'),
    },
}
