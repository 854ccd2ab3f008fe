"""Looks at what no pool shows: free hosts, and guests of pools that are no more.

In the background of a compute service. What is found is shown, and decides
nothing (design#observation).
"""

import concurrent.futures
import functools
import threading

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import guests as db_guests
from aggregates_ext.db import records
from aggregates_ext.db import sightings
from aggregates_ext.db.engine import engine

LOG = logging.getLogger(__name__)
# Seconds between two rounds, unless more are due, and hosts in one.
PAUSE = 5.0
ROUND = 64
# Hosts that are asked at once; each that is silent takes LOOK_TIMEOUT.
AT_ONCE = 16


class Lookout:
    """Asks each free host once in ``[compute] observe_interval``.

    :param conf: read anew each time.
    :param connector: for looks that nobody asked for.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: engine.Database,
        connector: connections.Connector,
    ) -> None:
        self._conf = conf
        self._database = database
        self._connector = connector
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, name='lookout', daemon=True
        )

    def start(self) -> None:
        """Begin; hosts that are new or were just freed come later."""
        self._thread.start()

    def stop(self) -> None:
        """End; hosts that are being asked are not waited for."""
        self._stopping.set()

    def _serve(self) -> None:
        pause = PAUSE
        while not self._stopping.wait(pause):
            # Thousands of free hosts are not left to seem down.
            pause = 0 if self.look() == ROUND else PAUSE

    def look(self) -> int:
        """Ask those that are due, and count them; raises no failure."""
        due: list[records.Host] = []
        try:
            self._forget_guests()
            due = self._claim()
            for host in self._ask(due):
                self._note(host)
        except (db_exc.DBError, exception.Unavailable) as exc:
            # Whoever looks for work tells that the database is away.
            LOG.debug('Free hosts are not looked at: %s', type(exc).__name__)
        except Exception:
            LOG.exception('Free hosts are not looked at: a bug')
        return len(due)

    def _forget_guests(self) -> None:
        """A pool that is forgotten leaves its guests to whoever comes by."""
        with self._database.reader() as connection:
            orphaned = db_guests.orphaned(connection)
        for key in orphaned:
            self._database.write(
                functools.partial(db_guests.forget, aggregate_id=key)
            )

    def _claim(self) -> list[records.Host]:
        interval = self._conf.compute.observe_interval
        with self._database.reader() as connection:
            due = sightings.due(connection, interval, ROUND)
        if not due:
            return []
        return self._database.write(
            lambda connection: sightings.claim(connection, due, interval)
        )

    def _ask(self, due: list[records.Host]) -> list[records.Host]:
        """Those that answer."""
        if not due:
            return []
        with concurrent.futures.ThreadPoolExecutor(
            AT_ONCE, thread_name_prefix='lookout'
        ) as asking:
            there = list(asking.map(self._answers, due))
        return [host for host, seen in zip(due, there, strict=True) if seen]

    def _note(self, host: records.Host) -> None:
        self._database.write(
            lambda connection: sightings.note(connection, host)
        )

    def _answers(self, host: records.Host) -> bool:
        """Whether a host's xapi answers, whatever it says."""
        if self._stopping.is_set():
            return False
        try:
            self._connector.login(host, timeout=views.LOOK_TIMEOUT).close()
        except failures.XenAPIError:
            return True
        except failures.HostError as exc:
            LOG.debug('Host %s: %s', host.name, exc)
            return False
        return True
