"""Guests that may be shut down instead of moved (design#shut-down)."""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import blockers
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import guests
from aggregates_ext.compute.rules.evacuating import planning
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import fields

CODE = 'GUEST_STAYS_UP'
UNKNOWN_GUEST = 'GUEST_UNKNOWN'
CLEAN, HARD = 'clean_shutdown', 'hard_shutdown'
Rule = preflight.Rule[facts.Guest]
Step = planning.Step


def _blocked(guest: facts.Guest, operation: str) -> str:
    blocked = guest.record['blocked_operations']
    if operation not in blocked:
        return ''
    reason = blocked[operation]
    return f'"{reason}" as the reason' if reason else 'no reason'


def _state(guest: facts.Guest) -> str:
    state = guest.record['power_state']
    return '' if state == 'Running' else str(state)


def _busy(guest: facts.Guest) -> str:
    return kinds.listed(set(guest.record['current_operations'].values()))


_HARD = 'let it be shut down hard: "hard": true.'
# In the order of xapi (xapi#shutdowns).
CLEAN_RULES: tuple[Rule, ...] = (
    Rule(
        'OPERATION_BLOCKED',
        'nobody may have blocked that it is shut down',
        'Ask whoever blocked it to lift that '
        f'(VM.remove_from_blocked_operations), or {_HARD}',
        lambda guest: _blocked(guest, CLEAN),
    ),
    Rule(
        'VM_BAD_POWER_STATE',
        'a guest must run to be asked to shut down',
        f'Unpause it, or {_HARD}',
        _state,
    ),
    Rule(
        'OTHER_OPERATION_IN_PROGRESS',
        'no operation may run on the guest',
        'Wait for its end.',
        _busy,
    ),
    Rule(
        'VM_LACKS_FEATURE',
        'the guest must have drivers that can shut it down',
        f'Install the guest tools, wait if it has just booted, or {_HARD}',
        lambda guest: guests.undriven(guest, 'feature-shutdown'),
    ),
)
HARD_RULES: tuple[Rule, ...] = (
    Rule(
        'OPERATION_BLOCKED',
        'nobody may have blocked that it is shut down hard',
        'Ask whoever blocked it to lift that '
        '(VM.remove_from_blocked_operations); this service never does.',
        lambda guest: _blocked(guest, HARD),
    ),
)


def split(
    steps: Sequence[Step], named: Collection[str]
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The guests that are to move, and those that are shut down instead.

    Only a named one is, and only where no move can help it.
    """
    down = tuple(
        step
        for step in steps
        if step.guest.uuid in named
        and step.target is None
        and not blockers.is_busy(step)
    )
    return tuple(step for step in steps if step not in down), down


def can_be_asked(guest: facts.Guest) -> bool:
    """Whether a clean shutdown of a guest would begin."""
    return not preflight.evaluate(CLEAN_RULES, guest)


def find(down: Sequence[Step], *, hard: bool) -> Iterator[preflight.Problem]:
    """An entry for each guest whose shutdown would be refused.

    :param hard: whether they may be shut down hard.
    """
    for step in down:
        rules = HARD_RULES if hard else CLEAN_RULES
        problems = preflight.evaluate(rules, step.guest)
        if not problems:
            continue
        told = '; '.join(f'{p.code}, {p.found}' for p in problems)
        yield preflight.Problem(
            CODE,
            'each guest that no move can help must be able to shut down',
            f'{step.name}: {told}',
            ' '.join(dict.fromkeys(p.remedy for p in problems)),
            all(codes.passes(problem.code) for problem in problems),
        )


def consent(steps: Sequence[Step]) -> tuple[str, ...]:
    """The uuids of all guests that have to be named for it to come about."""
    return tuple(
        step.guest.uuid
        for step in steps
        if step.target is None and not blockers.is_busy(step)
    )


def unknown(
    known: facts.Known, ref: str, named: Collection[str]
) -> tuple[str, ...]:
    """What is named and is no guest on a host, nor one that is down already.

    :param ref: the reference of the host.
    """
    if not named:
        return ()
    there = {guest.uuid for guest in known.guests.get(ref, ())}
    for vm in known.all('VM'):
        kept = vm['is_a_template'] or vm['is_a_snapshot']
        if vm['power_state'] == 'Halted' and not kept:
            there.add(str(fields.collect(vm, 'uuid', '', [])))
    return tuple(sorted(set(named) - there))


def refuse(strangers: Collection[str]) -> tuple[preflight.Problem, ...]:
    """What is wrong with a consent that names other than guests there."""
    if not strangers:
        return ()
    return (
        preflight.Problem(
            UNKNOWN_GUEST,
            'only guests on the host can be shut down for it',
            kinds.listed(strangers),
            'Ask again without them, and look who is to be shut down.',
        ),
    )
