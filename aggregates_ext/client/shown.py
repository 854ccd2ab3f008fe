"""Answers of the API as columns: one text for people, data for programs."""

import types
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from cliff import columns

from aggregates_ext.client import words

Shown = tuple[Sequence[str], Sequence[Any]]
Render = Callable[[Any], str]


class Told(columns.FormattableColumn[Any]):
    """Data, and how people are told it."""

    def __init__(self, value: Any, render: Render) -> None:
        super().__init__(value)
        self._render = render

    def human_readable(self) -> str:
        """The words for a table."""
        return self._render(self._value)


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


def show(
    found: Mapping[str, Any], fields: Mapping[str, Render | None]
) -> Shown:
    """Columns of an answer, in the order of a table of fields."""
    names = [name for name in fields if name in found]
    return names, [_cell(found[name], fields[name]) for name in names]


def _cell(value: Any, render: Render | None) -> Any:
    return value if render is None else Told(value, render)


def pool(found: Mapping[str, Any]) -> Shown:
    """A pool, its hosts, and what is wrong."""
    master = found.get('master')

    def hosts(entries: Any) -> str:
        return words.lines(words.host(entry, master) for entry in entries)

    return show(found, {**POOL, 'hosts': hosts})


def operation(found: Mapping[str, Any]) -> Shown:
    """An operation, with all that was told of it."""
    return show(found, OPERATION)


def would_be_accepted(found: Mapping[str, Any]) -> bool:
    """Whether nothing forbids what was checked; what passes does not."""
    return all(entry.get('heals') for entry in found.get('blockers') or ())


def list_would_be_accepted(found: Mapping[str, Any]) -> bool:
    """Whether nothing forbids any change of a list of hosts."""
    return all(map(would_be_accepted, found.get('hosts') or ()))


def check(found: Mapping[str, Any]) -> Shown:
    """What was found by a check of a host."""
    return show({**found, 'accepted': would_be_accepted(found)}, CHECK)


def plan(found: Mapping[str, Any]) -> Shown:
    """What a run over the hosts of a pool would do."""
    return show({**found, 'accepted': would_be_accepted(found)}, PLAN)


def list_plan(found: Mapping[str, Any]) -> Shown:
    """What a list of hosts would change, and what forbids it."""
    accepted = list_would_be_accepted(found)
    fields = {'accepted': None, 'hosts': words.listed_hosts}
    return show({**found, 'accepted': accepted}, fields)


def rows(
    found: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    renders: Mapping[str, Render] = types.MappingProxyType({}),
) -> Shown:
    """A row for each, by title and name of each column.

    :param renders: by name of a column, how a list or an object in it is
        told; else the items of a list are.
    """
    return tuple(columns), [
        [
            _listed(each.get(name), renders.get(name, words.commas))
            for name in columns.values()
        ]
        for each in found
    ]


def _listed(value: Any, render: Render) -> Any:
    """A list or an object in one cell."""
    return Told(value, render) if isinstance(value, list | dict) else value
