"""The guests of pools as other parts of a compute API tell of servers.

Nobody makes or changes one here. What a guest is, is what its pool showed
last (design#guests).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from aggregates_ext.db import guestpages
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import inventory

# What XenAPI does to a guest -> what Nova calls that.
TASKS = {
    'pool_migrate': 'migrating',
    'migrate_send': 'migrating',
    'clean_reboot': 'rebooting',
    'hard_reboot': 'rebooting_hard',
    'start': 'powering-on',
    'start_on': 'powering-on',
    'clean_shutdown': 'powering-off',
    'hard_shutdown': 'powering-off',
    'shutdown': 'powering-off',
    'suspend': 'suspending',
    'resume': 'resuming',
    'resume_on': 'resuming',
    'pause': 'pausing',
    'unpause': 'unpausing',
    'snapshot': 'image_snapshot',
}
MIGRATING = TASKS[guestpages.MOVES[0]]


class State(NamedTuple):
    """A power state of XenAPI in Nova's words."""

    power_state: int
    vm_state: str
    status: str


STATES = {
    'Running': State(1, 'active', 'ACTIVE'),
    'Paused': State(3, 'paused', 'PAUSED'),
    'Halted': State(4, 'stopped', 'SHUTOFF'),
    'Suspended': State(7, 'suspended', 'SUSPENDED'),
}
UNKNOWN = State(0, 'unknown', 'UNKNOWN')
_REBOOTS = {'clean_reboot': 'REBOOT', 'hard_reboot': 'HARD_REBOOT'}
_MOVING = ('Running', 'Paused')
# Status -> the guests that have it.
STATUSES: dict[str, guestpages.Wanted] = {
    'ACTIVE': guestpages.Wanted(
        power_states=('Running',), moving=False, no_operations=(*_REBOOTS,)
    ),
    'PAUSED': guestpages.Wanted(power_states=('Paused',), moving=False),
    'SHUTOFF': guestpages.Wanted(power_states=('Halted',)),
    'SUSPENDED': guestpages.Wanted(power_states=('Suspended',)),
    'UNKNOWN': guestpages.Wanted(power_states=('',)),
    'MIGRATING': guestpages.Wanted(power_states=_MOVING, moving=True),
    **{
        status: guestpages.Wanted(
            power_states=('Running',), moving=False, operations=(operation,)
        )
        for operation, status in _REBOOTS.items()
    },
}


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest, and the host that it runs on.

    :ivar node: the host as a hypervisor; None: none, or not asked for.
    :ivar progress: how far its move is, asked for here and not at its end,
        in percent; None: it has none. One that is unresolved is none: whoever
        waits for the guest would wait for ever.
    """

    seen: records.Guest
    node: inventory.Node | None = None
    progress: int | None = None

    @property
    def zone(self) -> str:
        """The availability zone."""
        return self.seen.zone or inventory.DEFAULT_ZONE

    @property
    def state(self) -> State:
        """Its power state in Nova's words."""
        return STATES.get(self.seen.power_state, UNKNOWN)

    @property
    def task(self) -> str | None:
        """What its pool does to it or is to do, in Nova's word for that."""
        if self.seen.operation in TASKS:
            return TASKS[self.seen.operation]
        return None if self.progress is None else MIGRATING

    @property
    def moves(self) -> bool:
        """Whether it is on the move, or is to be."""
        return (
            self.progress is not None
            or self.seen.operation in guestpages.MOVES
        )

    @property
    def status(self) -> str:
        """Nova's status: that of a move or a reboot comes first."""
        seen = self.seen
        if self.moves and seen.power_state in _MOVING:
            return 'MIGRATING'
        if seen.power_state == 'Running':
            return _REBOOTS.get(seen.operation or '', self.state.status)
        return self.state.status

    @property
    def host_status(self) -> str:
        """Whether its host is up, or takes no guests; empty: no host.

        As in Nova, of one that takes none it is not told whether it is up.
        """
        if self.seen.host is None:
            return ''
        if self.node is None:
            return 'UNKNOWN'
        if not self.node.enabled:
            return 'MAINTENANCE'
        return 'UP' if self.node.up else 'UNKNOWN'


class Guests:
    """All guests that were seen.

    :param database: where they are kept.
    :param hosts: what is known of the hosts that they run on.
    :ivar project_id, user_id: whose they are: pools know neither.
    """

    def __init__(
        self,
        database: engine.Database,
        hosts: inventory.Inventory,
        project_id: str,
        user_id: str,
    ) -> None:
        self._database = database
        self._hosts = hosts
        self.project_id = project_id
        self.user_id = user_id

    def page(
        self,
        wanted: guestpages.Wanted,
        order: guestpages.Order,
        limit: int,
        marker: str | None = None,
        *,
        with_nodes: bool = False,
    ) -> list[Guest] | None:
        """Guests in order; None: the marker is no guest.

        :param with_nodes: whether it is told how their hosts are.
        """
        with self._database.reader() as connection:
            found = guestpages.page(connection, wanted, order, limit, marker)
            if found is None:
                return None
            moving = _moving(connection, found)
        return self._with_nodes(found, moving, with_nodes)

    def find(self, uuid: str, *, with_node: bool = False) -> Guest | None:
        """The guest with a uuid; of two the one that runs, else the last."""
        if '\0' in uuid:
            return None
        wanted = guestpages.Wanted(uuid=uuid)
        with self._database.reader() as connection:
            found = guestpages.page(connection, wanted, guestpages.Order(), 10)
            moving = _moving(connection, found or ())
        running = sorted(found or (), key=lambda guest: guest.host is None)
        guests = self._with_nodes(running[:1], moving, with_node)
        return guests[0] if guests else None

    def _with_nodes(
        self,
        found: Sequence[records.Guest],
        moving: dict[tuple[int, str], int],
        wanted: bool,
    ) -> list[Guest]:
        names = {guest.host for guest in found if guest.host}
        nodes = self._hosts.named(names) if wanted and names else {}
        return [
            Guest(
                guest,
                nodes.get(guest.host or ''),
                moving.get((guest.aggregate_id, guest.uuid)),
            )
            for guest in found
        ]


def _moving(
    connection: Any, found: Sequence[records.Guest]
) -> dict[tuple[int, str], int]:
    if not found:
        return {}
    return moves.under_way(connection, [guest.uuid for guest in found])
