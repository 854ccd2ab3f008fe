"""Turns: each due move of a pool is taken one step further.

Nothing waits here for hosts to get ready. What is under way is looked at
again when it is due, by whoever holds the aggregate then (design#moves).
"""

import enum
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.compute.moving import following
from aggregates_ext.compute.moving import repairing
from aggregates_ext.compute.moving import sending
from aggregates_ext.compute.moving import starting
from aggregates_ext.compute.moving import state
from aggregates_ext.compute.moving import ways
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import meter as compute_meter
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
# Seconds that a turn may go on past its limit, and keep its lease.
GRACE = 120.0


class Turned(enum.Enum):
    """What a turn has done."""

    NOTHING = 'no move was due'
    LOOKED = 'no guest has gone or come'
    CHANGED = 'the pool is to be looked at'


class Mover:
    """Takes the moves of pools further.

    :param connector: for calls; one that repeats no refused password.
    :param meter: is told of ends.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        connector: connections.Connector,
        meter: compute_meter.Meter,
    ) -> None:
        self._options = conf.compute
        self._connector = connector
        self._meter = meter

    def turn(self, held: compute_lease.Held) -> Turned:
        """Take each due move one step further."""
        open_, now = held.read(
            lambda connection: db_moves.open_of(connection, held.aggregate_id)
        )
        due = [m for m in open_ if (m.not_before or now) <= now]
        if not due:
            return Turned.NOTHING
        limit = float(self._options.observe_timeout)
        held.extend(limit + GRACE)
        connector = self._connector.within(limit)
        aggregate, bound, standing = held.read(
            lambda connection: _read(connection, held.aggregate_id)
        )
        ids = {m.operation_id for m in open_ if m.operation_id is not None}
        networks = held.read(
            lambda connection: db_operations.networks(connection, ids)
        )
        try:
            with masters.master_of(
                connector, aggregate, bound, find=masters.finder(held.read)
            ) as master:
                site = state.Site(
                    held=held,
                    master=master,
                    view=views.pool_view(master.session, master.pools),
                    members=[h for h in bound if h.phase == 'member'],
                    options=self._options,
                    ways=ways.Ways(master.session, master.pools, networks),
                    now=now,
                    meter=self._meter,
                    open_moves=open_,
                    at_work=_at_work(standing),
                )
                changed = _step(site, due, _gate(site, standing))
        except (failures.HostError, outcomes.Postpone) as exc:
            # Nothing can be asked of the pool, or it is not to be changed.
            code, message = _error(exc)
            patience = float(self._options.power_timeout)
            for move in due:
                if not self._expire(held, move, now, patience, message):
                    pause = self._pause(move, code)
                    state.postpone(held, [move], pause, code, message)
            changed = False
        return Turned.CHANGED if changed else Turned.LOOKED

    def _expire(
        self,
        held: compute_lease.Held,
        move: records.Move,
        now: float,
        limit: float,
        why: str,
    ) -> bool:
        """End what nobody wants, or waits for, of a pool that does not answer.

        :param limit: seconds in which what it was told may still come about.
        :returns: whether it is such a one.
        """
        if move.state == db_moves.STARTING:
            return starting.expire(held, move, now, limit, why)
        repairs = move.state == db_moves.REPAIRING and move.cancelled
        if not repairs or repairing.was_told(move.call or {}, now, limit):
            return False
        said = _unseen(move, why)
        state.finish(held, self._meter, move, db_moves.FAILED, *said)
        return True

    def put_off(self, held: compute_lease.Held) -> None:
        """Let all moves be for a while: something of ours went wrong."""
        open_, _now = held.read(
            lambda connection: db_moves.open_of(connection, held.aggregate_id)
        )
        state.postpone(
            held,
            open_,
            float(self._options.observe_interval),
            'INTERNAL',
            'An internal error; see the log of the compute service.',
        )

    def _pause(self, move: records.Move, code: str) -> float:
        """Seconds until the next attempt; what lasts is not tried in haste."""
        lasts = (move.error or {}).get('code') == code
        options = self._options
        return float(
            options.observe_interval if lasts else options.retry_interval
        )


def _unseen(move: records.Move, why: str) -> tuple[str, str]:
    """How a move ends whose repair nobody wants any more, without a look.

    A toolstack that was told may have made the record of its guest tell that
    it is halted.
    """
    said = f'Its repair was given up, and nobody can look: {why}'
    if repairing.has_told(move.call or {}):
        return records.GUEST_HALTED, state.outage(move, 'may be', said)
    return records.UNPROVEN, db_moves.unproven(move, said)


def _error(exc: failures.HostError | outcomes.Postpone) -> tuple[str, str]:
    """A code and a sentence."""
    if isinstance(exc, outcomes.Postpone):
        return str(exc.error['code']), str(exc)
    return exc.code, str(exc)


def _read(
    connection: Any, aggregate_id: int
) -> tuple[records.Aggregate, list[records.Host], list[records.Operation]]:
    return (
        db_aggregates.get(connection, aggregate_id, deleted=True),
        db_hosts.get_all(connection, aggregate_id),
        db_operations.get_all(
            connection,
            aggregate_id,
            states=db_operations.OPEN,
            kinds=db_operations.STRUCTURAL,
        ),
    )


def _at_work(standing: Sequence[records.Operation]) -> str | None:
    """The operation that has sent something, in a sentence."""
    for operation in standing:
        if operation.parameters.get('changed'):
            return _tell(operation)
    return None


def _tell(operation: records.Operation) -> str:
    return (
        f'Operation {operation.uuid} ({operation.title}) is at work in the '
        'pool; moves go on when it has ended.'
    )


def _gate(
    site: state.Site, standing: Sequence[records.Operation]
) -> str | None:
    """What keeps moves from being sent, in a sentence; None: nothing.

    A repair does, an operation that has sent something, and one that waits
    for the moves to end; not while one of these is unresolved, which it may
    stay.
    """
    for move in site.open_moves:
        if move.state == db_moves.REPAIRING:
            return (
                f'Toolstacks start anew for the move of "{move.guest_name}"; '
                'moves go on when that has ended.'
            )
    if site.at_work is not None:
        return site.at_work
    if any(move.state == db_moves.UNRESOLVED for move in site.open_moves):
        return None
    for operation in standing:
        waits_for = (operation.error or {}).get('parameters', ())
        if compute_run.FOR_MOVES in waits_for:
            return _tell(operation)
    return None


def _step(
    site: state.Site,
    due: Sequence[records.Move],
    gate: str | None,
) -> bool:
    """Look at what was sent, then send what may be.

    :returns: whether a move was sent or has ended.
    """
    open_ = site.open_moves
    busy = [m for m in open_ if m.state != db_moves.QUEUED]
    changed = _follow(
        site, [m for m in busy if m in due or _has_task(m)], busy, gate
    )
    # Where one has ended there may be a place for those that wait for one.
    queued = [
        m
        for m in open_
        if m.state == db_moves.QUEUED
        and (m in due or (changed and m.error is None))
    ]
    for move in [m for m in queued if m.cancelled]:
        # Taken back while it was sent, which came to nothing.
        site.take_back(move)
        queued.remove(move)
        changed = True
    if gate is None:
        return sending.send_all(site, queued, busy) or changed
    state.postpone(
        site.held,
        queued,
        site.options.retry_interval,
        db_operations.WAITING,
        gate,
    )
    return changed


def _has_task(move: records.Move) -> bool:
    """Whether a look costs no call: all tasks are read by one."""
    return move.state == db_moves.SENT and bool((move.call or {}).get('task'))


def _follow(
    site: state.Site,
    sent: Sequence[records.Move],
    busy: list[records.Move],
    gate: str | None,
) -> bool:
    """Look at what was sent; whether any of it has ended.

    :param busy: those that have are taken out of it.
    :param gate: what keeps guests from being started.
    """
    if not sent:
        return False
    tasks = {t.ref: t for t in views.tasks(site.master.session, state.CALL)}
    changed = False
    for move in sent:
        try:
            if move.state == db_moves.STARTING:
                ended = starting.step(site, move, gate)
            else:
                ended = following.follow(site, move, tasks)
        except failures.OddAnswer as exc:
            site.postpone(move, exc)
            continue
        except exception.MoveTakenBack:
            # An operator has given it up meanwhile.
            ended = True
        if ended:
            changed = True
            busy.remove(move)
    return changed
