"""What the database hands out: frozen records, never rows."""

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any
from urllib import parse

# What a host is to be.
ENABLED = 'enabled'
DISABLED = 'disabled'
# Where a host is on its way into maintenance and out of it.
ENTERING, IN_MAINTENANCE, LEAVING = 'entering', 'on', 'leaving'
# The error of a move whose guest is recorded as halted.
GUEST_HALTED = 'GUEST_HALTED'
# And of one of which nothing proves what became of it.
UNPROVEN = 'MOVE_UNRESOLVED'
DOUBTFUL = (GUEST_HALTED, UNPROVEN)
# The part of such an error that tells that the guest has run since.
RAN = 'ran'
LOOPBACK = ('localhost', '127.0.0.1', '::1')


def is_clear(url: str) -> bool:
    """Whether what is sent there crosses a network in clear text.

    By anything but https, that is, unless it is this very machine.
    """
    parts = parse.urlsplit(url)
    return parts.scheme != 'https' and parts.hostname not in LOOPBACK


@dataclasses.dataclass(frozen=True)
class Drift:
    """One difference between a pool and what it should be.

    :ivar code: says which kind; ``compute.drift`` has them.
    :ivar message: what differs, and the ways out.
    :ivar host: name of the registered host that it is about.
    :ivar uuid: XenServer uuid of the host that it is about.
    :ivar since: when it was first seen, in seconds of the epoch.
    """

    code: str
    message: str
    host: str | None = None
    uuid: str | None = None
    since: float | None = None


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """An aggregate with its membership.

    :ivar hosts: names of the hosts that are joining or members, by name.
    :ivar bound: number of hosts in any phase but free.
    :ivar master_uuid: XenServer uuid of the host that is to be the master of
        the pool; None: not known yet.
    :ivar standing: states of the operations that still count for it.
    :ivar observation: what was last seen of the pool, as ``compute.views``
        writes it.
    :ivar drift: where the pool differs from the intent.
    :ivar observed_at: when it was last looked at, in seconds of the epoch,
        by the database's clock.
    :ivar stamp: another number after each change of what is shown.
    """

    id: int
    uuid: str
    name: str
    availability_zone: str | None
    metadata: dict[str, str]
    created_at: datetime.datetime
    updated_at: datetime.datetime | None
    deleted_at: datetime.datetime | None
    deleted: bool
    pool_uuid: str | None
    credential: str | None
    master_uuid: str | None
    observation: dict[str, Any] | None
    drift: tuple[Drift, ...]
    observed_at: float | None
    stamp: int = 0
    hosts: tuple[str, ...] = ()
    bound: int = 0
    standing: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Host:
    """A registered XenServer host; ``name`` is its host-id.

    :ivar shown: uuids of the disks in its own storage that a refusal or a
        check has told, by SR; only these can be given up.
    :ivar service: ``DISABLED`` where it is to take no machines; else None or
        'enabled'.
    :ivar disabled_reason: why, where somebody has said it.
    :ivar disabled_start: ``agent_start_time`` of its xapi when it was proven
        to be disabled as wanted; None: it was not yet.
    :ivar maintenance: whether its guests are to be elsewhere: entering, on or
        leaving; None: they are not.
    :ivar maintenance_of: of one that is: ``operation``, the uuid of what was
        asked; ``reason``; ``disabled``, whether it is to be disabled after.
    """

    id: int
    name: str
    uuid: str | None
    url: str
    address: str | None
    fingerprint: str | None
    availability_zone: str | None
    credential: str
    aggregate_id: int | None
    phase: str
    phase_since: float | None
    alarm: str | None
    shown: dict[str, list[str]] | None
    consent: dict[str, Any] | None
    service: str | None = None
    disabled_reason: str | None = None
    disabled_start: float | None = None
    maintenance: str | None = None
    maintenance_of: dict[str, Any] | None = None

    @property
    def disabled(self) -> bool:
        """Whether it is to take no machines."""
        return self.service == DISABLED

    def shown_disks(self, srs: Collection[str]) -> list[str]:
        """The disks in some SRs that have been told: what can be given up."""
        return sorted(
            disk
            for sr, disks in (self.shown or {}).items()
            if sr in srs
            for disk in disks
        )


@dataclasses.dataclass(frozen=True)
class Operation:
    """A piece of structural work: queue entry and history in one.

    :ivar call: the recorded call that may be under way; holds a session
        uuid, so it is never shown.
    :ivar begun: when it was first run, by the database's clock.
    :ivar designated: when it sent a change of master, by the same clock.
    """

    id: int
    uuid: str
    kind: str
    aggregate_id: int
    host: str | None
    state: str
    settled: bool
    step: str | None
    progress: int
    attempts: int
    not_before: float | None
    begun: float | None
    parameters: dict[str, Any]
    call: dict[str, Any] | None = dataclasses.field(repr=False)
    error: dict[str, Any] | None
    request_id: str | None
    user_id: str | None
    project_id: str | None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    designated: float | None = None

    @property
    def title(self) -> str:
        """What it does in words: its kind, and its host where it has one."""
        return ' '.join(filter(None, (self.kind, self.host)))


