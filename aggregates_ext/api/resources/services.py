"""The extension os-services: each registered host as a compute service.

Clients look here for the hosts that can be added to an aggregate, and disable
and enable them: whether their pools start machines on them. There is no agent
on a host; "nova-compute" is the name that they look for.
"""

from collections.abc import Mapping
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records
from aggregates_ext.domain import inventory

EXTENSION = {
    'updated': '2012-10-28T00:00:00-00:00',
    'name': 'Services',
    'links': [],
    'namespace': 'http://docs.openstack.org/compute/ext/services/api/v2',
    'alias': 'os-services',
    'description': 'Services support.',
}
BINARY = 'nova-compute'
# Action -> what the host is to be.
_ACTIONS = {
    'enable': records.ENABLED,
    'disable': records.DISABLED,
    'disable-log-reason': records.DISABLED,
}
_FORCE_DOWN = 'force-down'
# Action -> the field that it needs.
_NEEDED = {'disable-log-reason': 'disabled_reason', _FORCE_DOWN: 'forced_down'}
_FORCED_DOWN_SINCE = (2, 11)
_UUID_SINCE = (2, 53)
_STRICT_SINCE = (2, 75)
QUERY = schema.query(host=fields.ANY_TEXT, binary=fields.ANY_TEXT)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> dict[str, Any]:
    """List the services by host; of one host or binary where named."""
    ctx.can(policy.SERVICES_LIST)
    strict = shape.supports(_STRICT_SINCE)
    asked = schema.check_query(query, QUERY, strict=strict)
    if (asked.get('binary') or BINARY) != BINARY:
        return {'services': []}
    host = asked.get('host')
    if host:
        found = domain.inventory.find(host)
        nodes = [] if found is None else [found]
    else:
        nodes = domain.inventory.get_all()
    return {'services': (_view(node, shape) for node in nodes)}


def _view(node: inventory.Node, shape: shapes.Shape) -> dict[str, Any]:
    uuid = shape.supports(_UUID_SINCE)
    shown = {
        'binary': BINARY,
        'host': node.name,
        'id': node.service_uuid if uuid else node.id,
        'zone': node.zone,
        'status': 'enabled' if node.enabled else 'disabled',
        'state': 'up' if node.up else 'down',
        'updated_at': shape.time(node.seen_at),
        'disabled_reason': node.disabled_reason,
    }
    if shape.supports(_FORCED_DOWN_SINCE):
        shown['forced_down'] = False
    return shown


def update(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    service_id: str,
    body: Any,
) -> routing.Named:
    """Disable or enable a service: the UUID of one, or an action before 2.53.

    An answer that comes before the pool has done it says so in
    ``disabled_reason``.
    """
    ctx.can(policy.SERVICES_UPDATE)
    if shape.supports(_UUID_SINCE):
        return _update(ctx, domain, shape, service_id, body)
    forced = shape.supports(_FORCED_DOWN_SINCE)
    asked = schema.check_fields(
        body,
        schema.SERVICE_ACTION_FORCED if forced else schema.SERVICE_ACTION,
        strict=shape.strict,
    )
    known = [*_ACTIONS, _FORCE_DOWN] if forced else [*_ACTIONS]
    if service_id not in known:
        raise exception.UnknownServiceAction(
            action=ascii(service_id[:40]), known=', '.join(known)
        )
    return _act(ctx, domain, service_id, asked)


def _act(
    ctx: context.RequestContext,
    domain: routing.Domain,
    action: str,
    asked: Mapping[str, Any],
) -> routing.Named:
    """Do what an action says to the service of a host."""
    needed = _NEEDED.get(action)
    if needed is not None and needed not in asked:
        raise exception.Invalid(
            reason=f'Invalid request body: {action} needs {needed}.'
        )
    if asked['binary'] != BINARY:
        raise exception.Invalid(
            reason=f'Updating a {ascii(asked["binary"])} service is not '
            f'supported. Only {BINARY} services can be updated.'
        )
    shown = {'host': asked['host'], 'binary': BINARY}
    if action == _FORCE_DOWN:
        _refuse_forced_down(asked)
        if domain.inventory.find(asked['host']) is None:
            raise exception.HostNotFound(host=ascii(asked['host']))
        return routing.Named(
            {'service': {**shown, 'forced_down': False}}, None
        )
    reason = asked['disabled_reason'] if needed else None
    service = _ACTIONS[action]
    operation = domain.enabling.set_service(
        ctx, asked['host'], service, reason
    )
    shown['status'] = service
    if reason:
        shown['disabled_reason'] = reason
    return routing.Named({'service': shown}, operation)


def _update(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    service_id: str,
    body: Any,
) -> routing.Named:
    """Do what a body says to the service with a UUID; show what it is."""
    asked = schema.check_fields(body, schema.SERVICE, strict=shape.strict)
    if not uuidutils.is_uuid_like(service_id):
        raise exception.Invalid(reason=f'Invalid uuid {service_id[:40]}')
    found = domain.inventory.find_service(service_id.lower())
    if found is None:
        raise exception.ServiceNotFound(service_id=service_id[:64])
    _refuse_forced_down(asked)
    status, reason = asked.get('status'), asked.get('disabled_reason')
    if status == records.ENABLED and reason:
        raise exception.Invalid(
            reason="Specifying 'disabled_reason' with status 'enabled' is "
            'invalid.'
        )
    if status is None and 'forced_down' not in asked:
        raise exception.Invalid(
            reason="No updates were requested. Fields 'status' or "
            "'forced_down' should be specified."
        )
    operation = None
    if status is not None:
        operation = domain.enabling.set_service(
            ctx, found.name, status, reason, found.aggregate_id
        )
    node = domain.inventory.find(found.name)
    if node is None:
        raise exception.ServiceNotFound(service_id=service_id[:64])
    return routing.Named({'service': _view(node, shape)}, operation)


def _refuse_forced_down(asked: Mapping[str, Any]) -> None:
    """:raises exception.Invalid: a service is to be taken for dead."""
    if asked.get('forced_down') in (True, *fields.TRUE):
        raise exception.Invalid(
            reason='forced_down cannot be true here: whether a host is live '
            'is what its pool says. Take a dead one out with the action '
            'remove_host and "force": true.'
        )


ROUTES: routing.Routes = {
    '/os-services': {'GET': routing.Route(index, 'query')},
    '/os-services/{service_id}': {'PUT': routing.Route(update, 'fields')},
}
