"""The compute service: claims aggregates and runs their operations.

The database is the queue; any service serves any pool, and a wake-up only
shortens the wait (design 2).
"""

import concurrent.futures
import hashlib
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.compute import requests
from aggregates_ext.compute.mastership import designate
from aggregates_ext.compute.mastership import designations
from aggregates_ext.compute.observation import drift
from aggregates_ext.compute.observation import observe
from aggregates_ext.compute.operations import adopt
from aggregates_ext.compute.operations import eject
from aggregates_ext.compute.operations import join
from aggregates_ext.compute.operations import pool
from aggregates_ext.compute.operations import reapply
from aggregates_ext.compute.run import clock as compute_clock
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import leases
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import operations

LOG = logging.getLogger(__name__)
STEPS: dict[str, Callable[[compute_run.Run], None]] = {
    operations.ADD_HOST: join.add_host,
    operations.REMOVE_HOST: eject.remove_host,
    operations.RENAME: pool.rename,
    operations.ADOPT: adopt.adopt,
    operations.REAPPLY: reapply.reapply,
    operations.SET_MASTER: designate.set_master,
}
NO_WORK = 'The database cannot be asked for work: %s'
MAX_BACKOFF = 60.0
# Enough for any retry_interval to come to a minute.
MAX_DOUBLINGS = 13
# Seconds that an operation may go on past its limit, and keep its lease.
GRACE = 120.0
# Seconds after which a loop that does not turn is called dead; longer than
# a database may take to answer.
STUCK = 60.0


