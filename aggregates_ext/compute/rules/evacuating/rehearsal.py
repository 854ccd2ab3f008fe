"""A rolling reboot on records: who is where when a host's turn comes.

See design#rolling-plan.
"""

import dataclasses
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import planning
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.db import records

# How late hosts are looked at as targets: where a guest came from, where it
# can stay, which it has to leave again, and which at once.
HOME, SETTLED, LATER, NEXT = range(4)


@dataclasses.dataclass(frozen=True)
class Preference:
    """Where guests had best go while one host of a run is away.

    :ivar later: references of the hosts that are still to restart.
    :ivar next_one: that of the next of them; None: the present is the last.
    :ivar homes: by the reference of a guest, that of the host that it left
        first in the run.
    """

    later: Collection[str]
    next_one: str | None
    homes: Mapping[str, str]

    def __call__(self, guest: facts.Guest, ref: str) -> int:
        if ref == self.next_one:
            return NEXT
        if ref in self.later:
            return LATER
        return HOME if self.homes.get(guest.ref) == ref else SETTLED


@dataclasses.dataclass(frozen=True)
class Move:
    """A guest on its way from one host to another, both by name.

    :ivar guest: its uuid.
    :ivar memory: bytes that it needs; 0 where that cannot be told.
    """

    guest: str
    name: str
    memory: int
    source: str
    target: str

    def as_dict(self) -> dict[str, Any]:
        return {
            'guest': self.guest,
            'name': self.name,
            'memory': self.memory or None,
            'from': self.source,
            'to': self.target,
        }


@dataclasses.dataclass(frozen=True)
class Room:
    """What is free while a host is away and its guests are placed, in bytes.

    :ivar free: on all hosts that take guests.
    :ivar tightest: the name of the one that has least; None: none does.
    :ivar least: what that one has.
    """

    free: int = 0
    tightest: str | None = None
    least: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            'memory_free': self.free,
            'tightest': {'host': self.tightest, 'memory_free': self.least},
        }


class Turn(NamedTuple):
    """What becomes of the guests of one host.

    :ivar known: the pool before that.
    :ivar ref: the reference of the host; None: the pool does not list it.
    :ivar answer: what its check finds then.
    :ivar moves: those away from it, the largest first.
    """

    known: facts.Known
    ref: str | None
    answer: evacuation.Answer
    moves: tuple[Move, ...] = ()
    room: Room = Room()


class Rehearsal:
    """A run on records: the pool as it is when the next host is to go."""

    def __init__(
        self,
        known: facts.Known,
        order: Sequence[records.Host],
        members: Sequence[records.Host],
        network: str | None = None,
    ) -> None:
        self._network = network
        self.known = _as_of_a_run(known)
        self._members = members
        self.refs = [evacuation.find(known, host) for host in order]
        self._order = order
        everyone = hosts.registered(known, '', members)
        self._names = {host.ref: host.name for host in everyone}
        # By reference of a guest: the host that it left first.
        self._homes: dict[str, str] = {}
        self._candidates: dict[str, set[str]] = {}

    def empty(
        self, at: int, shut_down: Collection[str], *, hard: bool
    ) -> Turn:
        """Check one host of the order, and move its guests."""
        known, ref = self.known, self.refs[at]
        answer = evacuation.check(
            known,
            self._order[at],
            self._members,
            shut_down,
            hard=hard,
            prefer=self._preference(at),
            network=self._network,
        )
        if ref is None:
            return Turn(known, ref, answer)
        moves, places = [], {}
        for step in answer.plan:
            if step.target is None:
                continue
            guest, target = step.guest, step.target.host
            moves.append(self._move(guest, target.ref))
            places[guest.ref] = target.ref
            self._homes.setdefault(guest.ref, ref)
        self.known = known.moved(places)
        room = _room(self.known, answer.others)
        return Turn(known, ref, answer, tuple(moves), room)

    def pool(self, steps: Iterable[planning.Step]) -> evacuation.Evacuation:
        """All hosts, for the rules about a pool as a whole."""
        known, master = self.known, self.known.pool['master']
        everyone = hosts.registered(known, master, self._members)
        others = tuple(map(hosts.Candidate, everyone))
        return evacuation.Evacuation(known, master, others, tuple(steps))

    def _preference(self, at: int) -> Preference:
        later = [ref for ref in self.refs[at + 1 :] if ref is not None]
        following = later[0] if later else None
        return Preference(frozenset(later), following, self._homes)

    def homes(self) -> tuple[list[Move], list[Move]]:
        """The moves home, the last that left it first, and who stays.

        One whose home has no memory yet waits for those that leave it; one
        whose home takes none stays, and who is home again needs no move.
        """
        guests = [
            (facts.Guest(self.known, ref), home)
            for ref, home in reversed(self._homes.items())
        ]
        away = [(guest, home) for guest, home in guests if guest.home != home]
        free = {ref: _free(self.known, ref) for ref in self._names}
        moves: list[Move] = []
        while True:
            waiting = []
            for guest, home in away:
                size = planning.size(guest)
                if size <= free[home] and self._takes(guest.home, home):
                    moves.append(self._move(guest, home))
                    free[home] -= size
                    free[guest.home] += size
                else:
                    waiting.append((guest, home))
            if len(waiting) == len(away):
                return moves, [self._move(*one) for one in away]
            away = waiting

    def _move(self, guest: facts.Guest, target: str) -> Move:
        return Move(
            guest.uuid,
            guest.name,
            planning.size(guest),
            self._names[guest.home],
            self._names[target],
        )

    def _takes(self, source: str, target: str) -> bool:
        """Whether a host takes guests of another one."""
        if source not in self._candidates:
            self._candidates[source] = {
                one.host.ref
                for one in hosts.candidates(self.known, source, self._members)
                if one.fits
            }
        return target in self._candidates[source]


def _as_of_a_run(known: facts.Known) -> facts.Known:
    """A pool during a run, which freezes what would disturb it.

    High availability is off, since it has to be, and no boot starts guests.
    """
    ref, pool = fields.only(known.asked, 'pool', known.records['pool'])
    config = dict(fields.collect(pool, 'other_config', {}, []))
    config.pop(evacuation.AUTO_POWERON, None)
    return known.changed('pool', ref, ha_enabled=False, other_config=config)


def _free(known: facts.Known, ref: str) -> int:
    """Bytes that are free on a host; none where it is not told."""
    try:
        return max(0, known.free(ref))
    except failures.OddAnswer:
        return 0


def _room(known: facts.Known, others: Iterable[hosts.Candidate]) -> Room:
    """What is free on the hosts that take guests."""
    free = [
        (_free(known, one.host.ref), one.host.name)
        for one in others
        if one.fits
    ]
    if not free:
        return Room()
    least, name = min(free)
    return Room(sum(left for left, _name in free), name, least)
