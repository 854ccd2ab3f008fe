"""Machines on the joining host, and those of the pool that move."""

from collections.abc import Iterator
from typing import Any

from aggregates_ext.compute.rules import moves
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import fields


def _is_dom0(side: sides.Side, ref: str, vm: dict[str, Any]) -> bool:
    """The control domain of the host; old releases do not point to it."""
    own = side.master.get('control_domain')
    if own:
        return bool(ref == own)
    return bool(vm['is_control_domain'] and int(vm['domid']) == 0)


def _machines(side: sides.Side) -> Iterator[dict[str, Any]]:
    """All but dom0, and but those that are none: snapshots, templates."""
    for ref, vm in side.records['VM'].items():
        template = vm['is_a_template'] or vm['is_a_snapshot']
        if not template and not _is_dom0(side, ref, vm):
            yield vm


def _in_state(side: sides.Side, *states: str) -> list[str]:
    return [
        f'{kinds.label(vm)} ({vm["power_state"]}, {fields.shown(vm, "uuid")})'
        for vm in _machines(side)
        if vm['power_state'] in states
    ]


RUNNING = kinds.none(
    'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
    'no machine may run on the joining host',
    'Shut them down or move them away.',
    lambda side: _in_state(side, 'Running'),
)
BUSY = kinds.none(
    'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS',
    'no operation may run on a machine of the joining host',
    'Wait for their end.',
    lambda side: [
        f'{kinds.listed(set(vm["current_operations"].values()))} of '
        f'{kinds.label(vm)} ({fields.shown(vm, "uuid")})'
        for vm in side.all('VM')
        if vm['current_operations']
    ],
)
NOT_HALTED = kinds.none(
    'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
    'no machine may be paused or suspended on the joining host',
    'Shut them down or move them away.',
    lambda side: _in_state(side, 'Paused', 'Suspended'),
    stricter='the manuals forbid it, for the processors of a pool are '
    'levelled, and a suspended machine may not resume',
)
# Moves at the joining host are among what BUSY tells.
MOVING = kinds.Rule(
    moves.CODE,
    moves.RULE,
    moves.REMEDY,
    lambda facts: moves.find(facts.master.records['VM']),
    stricter='a join starts a toolstack, and so may what mends one that '
    'stopped half-way; one that starts during a move can leave records that '
    'lie',
)


def passed_through(side: sides.Side) -> list[str]:
    """Machines with devices of the host, which tie them to it."""
    return [
        kinds.named(vm)
        for vm in _machines(side)
        if vm.get('attached_PCIs') or vm['other_config'].get('pci')
    ]
