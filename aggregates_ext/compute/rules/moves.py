"""Machines that move: whatever starts a toolstack anew waits for them.

A move whose source, target or master starts its toolstack anew is finished by
xenopsd, and nobody writes it down: the machine is recorded halted while it
runs, or can be started a second time (xapi#moves-that-lie). So it counts
whoever has asked for the move.
"""

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text

CODE = 'MACHINES_MOVE'
RULE = 'no machine of the pool may be on the move, whoever moves it'
REMEDY = 'Wait for the end of the moves.'
MOVES = frozenset({'pool_migrate', 'migrate_send'})


def find(machines: preflight.Records) -> text.Listed:
    """The machines of a pool that move now, in words; empty: none does."""
    names = sorted(
        fields.shown(machine, 'name_label')
        for machine in machines.values()
        if MOVES & set(machine.get('current_operations', {}).values())
    )
    return text.listed(f'"{name}"' for name in names)


def check(machines: preflight.Records) -> list[preflight.Problem]:
    """That no machine of the pool moves; it heals when they have ended."""
    found = find(machines)
    if not found:
        return []
    return [
        preflight.Problem(
            CODE, RULE, found, REMEDY, heals=True, details=found.items
        )
    ]
