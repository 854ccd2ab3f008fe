"""What ``/healthcheck`` asks, beyond the process itself.

With ``detailed`` it also tells which compute services are alive.

A backend of oslo.middleware's healthcheck, ``aggregates_ext_database``.
"""

import concurrent.futures
import threading
from typing import Any
from typing import TypeAlias

from oslo_config import cfg
from oslo_log import log as logging
from oslo_middleware.healthcheck import pluginbase

from aggregates_ext import conf as settings
from aggregates_ext import enforcers
from aggregates_ext import exception
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.domain import services

LOG = logging.getLogger(__name__)
# Seconds that a load balancer waits for the answer. A database may take
# longer to be found away, and requests wait for that.
LIMIT = 3.0
SILENT = f'The database has not answered within {LIMIT:g} s.'
# What is wrong, or nothing; then who does the work.
Look: TypeAlias = 'concurrent.futures.Future[tuple[str, str]]'
EMPTY = 'The database has no schema: run "aggregates-ext-manage db sync".'


class DatabaseHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Whether requests find what they need: database and policy.

    A schema of another release will do while it has all that is read.

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
        self._enforcer = enforcers.make(oslo_conf)
        self._lock = threading.Lock()
        self._look: Look | None = None

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Ask the database, for a limited time.

        Who does the work is told, and no reason to send requests elsewhere.
        """
        try:
            fault, workers = self._begin().result(LIMIT)
        except concurrent.futures.TimeoutError:
            fault, workers = SILENT, ''
        return pluginbase.HealthcheckResult(
            available=not fault, reason=fault or 'OK', details=workers
        )

    def _begin(self) -> Look:
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

    def _run(self, look: Look) -> None:
        try:
            look.set_result(self._ask())
        except exception.Unavailable as exc:
            look.set_result((str(exc), ''))
        except Exception as exc:
            # Whatever it is, there is no serving; messages of drivers are
            # not for everybody.
            kind = type(exc).__name__
            LOG.warning('The database cannot be asked: %s', exc)
            look.set_result((f'The database cannot be asked: {kind}.', ''))

    def _ask(self) -> tuple[str, str]:
        """:raises exception.Unavailable: that is what requests would meet."""
        found = migration.version(self._database)
        if not found:
            return EMPTY, ''
        migration.check_tables(self._database)
        self._enforcer.load_rules()
        if found != migration.newest():
            return '', ''
        return '', services.Services(self._database).describe()
