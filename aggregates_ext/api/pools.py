"""The extension os-aggregate-pools: the pool behind an aggregate.

The pool as it was seen, and what is done to it; ``operations`` has the
extension's other half.
"""

import datetime
from collections.abc import Sequence
from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api import routing
from aggregates_ext.api import schema
from aggregates_ext.api import shapes
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
    seen = (aggregate.observation or {}).get('hosts', [])
    name_of = {host.uuid: host.name for host in hosts}
    master = (aggregate.observation or {}).get('master', '')
    return {
        'pool': {
            'aggregate_id': aggregate.id,
            'uuid': aggregate.pool_uuid,
            'name_label': (aggregate.observation or {}).get('name_label'),
            'master': name_of.get(master, _label(seen, master)),
            'seen_at': shape.time(_moment(aggregate.observed_at)),
            'drift': list(aggregate.drift),
            'hosts': _hosts(hosts, seen),
        }
    }


def _moment(seconds: float | None) -> datetime.datetime | None:
    if seconds is None:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.replace(tzinfo=None)


def _label(seen: Sequence[dict[str, Any]], uuid: str) -> str | None:
    """The name that a host of the pool has there."""
    labels = (host['name_label'] for host in seen if host['uuid'] == uuid)
    return next(labels, None)


def _hosts(
    hosts: Sequence[records.Host], seen: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Hosts bound to the aggregate, then those only the pool knows."""
    seen_by_uuid = {host['uuid']: host for host in seen}
    shown = []
    for host in hosts:
        found = seen_by_uuid.pop(host.uuid, {})
        shown.append(
            {
                'name': host.name,
                'uuid': host.uuid,
                'phase': host.phase,
                'address': found.get('address', host.address),
                'enabled': found.get('enabled'),
                'live': found.get('live'),
                'alarm': host.alarm,
            }
        )
    for found in seen_by_uuid.values():
        shown.append(
            {
                'name': found['name_label'],
                'uuid': found['uuid'],
                'phase': None,
                'address': found['address'],
                'enabled': found['enabled'],
                'live': found['live'],
                'alarm': None,
            }
        )
    return shown


def check_host(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any]:
    """Every blocker and warning of a change that is not made."""
    ctx.can(policy.CHECK_HOST)
    fields = schema.check(body, schema.CHECK_HOST)
    key = shape.aggregate_id(aggregate_id)
    report = domain.members.check_host(key, fields['host'], fields['for'])
    shown = {name: report[name] for name in ('blockers', 'warnings')}
    return {'check': {**fields, **shown}}


ROUTES: routing.Routes = {
    '/os-aggregates/{aggregate_id}/pool': {'GET': routing.Route(pool)},
}
# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'check_host': check_host,
}
