"""Discovery: which extensions there are, ours among those of others."""

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import webob

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.api import routing
from aggregates_ext.api import shapes
from aggregates_ext.api import wire

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

COLLECTION = '/extensions'
ITEM = '/extensions/{alias}'
# What would let the next application answer with less than its whole list.
_CONDITIONS = (
    'HTTP_ACCEPT_ENCODING',
    'HTTP_IF_MATCH',
    'HTTP_IF_MODIFIED_SINCE',
    'HTTP_IF_NONE_MATCH',
    'HTTP_IF_RANGE',
    'HTTP_IF_UNMODIFIED_SINCE',
    'HTTP_RANGE',
)
_VALIDATORS = ('ETag', 'Last-Modified', 'Content-MD5')


class Catalogue:
    """The extensions of one application.

    :param entries: their descriptors, in the order in which they are listed.
    """

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self._by_alias = {str(entry['alias']): entry for entry in entries}

    def routes(self) -> routing.Routes:
        """Where the extensions are asked for."""
        return {
            COLLECTION: {'GET': routing.Route(self.index)},
            ITEM: {'GET': routing.Route(self.show)},
        }

    def index(
        self,
        ctx: context.RequestContext,
        domain: routing.Domain,
        shape: shapes.Shape,
    ) -> dict[str, Any]:
        """The extensions; there is no policy on knowing them."""
        return {'extensions': list(self._by_alias.values())}

    def show(
        self,
        ctx: context.RequestContext,
        domain: routing.Domain,
        shape: shapes.Shape,
        alias: str,
    ) -> dict[str, Any]:
        """One extension; its documents write the alias in either case."""
        if alias not in self:
            raise exception.ExtensionNotFound(alias=alias[:255])
        return {'extension': self._by_alias[alias.lower()]}

    def __contains__(self, alias: str) -> bool:
        return alias.lower() in self._by_alias

    def merge(self, response: webob.Response, media: wire.Media) -> None:
        """Put our entries into the list that another application answered.

        In place where it has the alias, else at the end. What is no such
        list stays as it is.
        """
        if response.status_int != 200:
            return
        try:
            listed = json.loads(response.body)['extensions']
            aliases = [entry['alias'] for entry in listed]
        except (ValueError, TypeError, KeyError):
            return
        merged = self._merged(listed, aliases)
        response.body = wire.write({'extensions': merged}, media)
        response.headers['Content-Type'] = media.content_type
        for name in _VALIDATORS:
            response.headers.pop(name, None)

    def _merged(
        self, listed: Sequence[Any], aliases: Sequence[Any]
    ) -> list[Any]:
        merged = [
            self._by_alias.get(alias, entry)
            if isinstance(alias, str)
            else entry
            for alias, entry in zip(aliases, listed, strict=True)
        ]
        return merged + [
            entry
            for alias, entry in self._by_alias.items()
            if alias not in aliases
        ]


def ask(
    environ: dict[str, Any], match: routing.Match, application: Application
) -> webob.Response:
    """The answer of the next application to the same question in JSON."""
    asked = {k: v for k, v in environ.items() if k not in _CONDITIONS}
    asked['REQUEST_METHOD'] = 'GET'
    asked['HTTP_ACCEPT'] = 'application/json'
    if match.place.suffix:
        asked['PATH_INFO'] = environ['PATH_INFO'].rpartition('.')[0]
    response: webob.Response = webob.Request(asked).get_response(application)
    return response
