"""The way that the guests of a host take: which network, and who is on it.

See design#networks.
"""

import dataclasses
import functools
from collections.abc import Mapping

from aggregates_ext.compute.rules import networks
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.xen import releases

# What is read of a pool for it.
CLASSES = ('pool', 'host', 'network', 'PIF')


@dataclasses.dataclass(frozen=True)
class Way:
    """From a host to those that take its guests.

    :ivar source: the reference of the host.
    :ivar names: of it and of those, by reference; none: no guest moves.
    :ivar asked: the uuid of the network that is to be taken; None: that of
        the pool.
    """

    known: facts.Known
    source: str
    names: Mapping[str, str]
    asked: str | None = None

    @functools.cached_property
    def network(self) -> networks.Network | None:
        """None: that of the management."""
        known = self.known.records
        return networks.choose(
            self.known.pool,
            known.get('network', {}),
            known.get('PIF', {}),
            self.asked,
        )

    @property
    def release(self) -> releases.Release:
        """That of the xapi that moves the guests."""
        return releases.of(self.known.records['host'][self.source])


def _unknown(way: Way) -> str:
    network = way.network if way.asked else None
    return network.label if network and not network.ref else ''


def _off(way: Way) -> str:
    """Who is not on the network."""
    if way.network is None or not way.network.ref:
        return ''
    return networks.lacking(way.network, way.names)


def _old(way: Way) -> str:
    if not way.names or way.release >= releases.MIGRATION_NETWORK:
        return ''
    return f'xapi {".".join(map(str, way.release)) or "of unknown release"}'


def _default(way: Way) -> str:
    """What keeps guests from taking the network of the pool."""
    network = None if way.asked else way.network
    if network is None or not way.names:
        return ''
    if not network.ref:
        return f'{network.label}, which is none of the pool'
    why = _off(way) or _old(way)
    return f'{network.label}; {why}' if why else ''


Rule = preflight.Rule[Way]
# What is asked for is taken, or nothing is done.
RULES: tuple[Rule, ...] = (
    Rule(
        networks.UNKNOWN,
        'the network that guests are to move over must be one of the pool',
        'Name it by its uuid ("xe network-list" on the master).',
        _unknown,
    ),
    Rule(
        networks.CODE,
        'the host, and those that take its guests, must have an address on '
        'the network that guests are to move over',
        'Give them one there ("xe pif-reconfigure-ip", "xe pif-plug"), or ask '
        'for another "network", or for none.',
        lambda way: _off(way) if way.asked else '',
    ),
    Rule(
        networks.CODE,
        'the xapi of the host must know how to move guests over a network',
        'Update it, or ask without "network": it would take the management '
        'network without a word.',
        lambda way: _old(way) if way.asked else '',
    ),
)
# The network of the pool is taken where it can be.
WARNINGS: tuple[Rule, ...] = (
    Rule(
        'MIGRATION_NETWORK',
        f'the network that the pool names for moves ({networks.KEY}) should '
        'be one that the host and those that take its guests are on',
        'Where it cannot be taken guests move over the management network: '
        'mend it, or take the key off the pool.',
        _default,
    ),
)
