"""What os-aggregate-pools does to all hosts of a pool, one after another."""

from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import operations
from aggregates_ext.domain import operations as states
from aggregates_ext.domain.outlook import verdicts


def rolling_reboot(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named | dict[str, Any]:
    """Restart all hosts of a pool, or tell what that would do."""
    known = states.ROLLING_REBOOT, schema.ROLLING_REBOOT
    return _begin(ctx, domain, shape, aggregate_id, body, *known)


def rolling_update(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named | dict[str, Any]:
    """Update all hosts of a pool, or tell what that would do."""
    known = states.ROLLING_UPDATE, schema.ROLLING_UPDATE
    return _begin(ctx, domain, shape, aggregate_id, body, *known)


def _begin(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
    kind: str,
    form: schema.Rules,
) -> routing.Named | dict[str, Any]:
    fields = schema.check(body, form, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    if fields.get('dry_run', False):
        return {'plan': domain.rolling.plan(key, kind, fields)}
    queued = domain.rolling.begin(ctx, key, kind, fields)
    return routing.Named(
        {'operation': operations.view(queued, shape)}, queued.uuid
    )


def continue_operation(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Let a restart go on with the host that it waits with."""
    fields = schema.check(body, schema.CONTINUE_OPERATION, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    found = domain.rolling.go_on(ctx, key, fields['operation'])
    return routing.Named(
        {'operation': operations.view(found, shape)}, found.uuid
    )


# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'rolling_reboot': routing.Action(
        rolling_reboot,
        (policy.ROLLING,),
        (routing.Question(routing.AGGREGATE, verdicts.roll),),
    ),
    'rolling_update': routing.Action(
        rolling_update,
        (policy.ROLLING,),
        (routing.Question(routing.AGGREGATE, verdicts.roll),),
    ),
    'continue_operation': routing.Action(
        continue_operation,
        (policy.ROLLING,),
        (routing.Question(routing.OPERATION, verdicts.go_on),),
    ),
}
