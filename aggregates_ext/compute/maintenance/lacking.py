"""What the hosts of a pool lack: in a plan, and when the turn of each comes."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import updating
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import updates
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

# The parameters of a run: whether the master is to synchronize first, and
# whether it has.
SYNC = 'sync'
SYNCED = 'synced'


@dataclasses.dataclass(frozen=True)
class Lacking:
    """What an update of some hosts would install.

    :ivar chosen: those that lack something, or are to restart still.
    :ivar told: what each would install, by its name, as JSON.
    :ivar blockers: what forbids it, beside what forbids a restart.
    :ivar hash: what XenServer's master has for them, by its name; it is
        another one when that has synchronized again.
    """

    chosen: Sequence[records.Host]
    told: Mapping[str, dict[str, Any]] = dataclasses.field(
        default_factory=dict
    )
    blockers: tuple[preflight.Problem, ...] = ()
    hash: str = ''


def waits_for_sync(asked: Mapping[str, Any], hosts: preflight.Records) -> bool:
    """Whether the master has to synchronize before anything can be told.

    Hosts of XCP-ng ask their repositories each time.

    :param asked: the parameters of the run.
    :param hosts: that its master shows, by reference.
    """
    waits = bool(asked.get(SYNC)) and not asked.get(SYNCED)
    return waits and not all(map(updates.is_xcp_ng, hosts.values()))


def read(
    session: xenapi.Session,
    known: facts.Known,
    chosen: Sequence[records.Host],
    asked: Mapping[str, Any],
) -> Lacking:
    """What some hosts would install; nothing is changed.

    Before the master has synchronized that may be anything: all are meant.

    :param session: at the master.
    :param known: what it shows.
    :param asked: the parameters of the run.
    :raises HostError: it could not be told.
    """
    hosts = known.records['host']
    pool = dataclasses.replace(
        updating.read(session, hosts, known.pool, known.permissions),
        syncs=waits_for_sync(asked, hosts),
    )
    blockers = preflight.evaluate(updating.RULES, pool)
    if blockers or pool.syncs:
        return Lacking(chosen, blockers=blockers)
    # Empty: its pool does not list it.
    refs = {
        host.name: leaver.find(session.host, hosts, str(host.uuid)) or ''
        for host in chosen
    }
    meant = {*refs.values(), pool.master} - {''}
    pool = dataclasses.replace(
        pool,
        meant=frozenset(refs.values()),
        pending=updates.pending(
            # What others lack cannot be told; that they are away is.
            session,
            {ref: hosts[ref] for ref in meant if known.is_live(ref)},
        ),
    )
    told = {
        name: _told(pool.pending[ref], hosts[ref])
        for name, ref in refs.items()
        if ref in pool.pending and lacks(pool.pending[ref], hosts[ref])
    }
    return Lacking(
        [
            host
            for host in chosen
            if host.name in told
            or refs[host.name] not in pool.pending
            # Perhaps by an earlier run, which has not come to its reboot.
            or host.maintenance == records.IN_MAINTENANCE
        ],
        told,
        tuple(updating.check(session, pool)),
        pool.hash,
    )


def of_host(
    session: xenapi.Session,
    hosts: preflight.Records,
    host: records.Host,
) -> int | None:
    """How many packages a host would install; None: there is nothing to do.

    :param hosts: that its master shows, by reference.
    :raises outcomes.Failed: the master lacks some, and this is another one.
    :raises HostError: it could not be told.
    """
    ref = leaver.find(session.host, hosts, str(host.uuid))
    if ref is None:
        return 0
    _ref, pool = fields.only(session.host, 'pool', session.records('pool'))
    found = packages(session, hosts, ref, pool)
    restarts = updating.wants(hosts[ref], updating.RESTARTS)
    return found if found or restarts else None


def packages(
    session: xenapi.Session,
    hosts: Mapping[str, Mapping[str, Any]],
    ref: str,
    pool: Mapping[str, Any],
) -> int:
    """How many packages a host would install.

    :param hosts: that its master shows, by reference.
    :raises outcomes.Failed: the master lacks some, and this is another one.
    :raises HostError: it could not be told.
    """
    master = pool['master']
    asked = {ref: hosts[ref], master: hosts[master]}
    pending = updates.pending(session, asked)
    left = pending[master].packages
    if left and ref != master:
        raise outcomes.Failed(
            updating.MASTER_FIRST,
            f'Something was published for the master meanwhile '
            f'({len(left)} packages). No host may be newer than it; '
            '"retry_operation" takes it first.',
        )
    return len(pending[ref].packages)


def lacks(pending: updates.Pending, host: Mapping[str, Any]) -> bool:
    """Whether a host is to be updated, or to restart after an update."""
    restarts = updating.wants(host, updating.RESTARTS)
    return bool(pending.packages) or restarts


def _told(pending: updates.Pending, host: Mapping[str, Any]) -> dict[str, Any]:
    """What a host would install, and whether it would restart for it.

    XCP-ng tells nothing of that, so its hosts do.
    """
    asks = any(word.startswith(updating.REBOOTS) for word in pending.guidance)
    return {
        'packages': list(pending.packages),
        'guidance': list(pending.guidance),
        'reboot': asks
        or updating.wants(host, updating.REBOOTS)
        or (updates.is_xcp_ng(host) and bool(pending.packages)),
    }
