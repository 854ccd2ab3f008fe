"""The end of history, in the background of a compute service.

Each service does it, whatever others do: what is gone is gone.
"""

import random
import threading

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import reasons
from aggregates_ext.domain import history

LOG = logging.getLogger(__name__)
# Seconds from the start of a service, at the least, and between two purges.
FIRST = 60.0
INTERVAL = 3600.0
# Seconds between two batches, for others that want to write.
PAUSE = 0.1


class Purge:
    """Deletes what is older than ``[compute] history_days``.

    :param conf: read anew each time.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, database: engine.Database
    ) -> None:
        self._conf = conf
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, name='purge', daemon=True
        )

    def start(self) -> None:
        """Begin, a while from now."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch that is under way; its thread is waited for."""
        self._stopping.set()
        self._thread.join()

    def _serve(self) -> None:
        # Services that start together do not purge together.
        pause = FIRST * random.uniform(1, 2)  # noqa: S311
        while not self._stopping.wait(pause):
            self.purge()
            pause = INTERVAL

    def purge(self) -> None:
        """Delete what is old enough now; no failure of it is raised."""
        options = self._conf.compute
        if not options.history_days:
            return
        past = history.History(self._database, options.designate_wait)
        try:
            found = past.purge(
                options.history_days,
                go_on=lambda: not self._stopping.wait(PAUSE),
            )
        except (db_exc.DBError, exception.Unavailable) as exc:
            LOG.warning('History is not purged: %s', reasons.first_line(exc))
        except Exception:
            LOG.exception('History is not purged: a bug')
        else:
            if any(found):
                LOG.info(
                    'Purged what ended more than %g days ago: %d operations, '
                    '%d moves, %d deleted aggregates',
                    options.history_days,
                    *found,
                )
