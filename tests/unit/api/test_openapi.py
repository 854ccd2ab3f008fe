"""The OpenAPI document is that of the API."""

from typing import Any

import jsonschema
import pytest
import yaml

from tests.openapi import answers
from tests.openapi import document

BUILT = document.build()


def test_file_is_what_the_routes_and_schemas_make() -> None:
    """If not: ``python -m tests.openapi.document`` writes it anew."""
    assert document.FILE.read_text() == document.text()


def test_every_route_is_in_it() -> None:
    for prefix in document.FACES.values():
        for template, methods in document.ROUTES.items():
            described = BUILT['paths'][f'{prefix}{template}']
            assert {m.lower() for m in methods} == described.keys() - {
                'parameters'
            }


def parts(value: Any, name: str) -> list[Any]:
    """Everything under a name, at any depth."""
    found = []
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            found += [v for key, v in item.items() if key == name]
            rest += item.values()
        elif isinstance(item, list):
            rest += item
    return found


def test_what_it_refers_to_is_there() -> None:
    names = BUILT['components']['schemas']
    used = {ref.rpartition('/')[2] for ref in parts(BUILT, '$ref')}
    # Faults of methods and services that are not in it.
    assert used == names.keys() - {'fault-405', 'fault-501'}


def test_its_schemas_are_schemas() -> None:
    read = yaml.safe_load(document.text())
    found = [
        *parts(read, 'schema'),
        *read['components']['schemas'].values(),
    ]
    for rule in found:
        jsonschema.Draft202012Validator.check_schema(rule)


def test_patterns_are_those_of_every_language() -> None:
    patterns = [p for p in parts(BUILT, 'pattern') if isinstance(p, str)]
    assert patterns
    assert not [p for p in patterns if '\\Z' in p or '(?' in p]


def test_a_key_more_is_no_answer() -> None:
    held = answers.Answers()
    path = '/v2.1/os-aggregates'
    kind = 'application/json'
    held.check(path, 'GET', 200, kind, {'aggregates': []})
    for body in ({'aggregates': [], 'x': 1}, {'aggregates': [{}]}, {}, None):
        with pytest.raises(answers.Unexpected):
            held.check(path, 'GET', 200, kind, body)
    with pytest.raises(answers.Unexpected):
        held.check(path, 'GET', 418, kind, {})
