"""From a request to its handler, and from what that returns to an answer."""

import urllib.parse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import webob
from oslo_log import log as logging

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.api.edge import conditions
from aggregates_ext.api.edge import exchange
from aggregates_ext.api.edge import identity
from aggregates_ext.api.edge import looks
from aggregates_ext.api.edge import microversions
from aggregates_ext.api.edge import routing
from aggregates_ext.api.edge import wire
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import absent
from aggregates_ext.api.resources import aggregates
from aggregates_ext.api.resources import allowed
from aggregates_ext.api.resources import extensions
from aggregates_ext.api.resources import hosts
from aggregates_ext.api.resources import hypervisors
from aggregates_ext.api.resources import membership
from aggregates_ext.api.resources import operations
from aggregates_ext.api.resources import overview
from aggregates_ext.api.resources import pools
from aggregates_ext.api.resources import rolling
from aggregates_ext.api.resources import services
from aggregates_ext.api.resources import zones
from aggregates_ext.api.servers import instanceactions
from aggregates_ext.api.servers import migrations
from aggregates_ext.api.servers import serveractions
from aggregates_ext.api.servers import servers

LOG = logging.getLogger(__name__)

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]

OPERATION_HEADER = 'X-Aggregate-Operation'
# A filter of ours further up has the request already.
MARK = 'aggregates_ext.asked'

ACTIONS: dict[str, routing.Action] = {
    **aggregates.ACTIONS,
    **pools.ACTIONS,
    **operations.ACTIONS,
    **rolling.ACTIONS,
}


def act(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    aggregate_id: str,
    body: Any,
) -> dict[str, Any] | routing.Named | looks.Finished:
    """Run the one action that a body names."""
    name = schema.action(body)
    if name not in ACTIONS:
        raise exception.Invalid(
            reason=f'Aggregates does not have {ascii(name[:40])} action; it '
            f'has {", ".join(ACTIONS)}.'
        )
    action = ACTIONS[name]
    action.permit(ctx)
    result: dict[str, Any] | routing.Named | looks.Finished = action.handler(
        ctx, domain, shape, aggregate_id, body
    )
    return result


# What a route takes that has a body.
BODIES = ('body', 'fields')
_SAFE = ('GET', 'HEAD')
_ONE = '/os-aggregates/{aggregate_id}'
# Where an aggregate that was changed has a tag.
_TAGGED = (_ONE, f'{_ONE}/action')
_ACTION: routing.Routes = {
    '/os-aggregates/{aggregate_id}/action': {
        'POST': routing.Route(act, 'body')
    },
}
_OURS: routing.Routes = {
    **operations.ROUTES,
    **overview.ROUTES,
    **aggregates.ROUTES,
    **membership.ROUTES,
    **_ACTION,
}
# All that may be done to an aggregate: what routes are, then what the body of
# one names.
ALL_ACTIONS: dict[str, routing.Action] = {
    **{
        route.action: route.known
        for methods in _OURS.values()
        for route in methods.values()
        if route.known is not None
    },
    **ACTIONS,
}
_ALLOWED = allowed.Allowed(ALL_ACTIONS)
# What a compute API has of its own, and a stand-alone one must have too.
_NEIGHBOURS = (hosts, services, hypervisors, zones)
_OF_SERVERS = (servers, serveractions, migrations, instanceactions)


def catalogue(embedded: bool) -> extensions.Catalogue:
    """The extensions that are answered.

    :param embedded: in the pipeline of another compute API.
    """
    modules = (
        (aggregates, pools) if embedded else (aggregates, pools, *_NEIGHBOURS)
    )
    return extensions.Catalogue(module.EXTENSION for module in modules)


def routes(known: extensions.Catalogue, embedded: bool) -> routing.Routes:
    """Every path that is answered, the more special ones first."""
    table = {**known.routes(), **_OURS, **_ALLOWED.routes()}
    if not embedded:
        for module in (*_NEIGHBOURS, *_OF_SERVERS, absent):
            table |= module.ROUTES
    return table


