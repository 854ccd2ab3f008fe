"""Where a guest may move to, and why not elsewhere (design#targets)."""

import collections
import dataclasses
from collections.abc import Sequence

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import pairs
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records

Problem = preflight.Problem


@dataclasses.dataclass(frozen=True)
class Target:
    """A host that a guest may move to.

    :ivar free: bytes that it has left before the guest.
    :ivar near: how many it has that the guest is to be apart from.
    """

    host: hosts.Host
    free: int
    near: int


@dataclasses.dataclass(frozen=True)
class Choice:
    """Where a guest may move to.

    :ivar targets: the best first.
    :ivar refused: why not to hosts that take other guests, by name.
    :ivar unfit: why no guest may move to others, by name.
    """

    targets: tuple[Target, ...]
    refused: dict[str, tuple[Problem, ...]]
    unfit: dict[str, tuple[Problem, ...]]


def choose(
    guest: facts.Guest, others: Sequence[hosts.Candidate], ledger: pairs.Ledger
) -> Choice:
    """The hosts that a guest may move to, the best first.

    That is the one with the fewest guests that it is to be apart from, and
    of these the one with most free memory.
    """
    found, refused = [], {}
    for candidate in others:
        if candidate.problems:
            continue
        host = candidate.host
        problems = preflight.evaluate(
            pairs.PAIR_RULES, pairs.Pair(guest, host, ledger)
        )
        if problems:
            refused[host.name] = problems
        else:
            free, near = ledger.free(host.ref), ledger.near(guest, host.ref)
            found.append(Target(host, free, near))
    found.sort(key=lambda target: (target.near, -target.free))
    return Choice(tuple(found), refused, hosts.unfit(others))


def targets(
    known: facts.Known, guest: facts.Guest, members: Sequence[records.Host]
) -> Choice:
    """Where one guest may move to, as things are now.

    :param members: the hosts of the aggregate, in any phase.
    """
    others = hosts.candidates(known, guest.home, members)
    return choose(guest, others, pairs.Ledger(known))


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
