"""What a compute service tells of its work, to whoever counts it.

Here nobody does: numbers for Prometheus are a class of their own, which is
there only where they are asked for.
"""

from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records

# Of a move that has failed, and after which its guest is recorded as halted.
HALTED = 'halted'
RESULTS = (db_moves.COMPLETED, db_moves.FAILED, db_moves.CANCELLED, HALTED)


class Meter:
    """Counts nothing."""

    def at(self, operation: records.Operation) -> None:
        """An operation is where its step says, or has ended."""

    def moved(self, result: str) -> None:
        """A move has ended, in one of ``RESULTS``."""

    def lease_lost(self) -> None:
        """Another service has taken over a pool that was worked on."""

    def at_work(self, pools: int) -> None:
        """So many pools are worked on now."""


NONE = Meter()
