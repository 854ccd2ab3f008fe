"""``aggregates-ext-api``: the stand-alone API for small sites and trials."""

from aggregates_ext.cmd import threads  # noqa: F401, I001 (first)

import signal
import sys
from types import FrameType
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from waitress import server as waitress_server

from aggregates_ext import conf as settings
from aggregates_ext import deploy

LOG = logging.getLogger(__name__)

# What a body may have before the server itself refuses it; the API's own
# limit is lower, and its answer a fault that says so.
MAX_BODY = 16 * 2**20


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    """Serve the pipelines of the Paste file until SIGTERM."""
    conf = cfg.CONF
    logging.register_options(conf)
    settings.parse(conf, sys.argv[1:])
    logging.setup(conf, 'aggregates_ext')
    server = waitress_server.create_server(
        deploy.load(conf),
        host=conf.api.bind_host,
        port=conf.api.bind_port,
        threads=conf.api.threads,
        max_request_body_size=MAX_BODY,
        ident=None,
    )
    signal.signal(signal.SIGTERM, _stop)
    # With bind_port = 0 this is where to read the port.
    host = conf.api.bind_host
    place = f'[{host}]' if ':' in host else host
    print(f'listening on http://{place}:{_port(server)}', flush=True)
    server.run()
    server.close()
    LOG.info('Stopped')


def _port(server: Any) -> int:
    """The port of a server, or the first of several."""
    several = getattr(server, 'effective_listen', None)
    port: int = several[0][1] if several else server.effective_port
    return port


if __name__ == '__main__':
    main()
