"""The extension os-migrations: moves of servers, those under way and all.

Only what runs is moved here, so each is a live migration of Nova's.
"""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import moveforms
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.servers import servers
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records
from aggregates_ext.domain import moves

# Migrations of one page, as Nova has it.
MOST = 1000
TYPE = 'live-migration'
_ABORT_SINCE = (2, 24)
_FORCE_SINCE = (2, 22)
_TYPE_SINCE = (2, 23)
_UUID_SINCE = (2, 59)
_ABORT_QUEUED_SINCE = (2, 65)
_BEFORE_SINCE = (2, 66)
_WHOSE_SINCE = (2, 80)
# Ends of a move, as Nova tells them.
_HOSTS = (
    'dest_compute',
    'dest_host',
    'dest_node',
    'source_compute',
    'source_node',
)
# What pools do not tell of a move; Nova knows it of some.
_UNKNOWN = (
    'disk_processed_bytes',
    'disk_remaining_bytes',
    'disk_total_bytes',
    'memory_processed_bytes',
    'memory_remaining_bytes',
    'memory_total_bytes',
)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> Any:
    """List moves of all servers, ended ones too; the newest first."""
    ctx.can(policy.MIGRATIONS)
    if not shape.has_servers:
        return {'migrations': []}
    closed = shape.supports(moveforms.CLOSED_SINCE)
    asked = schema.check_query(
        query, moveforms.migrations_query(shape), strict=closed
    )
    if asked.get('project_id') != ctx.project_id or not ctx.project_id:
        ctx.can(policy.MIGRATIONS_ALL)
    limit = min(asked.get('limit', MOST), MOST)
    wanted = _wanted(asked)
    found: list[records.Move] | None = []
    if wanted is not None and limit:
        found = domain.moves.page(wanted, limit + 1, asked.get('marker'))
    if found is None:
        marker = ascii(asked['marker'][:40])[1:-1]
        raise exception.Invalid(reason=f'Marker {marker} could not be found.')
    hosts = ctx.may(policy.MIGRATIONS_HOST)
    shown = [_listed(move, shape, hosts) for move in found]
    if not closed:
        return {'migrations': shown[:limit]}
    return routing.Page.of('migrations', shown, limit, 'uuid')


def _wanted(asked: Mapping[str, Any]) -> db_moves.Wanted | None:
    """Which moves a query means; None: it can be none."""
    since, before = moveforms.period(asked)
    wanted: db_moves.Wanted | None = db_moves.Wanted()
    if 'status' in asked:
        wanted = moves.STATUSES.get(asked['status'])
    if (
        wanted is None
        or asked.get('migration_type', TYPE) != TYPE
        or moveforms.is_true(asked.get('hidden'))
    ):
        return None
    wanted = wanted._replace(
        host=asked.get('host'),
        # As in Nova, which looks at one of the two.
        source=None if 'host' in asked else asked.get('source_compute'),
        guest_uuid=asked.get('instance_uuid'),
        user_id=asked.get('user_id'),
        project_id=asked.get('project_id'),
        since=since,
        before=before,
    )
    # No text has it, and PostgreSQL takes none with it.
    odd = any('\0' in v for v in wanted if isinstance(v, str))
    odd = odd or '\0' in asked.get('marker', '')
    return None if odd else wanted


def of_server(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
) -> dict[str, Any]:
    """List the moves of a server that are under way."""
    ctx.can(policy.SERVER_MIGRATIONS)
    guest = servers.find(
        ctx, domain, shape, server_id, policy.SERVER_MIGRATIONS
    )
    hosts = ctx.may(policy.SERVER_MIGRATIONS_HOST, domain.guests.project_id)
    found = domain.moves.open_of(guest.seen.uuid)
    return {'migrations': [_shown(move, shape, hosts) for move in found]}


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    migration_id: str,
) -> dict[str, Any]:
    """Show a move of a server that is under way."""
    ctx.can(policy.SERVER_MIGRATION)
    guest = servers.find(
        ctx, domain, shape, server_id, policy.SERVER_MIGRATION
    )
    uuid, key = guest.seen.uuid, _key(migration_id)
    found = None if key is None else domain.moves.find(uuid, key)
    if found is None:
        raise exception.MoveNotFound(
            f'In-progress live migration {ascii(migration_id[:40])[1:-1]} is '
            f'not found for server {uuid}.'
        )
    if not moves.in_progress(found):
        raise exception.MoveNotFound(
            f'Live migration {found.id} for server {uuid} is not in progress.'
        )
    return {'migration': _shown(found, shape, hosts=True)}


