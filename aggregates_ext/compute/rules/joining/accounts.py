"""Who may form pools: roles of accounts, licences, editions."""

from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases

# What pool-operator may do and no lesser role (xapi#join-calls).
JOIN = 'pool.join'
EJECT = 'pool.eject'
SIZE_LIMIT = 3
# Editions that the licence daemon ranks alike are one to check 21; those
# that are not listed are alike with themselves alone.
RANKS = {
    'free': 0,
    'express': 0,
    'standard': 1,
    'standard-per-socket': 1,
    'advanced': 2,
    'enterprise': 3,
    'enterprise-per-socket': 3,
    'premium': 3,
    'platinum': 3,
}
_ROLE_REMEDY = (
    'Use an account with the role pool-operator or pool-admin: correct the '
    'credential of that side.'
)
_NO_ROLE = f'an account without the permission {JOIN}'


def may_pool(side: sides.Side) -> bool:
    """Whether the account that read a side may change its pool."""
    return side.permissions is None or JOIN in side.permissions


def _role_here(facts: sides.Sides) -> str:
    (name, side), _ = facts.both()
    return '' if may_pool(side) else f'{_NO_ROLE} at {name}'


def _role_there(facts: sides.Sides) -> str:
    _, (name, side) = facts.both()
    return '' if may_pool(side) else f'{_NO_ROLE} at the master of {name}'


ROLE_HERE = kinds.Rule(
    'RBAC_PERMISSION_DENIED',
    'the account at the joining host must be allowed to manage pools',
    _ROLE_REMEDY,
    _role_here,
)
ROLE_THERE = kinds.Rule(
    'RBAC_PERMISSION_DENIED',
    'the account at the master must be allowed to manage pools',
    _ROLE_REMEDY,
    _role_there,
)


def edition(side: sides.Side) -> str:
    """The edition of a host, for messages."""
    return fields.shown(side.master, 'edition')


def restricted(side: sides.Side, feature: str) -> bool:
    """Whether the licence of a pool takes a feature away."""
    value = side.pool['restrictions'].get(f'restrict_{feature}')
    return bool(value == 'true')


LICENCE = kinds.none(
    'LICENCE_RESTRICTION',
    'the licence of the joining host must allow pooling',
    'Apply an edition that allows it (host.apply_edition).',
    lambda side: (
        [f'edition {edition(side)} with restrict_pooling']
        if restricted(side, 'pooling')
        else []
    ),
)


def _pool_size(facts: sides.Sides) -> str:
    size = len(facts.master.all('host'))
    if facts.release < releases.POOL_SIZE or size < SIZE_LIMIT:
        return ''
    if not restricted(facts.joiner, 'pool_size'):
        return ''
    return f'{size} hosts in the pool'


POOL_SIZE = kinds.Rule(
    'LICENCE_RESTRICTION',
    f'the licence of the joining host allows pools of {SIZE_LIMIT} hosts',
    'Apply another edition to all hosts (host.apply_edition).',
    _pool_size,
)


def _editions(facts: sides.Sides) -> str:
    here = facts.joiner.master['edition']
    there = {host['edition'] for host in facts.master.all('host')}
    if {here, *there} <= set(RANKS):
        lowest = min(there, key=RANKS.__getitem__)
        alike = RANKS[here] == RANKS[lowest]
    else:
        alike = there == {here}
    if alike:
        return ''
    name = kinds.label(facts.joiner.master)
    return f'{here} on host {name}, {kinds.listed(there)} in the pool'


EDITION = kinds.Rule(
    'LICENSE_HOST_POOL_MISMATCH',
    'the edition must be that of the pool',
    'Apply the same edition to all hosts (host.apply_edition). XenServer '
    'and XCP-ng cannot be mixed.',
    _editions,
)
