"""Machines that move: whatever restarts a toolstack waits for them.

A move whose source, target or master starts its toolstack anew is finished by
xenopsd, and nobody writes it down: the machine is recorded halted while it
runs, or can be started a second time (xapi#moves-that-lie). So it counts
whoever has asked for the move.
"""

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import text

CODE = 'MACHINES_MOVE'
MOVES = frozenset({'pool_migrate', 'migrate_send'})


def find(machines: preflight.Records) -> list[str]:
    """The names of the machines of a pool that move now."""
    return sorted(
        machine['name_label']
        for machine in machines.values()
        if MOVES & set(machine.get('current_operations', {}).values())
    )


def check(machines: preflight.Records) -> list[preflight.Problem]:
    """That no machine of the pool moves; it heals when they have ended."""
    names = find(machines)
    if not names:
        return []
    found = text.listed(f'"{name}"' for name in names)
    return [
        preflight.Problem(
            CODE,
            'no machine of the pool may be on the move, whoever moves it',
            found,
            'Wait for the end of the moves.',
            heals=True,
            details=found.items,
        )
    ]
