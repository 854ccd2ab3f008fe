"""The plan of an evacuation: each guest with where it would go."""

import dataclasses
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import guests
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import pairs
from aggregates_ext.compute.rules.evacuating import targets
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.xen import failures

# What xapi says where no host takes any guest.
NOWHERE = 'NO_HOSTS_AVAILABLE'


@dataclasses.dataclass(frozen=True)
class Step:
    """What the plan has for one guest.

    :ivar target: where it would go; None: nowhere.
    :ivar problems: why it cannot move at all.
    :ivar refused: why not to hosts that take other guests, by name.
    """

    guest: facts.Guest
    target: targets.Target | None = None
    problems: tuple[preflight.Problem, ...] = ()
    refused: dict[str, tuple[preflight.Problem, ...]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def name(self) -> str:
        """The guest by name and uuid."""
        return kinds.named(self.guest.record)

    @property
    def all_problems(self) -> list[preflight.Problem]:
        """Why it would go nowhere, of all that was asked."""
        found = list(self.problems)
        for problems in self.refused.values():
            found += problems
        return found

    @property
    def lacks_memory(self) -> bool:
        """Whether there is a host to which only memory lets it not go."""
        return any(
            {problem.code for problem in problems} == {pairs.MEMORY}
            for problems in self.refused.values()
        )

    @property
    def code(self) -> str | None:
        """Why it would go nowhere, as xapi would say it of a move."""
        if self.target is not None:
            return None
        if self.problems:
            return self.problems[0].code
        if self.lacks_memory:
            return pairs.MEMORY
        return next((p.code for p in self.all_problems), NOWHERE)

    @property
    def reason(self) -> str:
        """Why it would go nowhere, in words; empty where it would."""
        found = [f'{p.code}, {p.found}' for p in self.problems]
        if self.refused:
            found.append(targets.describe(self.refused))
        if self.target is None and not found:
            return f'{NOWHERE}, no other host takes guests'
        return '; '.join(found)

    def as_dict(self) -> dict[str, Any]:
        """As ``check_host`` shows it; memory in bytes."""
        return {
            'guest': self.guest.name,
            'uuid': self.guest.uuid,
            'memory': size(self.guest) or None,
            'target': self.target.host.name if self.target else None,
            'code': self.code,
            'reason': self.reason or None,
        }


def size(guest: facts.Guest) -> int:
    """The bytes that a guest needs; 0 where that cannot be told."""
    try:
        return guest.memory
    except failures.OddAnswer:
        return 0


def plan(
    known: facts.Known,
    source: str,
    others: Sequence[hosts.Candidate],
    named: Collection[str] = (),
    prefer: targets.Prefer = targets.no_matter,
) -> tuple[tuple[Step, ...], pairs.Ledger]:
    """Place the guests of a host, the largest first.

    Those that may be shut down come last: they have what room is left.

    :param source: the reference of the host that they leave.
    :param named: uuids of guests that may be shut down.
    :returns: a step for each guest, and what is left when all are placed.
    """
    ledger = pairs.Ledger(known)
    found = []
    leaving = list(known.guests.get(source, ()))
    leaving.sort(
        key=lambda guest: (
            guest.uuid in named,
            -size(guest),
            guest.name,
            guest.uuid,
        )
    )
    for guest in leaving:
        is_named = guest.uuid in named
        found.append(_place(guest, others, ledger, is_named, prefer))
    return tuple(found), ledger


def _place(
    guest: facts.Guest,
    others: Sequence[hosts.Candidate],
    ledger: pairs.Ledger,
    is_named: bool,
    prefer: targets.Prefer,
) -> Step:
    """The best host for a guest, which takes its room there.

    So does one that cannot move: it is to, when that is mended; but not one
    that is shut down instead.
    """
    problems = guests.reasons(guest)
    choice = targets.choose(guest, others, ledger, 1, prefer)
    if not choice.targets:
        return Step(guest, None, problems, choice.refused)
    target = choice.targets[0]
    if not (problems and is_named):
        ledger.put(guest, target.host.ref)
    return Step(guest, None if problems else target, problems)
