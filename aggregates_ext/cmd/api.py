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
from aggregates_ext.cmd import exporting
from aggregates_ext.cmd import server as servers
from aggregates_ext.cmd import signals
from aggregates_ext.metrics import switch

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
        application = deploy.load(conf)
        numbers, page = switch.of_api(conf), None
        if numbers is not None:
            application = numbers.measured(application)
            page = exporting.listen(conf, 'api_port', numbers.page)
        server = servers.Server(application, _place(conf.api))
    server.start()
    exporting.start(page)
    # With bind_port = 0 this is where to read the port.
    print(f'listening on {server.url}', flush=True)
    signals.wait(conf, server.is_alive, read)
    exporting.stop(page)
    LOG.info('Finishing the requests in flight')
    server.stop(conf.api.graceful_shutdown_timeout)
    LOG.info('Stopped')


def _place(options: cfg.ConfigOpts) -> servers.Place:
    """Where the API listens.

    :param options: the group ``api``.
    """
    return servers.Place(
        options.bind_host,
        options.bind_port,
        options.threads,
        options.connection_limit,
        '[api] bind_host, bind_port',
    )


if __name__ == '__main__':
    main()
