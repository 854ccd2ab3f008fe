"""The database is cut off in the middle of what the service writes.

The connection is lost before a COMMIT, so that it comes to nothing; in it,
so that it is done and nobody is told; or after it. Whatever the service was
about to write then says nothing of what it has sent: that is found out by
what the hosts show, and no call is sent again.
"""

import dataclasses
import functools

import pytest

from tests.integration import plays
from tests.integration import sweep


def each_commit(point: plays.Point) -> bool:
    """Each COMMIT of something written, once."""
    return point.call == plays.COMMIT and point.moment == 'before'


def cut_at(moment: str, player: plays.Player, point: plays.Point) -> str:
    """Cut a COMMIT at another moment than the point says."""
    return plays.cut(player, dataclasses.replace(point, moment=moment))


@pytest.mark.parametrize('moment', ['before', 'in', 'after'])
def test_write_that_is_cut_off_says_nothing_of_what_was_sent(
    capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    """At every one that a story has."""
    play = functools.partial(cut_at, moment)
    swept = sweep.sweep(play, each_commit, every=20)
    with capsys.disabled():
        print(f'\ncut {moment} COMMIT:\n{sweep.table(swept)}')
    sweep.check(swept)
