"""Which of two hosts is older, as xapi tells it."""

import pytest

from aggregates_ext.compute.xen import releases
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.plan import presets

NEW = {'platform_version': '3.4.0', 'xapi_build': '26.1.8', 'xen': '4.17.6-2'}


@pytest.mark.parametrize(
    ('changed', 'older'),
    [
        ({}, ''),
        ({'xapi': '1', 'product_version': '1'}, ''),
        (
            {'platform_version': '3.3.9'},
            'platform_version 3.3.9 against 3.4.0',
        ),
        ({'platform_version': '3.10.0'}, ''),
        ({'xapi_build': '26.1.7'}, 'xapi_build 26.1.7 against 26.1.8'),
        ({'xapi_build': '26.1.8.1'}, ''),
        ({'xapi_build': 'odd'}, 'xapi_build odd against 26.1.8'),
        ({'xapi_build': ''}, 'xapi_build none against 26.1.8'),
        ({'xen': '4.17.6-1'}, 'xen 4.17.6-1 against 4.17.6-2'),
        ({'xen': '4.17.6-2-1'}, ''),
        (
            {'xapi_build': '24.19.2', 'xen': '4.17.5'},
            'xapi_build 24.19.2 against 26.1.8 and xen 4.17.5 against 4.17.6-2',
        ),
    ],
)
def test_what_is_older(changed: dict[str, str], older: str) -> None:
    assert releases.older({**NEW, **changed}, NEW) == older


def test_what_is_not_told_is_the_oldest() -> None:
    bare = {'platform_version': '3.4.0'}
    assert releases.older(NEW, bare) == ''
    assert releases.older(bare, NEW) == (
        'xapi_build none against 26.1.8 and xen none against 4.17.6-2'
    )
    assert releases.older(bare, bare) == ''


def test_what_differs_either_way() -> None:
    assert releases.differ(NEW, NEW) == ''
    assert releases.differ({**NEW, 'xen': '4.18'}, NEW) == 'xen 4.18'
    assert releases.differ({**NEW, 'xen': '4.16'}, NEW) == 'xen 4.16'


@pytest.mark.parametrize('name', presets.PRESETS)
@pytest.mark.parametrize('other', presets.PRESETS)
def test_products_are_told_apart_as_the_simulator_does(
    name: str, other: str
) -> None:
    mine, theirs = (
        presets.PRESETS[one].software_version for one in (name, other)
    )
    expected = any(
        upgrading.numbers(mine.get(key, '0.0.0'))
        < upgrading.numbers(theirs.get(key, '0.0.0'))
        for key in upgrading.MOVING
    )
    assert bool(releases.older(mine, theirs)) == expected


def test_of_a_version_that_a_host_makes_up_little_is_told() -> None:
    """It goes into messages, and into the database with them."""
    made_up = {'xen': '1.0\n' + 'x' * 60_000}
    told = releases.older(made_up, {'xen': '4.17.5'})
    assert len(told) < 150
    assert '\n' not in told
    assert len(releases.differ(made_up, {})) < 150
