"""Observation: what a pool is, beside what it should be.

One session and a few calls for each pool, whatever its size. Nothing is
repaired here; differences are written down and shown (design 5).
"""

from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute import join
from aggregates_ext.compute import lease as compute_lease
from aggregates_ext.compute import pool
from aggregates_ext.compute import views
from aggregates_ext.compute import xenapi
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import engine
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
UNSETTLED = views.RUNNING | {'success'}


def observe(
    held: compute_lease.Held,
    connector: xenapi.Connector,
    return_timeout: float,
) -> None:
    """Look at a pool and at the hosts that return from it, once.

    :param return_timeout: seconds after which a host is overdue.
    """
    aggregate, hosts = held.read(
        lambda connection: (
            db_aggregates.get(connection, held.aggregate_id, deleted=True),
            db_hosts.get_all(connection),
        )
    )
    bound = [h for h in hosts if h.aggregate_id == aggregate.id]
    for host in bound:
        if host.phase == 'returning':
            _watch_return(held, connector, aggregate, host, return_timeout)
    seen: views.PoolView | None = None
    drift: list[str] = []
    if aggregate.pool_uuid is not None:
        seen, drift = _look(connector, aggregate, hosts)
    if tuple(drift) != aggregate.drift:
        for sentence in drift:
            LOG.warning('Aggregate %s: %s', aggregate.id, sentence)

    def work(connection: Any) -> None:
        _learn_addresses(connection, bound, seen)
        db_aggregates.set_observation(
            connection,
            aggregate.id,
            seen.as_dict() if seen else None,
            drift,
        )

    held.write(work)


def _look(
    connector: xenapi.Connector,
    aggregate: records.Aggregate,
    hosts: Sequence[records.Host],
) -> tuple[views.PoolView | None, list[str]]:
    try:
        with pool.master_of(
            connector, aggregate, hosts, views.LOOK_TIMEOUT
        ) as master:
            seen = views.pool_view(master.session)
    except (
        pool.NoMaster,
        xenapi.XenAPIError,
        xenapi.Unreachable,
        xenapi.AnswerLost,
    ) as exc:
        return None, [str(exc)]
    bound = [h for h in hosts if h.aggregate_id == aggregate.id]
    return seen, find_drift(aggregate, bound, seen)


def find_drift(
    aggregate: records.Aggregate,
    bound: Sequence[records.Host],
    seen: views.PoolView,
) -> list[str]:
    """Where a pool at rest differs from the intent, in sentences.

    What an unfinished operation is about to change is not drift.

    :param bound: the aggregate's hosts in any phase.
    """
    drift = []
    founded = any(host.phase == 'member' for host in bound)
    quiet = not set(aggregate.standing) & {'queued', 'running'}
    if founded and seen.mark != aggregate.uuid:
        drift.append(
            f'The pool is marked {views.MARK} = {seen.mark}, not with this '
            f"aggregate's uuid {aggregate.uuid}."
        )
    if founded and quiet and seen.name_label != aggregate.name:
        drift.append(
            f'The pool is named "{seen.name_label}", the aggregate '
            f'"{aggregate.name}".'
        )
    for host in bound:
        if host.phase == 'member':
            drift.extend(_member_drift(host, seen))
    known = {host.uuid for host in bound}
    drift.extend(
        f'Host {view.name_label} ({uuid}, {view.address}) is in the pool '
        'and not in the aggregate.'
        for uuid, view in sorted(seen.hosts.items())
        if uuid not in known
    )
    return drift


def _member_drift(host: records.Host, seen: views.PoolView) -> list[str]:
    if host.uuid not in seen.hosts:
        return [f'Member {host.name} ({host.uuid}) is not in the pool.']
    if not seen.hosts[host.uuid].live:
        return [f'Member {host.name} ({host.uuid}) is not live.']
    return []


def _learn_addresses(
    connection: Any,
    bound: Sequence[records.Host],
    seen: views.PoolView | None,
) -> None:
    """Keep the addresses by which slaves name their master."""
    for host in bound:
        view = seen.hosts.get(host.uuid or '') if seen else None
        if view is not None and view.address != host.address:
            db_hosts.update(connection, host.name, {'address': view.address})


def _watch_return(
    held: compute_lease.Held,
    connector: xenapi.Connector,
    aggregate: records.Aggregate,
    host: records.Host,
    timeout: float,
) -> None:
    """Free a host once it is proven to be its own pool again (design 5).

    Its own address logs in, with the same host uuid and another pool uuid.
    """
    answer = views.look(connector, host, join.CALL)
    view = answer.pool
    if (
        view is not None
        and len(view.hosts) == 1
        and view.uuid != aggregate.pool_uuid
        and host.uuid in (None, view.master.uuid)
        # A join that runs, or has its fuse lit, would take it back.
        and not any(task.status in UNSETTLED for task in answer.tasks)
    ):
        LOG.info('Host %s has returned and is free', host.name)
        held.write(
            lambda connection: _set_free(connection, aggregate.id, host)
        )
        return
    held.write(
        lambda connection: _note_overdue(connection, host, answer, timeout)
    )


def _set_free(connection: Any, aggregate_id: int, host: records.Host) -> None:
    db_hosts.move(connection, host.name, aggregate_id, ('returning',), 'free')
    db_aggregates.forget_pool_if_empty(connection, aggregate_id)


def _note_overdue(
    connection: Any,
    host: records.Host,
    answer: views.Answer,
    timeout: float,
) -> None:
    """Raise the alarm of a host that has been away too long."""
    away = engine.read_clock(connection) - (host.phase_since or 0)
    if away < timeout:
        return
    alarm = (
        f'Ejected and not back after {timeout:.0f} s; at its address it '
        f'{answer.describe()}.'
    )
    if alarm != host.alarm:
        LOG.warning('Host %s: %s', host.name, alarm)
        db_hosts.update(connection, host.name, {'alarm': alarm})


def unresolved(connection: Any, aggregate_id: int) -> list[records.Operation]:
    """Operations that an observation may resolve by evidence."""
    return db_operations.get_all(
        connection, aggregate_id, states=('unresolved',)
    )
