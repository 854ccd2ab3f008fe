"""``aggregates-ext-api``: the stand-alone API for small sites and trials."""

from aggregates_ext import threads  # noqa: F401, I001 (first)

import functools
import sys

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import conf as settings
from aggregates_ext import deploy
from aggregates_ext import prerequisites
from aggregates_ext import rpc
from aggregates_ext import refusals
from aggregates_ext.cmd import server as servers
from aggregates_ext.cmd import signals

LOG = logging.getLogger(__name__)


def main() -> None:
    """Serve the pipelines of the Paste file until SIGTERM."""
    conf = cfg.CONF
    read = functools.partial(settings.parse_service, args=sys.argv[1:])
    with refusals.told():
        settings.validate(read(conf))
        prerequisites.demand(prerequisites.of_api(conf))
        logging.setup(conf, 'aggregates_ext')
        rpc.quieten()
        signals.block()
        server = servers.Server(deploy.load(conf), conf.api)
    server.start()
    # With bind_port = 0 this is where to read the port.
    host = conf.api.bind_host
    place = f'[{host}]' if ':' in host else host
    print(f'listening on http://{place}:{server.port}', flush=True)
    signals.wait(conf, server.is_alive, read)
    LOG.info('Finishing the requests in flight')
    server.stop(conf.api.graceful_shutdown_timeout)
    LOG.info('Stopped')


if __name__ == '__main__':
    main()
