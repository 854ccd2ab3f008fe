"""When a toolstack that was told to start anew has looked at its guests."""

import types
from typing import Any

import pytest

from aggregates_ext.compute.moving import repairing
from aggregates_ext.db import moves

OPTIONS = types.SimpleNamespace(confirm_interval=10.0)


def has_looked(told: dict[str, Any], now: float, **host: Any) -> bool:
    site: Any = types.SimpleNamespace(now=now, options=OPTIONS)
    seen: Any = types.SimpleNamespace(**host)
    return repairing._has_looked(site, told, seen)


@pytest.mark.parametrize(
    ('live', 'start', 'looked'),
    [
        (True, 200.0, True),
        # Its master gets no answer from it yet.
        (False, 200.0, False),
        # It has not started since, or does not tell.
        (True, 100.0, False),
        (True, 0.0, False),
    ],
)
def test_it_has_started_is_there_and_had_time(
    live: bool, start: float, looked: bool
) -> None:
    told = {'started': 100.0, 'at': 0.0}
    for now in (1000.0, 1009.0):
        assert not has_looked(told, now, live=live, agent_start_time=start)
    found = has_looked(told, 1011.0, live=live, agent_start_time=start)
    assert found is looked


def test_one_that_starts_once_more_has_to_look_again() -> None:
    told = {'started': 100.0, 'at': 0.0}
    assert not has_looked(told, 1000.0, live=True, agent_start_time=200.0)
    assert not has_looked(told, 1011.0, live=True, agent_start_time=300.0)
    assert has_looked(told, 1022.0, live=True, agent_start_time=300.0)


def test_that_any_was_told_stays_known() -> None:
    """Also when the repair that did it is over."""
    call: dict[str, Any] = {
        repairing.KEY: {'told': {'uuid': {'at': 5.0}}},
        repairing.REPAIRED: [1.0, 2.0],
    }
    assert repairing.has_told(call)
    repairing.forget(call)
    assert call == {moves.RESTARTED: 5.0}
    assert repairing.has_told(call)
    repairing.forget(call)
    assert repairing.has_told(call)
    assert repairing.was_told(call, 6.0, 2.0)
    assert not repairing.was_told(call, 8.0, 2.0)
    assert not repairing.has_told({})
