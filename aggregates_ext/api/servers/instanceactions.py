"""The extension os-instance-actions: what became of the moves of a server.

By it Nova tells how what it had accepted has ended. Nothing but moves is done
to servers here, so each action is a move, and its event the way it went
(design#moves-told).
"""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import moveforms
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import serverviews
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.servers import servers
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records
from aggregates_ext.domain import moves

# Actions of one page, as Nova has it.
MOST = 1000
ACTION, EVENT = 'live-migration', 'compute_live_migration'
SUCCESS, ERROR = 'Success', 'Error'
ABORTED = 'It was aborted; the guest is where it was.'
_EVENTS_SINCE = (2, 51)
_PAGES_SINCE = (2, 58)
_HOST_SINCE = (2, 62)
_DETAILS_SINCE = (2, 84)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    query: Mapping[str, str],
) -> Any:
    """List what was done to a server, the newest first."""
    ctx.can(policy.ACTIONS)
    paged = shape.supports(_PAGES_SINCE)
    asked = schema.check_query(
        query, moveforms.actions_query(shape), strict=paged
    )
    guest = servers.find(ctx, domain, shape, server_id, policy.ACTIONS)
    since, before = moveforms.period(asked)
    wanted = db_moves.Wanted(
        guest_uuid=guest.seen.uuid, since=since, before=before
    )
    limit = min(asked.get('limit', MOST), MOST)
    found: list[records.Move] | None = []
    if limit:
        found = domain.moves.page(
            wanted, limit + 1, _marker(domain, guest.seen.uuid, asked)
        )
    details = ctx.may(policy.ACTION_DETAILS, domain.guests.project_id)
    shown = [_action(move, shape, details) for move in found or []]
    if not paged:
        return {'instanceActions': shown[:limit]}
    return routing.Page.of(
        'instanceActions', shown, limit, 'request_id', links='links'
    )


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    request_id: str,
) -> dict[str, Any]:
    """Show one thing that was done to a server, and how it went."""
    ctx.can(policy.ACTION)
    guest = servers.find(ctx, domain, shape, server_id, policy.ACTION)
    found = domain.moves.find_asked(guest.seen.uuid, request_id)
    if found is None:
        raise exception.MoveNotFound(
            f'Action {ascii(request_id[:64])[1:-1]} not found'
        )
    owner = domain.guests.project_id
    details = ctx.may(policy.ACTION_DETAILS, owner)
    shown = _action(found, shape, details)
    events = ctx.may(policy.ACTION_EVENTS, owner)
    if events or shape.supports(_EVENTS_SINCE):
        project = found.project_id or owner
        shown['events'] = [_event(found, shape, project, events, details)]
    return {'instanceAction': shown}


def _marker(
    domain: routing.Domain, guest_uuid: str, asked: Mapping[str, Any]
) -> str | None:
    """The uuid of the move that the page before ended with.

    :raises exception.Invalid: there is none.
    """
    if 'marker' not in asked:
        return None
    found = domain.moves.find_asked(guest_uuid, asked['marker'])
    if found is None:
        marker = ascii(asked['marker'][:64])[1:-1]
        raise exception.Invalid(reason=f'Marker {marker} could not be found.')
    return found.uuid


def _result(move: records.Move) -> str | None:
    """Nova's word for how it ended; None: it has not."""
    if moves.in_progress(move):
        return None
    return SUCCESS if move.state == db_moves.COMPLETED else ERROR


def _said(move: records.Move) -> str | None:
    """Why it has ended so, or why it waits."""
    if move.error:
        return str(move.error['message'])
    return ABORTED if move.state == db_moves.CANCELLED else None


def _action(
    move: records.Move, shape: shapes.Shape, details: bool
) -> dict[str, Any]:
    """A move as an action.

    :param details: whether the reason may be told, which names hosts.
    """
    message = None
    if _result(move) == ERROR:
        message = (details and _said(move)) or ERROR
    shown = {
        'action': ACTION,
        'instance_uuid': move.guest_uuid,
        'request_id': moves.asked_as(move),
        'user_id': move.user_id,
        'project_id': move.project_id,
        'start_time': shape.time(move.created_at),
        'message': message,
    }
    if shape.supports(_PAGES_SINCE):
        shown['updated_at'] = shape.time(move.updated_at)
    return shown


def _event(
    move: records.Move,
    shape: shapes.Shape,
    project_id: str,
    whole: bool,
    details: bool,
) -> dict[str, Any]:
    """How a move went.

    :param whole: whether host and traceback may be told.
    :param details: whether the reason may be.
    """
    shown = {
        'event': EVENT,
        'start_time': shape.time(move.created_at),
        'finish_time': shape.time(move.finished_at),
        'result': _result(move),
    }
    if whole:
        # There is none; before there were details, this was their place.
        shown['traceback'] = _said(move) if details else None
    if shape.supports(_HOST_SINCE):
        if whole:
            shown['host'] = move.source
        shown['hostId'] = serverviews.host_id(move.source, project_id)
    if details and shape.supports(_DETAILS_SINCE):
        shown['details'] = _said(move)
    return shown


_OF_SERVER = '/servers/{server_id}/os-instance-actions'
ROUTES: routing.Routes = {
    _OF_SERVER: {'GET': routing.Route(index, 'query', since=(2, 1))},
    f'{_OF_SERVER}/{{request_id}}': {'GET': routing.Route(show, since=(2, 1))},
}
