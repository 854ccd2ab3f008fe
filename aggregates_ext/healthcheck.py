"""What ``/healthcheck`` asks, beyond the process itself: the database.

A backend of oslo.middleware's healthcheck, ``aggregates_ext_database``.
"""

import concurrent.futures
import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_middleware.healthcheck import pluginbase

from aggregates_ext import conf as settings
from aggregates_ext import exception
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration

LOG = logging.getLogger(__name__)
# Seconds that a load balancer waits for the answer. A database may take
# longer to be found away, and requests wait for that.
LIMIT = 3.0
SILENT = f'The database has not answered within {LIMIT:g} s.'
EMPTY = 'The database has no schema: run "aggregates-ext-manage db sync".'


class DatabaseHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Whether the database answers, and has a schema, of whatever release.

    One look at a time: many checks of a database that hangs are one thread.

    :param oslo_conf: that of the process.
    :param conf: Paste options; ``config_file`` is read instead, as the
        application does it.
    """

    def __init__(
        self, oslo_conf: cfg.ConfigOpts, conf: dict[str, Any]
    ) -> None:
        super().__init__(oslo_conf, conf)
        if 'config_file' in conf:
            oslo_conf = cfg.ConfigOpts()
            settings.parse(oslo_conf, [], [conf['config_file']])
        self._database = engine.Database(oslo_conf)
        self._lock = threading.Lock()
        self._look: concurrent.futures.Future[str] | None = None

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Ask the database, for a limited time."""
        try:
            fault = self._begin().result(LIMIT)
        except concurrent.futures.TimeoutError:
            fault = SILENT
        return pluginbase.HealthcheckResult(
            available=not fault, reason=fault or 'OK'
        )

    def _begin(self) -> 'concurrent.futures.Future[str]':
        """The look that goes on, or a new one."""
        with self._lock:
            if self._look is None or self._look.done():
                self._look = concurrent.futures.Future()
                # Not an executor's thread: the process would not end
                # before a database that hangs.
                threading.Thread(
                    target=self._run,
                    args=(self._look,),
                    name='healthcheck',
                    daemon=True,
                ).start()
            return self._look

    def _run(self, look: 'concurrent.futures.Future[str]') -> None:
        try:
            look.set_result('' if migration.version(self._database) else EMPTY)
        except exception.Unavailable as exc:
            look.set_result(str(exc))
        except Exception as exc:
            # Such as a database that does not exist. Whatever it is, there
            # is no serving; messages of drivers are not for everybody.
            kind = type(exc).__name__
            LOG.warning('The database cannot be asked: %s', exc)
            look.set_result(f'The database cannot be asked: {kind}.')
