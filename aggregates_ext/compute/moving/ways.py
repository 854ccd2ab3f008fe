"""The network that a move takes, as its pool is when it is sent.

One that was asked for is taken, or the guest does not go. That of the pool is
taken where it can be, and only once (design#networks).
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import networks
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
# What a failure to reach the target says, beside what is about its interface.
_NOT_MET = 'INTERNAL_ERROR'
# The key of a recorded call: whether it takes the network of the pool.
DEFAULT = 'default_network'


@dataclasses.dataclass(frozen=True)
class Ways:
    """The networks of a pool, read when a move needs one.

    :ivar session: at the master.
    :ivar pools: the record of the pool, by reference.
    :ivar asked: uuids of networks, by the id of the operation that asks.
    """

    session: xenapi.Session
    pools: Mapping[str, Mapping[str, Any]]
    asked: Mapping[int, str]

    def find(
        self,
        move: records.Move,
        source: views.HostView,
        target: views.HostView,
    ) -> tuple[networks.Network | None, str | None]:
        """The network that a move takes between two hosts.

        :returns: None: that of the management; and why it cannot take that
            which was asked for.
        :raises OddAnswer: that cannot be told.
        """
        uuid = self.asked.get(move.operation_id or 0)
        if uuid is not None:
            network = self._choose(uuid)
            why = _why_not(network, source, target) if network else None
            return (None, why) if why else (network, None)
        if networks.KEY in move.tried:
            return None, None
        try:
            network = self._choose(None)
            why = _why_not(network, source, target) if network else None
        except failures.OddAnswer as exc:
            network, why = None, str(exc)
        if why is None:
            return network, None
        LOG.warning(
            'Move %s takes the management network, and not that of the pool '
            '(%s): %s',
            move.uuid,
            networks.KEY,
            why,
        )
        return None, None

    def _choose(self, uuid: str | None) -> networks.Network | None:
        _ref, pool = fields.only(self.session.host, 'pool', dict(self.pools))
        if uuid is None and not networks.default_of(pool):
            return None
        return networks.choose(pool, *self._records, uuid)

    @functools.cached_property
    def _records(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Networks and interfaces: two calls a turn, at most."""
        return self.session.records('network'), self.session.records('PIF')


def _why_not(
    network: networks.Network, source: views.HostView, target: views.HostView
) -> str | None:
    """Why guests do not go from one host to another over a network."""
    if source.release < releases.MIGRATION_NETWORK:
        return 'the xapi of the source takes no notice of a network'
    for end, host in (('source', source), ('target', target)):
        if lack := network.lack(host.ref):
            return f'the {end} has {lack} on network {network.label}'
    return None


def recorded(network: networks.Network | None) -> dict[str, Any]:
    """What a recorded call tells of the network that it takes."""
    if network is None:
        return {}
    return {'network': network.uuid, DEFAULT: network.is_default}


def note(
    move: records.Move, call: Mapping[str, Any], code: str, said: str
) -> dict[str, str]:
    """What a move has tried, after a refusal that is about its target.

    Where it is about the network of the pool, the target is not to blame.

    :param call: as it is recorded.
    """
    of_the_way = code in networks.REFUSALS or code == _NOT_MET
    blamed = networks.KEY if call.get(DEFAULT) and of_the_way else None
    return {**move.tried, blamed or str(move.target): said}
