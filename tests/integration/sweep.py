"""Stories disturbed at every point, in several processes side by side.

A process, a lane, has some of the stories: to find the points of one it is
played undisturbed, which takes as long as some disturbed plays.
"""

from aggregates_ext import threads  # noqa: F401, I001 (first)

import collections
import concurrent.futures
import dataclasses
import multiprocessing
import os
import pathlib
import tempfile
import traceback
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from tests.integration import plays
from tests.integration import stage
from tests.integration import stories

# Set to play all points; else a slice of them.
ALL = 'AGGREGATES_EXT_SWEEP_ALL'
LANES = max(2, os.cpu_count() or 2)
# So many wrong ends in one lane tell enough.
ENOUGH = 5


@dataclasses.dataclass(frozen=True)
class Played:
    """What became of a story that was disturbed at a point.

    :ivar outcome: 'converged', 'failed' or 'unresolved'.
    :ivar wrong: why that is not right; empty when it is.
    """

    point: plays.Point
    outcome: str
    wrong: str = ''


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is played of all stories, and how.

    :ivar choose: which points are meant at all.
    :ivar moments: those of a point that are meant, instead of its own.
    :ivar every: of how many one is played.
    :ivar options: of the stage.
    """

    play: plays.Play
    choose: Callable[[plays.Point], bool]
    moments: Sequence[str]
    every: int
    options: dict[str, Any]

    def pick(self, passed: Sequence[plays.Point]) -> list[plays.Point]:
        """The points that are meant of those that a story passes."""
        return [
            dataclasses.replace(point, moment=moment)
            for point in passed
            if self.choose(point)
            for moment in self.moments or (point.moment,)
        ]

    def slice(
        self, points: Sequence[plays.Point], offset: int
    ) -> list[plays.Point]:
        """Every nth; ``test_crash`` has all around calls that change."""
        if os.environ.get(ALL):
            return list(points)
        return list(points[offset :: self.every])


@dataclasses.dataclass
class Swept:
    """What came of a sweep.

    :ivar points: all that were meant.
    :ivar chosen: the slice of them that was to be played.
    """

    points: list[plays.Point] = dataclasses.field(default_factory=list)
    chosen: list[plays.Point] = dataclasses.field(default_factory=list)
    played: list[Played] = dataclasses.field(default_factory=list)


def sweep_lane(plan: Plan, lane: int) -> Swept:
    """Find the points of the stories of one lane, and play them."""
    swept = Swept()
    with (
        tempfile.TemporaryDirectory() as name,
        stage.Stage(pathlib.Path(name), **plan.options) as theatre,
    ):
        for number in range(lane, len(stories.STORIES), LANES):
            player = plays.Player(theatre, stories.STORIES[number])
            points = plan.pick(player.points())
            chosen = plan.slice(points, number)
            swept.points += points
            swept.chosen += chosen
            for point in chosen:
                if sum(bool(one.wrong) for one in swept.played) < ENOUGH:
                    swept.played.append(_play(plan.play, player, point))
    return swept


def _play(
    play: plays.Play, player: plays.Player, point: plays.Point
) -> Played:
    for _ in range(plays.ATTEMPTS):
        try:
            return Played(point, play(player, point))
        except plays.NotMet:
            continue
        except Exception:
            return Played(point, 'wrong', f'{point}: {traceback.format_exc()}')
    return Played(point, 'wrong', f'{point}: never met')


def sweep(
    play: plays.Play,
    choose: Callable[[plays.Point], bool],
    every: int,
    moments: Sequence[str] = (),
    **options: Any,
) -> Swept:
    """Disturb every story at its points, several at a time."""
    plan = Plan(play, choose, moments, every, options)
    with concurrent.futures.ProcessPoolExecutor(
        LANES, multiprocessing.get_context('spawn')
    ) as pool:
        lanes = list(pool.map(sweep_lane, [plan] * LANES, range(LANES)))
    return Swept(
        [point for lane in lanes for point in lane.points],
        [point for lane in lanes for point in lane.chosen],
        [one for lane in lanes for one in lane.played],
    )


def table(swept: Swept) -> str:
    """plays.Points and outcomes by story."""
    names = ('converged', 'failed', 'unresolved', 'wrong')
    columns = ('story', 'points', 'played', *names)
    lines = [''.join(f'{column:>17}' for column in columns)]
    for story in (*stories.BY_NAME, 'all'):
        mine = [p for p in swept.points if story in (p.story, 'all')]
        ends = collections.Counter(
            one.outcome
            for one in swept.played
            if story in (one.point.story, 'all')
        )
        cells = (story, len(mine), ends.total(), *(ends[n] for n in names))
        lines.append(''.join(f'{cell:>17}' for cell in cells))
    return '\n'.join(lines)


def check(swept: Swept) -> None:
    """Every chosen point was met once, and its end is right.

    :raises AssertionError: one was not.
    """
    wrong = [one.wrong for one in swept.played if one.wrong]
    assert not wrong, f'{len(wrong)} wrong:\n' + '\n'.join(wrong)
    assert len(set(swept.points)) == len(swept.points)
    assert {point.story for point in swept.points} == set(stories.BY_NAME)
    played = collections.Counter(one.point for one in swept.played)
    assert played == collections.Counter(swept.chosen)
    if os.environ.get(ALL):
        assert set(played) == set(swept.points)
