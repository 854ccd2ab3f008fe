"""The two common kinds of rules of joining, and how things are named."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases
from aggregates_ext.compute.xen import text

Rule = preflight.Rule[sides.Sides]


def named(record: Mapping[str, Any]) -> str:
    """A record by its name, where it has one, and its uuid."""
    name, uuid = label(record), fields.shown(record, 'uuid')
    return f'"{name}" ({uuid})' if name else uuid


def label(record: Mapping[str, Any]) -> str:
    """The name of a record, for messages."""
    return fields.shown(record, 'name_label')


def listed(items: Iterable[str]) -> str:
    """Items in words and in order, as many as can be read."""
    return text.listed(sorted(items))


def same(
    code: str,
    rule: str,
    remedy: str,
    value: Callable[[sides.Side], str],
    since: releases.Release = (),
) -> Rule:
    """A rule that a value is the same on both sides.

    :param since: the release of xapi that it came with.
    """

    def find(facts: sides.Sides) -> str:
        ours, theirs = value(facts.joiner), value(facts.master)
        if ours == theirs or facts.release < since:
            return ''
        (here, _), (there, _) = facts.both()
        return f'{ours} on {here}, {theirs} in {there}'

    return Rule(code, rule, remedy, find)


def none(
    code: str,
    rule: str,
    remedy: str,
    values: Callable[[sides.Side], Iterable[str]],
    since: releases.Release = (),
    stricter: str = '',
) -> Rule:
    """A rule that the joining host has none of something."""

    def find(facts: sides.Sides) -> str:
        if facts.release < since:
            return ''
        return listed(values(facts.joiner))

    return Rule(code, rule, remedy, find, stricter)


def on_sides(
    facts: sides.Sides, values: Callable[[sides.Side], Iterable[str]]
) -> str:
    """What either side has of something, with whose it is."""
    alone = facts.joiner is facts.master
    return '; '.join(
        f'{found} on {name}'
        for name, side in facts.both()[: 1 if alone else 2]
        if (found := listed(values(side)))
    )
