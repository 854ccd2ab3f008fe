"""aggregates-ext-compute: the service that forms and watches the pools."""

from aggregates_ext import threads  # noqa: F401, I001 (first)

import functools
import logging as std_logging
import os
import sys
import threading
import time
from collections.abc import Sequence

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import conf as options
from aggregates_ext import prerequisites
from aggregates_ext import rpc
from aggregates_ext import refusals
from aggregates_ext.cmd import exporting
from aggregates_ext.cmd import heap
from aggregates_ext.cmd import signals
from aggregates_ext.compute import endpoint as compute_endpoint
from aggregates_ext.compute import listener as compute_listener
from aggregates_ext.compute import manager as compute_manager
from aggregates_ext.compute.run import meter
from aggregates_ext.compute.xen import connections
from aggregates_ext.db.engine import engine
from aggregates_ext.metrics import switch

LOG = logging.getLogger(__name__)
# Seconds that the end waits for a broker.
BROKER_WAIT = 3.0


def main() -> None:
    """Serve until SIGTERM; SIGHUP reads the configuration again."""
    heap.give_back()
    conf = cfg.CONF
    read = functools.partial(_read, args=sys.argv[1:])
    with refusals.told():
        options.validate(read(conf))
        logging.setup(conf, 'aggregates_ext')
        # SQL with its parameters is never logged, whatever the level.
        std_logging.getLogger('sqlalchemy').setLevel(std_logging.WARNING)
        rpc.quieten()
        signals.block()
        service = Service(conf)
    service.start()
    LOG.info('The compute service works')
    signals.wait(conf, service.is_alive, read)
    LOG.info('The compute service stops')
    service.stop(conf.compute.graceful_shutdown_timeout)
    std_logging.shutdown()
    # Not by returning: the interpreter would wait, however long it takes,
    # for each call that is still in flight when the time is over.
    os._exit(0)


def _read(conf: cfg.ConfigOpts, args: Sequence[str]) -> cfg.ConfigOpts:
    """Read the configuration, and see whether what it names is there.

    :raises cfg.Error: it is not.
    """
    options.parse_service(conf, args)
    prerequisites.demand(prerequisites.of_compute(conf))
    return conf


class Service:
    """The manager and, where messaging is set up, its ear on the bus."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        database = engine.Database(conf)
        numbers, self._page = switch.of_compute(conf, database), None
        connector = connections.Connector(conf)
        counts = meter.NONE
        if numbers is not None:
            connector = connections.Connector(conf, numbers.session)
            counts = numbers.meter
            self._page = exporting.listen(conf, 'compute_port', numbers.page)
        self._manager = compute_manager.Manager(
            conf, database, connector, meter=counts
        )
        self._worker = threading.Thread(
            target=self._manager.serve, name='manager'
        )
        transport = rpc.get_transport(conf)
        self._others = rpc.ComputeAPI(transport, 0)
        self._listener: compute_listener.Listener | None = None
        if transport is not None:
            endpoint = compute_endpoint.Endpoint(
                database, connector, self._manager.wake_up
            )
            self._listener = compute_listener.Listener(
                functools.partial(
                    compute_endpoint.get_server, transport, endpoint
                )
            )

    def start(self) -> None:
        """Begin to work, whether or not there is a broker."""
        self._worker.start()
        exporting.start(self._page)
        if self._listener is not None:
            self._listener.start()

    def is_alive(self) -> bool:
        """Whether it still looks for work."""
        return self._manager.is_alive()

    def stop(self, limit: float) -> None:
        """Finish what is in flight, and give the rest to other services.

        :param limit: seconds; what takes longer is left as a crash would
            leave it, for whoever takes it up when its lease has run out.
        """
        end = time.monotonic() + limit
        exporting.stop(self._page)
        if self._listener is not None:
            self._listener.stop()
        self._manager.stop()
        self._worker.join(limit)
        if self._worker.is_alive():
            LOG.warning(
                'The time for the stop is over; what is in flight '
                'is left to whoever takes it up.'
            )
        if self._listener is None:
            return
        left = max(0.0, end - time.monotonic())
        if self._listener.join(min(BROKER_WAIT, left)):
            # Also for the wake-ups that came to this service and not to them.
            left = max(0.0, end - time.monotonic())
            self._others.hand_over(min(BROKER_WAIT, left))


if __name__ == '__main__':
    main()
