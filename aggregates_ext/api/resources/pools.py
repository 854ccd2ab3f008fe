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
    """Show the pool as last seen, with every host bound to it."""
    ctx.can(policy.POOL)
    key = shape.aggregate_id(aggregate_id)
    aggregate, hosts = domain.aggregates.pool(key)
    observation = aggregate.observation or {}
    seen_at = shape.time(shapes.moment(observation.get('seen_at')))
    seen = [
        {**host, 'seen_at': seen_at} for host in observation.get('hosts', ())
    ]
    name_of = {host['uuid']: host['name_label'] for host in seen}
    name_of |= {host.uuid: host.name for host in hosts}
    return {
        'pool': {
            'aggregate_id': aggregate.id,
            'uuid': aggregate.pool_uuid,
            'name_label': observation.get('name_label'),
            'master': name_of.get(observation.get('master', '')),
            'seen_at': seen_at,
            'drift': [
                {
                    'code': entry.code,
                    'host': entry.host,
                    'message': entry.message,
                    'since': shape.time(shapes.moment(entry.since)),
                }
                for entry in aggregate.drift
            ],
            'hosts': _hosts(hosts, seen, aggregate.drift),
        }
    }


def _hosts(
    hosts: Sequence[records.Host],
    seen: Sequence[dict[str, Any]],
    drift: Sequence[records.Drift],
) -> list[dict[str, Any]]:
    """Hosts bound to the aggregate, then those only the pool knows."""
    codes: dict[str | None, list[str]] = {}
    for entry in drift:
        codes.setdefault(entry.uuid, []).append(entry.code)
    seen_by_uuid = {host['uuid']: host for host in seen}
    rows: list[tuple[records.Host | None, dict[str, Any]]] = [
        (host, seen_by_uuid.pop(host.uuid, {'uuid': host.uuid}))
        for host in hosts
    ]
    rows += [(None, found) for found in seen_by_uuid.values()]
    return [
        _host(host, found, codes.get(found['uuid'] or '', []))
        for host, found in rows
    ]


def _host(
    host: records.Host | None, found: dict[str, Any], drift: list[str]
) -> dict[str, Any]:
    """A host as it is registered and as the pool's master showed it.

    :param host: None: only the pool knows it.
    :param drift: codes of what differs in it.
    """
    label = found.get('name_label')
    return {
        'name': host.name if host else label,
        'uuid': found['uuid'],
        'name_label': label,
        'phase': host.phase if host else None,
        'address': found.get('address', host.address if host else None),
        'enabled': found.get('enabled'),
        'live': found.get('live'),
        'version': found.get('version'),
        'drift': drift,
        'alarm': host.alarm if host else None,
        'seen_at': found.get('seen_at'),
    }


def check_host(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any]:
    """Every blocker and warning of a change that is not made.

    For a removal with the disks that it would destroy, by SR.
    """
    ctx.can(policy.CHECK_HOST)
    fields = schema.check(body, schema.CHECK_HOST, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    report = domain.members.check_host(key, fields['host'], fields['for'])
    names = ['blockers', 'warnings']
    if fields['for'] == 'remove':
        names.append('disks')
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


ROUTES: routing.Routes = {
    '/os-aggregates/{aggregate_id}/pool': {'GET': routing.Route(pool)},
}
# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'check_host': check_host,
    'adopt': adopt,
    'reapply': reapply,
    'set_master': set_master,
}
