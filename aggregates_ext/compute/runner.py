"""Running one operation: its steps, its rests, and how it ended."""

import hashlib
from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.compute.maintenance import entering
from aggregates_ext.compute.maintenance import leaving
from aggregates_ext.compute.maintenance import powering
from aggregates_ext.compute.maintenance import rolling
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.maintenance import updating
from aggregates_ext.compute.mastership import designate
from aggregates_ext.compute.mastership import designations
from aggregates_ext.compute.operations import adopt
from aggregates_ext.compute.operations import dissolve
from aggregates_ext.compute.operations import eject
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.operations import join
from aggregates_ext.compute.operations import pool
from aggregates_ext.compute.operations import reapply
from aggregates_ext.compute.operations import sethosts
from aggregates_ext.compute.run import clock as compute_clock
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import meter as compute_meter
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import powers
from aggregates_ext.compute.run import rollings
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import operations

LOG = logging.getLogger(__name__)
STEPS: dict[str, Callable[[compute_run.Run], None]] = {
    operations.ADD_HOST: join.add_host,
    operations.REMOVE_HOST: eject.remove_host,
    operations.RENAME: pool.rename,
    operations.ADOPT: adopt.adopt,
    operations.REAPPLY: reapply.reapply,
    operations.SET_MASTER: designate.set_master,
    operations.DELETE: dissolve.delete,
    operations.SET_HOSTS: sethosts.set_hosts,
    operations.DISABLE_HOST: enabling.disable_host,
    operations.ENABLE_HOST: enabling.enable_host,
    operations.ENTER_MAINTENANCE: entering.enter,
    operations.LEAVE_MAINTENANCE: leaving.leave,
    operations.POWER_HOST: powering.power_host,
    operations.UPDATE_HOST: updating.update_host,
    operations.ROLLING_REBOOT: rolling.take_all,
    operations.ROLLING_UPDATE: rolling.take_all,
}
MAX_BACKOFF = 60.0
# Enough for any retry_interval to come to a minute.
MAX_DOUBLINGS = 13
# Seconds that an operation may go on past its limit, and keep its lease.
GRACE = 120.0


