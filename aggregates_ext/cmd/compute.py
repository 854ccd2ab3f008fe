"""aggregates-ext-compute: the service that forms and watches the pools."""

from aggregates_ext.cmd import threads  # noqa: F401, I001 (first)

import logging as std_logging
import signal
import sys
import threading

import oslo_messaging
from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import conf as options
from aggregates_ext import rpc
from aggregates_ext.compute import check
from aggregates_ext.compute import manager as compute_manager
from aggregates_ext.compute import xenapi
from aggregates_ext.db import engine

LOG = logging.getLogger(__name__)
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def main() -> int:
    """Serve until SIGTERM; SIGHUP reads the configuration again."""
    conf = cfg.CONF
    logging.register_options(conf)
    options.parse(conf, sys.argv[1:])
    logging.setup(conf, 'aggregates_ext')
    # SQL with its parameters is never logged, whatever the level.
    std_logging.getLogger('sqlalchemy').setLevel(std_logging.WARNING)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    database = engine.Database(conf)
    connector = xenapi.Connector(conf)
    manager = compute_manager.Manager(conf, database, connector)
    transport = rpc.get_transport(conf)
    server = None
    if transport is not None:
        endpoint = check.Endpoint(database, connector, manager.wake_up)
        server = check.get_server(transport, endpoint)
    worker = threading.Thread(target=manager.serve, name='manager')
    worker.start()
    listening = threading.Event()
    if server is not None:
        # Aside: with the broker away it tries until there is one.
        threading.Thread(
            target=_listen, args=(server, listening), daemon=True
        ).start()
    LOG.info('The compute service works')
    while signal.sigwait(SIGNALS) == signal.SIGHUP:
        conf.reload_config_files()
        LOG.info('The configuration was read again')
    LOG.info('The compute service stops')
    if server is not None and listening.is_set():
        server.stop()
    manager.stop()
    worker.join()
    return 0


def _listen(
    server: oslo_messaging.MessageHandlingServer, listening: threading.Event
) -> None:
    server.start()
    listening.set()


if __name__ == '__main__':
    sys.exit(main())
