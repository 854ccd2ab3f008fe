"""Where the machines of a host would go.

See xapi#ha, xapi#rolling-upgrade and xapi#evacuation-plan.
"""

from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.machines import migratable
from aggregates_ext.xensim.machines import placement
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import memory

Plan = dict[str, str | failure.Failure]
"""For each machine the host it goes to, or why it cannot."""


def residents(db: database.Database, host: str) -> list[str]:
    """The machines which have to leave a host."""
    return [
        vm
        for vm in db.where('VM', resident_on=host, is_control_domain=False)
        if db.row('VM', vm)['power_state'] in memory.LOADED
    ]


def targets(db: database.Database, host: str) -> list[str]:
    """The enabled hosts which are not older (xapi#rolling-upgrade)."""
    return [
        ref
        for ref in db.where('host', enabled=True)
        if ref != host and upgrading.is_not_older(db, ref, host)
    ]


def plan(db: database.Database, host: str, ignore_ha: bool = False) -> Plan:
    """Plan for all machines; one must fit every target to be considered."""
    found: Plan = {}
    movable = []
    others = targets(db, host)
    for vm in residents(db, host):
        reason = _refusal(db, vm, others, ignore_ha)
        if reason is None:
            movable.append(vm)
        else:
            found[vm] = reason
    return found | _pack(db, movable, others)


def _refusal(
    db: database.Database, vm: str, others: list[str], ignore_ha: bool
) -> failure.Failure | None:
    if not others:
        return failure.Failure('NO_HOSTS_AVAILABLE', vm)
    if (reason := migratable.refusal(db, vm)) is not None:
        return reason
    protected = haplan.is_protected(db.row('VM', vm))
    if db.pool['ha_enabled'] and not protected and not ignore_ha:
        release = presets.PRESETS[db.version].release
        told = release >= presets.NOT_PROTECTED_SINCE
        return failure.Failure(
            'HOST_EVACUATE_VM_NOT_HA_PROTECTED'
            if told
            else 'HOST_NOT_ENOUGH_FREE_MEMORY',
            vm,
        )
    for target in others:
        try:
            placement.assert_fits(db, vm, target, check_memory=False)
        except failure.Failure as exc:
            return exc
    return None


def _pack(
    db: database.Database, movable: list[str], others: list[str]
) -> Plan:
    """The largest first, to where most is free."""
    space = {ref: memory.free(db, ref) for ref in others}
    found: Plan = {}
    needs = {vm: memory.needed(db.row('VM', vm)) for vm in movable}
    for vm in sorted(movable, key=lambda vm: -needs[vm]):
        target = max(space, key=lambda ref: space[ref])
        if needs[vm] > space[target]:
            found[vm] = failure.Failure('HOST_NOT_ENOUGH_FREE_MEMORY', vm)
        else:
            space[target] -= needs[vm]
            found[vm] = target
    return found


def prevented(
    db: database.Database, host: str, ignore_ha: bool = False
) -> dict[str, failure.Failure]:
    """The machines which cannot leave, with one reason each.

    :param ignore_ha: whether those which HA leaves alone may leave too
    """
    return {
        vm: outcome
        for vm, outcome in plan(db, host, ignore_ha).items()
        if isinstance(outcome, failure.Failure)
    }
