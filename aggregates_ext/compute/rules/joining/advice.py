"""What does not forbid a join, and should be known before it."""

import calendar
import time
from collections.abc import Iterable
from typing import Any

from aggregates_ext.compute.rules import processors
from aggregates_ext.compute.rules import upgrades
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import machines
from aggregates_ext.compute.rules.joining import networks
from aggregates_ext.compute.rules.joining import pools
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.joining import storage
from aggregates_ext.compute.rules.joining import trust
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import values

# Seconds; xapi itself alerts from 300 s on (xapi#pooling-requirements).
CLOCK_SKEW = 5.0
# Hosts; documented, and enforced by nobody (xapi#pooling-requirements).
LARGEST_POOL = 64
STANDARD_MTU = 1500


def _seconds(stamp: str) -> float:
    """Seconds of the epoch, of a time of a host."""
    moment = fields.parse(
        'the clock of one side', values.KINDS['date'].read, stamp
    )
    return calendar.timegm(time.strptime(moment, '%Y%m%dT%H:%M:%SZ'))


def _skew(facts: sides.Sides) -> str:
    """How far the clocks are apart, had they been read at once."""
    ours, theirs = (
        _seconds(side.servertime) - side.read_at for _, side in facts.both()
    )
    apart = abs(ours - theirs)
    return f'{apart:.0f} s' if apart >= CLOCK_SKEW else ''


SKEW = kinds.Rule(
    'HOST_CLOCK_SKEW_DETECTED',
    f'clocks should differ by less than {CLOCK_SKEW:.0f} s',
    'Use NTP on all hosts. From 300 s on xapi raises alerts, and fresh '
    'certificates are not valid yet.',
    _skew,
)
CERTIFICATES = kinds.Rule(
    'CERTIFICATE_NOT_VALID',
    'certificates of hosts should be valid by the clocks of both sides',
    'Set the clocks, or renew it with "xe host-refresh-server-certificate '
    'host=UUID".',
    lambda facts: kinds.listed(trust.not_valid(facts)),
)
NAMES = kinds.Rule(
    'NAME_CLASH',
    'names of hosts should be unique in a pool',
    'Rename one of them.',
    lambda facts: kinds.listed(
        pools.hosts_by(facts, 'hostname', 'name_label')
    ),
)


def _macs(facts: sides.Sides) -> str:
    there = {
        pif['MAC']: facts.master.get('host', pif['host'])
        for pif in facts.master.all('PIF')
        if pif['physical']
    }
    return kinds.listed(
        f'{pif["MAC"]} of {pif["device"]} at host '
        f'{kinds.label(there[pif["MAC"]])} too'
        for pif in facts.joiner.all('PIF')
        if pif['physical'] and pif['MAC'] in there
    )


MACS = kinds.Rule(
    'MAC_CLASH',
    'MAC addresses should be unique in a pool',
    'Look whether the pool has stale records of the host, or whether it is '
    'a clone.',
    _macs,
)


def _iqns(facts: sides.Sides) -> str:
    own = facts.joiner.master
    iqn = _iqn(own)
    return kinds.listed(
        f'{iqn} of host {kinds.named(host)} too'
        for host in facts.master.all('host')
        if iqn and _iqn(host) == iqn and host['uuid'] != own['uuid']
    )


def _iqn(host: dict[str, Any]) -> str:
    """The iSCSI name of a host; before 7.6 in its other_config."""
    told = host.get('iscsi_iqn')
    if told is None:
        told = host['other_config'].get('iscsi_iqn', '')
    return str(told).lower()


IQNS = kinds.Rule(
    'IQN_CLASH',
    'iSCSI names (IQNs) should be unique in a pool',
    'Give the host one of its own ("xe host-param-set iscsi_iqn="): targets '
    'take two hosts with one name for one, and storage is damaged.',
    _iqns,
)


def _features(facts: sides.Sides) -> str:
    here = facts.joiner.master['cpu_info']
    there = facts.master.pool.get('cpu_info', {})
    host = kinds.label(facts.joiner.master)
    flags = here.get('flags', ''), facts.master.master['cpu_info'].get('flags')
    names = [set((text or '').split()) for text in flags]
    found = []
    for kind in ('hvm', 'pv'):
        field = processors.level(there, kind)
        ours, pool = here.get(field, ''), there.get(field, '')
        for who, mine, other, own, less in (
            ('the pool', pool, ours, names[1], names[0]),
            (f'host {host}', ours, pool, names[0], names[1]),
        ):
            lost = processors.lost(mine, other)
            if lost:
                named = kinds.listed(own - less)
                found.append(
                    f'{who} loses {field} {lost}'
                    + (f' ({named})' if named else '')
                )
    return '; '.join(found)


FEATURES = kinds.Rule(
    'CPU_FEATURES_LEVELLED',
    'processors should have the same features',
    'The pool will show machines the common ones alone; those that run keep '
    'theirs until they are started anew, and cannot move before.',
    _features,
)


def managed(side: sides.Side, field: str, good: Iterable[str]) -> list[str]:
    """A field of the management interface that is not as it should be."""
    pif = side.management
    if not pif or str(pif[field]) in good:
        return []
    return [f'{pif[field]} on {networks.device(pif)}']


