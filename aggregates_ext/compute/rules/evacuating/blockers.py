"""What of a plan forbids that its host is emptied."""

from collections.abc import Iterator
from collections.abc import Sequence

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import pairs
from aggregates_ext.compute.rules.evacuating import planning
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records

BUSY = 'OTHER_OPERATION_IN_PROGRESS'
BLOCKED = 'OPERATION_BLOCKED'
Problem = preflight.Problem
Step = planning.Step
# Code -> rule: what a guest is told as that would go nowhere. The tables of
# requirements show them with the remedies of each reason.
OF_GUESTS = {
    'GUEST_BUSY': 'no operation may run on a guest that is to leave',
    'GUEST_BLOCKED': 'nobody may have blocked the moves of a guest that is '
    'to leave',
    'LOCAL_CD': 'no guest that is to leave may have something in a drive '
    'that no other host reaches',
    'GUEST_IMMOVABLE': 'each guest of the host must be able to move to '
    'another one',
}
NO_TARGET = 'NO_TARGET'
NO_MEMORY = 'NOT_ENOUGH_MEMORY'


def absent(host: records.Host) -> Problem:
    """That the pool does not list the host."""
    return Problem(
        'NOT_IN_POOL',
        'only a host that the pool lists can be emptied',
        f'uuid {host.uuid} not listed',
        'GET /os-aggregates/ID/pool shows what is in the pool.',
    )


def find(
    steps: Sequence[Step],
    others: Sequence[hosts.Candidate],
    ledger: pairs.Ledger,
) -> Iterator[Problem]:
    """An entry for each guest that stays, and one of memory for all.

    :param others: the other hosts of the pool.
    :param ledger: what they have left when all are placed.
    """
    staying = [step for step in steps if step.target is None]
    yield from _odd(staying)
    for step in staying:
        if step.problems or (step.refused and not step.lacks_memory):
            yield _of_guest(step)
    yield from _memory([s for s in staying if s.lacks_memory], others, ledger)


def _odd(staying: Sequence[Step]) -> Iterator[Problem]:
    """What cannot be told is told once."""
    told = set()
    for step in staying:
        for problem in step.all_problems:
            odd = problem.code == failures.OddAnswer.code
            if odd and problem.found not in told:
                told.add(problem.found)
                yield problem


def is_busy(step: Step) -> bool:
    """Whether nothing keeps a guest but what runs on it and ends."""
    return step.target is None and _kind(step) == 'GUEST_BUSY'


def _kind(step: Step) -> str:
    told = step.problems if step.lacks_memory else step.all_problems
    found = {(problem.code, problem.rule) for problem in told}
    names = {code for code, _rule in found}
    if names == {BUSY}:
        return 'GUEST_BUSY'
    if names == {BLOCKED}:
        return 'GUEST_BLOCKED'
    if found == {(pairs.CD_RULE.code, pairs.CD_RULE.rule)}:
        return 'LOCAL_CD'
    return 'GUEST_IMMOVABLE'


def _of_guest(step: Step) -> Problem:
    code = _kind(step)
    remedies = dict.fromkeys(p.remedy for p in step.all_problems)
    if code != 'GUEST_BUSY':
        consent = (
            f'Or let it be shut down: "shut_down": ["{step.guest.uuid}"].'
        )
        remedies[consent] = None
    return Problem(
        code,
        OF_GUESTS[code],
        f'{step.name}: {step.reason}',
        ' '.join(remedies),
        codes.passes(code),
    )


def _memory(
    short: Sequence[Step],
    others: Sequence[hosts.Candidate],
    ledger: pairs.Ledger,
) -> Iterator[Problem]:
    """The guests that remain after packing, and what is free then."""
    if not short:
        return
    needs = text.listed(
        f'{step.name} needs {pairs.human(planning.size(step.guest))}'
        for step in short
    )
    left = text.listed(
        f'{one.host.name} {pairs.human(max(0, ledger.free(one.host.ref)))}'
        for one in others
        if one.fits
    )
    yield Problem(
        NO_MEMORY,
        'the other hosts must have memory for all guests of the host',
        f'{needs}; free when the others are placed: {left}',
        'Free memory there, enable more hosts, or let guests be shut down: '
        '"shut_down" with their uuids.',
        details=needs.items,
    )
