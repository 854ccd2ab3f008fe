"""The numbers of aggregates-ext-api."""

from oslo_config import cfg

from aggregates_ext.api import app
from aggregates_ext.api.edge import routing
from aggregates_ext.db.engine import engine
from aggregates_ext.metrics import collector
from aggregates_ext.metrics import families
from aggregates_ext.metrics import process
from aggregates_ext.metrics import requests

# Seconds: from what is kept in memory to what waits for a host.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Numbers:
    """What one API process tells.

    Also who does the work: that nobody does is to be heard from somebody.

    :ivar page: the application that serves it.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        registry = process.make_registry()
        self.page = process.page(registry)
        self._seconds = process.histogram(
            families.REQUEST_SECONDS, registry, BUCKETS
        )
        registry.register(collector.of_services(engine.Database(conf)))

    def measured(self, application: app.WSGI) -> app.WSGI:
        """The same application, its requests counted."""
        table = app.routes(app.catalogue(embedded=False), embedded=False)
        return requests.Measured(
            application, routing.Router(table), self._seconds
        )
