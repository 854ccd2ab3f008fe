"""Answers get lost: what was done is found out, and never done twice.

The host does what it was asked, and the service does not hear of it: the
connection breaks, or no answer comes within its time. The service cannot
know what became of the call, and must look before it sends anything again.
"""

import pytest

from tests.integration import plays
from tests.integration import sweep

# Seconds that a host may be silent. The service goes on after that, so a
# slow machine only makes more answers get lost.
PATIENCE = 0.5


def has_answer(point: plays.Point) -> bool:
    """Where there is an answer to be lost."""
    return point.call != plays.COMMIT and point.moment == 'after'


@pytest.mark.sweep
def test_lost_answer_is_found_out_and_no_call_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of reads, logins and task calls too."""
    swept = sweep.sweep(plays.lose_answer, has_answer, every=12)
    with capsys.disabled():
        print(f'\nanswer lost:\n{sweep.table(swept)}')
    sweep.check(swept)


@pytest.mark.sweep
def test_silent_host_is_found_out_and_no_call_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same by time limits."""
    swept = sweep.sweep(
        plays.fall_silent,
        has_answer,
        every=25,
        compute={'call_timeout': PATIENCE},
        look_timeout=PATIENCE,
    )
    with capsys.disabled():
        print(f'\nno answer in time:\n{sweep.table(swept)}')
    sweep.check(swept)
