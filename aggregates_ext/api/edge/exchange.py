"""What shapes the answer to one request, success or fault."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import microversion_parse
import webob
from oslo_context import context

from aggregates_ext.api.edge import looks
from aggregates_ext.api.edge import microversions
from aggregates_ext.api.edge import routing
from aggregates_ext.api.edge import wire

_KEY = 'aggregates_ext.exchange'
_REQUEST_ID = 'openstack.request_id'


class Exchange:
    """The face of a request, the type of its answer, its request id.

    :ivar microversion: known once it has been read.
    """

    def __init__(
        self, environ: Mapping[str, Any], place: routing.Place
    ) -> None:
        self.legacy = place.face == routing.LEGACY
        self.media = wire.JSON
        if self.legacy:
            self.media = wire.choose(environ.get('HTTP_ACCEPT'), place.suffix)
        self.request_id: str = (
            environ.get(_REQUEST_ID) or context.generate_request_id()
        )
        self.microversion: microversion_parse.Version | None = None

    def response(
        self,
        status: int,
        body: bytes,
        content_type: str,
        headers: Iterable[tuple[str, str]] = (),
    ) -> webob.Response:
        """An answer with the headers that every answer has."""
        lines = [
            ('Content-Type', content_type),
            ('Content-Length', str(len(body))),
            *self._lines(headers),
        ]
        return webob.Response(status=status, headerlist=lines, app_iter=[body])

    def _lines(
        self, headers: Iterable[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        lines = [
            ('x-compute-request-id', self.request_id),
            ('x-openstack-request-id', self.request_id),
            *headers,
        ]
        if self.microversion is not None:
            lines += microversions.headers(self.microversion)
        return lines

    def send(
        self,
        found: looks.Finished,
        *,
        known: bool,
        environ: Mapping[str, Any],
        start_response: Any,
    ) -> list[bytes]:
        """Send what needs no more than its headers, without a response.

        :param known: the client has it already.
        """
        lines = self._lines(())
        if found.tag is not None:
            lines.append(('ETag', f'"{found.tag}"'))
        if known:
            start_response('304 Not Modified', lines)
            return []
        lines.append(('Content-Type', self.media.content_type))
        lines.append(('Content-Length', str(len(found.body))))
        start_response('200 OK', lines)
        return [] if environ['REQUEST_METHOD'] == 'HEAD' else [found.body]


def begin(environ: dict[str, Any], place: routing.Place) -> Exchange:
    """Start the exchange of a request of ours, and keep it for its end."""
    exchange = Exchange(environ, place)
    environ[_REQUEST_ID] = exchange.request_id
    environ[_KEY] = exchange
    return exchange


def of(environ: dict[str, Any]) -> Exchange:
    """The exchange of a request; one in JSON if it got nowhere."""
    found = environ.get(_KEY)
    if isinstance(found, Exchange):
        return found
    return begin(environ, routing.Place(routing.MODERN, ''))
