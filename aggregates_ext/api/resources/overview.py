"""The pools of the extension os-aggregate-pools, as they are shown."""

from collections.abc import Sequence
from typing import Any

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import inventory
from aggregates_ext.domain import operations as states
from aggregates_ext.domain import sight


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
    aggregate, seen = found.aggregate, found.seen
    observation = aggregate.observation or {}
    seen_at = shape.time(shapes.moment(seen.seen_at))
    name_of = {
        **{uuid: host['name_label'] for uuid, host in seen.hosts.items()},
        **{host.uuid: host.name for host in found.hosts if host.uuid},
    }
    return {
        'pool': {
            'aggregate_id': aggregate.id,
            'uuid': aggregate.pool_uuid,
            'name_label': observation.get('name_label'),
            'master': name_of.get(observation.get('master', '')),
            'seen_at': seen_at,
            'state': states.operational_state(aggregate),
            'drift': [
                {
                    'code': entry.code,
                    'host': entry.host,
                    'message': entry.message,
                    'since': shape.time(shapes.moment(entry.since)),
                }
                for entry in aggregate.drift
            ],
            'hosts': [
                {**shown, 'shut_down': found.halted.get(shown['name'], [])}
                for shown in _hosts(
                    found.hosts, seen, seen_at, aggregate.drift
                )
            ],
            'operations': [
                _standing(operation) for operation in found.standing
            ],
        }
    }


def _standing(operation: records.Operation) -> dict[str, Any]:
    """An operation that counts for the state, and what ends that."""
    error = operation.error or {}
    return {
        'uuid': operation.uuid,
        'kind': operation.kind,
        'host': operation.host,
        'state': operation.state,
        'step': operation.step,
        'code': error.get('code'),
        'message': error.get('message'),
        'remedy': endings.remedy(operation),
    }


def _hosts(
    hosts: Sequence[records.Host],
    seen: sight.Sight,
    seen_at: str | None,
    drift: Sequence[records.Drift],
) -> list[dict[str, Any]]:
    """Hosts bound to the aggregate, then those only the pool knows."""
    codes: dict[str | None, list[str]] = {}
    for entry in drift:
        codes.setdefault(entry.uuid, []).append(entry.code)
    left = {uuid: {**h, 'seen_at': seen_at} for uuid, h in seen.hosts.items()}
    rows: list[tuple[records.Host | None, dict[str, Any]]] = [
        (host, left.pop(host.uuid or '', {'uuid': host.uuid}))
        for host in hosts
    ]
    rows += [(None, found) for found in left.values()]
    # What keeps the whole pool from being seen is said of each host.
    blind = [
        entry.code
        for entry in drift
        if seen.missed and entry.host is entry.uuid is None
    ]
    return [
        _host(
            host,
            found,
            [*codes.get(found['uuid'] or '', []), *blind],
            seen.tells(
                host.phase if host else None,
                host.phase_since if host else None,
            ),
        )
        for host, found in rows
    ]


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
    '/os-aggregates/{aggregate_id}/pool': {'GET': routing.Route(pool)},
}