class Manager:
    """Runs operations and observations until it is stopped.

    :param clock: how time passes for operations.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: engine.Database,
        connector: connections.Connector,
        clock: compute_clock.Clock | None = None,
    ) -> None:
        self._conf = conf
        self._options = conf.compute
        self._database = database
        self._connector = connector
        # Looks that nobody asked for.
        self._looker = connector.patient()
        self._clock = clock or compute_clock.Clock()
        self._owner = uuidutils.generate_uuid()
        self._keeper = compute_lease.Keeper(
            database, self._owner, conf.compute.lease_ttl
        )
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._turned = time.monotonic()

    def wake_up(self) -> None:
        """Look for work now."""
        self._woken.set()

    def is_alive(self) -> bool:
        """Whether ``serve`` still looks for work."""
        limit = STUCK + float(self._options.poll_interval)
        return time.monotonic() - self._turned < limit

    def serve(self) -> None:
        """Work until ``stop``; what is in flight then is finished."""
        self._keeper.start()
        workers = concurrent.futures.ThreadPoolExecutor(
            self._options.workers, thread_name_prefix='pool'
        )
        busy: dict[int, concurrent.futures.Future[None]] = {}
        try:
            while not self._stopping.is_set():
                self._turned = time.monotonic()
                self._woken.clear()
                busy = {
                    key: future
                    for key, future in busy.items()
                    if not future.done()
                }
                room = self._options.workers - len(busy)
                for key in self._find_work(room):
                    # Found again before its worker has claimed it.
                    if key not in busy:
                        busy[key] = workers.submit(self.work_on, key)
                self._woken.wait(self._options.poll_interval)
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            _done, late = concurrent.futures.wait(
                busy.values(), self._options.graceful_shutdown_timeout
            )
            if late:
                LOG.warning(
                    'The time for the stop is over with %d pool(s) in a '
                    'call; their leases run out by themselves.',
                    len(late),
                )
            self._keeper.stop()

    def stop(self) -> None:
        """Claim nothing more; operations pause at their next wait."""
        self._stopping.set()
        self._clock.stop()
        self._woken.set()

    def _find_work(self, room: int) -> Sequence[int]:
        if room <= 0:
            return ()
        try:
            with self._database.reader() as connection:
                return leases.candidates(
                    connection, self._options.observe_interval, room
                )
        except (db_exc.DBError, exception.Unavailable) as exc:
            LOG.warning(NO_WORK, type(exc).__name__)
        except Exception:
            # The loop must not end: nothing would be done any more.
            LOG.exception(NO_WORK, 'a bug')
        return ()

    def work_on(self, aggregate_id: int) -> None:
        """Claim an aggregate, run what is due, look at its pool."""
        try:
            with self._keeper.hold(aggregate_id) as held:
                ran = held is not None and self._run_all(held)
            if ran:
                # A wake-up that came while it was held found nothing to do.
                self.wake_up()
        except compute_clock.Stopping:
            LOG.info('Aggregate %s: paused for the stop', aggregate_id)
        except exception.LeaseLost:
            LOG.warning(
                'Aggregate %s: another service has taken over',
                aggregate_id,
            )
        except exception.AggregateNotFound:
            LOG.debug('Aggregate %s is gone', aggregate_id)
        except (db_exc.DBError, exception.Unavailable) as exc:
            LOG.warning(
                'Aggregate %s: the database failed: %s',
                aggregate_id,
                type(exc).__name__,
            )
        except Exception:
            LOG.exception('Aggregate %s: a bug', aggregate_id)

    def _run_all(self, held: compute_lease.Held) -> bool:
        """Run what is due, then observe; whether an operation was run."""
        ran = False
        while not self._stopping.is_set():
            pending, now = held.read(
                lambda connection: db_operations.unfinished(
                    connection, held.aggregate_id
                )
            )
            operation = next_due(pending, now)
            if operation is None:
                break
            with requests.logged(operation):
                self._run(held, operation, now)
            ran = True
        self._observe(held)
        return ran

    def _observe(self, held: compute_lease.Held) -> None:
        """Look at the pool, and at operations that it may resolve.

        What keeps us from looking is shown too.
        """
        try:
            for operation in held.read(
                lambda connection: observe.unresolved(
                    connection, held.aggregate_id
                )
            ):
                self._look_again(held, operation)
            observe.observe(held, self._looker, self._options.return_timeout)
        except (
            exception.AggregateNotFound,
            exception.LeaseLost,
            exception.Unavailable,
            compute_clock.Stopping,
            db_exc.DBError,
        ):
            raise
        except Exception:
            LOG.exception('Aggregate %s: a bug', held.aggregate_id)
            held.write(
                lambda connection: db_aggregates.set_observation(
                    connection,
                    held.aggregate_id,
                    None,
                    [
                        records.Drift(
                            drift.NOT_OBSERVED,
                            'The pool could not be observed: see the log.',
                        )
                    ],
                )
            )

    def _run(
        self,
        held: compute_lease.Held,
        operation: records.Operation,
        now: float,
    ) -> None:
        """Run one operation, and write how it ended."""
        if not held.write(
            lambda connection: db_operations.start(connection, operation.id)
        ):
            return
        held.extend(self._limit(operation) + GRACE)
        run = self._make_run(held, operation, now)
        try:
            _step(run)
        except compute_run.Failed as exc:
            _end(run, exc)
        except compute_run.Postpone as exc:
            self._postpone(run, exc)
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
                compute_run.Postpone(
                    reason='An internal error; see the log of the compute '
                    'service.',
                    code='INTERNAL',
                ),
            )
        else:
            LOG.info(
                'Operation %s: %s %s of aggregate %s succeeded',
                run.operation.uuid,
                run.operation.kind,
                run.operation.host or '',
                held.aggregate_id,
            )

    def _make_run(
        self,
        held: compute_lease.Held,
        operation: records.Operation,
        now: float,
    ) -> compute_run.Run:
        current = held.read(
            lambda connection: db_operations.get(connection, operation.uuid)
        )
        return compute_run.Run(
            held,
            self._connector,
            self._clock,
            self._conf,
            current,
            elapsed=now - (current.begun or now),
        )

    def _postpone(
        self, run: compute_run.Run, obstacle: compute_run.Postpone
    ) -> None:
        """Let an operation rest, or end it when its time is over.

        Its time does not pass while it waits for another operation: the
        limit begins anew then.
        """
        operation = run.operation
        limit = self._limit(operation)
        waits = isinstance(obstacle, compute_run.Waiting)
        if run.elapsed() >= limit and not waits:
            _end(run, _time_over(run, limit, obstacle))
            return
        seconds = pause(self._options, operation, obstacle)
        LOG.info(
            'Operation %s: %s %s of aggregate %s rests for %.1f s: %s',
            operation.uuid,
            operation.kind,
            operation.host or '',
            operation.aggregate_id,
            seconds,
            obstacle,
        )
        values: dict[str, Any] = {'error': obstacle.error}
        if waits:
            values |= {'begun': None, 'step': 'waiting for another operation'}

        def work(connection: Any) -> None:
            state = 'running' if run.changed else 'queued'
            db_operations.postpone(connection, operation.id, state, seconds)
            db_operations.update(connection, operation.id, values)

        run.write(work)

    def _look_again(
        self, held: compute_lease.Held, operation: records.Operation
    ) -> None:
        """Resolve an unresolved operation, if there is evidence now."""
        run = compute_run.Run(
            held,
            self._looker,
            self._clock,
            self._conf,
            operation,
            elapsed=self._limit(operation),
        )
        try:
            _step(run)
        except compute_run.Unresolved as exc:
            run.note(error=exc.error)
        except compute_run.Failed as exc:
            _end(run, exc)
        except compute_run.Postpone as exc:
            LOG.debug('Operation %s: %s', operation.uuid, exc)

    def _limit(self, operation: records.Operation) -> float:
        """Seconds that an operation may take (contract 4.5, 5.3, 6)."""
        master_timeout = float(self._options.master_timeout)
        if operation.kind == operations.SET_MASTER:
            return master_timeout
        if operation.kind == operations.REMOVE_HOST:
            return float(self._options.eject_timeout) + designations.allowance(
                operation, master_timeout
            )
        return float(self._options.join_timeout)


def next_due(
    pending: Sequence[records.Operation], now: float
) -> records.Operation | None:
    """The first operation that may run: per host in order, rests respected.

    :param pending: in order of their arrival.
    :param now: the database's clock.
    """
    seen = set()
    for operation in pending:
        if operation.host in seen:
            continue
        if operation.not_before is None or operation.not_before <= now:
            return operation
        seen.add(operation.host)
    return None


def _step(run: compute_run.Run) -> None:
    """Run the steps of an operation; every way they end has one meaning.

    :raises compute_run.Failed: the end, for a reason.
    :raises compute_run.Postpone: not yet.
    """
    try:
        designations.await_others(run)
        STEPS[run.operation.kind](run)
    except failures.HostError as exc:
        if run.changed:
            # A look failed; what was sent is not judged by that.
            raise compute_run.obstacle(exc) from exc
        raise compute_run.translate(exc) from exc
    except compute_run.Postpone as exc:
        error = exc.error
        if run.changed or codes.passes(error['code'], error['parameters']):
            raise
        raise compute_run.Failed(
            error['code'], error['message'], error['parameters']
        ) from exc


def pause(
    options: cfg.ConfigOpts,
    operation: records.Operation,
    obstacle: compute_run.Postpone,
) -> float:
    """Seconds that an operation rests: longer each time, up to a minute.

    Between half and the whole of that, so that many do not march in step;
    where is told by the operation itself. A password that was refused is
    not tried sooner than a pool is looked at (contract 11, 14).

    :param options: the group ``compute``.
    """
    if obstacle.error['code'] in codes.LOGIN_REFUSED:
        return max(MAX_BACKOFF, float(options.observe_interval))
    doublings = min(operation.attempts - 1, MAX_DOUBLINGS)
    longest = min(options.retry_interval * 2**doublings, MAX_BACKOFF)
    mixed = hashlib.sha256(
        f'{operation.uuid} {operation.attempts}'.encode()
    ).digest()
    return float(longest * (1 + mixed[0] / 255) / 2)


def _time_over(
    run: compute_run.Run, limit: float, obstacle: compute_run.Postpone
) -> compute_run.Failed:
    """What an operation becomes that still met obstacles at its limit."""
    last = [obstacle.error['code'], *obstacle.error['parameters']]
    if run.changed and run.operation.host is not None:
        return compute_run.Unresolved(
            'UNRESOLVED',
            f'The outcome is not known after {limit:.0f} s. {obstacle} '
            f'{pool.describe(run)} It is looked at again with each '
            'observation; the action reset says what became of the host.',
            last,
        )
    return compute_run.Failed(
        'TIMEOUT',
        f'Nothing could be done within {limit:.0f} s. {obstacle}',
        last,
    )


def _end(run: compute_run.Run, failure: compute_run.Failed) -> None:
    """Write a failure, and give the host the phase that is left to it."""
    operation = run.operation
    unresolved = isinstance(failure, compute_run.Unresolved)
    state = 'unresolved' if unresolved else 'failed'

    def work(connection: Any) -> None:
        db_operations.finish(connection, operation, state, failure.error)
        if not unresolved:
            operations.take_back(connection, operation)

    run.write(work)
    LOG.warning(
        'Operation %s: %s %s of aggregate %s %s: %s',
        operation.uuid,
        operation.kind,
        operation.host or '',
        operation.aggregate_id,
        state,
        failure.error['message'],
    )
