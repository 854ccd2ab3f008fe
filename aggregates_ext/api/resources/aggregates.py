"""The extension os-aggregates: descriptor, routes and handlers.

A handler asks policy, then the schema, then the id, then the domain; it
knows no request and returns a dict. For an action the policy has been asked.
"""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import looks
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.domain.outlook import verdicts

EXTENSION = {
    'updated': '2012-01-12T00:00:00+00:00',
    'name': 'Aggregates',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/aggregates/api/v1.1',
    'alias': 'os-aggregates',
    'description': 'Admin-only aggregate administration',
}
_IMAGES_SINCE = (2, 81)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> routing.Page | looks.Finished:
    """List the aggregates, by id."""
    ctx.can(policy.INDEX)
    filters = schema.check_query(
        query,
        schema.INDEX_QUERY,
        strict=shape.supports(shapes.KNOWN_QUERIES),
    )
    if not filters:
        return domain.looks.index(shape)
    limit = filters.pop('limit', None)
    found = domain.aggregates.get_all(
        **filters, limit=None if limit is None else limit + 1
    )
    shown = [shape.aggregate(item) for item in found]
    return routing.Page.of('aggregates', shown, limit, 'id')


def create(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    body: Any,
) -> dict[str, Any]:
    """Create an empty aggregate."""
    ctx.can(policy.CREATE)
    fields = schema.check(body, schema.CREATE, strict=shape.strict)
    created = domain.aggregates.create(
        fields['name'], fields.get('availability_zone')
    )
    return {'aggregate': shape.created(created)}


def show(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
) -> looks.Finished:
    """Show one aggregate."""
    ctx.can(policy.SHOW)
    return domain.looks.show(shape, shape.aggregate_id(aggregate_id))


def update(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Change name or zone; the label of the pool follows the name."""
    fields = schema.check(body, schema.UPDATE, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    change = domain.aggregates.update(ctx, key, fields)
    return routing.Named(
        {'aggregate': shape.aggregate(change.aggregate)}, change.operation
    )


def delete(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
) -> routing.Named:
    """Delete an empty aggregate, or one whose last hosts are leaving."""
    key = shape.aggregate_id(aggregate_id)
    return routing.Named(None, domain.aggregates.delete(ctx, key))


def set_metadata(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> looks.Finished:
    """Merge metadata, or replace it; null removes a key."""
    fields = schema.check(body, schema.SET_METADATA, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    changed = domain.aggregates.set_metadata(
        key, fields['metadata'], replace=fields.get('replace', False)
    )
    return domain.looks.changed(shape, changed)


def add_host(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Make a host a member: it joins the pool."""
    fields = schema.check(body, schema.ADD_HOST, strict=shape.strict)
    key = shape.aggregate_id(aggregate_id)
    change = domain.members.add_host(ctx, key, fields['host'])
    return routing.Named(
        {'aggregate': shape.aggregate(change.aggregate)}, change.operation
    )


def remove_host(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> routing.Named:
    """Take a host out: the pool ejects it."""
    fields = schema.check(body, schema.REMOVE_HOST, strict=shape.strict)
    force = fields.get('force', False)
    if force:
        ctx.can(policy.FORCE_REMOVE_HOST)
    key = shape.aggregate_id(aggregate_id)
    change = domain.members.remove_host(
        ctx,
        key,
        fields['host'],
        fields.get('accept_data_loss', ()),
        force=force,
    )
    return routing.Named(
        {'aggregate': shape.aggregate(change.aggregate)}, change.operation
    )


def images(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
) -> None:
    """Refuse to fill Nova's image cache, which pools do not have."""
    if not shape.supports(_IMAGES_SINCE):
        raise exception.NotFound()
    ctx.can(policy.IMAGES)
    domain.aggregates.get(shape.aggregate_id(aggregate_id))
    raise exception.Invalid(
        reason='There is no image cache on the hosts of a pool: they share '
        'their storage.'
    )


_UPDATE = routing.Action(
    update,
    (policy.UPDATE,),
    (routing.Question(routing.AGGREGATE, verdicts.nothing),),
)
_DELETE = routing.Action(
    delete,
    (policy.DELETE,),
    (routing.Question(routing.AGGREGATE, verdicts.delete),),
)
ROUTES: routing.Routes = {
    '/os-aggregates': {
        'GET': routing.Route(index, 'query'),
        'POST': routing.Route(create, 'body'),
    },
    '/os-aggregates/{aggregate_id}': {
        'GET': routing.Route(show),
        'PUT': routing.Route.of('update', _UPDATE, 'body'),
        'DELETE': routing.Route.of('delete', _DELETE),
    },
    '/os-aggregates/{aggregate_id}/images': {
        'POST': routing.Route(images),
    },
}
# What POST /os-aggregates/{aggregate_id}/action can name.
ACTIONS = {
    'set_metadata': routing.Action(
        set_metadata,
        (policy.SET_METADATA,),
        (routing.Question(routing.AGGREGATE, verdicts.nothing),),
    ),
    'add_host': routing.Action(
        add_host,
        (policy.ADD_HOST,),
        (routing.Question(routing.HOST, verdicts.add_host),),
    ),
    'remove_host': routing.Action(
        remove_host,
        (policy.REMOVE_HOST,),
        (
            routing.Question(routing.HOST, verdicts.remove_host),
            routing.Question(
                routing.HOST,
                verdicts.forget_host,
                {'force': True},
                lambda _host: (policy.FORCE_REMOVE_HOST,),
            ),
        ),
    ),
}
