"""The eject guard: what would be destroyed, and what forbids it.

An eject wipes the local storage of the host that leaves (xapi#eject-destroys),
so it is refused while that storage holds disks which nobody gave up by name,
or copies of what the pool keeps on the disks of its members.
"""

from collections.abc import Collection
from collections.abc import Sequence

from aggregates_ext.compute.rules import moves
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.rules.leaving import remains
from aggregates_ext.compute.rules.leaving import requirements
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import xenapi

CLASSES = (
    'pool',
    'host',
    'host_metrics',
    'VM',
    'SR',
    'PBD',
    'PIF',
    'VDI',
    'VBD',
    'VM_guest_metrics',
    'Cluster_host',
    'task',
)


def check_leave(
    session: xenapi.Session,
    host_uuid: str,
    accepted: Sequence[str],
    known: Collection[str],
) -> preflight.Report:
    """Every requirement of leaving, read on one session of the master.

    A pool's last host is not ejected, so nothing of it is destroyed and
    only a change of names is asked of it.

    :param host_uuid: the XenServer uuid of the host that leaves.
    :param accepted: uuids of the SRs whose disks may be lost.
    :param known: uuids of the disks that had been shown at the consent.
    """
    permissions = session.permissions()
    records = {name: session.records_if_known(name) for name in CLASSES}
    ref = leaver.find(session.host, records['host'], host_uuid)
    if ref is None:
        return preflight.Report(disks={})
    fields.leader(session.host, records['pool'], records['host'])
    facts = leaver.Leaving(records, ref, accepted, known, permissions)
    # What its own machines do is among the rules.
    elsewhere = {
        key: machine
        for key, machine in records['VM'].items()
        if fields.collect(machine, 'resident_on', None, []) != ref
    }
    if len(records['host']) == 1:
        return preflight.Report(
            blockers=preflight.evaluate(requirements.LAST_RULES, facts),
            disks={},
        )
    return preflight.Report(
        blockers=(
            *preflight.evaluate(requirements.LEAVE_RULES, facts),
            *moves.check(elsewhere),
        ),
        warnings=preflight.evaluate(remains.LEAVE_WARNINGS, facts),
        disks=_disks(facts),
    )


def _disks(facts: leaver.Leaving) -> preflight.Disks:
    """The disks that an eject would destroy.

    Where they are not known a blocker says so, and nobody can give them up.
    """
    try:
        return facts.disks
    except failures.OddAnswer:
        return {}
