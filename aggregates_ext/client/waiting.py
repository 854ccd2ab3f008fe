"""Waiting for the end of an operation, whatever happens to the API meanwhile.

Only looks are repeated: what has been asked for is carried out without us.
"""

import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Protocol

from aggregates_ext.client import api

# How a command ends by the state of its operation.
EXIT_CODES = {'succeeded': 0, 'failed': 1, 'cancelled': 3, 'unresolved': 4}
PAUSED = 5  # the exit code while a host waits to be gone on with
# Seconds between looks, at first and at most.
FIRST_PAUSE = 0.3
LONGEST_PAUSE = 3.0
GROWTH = 1.3
# Seconds without an answer after which nobody waits any longer.
PATIENCE = 600.0


class Teller(Protocol):
    """Who is told how far an operation is."""

    def update(self, operation: dict[str, Any]) -> None:
        """Tell what has changed."""

    def note(self, text: str) -> None:
        """Tell something besides."""


def has_ended(operation: Mapping[str, Any]) -> bool:
    """Whether nothing more happens to it without somebody who acts."""
    return operation.get('state') in EXIT_CODES or bool(
        operation.get('paused')
    )


def exit_code(operation: Mapping[str, Any], wanted: str = 'succeeded') -> int:
    """How a command ends that has waited for an operation.

    :param wanted: the state that was asked for.
    """
    state = operation.get('state')
    if state == wanted:
        return 0
    if state in EXIT_CODES:
        return EXIT_CODES[state] or 1
    return PAUSED


def wait(
    pools: api.Pools,
    uuid: str,
    teller: Teller,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Look until an operation has ended, or pauses; the answer: how it is.

    :param sleep: waits for seconds.
    :param clock: tells seconds.
    :raises api.Refused: it cannot be seen, or not for ``PATIENCE`` seconds.
    """
    pause = FIRST_PAUSE
    lost = _Lost(uuid, teller, clock)
    while True:
        try:
            operation = pools.operation(uuid)
        except api.Refused as exc:
            lost.endure(exc)
        else:
            lost.end()
            teller.update(operation)
            if has_ended(operation):
                return operation
        sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE)


class _Lost:
    """The time in which nobody answers."""

    def __init__(
        self, uuid: str, teller: Teller, clock: Callable[[], float]
    ) -> None:
        self._uuid = uuid
        self._teller = teller
        self._clock = clock
        self._since: float | None = None

    def endure(self, failure: api.Refused) -> None:
        """Go on without an answer.

        :raises api.Refused: it does not pass, or has not for too long.
        """
        if not failure.passes:
            raise failure
        if self._since is None:
            self._since = self._clock()
            self._teller.note(f'no answer, asking again: {failure}')
        elif self._clock() - self._since >= PATIENCE:
            raise api.Refused(
                f'No answer for {PATIENCE / 60:.0f} minutes; operation '
                f'{self._uuid} goes on. {failure}',
                failure.status,
            ) from failure

    def end(self) -> None:
        """There is an answer."""
        if self._since is not None:
            self._teller.note('it answers again')
            self._since = None