def _dynamic(side: sides.Side) -> list[str]:
    """How the management address comes about, where it can change."""
    found = managed(side, 'ip_configuration_mode', ('Static', 'None'))
    # Beside a management address of IPv4 that of IPv6 does not matter.
    if side.management.get('primary_address_type') == 'IPv6':
        found += [
            f'IPv6 {mode}'
            for mode in managed(
                side, 'ipv6_configuration_mode', ('Static', 'None')
            )
        ]
    return found


DHCP = kinds.Rule(
    'DYNAMIC_ADDRESS',
    'management addresses should be static',
    'Make it static, or reserve it: when it changes the pool loses the host.',
    lambda facts: kinds.on_sides(facts, _dynamic),
)
MTU = kinds.Rule(
    'MANAGEMENT_MTU',
    f'the MTU of the management interface should be {STANDARD_MTU}',
    'Set it, and keep jumbo frames to storage networks.',
    lambda facts: kinds.on_sides(
        facts, lambda side: managed(side, 'MTU', (str(STANDARD_MTU),))
    ),
)


def _wiring(facts: sides.Sides) -> str:
    here, there = (networks.bridges(side) for _, side in facts.both())
    host = kinds.label(facts.joiner.master)
    return kinds.listed(
        f'{device}: {here.get(device, "absent")} on host {host}, '
        f'{there.get(device, "absent")} on the master'
        for device in here.keys() | there.keys()
        if here.get(device) != there.get(device)
    )


WIRING = kinds.Rule(
    'INTERFACES_DIFFER',
    'physical interfaces should be on the same bridges',
    'Compare the cabling: networks are joined by the names of bridges, '
    'whatever they are connected to.',
    _wiring,
)


def _packs(side: sides.Side) -> dict[str, str]:
    """Supplemental packs that all hosts should have."""
    return {
        name: value
        for name, value in side.version.items()
        if value.endswith('homogeneous')
    }


def _differing(
    facts: sides.Sides, values: tuple[dict[str, Any], dict[str, Any]]
) -> str:
    here, there = values
    host = kinds.label(facts.joiner.master)
    return kinds.listed(
        f'{name}: {here.get(name) or "none"} on host {host}, '
        f'{there.get(name) or "none"} in the pool'
        for name in here.keys() | there.keys()
        if here.get(name) != there.get(name)
    )


PACKS = kinds.Rule(
    'SUPPLEMENTAL_PACKS_DIFFER',
    'supplemental packs should be the same',
    'Install what is missing.',
    lambda facts: _differing(
        facts, (_packs(facts.joiner), _packs(facts.master))
    ),
)


def _levels(side: sides.Side) -> dict[str, Any]:
    return {
        'xapi_build': side.version.get('xapi_build'),
        'last_update_hash': side.master.get('last_update_hash'),
    }


LEVELS = kinds.Rule(
    'UPDATE_LEVEL_DIFFERS',
    'hosts should be at the same level of updates',
    'Update the older side, the master of the pool first.',
    lambda facts: _differing(
        facts, (_levels(facts.joiner), _levels(facts.master))
    ),
)
ROLLING = kinds.Rule(
    upgrades.CODE,
    'no rolling upgrade should be under way',
    'Finish it first.',
    lambda facts: kinds.on_sides(
        facts,
        lambda side: [found] if (found := upgrades.find(side.pool)) else [],
    ),
)
PASSTHROUGH = kinds.none(
    'PCI_PASSTHROUGH',
    'machines should have no devices of the host passed through',
    'Such machines cannot move, and have kept hosts in maintenance after a '
    'join: take the devices away first.',
    machines.passed_through,
)


def not_in_service(side: sides.Side) -> list[str]:
    """What says that the host is not to run machines."""
    host = side.master
    found = [] if host['enabled'] else ['disabled']
    if host['other_config'].get('MAINTENANCE_MODE') == 'true':
        found.append('MAINTENANCE_MODE=true')
    return found


DISABLED = kinds.none(
    'HOST_DISABLED',
    'the joining host should be enabled',
    'Enable it ("xe host-enable uuid=UUID"); the join ends when it is enabled '
    'in the pool.',
    not_in_service,
)
SIZE = kinds.Rule(
    'POOL_TOO_LARGE',
    f'a pool should have no more than {LARGEST_POOL} hosts',
    'Form another pool.',
    lambda facts: (
        f'{len(facts.master.all("host"))} already'
        if len(facts.master.all('host')) >= LARGEST_POOL
        else ''
    ),
)


def _default_sr(facts: sides.Sides) -> str:
    side = facts.master
    sr = side.get('SR', side.pool['default_SR'])
    return kinds.named(sr) if sr and not sr['shared'] else ''


DEFAULT_SR = kinds.Rule(
    'DEFAULT_SR_NOT_SHARED',
    'the default SR of a pool should be shared',
    'Choose a shared one: other hosts cannot start machines whose disks are '
    'in it.',
    _default_sr,
)
SECRETS = kinds.Rule(
    'STORAGE_SECRET_LOST',
    'storage of the host should need no password',
    'The join does not copy it: make the PBD anew on the host afterwards '
    '(PBD.create).',
    lambda facts: kinds.listed(storage.with_secrets(facts)),
)
