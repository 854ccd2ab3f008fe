"""Answers of the API as columns: one text for people, data for programs."""

import types
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from cliff import columns

from aggregates_ext.client import fields
from aggregates_ext.client import words

Shown = tuple[Sequence[str], Sequence[Any]]


class Told(columns.FormattableColumn[Any]):
    """Data, and how people are told it."""

    def __init__(self, value: Any, render: fields.Render) -> None:
        super().__init__(value)
        self._render = render

    def human_readable(self) -> str:
        """The words for a table."""
        return self._render(self._value)


def show(
    found: Mapping[str, Any], told: Mapping[str, fields.Render | None]
) -> Shown:
    """Columns of an answer, in the order of a table of fields."""
    names = [name for name in told if name in found]
    return names, [_cell(found[name], told[name]) for name in names]


def _cell(value: Any, render: fields.Render | None) -> Any:
    return value if render is None else Told(value, render)


def pool(found: Mapping[str, Any]) -> Shown:
    """A pool, its hosts, and what is wrong."""
    return show(found, fields.pool(found.get('master')))


def operation(found: Mapping[str, Any]) -> Shown:
    """An operation, with all that was told of it."""
    return show(found, fields.OPERATION)


def check(found: Mapping[str, Any]) -> Shown:
    """What was found by a check of a host."""
    return show(
        {**found, 'accepted': fields.would_be_accepted(found)}, fields.CHECK
    )


def plan(found: Mapping[str, Any]) -> Shown:
    """What a run over the hosts of a pool would do."""
    return show(
        {**found, 'accepted': fields.would_be_accepted(found)}, fields.PLAN
    )


def list_plan(found: Mapping[str, Any]) -> Shown:
    """What a list of hosts would change, and what forbids it."""
    accepted = fields.list_would_be_accepted(found)
    return show({**found, 'accepted': accepted}, fields.LIST)


def rows(
    found: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    renders: Mapping[str, fields.Render] = types.MappingProxyType({}),
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


def _listed(value: Any, render: fields.Render) -> Any:
    """A list or an object in one cell."""
    return Told(value, render) if isinstance(value, list | dict) else value
