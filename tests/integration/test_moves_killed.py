"""The compute service is killed while guests make way for maintenance.

They are moved, or shut down and started again. Around each call that changes
something, and around COMMITs of all its parts. Whatever it is, another service
ends it: each guest runs on one host, or on none if that was agreed to.
"""

from collections.abc import Iterator

import pytest

from tests.integration import plays
from tests.integration import stage
from tests.integration import stories

# Of some thirty: of the operation, and of the move.
COMMITS = (3, 12)
FIRST, *OTHERS = stories.MAINTENANCE
PARAMS = [FIRST, *(pytest.param(o, marks=pytest.mark.long) for o in OTHERS)]
BOTH = ('before', 'after')


@pytest.fixture(scope='module')
def theatre(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[stage.Stage]:
    with stage.Stage(tmp_path_factory.mktemp('stage')) as made:
        yield made


@pytest.fixture(scope='module', params=PARAMS, ids=str)
def player(
    request: pytest.FixtureRequest, theatre: stage.Stage
) -> plays.Player:
    return plays.Player(theatre, request.param)


def numbered(story: stories.Story) -> list[tuple[str, int]]:
    """Each changing call, and how many like it there have been with it."""
    calls = story.calls
    return [
        (call, calls[: place + 1].count(call))
        for place, call in enumerate(calls)
    ]


def points(story: stories.Story) -> list[plays.Point]:
    return [
        plays.Point(story.name, method, host, number, moment)
        for method, host, number in (
            *((call, 'xen1', number) for call, number in numbered(story)),
            *((plays.COMMIT, '', number) for number in COMMITS),
        )
        for moment in (('after',) if method == plays.COMMIT else BOTH)
    ]


def test_a_service_killed_anywhere_loses_no_guest(
    player: plays.Player,
) -> None:
    outcomes = {
        str(point): plays.kill(player, point) for point in points(player.story)
    }
    assert set(outcomes.values()) == {'converged'}, outcomes
