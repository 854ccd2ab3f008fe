"""The simulated world: hosts, time, faults, and one lock around all."""

import collections.abc
import dataclasses
import threading

from aggregates_ext.xensim import clock as clocks
from aggregates_ext.xensim import database
from aggregates_ext.xensim import faults
from aggregates_ext.xensim import host as hosts
from aggregates_ext.xensim import timing

Action = collections.abc.Callable[[], None]


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A call as it arrived; never its parameters."""

    host: str
    method: str
    originator: str | None
    time: float


class World:
    """All state; every access holds the lock."""

    def __init__(self, clock: clocks.Clock, times: timing.Times) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.times = times
        self.hosts: dict[str, hosts.Host] = {}
        self.faults = faults.Faults()
        self.calls: list[Arrival] = []
        self.destroyed_vdis: list[str] = []

    def later(self, seconds: float, action: Action) -> None:
        """Do something when the time has passed, holding the lock."""

        def locked() -> None:
            with self.lock:
                action()

        self.clock.call_later(seconds, locked)

    def at_address(self, address: str) -> hosts.Host | None:
        """The host with a pool-internal address."""
        for host in self.hosts.values():
            if host.address == address:
                return host
        return None

    def by_uuid(self, identity: str) -> hosts.Host | None:
        """The host with a uuid."""
        for host in self.hosts.values():
            if host.uuid == identity:
                return host
        return None

    def serving_master(self, address: str) -> hosts.Host | None:
        """The host at an address, if it runs and is a master."""
        host = self.at_address(address)
        if host is None or not host.reachable or host.xapi is None:
            return None
        return None if host.xapi.is_slave else host

    def database_of(self, host: hosts.Host) -> database.Database | None:
        """The database which the xapi of a host uses (contract 1)."""
        if host.xapi is None:
            return None
        if host.xapi.master is None:
            return host.database
        master = self.serving_master(host.xapi.master)
        return None if master is None else master.database

    def is_member(self, host: hosts.Host, master: hosts.Host) -> bool:
        """Whether a host has the pool secret of a master (contract 4.3).

        One which joined half has not: its master cannot talk to it.
        """
        return host is master or host.master == master.address

    def answers(self, host: hosts.Host) -> bool:
        """Whether a host can be reached over the pool's network."""
        return host.reachable and host.xapi is not None
