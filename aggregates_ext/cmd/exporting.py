"""The port on which a service tells its numbers to Prometheus."""

from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext.cmd import server

LOG = logging.getLogger(__name__)
# Prometheus asks one at a time; one that is late keeps no other waiting.
THREADS = 2
CONNECTIONS = 50


def listen(conf: cfg.ConfigOpts, option: str, page: Any) -> server.Server:
    """A server of a page of numbers, which is to be started.

    :param option: of ``[metrics]``, the one that names the port.
    :raises OSError: it cannot be had; names the option and the port.
    """
    place = server.Place(
        conf.metrics.bind_host,
        conf.metrics[option],
        THREADS,
        CONNECTIONS,
        f'[metrics] bind_host, {option}',
    )
    return server.Server(page, place)


def start(listening: server.Server | None) -> None:
    """Begin to serve numbers, where they are asked for."""
    if listening is not None:
        listening.start()
        # With the port 0 this is where to read the port.
        LOG.info('Numbers are served at %s/metrics', listening.url)


def stop(listening: server.Server | None) -> None:
    """End it at once: whoever asks now asks again."""
    if listening is not None:
        listening.stop(0)
