"""Why a guest cannot move, whatever the target is (xapi#migration-rules)."""

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.joining import kinds

MOVE = 'pool_migrate'
TRUE = ('1', 'true')
# Kinds of machines whose kernels know how to move.
PARAVIRTUAL = ('pv', 'pv_in_pvh', 'pvh')
CANNOT = 'data-cant-suspend-reason'
Guest = facts.Guest
Rule = preflight.Rule[Guest]


def _blocked(guest: Guest) -> str:
    blocked = guest.record['blocked_operations']
    if MOVE not in blocked:
        return ''
    return f'"{blocked[MOVE]}" as the reason' if blocked[MOVE] else 'no reason'


def _state(guest: Guest) -> str:
    state = guest.record['power_state']
    return '' if state == 'Running' else str(state)


def _busy(guest: Guest) -> str:
    return kinds.listed(set(guest.record['current_operations'].values()))


def _immobile(guest: Guest) -> str:
    """What held when it started; without metrics, what is to hold."""
    metrics = guest.known.get('VM_metrics', guest.record['metrics'])
    if metrics:
        names = ('nomigrate', 'nested_virt')
        return kinds.listed(name for name in names if metrics.get(name))
    platform = guest.record['platform']
    names = ('nomigrate', 'nested-virt')
    return kinds.listed(name for name in names if platform.get(name) in TRUE)


def _metrics(guest: Guest) -> facts.Record:
    ref = guest.record.get('guest_metrics') or ''
    return guest.known.get('VM_guest_metrics', ref)


def _unwilling(guest: Guest) -> str:
    told = _metrics(guest)
    return f'"{told["other"][CANNOT]}"' if CANNOT in _other(told) else ''


def _other(told: facts.Record) -> dict[str, str]:
    found: dict[str, str] = told['other'] if told else {}
    return found


def undriven(guest: Guest, feature: str) -> str:
    """Whether a guest lacks what it needs for what it is asked to do."""
    told = _metrics(guest)
    if _other(told).get(feature) == '1' or _is_driven(told):
        return ''
    return '' if _is_paravirtual(guest) else 'none'


def _is_driven(told: facts.Record) -> bool:
    """Older releases tell only the version of the drivers."""
    if not told:
        return False
    detected = told.get('PV_drivers_detected', False)
    return bool(detected or 'major' in told['PV_drivers_version'])


def _is_paravirtual(guest: Guest) -> bool:
    metrics = guest.known.get('VM_metrics', guest.record['metrics'])
    kind = metrics.get('current_domain_type') if metrics else None
    if kind is not None:
        return kind in PARAVIRTUAL
    return not guest.record['HVM_boot_policy']


def _reset(guest: Guest) -> str:
    return kinds.listed(
        kinds.named(vdi)
        for _vbd, vdi in guest.disks
        if vdi.get('on_boot') == 'reset' and vdi.get('allow_caching')
    )


def _vgpus(guest: Guest) -> str:
    known = guest.known
    tied = [
        ref
        for ref in guest.record.get('VGPUs') or ()
        if not _can_leave(known, known.get('VGPU', ref))
    ]
    return f'{len(tied)}' if tied else ''


def _can_leave(known: facts.Known, vgpu: facts.Record) -> bool:
    """Whether a virtual GPU can move; those of one maker can."""
    if not vgpu:
        return False
    kind = known.get('VGPU_type', vgpu['type']).get('implementation') or ''
    card = known.get('PGPU', vgpu.get('resident_on') or '')
    told = card.get('compatibility_metadata') or ()
    return kind in ('nvidia', 'nvidia_sriov') and bool(told)


def _number(guest: Guest, field: str) -> str:
    found = guest.record.get(field) or ()
    return f'{len(found)}' if found else ''


_OFF = 'shut it down for the time'
# In the order of xapi, which tells the first alone.
GUEST_RULES: tuple[Rule, ...] = (
    Rule(
        'OPERATION_BLOCKED',
        'nobody may have blocked its moves',
        'Ask whoever blocked it, as a backup tool, to lift that '
        '(VM.remove_from_blocked_operations); this service never does.',
        _blocked,
    ),
    Rule(
        'VM_BAD_POWER_STATE',
        'a guest must run to be moved',
        f'Unpause it, or {_OFF}.',
        _state,
    ),
    Rule(
        'OTHER_OPERATION_IN_PROGRESS',
        'no operation may run on the guest',
        'Wait for its end.',
        _busy,
    ),
    Rule(
        'VM_IS_IMMOBILE',
        'it must not have been started as one that cannot move',
        'Clear platform:nomigrate or platform:nested-virt while it is off, '
        f'or {_OFF}.',
        _immobile,
    ),
    Rule(
        'VM_NON_SUSPENDABLE',
        'the system in the guest must be ready to be suspended',
        'Wait if it has just booted, else mend in the guest what it names, '
        f'or {_OFF}.',
        _unwilling,
    ),
    Rule(
        'VM_LACKS_FEATURE',
        'the guest must have drivers that can suspend it',
        f'Install the guest tools, wait if it has just booted, or {_OFF}.',
        lambda guest: undriven(guest, 'feature-suspend'),
    ),
    Rule(
        'VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION',
        'no disk may be one that is reset at boot and cached',
        f'Switch the caching of the disk off, or {_OFF}.',
        _reset,
    ),
    Rule(
        'VM_HAS_PCI_ATTACHED',
        'no PCI device may be passed through to it; SR-IOV interfaces are '
        'such',
        f'{_OFF[0].upper()}{_OFF[1:]}.',
        lambda guest: _number(guest, 'attached_PCIs'),
    ),
    Rule(
        'VM_HAS_VGPU',
        'it may have no virtual GPU but of a kind that can move',
        f'{_OFF[0].upper()}{_OFF[1:]}.',
        _vgpus,
    ),
    Rule(
        'VM_HAS_VUSBS',
        'no USB device may be passed through to it',
        f'Unplug it (VUSB.unplug and destroy), or {_OFF}.',
        lambda guest: _number(guest, 'VUSBs'),
    ),
)


def reasons(guest: Guest) -> tuple[preflight.Problem, ...]:
    """Why a guest cannot move at all, each with its remedy.

    :returns: in the order of xapi, whose code the first one has; empty
        where its target decides.
    """
    return preflight.evaluate(GUEST_RULES, guest)
