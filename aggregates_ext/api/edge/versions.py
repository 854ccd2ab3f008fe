"""Which versions there are, told to anybody: a filter before authtoken.

Clients look here first, without a token; from the answer they choose their
microversion. What is answered here, and behind it by authtoken, has the
request id under both names, as all the rest.
"""

import json
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import webob

from aggregates_ext import exception
from aggregates_ext.api.edge import exchange
from aggregates_ext.api.edge import faults
from aggregates_ext.api.edge import microversions

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

# Path segment -> id, status, newest and oldest microversion, updated, type.
_VERSIONS = {
    'v1.1': ('v2.0', 'SUPPORTED', '', '', '2011-01-21T11:33:21Z', '2'),
    'v2': ('v2.0', 'SUPPORTED', '', '', '2011-01-21T11:33:21Z', '2'),
    'v2.1': (
        'v2.1',
        'CURRENT',
        str(microversions.MAX),
        str(microversions.MIN),
        '2013-07-23T11:33:21Z',
        '2.1',
    ),
}
_MANUAL = {
    'rel': 'describedby',
    'type': 'text/html',
    'href': 'http://docs.openstack.org/',
}
_LISTED = ('v2', 'v2.1')
_REQUEST_ID = 'openstack.request_id'  # in the environment
_HEADER = 'x-compute-request-id'


class Versions:
    """Answers the version documents; all other requests pass.

    :param application: what comes behind in the pipeline.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        start_response = _telling(environ, start_response)
        if environ['REQUEST_METHOD'] not in ('GET', 'HEAD'):
            return self._application(environ, start_response)
        shown = _shown(environ)
        if shown is None:
            return self._application(environ, start_response)
        response = _respond(environ, shown)
        result: Iterable[bytes] = response(environ, start_response)
        return result


def _respond(environ: dict[str, Any], shown: dict[str, Any]) -> webob.Response:
    """A document as an answer.

    That of the modern face tells the microversion that is asked for, and is
    refused where there is none, as Nova's. The others know none.
    """
    response = webob.Response(
        body=json.dumps(shown).encode(), content_type='application/json'
    )
    if not shown.get('version', {}).get('version'):
        return response
    asked = None
    try:
        asked = microversions.of(environ)
        microversions.check(asked)
    except (exception.Invalid, exception.NotAcceptable) as exc:
        answered = exchange.of(environ)
        answered.microversion = asked
        return faults.answer(exc, answered)
    response.headers.extend(microversions.headers(asked))
    return response


def _telling(environ: dict[str, Any], start_response: Any) -> Any:
    """Adds the request id, where the filter before us has made one."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        made = environ.get(_REQUEST_ID)
        if made and _HEADER not in [name.lower() for name, _ in headers]:
            headers = [*headers, (_HEADER, made)]
        return start_response(status, headers, *rest)

    return start


def _shown(environ: dict[str, Any]) -> dict[str, Any] | None:
    """The document at a path, if there is one.

    A version is the last segment of where we are mounted, or else the only
    one of the path.
    """
    script = environ.get('SCRIPT_NAME', '')
    path = environ.get('PATH_INFO', '').removesuffix('/')
    base, _slash, mounted = script.rpartition('/')
    if mounted in _VERSIONS:
        return None if path else _document(environ, base, mounted)
    if path.removeprefix('/') in _VERSIONS:
        return _document(environ, script, path.removeprefix('/'))
    return None if path else _list(environ, script)


def _entry(environ: dict[str, Any], base: str, segment: str) -> dict[str, Any]:
    key, status, newest, oldest, updated, _type = _VERSIONS[segment]
    root = webob.Request(environ).host_url
    return {
        'id': key,
        'status': status,
        'version': newest,
        'min_version': oldest,
        'updated': updated,
        'links': [{'rel': 'self', 'href': f'{root}{base}/{segment}/'}],
    }


def _document(
    environ: dict[str, Any], base: str, segment: str
) -> dict[str, Any]:
    kind = 'application/vnd.openstack.compute+json'
    media = {
        'base': 'application/json',
        'type': f'{kind};version={_VERSIONS[segment][-1]}',
    }
    entry = _entry(environ, base, segment)
    links = [*entry['links'], _MANUAL]
    return {'version': {**entry, 'links': links, 'media-types': [media]}}


def _list(environ: dict[str, Any], base: str) -> dict[str, Any]:
    return {'versions': [_entry(environ, base, name) for name in _LISTED]}


def filter_factory(
    global_conf: dict[str, str], **local_conf: str
) -> Callable[[Application], Versions]:
    """The Paste filter ``versions``."""
    return Versions
