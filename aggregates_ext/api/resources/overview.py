"""The pools of the extension os-aggregate-pools, as they are shown."""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import inventory
from aggregates_ext.domain import overview
from aggregates_ext.domain import sight

# More than that are not shown at once.
_PAGE = overview.PAGE
# What the list of all tells of a host.
_LISTED = (
    'name',
    'phase',
    'enabled',
    'live',
    'service',
    'maintenance',
    'drift',
    'alarm',
)
QUERY = schema.query(
    limit=fields.NUMBER,
    marker=fields.NUMBER,
    name=fields.NAME,
    availability_zone=fields.NAME,
    host=fields.NAME,
    state={
        'enum': [*overview.STATES],
        'description': f'one of {", ".join(overview.STATES)}',
    },
    drift={
        'type': 'string',
        'pattern': r'^[A-Za-z0-9_]{1,64}\Z',
        'description': 'true, false or a code of drift',
    },
)


def index(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    query: Mapping[str, str],
) -> routing.Page:
    """List all pools by the ids of their aggregates, as last seen."""
    ctx.can(policy.ALL_POOLS)
    filters = schema.check_query(
        query, QUERY, strict=shape.supports(shapes.KNOWN_QUERIES)
    )
    if filters.get('drift') in fields.BOOLEAN['enum']:
        filters['drift'] = filters['drift'] in fields.TRUE
    limit = min(filters.pop('limit', _PAGE), _PAGE)
    found = domain.overview.page(limit + 1, **filters)
    shown = [_listed(item, shape) for item in found]
    return routing.Page.of('pools', shown, limit, 'aggregate_id')


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
    found = domain.overview.get(key)
    hosts = [
        {**host, 'shut_down': found.halted.get(host['name'], [])}
        for host in _hosts(found, shape)
    ]
    shown = _pool(found, shape, hosts)
    return {'pool': {'aggregate_id': found.aggregate.id, **shown}}


def _listed(found: overview.Pool, shape: shapes.Shape) -> dict[str, Any]:
    """A pool in the list of all: what tells whether somebody has to look."""
    aggregate = found.aggregate
    hosts = [
        {name: host[name] for name in _LISTED} for host in _hosts(found, shape)
    ]
    return {
        'aggregate_id': aggregate.id,
        'name': aggregate.name,
        'availability_zone': aggregate.availability_zone,
        **_pool(found, shape, hosts),
        'wrong_since': shape.time(shapes.moment(found.wrong_since)),
        'looked_at': shape.time(shapes.moment(aggregate.observed_at)),
        'age': None if found.age is None else int(found.age),
        'overdue': found.overdue,
        'phases': found.phases,
    }


def _pool(
    found: overview.Pool, shape: shapes.Shape, hosts: list[dict[str, Any]]
) -> dict[str, Any]:
    """What is told of a pool wherever it is shown."""
    observation = found.aggregate.observation or {}
    return {
        'uuid': found.aggregate.pool_uuid,
        'name_label': observation.get('name_label'),
        'master': found.master,
        'seen_at': shape.time(shapes.moment(found.seen.seen_at)),
        'state': found.state,
        'drift': [
            {
                'code': entry.code,
                'host': entry.host,
                'message': entry.message,
                'since': shape.time(shapes.moment(entry.since)),
            }
            for entry in found.aggregate.drift
        ],
        'hosts': hosts,
        'operations': [_standing(item, shape) for item in found.standing],
    }


def _standing(
    operation: records.Operation, shape: shapes.Shape
) -> dict[str, Any]:
    """An operation that counts for the state, and what ends that."""
    error = operation.error or {}
    return {
        'uuid': operation.uuid,
        'kind': operation.kind,
        'host': operation.host,
        'state': operation.state,
        'step': operation.step,
        'progress': operation.progress,
        'since': shape.time(overview.since(operation)),
        'code': error.get('code'),
        'message': error.get('message'),
        'remedy': endings.remedy(operation),
    }


def _hosts(found: overview.Pool, shape: shapes.Shape) -> list[dict[str, Any]]:
    """Hosts bound to the aggregate, then those only the pool knows."""
    seen, drift = found.seen, found.aggregate.drift
    codes: dict[str | None, list[str]] = {}
    for entry in drift:
        codes.setdefault(entry.uuid, []).append(entry.code)
    seen_at = shape.time(shapes.moment(seen.seen_at))
    left = {
        uuid: {**listed, **_besides(seen, uuid), 'seen_at': seen_at}
        for uuid, listed in seen.hosts.items()
    }
    rows: list[tuple[records.Host | None, dict[str, Any]]] = [
        (host, left.pop(host.uuid or '', {'uuid': host.uuid}))
        for host in found.hosts
    ]
    rows += [(None, listed) for listed in left.values()]
    # What keeps the whole pool from being seen is said of each host.
    blind = [
        entry.code
        for entry in drift
        if seen.missed and entry.host is entry.uuid is None
    ]
    return [
        _host(
            host,
            listed,
            [*codes.get(listed['uuid'] or '', []), *blind],
            seen.tells(
                host.phase if host else None,
                host.phase_since if host else None,
            ),
        )
        for host, listed in rows
    ]


def _besides(seen: sight.Sight, uuid: str) -> dict[str, Any]:
    """What is kept of a host that the pool lists, but not with it."""
    waits = seen.waits(uuid)
    told = waits.guidances
    return {
        'guests': seen.guests_on(uuid),
        'pending_guidances': None if told is None else list(told),
        'needs_reboot': waits.reboot,
    }


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
        'guests': found.get('guests'),
        'pending_guidances': found.get('pending_guidances'),
        'needs_reboot': found.get('needs_reboot'),
        'drift': drift,
        'alarm': host.alarm if host else None,
        'seen_at': found.get('seen_at'),
    }


def _service(host: records.Host | None) -> str | None:
    """What a host is to be: disabled, or enabled."""
    if host is None:
        return None
    return records.DISABLED if host.disabled else records.ENABLED


ROUTES: routing.Routes = {
    '/os-aggregate-pools': {'GET': routing.Route(index, 'query')},
    '/os-aggregates/{aggregate_id}/pool': {'GET': routing.Route(pool)},
}