class Application:
    """Dispatches requests; raises what ``faults`` makes answers of.

    :param domain: what handlers work on.
    :param enforcer: the policy.
    :param router: finds the handler.
    """

    def __init__(
        self,
        domain: routing.Domain,
        enforcer: context.Enforcer,
        router: routing.Router,
    ) -> None:
        self._domain = domain
        self._enforcer = enforcer
        self._router = router

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        place = self._router.place(environ)
        answered = exchange.begin(environ, place)
        match = self._router.match(place)
        arguments: dict[str, Any] = match.decoded() if match else {}
        ctx = identity.context_of(
            environ,
            self._enforcer,
            answered.request_id,
            arguments.get('project_id'),
        )
        if match is None:
            raise exception.NotServed()
        shape = _shape(environ, match, answered)
        _check_project(ctx, arguments.pop('project_id', None))
        route = _route(match, environ['REQUEST_METHOD'])
        if not route.serves(shape):
            raise exception.NotFound()
        request = webob.Request(environ)
        arguments |= _taken(route, shape, request, answered)
        condition = conditions.of(request)
        domain = self._domain
        if condition and environ['REQUEST_METHOD'] not in _SAFE:
            domain = domain.under(condition.check)
            condition = None
        if route.known is not None:
            route.known.permit(ctx)
        result = route.handler(ctx, domain, shape, **arguments)
        if isinstance(result, looks.Finished):
            known = _is_known(condition, result.tag, arguments)
            return answered.send(
                result,
                known=known,
                environ=environ,
                start_response=start_response,
            )
        response = _answer(result, request, match, answered)
        finished: Iterable[bytes] = response(environ, start_response)
        return finished


def _shape(
    environ: dict[str, Any], match: routing.Match, answered: exchange.Exchange
) -> shapes.Shape:
    """How the face of a request shows things.

    :raises exception.Invalid: its microversion is no version.
    :raises exception.NotAcceptable: it is not served.
    """
    if answered.legacy:
        return shapes.Legacy(answered.media.kind)

    def base() -> str:
        return _base(environ, match)

    if not match.place.microversions:
        return shapes.Modern(microversions.MIN, strict=False, base=base)
    # Known before it is refused: the refusal tells which it was, as Nova's.
    answered.microversion = microversions.of(environ)
    microversions.check(answered.microversion)
    return shapes.Modern(answered.microversion, base=base)


def _answer(
    result: dict[str, Any]
    | routing.Named
    | routing.Accepted
    | routing.Page
    | None,
    request: webob.Request,
    match: routing.Match,
    answered: exchange.Exchange,
) -> webob.Response:
    """What a handler says, as it is sent."""
    if isinstance(result, routing.Accepted):
        _log(result.what, request, answered)
        return answered.response(202, b'', answered.media.content_type)
    if isinstance(result, routing.Named) and result.operation:
        _log(f'operation {result.operation}', request, answered)
    if isinstance(result, routing.Page):
        result = _page(result, request)
    response = _respond(result, answered)
    if match.template in _TAGGED:
        response.etag = _tag(result, answered)
    return response


def _taken(
    route: routing.Route,
    shape: shapes.Shape,
    request: webob.Request,
    answered: exchange.Exchange,
) -> dict[str, Any]:
    """What a handler wants beside the arguments in the path.

    :raises exception.Invalid: a question has a query that nobody reads.
    """
    found: dict[str, Any] = {}
    if route.takes in BODIES:
        found['body'] = wire.read(
            request, xml=answered.legacy, bare=route.takes == 'fields'
        )
    elif route.takes:
        found['query'] = schema.parse_query(request.query_string)
    elif request.method in _SAFE and shape.supports(shapes.KNOWN_QUERIES):
        query = schema.parse_query(request.query_string)
        schema.check_query(query, schema.NO_QUERY, strict=True)
    return found


def _log(
    what: str, request: webob.Request, answered: exchange.Exchange
) -> None:
    LOG.info(
        '%s %s is accepted as %s, request %s',
        request.method,
        ascii(request.path)[1:-1],
        what,
        answered.request_id,
    )


def _base(environ: dict[str, Any], match: routing.Match) -> str:
    """The URL of a request up to where its route begins."""
    url = webob.Request(environ).path_url
    return str(url.rsplit('/', match.template.count('/'))[0])


