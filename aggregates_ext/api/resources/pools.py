"""The extension os-aggregate-pools: what is done to the pool of an aggregate.

``overview`` shows pools, and ``operations`` what became of what was asked.
"""

import functools
from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import operations
from aggregates_ext.domain.outlook import verdicts

EXTENSION = {
    'updated': '2026-11-01T00:00:00+00:00',
    'name': 'AggregatePools',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/aggregate-pools/'
    'api/v1.1',
    'alias': 'os-aggregate-pools',
    'description': 'Resource pools behind aggregates: state, operations',
}


# What an answer of a check has besides, by its purpose.
_BESIDE = {'remove': ('disks',), 'maintenance': ('plan',)}


def check_host(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any]:
    """Every blocker and warning of a change that is not made.

    For a removal with the disks that it would destroy, by SR; for
    maintenance with where each guest would go.
    """
    fields = schema.check(body, schema.CHECK_HOST, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    purpose = fields['for']
    report = domain.members.check_host(
        key,
        fields['host'],
        purpose,
        fields.get('shut_down', ()),
        hard=fields.get('hard', False),
        network=fields.get('network'),
    )
    names = ['blockers', 'warnings', *_BESIDE.get(purpose, ())]
    shown = {name: report[name] for name in names}
    return {'check': {**fields, **shown}}


def adopt(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Let the aggregate follow its pool as it is now."""
    schema.check(body, schema.ADOPT, strict=shape.strict)
    queued = domain.pools.adopt(ctx, shape.aggregate_id(aggregate_id))
    return routing.Named(
        {'operation': operations.view(queued, shape)}, queued.uuid
    )


def reapply(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Make the pool what the aggregate says."""
    schema.check(body, schema.REAPPLY, strict=shape.strict)
    queued = domain.pools.reapply(ctx, shape.aggregate_id(aggregate_id))
    return routing.Named(
        {'operation': operations.view(queued, shape)}, queued.uuid
    )


def set_master(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Make another member the master of the pool."""
    fields = schema.check(body, schema.SET_MASTER, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    queued = domain.pools.set_master(ctx, key, fields['host'])
    return routing.Named(
        {'operation': operations.view(queued, shape)}, queued.uuid
    )


def enter_maintenance(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Let a host take no guests, and move those that it has.

    Those that cannot move are shut down, if they are named.
    """
    fields = schema.check(body, schema.ENTER_MAINTENANCE, strict=shape.strict)
    operation = domain.maintenance.enter(
        ctx,
        fields['host'],
        shape.aggregate_id(aggregate_id),
        fields.get('reason'),
        stay_on_failure=fields.get('stay_on_failure', False),
        shut_down=fields.get('shut_down', ()),
        hard=fields.get('hard', False),
        network=fields.get('network'),
    )
    shown = {'host': fields['host'], 'maintenance_mode': 'on_maintenance'}
    return routing.Named(shown, operation)


def leave_maintenance(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Let a host take guests again, and bring back those that it had."""
    fields = schema.check(body, schema.LEAVE_MAINTENANCE, strict=shape.strict)
    operation = domain.maintenance.leave(
        ctx,
        fields['host'],
        shape.aggregate_id(aggregate_id),
        restore=fields.get('restore', True),
        network=fields.get('network'),
    )
    shown = {'host': fields['host'], 'maintenance_mode': 'off_maintenance'}
    return routing.Named(shown, operation)


def power_host(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Reboot a host in maintenance, shut it down, or start it."""
    fields = schema.check(body, schema.POWER_HOST, strict=shape.strict)
    host, action = fields['host'], fields['action']
    operation = domain.powering.power(
        ctx, host, action, shape.aggregate_id(aggregate_id)
    )
    return routing.Named({'host': host, 'power_action': action}, operation)


# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'check_host': routing.Action(
        check_host,
        (policy.CHECK_HOST,),
        (routing.Question(routing.HOST, verdicts.nothing),),
    ),
    'adopt': routing.Action(
        adopt,
        (policy.ADOPT,),
        (routing.Question(routing.AGGREGATE, verdicts.adopt),),
    ),
    'reapply': routing.Action(
        reapply,
        (policy.REAPPLY,),
        (routing.Question(routing.AGGREGATE, verdicts.reapply),),
    ),
    'set_master': routing.Action(
        set_master,
        (policy.SET_MASTER,),
        (routing.Question(routing.HOST, verdicts.set_master),),
    ),
    'enter_maintenance': routing.Action(
        enter_maintenance,
        (policy.MAINTENANCE,),
        (routing.Question(routing.HOST, verdicts.enter_maintenance),),
    ),
    'leave_maintenance': routing.Action(
        leave_maintenance,
        (policy.MAINTENANCE,),
        (routing.Question(routing.HOST, verdicts.leave_maintenance),),
    ),
    'power_host': routing.Action(
        power_host,
        (policy.POWER,),
        tuple(
            routing.Question(
                routing.HOST,
                functools.partial(verdicts.power, action),
                {'action': action},
            )
            for action in schema.POWER_ACTIONS
        ),
    ),
}
