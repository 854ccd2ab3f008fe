"""The numbers of aggregates-ext-compute."""

import functools
from collections.abc import Callable

from oslo_config import cfg

from aggregates_ext.compute.run import meter
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db.engine import engine
from aggregates_ext.metrics import calls
from aggregates_ext.metrics import collector
from aggregates_ext.metrics import families
from aggregates_ext.metrics import process
from aggregates_ext.metrics import work

# Seconds: from a host nearby up to ``call_timeout``.
BUCKETS = (0.01, 0.05, 0.25, 1, 5, 30)


class Numbers:
    """What one compute service tells: its own work, and what the database has.

    :ivar page: the application that serves it.
    :ivar meter: counts the work.
    :ivar session: makes sessions whose requests are counted.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, database: engine.Database
    ) -> None:
        registry = process.make_registry()
        self.page = process.page(registry)
        self.meter: meter.Meter = work.Work(registry)
        seconds = process.histogram(families.XENAPI_SECONDS, registry, BUCKETS)
        self.session: Callable[..., xenapi.Session] = functools.partial(
            calls.Session, seconds
        )
        registry.register(collector.of_all(conf, database))
