"""Requests to hosts, counted by what they were and what became of them."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import prometheus_client

from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi

ANSWERED = 'answered'
# The first match along the order: some are kinds of others.
OUTCOMES: tuple[tuple[type[failures.HostError], str], ...] = (
    (failures.XenAPIError, 'refused'),
    (failures.AnswerLost, 'lost'),
    (failures.Unreachable, 'unreachable'),
)


class Session(xenapi.Session):
    """A session of which each request is counted, the login too.

    Its methods are ours, so that they are few.

    :param seconds: with the labels of ``families.XENAPI_SECONDS``.
    :param arguments: of a session.
    """

    def __init__(
        self, seconds: prometheus_client.Histogram, *arguments: Any
    ) -> None:
        self._seconds = seconds
        super().__init__(*arguments)

    def get(self, path: str, **query: str) -> bytes:
        """As there; the path without its query tells it."""
        with self._counted(f'GET {path}'):
            return super().get(path, **query)

    def _request(self, method: str, *params: Any) -> Any:
        with self._counted(method):
            return super()._request(method, *params)

    @contextlib.contextmanager
    def _counted(self, method: str) -> Iterator[None]:
        began = time.monotonic()
        outcome = ANSWERED
        try:
            yield
        except failures.HostError as exc:
            outcome = next(
                (name for kind, name in OUTCOMES if isinstance(exc, kind)),
                'odd',
            )
            raise
        finally:
            self._seconds.labels(method, outcome).observe(
                time.monotonic() - began
            )
