"""What operations leave, and what ends that, in words."""

import types
from typing import Any

import pytest

from aggregates_ext.domain import endings

HA = {'storage': ['s1', 's2'], 'configuration': {}, 'tolerate': '1'}


def run(**parameters: Any) -> Any:
    """A restart of all hosts that has failed."""
    return types.SimpleNamespace(
        uuid='u1',
        kind='rolling_reboot',
        title='rolling_reboot',
        aggregate_id=1,
        host=None,
        state='failed',
        parameters=parameters,
    )


@pytest.mark.parametrize(
    ('parameters', 'said'),
    [
        ({}, ''),
        ({'ha_before': None, 'autostart_before': None, 'away': None}, ''),
        ({'ha_before': HA}, 'SRs s1, s2, 1 failures to tolerate'),
        ({'ha_before': {**HA, 'storage': []}}, 'SRs none, 1 failures'),
        ({'autostart_before': True}, '"auto_poweron"'),
        ({'away': '"g" of host xen2'}, 'home: "g" of host xen2'),
    ],
)
def test_what_is_owed_is_told(parameters: Any, said: str) -> None:
    found = endings.owed(run(**parameters))
    assert said in found
    assert bool(found) is bool(said)


def test_all_that_is_owed_is_in_the_refusal() -> None:
    refusal = endings.not_given_back(run(ha_before=HA, away='"g" of host x'))
    told = str(refusal)
    for part in ('UNFINISHED', 'u1', 's1', '"g" of host x', '; guests'):
        assert part in told
    assert not refusal.passes


def test_a_run_of_all_hosts_is_no_business_of_a_host() -> None:
    told = str(endings.remedy(run()))
    assert 'retry_operation' in told
    assert 'cancel_operation' in told
    assert 'None' not in told
    assert 'reset' not in told
