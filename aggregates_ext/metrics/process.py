"""What each process that is asked for numbers has: a registry, and its page."""

from collections.abc import Callable
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import prometheus_client

from aggregates_ext.metrics import families

PATH = '/metrics'
ELSEWHERE = b'The numbers are at /metrics.\n'

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


def make_registry() -> prometheus_client.CollectorRegistry:
    """One with the numbers of the process itself, and of the release."""
    # When a series began is one more series for each.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    made = prometheus_client.CollectorRegistry()
    prometheus_client.ProcessCollector(registry=made)
    prometheus_client.Info(
        families.PREFIX, families.RELEASE.help, registry=made
    ).info({'version': metadata.version('aggregates_ext')})
    return made


def page(registry: prometheus_client.CollectorRegistry) -> WSGI:
    """The one page, where Prometheus looks for it."""
    numbers = prometheus_client.make_wsgi_app(registry)

    def answer(
        environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        if environ.get('PATH_INFO') == PATH:
            found: Iterable[bytes] = numbers(environ, start_response)
            return found
        start_response(
            '404 Not Found', [('Content-Type', 'text/plain; charset=utf-8')]
        )
        return [ELSEWHERE]

    return answer


def histogram(
    family: families.Family,
    registry: prometheus_client.CollectorRegistry,
    buckets: tuple[float, ...],
) -> prometheus_client.Histogram:
    """How long something takes.

    :param buckets: seconds, in order.
    """
    return prometheus_client.Histogram(
        family.title,
        family.help,
        family.labels,
        buckets=buckets,
        registry=registry,
    )
