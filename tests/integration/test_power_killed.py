"""The compute service is killed or frozen, or hears nothing, in a reboot.

Around each call that changes something, and around COMMITs of all its parts.
Whatever it is, the host is rebooted once, by this service or by another, and
each guest runs on.
"""

from collections.abc import Iterator

import pytest

from tests.integration import plays
from tests.integration import stage
from tests.integration import stories

# Of some fifteen: what a service writes before, with and after the call.
COMMITS = (2, 4, 5, 6, 7, 8)
SYNC = 'pool.sync_database'
MEMBER, MASTER = stories.POWER
PARAMS = [MEMBER, pytest.param(MASTER, marks=pytest.mark.long)]


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


def points(story: stories.Story) -> list[plays.Point]:
    calls = [*story.calls]
    if story.name == 'reboot-the-master':
        calls.insert(0, SYNC)
    return [
        plays.Point(story.name, method, host, number, moment)
        for method, host, number in (
            *((call, 'xen1', 1) for call in calls),
            *((plays.COMMIT, '', number) for number in COMMITS),
        )
        for moment in ('before', 'after')
    ]


def test_a_service_killed_anywhere_reboots_once(
    player: plays.Player,
) -> None:
    outcomes = {
        str(point): plays.kill(player, point) for point in points(player.story)
    }
    assert set(outcomes.values()) == {'converged'}, outcomes


@pytest.mark.long
def test_a_lost_answer_or_a_frozen_service_reboots_once(
    player: plays.Player,
) -> None:
    outcomes = {
        str(point): play(player, point)
        for point in points(player.story)
        if point.call != plays.COMMIT
        for play in (plays.lose_answer, plays.fall_silent, plays.overtake)
        if point.moment == 'after' or play is plays.overtake
    }
    assert set(outcomes.values()) == {'converged'}, outcomes
