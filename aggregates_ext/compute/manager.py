"""The compute service: claims aggregates and runs their operations.

The database is the queue; any service serves any pool, and a wake-up only
shortens the wait (design#messaging).
"""

import concurrent.futures
import threading
import time
from collections.abc import Sequence

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext import outages
from aggregates_ext.compute import heartbeat
from aggregates_ext.compute import lookout
from aggregates_ext.compute import purge
from aggregates_ext.compute import requests
from aggregates_ext.compute import runner
from aggregates_ext.compute.moving import turns
from aggregates_ext.compute.notifying import sender
from aggregates_ext.compute.observation import observe
from aggregates_ext.compute.run import clock as compute_clock
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import meter as compute_meter
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import leases
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import reasons

LOG = logging.getLogger(__name__)
NO_WORK = 'The database cannot be asked for work'
# Seconds after which a loop that does not turn is called dead; longer than
# a database may take to answer.
STUCK = 60.0
# Seconds for which work is looked for more often once something went on;
# longer than anything rests that is watched.
LIVELY = 15.0
# Seconds between two searches at least.
SHORTEST = 0.05


class Manager:
    """Runs operations and observations until it is stopped.

    :param clock: how time passes for operations.
    :param meter: is told of the work.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: engine.Database,
        connector: connections.Connector,
        clock: compute_clock.Clock | None = None,
        meter: compute_meter.Meter = compute_meter.NONE,
    ) -> None:
        self._meter = meter
        self._conf = conf
        self._options = conf.compute
        self._database = database
        self._connector = connector
        # Looks that nobody asked for.
        self._looker = connector.patient()
        self._clock = clock or compute_clock.Clock()
        self._runner = runner.Runner(conf, connector, self._clock, meter)
        self._mover = turns.Mover(conf, self._looker, meter)
        self._owner = uuidutils.generate_uuid()
        self._keeper = compute_lease.Keeper(
            database, self._owner, conf.compute.lease_ttl
        )
        self._purge = purge.Purge(conf, database)
        self._heartbeat = heartbeat.Heartbeat(
            database, self._owner, self.is_alive
        )
        self._sender = sender.Sender(conf, database, self._owner)
        self._lookout = lookout.Lookout(conf, database, self._looker)
        self._search = outages.Outage(LOG, NO_WORK, 'Work is found again')
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._turned = time.monotonic()
        self._lively = -LIVELY
        # Seconds after a search until something that rests is due.
        self._rests: float | None = None

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
        self._purge.start()
        self._heartbeat.start()
        self._lookout.start()
        self._sender.start()
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
                self._meter.at_work(len(busy))
                room = self._options.workers - len(busy)
                for key in self._find_work(room):
                    # Found again before its worker has claimed it.
                    if key not in busy:
                        busy[key] = workers.submit(self.work_on, key)
                self._woken.wait(self._pause())
        finally:
            self._purge.stop()
            self._lookout.stop()
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
            # What ends now is told by whoever comes next.
            self._sender.stop()
            self._keeper.stop()
            self._heartbeat.stop()

    def _pause(self) -> float:
        """Seconds until the next search: fewer while something goes on.

        What rests until a host is looked at again is found when it is due.
        """
        longest = float(self._options.poll_interval)
        if not self._is_lively():
            return longest
        longest = min(longest, float(self._options.watch_interval))
        if self._rests is None:
            return longest
        return min(longest, max(self._rests, SHORTEST))

    def _is_lively(self) -> bool:
        """Whether something has gone on just now."""
        return time.monotonic() - self._lively <= LIVELY

    def stop(self) -> None:
        """Claim nothing more; operations pause at their next wait."""
        self._stopping.set()
        self._clock.stop()
        self._woken.set()

    def _find_work(self, room: int) -> Sequence[int]:
        self._rests = None
        if room <= 0:
            return ()
        try:
            with self._database.reader() as connection:
                found = leases.candidates(
                    connection, self._options.observe_interval, room
                )
                if self._is_lively():
                    self._rests = leases.rests(connection)
            self._search.works()
            return found
        except exception.Unavailable as exc:
            # That it is away is told where that is found.
            LOG.debug('%s: %s', NO_WORK, exc)
        except db_exc.DBError as exc:
            self._search.fails(reasons.first_line(exc))
        except Exception:
            # The loop must not end: nothing would be done any more.
            LOG.exception('%s: a bug', NO_WORK)
        return ()

    def work_on(self, aggregate_id: int) -> None:
        """Claim an aggregate, run what is due, look at its pool."""
        try:
            self._claim(aggregate_id)
        except compute_clock.Stopping:
            LOG.info('Aggregate %s: paused for the stop', aggregate_id)
        except exception.LeaseLost:
            self._meter.lease_lost()
            LOG.warning(
                'Aggregate %s: another service has taken over',
                aggregate_id,
            )
        except exception.AggregateNotFound:
            LOG.debug('Aggregate %s is gone', aggregate_id)
        except exception.Unavailable as exc:
            LOG.debug('Aggregate %s: %s', aggregate_id, exc)
        except db_exc.DBError as exc:
            LOG.warning(
                'Aggregate %s: the database failed: %s',
                aggregate_id,
                reasons.first_line(exc),
            )
        except Exception:
            LOG.exception('Aggregate %s: a bug', aggregate_id)

    def _claim(self, aggregate_id: int) -> None:
        with self._keeper.hold(aggregate_id) as held:
            ran = held is not None and self._run_all(held)
        if ran:
            self._lively = time.monotonic()
        if ran or held is None:
            # A wake-up that came while it was held found nothing to do; and
            # where another service was first, there may be more.
            self.wake_up()

    def _run_all(self, held: compute_lease.Held) -> bool:
        """Run what is due, then observe; whether any of it has gone on.

        What only looks what became of a move, or of another call, looks at
        the pool when that is due, or when it has changed something.
        """
        ran, changed = False, False
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
                changed |= self._runner.run(held, operation, now)
            ran = True
        turned = self._turn(held)
        if turned is not turns.Turned.NOTHING:
            ran = True
            changed |= turned is turns.Turned.CHANGED
        if changed or not ran or self._is_stale(held):
            self._observe(held)
        return ran

    def _is_stale(self, held: compute_lease.Held) -> bool:
        """Whether the pool is to be looked at whatever has gone on."""
        return held.read(
            lambda connection: leases.is_stale(
                connection, held.aggregate_id, self._options.observe_interval
            )
        )

    def _turn(self, held: compute_lease.Held) -> turns.Turned:
        """Go on with moves; what goes wrong there spoils no look."""
        try:
            return self._mover.turn(held)
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
            self._mover.put_off(held)
            return turns.Turned.CHANGED

    def _observe(self, held: compute_lease.Held) -> None:
        """Look at the pool, and at operations that it may resolve.

        What keeps us from looking is shown too. Operations that come
        meanwhile wait for it, so it ends in time whatever hosts do.
        """
        held.extend(2 * self._options.observe_timeout + runner.GRACE)
        try:
            unresolved = held.read(
                lambda connection: observe.unresolved(
                    connection, held.aggregate_id
                )
            )
            shares = self._looker.within().shared(len(unresolved))
            for operation, share in zip(unresolved, shares, strict=True):
                self._runner.look_again(held, operation, share)
            observe.observe(held, self._looker, self._options.return_timeout)
        except (
            exception.AggregateNotFound,
            exception.LeaseLost,
            exception.Unavailable,
            compute_clock.Stopping,
        ):
            raise
        except db_exc.DBError as exc:
            # A database that refuses what was seen takes this; one that is
            # away raises again.
            LOG.warning(
                'Aggregate %s: what was seen could not be written: %s',
                held.aggregate_id,
                reasons.first_line(exc),
            )
            observe.note_failure(
                held,
                'The database refused what was seen of the pool; the log of '
                'the compute service tells why. It is looked at again.',
            )
        except Exception:
            LOG.exception('Aggregate %s: a bug', held.aggregate_id)
            observe.note_failure(
                held, 'The pool could not be observed: see the log.'
            )


def next_due(
    pending: Sequence[records.Operation], now: float
) -> records.Operation | None:
    """The first operation that may run: per host in order, rests respected.

    A part of another one goes before what has not begun: that may wait for
    the other one's end. So does what the other one may wait for: all that is
    asked of a host that is to have its turn still. It is found when either of
    them rests no more.

    :param pending: in order of their arrival.
    :param now: the database's clock.
    """
    seen: set[str | None] = set()
    begun: set[str | None] = set()
    rolled = {
        host
        for operation in pending
        if operation.kind in db_operations.ROLLING
        for host in records.Rolling.left(operation)
    }
    for operation in pending:
        is_part = db_operations.PART_OF in operation.parameters or (
            operation.host in rolled
            and operation.kind not in db_operations.AFTER_ROLLING
        )
        if operation.host in (begun if is_part else seen):
            continue
        if operation.not_before is None or operation.not_before <= now:
            return operation
        if operation.kind in db_operations.STANDS_ASIDE:
            continue
        seen.add(operation.host)
        if operation.state != 'queued':
            begun.add(operation.host)
    return None
