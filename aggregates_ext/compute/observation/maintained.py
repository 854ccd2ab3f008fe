"""Hosts in maintenance: guests that appear there, and restarts of their own.

See design#maintenance.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.observation import undone
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import text
from aggregates_ext.db import guests as db_guests
from aggregates_ext.db import records
from aggregates_ext.domain import downtime

# Guests that a message names.
MOST_TOLD = 5


def arrivals(
    connection: Any,
    aggregate_id: int,
    members: Sequence[records.Host],
    pending: Sequence[records.Operation],
    sums: Mapping[str, Any],
) -> list[records.Drift]:
    """The guests that are on hosts in maintenance, by host.

    :param pending: the unfinished operations of the aggregate.
    :param sums: the hosts that have guests at all, by XenServer uuid.
    """
    busy = undone.busy(pending)
    found = []
    for host in members:
        uuid = host.uuid or ''
        empty = host.maintenance == records.IN_MAINTENANCE
        if not empty or host.name in busy or uuid not in sums:
            continue
        guests = db_guests.on_host(connection, aggregate_id, uuid, MOST_TOLD)
        found.append(_arrived(host, guests, sums[uuid][0]))
    return found


def _arrived(
    host: records.Host, guests: Sequence[tuple[str, str]], count: int
) -> records.Drift:
    told = str(text.listed(f'"{name}" ({uuid})' for uuid, name in guests))
    if count > len(guests):
        told += f' and {count - len(guests)} more'
    return records.Drift(
        downtime.GUESTS_ARRIVED,
        f'Member {host.name} ({host.uuid}) is in maintenance, and guests are '
        f'on it: {told}. They are not moved by themselves: to enter '
        'maintenance again moves them all, a live migration one of them; to '
        'leave it lets them stay.',
        host.name,
        host.uuid,
    )


def away(
    members: Sequence[records.Host],
    view: views.PoolView,
    before: Mapping[str, float],
    now: float,
) -> dict[str, float]:
    """Since when hosts in maintenance are not live, by XenServer uuid.

    :param before: the same, of the look before.
    """
    return {
        listed.uuid: before.get(listed.uuid, now)
        for host in members
        if host.maintenance == records.IN_MAINTENANCE
        and (listed := view.hosts.find(host.uuid)) is not None
        and listed.live is False
    }


def without_restarts(
    found: Iterable[records.Drift],
    code: str,
    since: Mapping[str, float],
    now: float,
    limit: float,
) -> list[records.Drift]:
    """Drift without the hosts that may restart: that is what it is for.

    :param code: of a host that is not live.
    :param since: see ``away``.
    :param limit: seconds that a restart may take.
    """
    return [
        entry
        for entry in found
        if entry.code != code or now - since.get(entry.uuid or '', 0) > limit
    ]
