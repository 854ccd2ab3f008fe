"""Holding aggregates: one thread renews the leases of this process.

A lease that is not renewed in time is nobody's; what its former holder
still writes is refused by ``db.leases.fence``, and what it still sends by
the hosts, since the next holder ends its sessions (design#sent-calls).
"""

import contextlib
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

from oslo_db import exception as db_exc
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext import outages
from aggregates_ext.db import leases
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import reasons

LOG = logging.getLogger(__name__)
T = TypeVar('T')
NOT_RENEWED = (
    'The leases could not be renewed, no pool is changed until they are'
)


class Held:
    """A lease while it is held, and the only way to write under it.

    :ivar deadline: monotonic time from which it is no longer renewed.
    """

    def __init__(
        self,
        keeper: 'Keeper',
        database: engine.Database,
        lease: records.Lease,
        since: float,
    ) -> None:
        self.lease = lease
        self.renewed = since
        self.lost = False
        self.deadline = float('inf')
        self._keeper = keeper
        self._database = database

    @property
    def aggregate_id(self) -> int:
        return self.lease.aggregate_id

    def write(self, work: Callable[[Any], T]) -> T:
        """Write in one transaction, if the epoch is still ours.

        :raises exception.LeaseLost: it is not; nothing is written.
        """

        def fenced(connection: Any) -> T:
            leases.fence(connection, self.lease)
            return work(connection)

        return self._database.write(fenced)

    def read(self, work: Callable[[Any], T]) -> T:
        """Read in one transaction."""
        with self._database.reader() as connection:
            return work(connection)

    def clock(self) -> float:
        """The clock of the database, as it is now."""
        return self.read(engine.read_clock)

    def extend(self, seconds: float) -> None:
        """Renew for no longer than the next operation may take."""
        self.deadline = time.monotonic() + seconds

    def ensure_fresh(self) -> None:
        """To be called right before each call that changes a pool.

        :raises exception.LeaseLost: the last renewal is older than half the
            time to live, and a renewal now does not succeed.
        """
        if time.monotonic() - self.renewed >= self._keeper.ttl / 2:
            self._keeper.renew()
        stale = time.monotonic() - self.renewed >= self._keeper.ttl / 2
        if self.lost or stale:
            raise exception.LeaseLost(aggregate_id=self.aggregate_id)


class Keeper:
    """The leases of one process, renewed together.

    :param owner: unique to this process.
    :param ttl: seconds until a lease that is not renewed is nobody's.
    """

    def __init__(
        self, database: engine.Database, owner: str, ttl: float
    ) -> None:
        self.ttl = ttl
        self._database = database
        self._owner = owner
        self._held: dict[int, Held] = {}
        self._lock = threading.Lock()
        self._renewal = outages.Outage(
            LOG, NOT_RENEWED, 'The leases are renewed again'
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='leases', daemon=True
        )

    def start(self) -> None:
        """Begin to renew, at a third of the time to live."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing; leases still held run out by themselves."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextlib.contextmanager
    def hold(self, aggregate_id: int) -> Iterator[Held | None]:
        """Claim an aggregate for the length of a block; None: it is held."""
        since = time.monotonic()
        lease = self._database.write(
            lambda connection: leases.claim(
                connection, aggregate_id, self._owner, self.ttl
            )
        )
        if lease is None:
            yield None
            return
        held = Held(self, self._database, lease, since)
        with self._lock:
            # Lost to another service and free again, while the thread that
            # had it still waits for a host.
            former = self._held.get(aggregate_id)
            if former is not None:
                former.lost = True
            self._held[aggregate_id] = held
        try:
            yield held
        finally:
            with self._lock:
                if self._held.get(aggregate_id) is held:
                    del self._held[aggregate_id]
            self._database.write(
                lambda connection: leases.release(connection, lease)
            )

    def renew(self) -> None:
        """Renew all leases that are not past their deadline, by one UPDATE."""
        now = time.monotonic()
        with self._lock:
            due = [h for h in self._held.values() if now < h.deadline]
        still = self._database.write(
            lambda connection: leases.renew(
                connection, [h.lease for h in due], self._owner, self.ttl
            )
        )
        for held in due:
            if held.aggregate_id in still:
                held.renewed = now
            else:
                held.lost = True

    def _run(self) -> None:
        while not self._stopped.wait(self.ttl / 3):
            try:
                self.renew()
            except (db_exc.DBError, exception.Unavailable) as exc:
                self._renewal.fails(reasons.first_line(exc))
            except Exception:
                # The thread must not end: all leases would run out.
                LOG.exception('%s: a bug', NOT_RENEWED)
            else:
                self._renewal.works()
