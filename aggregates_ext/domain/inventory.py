"""The registered hosts as other parts of a compute API tell of them.

Services, hypervisors and availability zones are views of one registry.
Nothing is asked of a host: what a view says is what is known.
"""

import dataclasses
import datetime
import functools
import re
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from urllib import parse

from aggregates_ext.db import guestpages
from aggregates_ext.db import inventory as db_inventory
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import sight

# What Nova calls the zone of a host that is in none.
DEFAULT_ZONE = 'nova'
DISABLED_REASON = 'Disabled in its pool.'
# Beside what somebody has said, while it is not so.
NOT_DISABLED = 'its pool has it enabled, as last seen'
MAX_ID = 2**31 - 1  # what an integer column holds


class Figures(NamedTuple):
    """What a host has, and what is used of it.

    :ivar memory, memory_used: in MiB, as the host tells them.
    :ivar guests, vcpus_used: of the guests that are on it.
    """

    vcpus: int = 0
    vcpus_used: int = 0
    memory: int = 0
    memory_used: int = 0
    guests: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A host in the words of other compute APIs.

    :ivar id: number of its registration; never used again.
    :ivar hypervisor_uuid, service_uuid: made of the registration, so they
        never change. The XenServer uuid is not known before first contact.
    :ivar zone: that of its aggregate, else its own, else ``DEFAULT_ZONE``.
    :ivar up: it was seen so, and not too long ago.
    :ivar enabled: it is to take machines, and its pool starts them on it, as
        far as is known.
    :ivar disabled_reason: why it is not enabled, where that is known.
    :ivar version: of XenServer, three digits for each part but the first;
        0: not known.
    :ivar seen_at: when it was last seen, in its pool or by itself.
    :ivar uuid: of XenServer, and the aggregate: whose guests it has.
    :ivar figures: what it has, and what its guests take; zero: not known.
    """

    id: int
    name: str
    hypervisor_uuid: str
    service_uuid: str
    zone: str
    address: str | None
    up: bool
    enabled: bool
    disabled_reason: str | None
    version: int
    seen_at: datetime.datetime | None
    uuid: str | None = None
    aggregate_id: int | None = None
    figures: Figures = Figures()


class Inventory:
    """All hosts there are.

    :param database: where they are registered.
    :param interval: ``observe_interval``: seconds between two looks.
    """

    def __init__(
        self, database: engine.Database, interval: float = 60.0
    ) -> None:
        self._database = database
        self._interval = interval

    def get_all(self) -> list[Node]:
        """Every host by name, in two statements whatever their number."""
        with self._database.reader() as connection:
            return self._nodes(db_inventory.read(connection))

    def page(self, limit: int | None, after: str | None) -> list[Node]:
        """Some hosts by name, in two statements, which read no others.

        :param after: the name of the last one of the page before.
        """
        with self._database.reader() as connection:
            return self._nodes(db_inventory.page(connection, limit, after))

    def named(self, names: Collection[str]) -> dict[str, Node]:
        """Some hosts by name, in two statements whatever their number."""
        with self._database.reader() as connection:
            found = self._nodes(db_inventory.named(connection, names))
        return {node.name: node for node in found}

    def guests_of(
        self, nodes: Sequence[Node]
    ) -> dict[str, list[tuple[str, str]]]:
        """The guests on some hosts: uuids and names, by name of the host."""
        names = {
            (node.aggregate_id, node.uuid): node.name
            for node in nodes
            if node.figures.guests
        }
        uuids = [uuid for _aggregate, uuid in names if uuid is not None]
        found: dict[str, list[tuple[str, str]]] = {}
        with self._database.reader() as connection:
            for guest in guestpages.on_hosts(connection, uuids):
                name = names.get((guest.aggregate_id, guest.host_uuid))
                if name is not None:
                    found.setdefault(name, []).append((guest.uuid, guest.name))
        return found

    def find(self, name: str) -> Node | None:
        """The host with a name."""
        # No name has it, and PostgreSQL takes no text with it.
        if '\0' in name:
            return None
        with self._database.reader() as connection:
            return self._found(db_inventory.find(connection, name=name))

    def find_registration(self, number: str) -> Node | None:
        """The host with the number of a registration, as it is shown."""
        if not number.isascii() or not number.isdigit() or number[0] == '0':
            return None
        if int(number) > MAX_ID:
            return None
        with self._database.reader() as connection:
            return self._found(db_inventory.find(connection, key=int(number)))

    def find_hypervisor(self, wanted: str) -> Node | None:
        """The host with the ``hypervisor_uuid``."""
        with self._database.reader() as connection:
            found = db_inventory.registered(
                connection, db_inventory.HYPERVISOR, wanted
            )
            if found is None:
                return None
            return self._found(db_inventory.find(connection, key=found.id))

    def find_service(self, wanted: str) -> db_inventory.Registration | None:
        """The registration of the host with the ``service_uuid``."""
        with self._database.reader() as connection:
            return db_inventory.registered(
                connection, db_inventory.SERVICE, wanted
            )

    def _found(self, entry: db_inventory.Entry | None) -> Node | None:
        return None if entry is None else self._nodes([entry])[0]

    def _nodes(self, entries: Iterable[db_inventory.Entry]) -> list[Node]:
        sights = Sights(self._interval)
        return [_node(entry, sights) for entry in entries]


class Sights:
    """What was seen of pools; each is looked through once for all its hosts.

    :param interval: ``observe_interval``.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._known: dict[int | None, sight.Sight] = {}

    def of(
        self, entry: db_inventory.Entry, home: db_inventory.Home
    ) -> sight.Sight:
        """That of the pool of a host."""
        found = self._known.get(entry.aggregate_id)
        if found is None:
            found = sight.Sight.of(
                home.observation, home.observed_at, entry.now, self.interval
            )
            self._known[entry.aggregate_id] = found
        return found


