"""Where a guest may move to, and why not elsewhere (design#targets)."""

import collections
import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import pairs
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records

Problem = preflight.Problem
# A guest and the reference of a host -> how late that host is looked at.
Prefer = Callable[[facts.Guest, str], int]


def no_matter(_guest: facts.Guest, _ref: str) -> int:
    """No host is preferred."""
    return 0


@dataclasses.dataclass(frozen=True)
class Target:
    """A host that a guest may move to.

    :ivar free: bytes that it has left before the guest.
    :ivar near: how many it has that the guest is to be apart from.
    :ivar rank: how late it is looked at.
    """

    host: hosts.Host
    free: int
    near: int
    rank: int = 0


@dataclasses.dataclass(frozen=True)
class Choice:
    """Where a guest may move to.

    :ivar targets: the best first.
    :ivar refused: why not to hosts that take other guests, by name.
    :ivar others: all that were to be looked at.
    """

    targets: tuple[Target, ...]
    refused: dict[str, tuple[Problem, ...]]
    others: Sequence[hosts.Candidate]

    @property
    def why_not(self) -> text.Listed:
        """Why it moves to none of the hosts that were looked at."""
        return describe({**hosts.unfit(self.others), **self.refused})


def choose(
    guest: facts.Guest,
    others: Sequence[hosts.Candidate],
    ledger: pairs.Ledger,
    enough: int | None = None,
    prefer: Prefer = no_matter,
) -> Choice:
    """The hosts that a guest may move to, the best first.

    :param enough: how many are enough; None: all are looked at.
    """
    found: list[Target] = []
    refused = {}
    able = [one.host for one in others if one.fits]
    for target in rank(guest, able, ledger, prefer):
        if len(found) == enough:
            break
        pair = pairs.Pair(guest, target.host, ledger)
        problems = preflight.evaluate(pairs.PAIR_RULES, pair)
        if problems:
            refused[target.host.name] = problems
        else:
            found.append(target)
    return Choice(tuple(found), dict(sorted(refused.items())), others)


def rank(
    guest: facts.Guest,
    able: Iterable[hosts.Host],
    ledger: pairs.Ledger,
    prefer: Prefer = no_matter,
) -> list[Target]:
    """Hosts as targets of a guest, the best first.

    That is, of those that are preferred, the one with the fewest guests that
    it is to be apart from, and of these the one with most free memory. Whoever
    chooses a target asks here.

    :param able: in the order of their names.
    """
    return sorted(
        (_look(guest, one, ledger, prefer(guest, one.ref)) for one in able),
        key=lambda target: (target.rank, target.near, -target.free),
    )


def _look(
    guest: facts.Guest, host: hosts.Host, ledger: pairs.Ledger, rank: int
) -> Target:
    """A host as a target; one whose memory cannot be told has none."""
    try:
        free = ledger.free(host.ref)
    except failures.OddAnswer:
        free = 0
    return Target(host, free, ledger.near(guest, host.ref), rank)


def targets(
    known: facts.Known,
    guest: facts.Guest,
    members: Sequence[records.Host],
    prefer: Prefer = no_matter,
) -> Choice:
    """Where one guest may move to, as things are now.

    :param members: the hosts of the aggregate, in any phase.
    """
    others = hosts.candidates(known, guest.home, members)
    return choose(guest, others, pairs.Ledger(known), prefer=prefer)


def describe(why: dict[str, tuple[Problem, ...]]) -> text.Listed:
    """Why not to hosts, in words: those with the same reason as one."""
    alike: dict[str, list[str]] = collections.defaultdict(list)
    for name, problems in why.items():
        words = ', '.join(f'{p.code}, {p.found}' for p in problems)
        alike[words].append(name)
    return text.listed(
        [f'{text.listed(names)}: {words}' for words, names in alike.items()],
        between='; ',
    )
