"""How aggregates look, kept as finished bytes while nothing of it changes.

What is kept is served again only when the database has said in the same
request that the stamp is the same (design#stamps): nothing here is ever
stale, whoever wrote.
"""

import collections
import json
import threading
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from aggregates_ext.api.edge import conditions
from aggregates_ext.api.edge import wire
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records
from aggregates_ext.domain import aggregates

# What keeping something costs beside its bytes, roughly.
OVERHEAD = 400


class Finished(NamedTuple):
    """An answer that needs no more than its headers.

    :ivar body: in one piece.
    :ivar tag: of the aggregate that is shown, if it is one.
    """

    body: bytes
    tag: str | None = None


class Look(NamedTuple):
    """How something looked at a stamp.

    :ivar stamp: of an aggregate; of all: their count and sum.
    :ivar body: of an aggregate as a list has it.
    """

    stamp: Any
    body: bytes
    tag: str | None = None


class Kept:
    """Looks by key, those of long ago forgotten first.

    :param limit: of their size, in bytes.
    :ivar size: how much they take, about.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._looks: collections.OrderedDict[Hashable, Look]
        self._looks = collections.OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Hashable) -> Look | None:
        """The look that was kept last; None: it is forgotten."""
        with self._lock:
            found = self._looks.get(key)
            if found is not None:
                self._looks.move_to_end(key)
            return found

    def find(self, keys: Iterable[Hashable]) -> dict[Hashable, Look]:
        """The looks that are kept of many."""
        found = {}
        with self._lock:
            for key in keys:
                look = self._looks.get(key)
                if look is not None:
                    self._looks.move_to_end(key)
                    found[key] = look
        return found

    def put(self, looks: Mapping[Hashable, Look]) -> None:
        """Keep looks, and forget others for their sake."""
        with self._lock:
            for key, look in looks.items():
                self._forget(self._looks.pop(key, None))
                self._looks[key] = look
                self.size += len(look.body) + OVERHEAD
            while self.size > self._limit:
                self._forget(self._looks.popitem(last=False)[1])

    def _forget(self, look: Look | None) -> None:
        if look is not None:
            self.size -= len(look.body) + OVERHEAD


class Looks:
    """Aggregates as each face shows them.

    :param found: where they are.
    :param kept: what has been rendered of them.
    """

    def __init__(self, found: aggregates.Aggregates, kept: Kept) -> None:
        self._aggregates = found
        self._kept = kept

    def show(self, shape: shapes.Shape, aggregate_id: int) -> Finished:
        """One aggregate: one statement where it has not changed.

        :raises exception.AggregateNotFound: there is none.
        """
        stamp = self._aggregates.stamp(aggregate_id)
        key = (shape.look, aggregate_id)
        look = self._kept.get(key)
        if look is None or look.stamp != stamp:
            look = _render(shape, self._aggregates.get(aggregate_id))
            self._kept.put({key: look})
        return Finished(_whole(shape.kind, look.body), look.tag)

    def index(self, shape: shapes.Shape) -> Finished:
        """All aggregates: one statement where none has changed.

        Else those that have are read and rendered, and no others.
        """
        total = self._aggregates.total()
        key = (shape.look, 'all')
        whole = self._kept.get(key)
        if whole is None or whole.stamp != total:
            whole = self._join(shape)
            self._kept.put({key: whole})
        return Finished(whole.body)

    def _join(self, shape: shapes.Shape) -> Look:
        """All of them as one list, of one state."""
        parts: dict[int, bytes] = {}

        def find_missing(stamps: dict[int, int]) -> list[int]:
            kept = self._kept.find((shape.look, key) for key in stamps)
            missing = []
            for key, stamp in stamps.items():
                look = kept.get((shape.look, key))
                if look is None or look.stamp != stamp:
                    missing.append(key)
                else:
                    parts[key] = look.body
            return missing

        stamps, changed = self._aggregates.get_changed(find_missing)
        looks = {item.id: _render(shape, item) for item in changed}
        self._kept.put(
            {(shape.look, key): look for key, look in looks.items()}
        )
        parts |= {key: look.body for key, look in looks.items()}
        return Look(
            (len(stamps), sum(stamps.values())),
            _listed(shape.kind, [parts[key] for key in stamps]),
        )


def _render(shape: shapes.Shape, aggregate: records.Aggregate) -> Look:
    shown = shape.aggregate(aggregate)
    if shape.kind == 'xml':
        body = wire.write({'aggregate': shown}, wire.XML)
    else:
        body = json.dumps(shown).encode()
    return Look(aggregate.stamp, body, conditions.tag(shown, shape.kind))


def _whole(kind: str, item: bytes) -> bytes:
    """The document of one aggregate."""
    return item if kind == 'xml' else b'{"aggregate": %b}' % item


def _listed(kind: str, items: Sequence[bytes]) -> bytes:
    """The document of all."""
    if kind == 'json':
        return b'{"aggregates": [%b]}' % b', '.join(items)
    if not items:
        return b'<aggregates/>'
    return b'<aggregates>%b</aggregates>' % b''.join(items)
