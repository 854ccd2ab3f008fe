"""Whose address it is that a slave tells of its master (design#redirects)."""

from collections.abc import Sequence

from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import records


def may_be_master(host: records.Host, aggregate: records.Aggregate) -> bool:
    """Whether to ask a host of the aggregate, with the account of the pool.

    A host that joins has a password of its own until it is a slave, and a
    wrong one is not tried (xapi#operator-fault-14); one that returns has left.
    """
    return (
        host.aggregate_id == aggregate.id
        and host.phase in (*connections.IN_POOL, 'joining')
        and connections.may_have(host, aggregate)
    )


def has_address(host: records.Host, address: str) -> bool:
    """Whether a registered host is known by an address that XenAPI tells."""
    return db_hosts.has_address(host, address)


class Directory:
    """Whose address it is that XenAPI tells; never a new URL.

    It may be unreachable or stale, the same in two sites, or claimed by a
    host that is none of the pool's (design#redirects).

    :param hosts: those that are known to us.
    :param find: asked for further registered hosts.
    """

    def __init__(
        self,
        aggregate: records.Aggregate,
        hosts: Sequence[records.Host],
        find: witness.Find | None,
    ) -> None:
        self._aggregate = aggregate
        self._hosts = hosts
        self._find = find

    def whose(self, address: str) -> Sequence[records.Host]:
        """The hosts that may be asked for it, with the account of the pool.

        Those of the aggregate; where there are none, free ones whose own
        account is the same: one can be joined and made the master by hand.
        """
        bound = [
            host
            for host in self._having(address, self._hosts)
            if may_be_master(host, self._aggregate)
        ]
        return bound or [
            host
            for host in self._all(address)
            if host.aggregate_id in (None, self._aggregate.id)
            and host.credential == self._aggregate.credential
        ]

    def others(self, address: str) -> str:
        """Who has an address and is not asked, as a clause for messages."""
        names = [
            f'{host.name}, {host.phase}'
            if host.aggregate_id in (None, self._aggregate.id)
            else f'{host.name} of aggregate {host.aggregate_id}'
            for host in self._all(address)
        ]
        return (
            f' (host {"; ".join(names)}, has it, and is not asked)'
            if names
            else ''
        )

    def _all(self, address: str) -> Sequence[records.Host]:
        found = self._having(address, self._hosts)
        if self._find is None:
            return found
        known = {host.id for host in found}
        return [
            *found,
            *(host for host in self._find(address) if host.id not in known),
        ]

    @staticmethod
    def _having(
        address: str, hosts: Sequence[records.Host]
    ) -> list[records.Host]:
        return [host for host in hosts if has_address(host, address)]
