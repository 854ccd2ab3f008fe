"""The requirements of joining, all evaluated at once.

A join that xapi refuses names one reason; here the requirements of contract
section 10 are evaluated from both sides, so that one answer names them all.
Roles, clustering, tunnels, SR-IOV, certificates, storage drivers, enforced
updates and SDN controllers are left to xapi's own checks.
"""

import datetime
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from typing import Any

from aggregates_ext.compute import preflight

MAX_CLOCK_SKEW = 300.0
Rule = Callable[[preflight.Side, preflight.Side], preflight.Problem | None]


def _same(
    code: str, rule: str, value: Callable[[preflight.Side], Any], remedy: str
) -> Rule:
    """A rule that a value is the same on both sides."""

    def check(
        joiner: preflight.Side, master: preflight.Side
    ) -> preflight.Problem | None:
        ours, theirs = value(joiner), value(master)
        if ours == theirs:
            return None
        return preflight.Problem(
            code, rule, f'{ours} on the host, {theirs} in the pool', remedy
        )

    return check


def _none(
    code: str,
    rule: str,
    values: Callable[[preflight.Side], Collection[str]],
    remedy: str,
) -> Rule:
    """A rule that the joining host has none of something."""

    def check(
        joiner: preflight.Side, master: preflight.Side
    ) -> preflight.Problem | None:
        found = sorted(values(joiner))
        if not found:
            return None
        return preflight.Problem(code, rule, ', '.join(found), remedy)

    return check