class Runner:
    """Runs operations, one at a time for each aggregate that is held.

    :param connector: for operations.
    :param meter: is told where they are.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        connector: connections.Connector,
        clock: compute_clock.Clock,
        meter: compute_meter.Meter = compute_meter.NONE,
    ) -> None:
        self._meter = meter
        self._conf = conf
        self._options = conf.compute
        self._connector = connector
        self._clock = clock

    def run(
        self,
        held: compute_lease.Held,
        operation: records.Operation,
        now: float,
    ) -> bool:
        """Run one operation, and write how it ended.

        :returns: whether its pool is to be looked at: not if it has only
            looked what became of what is under way.
        """
        if not held.write(
            lambda connection: db_operations.start(connection, operation.id)
        ):
            return False
        held.extend(self._limit(operation) + GRACE)
        run = self._make_run(held, operation, now)
        try:
            _step(run)
        except outcomes.Failed as exc:
            _end(run, exc)
        except outcomes.Postpone as exc:
            self._postpone(run, exc)
            return run.has_sent or not isinstance(exc, outcomes.Watching)
        except (
            compute_clock.Stopping,
            exception.LeaseLost,
            exception.Unavailable,
            db_exc.DBError,
        ):
            raise
        except Exception:
            LOG.exception('Operation %s: a bug', operation.uuid)
            self._postpone(
                run,
                outcomes.Postpone(
                    reason='An internal error; see the log of the compute '
                    'service.',
                    code='INTERNAL',
                ),
            )
        else:
            LOG.info(
                'Operation %s: %s of aggregate %s %s',
                run.operation.uuid,
                run.operation.title,
                held.aggregate_id,
                run.operation.state,
            )
        return True

    def _make_run(
        self,
        held: compute_lease.Held,
        operation: records.Operation,
        now: float,
    ) -> compute_run.Run:
        current = held.read(
            lambda connection: db_operations.get(connection, operation.uuid)
        )
        self._meter.at(current)
        return compute_run.Run(
            held,
            # Once its lease is not renewed any more it sends nothing.
            self._connector.within(self._limit(current) + GRACE),
            self._clock,
            self._conf,
            current,
            elapsed=now - (current.begun or now),
            meter=self._meter,
        )

    def _postpone(
        self, run: compute_run.Run, obstacle: outcomes.Postpone
    ) -> None:
        """Let an operation rest, or end it when its time is over.

        Its time does not pass while it waits for another operation: the
        limit begins anew then.
        """
        operation = run.operation
        limit = self._limit(operation)
        waits = isinstance(obstacle, outcomes.Waiting)
        if run.elapsed() >= limit and not waits:
            _end(run, _time_over(run, limit, obstacle))
            return
        seconds = pause(self._options, operation, obstacle)
        watches = isinstance(obstacle, outcomes.Watching)
        LOG.log(
            logging.DEBUG if watches else logging.INFO,
            'Operation %s: %s of aggregate %s rests for %.1f s: %s',
            operation.uuid,
            operation.title,
            operation.aggregate_id,
            seconds,
            obstacle,
        )
        values: dict[str, Any] = {'error': obstacle.error}
        if isinstance(obstacle, outcomes.Waiting):
            values |= {'begun': None, 'step': obstacle.step}

        def work(connection: Any) -> None:
            state = 'running' if run.changed else 'queued'
            db_operations.postpone(connection, operation.id, state, seconds)
            db_operations.update(connection, operation.id, values)

        run.write(work)

    def look_again(
        self,
        held: compute_lease.Held,
        operation: records.Operation,
        looker: connections.Connector,
    ) -> None:
        """Resolve an unresolved operation, if there is evidence now.

        :param looker: for as long as the look may take.
        """
        run = compute_run.Run(
            held,
            looker,
            self._clock,
            self._conf,
            operation,
            elapsed=self._limit(operation),
        )
        try:
            _step(run)
        except outcomes.Unresolved as exc:
            run.note(error=exc.error)
        except outcomes.Failed as exc:
            _end(run, exc)
        except outcomes.Postpone as exc:
            LOG.debug('Operation %s: %s', operation.uuid, exc)

    def _limit(self, operation: records.Operation) -> float:
        """Seconds that an operation may take.

        See xapi#join-timeline, xapi#eject-timeline and xapi#change-of-master.
        """
        master_timeout = float(self._options.master_timeout)
        if operation.kind == operations.SET_MASTER:
            return master_timeout
        if operation.kind in (
            operations.ENTER_MAINTENANCE,
            operations.LEAVE_MAINTENANCE,
        ):
            # It ends by itself.
            limit = shared.MOVES_EACH * self._options.move_timeout
            return float(limit) + MAX_BACKOFF
        if operation.kind in operations.ROLLING:
            # Its parts have times of their own, and so has what it does.
            return rolling.time_for_the_end(self._options) + MAX_BACKOFF
        if operation.kind == operations.POWER_HOST:
            # It ends by itself: one time until it is sent, one after that.
            return 2 * float(self._options.power_timeout) + MAX_BACKOFF
        if operation.kind == operations.UPDATE_HOST:
            # It ends by itself.
            return float(self._options.update_timeout) + MAX_BACKOFF
        if operation.kind == operations.REMOVE_HOST:
            return float(self._options.eject_timeout) + designations.allowance(
                operation, master_timeout
            )
        return float(self._options.join_timeout)


def _step(run: compute_run.Run) -> None:
    """Run the steps of an operation; every way they end has one meaning.

    :raises outcomes.Failed: the end, for a reason.
    :raises outcomes.Postpone: not yet.
    """
    try:
        designations.await_others(run)
        powers.await_others(run)
        rollings.await_end(run)
        compute_run.await_moves(run)
        STEPS[run.operation.kind](run)
    except failures.HostError as exc:
        if run.changed:
            # A look failed; what was sent is not judged by that.
            raise outcomes.obstacle(exc) from exc
        raise outcomes.translate(exc) from exc
    except outcomes.Postpone as exc:
        error = exc.error
        if run.changed or codes.passes(error['code'], error['parameters']):
            raise
        raise outcomes.Failed(
            error['code'], error['message'], error['parameters']
        ) from exc


def pause(
    options: cfg.ConfigOpts,
    operation: records.Operation,
    obstacle: outcomes.Postpone,
) -> float:
    """Seconds that an operation rests: longer each time, up to a minute.

    Between half and the whole of that, so that many do not march in step;
    where is told by the operation itself. A password that was refused is
    not tried sooner than a pool is looked at (xapi#operator-fault-14).

    :param options: the group ``compute``.
    """
    if isinstance(obstacle, outcomes.Watching):
        return obstacle.seconds
    if obstacle.error['code'] in codes.LOGIN_REFUSED:
        return max(MAX_BACKOFF, float(options.observe_interval))
    doublings = min(operation.attempts - 1, MAX_DOUBLINGS)
    longest = min(options.retry_interval * 2**doublings, MAX_BACKOFF)
    mixed = hashlib.sha256(
        f'{operation.uuid} {operation.attempts}'.encode()
    ).digest()
    return float(longest * (1 + mixed[0] / 255) / 2)


def _time_over(
    run: compute_run.Run, limit: float, obstacle: outcomes.Postpone
) -> outcomes.Failed:
    """What an operation becomes that still met obstacles at its limit."""
    last = [obstacle.error['code'], *obstacle.error['parameters']]
    if run.changed and run.operation.host is not None:
        return outcomes.Unresolved(
            'UNRESOLVED',
            f'The outcome is not known after {limit:.0f} s: {obstacle.said} '
            f'{pool.describe(run)} It is looked at again with each '
            'observation; the action reset says what became of the host.',
            last,
        )
    return outcomes.Failed(
        'TIMEOUT',
        f'Nothing could be done within {limit:.0f} s: {obstacle}',
        last,
    )


def _end(run: compute_run.Run, failure: outcomes.Failed) -> None:
    """Write a failure, and give the host the phase that is left to it."""
    operation = run.operation
    unresolved = isinstance(failure, outcomes.Unresolved)
    state = 'unresolved' if unresolved else 'failed'

    def work(connection: Any) -> None:
        db_operations.finish(connection, operation, state, failure.error)
        if not unresolved:
            operations.take_back(connection, operation)

    run.write(work)
    LOG.warning(
        'Operation %s: %s of aggregate %s %s: %s',
        operation.uuid,
        operation.title,
        operation.aggregate_id,
        state,
        failure.error['message'],
    )
