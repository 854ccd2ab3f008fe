"""What the API tells, field by field: the order, and how people are told.

Without a table to draw or a page, so that all that show it tell the same.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from aggregates_ext.client import words

Render = Callable[[Any], str]
# What a host can be checked for.
PURPOSES = ('add', 'remove', 'maintenance', 'reboot', 'shutdown', 'startup')

POOL: Mapping[str, Render | None] = {
    'aggregate_id': None,
    'name_label': None,
    'uuid': None,
    'state': None,
    'master': None,
    'seen_at': None,
    'hosts': None,
    'drift': words.drift,
    'operations': words.standing,
}
OPERATION: Mapping[str, Render | None] = {
    'uuid': None,
    'kind': None,
    'aggregate_id': None,
    'host': None,
    'state': None,
    'step': None,
    'progress': None,
    'error': words.error,
    'result': words.lines,
    'asked': words.fields,
    'hosts': words.rolled_hosts,
    'changes': lambda found: words.lines(map(words.change, found)),
    'paused': None,
    'seconds_left': None,
    'moves': lambda found: words.lines(map(words.move, found)),
    'guests': lambda found: words.lines(map(words.guest, found)),
    'attempts': None,
    'retry_at': None,
    'request_id': None,
    'global_request_id': None,
    'user_id': None,
    'project_id': None,
    'created_at': None,
    'started_at': None,
    'finished_at': None,
}
LISTED_POOL: Mapping[str, Render] = {
    'hosts': words.phases,
    'drift': words.codes,
    'operations': words.under_way,
}
CHECK: Mapping[str, Render | None] = {
    'host': None,
    'for': None,
    'accepted': None,
    'blockers': words.problems,
    'warnings': words.problems,
    'disks': words.disks,
    'plan': words.evacuation,
}
PLAN: Mapping[str, Render | None] = {
    'accepted': None,
    'blockers': words.problems,
    'warnings': words.problems,
    'hosts': words.planned_hosts,
    'worst': words.worst,
    'moves': None,
    'homes': words.homes,
    'away': words.homes,
    'consent': words.lines,
}
LIST: Mapping[str, Render | None] = {
    'accepted': None,
    'hosts': words.listed_hosts,
}


def pool(master: str | None) -> Mapping[str, Render | None]:
    """The fields of a pool, whose hosts are told who the master is."""

    def hosts(entries: Any) -> str:
        return words.lines(words.host(entry, master) for entry in entries)

    return {**POOL, 'hosts': hosts}


def would_be_accepted(found: Mapping[str, Any]) -> bool:
    """Whether nothing forbids what was checked; what passes does not."""
    return all(entry.get('heals') for entry in found.get('blockers') or ())


def list_would_be_accepted(found: Mapping[str, Any]) -> bool:
    """Whether nothing forbids any change of a list of hosts."""
    return all(map(would_be_accepted, found.get('hosts') or ()))
