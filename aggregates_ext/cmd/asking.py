"""The API where there is no broker, with the answers to its own questions.

Checks before acceptance and plans come from a compute service by way of the
bus. Here the bus ends in the process of the API (``transport_url = fake:/``),
and what answers is what answers there. The demonstration starts it.
"""

from aggregates_ext import threads  # noqa: F401, I001 (first)

import sys

from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext import refusals
from aggregates_ext import rpc
from aggregates_ext.cmd import api
from aggregates_ext.cmd import signals
from aggregates_ext.compute import endpoint
from aggregates_ext.compute.xen import connections
from aggregates_ext.db.engine import engine


def main() -> None:
    """Serve and answer until SIGTERM."""
    with refusals.told():
        conf = settings.parse_service(cfg.ConfigOpts(), sys.argv[1:])
        transport = rpc.get_transport(conf)
    signals.block()
    server = endpoint.get_server(
        transport,
        endpoint.Endpoint(
            engine.Database(conf), connections.Connector(conf), lambda: None
        ),
    )
    server.start()
    api.main()
    server.stop()
    server.wait()


if __name__ == '__main__':
    main()