def up_and_enabled(
    entry: db_inventory.Entry, sights: Sights
) -> tuple[bool, bool]:
    """Whether a host is up and takes machines, as ``Node`` tells it."""
    state = _state(entry, sights)
    return state.up, state.enabled and entry.service != records.DISABLED


def _node(entry: db_inventory.Entry, sights: Sights) -> Node:
    state = _state(entry, sights)
    wanted = entry.service != records.DISABLED
    return Node(
        id=entry.id,
        name=entry.name,
        hypervisor_uuid=entry.hypervisor_uuid,
        service_uuid=entry.service_uuid,
        zone=_zone(entry),
        address=entry.address or parse.urlsplit(entry.url).hostname,
        up=state.up,
        enabled=state.enabled and wanted,
        disabled_reason=_reason(entry, state.enabled),
        version=state.version,
        seen_at=_moment(state.seen_at),
        uuid=entry.uuid,
        aggregate_id=entry.aggregate_id,
        figures=state.figures,
    )


def _reason(entry: db_inventory.Entry, enabled: bool) -> str | None:
    """Why a host takes no machines, or is to take none.

    :param enabled: as its pool has it.
    """
    if entry.service != records.DISABLED:
        return None if enabled else DISABLED_REASON
    reason = told_reason(entry)
    if not enabled:
        return reason
    if reason is None:
        return f'{NOT_DISABLED[0].upper()}{NOT_DISABLED[1:]}.'
    return f'{reason} ({NOT_DISABLED})'


def told_reason(host: db_inventory.Entry | records.Host) -> str | None:
    """Why a host that is to be disabled is so: its maintenance goes first."""
    if host.maintenance not in (records.ENTERING, records.IN_MAINTENANCE):
        return host.disabled_reason
    asked = host.maintenance_of or {}
    reason, operation = asked.get('reason'), asked.get('operation')
    told = 'maintenance' if reason is None else f'maintenance: {reason}'
    return told if operation is None else f'{told} (operation {operation})'


def _zone(entry: db_inventory.Entry) -> str:
    zone = entry.availability_zone
    if entry.home is not None:
        zone = entry.home.availability_zone or zone
    return zone or DEFAULT_ZONE


class _State(NamedTuple):
    """How a host is, where known.

    :ivar seen_at: when it was last seen, in seconds of the epoch.
    """

    up: bool
    enabled: bool = True
    version: int = 0
    seen_at: float | None = None
    figures: Figures = Figures()


def _state(entry: db_inventory.Entry, sights: Sights) -> _State:
    """What was seen of a host, until it is too long ago.

    One that nobody has seen yet has that long from its phase on.
    """
    home = entry.home
    if home is not None and entry.phase in ('member', 'leaving'):
        told = _listed(entry, sights.of(entry, home))
        if told is not None:
            return told
    last = max(entry.seen_at or 0.0, entry.phase_since or 0.0)
    recent = sight.is_recent(last, entry.now, sights.interval)
    return _State(recent and entry.phase != 'returning', seen_at=entry.seen_at)


def _listed(entry: db_inventory.Entry, found: sight.Sight) -> _State | None:
    """What the pool of a member shows; None: it does not tell."""
    host = found.hosts.get(entry.uuid or '')
    if host is None:
        # Where it was looked for and is not, it is not there.
        return None if found.missed else _State(False, seen_at=entry.seen_at)
    return _State(
        found.recent and bool(host['live']),
        bool(host['enabled']),
        _number(host.get('version') or ''),
        found.seen_at,
        _figures(host, (found.guests or {}).get(entry.uuid or '', (0, 0))),
    )


def _figures(host: Mapping[str, Any], sums: Sequence[int]) -> Figures:
    """What was seen of a host; of a release before, it has no figures.

    :param sums: its guests, and their processors.
    """
    guests, vcpus = sums
    memory = host.get('memory', 0)
    used = max(0, memory - host.get('memory_free', 0))
    return Figures(
        host.get('vcpus', 0), vcpus, memory >> 20, used >> 20, guests
    )


@functools.lru_cache(maxsize=64)
def _number(version: str) -> int:
    """A version as the number that Nova makes of one: 8.3.0 is 8003000."""
    parts = version.split('.')
    if not all(re.fullmatch('[0-9]{1,6}', part) for part in parts[:6]):
        return 0
    return functools.reduce(
        lambda high, low: high * 1000 + int(low), parts[:6], 0
    )


def _moment(seconds: float | None) -> datetime.datetime | None:
    if seconds is None:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.replace(tzinfo=None)
