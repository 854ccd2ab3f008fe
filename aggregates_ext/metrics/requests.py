"""Requests of the API, counted by what they ask for."""

import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import prometheus_client

from aggregates_ext.api.edge import routing

OTHER = 'other'
METHODS = frozenset(('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'))
# An application that raises is a server's error to its client.
RAISED = '5'

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Measured:
    """An application of which each request is counted.

    It stands before all pipelines, and so counts what these refuse. What a
    client has made up becomes no label: a path is told by its route.

    :param router: knows the routes.
    :param seconds: with the labels of ``families.REQUEST_SECONDS``.
    """

    def __init__(
        self,
        application: Application,
        router: routing.Router,
        seconds: prometheus_client.Histogram,
    ) -> None:
        self._application = application
        self._router = router
        self._seconds = seconds

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        began = time.monotonic()
        status = RAISED

        def start(line: str, *more: Any) -> Any:
            nonlocal status
            status = line[:1]
            return start_response(line, *more)

        try:
            return self._application(environ, start)
        finally:
            # Paste's map of paths has told the version by now.
            self._seconds.labels(
                self._route(environ),
                self._method(environ),
                f'{status}xx',
            ).observe(time.monotonic() - began)

    def _route(self, environ: dict[str, Any]) -> str:
        match = self._router.find(environ)
        return OTHER if match is None else match.template

    def _method(self, environ: dict[str, Any]) -> str:
        method = environ.get('REQUEST_METHOD', '')
        return method if method in METHODS else OTHER
