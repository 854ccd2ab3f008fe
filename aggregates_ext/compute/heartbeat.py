"""The heartbeat of a compute service: it says in the database that it works.

Others tell from it who is alive (design#heartbeat). Nothing is decided by it:
who works on an aggregate is told by its lease.
"""

import socket
import threading
from collections.abc import Callable
from typing import Any

from oslo_db import exception as db_exc
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.db import services
from aggregates_ext.db.engine import engine

LOG = logging.getLogger(__name__)
# Seconds between two beats, and for which one counts.
INTERVAL = 10.0
LIFETIME = 30.0
# Seconds that the end waits for the database.
PATIENCE = 3.0


class Heartbeat:
    """Writes that a service works, while it does.

    :param uuid: of the service.
    :param is_alive: whether it still looks for work.
    """

    def __init__(
        self,
        database: engine.Database,
        uuid: str,
        is_alive: Callable[[], bool],
    ) -> None:
        self._database = database
        self._uuid = uuid
        self._is_alive = is_alive
        self._host = socket.gethostname()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, name='heartbeat', daemon=True
        )

    def start(self) -> None:
        """Begin, with a first beat now."""
        self._thread.start()

    def stop(self) -> None:
        """End, and say so; a database that is away is not waited for."""
        self._stopping.set()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        self.beat()
        while not self._stopping.wait(INTERVAL):
            if self._is_alive():
                self.beat()
        self._write(lambda connection: services.delete(connection, self._uuid))

    def beat(self) -> None:
        """Say once that the service works; no failure of it is raised."""
        self._write(
            lambda connection: services.beat(
                connection, self._uuid, self._host, LIFETIME
            )
        )

    def _write(self, work: Callable[[Any], None]) -> None:
        try:
            self._database.write(work)
        except (db_exc.DBError, exception.Unavailable) as exc:
            # Whoever looks for work tells that the database is away.
            LOG.debug('No heartbeat: %s', type(exc).__name__)
        except Exception:
            LOG.exception('No heartbeat: a bug')
