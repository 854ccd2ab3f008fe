"""What operations leave, and what ends that, in words."""

import types
from typing import Any

from aggregates_ext.domain import endings


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


def test_a_run_of_all_hosts_is_no_business_of_a_host() -> None:
    told = str(endings.remedy(run()))
    assert 'retry_operation' in told
    assert 'cancel_operation' in told
    assert 'None' not in told
    assert 'reset' not in told
