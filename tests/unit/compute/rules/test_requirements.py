"""The tables of rules, and what no simulated host can show."""

from typing import Any

import pytest

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import advice
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import networks
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.leaving import remains
from aggregates_ext.compute.rules.leaving import (
    requirements as leaving_requirements,
)
from aggregates_ext.compute.xen import releases
from tests.unit.compute.rules import rule_tables

# Of each purpose all rules; a text stands in one table once.
TABLES: list[tuple[preflight.Rule[Any], ...]] = [
    (*requirements.JOIN_RULES, *requirements.JOIN_WARNINGS),
    (*leaving_requirements.LEAVE_RULES, *remains.LEAVE_WARNINGS),
    *map(tuple, rule_tables.SECTIONS.values()),
]


def host(api: str, build: str = '') -> dict[str, Any]:
    major, minor = api.split('.')
    return {
        'API_version_major': major,
        'API_version_minor': minor,
        'software_version': {'xapi_build': build} if build else {},
    }


@pytest.mark.parametrize('table', TABLES)
def test_each_rule_stands_once_and_can_be_read(
    table: tuple[preflight.Rule[Any], ...],
) -> None:
    texts = [rule.rule for rule in table]
    assert len(texts) == len(set(texts))
    for rule in table:
        assert rule.code.isupper()
        assert not rule.rule.endswith('.')
        assert rule.remedy.endswith('.')
        assert ('{}' in rule.remedy) == (rule.fill is not None)


@pytest.mark.parametrize(
    'table', [requirements.JOIN_RULES, leaving_requirements.LEAVE_RULES]
)
def test_what_is_stricter_comes_after_what_xapi_says(
    table: tuple[preflight.Rule[Any], ...],
) -> None:
    stricter = [bool(rule.stricter) for rule in table]
    assert stricter == sorted(stricter)
    assert any(stricter)


@pytest.mark.parametrize(
    ('record', 'release'),
    [
        (host('1.10'), ()),
        (host('2.6'), (1, 14)),
        (host('2.9'), (1, 55)),
        (host('2.15'), (1, 249)),
        (host('2.15', '1.249.42'), (1, 249, 42)),
        (host('2.21', '24.19.2'), (24, 19, 2)),
        (host('2.23', '26.17.0-3.g12ab'), (26, 17, 0)),
        (host('2.23', '0.0.dev'), (26,)),
        (host('2.21', 'unknown'), (23,)),
    ],
)
def test_release(record: dict[str, Any], release: releases.Release) -> None:
    assert releases.of(record) == release


def pif(**values: Any) -> dict[str, Any]:
    return {'device': 'eth0', 'VLAN': '-1', 'physical': True, **values}


def side(api: str, **classes: Any) -> sides.Side:
    records = {
        'pool': {'p': {'master': 'h'}},
        'host': {'h': {**host(api), 'name_label': 'xen'}},
        **classes,
    }
    return sides.Side(records, '20261123T10:11:12Z')


@pytest.mark.parametrize(
    ('api', 'found'),
    [('2.3', ''), ('2.5', 'bond0'), ('2.7', 'bond0'), ('2.8', '')],
)
def test_xenserver_7_0_to_7_2_want_physical_interfaces_alone(
    api: str, found: str
) -> None:
    pifs = {'a': pif(), 'b': pif(device='bond0', physical=False)}
    facts = sides.Sides(side(api, PIF=pifs), side(api))
    assert networks.PHYSICAL.find(facts) == found


@pytest.mark.parametrize(
    ('clock', 'read_at', 'found'),
    [
        ('20261123T10:11:12Z', 0.0, ''),
        ('20261123T10:11:16Z', 0.0, ''),
        ('20261123T10:11:18Z', 0.0, '6 s'),
        # Read six seconds later: that is no skew.
        ('20261123T10:11:18Z', 6.0, ''),
        ('20261124T10:11:12.500Z', 0.0, '86400 s'),
    ],
)
def test_clock_skew(clock: str, read_at: float, found: str) -> None:
    other = sides.Side(side('2.21').records, '20261123T10:11:12Z')
    facts = sides.Sides(sides.Side(other.records, clock, read_at), other)
    assert advice.SKEW.find(facts) == found


def test_long_lists_are_cut() -> None:
    assert kinds.listed(['b', 'a']) == 'a, b'
    numbers = kinds.listed(map(str, range(10, 40)))
    assert numbers.endswith('18, 19 and 20 more')


def test_the_document_lists_the_rules_as_they_are() -> None:
    written = rule_tables.DOCUMENT.read_text(encoding='utf-8')
    assert written == rule_tables.render(), (
        'run: python -m tests.unit.compute.rules.rule_tables'
    )