def abort(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    migration_id: str,
) -> routing.Accepted:
    """Abort a move of a server, if it is not too late."""
    ctx.can(policy.ABORT_MIGRATION)
    guest = servers.find(ctx, domain, shape, server_id, policy.ABORT_MIGRATION)
    uuid, key = guest.seen.uuid, _needed(migration_id, guest.seen.uuid)
    statuses: tuple[str, ...] = (moves.RUNNING,)
    if shape.supports(_ABORT_QUEUED_SINCE):
        # Of one that is unresolved it says that nothing is to be found out.
        statuses = (moves.RUNNING, moves.PREPARING, 'queued', moves.UNKNOWN)
    domain.moves.abort(uuid, key, statuses)
    return routing.Accepted(f'the end of migration {key}')


def act(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    migration_id: str,
    body: Any,
) -> routing.Accepted:
    """Find out what became of a move of which nobody knows; else refuse.

    Or start the guest that a move has left halted, where it was to go. Pools
    have no way to hasten one that is under way.
    """
    name = schema.action(body)
    if name != 'force_complete':
        raise exception.Invalid(
            reason=f'There is no such action: {ascii(name[:40])[1:-1]}'
        )
    if not shape.supports(_FORCE_SINCE):
        raise exception.NotFound()
    ctx.can(policy.FORCE_COMPLETE)
    schema.check(body, moveforms.FORCE_COMPLETE, strict=shape.strict)
    guest = servers.find(ctx, domain, shape, server_id, policy.FORCE_COMPLETE)
    uuid, key = guest.seen.uuid, _needed(migration_id, guest.seen.uuid)
    domain.moves.repair(uuid, key, guest.seen.aggregate_id)
    return routing.Accepted(f'the repair of migration {key}')


def _key(text: str) -> int | None:
    """The id of a move in a path; None: it can be none."""
    if text.isascii() and text.isdecimal() and len(text) <= 9:
        return int(text)
    return None


def _needed(text: str, server_id: str) -> int:
    """:raises exception.MoveNotFound: it can be none."""
    key = _key(text)
    if key is None:
        raise exception.MoveNotFound(
            f'Migration {ascii(text[:40])[1:-1]} not found for instance '
            f'{server_id}'
        )
    return key


def _listed(
    move: records.Move, shape: shapes.Shape, hosts: bool
) -> dict[str, Any]:
    """A move as the list of all has it."""
    shown = {
        **_common(move, shape, hosts),
        'instance_uuid': move.guest_uuid,
        'old_instance_type_id': None,
        'new_instance_type_id': None,
    }
    if shape.supports(_TYPE_SINCE):
        shown['migration_type'] = TYPE
        if moves.in_progress(move):
            path = f'/servers/{move.guest_uuid}/migrations/{move.id}'
            shown['links'] = shape.links(path)
    return shown


def _shown(
    move: records.Move, shape: shapes.Shape, hosts: bool
) -> dict[str, Any]:
    """A move as its server has it."""
    return {
        **_common(move, shape, hosts),
        **dict.fromkeys(_UNKNOWN),
        'server_uuid': move.guest_uuid,
    }


def _common(
    move: records.Move, shape: shapes.Shape, hosts: bool
) -> dict[str, Any]:
    """What a move has everywhere.

    :param hosts: whether its ends may be told.
    """
    shown: dict[str, Any] = {
        'id': move.id,
        'status': moves.status(move),
        'created_at': shape.time(move.created_at),
        'updated_at': shape.time(move.updated_at),
        **dict.fromkeys(_HOSTS),
    }
    if hosts:
        shown['source_compute'] = shown['source_node'] = move.source
        shown['dest_compute'] = shown['dest_node'] = move.target
    if shape.supports(_UUID_SINCE):
        shown['uuid'] = move.uuid
    if shape.supports(_WHOSE_SINCE):
        shown['user_id'] = move.user_id
        shown['project_id'] = move.project_id
    return shown


_OF_SERVER = '/servers/{server_id}/migrations'
_ONE = f'{_OF_SERVER}/{{migration_id}}'
ROUTES: routing.Routes = {
    '/os-migrations': {'GET': routing.Route(index, 'query')},
    _OF_SERVER: {'GET': routing.Route(of_server, since=_TYPE_SINCE)},
    _ONE: {
        'GET': routing.Route(show, since=_TYPE_SINCE),
        'DELETE': routing.Route(abort, since=_ABORT_SINCE),
    },
    f'{_ONE}/action': {'POST': routing.Route(act, 'body')},
}
