"""Every entry point that the package declares can be loaded."""

from importlib import metadata

import pytest

POINTS = sorted(
    metadata.distribution('aggregates_ext').entry_points,
    key=lambda point: (point.group, point.name),
)


@pytest.mark.parametrize('point', POINTS, ids=lambda p: f'{p.group}-{p.name}')
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
