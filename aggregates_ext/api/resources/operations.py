"""The operations of os-aggregate-pools, and the ways out of their states.

History, progress, and what ends a state that does not end by itself.
"""

import functools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records
from aggregates_ext.domain import downtime
from aggregates_ext.domain import operations as states
from aggregates_ext.domain.maintenance import rolling
from aggregates_ext.domain.membership import retries
from aggregates_ext.domain.outlook import verdicts

# More than that are not shown at once.
_PAGE = 1000
# Parameters of an operation that tell what was asked for.
_SHOWN_PARAMETERS = (
    'accept_data_loss',
    'accepted_by',
    'action',
    'force',
    'hard',
    'hosts',
    'network',
    'only_if_needed',
    'outcome',
    'part_of',
    'pause',
    'reason',
    'restore',
    'retry_of',
    'retried_by',
    'shut_down',
    'suspend_ha',
    'sync',
)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    query: Mapping[str, str],
) -> routing.Page:
    """The operations of an aggregate, also a deleted one; newest first."""
    ctx.can(policy.OPERATIONS)
    filters = schema.check_query(
        query,
        schema.OPERATIONS_QUERY,
        strict=shape.supports(shapes.KNOWN_QUERIES),
    )
    limit = min(filters.pop('limit', _PAGE), _PAGE)
    found = domain.operations.get_all(
        shape.aggregate_id(aggregate_id), limit=limit + 1, **filters
    )
    shown = [view(item, shape) for item in found]
    return routing.Page.of('operations', shown, limit, 'uuid')


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    uuid: str,
) -> dict[str, Any]:
    """One operation, with its progress, and what it does with guests."""
    ctx.can(policy.OPERATIONS)
    if not uuidutils.is_uuid_like(uuid):
        raise exception.OperationNotFound(operation=uuid[:40])
    found, now = domain.operations.look(uuid)
    shown = view(found, shape)
    moves = domain.moves.of_operation(found)
    if found.kind == states.SET_HOSTS:
        shown['changes'] = [
            _change(part) for part in domain.operations.parts_of(found)
        ]
    if found.kind in states.ROLLING:
        shown |= {
            'hosts': _rolled(found, moves, shape),
            'paused': domain.rolling.paused(found),
            'seconds_left': rolling.seconds_left(found, now),
        }
    if moves:
        shown['moves'] = [_move(move) for move in moves]
    guests = found.parameters.get(downtime.GUESTS, {})
    if guests:
        shown['guests'] = [_guest(u, e) for u, e in sorted(guests.items())]
    return {'operation': shown}


def _rolled(
    operation: records.Operation,
    moves: Sequence[records.Move],
    shape: shapes.Shape,
) -> list[dict[str, Any]]:
    """How far each host is that an operation takes in turn, in order."""
    shown = []
    for entry in operation.parameters.get(records.Rolling.HOSTS, ()):
        entered = entry.get('entered', ())
        began, ended = (
            shape.time(shapes.moment(entry.get(name)))
            for name in ('began', 'ended')
        )
        shown.append(
            {
                'host': entry['host'],
                'state': entry['state'],
                'operation': entry.get('operation'),
                'moved': sum(
                    move.state == db_moves.COMPLETED
                    and move.operation_id in entered
                    for move in moves
                ),
                'began_at': began,
                'ended_at': ended,
                'to_install': entry.get('to_install'),
                'warning': entry.get('warning'),
            }
        )
    return shown


def _change(part: records.Operation) -> dict[str, Any]:
    """How far a host is that a list of hosts lets join, or leave."""
    return {
        'host': part.host,
        'change': 'add' if part.kind == states.ADD_HOST else 'remove',
        'operation': part.uuid,
        'state': part.state,
        'step': part.step,
        'progress': part.progress,
        'error': part.error,
    }


def _move(move: records.Move) -> dict[str, Any]:
    """A guest that an operation moves, and how far it is."""
    return {
        'name': move.guest_name,
        'uuid': move.guest_uuid,
        'from': move.source,
        'to': move.target or move.wanted,
        'state': move.state,
        'progress': move.progress,
        'error': move.error,
    }


def _guest(uuid: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A guest that an operation shuts down, or starts again."""
    return {
        'name': entry['name'],
        'uuid': uuid,
        'state': entry['state'],
        'error': entry['error'],
    }


def view(operation: records.Operation, shape: shapes.Shape) -> dict[str, Any]:
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
        'result': operation.parameters.get('result', []),
        'error': operation.error,
        'retry_at': shape.time(shapes.moment(operation.not_before)),
        'request_id': operation.request_id,
        'global_request_id': operation.parameters.get('global_request_id'),
        'user_id': operation.user_id,
        'project_id': operation.project_id,
        'created_at': shape.time(operation.created_at),
        'started_at': shape.time(operation.started_at),
        'finished_at': shape.time(operation.finished_at),
    }


def cancel_operation(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any]:
    """Take a queued operation back; one that restarts hosts is given up."""
    fields = schema.check(body, schema.CANCEL_OPERATION, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    cancelled = domain.operations.cancel(ctx, key, fields['operation'])
    return {'operation': view(cancelled, shape)}


def retry_operation(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Try an operation again, or have it asked for once more."""
    fields = schema.check(body, schema.RETRY_OPERATION, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    tried = domain.retries.retry(
        ctx,
        key,
        fields['operation'],
        lambda: ctx.can(policy.FORCE_REMOVE_HOST),
    )
    return routing.Named({'operation': view(tried, shape)}, tried.uuid)


def reset(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any]:
    """Declare what became of a host, where evidence cannot tell."""
    fields = schema.check(body, schema.RESET, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    recorded = domain.operations.reset(
        ctx, key, fields['host'], fields['outcome']
    )
    return {'operation': view(recorded, shape)}


ROUTES: routing.Routes = {
    '/os-aggregates/operations/{uuid}': {'GET': routing.Route(show)},
    '/os-aggregates/{aggregate_id}/operations': {
        'GET': routing.Route(index, 'query')
    },
}


def _beside(operation: records.Operation) -> tuple[str, ...]:
    """The rules that trying it again takes besides."""
    if retries.is_forced(operation):
        return (policy.FORCE_REMOVE_HOST,)
    return ()


# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'cancel_operation': routing.Action(
        cancel_operation,
        (policy.CANCEL_OPERATION,),
        (routing.Question(routing.OPERATION, verdicts.cancel),),
    ),
    'retry_operation': routing.Action(
        retry_operation,
        (policy.RETRY_OPERATION,),
        (routing.Question(routing.OPERATION, verdicts.retry, beside=_beside),),
    ),
    'reset': routing.Action(
        reset,
        (policy.RESET,),
        tuple(
            routing.Question(
                routing.HOST,
                functools.partial(verdicts.reset, outcome),
                {'outcome': outcome},
            )
            for outcome in states.OUTCOMES
        ),
    ),
}
