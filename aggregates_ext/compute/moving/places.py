"""The hosts that a guest may be sent to, the best first (design#moves)."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import releases
from aggregates_ext.db import records


@dataclasses.dataclass(frozen=True)
class Place:
    """A member of the pool that takes guests."""

    host: records.Host
    seen: views.HostView


def find(
    view: views.PoolView,
    members: Sequence[records.Host],
    source: views.HostView,
    refused: Mapping[str, str],
) -> tuple[list[Place], dict[str, str]]:
    """Where a guest may go, and why not elsewhere.

    :param members: the hosts of the aggregate; what is only in the pool is no
        place.
    :param refused: hosts that have refused it before, and why.
    :returns: places with most free memory first, and reasons by host name.
    """
    places: list[Place] = []
    reasons: dict[str, str] = {}
    for host in members:
        seen = view.hosts.find(host.uuid)
        if seen is source:
            continue
        why = refused.get(host.name) or _refuse(host, seen, source)
        if why is None and seen is not None:
            places.append(Place(host, seen))
        else:
            reasons[host.name] = why or 'it is not known'
    places.sort(key=lambda p: (-p.seen.memory_free, p.host.name))
    return places, reasons


def _refuse(
    host: records.Host, seen: views.HostView | None, source: views.HostView
) -> str | None:
    if seen is None:
        return 'it is not in the pool'
    if host.phase != 'member':
        return f'it is {host.phase}'
    if host.disabled:
        return 'it is to be disabled'
    if not seen.live:
        return 'it does not answer its master'
    if not seen.enabled:
        return 'it is disabled'
    if not (seen.software and source.software):
        return 'it is not told whether it is of an older version'
    if found := releases.older(seen.software, source.software):
        return f'it is of an older version ({found})'
    return None
