"""A share of the threads for each host, whatever the others do.

A host that answers slowly or not at all keeps whoever asks it. Without a
share it would keep all the threads that answer messages, and nobody could
ask about any other host.
"""

import contextlib
import threading
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping


class Shares:
    """Counts who is kept by what, and lets no more in than a share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[Hashable, int] = {}

    @contextlib.contextmanager
    def take(
        self, wanted: Mapping[Hashable, int]
    ) -> Iterator[Hashable | None]:
        """Take a place at each of some subjects, for the length of a block.

        Nobody waits for a place: whoever waits takes a thread too.

        :param wanted: how many places each has in all.
        :returns: the first that has none left; then none is taken.
        """
        with self._lock:
            full = [
                subject
                for subject, places in wanted.items()
                if self._taken.get(subject, 0) >= places
            ]
            if not full:
                self._add(wanted, 1)
        if full:
            yield full[0]
            return
        try:
            yield None
        finally:
            with self._lock:
                self._add(wanted, -1)

    def _add(self, subjects: Mapping[Hashable, int], number: int) -> None:
        for subject in subjects:
            taken = self._taken.pop(subject, 0) + number
            if taken:
                self._taken[subject] = taken
