"""The network over which guests move, and who is not on it (design#networks).

It is asked for, or it is the one of the pool, where Xen Orchestra keeps it
too. xapi asks the target alone (xapi#migration-network).
"""

import dataclasses
import functools
import ipaddress
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text

# The key in other_config of a pool that names its network for moves.
KEY = 'xo:migrationNetwork'
UNKNOWN = 'NETWORK_UNKNOWN'
CODE = 'NETWORK_IP'
# What xapi says of a target that is not on the network.
REFUSALS = frozenset(
    {'INTERFACE_HAS_NO_IP', 'PIF_NOT_PRESENT', 'REQUIRED_PIF_IS_UNPLUGGED'}
)
# Characters of a key that are shown.
SHOWN = 60


@dataclasses.dataclass(frozen=True)
class Network:
    """A network over which guests are to move.

    :ivar ref: its reference; empty: the pool has no such network.
    :ivar uuid: its uuid, or what was named instead of one.
    :ivar label: its name and uuid, for messages.
    :ivar is_default: whether it is that of the pool, and was not asked for.
    :ivar pifs: the records of the interfaces of the pool.
    """

    ref: str
    uuid: str
    label: str
    is_default: bool
    pifs: preflight.Records

    def lack(self, host: str) -> str:
        """What keeps a host from taking guests over it; empty: nothing.

        :param host: its reference.
        :raises OddAnswer: it cannot be told.
        """
        if not self.ref:
            return 'no such network in the pool'
        pif = self._by_host.get(host)
        if pif is None:
            return 'no interface'
        if not pif['currently_attached']:
            return 'an interface that is not plugged'
        return '' if _has_address(pif) else 'no address'

    @functools.cached_property
    def _by_host(self) -> dict[str, Mapping[str, Any]]:
        """The interface of each host on it: one, by construction."""
        return {
            pif['host']: pif
            for pif in self.pifs.values()
            if pif['network'] == self.ref
        }


def _has_address(pif: Mapping[str, Any]) -> bool:
    """Whether xapi would find one."""
    if pif.get('primary_address_type', 'IPv4') == 'IPv4':
        return bool(pif['IP'])
    return any(map(_is_routed, pif.get('IPv6') or ()))


def _is_routed(said: str) -> bool:
    try:
        return not ipaddress.IPv6Interface(said).is_link_local
    except ValueError:
        return False


def choose(
    pool: Mapping[str, Any],
    networks: preflight.Records,
    pifs: preflight.Records,
    asked: str | None = None,
) -> Network | None:
    """The network that guests move over; None: that of the management.

    :param pool: the record of the pool.
    :param networks: the records of all its networks.
    :param pifs: those of all its interfaces.
    :param asked: a uuid; None: that of the pool, if it has one.
    :raises OddAnswer: it cannot be told.
    """
    named = asked or default_of(pool)
    if not named:
        return None
    for ref, record in networks.items():
        # Tools write either into the key.
        uuid = fields.collect(record, 'uuid', '', [])
        if named == ref or named.lower() == uuid:
            label = f'"{fields.shown(record, "name_label")}" ({named})'
            return Network(ref, named, label, not asked, pifs)
    return Network('', named, f'"{named[:SHOWN]}"', not asked, {})


def default_of(pool: Mapping[str, Any]) -> str:
    """What a pool names as its network for moves; empty: nothing."""
    return str(pool['other_config'].get(KEY, ''))


def lacking(network: Network, names: Mapping[str, str]) -> text.Listed:
    """The hosts that are not on a network, in words.

    :param names: of the hosts that are asked for, by reference.
    """
    return text.listed(
        f'{name} with {lack}'
        for ref, name in sorted(names.items(), key=lambda item: item[1])
        if (lack := network.lack(ref))
    )
