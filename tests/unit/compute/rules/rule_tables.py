"""The tables of requirements as operators read them.

``python -m tests.unit.compute.rules.rule_tables`` writes the part of the document
that lists them; a test keeps the two in step.
"""

import pathlib
import textwrap
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.rules import powering
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import updating
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.rules.evacuating import guests
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import pairs
from aggregates_ext.compute.rules.evacuating import rolling
from aggregates_ext.compute.rules.evacuating import shutdowns
from aggregates_ext.compute.rules.evacuating import ways
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.leaving import remains
from aggregates_ext.compute.rules.leaving import (
    requirements as leaving_requirements,
)

ROOT = pathlib.Path(__file__).parents[4]
DOCUMENT = ROOT / 'doc/source/requirements.inc'
Rules = Sequence[preflight.Rule[Any]]
SECTIONS: dict[str, Rules] = {
    'To add any host': bindings.ADD_RULES,
    'To join': requirements.JOIN_RULES,
    'Worth knowing before a join': requirements.JOIN_WARNINGS,
    'To be the first': requirements.FIRST_RULES,
    'Worth knowing of the first': requirements.FIRST_WARNINGS,
    'To remove any host': bindings.REMOVE_RULES,
    'To leave': leaving_requirements.LEAVE_RULES,
    'To leave as the last': leaving_requirements.LAST_RULES,
    'Worth knowing before an eject': remains.LEAVE_WARNINGS,
    'To put any host into maintenance': bindings.MAINTENANCE_RULES,
    'To reboot, shut down or start any host': bindings.POWER_RULES,
    'To go down': powering.RULES[powering.SHUTDOWN],
    'To be started': powering.UP_RULES,
    'To get a new toolstack, beside': (powering.HA_OFF,),
    'To get one for the repair of a move': powering.REPAIR_RULES,
    'Worth knowing before a host goes down': (
        *powering.ALL_WARNINGS,
        *bindings.POWER_WARNINGS,
    ),
    'To empty a host': (*evacuation.POOL_RULES, *ways.RULES),
    'Guests that can move': guests.GUEST_RULES,
    'Hosts that take guests': hosts.HOST_RULES,
    'A guest and the host that it moves to': pairs.PAIR_RULES,
    'Guests that can be shut down': shutdowns.CLEAN_RULES,
    'Guests that can be shut down hard': shutdowns.HARD_RULES,
    'Worth knowing before a host is emptied': (
        *evacuation.WARNINGS,
        *ways.WARNINGS,
        *bindings.MAINTENANCE_WARNINGS,
    ),
    'To restart hosts in turn': (*rolling.RULES, powering.NO_BOOT_TIME),
    'To update hosts in turn': (*updating.RULES, *updating.PENDING_RULES),
}
# Of these a blocker with a code of its own tells, and whether it waits.
PARTS = (
    guests.GUEST_RULES,
    hosts.HOST_RULES,
    pairs.PAIR_RULES,
    shutdowns.CLEAN_RULES,
    shutdowns.HARD_RULES,
)


def render() -> str:
    """The part of the document."""
    lines: list[str] = []
    for title, rules in SECTIONS.items():
        lines += [title, '=' * len(title), '', *_table(rules), '']
    title = 'Stricter than xapi'
    lines += [title, '=' * len(title), '', *_stricter()]
    return '\n'.join(lines) + '\n'


def _table(rules: Rules) -> Iterator[str]:
    yield '.. list-table::'
    yield '   :header-rows: 1'
    yield '   :widths: 30 35 35'
    yield ''
    yield from _row('code', 'rule', 'what to do')
    for rule in rules:
        mark = ' (waits)' if rule.heals and rules not in PARTS else ''
        remedy = rule.remedy.replace('{}', '…')
        yield from _row(f'``{rule.code}``{mark}', rule.rule, remedy)


def _row(*cells: str) -> Iterator[str]:
    for number, cell in enumerate(cells):
        yield from textwrap.wrap(
            cell,
            78,
            initial_indent='     - ' if number else '   * - ',
            subsequent_indent='       ',
            break_long_words=False,
            break_on_hyphens=False,
        )


def _stricter() -> Iterator[str]:
    for rules in (
        requirements.JOIN_RULES,
        leaving_requirements.LEAVE_RULES,
        hosts.HOST_RULES,
    ):
        for rule in rules:
            if rule.stricter:
                yield from textwrap.wrap(
                    f'- {rule.rule}: {rule.stricter}.',
                    78,
                    subsequent_indent='  ',
                    break_on_hyphens=False,
                )


if __name__ == '__main__':
    DOCUMENT.write_text(render(), encoding='utf-8')
