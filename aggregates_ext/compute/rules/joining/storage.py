"""Storage of the joining host."""

from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import releases


def is_tools(sr: Mapping[str, Any]) -> bool:
    """Whether it is the SR of the guest tools, which every host has.

    Before 7.0 its other_config alone tells (xapi#simulated-behaviour-14).
    """
    mark = sr['other_config'].get('xenserver_tools_sr')
    return bool(sr.get('is_tools_sr', mark == 'true'))


SHARED = kinds.none(
    'JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS',
    'the joining host must have no shared storage',
    "Forget it there (PBD.unplug, SR.forget); the pool's own is attached "
    'after the join. Where only the flag is wrong, take it off '
    '(SR.set_shared).',
    lambda side: [
        kinds.named(sr)
        for sr in side.all('SR')
        if sr['shared'] and not is_tools(sr)
    ],
)


def with_secrets(facts: sides.Sides) -> list[str]:
    """SRs whose connection needs a secret that a join does not copy."""
    side = facts.joiner
    on_vlan = side.management and int(side.management['VLAN']) >= 0
    if on_vlan or facts.release < releases.SECRETS_LOST:
        return []
    return [
        kinds.named(side.get('SR', pbd['SR']))
        for pbd in side.all('PBD')
        if any(key.endswith('_secret') for key in pbd['device_config'])
        and side.get('SR', pbd['SR'])
    ]
