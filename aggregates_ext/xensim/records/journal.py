"""What changed in a database, and when: the ground of all events."""

import collections.abc
import dataclasses
import threading

Key = tuple[str, str]
"""The class and the reference of a record."""

REMEMBERED = 10_000
"""How many deleted records are known."""


@dataclasses.dataclass(frozen=True)
class Change:
    """That a record was added, changed or removed."""

    operation: str
    kind: str
    ref: str
    generation: int


@dataclasses.dataclass
class Stamp:
    """The generations in which a record came and changed last."""

    created: int
    changed: int


class Journal:
    """Counts the changes of one database (xapi#events).

    Each record has one place, the last; so changes coalesce.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._stamps: dict[Key, Stamp] = {}
        self._deleted: dict[Key, Stamp] = {}
        self._watchers: set[threading.Event] = set()

    def created(self, kind: str, ref: str) -> None:
        """Note a new record."""
        moment = self._next()
        self._stamps[kind, ref] = Stamp(moment, moment)

    def changed(self, kind: str, ref: str) -> None:
        """Note a change, if the record is still there."""
        stamp = self._stamps.pop((kind, ref), None)
        if stamp is not None:
            stamp.changed = self._next()
            self._stamps[kind, ref] = stamp

    def deleted(self, kind: str, ref: str) -> None:
        """Note that a record is gone."""
        stamp = self._stamps.pop((kind, ref), None)
        if stamp is None:
            return
        stamp.changed = self._next()
        self._deleted[kind, ref] = stamp
        if len(self._deleted) > REMEMBERED:
            del self._deleted[next(iter(self._deleted))]

    def _next(self) -> int:
        self.generation += 1
        for watcher in self._watchers:
            watcher.set()
        return self.generation

    def watch(self, watcher: threading.Event) -> None:
        """Set an event at each change from now on."""
        self._watchers.add(watcher)

    def forget(self, watcher: threading.Event) -> None:
        """Leave an event alone."""
        self._watchers.discard(watcher)

    def since(self, generation: int) -> collections.abc.Iterator[Change]:
        """What changed after a generation, the newest first.

        A record which came and went is not told at all.
        """
        for (kind, ref), stamp in reversed(self._deleted.items()):
            if stamp.changed <= generation:
                break
            if stamp.created <= generation:
                yield Change('del', kind, ref, stamp.changed)
        for (kind, ref), stamp in reversed(self._stamps.items()):
            if stamp.changed <= generation:
                break
            if stamp.created > generation:
                yield Change('add', kind, ref, stamp.created)
            else:
                yield Change('mod', kind, ref, stamp.changed)
