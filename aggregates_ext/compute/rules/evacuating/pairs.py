"""Whether a guest and a host go together (xapi#migration-rules)."""

import collections
import dataclasses

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import processors
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.xen import fields

MEMORY = 'HOST_NOT_ENOUGH_FREE_MEMORY'
STORAGE = 'VM_REQUIRES_SR'


def human(size: int) -> str:
    """Bytes in words."""
    return f'{size / 2**30:.1f} GiB'


class Ledger:
    """What is placed already: memory that is taken, groups that are there."""

    def __init__(self, known: facts.Known) -> None:
        self._known = known
        self._free: dict[str, int] = {}
        self._taken: collections.Counter[str] = collections.Counter()
        self._groups: collections.Counter[tuple[str, str]]
        self._groups = collections.Counter(
            (group, ref)
            for guests in known.guests.values()
            for guest in guests
            for group in known.apart(guest.record)
            for ref in {guest.home, guest.goal} - {preflight.NULL}
        )

    def free(self, ref: str) -> int:
        """Bytes that a host has left.

        :raises OddAnswer: it cannot be told.
        """
        if ref not in self._free:
            self._free[ref] = self._known.free(ref)
        return self._free[ref] - self._taken[ref]

    def near(self, guest: facts.Guest, ref: str) -> int:
        """How many a host has of those that a guest is to be apart from."""
        groups = self._known.apart(guest.record)
        return sum(self._groups[group, ref] for group in groups)

    def put(self, guest: facts.Guest, ref: str) -> None:
        """Place a guest on a host."""
        self._taken[ref] += guest.memory
        for group in self._known.apart(guest.record):
            self._groups[group, ref] += 1


@dataclasses.dataclass(frozen=True)
class Pair:
    """A guest, and a host that it might move to."""

    guest: facts.Guest
    host: hosts.Host
    ledger: Ledger


def _platform(pair: Pair) -> str:
    wanted = int(pair.guest.record.get('hardware_platform_version') or 0)
    told = pair.host.record.get('virtual_hardware_platform_versions')
    known = {
        fields.parse('a version of virtual hardware', int, one)
        for one in told or ['0']
    }
    return '' if wanted in known else f'version {wanted}'


def _processors(pair: Pair) -> str:
    """The processor that it was started on, against that of the host."""
    booted = pair.guest.record['last_boot_CPU_flags']
    home = pair.guest.known.get('host', pair.guest.home)
    here = home['cpu_info'] if home else {}
    there = pair.host.record['cpu_info']
    vendor = booted.get('vendor') or here.get('vendor')
    if vendor and vendor != there.get('vendor'):
        return f'{vendor}, {there.get("vendor") or "none"} there'
    metrics = pair.guest.known.get('VM_metrics', pair.guest.record['metrics'])
    kind = metrics.get('current_domain_type') if metrics else None
    field = 'features_pv' if kind == 'pv' else 'features_hvm'
    lost = processors.lost(booted.get('features', ''), there.get(field, ''))
    return f'features {lost}, which it started with' if lost else ''


def _unplugged(pair: Pair, *, drives: bool) -> str:
    """What it has in storage that the host has not plugged.

    :param drives: of what is in its drives; or of its disks.
    """
    known, ref = pair.guest.known, pair.host.ref
    return kinds.listed(
        f'{kinds.named(vdi)} in SR {_called(known.get("SR", vdi["SR"]))}'
        for vbd, vdi in pair.guest.disks
        if (vbd['type'] == 'CD') == drives
        and (vdi['SR'], ref) not in known.plugged
    )


def _called(record: facts.Record) -> str:
    return kinds.named(record) if record else 'that is not known'


def _networks(pair: Pair) -> str:
    known = pair.guest.known
    return kinds.listed(
        _called(known.get('network', network))
        for network in set(known.interfaces.get(pair.guest.ref, ()))
        if not known.reaches(pair.host.ref, network)
    )


def _memory(pair: Pair) -> str:
    needed, free = pair.guest.memory, pair.ledger.free(pair.host.ref)
    if needed <= free:
        return ''
    return f'{human(needed)} needed, {human(max(0, free))} free'


def _threads(pair: Pair) -> str:
    vm = pair.guest.record
    if vm['platform'].get('vcpu-unrestricted') == 'true':
        return ''
    told = pair.host.record['cpu_info'].get('cpu_count', '')
    count = fields.parse('the number of processors', int, told or '0')
    wanted = int(vm['VCPUs_max'])
    return f'{wanted} vCPUs, {count} there' if wanted > count else ''


_PairRule = preflight.Rule[Pair]
CD_RULE = _PairRule(
    STORAGE,
    'what is in a drive of the guest must be in storage that the target has '
    'plugged',
    'Eject it ("xe vm-cd-eject uuid=UUID").',
    lambda pair: _unplugged(pair, drives=True),
)
# In the order of xapi.
PAIR_RULES: tuple[_PairRule, ...] = (
    _PairRule(
        'VM_INCOMPATIBLE_WITH_THIS_HOST',
        'the processors of the target must do for the guest',
        'Shut it down and start it there.',
        _processors,
    ),
    _PairRule(
        'VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION',
        'the target must know the virtual hardware of the guest',
        'Update the target first.',
        _platform,
    ),
    _PairRule(
        STORAGE,
        'the disks of the guest must be in storage that the target has '
        'plugged',
        'Move the disk to shared storage, plug its storage there, or shut '
        'the guest down for the time.',
        lambda pair: _unplugged(pair, drives=False),
    ),
    CD_RULE,
    _PairRule(
        'VM_REQUIRES_NETWORK',
        'the target must have the networks of the guest',
        'Plug the network there; a guest on an internal one is shut down for '
        'the time, or taken off it.',
        _networks,
    ),
    _PairRule(
        MEMORY,
        'the target must have memory for the guest',
        'Free memory there.',
        _memory,
    ),
    _PairRule(
        'HOST_NOT_ENOUGH_PCPUS',
        'the target must have as many processors as the guest has vCPUs',
        'Shut the guest down for the time, or give it fewer.',
        _threads,
    ),
)
