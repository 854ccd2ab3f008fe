"""The simulated world: hosts, time, faults, and one lock around all."""

import collections
import collections.abc
import dataclasses
import threading

from aggregates_ext.xensim.plan import timing
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import clock as clocks
from aggregates_ext.xensim.world import faults
from aggregates_ext.xensim.world import host as hosts

Action = collections.abc.Callable[[], None]

CALLS_KEPT = 100_000
"""Older arrivals are forgotten, so that a long run needs no more memory."""


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A call as it arrived; never its parameters."""

    host: str
    method: str
    originator: str | None
    time: float


@dataclasses.dataclass(frozen=True)
class Release:
    """An update which was published (xapi#updates).

    :param packages: name-version-release.arch
    :param guidance: what is to be done then, by mandatory, recommended, full
        and livepatch, in the words of records
    :param versions: what of software_version it changes
    :param issued: when
    """

    name: str
    packages: list[str]
    guidance: dict[str, list[str]]
    versions: dict[str, str]
    issued: float


@dataclasses.dataclass
class Mirror:
    """The remote repository of a pool, and how much of it the pool has."""

    releases: list[Release] = dataclasses.field(default_factory=list)
    synced: int = 0


@dataclasses.dataclass(frozen=True)
class Stream:
    """A guest as it was sent: its uuid, both hosts, and to which address."""

    guest: str
    source: str
    target: str
    address: str


def _keep_certificate(host: hosts.Host) -> None:
    """For worlds without ports."""


class World:
    """All state; every access holds the lock."""

    def __init__(self, clock: clocks.Clock, times: timing.Times) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.times = times
        self.hosts: dict[str, hosts.Host] = {}
        self._by_address: dict[str, hosts.Host] = {}
        self._by_uuid: dict[str, hosts.Host] = {}
        self.partitions: set[tuple[str, str]] = set()
        """Names of senders and receivers: what does not get through."""
        self.faults = faults.Faults()
        self.calls = collections.deque[Arrival](maxlen=CALLS_KEPT)
        self.mirrors: dict[str, Mirror] = {}
        """What is published, by the uuids of pools."""
        self.streams = collections.deque[Stream](maxlen=CALLS_KEPT)
        """The moves of guests that have begun, in order."""
        self.destroyed_vdis: list[str] = []
        self.ran_twice: list[str] = []
        """The uuids of guests that ran on two hosts at once, at any time."""
        self.lost: list[str] = []
        """Those that ended though nobody told them to, by their uuids."""
        self.ended: list[str] = []
        """Those that were shut down or suspended, by their uuids."""
        self.certify: collections.abc.Callable[[hosts.Host], None] = (
            _keep_certificate
        )
        """Makes the new certificate of a host that lost its own."""

    def add(self, host: hosts.Host) -> None:
        """Add a host; its name, address and uuid are for ever."""
        self.hosts[host.name] = host
        self._by_address[host.address] = host
        self._by_uuid[host.uuid] = host

    def later(self, seconds: float, action: Action) -> None:
        """Do something when the time has passed, holding the lock."""

        def locked() -> None:
            with self.lock:
                action()

        self.clock.call_later(seconds, locked)

    def at_address(self, address: str) -> hosts.Host | None:
        """The host with a pool-internal address."""
        return self._by_address.get(address)

    def by_uuid(self, identity: str) -> hosts.Host | None:
        """The host with a uuid."""
        return self._by_uuid.get(identity)

    def serving_master(self, address: str) -> hosts.Host | None:
        """The host at an address, if it runs and is a master."""
        host = self.at_address(address)
        if host is None or not self.answers(host) or host.broken:
            return None
        return None if host.xapi is None or host.xapi.is_slave else host

    def database_of(self, host: hosts.Host) -> database.Database | None:
        """The database which the xapi of a host uses (xapi#model)."""
        if host.xapi is None:
            return None
        if host.xapi.master is None:
            return host.database
        master = self.serving_master(host.xapi.master)
        if master is None or not self.reaches(host, master):
            return None
        return master.database

    def wake(self) -> None:
        """Let calls look again which wait for a master."""
        for host in self.hosts.values():
            if host.xapi is not None:
                host.xapi.wake()

    def is_member(self, host: hosts.Host, master: hosts.Host) -> bool:
        """Whether a host has the pool secret of a master (xapi#join-steps).

        One which joined half has not: its master cannot talk to it.
        """
        return host is master or host.master == master.address

    def answers(
        self, host: hosts.Host, sender: hosts.Host | None = None
    ) -> bool:
        """Whether a host can be reached over the pool's network."""
        if host.xapi is None or not host.reachable:
            return False
        return sender is None or self.reaches(sender, host)

    def silence(self, host: hosts.Host, sender: hosts.Host) -> float:
        """How long a call to a host that does not answer waits for it.

        Where the machine is up and no xapi runs, it refuses connections.
        """
        if host.powered and self.reaches(sender, host):
            return self.times.refused_timeout
        return self.times.contact_timeout

    def reaches(self, sender: hosts.Host, receiver: hosts.Host) -> bool:
        """Whether the network takes what one host sends to another."""
        if sender is receiver:
            return True
        parted = (sender.name, receiver.name) in self.partitions
        return sender.reachable and receiver.reachable and not parted

    def pool_of(self, host: hosts.Host) -> database.Database | None:
        """The disk of the master which a host follows, running or not."""
        seen = set()
        while host.master is not None:
            found = self.at_address(host.master)
            if found is None or found.name in seen:
                return None
            seen.add(found.name)
            host = found
        return host.database if host.database.rows('pool') else None
