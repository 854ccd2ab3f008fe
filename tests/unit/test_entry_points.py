"""Every entry point that the package declares can be loaded."""

import ast
import configparser
import pathlib
from importlib import metadata

import pytest

ROOT = pathlib.Path(__file__).parents[2]
POINTS = sorted(
    metadata.distribution('aggregates_ext').entry_points,
    key=lambda point: (point.group, point.name),
)
# Those of python-openstackclient: it is not where the tests are. Where it
# is, an integration test loads them.
PLUGIN = 'openstack.'
COMMANDS = 'openstack.aggregate_pools.v1'


@pytest.mark.parametrize(
    'point',
    [point for point in POINTS if not point.group.startswith(PLUGIN)],
    ids=lambda p: f'{p.group}-{p.name}',
)
def test_entry_point_loads(point: metadata.EntryPoint) -> None:
    assert callable(point.load())


def test_all_groups_are_there() -> None:
    assert {point.group for point in POINTS} >= {
        'paste.app_factory',
        'paste.filter_factory',
        'console_scripts',
        'oslo.config.opts',
        'oslo.policy.policies',
    }


def declared(group: str) -> dict[str, str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    lines = setup['options.entry_points'][group].strip().split('\n')
    return dict(line.split(' = ') for line in lines)


def command_classes() -> set[str]:
    """The classes of the plug-in that are complete: they have no _."""
    return {
        f'aggregates_ext.client.{path.stem}:{node.name}'
        for path in (ROOT / 'aggregates_ext' / 'client').glob('*.py')
        if path.stem in ('actions', 'hosts', 'operations', 'pools', 'rolling')
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_')
    }


def test_every_command_of_the_client_is_declared_once() -> None:
    points = declared(COMMANDS)
    assert sorted(points.values()) == sorted(command_classes())
    assert all(name.startswith('aggregate_pool_') for name in points)


def test_the_client_finds_the_plug_in() -> None:
    [place] = declared('openstack.cli.extension').values()
    assert place == 'aggregates_ext.client.plugin'
    assert (ROOT / f'{place.replace(".", "/")}.py').is_file()