def _not_the_same_machine(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Problem | None:
    uuid = joiner.master['uuid']
    known = {host['uuid'] for host in master.records['host'].values()}
    if uuid not in known:
        return None
    return preflight.Problem(
        'OPERATION_NOT_ALLOWED',
        'the pool must not list the host already',
        f'uuid {uuid} in the pool',
        'A stale record of an earlier attempt is removed with "xe '
        'host-forget"; cloned installations need uuids of their own.',
    )


def _no_ha(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Problem | None:
    sides = {'host': joiner, 'pool': master}
    on = [name for name, side in sides.items() if side.pool['ha_enabled']]
    if not on:
        return None
    return preflight.Problem(
        'HA_IS_ENABLED',
        'high availability must be off on both sides',
        f'on at the {" and the ".join(on)}',
        'Switch it off there, and on again after the join.',
    )


def _no_updates(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Problem | None:
    sides = {'host': joiner, 'pool': master}
    busy = [
        name
        for name, side in sides.items()
        if 'apply_updates' in side.pool['current_operations'].values()
    ]
    if not busy:
        return None
    return preflight.Problem(
        'NOT_SUPPORTED_DURING_UPGRADE',
        'no update may run on either side',
        f'one on the {" and the ".join(busy)}',
        'Wait for its end.',
    )


def _pool_size(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Problem | None:
    restricted = joiner.pool['restrictions'].get('restrict_pool_size')
    size = len(master.records['host'])
    if restricted != 'true' or size < 3:
        return None
    return preflight.Problem(
        'LICENCE_RESTRICTION',
        'the licence of the host allows pools of 3 hosts',
        f'{size} hosts in the pool',
        'Apply another edition to all hosts.',
    )


def _brand(side: preflight.Side) -> str:
    version = side.version
    brand = version.get('product_brand') or version.get('platform_name')
    return f'{brand} {version.get("platform_version")}'


def _guests(side: preflight.Side, states: Collection[str]) -> list[str]:
    return [
        f'{vm["name_label"]} ({vm["power_state"]})'
        for vm in side.records['VM'].values()
        if vm['power_state'] in states and not vm['is_control_domain']
    ]


def _untagged_elsewhere(side: preflight.Side) -> list[str]:
    pifs = side.records['PIF']
    return [
        f'VLAN {vlan["tag"]}'
        for vlan in side.records['VLAN'].values()
        if not pifs.get(vlan['untagged_PIF'], {}).get('management')
        and not pifs.get(vlan['untagged_PIF'], {}).get('VLAN_master_of')
    ]


def _api_version(side: preflight.Side) -> str:
    master = side.master
    return f'{master["API_version_major"]}.{master["API_version_minor"]}'


# In the order of contract 4.2, so that the first is what xapi would say.
JOIN_RULES: tuple[Rule, ...] = (
    _none(
        'LICENCE_RESTRICTION',
        'the licence of the host must allow pooling',
        lambda side: (
            ['restrict_pooling']
            if side.pool['restrictions'].get('restrict_pooling') == 'true'
            else []
        ),
        'Apply an edition that allows it.',
    ),
    _pool_size,
    _no_ha,
    _not_the_same_machine,
    _none(
        'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS',
        'only a stand-alone host can join',
        lambda side: [
            host['name_label']
            for ref, host in side.records['host'].items()
            if ref != side.pool['master']
        ],
        'Eject the other hosts first, or forget the dead ones.',
    ),
    _none(
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'no machine may run on the joining host',
        lambda side: _guests(side, ('Running', 'Paused', 'Suspended')),
        'Shut them down or move them away.',
    ),
    _none(
        'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS',
        'no operation may run on a machine of the joining host',
        lambda side: [
            vm['name_label']
            for vm in side.records['VM'].values()
            if vm['current_operations']
        ],
        'Wait for their end.',
    ),
    _none(
        'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY',
        'no update of the host may wait for a restart',
        lambda side: side.master.get('pending_guidances', []),
        'Follow the guidance first.',
    ),
    _same(
        'HOSTS_NOT_COMPATIBLE',
        'product and platform version must be the same',
        _brand,
        'Update the older side.',
    ),
    _same(
        'HOSTS_NOT_HOMOGENEOUS',
        'the build of xapi must be the same',
        lambda side: (
            f'{side.version.get("xapi")} {side.version.get("git_id")}'
        ),
        'Update the older side.',
    ),
    _same(
        'HOSTS_NOT_HOMOGENEOUS',
        'the CPU vendor must be the same',
        lambda side: side.master['cpu_info'].get('vendor'),
        'Use hosts of one vendor in a pool.',
    ),
    _none(
        'JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS',
        'the joining host must have no shared storage',
        lambda side: [
            f'{sr["name_label"]} ({sr["uuid"]})'
            for sr in side.records['SR'].values()
            if sr['shared'] and not sr.get('is_tools_sr')
        ],
        "Forget it there; the pool's own is attached after the join.",
    ),
    _none(
        'POOL_JOINING_HOST_HAS_BONDS',
        'the joining host must have no bonds',
        lambda side: [bond['uuid'] for bond in side.records['Bond'].values()],
        "Remove them; the pool's own are made after the join.",
    ),
    _none(
        'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
        'the joining host must have no VLANs but its management one',
        _untagged_elsewhere,
        "Remove them; the pool's own are made after the join.",
    ),
    _same(
        'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
        'the VLAN of the management interface must be the same',
        lambda side: (
            f'VLAN {side.management.get("VLAN")} of '
            f'{side.management.get("device")}'
        ),
        "Move the host's management interface to the pool's VLAN first "
        '(-1 is untagged).',
    ),
    _same(
        'POOL_JOINING_EXTERNAL_AUTH_MISMATCH',
        'directory settings must be the same',
        lambda side: (
            f'{side.master["external_auth_type"] or "none"} '
            f'{side.master["external_auth_service_name"].lower()}'.strip()
        ),
        'Join the same directory, or leave it, on one side.',
    ),
    _same(
        'LICENSE_HOST_POOL_MISMATCH',
        'the edition must be the same',
        lambda side: side.master['edition'],
        'Apply the same edition to the host (host.apply_edition).',
    ),
    _same(
        'OPERATION_NOT_ALLOWED',
        'the network backend must be the same',
        lambda side: side.version.get('network_backend'),
        'Switch the host with "xe-switch-network-backend".',
    ),
    _same(
        'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION',
        'the API version must be the same',
        _api_version,
        'Update the older side.',
    ),
    _same(
        'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA',
        'the database schema must be the same',
        lambda side: side.version.get('db_schema'),
        'Update the older side.',
    ),
    _same(
        'OPERATION_NOT_ALLOWED',
        'the address family of the management interface must be the same',
        lambda side: side.management.get('primary_address_type'),
        'Reconfigure the management interface of the host.',
    ),
    _same(
        'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH',
        'TLS verification must be on, or off, on both sides',
        lambda side: (
            'on' if side.pool.get('tls_verification_enabled') else 'off'
        ),
        'Call pool.enable_tls_verification where it is off; an eject '
        'switches it off on the host that leaves.',
    ),
    _no_updates,
)


def _clock_skew(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Problem | None:
    ours, theirs = _seconds(joiner.servertime), _seconds(master.servertime)
    if abs(ours - theirs) < MAX_CLOCK_SKEW:
        return None
    return preflight.Problem(
        'HOST_CLOCK_SKEW_DETECTED',
        f'clocks should differ by less than {MAX_CLOCK_SKEW:.0f} s',
        f'{abs(ours - theirs):.0f} s',
        'Use NTP on all hosts.',
    )


def _seconds(stamp: str) -> float:
    """Seconds of an XML-RPC time, such as 20261123T10:11:12Z."""
    day, _, clock = stamp.rstrip('Z').partition('T')
    hours, minutes, seconds = clock.split(':')
    days = datetime.datetime.strptime(day, '%Y%m%d').toordinal()
    return (
        days * 86400.0 + (int(hours) * 60 + int(minutes)) * 60 + float(seconds)
    )


def _unique_names(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Problem | None:
    names = {host['hostname'] for host in master.records['host'].values()}
    if joiner.master['hostname'] not in names:
        return None
    return preflight.Problem(
        'NAME_CLASH',
        'hostnames should be unique in a pool',
        f'another host named {joiner.master["hostname"]}',
        'Rename one of them.',
    )


def _unique_address(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Problem | None:
    addresses = {host['address'] for host in master.records['host'].values()}
    if joiner.master['address'] not in addresses:
        return None
    return preflight.Problem(
        'ADDRESS_CLASH',
        'addresses must be unique in a pool',
        f'another host with {joiner.master["address"]}',
        'Give the host an address of its own.',
    )


JOIN_WARNINGS: tuple[Rule, ...] = (_clock_skew, _unique_names)


def _evaluate(
    rules: Iterable[Rule], joiner: preflight.Side, master: preflight.Side
) -> tuple[preflight.Problem, ...]:
    found = (rule(joiner, master) for rule in rules)
    return tuple(problem for problem in found if problem is not None)


def check_join(
    joiner: preflight.Side, master: preflight.Side
) -> preflight.Report:
    """Every requirement of joining, evaluated on what was read."""
    return preflight.Report(
        blockers=_evaluate((*JOIN_RULES, _unique_address), joiner, master),
        warnings=_evaluate(JOIN_WARNINGS, joiner, master),
    )
