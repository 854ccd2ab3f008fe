"""Who may become the master, judged on records."""

from typing import Any

import pytest

from aggregates_ext.compute.rules import successor
from aggregates_ext.compute.rules import upgrades

NEW = {'platform_version': '3.4.0', 'product_version': '8.3', 'xapi': '24.9'}


def host(name: str, **values: Any) -> dict[str, Any]:
    return {
        'uuid': f'uuid-{name}',
        'name_label': name,
        'enabled': True,
        'metrics': f'metrics-{name}',
        'software_version': NEW,
        **values,
    }


def pool(**values: Any) -> dict[str, Any]:
    return {
        'master': 'a',
        'ha_enabled': False,
        'is_psr_pending': False,
        'other_config': {},
        'current_operations': {},
        **values,
    }


@pytest.fixture
def found() -> dict[str, Any]:
    return {
        'pool': {'p': pool()},
        'host': {name: host(name) for name in 'abc'},
        'host_metrics': {f'metrics-{name}': {'live': True} for name in 'abc'},
        'VM': {},
    }


def codes(found: Any, name: str = 'b') -> list[str]:
    report = successor.check(found, f'uuid-{name}')
    return [problem.code for problem in report.blockers]


def test_plain_slave_may_be_the_master(found: dict[str, Any]) -> None:
    assert codes(found) == []


def test_machines_that_move_are_named_and_waited_for(
    found: dict[str, Any],
) -> None:
    """Whoever moves them."""
    found['VM'] = {
        name: {'name_label': name, 'current_operations': operations}
        for name, operations in {
            'still': {},
            'moving': {'task': 'pool_migrate'},
            'leaving': {'task': 'migrate_send'},
            'starting': {'task': 'start_on'},
        }.items()
    }
    report = successor.check(found, 'uuid-b')
    (problem,) = report.blockers
    assert problem.code == 'MACHINES_MOVE'
    assert problem.found == '"leaving", "moving"'
    assert report.heals


@pytest.mark.parametrize(
    ('values', 'code'),
    [
        ({'ha_enabled': True}, 'HA_IS_ENABLED'),
        (
            {'other_config': {upgrades.KEY: 'true'}},
            'ROLLING_UPGRADE',
        ),
        ({'is_psr_pending': True}, 'POOL_SECRET_ROTATION_PENDING'),
        (
            {'current_operations': {'t': 'eject'}},
            'OTHER_OPERATION_IN_PROGRESS',
        ),
    ],
)
def test_what_forbids_it_in_the_pool(
    found: dict[str, Any], values: dict[str, Any], code: str
) -> None:
    found['pool'] = {'p': pool(**values)}
    assert codes(found) == [code]


def test_pool_of_an_old_release_tells_no_rotation(
    found: dict[str, Any],
) -> None:
    del found['pool']['p']['is_psr_pending']
    assert codes(found) == []


def test_one_silent_host_forbids_it(found: dict[str, Any]) -> None:
    found['host_metrics']['metrics-c']['live'] = False
    assert codes(found) == ['HOST_OFFLINE']
    assert codes(found, 'c') == ['HOST_OFFLINE']


def test_host_that_the_pool_does_not_list(found: dict[str, Any]) -> None:
    assert codes(found, 'z') == ['NOT_IN_POOL']


@pytest.mark.parametrize(
    ('older', 'refused'),
    [
        ({'platform_version': '3.3.9'}, True),
        ({'product_version': '8.2.1'}, True),
        ({'xapi': '24.8.7-1.xcpng'}, True),
        ({'xapi': '24.10'}, False),
        ({'platform_version': '3.10.0'}, False),
        ({'xapi': 'v26.17.0'}, False),
    ],
)
def test_versions_are_compared_as_numbers(
    found: dict[str, Any], older: dict[str, str], refused: bool
) -> None:
    found['host']['b']['software_version'] = {**NEW, **older}
    assert ('OLDER_VERSION' in codes(found)) is refused
