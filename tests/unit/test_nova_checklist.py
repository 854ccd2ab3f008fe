"""What Nova's own tests of aggregates hold is held here, or left on purpose.

The list is ``tests/nova_checklist.yaml``. Test files are parsed and not
imported: some of them need programs that are not everywhere.
"""

import ast
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
LIST = yaml.safe_load((ROOT / 'tests' / 'nova_checklist.yaml').read_text())
FILES = [(release, file) for release, files in LIST.items() for file in files]
FIELDS = {'tests', 'meaning', 'covered_by', 'not_covered'}


def entries() -> list[tuple[str, dict[str, Any]]]:
    """All lines, each with where it stands."""
    return [
        (f'{release} {file}: {entry["meaning"]}', entry)
        for release, file in FILES
        for entry in LIST[release][file]
    ]


@functools.cache
def names_in(path: str) -> frozenset[str]:
    """The tests that a file holds, as the list names them."""
    text = (ROOT / path).read_text()
    if path.endswith('.yaml'):
        story = yaml.safe_load(text)
        return frozenset(f'{path}: {test["name"]}' for test in story['tests'])
    return frozenset(f'{path}::{test}' for test in names_of(ast.parse(text)))


def names_of(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    """The names that pytest gives to the tests of a module or a class."""
    for child in node.body:
        match child:
            case ast.ClassDef() if child.name.startswith('Test'):
                for test in names_of(child):
                    yield f'{child.name}::{test}'
            case ast.FunctionDef() if child.name.startswith('test_'):
                yield child.name


def exists(test: str) -> bool:
    """Whether there is a test of ours of this name."""
    separator = '::' if '::' in test else ': '
    path = test.partition(separator)[0]
    return (ROOT / path).is_file() and test in names_in(path)


def test_each_line_has_a_test_or_a_reason() -> None:
    for where, entry in entries():
        assert set(entry) <= FIELDS, where
        assert ('covered_by' in entry) != ('not_covered' in entry), where
        assert entry.get('covered_by') or entry.get('not_covered'), where


def test_the_tests_are_there() -> None:
    missing = [
        f'{where}: {test}'
        for where, entry in entries()
        for test in entry.get('covered_by', [])
        if not exists(test)
    ]
    assert missing == []


@pytest.mark.parametrize(('release', 'file'), FILES)
def test_none_of_theirs_stands_twice(release: str, file: str) -> None:
    lines = LIST[release][file]
    assert lines
    names = [n for line in lines for n in line.get('tests', [])]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    'test',
    [
        'tests/unit/domain/test_operations.py::test_nothing',
        'tests/unit/domain/test_operations.py::aggregate',
        'tests/unit/test_none.py::test_state',
        'tests/unit/domain/test_operations.py::TestNone::test_state',
        'tests/functional/gabbits/zones.yaml: nothing',
        'tests/functional/gabbits/none.yaml: nor by metadata',
    ],
)
def test_what_is_not_there_is_noticed(test: str) -> None:
    assert not exists(test)