@dataclasses.dataclass(frozen=True)
class Move:
    """A guest on its way to another host of its pool, or that was.

    :ivar operation_id: of the operation that it is a part of; None: a client
        has asked for it.
    :ivar source: name of the host that it leaves.
    :ivar wanted: name of the host that was asked for; None: any.
    :ivar target: name of the host that it was sent to last.
    :ivar state: queued, sent, unresolved, repairing, starting; completed,
        failed, cancelled.
    :ivar cancelled: whether somebody does not want it any more.
    :ivar progress: in percent.
    :ivar not_before: when it is gone on with, by the database's clock.
    :ivar tried: why hosts were not taken, by name.
    :ivar call: the recorded call; holds a session uuid, so it is never shown.
    """

    id: int
    uuid: str
    aggregate_id: int
    operation_id: int | None
    guest_uuid: str
    guest_name: str
    source: str
    wanted: str | None
    target: str | None
    state: str
    cancelled: bool
    progress: int
    attempts: int
    not_before: float | None
    tried: dict[str, str]
    call: dict[str, Any] | None = dataclasses.field(repr=False)
    error: dict[str, Any] | None
    request_id: str | None
    user_id: str | None
    project_id: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    finished_at: datetime.datetime | None

    @property
    def has_halted(self) -> bool:
        """Whether it has ended, and its guest is recorded as halted."""
        code = (self.error or {}).get('code')
        return self.finished_at is not None and code == GUEST_HALTED

    @property
    def is_doubtful(self) -> bool:
        """Whether its guest may run whatever its record says, since it ended."""
        error = self.error or {}
        ended = self.finished_at is not None
        doubt = error.get('code') in DOUBTFUL and not error.get(RAN)
        return ended and doubt

    @property
    def is_under_way(self) -> bool:
        """Whether it is open, and its pool may be at work on it."""
        if self.finished_at is not None or self.state == 'queued':
            return False
        return self.state != 'starting' or bool((self.call or {}).get('open'))


@dataclasses.dataclass(frozen=True)
class Seen:
    """A guest as its pool shows it.

    :ivar ref: by which the pool tells of it.
    :ivar host_uuid: XenServer uuid of the host that it runs on.
    :ivar power_state: as XenAPI has it; empty: not known.
    :ivar memory: in bytes.
    :ivar operation: what the pool does to it now, as XenAPI has it.
    """

    ref: str
    uuid: str
    name: str
    host_uuid: str | None
    power_state: str
    memory: int
    vcpus: int
    operation: str | None


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest as it was seen last, and where.

    :ivar host: name of the registered host that it runs on; None: on none,
        or on one that is not bound to the aggregate.
    :ivar zone: that of its aggregate, else of its host.
    :ivar first_seen, changed_at: seconds of the epoch, by the clock of the
        database.
    """

    id: int
    uuid: str
    name: str
    aggregate_id: int
    host: str | None
    host_uuid: str | None
    zone: str | None
    power_state: str
    memory: int
    vcpus: int
    operation: str | None
    first_seen: float
    changed_at: float


@dataclasses.dataclass(frozen=True)
class Service:
    """A compute service, by its heartbeat; times as the database tells them.

    :ivar host: the machine that it runs on.
    :ivar alive_until: so long its last heartbeat counts.
    """

    uuid: str
    host: str
    started_at: float
    seen_at: float
    alive_until: float


@dataclasses.dataclass(frozen=True)
class Lease:
    """The right to work on one aggregate, until another epoch begins."""

    aggregate_id: int
    owner: str
    epoch: int


class Rolling:
    """How far a host is where all hosts of its pool are taken in turn.

    They are restarted, or updated (design#rolling, design#updates).

    A host that was in maintenance before stays in it, and one that is stopped
    ends the run.
    """

    WAITING = 'waiting'
    ENTERING = 'entering'
    PAUSED = 'paused'
    UPDATING = 'updating'
    REBOOTING = 'rebooting'
    LEAVING = 'leaving'
    DONE = 'done'
    SKIPPED = 'skipped'
    STOPPED = 'stopped'
    STATES = (
        WAITING,
        ENTERING,
        PAUSED,
        UPDATING,
        REBOOTING,
        LEAVING,
        DONE,
        SKIPPED,
        STOPPED,
    )
    ENDED = (DONE, SKIPPED, STOPPED)
    # The parameter of the operation that has an entry for each host.
    HOSTS = 'roll'
    # Those that tell what was on before, until it is again, and the guests
    # that are to come home.
    HA = 'ha_before'
    AUTOSTART = 'autostart_before'
    AWAY = 'away'
    OWED = (HA, AUTOSTART, AWAY)

    @classmethod
    def owes(cls, operation: Operation) -> bool:
        """Whether it has not given back all that it switched off or moved."""
        return any(operation.parameters.get(name) for name in cls.OWED)

    @classmethod
    def left(cls, operation: Operation) -> list[str]:
        """The hosts that an operation is to restart still, in order."""
        return [
            entry['host']
            for entry in operation.parameters.get(cls.HOSTS, ())
            if entry['state'] not in cls.ENDED
        ]

    @classmethod
    def movers(cls, operation: Operation) -> list[int]:
        """The ids of the operations whose moves are a part of one.

        Its own, and of those that have sent guests away for it.
        """
        found = [operation.id]
        for entry in operation.parameters.get(cls.HOSTS, ()):
            found += entry.get('entered', ())
        return found
