"""What is wrong with pools and compute services, and how bad that is.

The levels are the exit codes of plug-ins for monitoring.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

from aggregates_ext.db import records
from aggregates_ext.db.outbox import queue
from aggregates_ext.domain import overview
from aggregates_ext.domain import services

OK, WARNING, CRITICAL, UNKNOWN = range(4)
LEVELS = ('ok', 'warning', 'critical', 'unknown')
# Drift with which a host, or the pool as a whole, does not do its work: it is
# down, or nothing is changed in it, or nobody can look. Other drift is a
# difference between two that work.
GRAVE = frozenset(
    {
        'NO_MASTER',
        'TWO_MASTERS',
        'POOL_REPLACED',
        'FOREIGN_MARK',
        'MEMBER_DEAD',
        'NOT_OBSERVED',
    }
)
# What is no drift, and no operation.
ALARM = 'ALARM'
OVERDUE = 'OVERDUE'
LEASE_LOST = 'LEASE_LOST'
NO_SERVICE = 'NO_COMPUTE_SERVICE'
UNTOLD = 'NOTIFICATIONS_WAIT'
MOVE = 'MOVE_UNRESOLVED'
# Seconds for which a message may wait for the bus.
PATIENCE = 300.0


class Finding(NamedTuple):
    """Something that is wrong.

    :ivar level: ``WARNING`` or ``CRITICAL``.
    :ivar code: of drift, of an operation's error, or one of the above.
    :ivar host: name of the registered host that it is about.
    :ivar since: in seconds of the epoch; None: not known.
    """

    level: int
    code: str
    host: str | None
    message: str
    since: float | None


class Checked(NamedTuple):
    """A pool and all that is wrong with it, the worst first."""

    pool: overview.Pool
    findings: Sequence[Finding]

    @property
    def level(self) -> int:
        """How bad it is."""
        return worst(self.findings)


class Report(NamedTuple):
    """All pools, the worst first, and what is wrong with none of them.

    :ivar alive: machines on which compute services are alive.
    :ivar backlog: what is still to be told on the bus; None: nothing is told
        there.
    """

    pools: Sequence[Checked]
    findings: Sequence[Finding]
    alive: Sequence[str]
    backlog: queue.Backlog | None = None

    @property
    def level(self) -> int:
        """How bad the worst of it is."""
        levels = [checked.level for checked in self.pools]
        return max([worst(self.findings), *levels])


def worst(findings: Sequence[Finding]) -> int:
    """The worst level there is."""
    return max((finding.level for finding in findings), default=OK)


def report(
    pools: Sequence[overview.Pool],
    beats: Sequence[services.Beat],
    backlog: queue.Backlog | None = None,
    moves: Sequence[records.Move] = (),
) -> Report:
    """What is wrong with all that there is.

    :param moves: those that are unresolved.
    """
    checked = [
        Checked(pool, sorted(_of_pool(pool, moves), key=_badness))
        for pool in pools
    ]
    return Report(
        # Among equals the order is that of the ids.
        sorted(checked, key=lambda found: -found.level),
        [*_of_services(beats), *_of_backlog(backlog)],
        sorted(beat.service.host for beat in beats if beat.alive),
        backlog,
    )


def _badness(finding: Finding) -> tuple[int, float]:
    """The worst first, then the oldest."""
    return -finding.level, finding.since or 0.0


def _of_services(beats: Sequence[services.Beat]) -> Iterator[Finding]:
    if not any(beat.alive for beat in beats):
        yield Finding(
            CRITICAL,
            NO_SERVICE,
            None,
            services.lack([beat.age for beat in beats]),
            max((beat.service.seen_at for beat in beats), default=None),
        )


def _of_backlog(backlog: queue.Backlog | None) -> Iterator[Finding]:
    if backlog is not None and backlog.age > PATIENCE:
        yield Finding(
            WARNING,
            UNTOLD,
            None,
            f'{backlog.number} notifications wait, the oldest for '
            f'{backlog.age:.0f} s: the broker does not take them, or no '
            'compute service sends them. Its log tells why.',
            backlog.since,
        )


def _of_pool(
    pool: overview.Pool, moves: Sequence[records.Move]
) -> Iterator[Finding]:
    for entry in pool.aggregate.drift:
        level = CRITICAL if entry.code in GRAVE else WARNING
        yield Finding(
            level, entry.code, entry.host, entry.message, entry.since
        )
    for operation in pool.standing:
        if operation.state in overview.WRONG:
            yield _of_operation(operation)
    for move in moves:
        if move.aggregate_id == pool.aggregate.id:
            yield _of_move(move)
    for host in pool.hosts:
        if host.alarm:
            yield Finding(
                CRITICAL, ALARM, host.name, host.alarm, host.phase_since
            )
    yield from _of_looks(pool)


def _of_operation(operation: records.Operation) -> Finding:
    """One that failed, or of which nobody knows what became of it."""
    error = operation.error or {}
    unresolved = operation.state == 'unresolved'
    return Finding(
        CRITICAL if unresolved else WARNING,
        str(error.get('code') or operation.state.upper()),
        operation.host,
        f'{operation.kind} ({operation.uuid}) '
        f'{"is unresolved" if unresolved else "failed"}: '
        f'{error.get("message") or "no reason is known."}',
        overview.moment(operation),
    )


def _of_move(move: records.Move) -> Finding:
    """One of which nobody knows where its guest is."""
    message = (move.error or {}).get('message') or 'no reason is known.'
    return Finding(
        CRITICAL,
        MOVE,
        move.source,
        f'move {move.uuid} is {move.state}: {message} Joins, removals, changes '
        'of master and of power wait. When it is known that nothing comes of '
        f'it any more, "aggregates-ext-manage move cancel {move.uuid}".',
        (move.call or {}).get('at'),
    )


def _of_looks(pool: overview.Pool) -> Iterator[Finding]:
    """Compute services that do not do what they should."""
    at = pool.aggregate.observed_at
    if pool.overdue:
        yield Finding(
            WARNING,
            OVERDUE,
            None,
            'Nobody has looked at the pool for too long; what is shown of it '
            'is not how it is now.',
            at,
        )
    if pool.abandoned:
        yield Finding(
            WARNING,
            LEASE_LOST,
            None,
            'The compute service that worked on the pool does not renew its '
            'lease any more, and no other has taken over yet.',
            None,
        )
