"""What a message says: Nova's versioned notifications, and ours beside them.

The envelopes are those that oslo.versionedobjects makes, and Nova's own
payloads are told in its namespace with just its fields; what Nova has not is
told in ours (design#notifications).
"""

import datetime
from typing import Any

from aggregates_ext.db import aggregates
from aggregates_ext.db import inventory
from aggregates_ext.db import records
from aggregates_ext.db.outbox import notes
from aggregates_ext.db.outbox import queue

NOVA = 'nova'
OURS = 'aggregates_ext'
API = 'nova-api'
COMPUTE = 'nova-compute'
_ZONE = 'availability_zone'


def event_type(row: queue.Row) -> str:
    """By which consumers tell messages apart."""
    return '.'.join(filter(None, (row.object, row.action, row.phase)))


def publisher(row: queue.Row) -> str:
    """Who says it, as SERVICE:MACHINE; of a service that itself, as in Nova."""
    if row.object == notes.SERVICE:
        return f'{COMPUTE}:{row.host}'
    return f'{API}:{row.machine}'


def payload(row: queue.Row) -> dict[str, Any]:
    """What is said."""
    if row.object == notes.SERVICE:
        return _envelope(NOVA, 'ServiceStatusPayload', '1.1', _service(row))
    data = _aggregate(row)
    if row.object == notes.OURS:
        return _own(row, data)
    if row.phase != notes.ERROR:
        return _envelope(NOVA, 'AggregatePayload', '1.1', data)
    told = {
        'host': row.host,
        'operation': (row.details or {}).get('operation'),
        **_error(row),
    }
    return _envelope(OURS, 'AggregateErrorPayload', '1.0', data | told)


def _error(row: queue.Row) -> dict[str, Any]:
    error = (row.details or {}).get('error') or {}
    return {'code': error.get('code'), 'message': error.get('message')}


def _own(row: queue.Row, data: dict[str, Any]) -> dict[str, Any]:
    """What Nova has not: the aggregate, and what is so of its pool."""
    details = row.details or {}
    if row.action == notes.MOVE:
        names = ('move', 'guest', 'guest_name', 'source', 'target')
        told = {name: details.get(name) for name in names} | _error(row)
        return _envelope(OURS, 'MovePayload', '1.0', data | told)
    shown = ('code', 'message', 'host', 'uuid')
    told = {
        when: [
            {name: entry.get(name) for name in shown}
            for entry in details.get(when) or ()
        ]
        for when in ('begun', 'ended')
    }
    return _envelope(OURS, 'DriftPayload', '1.0', data | told)


def _envelope(
    namespace: str, name: str, version: str, data: dict[str, Any]
) -> dict[str, Any]:
    return {
        'nova_object.name': name,
        'nova_object.namespace': namespace,
        'nova_object.version': version,
        'nova_object.data': data,
    }


def _aggregate(row: queue.Row) -> dict[str, Any]:
    """An aggregate; as Nova has it, one that is to be made has no id yet."""
    is_new = (row.action, row.phase) == ('create', notes.START)
    zone = (
        {} if row.availability_zone is None else {_ZONE: row.availability_zone}
    )
    return {
        'id': None if is_new else row.aggregate_id,
        'uuid': row.aggregate_uuid,
        'name': row.name,
        'hosts': None if is_new else _hosts(row),
        'metadata': {**(row.metadata or {}), **zone},
    }


def _hosts(row: queue.Row) -> list[str]:
    """The hosts that are listed; before a change of them those of before."""
    bound = [
        entry.split(':') for entry in (row.hosts or '').split(',') if entry
    ]
    listed = {
        name for name, phase in bound if phase in aggregates.LISTED_PHASES
    }
    if row.phase == notes.START and row.host is not None:
        if row.action == 'add_host':
            listed.discard(row.host)
        if row.action == 'remove_host':
            listed.add(row.host)
    return sorted(listed)


def _service(row: queue.Row) -> dict[str, Any]:
    """A registered host as a compute service, as ``os-services`` shows it.

    What Nova counts, and its version, there are not.
    """
    disabled = row.service == records.DISABLED
    uuid = None
    if row.host_id and row.host and row.registered_at:
        uuid = inventory.uuid_of(
            inventory.SERVICE, row.host_id, row.host, row.registered_at
        )
    return {
        'host': row.host,
        'binary': COMPUTE,
        'topic': 'compute',
        'report_count': 0,
        'disabled': disabled,
        'disabled_reason': row.disabled_reason if disabled else None,
        'availability_zone': row.availability_zone,
        'last_seen_up': _moment(row.seen_at),
        'forced_down': False,
        'version': 0,
        'uuid': uuid,
    }


def _moment(seconds: float | None) -> str | None:
    """Seconds of the epoch as oslo.versionedobjects writes a time."""
    if seconds is None:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')
