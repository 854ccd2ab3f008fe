"""A service that freezes, anywhere, does no harm when it goes on.

It is stopped by SIGSTOP until its lease has run out and another service has
finished its work. What it had on the wire reaches the host late, and then it
goes on itself.

It is not stopped in the middle of a transaction: SQLite has one writer, and
the others would wait for it.
"""

import pytest

from tests.integration import plays
from tests.integration import sweep


def outside_transactions(point: plays.Point) -> bool:
    """Where no transaction is open."""
    return point.call != plays.COMMIT or point.moment == 'after'


@pytest.mark.sweep
def test_service_frozen_anywhere_does_no_harm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At all changing calls, and at a slice of looks and COMMITs."""
    swept = sweep.sweep(plays.overtake, outside_transactions, every=25)
    with capsys.disabled():
        print(f'\nfrozen:\n{sweep.table(swept)}')
    sweep.check(swept)
