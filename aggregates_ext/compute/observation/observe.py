"""Observation: what a pool is, beside what it should be.

One session and a few calls for each pool, whatever its size. Nothing is
repaired here; differences are written down and shown (design#drift).
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.observation import drift
from aggregates_ext.compute.observation import guests
from aggregates_ext.compute.observation import maintained
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import obstacles
from aggregates_ext.compute.observation import silence
from aggregates_ext.compute.observation import undone
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import powers
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import guests as db_guests
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

LOG = logging.getLogger(__name__)
# What of one look is told in the log.
ODDITIES = 5
UNSETTLED = views.RUNNING | {'success'}


@dataclasses.dataclass(frozen=True)
class Look:
    """What one look at a pool showed.

    :ivar view: the pool as its master shows it; None: there is none.
    :ivar turns: when which member was asked, see ``witness``.
    :ivar news: what it showed of guests; None: nothing.
    """

    drift: Sequence[records.Drift]
    view: views.PoolView | None = None
    turns: dict[str, int] = dataclasses.field(default_factory=dict)
    news: guests.News | None = None


def observe(
    held: compute_lease.Held,
    connector: connections.Connector,
    return_timeout: float,
) -> None:
    """Look at a pool and at the hosts that return from it, once.

    All of it ends within ``observe_timeout``: the hosts that return share
    one half of that, and the pool has what is left.

    :param return_timeout: seconds after which a host is overdue.
    """
    parts = connector.within().shared(2)
    intent = held.read(lambda connection: _read(connection, held.aggregate_id))
    aggregate = intent.aggregate
    returning = [host for host in intent.bound if host.phase == 'returning']
    shares = next(parts).shared(len(returning))
    for host, share in zip(returning, shares, strict=True):
        _watch_return(held, share, aggregate, host, return_timeout)
    look = Look(drift.without_pool(intent))
    if aggregate.pool_uuid is not None:
        look = _look(held, next(parts), intent)
    note(held, intent, look, return_timeout)


def _read(connection: Any, aggregate_id: int) -> drift.Intent:
    bound = db_hosts.get_all(connection, aggregate_id)
    pending, _now = db_operations.unfinished(connection, aggregate_id)
    return drift.Intent(
        db_aggregates.get(connection, aggregate_id, deleted=True),
        bound,
        pending,
        frozenset(_away(connection, bound, pending)),
    )


def _away(
    connection: Any,
    bound: Sequence[records.Host],
    pending: Sequence[records.Operation],
) -> Iterator[str]:
    """Hosts that go down or start, and those that were shut down."""
    for operation in pending:
        if powers.is_under_way(operation) and operation.host is not None:
            yield operation.host
    for host in bound:
        if host.maintenance != records.IN_MAINTENANCE:
            continue
        last = db_operations.latest(
            connection,
            int(host.aggregate_id or 0),
            host.name,
            db_operations.OF_MAINTENANCE,
        )
        if last is not None and powers.is_off(last):
            yield host.name


def _look(
    held: compute_lease.Held,
    connector: connections.Connector,
    intent: drift.Intent,
) -> Look:
    try:
        with masters.master_of(
            connector,
            intent.aggregate,
            intent.bound,
            views.LOOK_TIMEOUT,
            masters.finder(held.read),
        ) as master:
            view = views.pool_view(master.session, master.pools, lenient=True)
            news = _guests(master.session, view, intent.aggregate)
    except obstacles.NoMaster as exc:
        if intent.leader_away:
            return Look([])
        return Look([records.Drift(exc.code, str(exc))])
    except failures.OddAnswer as exc:
        return Look([records.Drift(exc.code, str(exc))])
    except failures.HostError as exc:
        return Look([records.Drift(drift.NO_MASTER, str(exc))])
    heard = master.witnesses.hear(view)
    strangers = held.read(
        lambda connection: masters.find_strangers(
            connection, view, intent.bound
        )
    )
    found = drift.find(intent, view, strangers)
    return Look([*heard.drift, *found], view, heard.turns, news)


def _guests(
    session: xenapi.Session,
    view: views.PoolView,
    aggregate: records.Aggregate,
) -> guests.News | None:
    """What became of the guests; that it cannot be told spoils no look."""
    before = (aggregate.observation or {}).get('guests', {})
    try:
        news = guests.read(session, view, before.get('mark'))
    except failures.HostError as exc:
        LOG.warning(
            'Aggregate %s: the guests of its pool are not seen: %s',
            aggregate.id,
            exc,
        )
        return None
    for what in news.odd[:ODDITIES]:
        LOG.debug('Aggregate %s: %s', aggregate.id, what)
    return news


def _keep_guests(
    connection: Any,
    aggregate: records.Aggregate,
    news: guests.News | None,
    now: float,
) -> dict[str, Any]:
    """Write what has changed; what is kept of the guests as a whole."""
    known: dict[str, Any] = (aggregate.observation or {}).get('guests', {})
    if news is None:
        return known
    changed = db_guests.keep(
        connection,
        aggregate.id,
        news.seen,
        news.gone,
        now,
        whole=news.whole,
        unread=news.unread,
    )
    sums = known.get('hosts')
    if changed or sums is None:
        sums = db_guests.totals(connection, aggregate.id)
    return {'mark': news.mark, 'hosts': sums, 'seen_at': now}


def note(
    held: compute_lease.Held,
    intent: drift.Intent,
    look: Look,
    restart: float,
) -> None:
    """Keep and tell what was seen; without a master, what was seen before.

    :param restart: seconds that a restart for maintenance may take.
    """
    aggregate, view = intent.aggregate, look.view
    known = {_key(entry): entry.since for entry in aggregate.drift}

    def work(connection: Any) -> list[records.Drift]:
        now = engine.read_clock(connection)
        seen = aggregate.observation if aggregate.pool_uuid else None
        found = look.drift
        if view is not None:
            _learn(connection, intent, view)
            away = maintained.away(
                intent.members, view, (seen or {}).get('away', {}), now
            )
            seen = {
                **view.as_dict(),
                'seen_at': now,
                'turns': look.turns,
                'away': away,
                'guests': _keep_guests(connection, aggregate, look.news, now),
            }
            found = maintained.without_restarts(
                found, drift.MEMBER_DEAD, away, now, restart
            )
            found += _arrivals(connection, intent, look, seen['guests'])
        entries = [
            dataclasses.replace(entry, since=known.get(_key(entry), now))
            for entry in found
        ]
        db_pools.set_observation(connection, aggregate.id, seen, entries, now)
        return entries

    for entry in held.write(work):
        if _key(entry) not in known:
            LOG.warning('Aggregate %s: %s', aggregate.id, entry.message)


def _arrivals(
    connection: Any,
    intent: drift.Intent,
    look: Look,
    kept: dict[str, Any],
) -> list[records.Drift]:
    """Guests on hosts in maintenance; as before where guests are not seen."""
    found = maintained.arrivals(
        connection,
        intent.aggregate.id,
        intent.members,
        intent.pending,
        kept.get('hosts', {}),
    )
    if look.news is not None:
        return found
    known = {_key(entry) for entry in intent.aggregate.drift}
    return [entry for entry in found if _key(entry) in known]


def keep(connection: Any, aggregate_id: int, view: views.PoolView) -> None:
    """Keep what an operation has seen of the pool that it leaves.

    Others may run before the next look. Whom that has to ask is not lost.
    """
    aggregate = db_aggregates.get(connection, aggregate_id, deleted=True)
    last = aggregate.observation or {}
    moved = witness.has_moved(aggregate.observation, view)
    seen = {
        **view.as_dict(),
        'seen_at': engine.read_clock(connection),
        'turns': {} if moved else last.get('turns', {}),
        'away': last.get('away', {}),
        'guests': last.get('guests', {}),
    }
    db_pools.set_seen(connection, aggregate_id, seen)


def note_failure(held: compute_lease.Held, message: str) -> None:
    """Date a look of which nothing could be written; it is not repeated now.

    What was seen before stays, with its time.
    """
    held.write(
        lambda connection: db_pools.set_drift(
            connection,
            held.aggregate_id,
            [records.Drift(drift.NOT_OBSERVED, message)],
        )
    )


def _key(entry: records.Drift) -> tuple[str, str | None, str | None]:
    """What makes two entries of two looks the same difference."""
    return entry.code, entry.host, entry.uuid


def _learn(
    connection: Any, intent: drift.Intent, view: views.PoolView
) -> None:
    """Keep the addresses by which slaves name their master, and who it is.

    The first master that is seen is the one that is to be it. Hosts that are
    to be disabled, and that a start has enabled, are disabled again.
    """
    for host in intent.bound:
        seen = view.hosts.find(host.uuid)
        if seen is None:
            continue
        # One that is not known is no reason to forget what was.
        if seen.address and seen.address != host.address:
            db_hosts.update(connection, host.name, {'address': seen.address})
        back = seen.live and seen.enabled
        if host.alarm and host.phase == 'member' and back:
            db_hosts.update(connection, host.name, {'alarm': None})
    undone.learn(connection, intent.members, view)
    undone.disable_again(
        connection,
        intent.aggregate.id,
        list(undone.find(intent.members, view, undone.busy(intent.pending))),
    )
    if intent.aggregate.master_uuid is None and intent.members:
        db_pools.set_master(connection, intent.aggregate.id, view.master.uuid)


def has_returned(
    aggregate: records.Aggregate, host: records.Host, answer: views.Answer
) -> bool:
    """Whether a host has proven that it is a pool of its own again."""
    view = answer.pool
    return (
        view is not None
        and len(view.hosts) == 1
        and view.uuid != aggregate.pool_uuid
        and host.uuid in (None, view.master.uuid)
        # A join that runs, or has its fuse lit, would take it back.
        and not any(task.status in UNSETTLED for task in answer.tasks)
    )


def _watch_return(
    held: compute_lease.Held,
    connector: connections.Connector,
    aggregate: records.Aggregate,
    host: records.Host,
    timeout: float,
) -> None:
    """Free a host once it is proven to be its own pool again.

    See design#returned.

    Its own address logs in, with the same host uuid and another pool uuid.
    """
    answer = views.look(connector, host, views.JOIN_CALL)
    if has_returned(aggregate, host, answer):
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
    db_pools.forget_pool_if_empty(connection, aggregate_id)


def _note_overdue(
    connection: Any,
    host: records.Host,
    answer: views.Answer,
    timeout: float,
) -> None:
    """Raise the alarm of a host that needs somebody to come back.

    It has been away too long, or refuses for a reason that does not pass,
    such as another certificate or password.
    """
    away = engine.read_clock(connection) - (host.phase_since or 0)
    if (host.alarm or '').startswith(silence.FORGOTTEN):
        return
    stays = answer.code and not codes.passes(answer.code, answer.parameters)
    if away < timeout and not stays:
        if host.alarm is not None:
            db_hosts.update(connection, host.name, {'alarm': None})
        return
    since = 'for now' if away < timeout else f'after {timeout:.0f} s'
    alarm = (
        f'Ejected and not back {since}; at its address it {answer.describe()}. '
        + answer.remedy
    ).rstrip()
    if alarm != host.alarm:
        LOG.warning('Host %s: %s', host.name, alarm)
        db_hosts.update(connection, host.name, {'alarm': alarm})


def unresolved(connection: Any, aggregate_id: int) -> list[records.Operation]:
    """Operations that an observation may resolve by evidence."""
    return db_operations.get_all(
        connection, aggregate_id, states=('unresolved',)
    )
