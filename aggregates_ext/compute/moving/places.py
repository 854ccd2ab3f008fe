"""The hosts that a guest may be sent to, the best first (design#moves)."""

import contextlib
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import pairs
from aggregates_ext.compute.rules.evacuating import targets
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import releases
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records


@dataclasses.dataclass(frozen=True)
class Place:
    """A member of the pool that takes guests.

    :ivar near: how many it has that a guest is to be apart from.
    """

    host: records.Host
    seen: views.HostView
    near: int = 0


def find(
    view: views.PoolView,
    members: Sequence[records.Host],
    source: views.HostView,
    refused: Mapping[str, str],
) -> tuple[list[Place], dict[str, str]]:
    """Where a guest may go, and why not elsewhere.

    :param members: the hosts of the aggregate; what is only in the pool is no
        place.
    :param refused: hosts that have refused it before, and why.
    :returns: places in the order of their names, and reasons by host name.
    """
    places: list[Place] = []
    reasons: dict[str, str] = {}
    for host in members:
        seen = view.hosts.find(host.uuid)
        if seen is source:
            continue
        why = refused.get(host.name) or _refuse(host, seen, source)
        if why is None and seen is not None:
            places.append(Place(host, seen))
        else:
            reasons[host.name] = why or 'it is not known'
    places.sort(key=lambda place: place.host.name)
    return places, reasons


def _refuse(
    host: records.Host, seen: views.HostView | None, source: views.HostView
) -> str | None:
    if seen is None:
        return 'it is not in the pool'
    if host.phase != 'member':
        return f'it is {host.phase}'
    if host.disabled:
        return 'it is to be disabled'
    if not seen.live:
        return 'it does not answer its master'
    if not seen.enabled:
        return 'it is disabled'
    if going := seen.operations & hosts.GOING:
        return f'it is about to be emptied: {text.listed(sorted(going))}'
    return _older(seen, source)


def _older(seen: views.HostView, source: views.HostView) -> str | None:
    if not (seen.software and source.software):
        return 'it is not told whether it is of an older version'
    found = releases.older(seen.software, source.software)
    return f'it is of an older version ({found})' if found else None


class Ranking:
    """Which place is the best for a guest, during one turn.

    As the plan has it, by what the pool shows and by what was sent since.
    Nothing is read before there is a choice.
    """

    def __init__(self, session: xenapi.Session) -> None:
        self._session = session
        self._read: tuple[facts.Known, pairs.Ledger] | None = None

    def best_first(
        self, ref: str, source: views.HostView, found: Sequence[Place]
    ) -> list[Place]:
        """Places in the order in which they are to be tried.

        :param ref: the reference of the guest.
        :param found: in the order of their names.
        """
        if len(found) < 2:
            return list(found)
        places = {place.seen.ref: place for place in found}
        try:
            if self._read is None:
                known = facts.read_room(self._session)
                self._read = known, pairs.Ledger(known)
            known, ledger = self._read
            ranked = targets.rank(
                known.at(ref),
                [
                    hosts.Host(known, place.seen.ref, source.ref, place.host)
                    for place in found
                ],
                ledger,
            )
        except failures.OddAnswer:
            return sorted(found, key=lambda place: -place.seen.memory_free)
        return [
            dataclasses.replace(places[one.host.ref], near=one.near)
            for one in ranked
        ]

    def note(self, ref: str, place: Place) -> None:
        """Count a guest that was sent to where its pool may not show it yet."""
        if self._read is not None:
            known, ledger = self._read
            with contextlib.suppress(failures.OddAnswer):
                ledger.put(known.at(ref), place.seen.ref)
