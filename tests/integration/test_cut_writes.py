"""The database is cut off in the middle of what the service writes.

The connection is lost before a COMMIT, so that it comes to nothing; in it,
so that it is done and nobody is told; or after it. Whatever the service was
about to write then says nothing of what it has sent: that is found out by
what the hosts show, and no call is sent again.
"""

import pytest

from tests.integration import plays
from tests.integration import sweep

pytestmark = pytest.mark.long

MOMENTS = ('before', 'in', 'after')


def each_commit(point: plays.Point) -> bool:
    """Each COMMIT of something written, once."""
    return point.call == plays.COMMIT and point.moment == 'before'


def test_write_that_is_cut_off_says_nothing_of_what_was_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At every one that a story has, in turn before, in and after it."""
    swept = sweep.sweep(plays.cut, each_commit, every=40, moments=MOMENTS)
    with capsys.disabled():
        print(f'\ncut off:\n{sweep.table(swept)}')
    sweep.check(swept)
