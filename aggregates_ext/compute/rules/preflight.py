"""What checks are made of: rules, problems and reports."""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import Generic
from typing import TypeVar

from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures

Facts = TypeVar('Facts')
Records = dict[str, dict[str, Any]]
Disks = dict[str, list[dict[str, Any]]]
NULL = 'OpaqueRef:NULL'


@dataclasses.dataclass(frozen=True)
class Problem:
    """A requirement that is not met.

    :ivar code: what xapi itself would answer, or a code of ours.
    :ivar found: the values found, in words.
    :ivar remedy: what to do about it.
    :ivar heals: whether it goes away by itself.
    :ivar details: each thing that was found, where the words leave some out.
    """

    code: str
    rule: str
    found: str
    remedy: str
    heals: bool = False
    details: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return f'{self.code}: {self.rule}; found {self.found}. {self.remedy}'

    def as_dict(self) -> dict[str, Any]:
        told = {**dataclasses.asdict(self), 'message': self.message}
        details = told.pop('details')
        return {**told, 'details': list(details)} if details else told


@dataclasses.dataclass(frozen=True)
class Rule(Generic[Facts]):
    """One requirement, of what was read for a check.

    :ivar remedy: what to do; ``{}`` in it is filled by ``fill``.
    :ivar find: what violates it, in words with names and uuids; empty where
        it is met.
    :ivar stricter: why it forbids what xapi itself would do.
    """

    code: str
    rule: str
    remedy: str
    find: Callable[[Facts], str]
    stricter: str = ''
    fill: Callable[[Facts], str] | None = None

    @property
    def heals(self) -> bool:
        """Whether a violation goes away by itself, as its code says.

        An operation waits for that instead of failing.
        """
        return codes.passes(self.code)

    def check(self, facts: Facts) -> Problem | None:
        """The problem that the facts are; None where the rule is met.

        A rule that depends on what is not known is not met
        (design#odd-answers).
        """
        try:
            found = self.find(facts)
            if not found:
                return None
            remedy = self.remedy
            if self.fill is not None:
                remedy = remedy.format(self.fill(facts))
        except failures.OddAnswer as exc:
            return odd(self.rule, exc)
        details = getattr(found, 'items', ())
        return Problem(
            self.code, self.rule, found, remedy, self.heals, details
        )


def odd(rule: str, exc: failures.OddAnswer) -> Problem:
    """Whether a rule is met is not known: that is a problem by itself."""
    return Problem(
        failures.OddAnswer.code,
        rule,
        f'that this cannot be told: {exc.what}',
        'Look at that record with "xe", and mend it.',
    )


def evaluate(
    rules: Iterable[Rule[Facts]], facts: Facts
) -> tuple[Problem, ...]:
    """Every problem, in the order of the rules.

    What cannot be told because of one odd answer is one problem.
    """
    found: list[Problem] = []
    told: set[str] = set()
    for rule in rules:
        problem = rule.check(facts)
        if problem is None:
            continue
        if problem.code == failures.OddAnswer.code:
            if problem.found in told:
                continue
            told.add(problem.found)
        found.append(problem)
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class Report:
    """What a check found.

    :ivar blockers: what forbids it.
    :ivar warnings: what does not, and should be known.
    :ivar disks: disks that an eject would destroy, SR uuid -> disks.
    :ivar plan: of an evacuation: where each guest would go.
    """

    blockers: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    disks: Disks | None = None
    plan: list[dict[str, Any]] | None = None

    @property
    def heals(self) -> bool:
        """Whether there are blockers, and all go away by themselves."""
        return bool(self.blockers) and all(b.heals for b in self.blockers)

    def disk_uuids(self) -> dict[str, list[str]]:
        """The uuids of those disks, SR uuid -> disks."""
        return {
            sr: [disk['uuid'] for disk in found]
            for sr, found in (self.disks or {}).items()
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            'blockers': [problem.as_dict() for problem in self.blockers],
            'warnings': [problem.as_dict() for problem in self.warnings],
            'disks': self.disks,
            'plan': self.plan,
        }
