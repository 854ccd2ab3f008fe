"""The extension os-aggregate-pools: what is behind an aggregate.

The pool as it was seen, the operations on it, and the ways out of states
that do not end by themselves.
"""

import datetime
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
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
# Parameters of an operation that tell what was asked for.
_SHOWN_PARAMETERS = ('accept_data_loss', 'outcome')


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


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
) -> dict[str, Any]:
    """The operations of an aggregate, also a deleted one; newest first."""
    ctx.can(policy.OPERATIONS)
    found = domain.operations.get_all(shape.aggregate_id(aggregate_id))
    return {'operations': [_view(item, shape) for item in found]}


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    uuid: str,
) -> dict[str, Any]:
    """One operation, with its progress."""
    ctx.can(policy.OPERATIONS)
    if not uuidutils.is_uuid_like(uuid):
        raise exception.OperationNotFound(operation=uuid[:40])
    return {'operation': _view(domain.operations.get(uuid), shape)}


def _view(operation: records.Operation, shape: shapes.Shape) -> dict[str, Any]:
    """An operation without what is the compute service's own."""
    return {
        'uuid': operation.uuid,
        'kind': operation.kind,
        'aggregate_id': operation.aggregate_id,
        'host': operation.host,
        'state': operation.state,
        'step': operation.step,
        'progress': operation.progress,
        'attempts': operation.attempts,
        'asked': {
            name: operation.parameters[name]
            for name in _SHOWN_PARAMETERS
            if name in operation.parameters
        },
        'error': operation.error,
        'request_id': operation.request_id,
        'user_id': operation.user_id,
        'project_id': operation.project_id,
        'created_at': shape.time(operation.created_at),
        'started_at': shape.time(operation.started_at),
        'finished_at': shape.time(operation.finished_at),
    }


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


def cancel_operation(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any]:
    """Take a queued operation back."""
    ctx.can(policy.CANCEL_OPERATION)
    fields = schema.check(body, schema.CANCEL_OPERATION)
    key = shape.aggregate_id(aggregate_id)
    cancelled = domain.operations.cancel(key, fields['operation'])
    return {'operation': _view(cancelled, shape)}


def reset(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any]:
    """Declare what became of a host, where evidence cannot tell."""
    ctx.can(policy.RESET)
    fields = schema.check(body, schema.RESET)
    key = shape.aggregate_id(aggregate_id)
    recorded = domain.operations.reset(
        ctx, key, fields['host'], fields['outcome']
    )
    return {'operation': _view(recorded, shape)}


ROUTES: routing.Routes = {
    '/os-aggregates/operations/{uuid}': {'GET': routing.Route(show)},
    '/os-aggregates/{aggregate_id}/pool': {'GET': routing.Route(pool)},
    '/os-aggregates/{aggregate_id}/operations': {'GET': routing.Route(index)},
}
# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'check_host': check_host,
    'cancel_operation': cancel_operation,
    'reset': reset,
}
