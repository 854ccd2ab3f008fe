"""The compute service is killed at every call and every COMMIT.

The kill is a SIGKILL of the real process: by the proxy, before a call
reaches the host or when the host has answered and the service does not know
it yet; or by the process itself, around a COMMIT. Then another one is
started. Three ends are right: the change is done; it failed, for a reason
that is told, and both sides are clean; or what became of it is not known,
both sides are described, and evidence or a reset ends that.
"""

import pytest

from tests.integration import plays
from tests.integration import sweep


def any_point(point: plays.Point) -> bool:
    """All of them."""
    return True


def test_service_killed_anywhere_leaves_nothing_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Anywhere: calls that change something, looks and COMMITs."""
    swept = sweep.sweep(plays.kill, any_point, every=100)
    with capsys.disabled():
        print(f'\nkilled:\n{sweep.table(swept)}')
    sweep.check(swept)