def _check_project(ctx: context.RequestContext, project: str | None) -> None:
    if project is not None and project != ctx.project_id:
        raise exception.Invalid(
            reason=f'Malformed request url: project {ascii(project[:64])} is '
            f'not that of the token, {ctx.project_id}.'
        )


def _route(match: routing.Match, method: str) -> routing.Route:
    route = match.methods.get('GET' if method == 'HEAD' else method)
    read = match.methods.get('GET')
    if route is None or (method == 'HEAD' and route.changes):
        allowed = [*match.methods]
        if read is not None and not read.changes:
            allowed.append('HEAD')
        raise exception.MethodNotAllowed(
            method=ascii(method[:20]), allowed=', '.join(allowed)
        )
    return route


def _tag(
    result: dict[str, Any] | routing.Named | None, answered: exchange.Exchange
) -> str | None:
    """The tag of the aggregate that is shown, if one is."""
    body = result.body if isinstance(result, routing.Named) else result
    if not body or 'aggregate' not in body:
        return None
    return conditions.tag(body['aggregate'], answered.media.kind)


def _is_known(
    condition: conditions.Condition | None,
    name: str | None,
    arguments: Mapping[str, Any],
) -> bool:
    """Whether whoever asks for an aggregate has it already.

    :param name: the tag of what is shown, if it has one.
    :raises exception.PreconditionFailed: it is not what If-Match wants.
    """
    if condition is None or name is None:
        return False
    if not condition.is_wanted([name]):
        raise exception.PreconditionFailed(**arguments)
    return condition.is_known([name])


def _page(page: routing.Page, request: webob.Request) -> dict[str, Any]:
    """A list, with a link to its next page where there is one."""
    body: dict[str, Any] = {page.collection: page.items}
    if page.marker is not None:
        query = schema.parse_query(request.query_string)
        following = urllib.parse.urlencode({**query, 'marker': page.marker})
        body[page.links or f'{page.collection}_links'] = [
            {'rel': 'next', 'href': f'{request.path_url}?{following}'}
        ]
    return body


def _respond(
    result: dict[str, Any] | routing.Named | None, answered: exchange.Exchange
) -> webob.Response:
    headers = []
    if isinstance(result, routing.Named):
        if result.operation is not None:
            headers.append((OPERATION_HEADER, result.operation))
        result = result.body
    media = answered.media
    body = b'' if result is None else wire.write(result, media)
    return answered.response(200, body, media.content_type, headers)


class Filter:
    """Lets the application answer what is ours; all else passes untouched.

    :param application: ours, wrapped for faults.
    :param router: tells what is ours.
    :param known: the extensions that are ours.
    :param next_application: what comes behind in the pipeline.
    """

    def __init__(
        self,
        application: WSGI,
        router: routing.Router,
        known: extensions.Catalogue,
        next_application: WSGI,
    ) -> None:
        self._application = application
        self._router = router
        self._known = known
        self._next = next_application

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        match = None
        if MARK not in environ:
            match = self._router.find(environ)
        if match is None or self._is_foreign(environ, match):
            return self._next(environ, start_response)
        if match.template == extensions.COLLECTION:
            return self._discover(environ, start_response, match)
        return self._application(environ, start_response)

    def _is_foreign(
        self, environ: dict[str, Any], match: routing.Match
    ) -> bool:
        if match.may_be_foreign(identity.project_of(environ)):
            return True
        if match.template == extensions.ITEM:
            return match.arguments['alias'] not in self._known
        return match.template == extensions.COLLECTION and environ[
            'REQUEST_METHOD'
        ] not in ('GET', 'HEAD')

    def _discover(
        self,
        environ: dict[str, Any],
        start_response: Any,
        match: routing.Match,
    ) -> Iterable[bytes]:
        """Our extensions among those of the next application."""
        theirs = extensions.ask({**environ, MARK: True}, match, self._next)
        if theirs.code == 404:
            theirs.close()
            return self._application(environ, start_response)
        media = wire.JSON
        if match.place.face == routing.LEGACY:
            media = wire.choose(environ.get('HTTP_ACCEPT'), match.place.suffix)
        return self._known.merge(theirs, media)(environ, start_response)
