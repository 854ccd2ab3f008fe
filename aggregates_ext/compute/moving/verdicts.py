"""What an error of a move says: of the target, of the guest, or nothing.

See xapi#migration and xapi#moves-that-lie.
"""

import enum
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import codes

INTERNAL = 'INTERNAL_ERROR'
# Another host may do.
_OF_TARGETS = frozenset(
    {
        'BALLOONING_TIMEOUT_BEFORE_MIGRATION',
        'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN',
        'HOST_DISABLED',
        'HOST_DISABLED_UNTIL_REBOOT',
        'HOST_NOT_ENOUGH_FREE_MEMORY',
        'HOST_NOT_ENOUGH_PCPUS',
        'HOST_NOT_LIVE',
        'HOST_OFFLINE',
        'INTERFACE_HAS_NO_IP',
        'NETWORK_SRIOV_INSUFFICIENT_CAPACITY',
        'NOT_SUPPORTED_DURING_UPGRADE',
        'PIF_NOT_PRESENT',
        'REQUIRED_PIF_IS_UNPLUGGED',
        'VM_HOST_INCOMPATIBLE_VERSION',
        'VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION',
        'VM_INCOMPATIBLE_WITH_THIS_HOST',
        'VM_REQUIRES_GPU',
        'VM_REQUIRES_IOMMU',
        'VM_REQUIRES_NETWORK',
        'VM_REQUIRES_SR',
        'VM_REQUIRES_VGPU',
        'VM_REQUIRES_VUSB',
    }
)
# The one thing that an error proves of which xapi was not there at the end.
_LOST = frozenset({'CANNOT_CONTACT_HOST', 'HANDLE_INVALID'})
# Texts of INTERNAL_ERROR: the target was not met, and the guest never left.
_NOT_MET = re.compile('Failed to connect to|already exists in xenopsd')
# The session had ended before the target was met.
_NO_SESSION = re.compile('Failed to read HTTP response')


class Verdict(enum.Enum):
    """What is to be done after an error."""

    OTHER_TARGET = 'another host may take the guest'
    AGAIN = 'nothing has happened, and it may work later'
    FINAL = 'the guest cannot move'
    DOUBT = 'the record of the guest tells, once no toolstack has started'
    UNKNOWN = 'what became of the guest is not proven'


def judge(code: str, parameters: Sequence[str]) -> Verdict:
    """What an error of ``VM.pool_migrate`` says."""
    if code in _OF_TARGETS:
        return Verdict.OTHER_TARGET
    if code in _LOST:
        return Verdict.UNKNOWN
    if code == INTERNAL:
        said = ' '.join(parameters)
        if _NOT_MET.search(said):
            return Verdict.OTHER_TARGET
        return Verdict.AGAIN if _NO_SESSION.search(said) else Verdict.DOUBT
    return Verdict.AGAIN if codes.passes(code, parameters) else Verdict.FINAL


def starts(view: views.PoolView, *uuids: str) -> dict[str, float]:
    """When the toolstacks of some hosts have started; 0: not told."""
    return {
        uuid: host.agent_start_time
        for uuid in uuids
        if (host := view.hosts.find(uuid)) is not None
    }


def records_hold(call: Mapping[str, Any], view: views.PoolView) -> bool:
    """Whether the record of a guest can be trusted after its move.

    It can while no toolstack of source, target or master has started since
    the call; and again after those of the source and then of the target have
    since that was seen, which is the repair. Each start is compared with one
    of the same host, whose clock is its own; where the repair was ours its
    order has been seen.
    """
    before: dict[str, float] = call['started']
    now = starts(view, *before)
    ends = call['from'], call['to']
    if call.get('repaired') == starts(view, *ends):
        return True
    if now == before and all(now.values()):
        return view.master.uuid in before
    broken = call.get('broken') or before
    source, target = ends
    both = all(now.get(end) and now[end] != broken.get(end) for end in ends)
    return both and now[source] < now[target]
