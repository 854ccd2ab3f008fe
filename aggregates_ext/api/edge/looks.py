"""How aggregates look, kept as finished bytes while nothing of it changes.

What is kept is served again only when the database has said in the same
request that the stamp is the same (design#stamps): nothing here is ever
stale, whoever wrote.
"""

import collections
import json
import threading
from collections.abc import Hashable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from aggregates_ext.api.edge import conditions
from aggregates_ext.api.edge import wire
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records
from aggregates_ext.domain import aggregates

# What keeping something costs beside its bytes, roughly.
OVERHEAD = 400
# The key of all.
ALL = 0


class Finished(NamedTuple):
    """An answer that needs no more than its headers.

    :ivar body: in one piece.
    :ivar tag: of the aggregate that is shown, if it is one.
    """

    body: bytes
    tag: str | None = None


class Look(NamedTuple):
    """How an aggregate looked at a stamp.

    :ivar body: as a list has it.
    """

    stamp: int
    body: bytes
    tag: str | None = None

    @property
    def size(self) -> int:
        """What it takes to keep it, in bytes, about."""
        return len(self.body) + OVERHEAD


class Listing(NamedTuple):
    """How all looked, joined from the looks of each.

    :ivar stamp: their count and the sum of their stamps.
    :ivar body: the whole document.
    :ivar stamps: of each, as text.
    :ivar members: the look of each, by id.
    :ivar since: what has been rendered of some of them since then, by id.
    """

    stamp: tuple[int, int]
    body: bytes
    stamps: frozenset[str]
    members: Mapping[int, Look]
    since: dict[int, Look]

    @property
    def size(self) -> int:
        """As that of a look; its members are not kept beside it."""
        return 2 * len(self.body) + OVERHEAD * (1 + len(self.members))


NOTHING = Listing((0, 0), b'', frozenset(), {}, {})
# So much is kept of what has been rendered since all were listed.
SINCE = 32


class Kept:
    """Looks by key, those of long ago forgotten first.

    :param limit: of their size, in bytes.
    :ivar size: how much they take, about.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._looks: collections.OrderedDict[Hashable, Any]
        self._looks = collections.OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Hashable) -> Any:
        """What was kept last by a key; None: it is forgotten."""
        with self._lock:
            found = self._looks.get(key)
            if found is not None:
                self._looks.move_to_end(key)
            return found

    def put(self, key: Hashable, look: Look | Listing) -> None:
        """Keep a look, and forget others for its sake."""
        with self._lock:
            self._forget(self._looks.pop(key, None))
            self._looks[key] = look
            self.size += look.size
            while self.size > self._limit:
                self._forget(self._looks.popitem(last=False)[1])

    def _forget(self, look: Look | Listing | None) -> None:
        if look is not None:
            self.size -= look.size


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
        look = self._kept.get((shape.look, aggregate_id))
        if look is None or look.stamp != stamp:
            listing = self._kept.get((shape.look, ALL)) or NOTHING
            look = listing.members.get(aggregate_id)
        if look is None or look.stamp != stamp:
            return self.changed(
                shape, self._aggregates.get_listed(aggregate_id)
            )
        return _finish(shape, look)

    def changed(
        self, shape: shapes.Shape, aggregate: records.Aggregate
    ) -> Finished:
        """One aggregate as it was just read or written."""
        look = _render(shape, aggregate)
        self._kept.put((shape.look, aggregate.id), look)
        listing = self._kept.get((shape.look, ALL)) or NOTHING
        if aggregate.id in listing.members and len(listing.since) < SINCE:
            listing.since[aggregate.id] = look
        return _finish(shape, look)

    def index(self, shape: shapes.Shape) -> Finished:
        """All aggregates: one statement where none has changed, or those alone
        that have been rendered since.

        Else those that have are read and rendered, and no others.
        """
        total = self._aggregates.total()
        listing: Listing | None = self._kept.get((shape.look, ALL))
        if listing is None or listing.stamp != total:
            before = listing or NOTHING
            listing = _renew(shape, before, total) or self._join(shape, before)
            self._kept.put((shape.look, ALL), listing)
        return Finished(listing.body)

    def _join(self, shape: shapes.Shape, before: Listing) -> Listing:
        """All of them, of one state, from what is left of another."""
        stamps, changed = self._aggregates.get_changed(before.stamps)
        looks = {item.id: _render(shape, item) for item in changed}
        members = {**before.members, **looks}
        if not len(before.members) == len(members) == len(stamps):
            # Some are new, or do not live any more.
            members = {
                key: members[key]
                for key in sorted(members)
                if str(members[key].stamp) in stamps
            }
        total = len(members), sum([look.stamp for look in members.values()])
        return _list(shape, total, stamps, members)


def _renew(
    shape: shapes.Shape, before: Listing, total: tuple[int, int]
) -> Listing | None:
    """All of them, where what was rendered since is all that has changed.

    That is so where it accounts for the whole sum.

    :param total: their count and the sum of their stamps now.
    """
    since = before.since.copy()
    count, grown = before.stamp
    left = {before.members[key].stamp for key in since}
    come = {look.stamp for look in since.values()}
    if (count, grown - sum(left) + sum(come)) != total:
        return None
    stamps = before.stamps.difference(map(str, left)).union(map(str, come))
    return _list(shape, total, stamps, {**before.members, **since})


def _list(
    shape: shapes.Shape,
    total: tuple[int, int],
    stamps: frozenset[str],
    members: Mapping[int, Look],
) -> Listing:
    """The listing of some looks, by their ids."""
    bodies = [look.body for look in members.values()]
    return Listing(total, _listed(shape.kind, bodies), stamps, members, {})


def _render(shape: shapes.Shape, aggregate: records.Aggregate) -> Look:
    shown = shape.aggregate(aggregate)
    if shape.kind == 'xml':
        body = wire.write({'aggregate': shown}, wire.XML)
    else:
        body = json.dumps(shown).encode()
    return Look(aggregate.stamp, body, conditions.tag(shown, shape.kind))


def _finish(shape: shapes.Shape, look: Look) -> Finished:
    """The document of one aggregate."""
    if shape.kind == 'xml':
        return Finished(look.body, look.tag)
    return Finished(b'{"aggregate": %b}' % look.body, look.tag)


def _listed(kind: str, items: list[bytes]) -> bytes:
    """The document of all; what is long is copied once.

    :param items: of each; used up.
    """
    if kind == 'json':
        begin, comma, end = b'{"aggregates": [', b', ', b']}'
    else:
        begin, comma, end = b'<aggregates>', b'', b'</aggregates>'
    if not items:
        return begin + end if kind == 'json' else b'<aggregates/>'
    items[0] = begin + items[0]
    items[-1] += end
    return comma.join(items)
