"""Interfaces and networks of both sides."""

from collections.abc import Callable
from typing import Any

from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases

_REMADE = "Remove them; the pool's own are made after the join."

MANAGEMENT = kinds.none(
    'HOST_STILL_BOOTING',
    'the joining host must have a management interface',
    'Wait for the end of its first boot.',
    lambda side: [] if side.management else ['none'],
)


def device(pif: dict[str, Any]) -> str:
    """An interface as operators know it."""
    tag, name = fields.shown(pif, 'VLAN'), fields.shown(pif, 'device')
    return name if tag.startswith('-') else f'{name} (VLAN {tag})'


def _others(side: sides.Side) -> list[str]:
    return [device(pif) for pif in side.all('PIF') if not pif['physical']]


def _until(
    found: Callable[[sides.Side], list[str]],
    since: releases.Release,
    until: releases.Release,
) -> Callable[[sides.Sides], str]:
    """What is found, on releases from one to before another."""

    def find(facts: sides.Sides) -> str:
        if since <= facts.release < until:
            return kinds.listed(found(facts.joiner))
        return ''

    return find


PHYSICAL_MANAGEMENT = kinds.Rule(
    'POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC',
    'up to XenServer 6.5 the management interface of the joining host must '
    'be a physical one',
    'Move it to one (host.management_reconfigure).',
    _until(
        lambda side: (
            []
            if not side.management or side.management['physical']
            else [device(side.management)]
        ),
        (),
        releases.WHOLE_FEATURES_UNTIL,
    ),
)
PHYSICAL = kinds.Rule(
    'POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS',
    'on XenServer 7.0 to 7.2 the joining host must have physical interfaces '
    'alone',
    _REMADE,
    _until(
        _others, releases.WHOLE_FEATURES_UNTIL, releases.PHYSICAL_PIFS_UNTIL
    ),
)


def _name(
    side: sides.Side, record: dict[str, Any], field: str, otherwise: str
) -> str:
    """The interface that a field of a record leads to, for messages."""
    try:
        found = side.get('PIF', record[field])
    except failures.OddAnswer:
        return otherwise
    return fields.shown(found, 'device') if found else otherwise


def _bond(side: sides.Side, bond: dict[str, Any]) -> str:
    name = _name(side, bond, 'master', 'bond')
    return f'{name} ({fields.shown(bond, "uuid")})'


BONDS = kinds.none(
    'POOL_JOINING_HOST_HAS_BONDS',
    'the joining host must have no bonds',
    _REMADE,
    lambda side: [_bond(side, bond) for bond in side.all('Bond')],
    since=releases.PHYSICAL_PIFS_UNTIL,
)
TUNNELS = kinds.none(
    'POOL_JOINING_HOST_HAS_TUNNELS',
    'the joining host must have no tunnels',
    _REMADE,
    lambda side: [
        f'tunnel {fields.shown(item, "uuid")}' for item in side.all('tunnel')
    ],
    since=releases.PHYSICAL_PIFS_UNTIL,
)
SRIOVS = kinds.none(
    'POOL_JOINING_HOST_HAS_NETWORK_SRIOVS',
    'the joining host must have no SR-IOV networks',
    _REMADE,
    lambda side: [
        f'SR-IOV network {fields.shown(item, "uuid")}'
        for item in side.all('network_sriov')
    ],
)
VLANS = kinds.none(
    'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
    'the joining host must have no VLANs but its management one',
    _REMADE,
    lambda side: [
        f'VLAN {fields.shown(vlan, "tag")} on '
        f'{_name(side, vlan, "tagged_PIF", "?")}'
        for vlan in side.all('VLAN')
        if not side.get('PIF', vlan['untagged_PIF']).get('management')
    ],
    since=releases.PHYSICAL_PIFS_UNTIL,
)


def _managed(
    facts: sides.Sides, field: str, describe: Callable[[dict[str, Any]], str]
) -> str:
    """How a field of both management interfaces differs."""
    here, there = facts.joiner.management, facts.master.management
    if not here or not there or here[field] == there[field]:
        return ''
    return (
        f'{describe(here)} on host {kinds.label(facts.joiner.master)}, '
        f'{describe(there)} on master {kinds.label(facts.master.master)}'
    )


def _tag(pif: dict[str, Any]) -> str:
    tag = int(pif['VLAN'])
    kind = 'untagged' if tag == -1 else f'VLAN {tag}'
    return f'{kind} ({tag}) on {fields.shown(pif, "device")}'


MANAGEMENT_VLAN = kinds.Rule(
    'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
    'the VLAN of the management interface must be the same',
    "Move the host's management interface to the pool's VLAN first "
    '(host.management_reconfigure); 0 is not the same as untagged (-1).',
    lambda facts: (
        _managed(facts, 'VLAN', _tag)
        if facts.release >= releases.PHYSICAL_PIFS_UNTIL
        else ''
    ),
)
BACKEND = kinds.same(
    'OPERATION_NOT_ALLOWED',
    'the network backend must be the same',
    'Switch the host with "xe-switch-network-backend".',
    lambda side: side.version.get('network_backend', 'none'),
)


def _controllers(side: sides.Side) -> set[str]:
    return {
        f'{item["protocol"]}:{item["address"]}:{item["port"]}'
        for item in side.all('SDN_controller')
    }


def _controller(facts: sides.Sides) -> str:
    here, there = _controllers(facts.joiner), _controllers(facts.master)
    if facts.joiner.version.get('network_backend') != 'openvswitch':
        return ''
    if not here or here == there:
        return ''
    host = kinds.label(facts.joiner.master)
    there_named = kinds.listed(there) or 'none'
    return f'{kinds.listed(here)} on host {host}, {there_named} in the pool'


CONTROLLER = kinds.Rule(
    'OPERATION_NOT_ALLOWED',
    'the SDN controller of the joining host must be that of the pool',
    'Remove it from the host ("xe sdn-controller-forget uuid=UUID"); that of '
    'the pool is set after the join.',
    _controller,
)
ADDRESS_TYPE = kinds.Rule(
    'OPERATION_NOT_ALLOWED',
    'the address family of the management interface must be the same',
    'Reconfigure the management interface of the host '
    '(PIF.set_primary_address_type).',
    lambda facts: _managed(
        facts,
        'primary_address_type',
        lambda pif: f'{pif["primary_address_type"]} on {device(pif)}',
    ),
)


def _purposes(side: sides.Side) -> list[str]:
    return [
        f'{purpose} of network {kinds.named(network)}'
        for network in side.all('network')
        for purpose in network.get('purpose', [])
        if purpose in ('nbd', 'insecure_nbd')
    ]


def _nbd(facts: sides.Sides) -> str:
    found = {
        purpose
        for _, side in facts.both()
        for network in side.all('network')
        for purpose in network.get('purpose', [])
    }
    both = {'nbd', 'insecure_nbd'} <= found
    if not both or facts.release < releases.NBD_PURPOSES:
        return ''
    return kinds.on_sides(facts, _purposes)


NBD = kinds.Rule(
    'OPERATION_NOT_ALLOWED',
    'networks must not have the purpose nbd on one side and insecure_nbd on '
    'the other',
    'Remove one of them (network.remove_purpose).',
    _nbd,
)


def bridges(side: sides.Side) -> dict[str, str]:
    """Physical interfaces of the master, with the bridge each is on."""
    return {
        pif['device']: str(
            side.get('network', pif['network']).get('bridge', 'none')
        )
        for pif in side.all('PIF')
        if pif['physical'] and pif['host'] == side.master_ref
    }
