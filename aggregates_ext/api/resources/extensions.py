"""Discovery: which extensions there are, ours among those of others."""

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import webob

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.api.edge import routing
from aggregates_ext.api.edge import wire
from aggregates_ext.api.forms import shapes

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
Headers = Sequence[tuple[str, str]]

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
_VALIDATORS = ('etag', 'last-modified', 'content-md5')


class Answer(NamedTuple):
    """What the next application answered, as it came.

    Not a response of webob's, which would make locations absolute, and raise
    the error that an application answers on behalf of.

    :ivar error: the ``exc_info`` that came with status and headers.
    """

    status: str
    headers: Headers
    body: Iterable[bytes]
    error: Any = None

    @property
    def code(self) -> int:
        """The number in the status."""
        return int(self.status.split(' ', 1)[0])

    def read(self) -> bytes:
        """The whole body, which is over then."""
        try:
            return b''.join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        """Tell the application that nobody reads the body any more."""
        if hasattr(self.body, 'close'):
            self.body.close()

    def __call__(
        self, environ: Mapping[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        start_response(self.status, self.headers, self.error)
        if environ['REQUEST_METHOD'] == 'HEAD':
            self.close()
            return []
        return self.body


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

    def merge(self, theirs: Answer, media: wire.Media) -> Answer:
        """Put our entries into the list that another application answered.

        In place where it has the alias, else at the end. What is no such
        list stays as it is.
        """
        if theirs.code != 200:
            return theirs
        content = theirs.read()
        try:
            listed = json.loads(content)['extensions']
            aliases = [entry['alias'] for entry in listed]
        except (ValueError, TypeError, KeyError):
            return theirs._replace(body=[content])
        merged = wire.write(
            {'extensions': self._merged(listed, aliases)}, media
        )
        return theirs._replace(
            headers=_replaced(
                theirs.headers,
                {
                    'content-type': media.content_type,
                    'content-length': str(len(merged)),
                },
            ),
            body=[merged],
        )

    def _merged(
        self, listed: Sequence[Any], aliases: Sequence[Any]
    ) -> list[Any]:
        keys = [str(alias).lower() for alias in aliases]
        merged = [
            self._by_alias.get(key, entry)
            for key, entry in zip(keys, listed, strict=True)
        ]
        return merged + [
            entry
            for alias, entry in self._by_alias.items()
            if alias not in keys
        ]


def ask(
    environ: dict[str, Any], match: routing.Match, application: Application
) -> Answer:
    """The answer of the next application to the same question in JSON."""
    asked = {k: v for k, v in environ.items() if k not in _CONDITIONS}
    asked['REQUEST_METHOD'] = 'GET'
    asked['HTTP_ACCEPT'] = 'application/json'
    if match.place.suffix:
        asked['PATH_INFO'] = environ['PATH_INFO'].rpartition('.')[0]
    status, headers, body, error = webob.Request(asked).call_application(
        application, catch_exc_info=True
    )
    return Answer(status, headers, body, error)


def _replaced(
    headers: Headers, values: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Headers with some values in place of theirs, and no validators."""
    missing = dict(values)
    kept = [
        (name, missing.pop(name.lower(), value))
        for name, value in headers
        if name.lower() not in _VALIDATORS
    ]
    return [*kept, *((name.title(), missing[name]) for name in missing)]
