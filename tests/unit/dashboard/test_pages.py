"""What can be known of the panel where Horizon is not installed."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

from aggregates_ext import policy
from aggregates_ext.api.resources import operations
from aggregates_ext.api.resources import pools
from aggregates_ext.api.resources import rolling
from aggregates_ext.dashboard import enabled
from aggregates_ext.dashboard import rights
from tests.unit import test_layers

ROOM = test_layers.PACKAGE / 'dashboard'
SOURCES = sorted(ROOM.glob('*.py'))
PAGES = sorted((ROOM / 'templates').rglob('*.html'))
ACTIONS = {
    'add_host',
    'remove_host',
    *operations.ACTIONS,
    *pools.ACTIONS,
    *rolling.ACTIONS,
}
# What takes a text of a host for a part of a page.
UNSAFE = (
    'mark_safe',
    'SafeString',
    'autoescape=False',
    'autoescape off',
    '|safe',
    'extra_tags',
)


def test_the_file_that_is_copied_names_the_panel() -> None:
    [place] = enabled.__path__
    [file] = pathlib.Path(place).glob('_[0-9]*.py')
    told: dict[str, str] = {}
    exec(file.read_text(), told)  # noqa: S102
    module, _dot, name = told['ADD_PANEL'].rpartition('.')
    source = ROOM.parent.joinpath(*module.split('.')[1:])
    tree = ast.parse(source.with_suffix('.py').read_text())
    [panel] = [node for node in tree.body if getattr(node, 'name', '') == name]
    assert f"slug = '{told['PANEL']}'" in ast.unparse(panel)
    # After Horizon's own panel, whose file is _2130_….
    assert file.name.startswith('_2135_admin_')


def test_rights_are_those_of_the_api() -> None:
    known = {rule.name for rule in policy.list_rules()}
    asked = {
        name
        for value in vars(rights).values()
        if isinstance(value, tuple)
        for _service, name in value
    }
    assert len(asked) > 8
    assert asked <= known


def actions() -> Iterator[str]:
    """What the panel asks for, as the API calls it."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (
                getattr(node.func, 'attr', '') == 'ask'
            ):
                yield from _texts(node.args[0])
            elif isinstance(node, ast.Assign) and (
                ast.unparse(node.targets[0]) == 'verbs'
            ):
                for part in ast.walk(node.value):
                    if isinstance(part, ast.Dict):
                        for value in part.values:
                            yield from _texts(value)


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value)


def test_what_is_asked_for_is_an_action_of_the_api() -> None:
    asked = set(actions())
    assert len(asked) >= 7
    assert asked <= ACTIONS


@pytest.mark.parametrize('path', [*SOURCES, *PAGES], ids=lambda p: p.name)
def test_texts_of_hosts_are_escaped(path: pathlib.Path) -> None:
    text = path.read_text()
    assert [word for word in UNSAFE if word in text] == []


def test_every_page_is_shown_by_something() -> None:
    told = '\n'.join(path.read_text() for path in [*SOURCES, *PAGES])
    named = set(re.findall(r'admin/resource_pools/(\w+\.html)', told))
    # Horizon asks for a form in a window of the page by its name with "_".
    assert {page.name for page in PAGES} == named | {'_form.html'}
