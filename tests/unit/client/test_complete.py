"""Whatever the API can be asked for, the plug-in can ask for."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import aggregates_ext.client
from aggregates_ext.api.forms import schema
from aggregates_ext.api.resources import allowed
from aggregates_ext.api.resources import operations
from aggregates_ext.api.resources import pools
from aggregates_ext.api.resources import rolling
from tests.openapi import responses

SOURCE = '\n'.join(
    path.read_text()
    for place in aggregates_ext.client.__path__
    for path in sorted(pathlib.Path(place).glob('*.py'))
)
ACTIONS = (
    'add_host',
    'remove_host',
    'set_hosts',
    *operations.ACTIONS,
    *pools.ACTIONS,
    *rolling.ACTIONS,
)


def fields() -> Iterator[tuple[str, str]]:
    """Each action, and what its body may hold."""
    for action in ACTIONS:
        yield action, action
        rules = getattr(schema, action.upper()).strict.schema
        [content] = rules['properties'].values()
        for name in content['properties']:
            yield action, name


@pytest.mark.parametrize(('action', 'name'), sorted(set(fields())))
def test_every_field_of_an_action_can_be_sent(action: str, name: str) -> None:
    assert f"'{name}'" in SOURCE, f'{action}: {name}'


def keys(rules: Any) -> Iterator[str]:
    """All that objects in an answer may have, at any depth."""
    for name, below in rules.get('properties', {}).items():
        yield name
        yield from keys(below)
    yield from keys(rules['items']) if 'items' in rules else ()


@pytest.mark.parametrize(
    'name',
    sorted(
        {*keys(responses.ALLOWED), *allowed.QUERY.schema['properties']}
        - {
            # Known by who asked, and told as it is, whatever is in it.
            'aggregate_id',
            'force',
            'outcome',
        }
    ),
)
def test_all_that_is_told_of_actions_is_shown(name: str) -> None:
    assert f"'{name}'" in SOURCE


@pytest.mark.parametrize(
    'word', [*schema.OPERATION_STATES, *schema.POWER_ACTIONS]
)
def test_words_of_the_api_are_known(word: str) -> None:
    assert f"'{word}'" in SOURCE
