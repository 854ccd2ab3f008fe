"""The guests of pools as servers, as Nova shows them.

Their pools make, change and end them. Who may see only what is his sees those
of one project, which is configured; pools know none.
"""

from collections.abc import Mapping
from typing import Any

from oslo_utils import strutils
from oslo_utils import timeutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import serverviews
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import guestpages
from aggregates_ext.domain import guests
from aggregates_ext.domain import inventory

# Servers of one page, as Nova has it.
MOST = 1000
_STATUS_IS_CHECKED_SINCE = (2, 38)
_BEFORE_SINCE = (2, 66)
_KNOWN_ALONE_SINCE = (2, 75)
# What Nova may answer for a status; others than ``guests.STATUSES`` no guest
# ever has.
_STATUSES = {
    *guests.STATUSES,
    'BUILD',
    'DELETED',
    'ERROR',
    'PASSWORD',
    'REBUILD',
    'RESCUE',
    'RESIZE',
    'REVERT_RESIZE',
    'SHELVED',
    'SHELVED_OFFLOADED',
    'SOFT_DELETED',
    'VERIFY_RESIZE',
}
_SORTED_BY = {
    'created_at': 'first_seen',
    'updated_at': 'changed_at',
    'display_name': 'name',
    'name': 'name',
    'uuid': 'uuid',
}
# Known to Nova, and of no guest.
_NEVER = (
    'access_ip_v4',
    'access_ip_v6',
    'description',
    'display_description',
    'flavor',
    'image',
    'image_ref',
    'instance_type_id',
    'ip',
    'ip6',
    'kernel_id',
    'key_name',
    'launched_at',
    'metadata',
    'progress',
    'ramdisk_id',
    'reservation_id',
    'root_device_name',
    'system_metadata',
    'tags',
    'tags-any',
    'terminated_at',
)
# Known to Nova, and true of every guest or of no interest here.
_ALWAYS = ('config_drive', 'launch_index', 'not-tags', 'not-tags-any')
# Of all filters these are for anybody; others need a policy.
_FOR_ALL = ('changes-before', 'changes-since', 'name', 'status')
_TEXTS = (
    'all_tenants',
    'availability_zone',
    'changes-before',
    'changes-since',
    'deleted',
    'display_name',
    'host',
    'hostname',
    'instance_name',
    'locked',
    'marker',
    'name',
    'node',
    'power_state',
    'project_id',
    'sort_dir',
    'sort_key',
    'status',
    'task_state',
    'tenant_id',
    'user_id',
    'uuid',
    'vm_state',
)
QUERY = schema.query(
    limit=fields.NUMBER,
    **dict.fromkeys((*_TEXTS, *_ALWAYS, *_NEVER), fields.ANY_TEXT),
)
_PAGING = ('all_tenants', 'limit', 'marker', 'sort_dir', 'sort_key')


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> Any:
    """List the servers, by name and id alone."""
    return _list(ctx, domain, shape, query, policy.SERVERS_INDEX)


def detail(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> Any:
    """List the servers with all that is told of them."""
    return _list(ctx, domain, shape, query, policy.SERVERS_DETAIL)


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
) -> dict[str, Any]:
    """Show one server; somebody else's is none."""
    ctx.can(policy.SERVERS_SHOW)
    owner = domain.guests
    status = _tells_host_status(ctx, shape)
    guest = find(
        ctx, domain, shape, server_id, policy.SERVERS_SHOW, with_node=status
    )
    shown = serverviews.full(
        guest,
        shape,
        owner,
        attributes=ctx.may(policy.SERVER_ATTRIBUTES, owner.project_id),
        host_status=status,
        alone=True,
    )
    return {'server': shown}


def find(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    rule: str,
    *,
    with_node: bool = False,
) -> guests.Guest:
    """A server that somebody may do something with; others are none.

    :param rule: what he may do with his own.
    :raises exception.ServerNotFound: there is none for him.
    """
    guest = None
    if shape.has_servers and ctx.may(rule, domain.guests.project_id):
        guest = domain.guests.find(server_id, with_node=with_node)
    if guest is None:
        raise exception.ServerNotFound(server_id=ascii(server_id[:64])[1:-1])
    return guest


def _list(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
    rule: str,
) -> Any:
    ctx.can(rule)
    if not shape.has_servers:
        return {'servers': []}
    asked = schema.check_query(
        query, QUERY, strict=shape.supports(_KNOWN_ALONE_SINCE)
    )
    limit = min(asked.get('limit', MOST), MOST)
    wanted = _wanted(ctx, domain.guests, shape, asked, rule)
    detailed = rule == policy.SERVERS_DETAIL
    status = detailed and _tells_host_status(ctx, shape)
    found: list[guests.Guest] | None = []
    order = _order(asked)
    if wanted is not None and limit:
        found = domain.guests.page(
            wanted, order, limit + 1, asked.get('marker'), with_nodes=status
        )
    if found is None:
        raise exception.Invalid(
            reason=f'marker [{ascii(asked["marker"][:40])[1:-1]}] not found'
        )
    attributes = detailed and ctx.may(
        policy.SERVER_ATTRIBUTES, domain.guests.project_id
    )
    shown = [
        serverviews.full(
            guest,
            shape,
            domain.guests,
            attributes=attributes,
            host_status=status,
        )
        if detailed
        else serverviews.brief(guest, shape)
        for guest in found
    ]
    return routing.Page.of('servers', shown, limit, 'id')


