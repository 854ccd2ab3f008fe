"""Who waits sees the end, whatever happens to the API meanwhile."""

import io

import pytest
from keystoneauth1 import exceptions

from aggregates_ext.client import api
from aggregates_ext.client import progress
from aggregates_ext.client import waiting
from tests.unit.client import scripted

GONE = exceptions.ConnectFailure('nobody is there')
BUSY = scripted.answer(503, {'serviceUnavailable': {'message': 'Later.'}})


class Time:
    """A clock that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def read(self) -> float:
        return self.now


def shown(state: str, **more: object) -> object:
    found = scripted.operation(state, **more)
    return scripted.answer(200, {'operation': found})


def wait(*answers: object) -> tuple[dict[str, object], str, Time]:
    """Wait; the answer: the operation, what was told, and the time."""
    pools, _adapter = scripted.pools(*answers)
    stream, time = io.StringIO(), Time()
    teller = progress.Progress(stream, time.read)
    found = waiting.wait(pools, scripted.UUID, teller, time.sleep, time.read)
    return found, stream.getvalue(), time


@pytest.mark.parametrize(
    ('state', 'code'),
    [('succeeded', 0), ('failed', 1), ('cancelled', 3), ('unresolved', 4)],
)
def test_each_outcome_has_an_exit_code(state: str, code: int) -> None:
    found, _told, _time = wait(shown('queued'), shown('running'), shown(state))
    assert found['state'] == state
    assert waiting.exit_code(found) == code


def test_who_gives_something_up_wants_that() -> None:
    assert waiting.exit_code({'state': 'cancelled'}, 'cancelled') == 0
    assert waiting.exit_code({'state': 'succeeded'}, 'cancelled') == 1


def test_a_pause_ends_the_wait() -> None:
    found, _told, _time = wait(shown('running', paused='xen1'))
    assert waiting.exit_code(found) == waiting.PAUSED


def test_a_restart_of_the_api_is_outlived() -> None:
    found, told, _time = wait(
        shown('running'),
        GONE,
        BUSY,
        GONE,
        shown('running'),
        shown('succeeded'),
    )
    assert found['state'] == 'succeeded'
    assert told.count('no answer, asking again') == 1
    assert told.count('it answers again') == 1


def test_patience_ends() -> None:
    with pytest.raises(api.Refused, match='for 10 minutes; operation 88e0'):
        wait(shown('running'), *[GONE] * 1000)


def test_patience_begins_anew_with_each_answer() -> None:
    minutes = [GONE] * 190
    found, _told, time = wait(
        *minutes, shown('running'), *minutes, shown('failed')
    )
    assert found['state'] == 'failed'
    assert time.now > waiting.PATIENCE


def test_what_does_not_pass_is_not_waited_for() -> None:
    missing = scripted.answer(404, {'itemNotFound': {'message': 'No.'}})
    with pytest.raises(api.Refused, match='No'):
        wait(missing)


def test_looks_become_rare_and_not_too_rare() -> None:
    *_found, time = wait(*[shown('running')] * 20, shown('succeeded'))
    assert time.sleeps[0] < 0.5
    assert time.sleeps == sorted(time.sleeps)
    assert time.sleeps[-1] == waiting.LONGEST_PAUSE
