"""The extension os-aggregate-pools: the pool behind an aggregate.

The pool as it was seen, and what is done to it; ``operations`` has the
extension's other half.
"""

from collections.abc import Sequence
from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import operations
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import inventory
from aggregates_ext.domain import operations as states
from aggregates_ext.domain import sight

EXTENSION = {
    'updated': '2026-11-01T00:00:00+00:00',
    'name': 'AggregatePools',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/aggregate-pools/'
    'api/v1.1',
    'alias': 'os-aggregate-pools',
    'description': 'Resource pools behind aggregates: state, operations',
}


def pool(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
) -> dict[str, Any]:
    """Show the pool as last seen, with every host bound to it.

    And why the state of the aggregate is what it is.
    """
    ctx.can(policy.POOL)
    key = shape.aggregate_id(aggregate_id)
    aggregate, hosts, standing, seen, halted = domain.aggregates.pool(key)
    observation = aggregate.observation or {}
    seen_at = shape.time(shapes.moment(seen.seen_at))
    name_of = {
        **{uuid: found['name_label'] for uuid, found in seen.hosts.items()},
        **{host.uuid: host.name for host in hosts if host.uuid},
    }
    return {
        'pool': {
            'aggregate_id': aggregate.id,
            'uuid': aggregate.pool_uuid,
            'name_label': observation.get('name_label'),
            'master': name_of.get(observation.get('master', '')),
            'seen_at': seen_at,
            'state': states.operational_state(aggregate),
            'drift': [
                {
                    'code': entry.code,
                    'host': entry.host,
                    'message': entry.message,
                    'since': shape.time(shapes.moment(entry.since)),
                }
                for entry in aggregate.drift
            ],
            'hosts': [
                {**shown, 'shut_down': halted.get(shown['name'], [])}
                for shown in _hosts(hosts, seen, seen_at, aggregate.drift)
            ],
            'operations': [_standing(operation) for operation in standing],
        }
    }


def _standing(operation: records.Operation) -> dict[str, Any]:
    """An operation that counts for the state, and what ends that."""
    error = operation.error or {}
    return {
        'uuid': operation.uuid,
        'kind': operation.kind,
        'host': operation.host,
        'state': operation.state,
        'step': operation.step,
        'code': error.get('code'),
        'message': error.get('message'),
        'remedy': endings.remedy(operation),
    }


def _hosts(
    hosts: Sequence[records.Host],
    seen: sight.Sight,
    seen_at: str | None,
    drift: Sequence[records.Drift],
) -> list[dict[str, Any]]:
    """Hosts bound to the aggregate, then those only the pool knows."""
    codes: dict[str | None, list[str]] = {}
    for entry in drift:
        codes.setdefault(entry.uuid, []).append(entry.code)
    left = {uuid: {**h, 'seen_at': seen_at} for uuid, h in seen.hosts.items()}
    rows: list[tuple[records.Host | None, dict[str, Any]]] = [
        (host, left.pop(host.uuid or '', {'uuid': host.uuid}))
        for host in hosts
    ]
    rows += [(None, found) for found in left.values()]
    # What keeps the whole pool from being seen is said of each host.
    blind = [
        entry.code
        for entry in drift
        if seen.missed and entry.host is entry.uuid is None
    ]
    return [
        _host(
            host,
            found,
            [*codes.get(found['uuid'] or '', []), *blind],
            seen.tells(
                host.phase if host else None,
                host.phase_since if host else None,
            ),
        )
        for host, found in rows
    ]


def _host(
    host: records.Host | None,
    found: dict[str, Any],
    drift: list[str],
    told: bool,
) -> dict[str, Any]:
    """A host as it is registered and as the pool's master showed it.

    :param host: None: only the pool knows it.
    :param drift: codes of what differs in it.
    :param told: whether that is how it is now.
    """
    label = found.get('name_label')
    return {
        'name': host.name if host else label,
        'uuid': found['uuid'],
        'name_label': label,
        'phase': host.phase if host else None,
        'address': found.get('address', host.address if host else None),
        'enabled': found.get('enabled') if told else None,
        'live': found.get('live') if told else None,
        'service': _service(host),
        'disabled_reason': inventory.told_reason(host)
        if host and host.disabled
        else None,
        'maintenance': (host.maintenance or 'off') if host else None,
        'xencenter_maintenance': found.get('xencenter_maintenance')
        if told
        else None,
        'version': found.get('version'),
        'drift': drift,
        'alarm': host.alarm if host else None,
        'seen_at': found.get('seen_at'),
    }


def _service(host: records.Host | None) -> str | None:
    """What a host is to be: disabled, or enabled."""
    if host is None:
        return None
    return records.DISABLED if host.disabled else records.ENABLED


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
    ctx.can(policy.CHECK_HOST)
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
    ctx.can(policy.ADOPT)
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
    ctx.can(policy.REAPPLY)
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
    ctx.can(policy.SET_MASTER)
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
    ctx.can(policy.MAINTENANCE)
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
    ctx.can(policy.MAINTENANCE)
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
    ctx.can(policy.POWER)
    fields = schema.check(body, schema.POWER_HOST, strict=shape.strict)
    host, action = fields['host'], fields['action']
    operation = domain.powering.power(
        ctx, host, action, shape.aggregate_id(aggregate_id)
    )
    return routing.Named({'host': host, 'power_action': action}, operation)


ROUTES: routing.Routes = {
    '/os-aggregates/{aggregate_id}/pool': {'GET': routing.Route(pool)},
}
# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'check_host': check_host,
    'adopt': adopt,
    'reapply': reapply,
    'set_master': set_master,
    'enter_maintenance': enter_maintenance,
    'leave_maintenance': leave_maintenance,
    'power_host': power_host,
}