def _tells_host_status(
    ctx: context.RequestContext, shape: shapes.Shape
) -> bool:
    return shape.supports(serverviews.HOST_STATUS_SINCE) and ctx.may(
        policy.SERVERS_HOST_STATUS
    )


def _order(asked: Mapping[str, Any]) -> guestpages.Order:
    """Changes come in order of change, all else as in Nova by its age."""
    usual = 'changed_at' if 'changes-since' in asked else 'first_seen'
    by = _SORTED_BY.get(asked.get('sort_key', ''), usual)
    direction = asked.get('sort_dir', 'desc')
    if direction not in ('asc', 'desc'):
        raise exception.Invalid(
            reason='Unknown sort direction, must be one of: asc, desc'
        )
    return guestpages.Order(by, ascending=direction == 'asc')


def _wanted(
    ctx: context.RequestContext,
    owner: guests.Guests,
    shape: shapes.Shape,
    asked: Mapping[str, Any],
    rule: str,
) -> guestpages.Wanted | None:
    """Which guests a query means; None: it can be none."""
    everybody = _flag(asked, 'all_tenants')
    if everybody:
        ctx.can(f'{rule}:get_all_tenants')
    if not ctx.may(policy.SERVERS_ALL_FILTERS):
        kept = (*_FOR_ALL, *_PAGING)
        asked = {name: asked[name] for name in asked if name in kept}
    wanted = _status(asked, shape)
    project = asked.get('project_id', asked.get('tenant_id'))
    if not everybody:
        project = ctx.project_id
    mine = (
        project in (None, owner.project_id)
        and asked.get('user_id') in (None, owner.user_id)
        and not any(name in asked for name in _NEVER)
        and not _flag(asked, 'deleted')
        and not _flag(asked, 'locked')
    )
    if wanted is None or not mine:
        return None
    wanted = wanted._replace(
        host=asked.get('host', asked.get('node')),
        zone=_zone(asked),
        name=_name(asked),
        uuid=asked.get('uuid'),
        since=_moment(asked, 'changes-since'),
    )
    if shape.supports(_BEFORE_SINCE):
        wanted = wanted._replace(before=_moment(asked, 'changes-before'))
    return None if _has_nul(wanted) else wanted


def _has_nul(wanted: guestpages.Wanted) -> bool:
    # No text has one, and PostgreSQL takes none.
    return any(isinstance(v, str) and '\0' in v for v in wanted)


def _zone(asked: Mapping[str, Any]) -> str | None:
    zone: str | None = asked.get('availability_zone')
    return '' if zone == inventory.DEFAULT_ZONE else zone


def _name(asked: Mapping[str, Any]) -> str | None:
    for field in ('name', 'display_name', 'hostname', 'instance_name'):
        if field in asked:
            return guestpages.like(asked[field])
    return None


def _status(
    asked: Mapping[str, Any], shape: shapes.Shape
) -> guestpages.Wanted | None:
    """The guests with a status, or with the state that stands for it."""
    if 'status' in asked:
        status = asked['status'].upper()
        known = status in _STATUSES
        if not known and shape.supports(_STATUS_IS_CHECKED_SINCE):
            raise exception.Invalid(reason='Invalid status value')
        return guests.STATUSES.get(status)
    for field in ('vm_state', 'power_state', 'task_state'):
        if field in asked:
            return _of_state(field, asked[field])
    return guestpages.Wanted()


def _of_state(field: str, value: str) -> guestpages.Wanted | None:
    if field == 'task_state' and value == guests.MIGRATING:
        return guestpages.Wanted(moving=True)
    if field == 'task_state':
        found = tuple(name for name, t in guests.TASKS.items() if t == value)
        return guestpages.Wanted(operations=found) if found else None
    states = tuple(
        name
        for name, state in guests.STATES.items()
        if str(getattr(state, field)) == value
    )
    return guestpages.Wanted(power_states=states) if states else None


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    """A flag of a query; without a value it is set, as in Nova."""
    value = asked.get(name)
    if value is None or value == '':
        return value is not None
    try:
        return bool(strutils.bool_from_string(value, strict=True))
    except ValueError:
        raise exception.Invalid(
            reason=f'Invalid query: {name} must be true or false.'
        ) from None


def _moment(asked: Mapping[str, Any], name: str) -> float | None:
    """Seconds of the epoch; without a zone it is UTC."""
    if name not in asked:
        return None
    try:
        found = timeutils.parse_isotime(asked[name])
        return found.timestamp()
    except (ValueError, OverflowError):
        raise exception.Invalid(
            reason=f'Invalid filter field: {name}.'
        ) from None


ROUTES: routing.Routes = {
    '/servers': {'GET': routing.Route(index, 'query')},
    '/servers/detail': {'GET': routing.Route(detail, 'query')},
    '/servers/{server_id}': {'GET': routing.Route(show)},
}
