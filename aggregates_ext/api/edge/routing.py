"""Which request is ours: faces, paths and their handlers.

Matching looks at the raw environment and changes nothing in it, so that in a
pipeline what is not ours passes as it came.
"""

import dataclasses
import re
import types
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import routes

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.api.edge import looks
from aggregates_ext.api.edge import remembered
from aggregates_ext.api.forms import shapes
from aggregates_ext.db import records
from aggregates_ext.domain import aggregates
from aggregates_ext.domain import guests
from aggregates_ext.domain import inventory
from aggregates_ext.domain import moves
from aggregates_ext.domain import operations
from aggregates_ext.domain import overview
from aggregates_ext.domain import pools
from aggregates_ext.domain.maintenance import enabling
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering
from aggregates_ext.domain.maintenance import rolling
from aggregates_ext.domain.membership import declared
from aggregates_ext.domain.membership import members
from aggregates_ext.domain.membership import retries
from aggregates_ext.domain.outlook import situation

LEGACY = 'legacy'
MODERN = 'modern'
AUTO = 'auto'
FACES = (LEGACY, MODERN, AUTO)
# Set by Nova's own filter in front of its /v2.
LEGACY_V2 = 'openstack.legacy_v2'
_VERSIONS = ('v1.1', 'v2', 'v2.1')
_HEXADECIMAL = re.compile('[0-9a-f-]+')
# What an action names.
AGGREGATE, HOST, OPERATION = 'aggregate', 'host', 'operation'


class Domain(NamedTuple):
    """What handlers work on."""

    aggregates: aggregates.Aggregates
    members: members.Members
    membership: declared.Membership
    operations: operations.Operations
    overview: overview.Overview
    pools: pools.Pools
    retries: retries.Retries
    inventory: inventory.Inventory
    looks: looks.Looks
    enabling: enabling.Enabling
    maintenance: entering.Maintenance
    powering: powering.Powering
    rolling: rolling.Rolling
    guests: guests.Guests
    moves: moves.Moves
    outlook: situation.Outlook

    def under(self, guard: Callable[[records.Aggregate], None]) -> 'Domain':
        """The same for one request that wants an aggregate so, or not."""
        return Domain(
            self.aggregates.under(guard),
            self.members.under(guard),
            self.membership.under(guard),
            self.operations.under(guard),
            self.overview,
            self.pools.under(guard),
            self.retries.under(guard),
            self.inventory,
            self.looks,
            # What is asked there is about no aggregate.
            self.enabling,
            self.maintenance.under(guard),
            self.powering.under(guard),
            self.rolling.under(guard),
            self.guests,
            self.moves,
            self.outlook,
        )


class Question(NamedTuple):
    """One way to ask for an action, and what tells whether it is taken.

    :ivar about: what it names: ``AGGREGATE``, ``HOST`` or ``OPERATION``.
    :ivar check: gets a situation and that; raises what would be refused.
    :ivar asked: what a request says besides.
    :ivar beside: rules of the policy that this way takes besides, by what it
        names.
    """

    about: str
    check: Callable[[situation.Situation, Any], object]
    asked: Mapping[str, Any] = types.MappingProxyType({})
    beside: Callable[[Any], tuple[str, ...]] = lambda _named: ()


class Action(NamedTuple):
    """What somebody may do to an aggregate, its hosts or its operations.

    :ivar handler: as of a route.
    :ivar rules: of the policy, which are asked before it is called.
    :ivar questions: tell whether it would be taken (design#allowed-actions).
    """

    handler: Callable[..., Any]
    rules: tuple[str, ...]
    questions: tuple[Question, ...]

    def permit(self, ctx: context.RequestContext) -> None:
        """:raises exception.Forbidden: by policy."""
        for rule in self.rules:
            ctx.can(rule)


class Route(NamedTuple):
    """A handler and what it wants beside the arguments in the path.

    :ivar handler: called with the context, the domain, the shape, the
        arguments in the path by name, and ``takes``.
    :ivar takes: 'body', 'fields', which is a body without a root, 'query'
        or nothing.
    :ivar until: the first microversion that does not have it any more.
    :ivar since: the first one that has it; before, and on the legacy face,
        there is none.
    :ivar changes: whether a GET changes something, as Nova's does: no HEAD
        stands for it.
    :ivar action: the name of that which it is, where it is one.
    :ivar known: what is known of that.
    """

    handler: Callable[..., Any]
    takes: str = ''
    until: tuple[int, int] | None = None
    since: tuple[int, int] | None = None
    changes: bool = False
    action: str = ''
    known: Action | None = None

    @classmethod
    def of(cls, name: str, action: Action, takes: str = '') -> 'Route':
        """The route that is an action, by its name."""
        return cls(action.handler, takes, action=name, known=action)

    def serves(self, shape: shapes.Shape) -> bool:
        """Whether it is there for a client."""
        if self.until and shape.supports(self.until):
            return False
        return self.since is None or shape.supports(self.since)


class Named(NamedTuple):
    """An answer with the operation that will carry it out."""

    body: dict[str, Any] | None
    operation: str | None


class Accepted(NamedTuple):
    """An answer that says nothing but that it will be done.

    :ivar what: that will be done, for the log.
    """

    what: str


class Page(NamedTuple):
    """A list, or one page of it.

    :ivar collection: the name of the list.
    :ivar items: a long list makes them one by one.
    :ivar marker: of the last one shown, when more follow.
    :ivar links: the name of its links, where it is not that of the list
        with ``_links``.
    """

    collection: str
    items: Iterable[dict[str, Any]]
    marker: str | None
    links: str = ''

    @classmethod
    def of(
        cls,
        collection: str,
        items: list[dict[str, Any]],
        limit: int | None,
        key: str,
        links: str = '',
    ) -> 'Page':
        """The page that one more item than asked for makes.

        :param key: the field by which an item is a marker.
        """
        shown = items[:limit]
        more = bool(shown) and len(items) > len(shown)
        marker = str(shown[-1][key]) if more else None
        return cls(collection, shown, marker, links)


Routes = Mapping[str, Mapping[str, Route]]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a request goes, below the version.

    :ivar face: ``LEGACY`` or ``MODERN``.
    :ivar path: raw, without version and suffix.
    :ivar suffix: 'json' or 'xml', where the path ends so.
    :ivar microversions: whether they are read.
    """

    face: str
    path: str
    suffix: str | None = None
    microversions: bool = False


@dataclasses.dataclass(frozen=True)
class Match:
    """A path of ours.

    :ivar template: the key in the routes.
    :ivar arguments: raw, as the server handed them over.
    """

    place: Place
    template: str
    methods: Mapping[str, Route]
    arguments: Mapping[str, str]

    def decoded(self) -> dict[str, str]:
        """The arguments as text.

        :raises exception.Invalid: they are not UTF-8.
        """
        try:
            return {
                name: value.encode('latin-1').decode()
                for name, value in self.arguments.items()
            }
        except UnicodeError:
            raise exception.Invalid(
                reason='Malformed request url: it is not UTF-8.'
            ) from None

    def may_be_foreign(self, project_id: str | None) -> bool:
        """Whether the first segment may not be a project at all.

        In front of another application ``/servers/os-aggregates`` is its
        own; a project is hexadecimal there, or the caller's.
        """
        segment = self.arguments.get('project_id')
        return (
            self.place.face == MODERN
            and segment not in (None, project_id)
            and not _HEXADECIMAL.fullmatch(segment or '')
        )


class Router:
    """Finds the handlers of a path.

    :param table: path -> method -> route.
    :param face: one of ``FACES``.
    :param embedded: in the pipeline of another application, whose ``/v2``
        has the modern shapes.
    """

    def __init__(
        self, table: Routes, face: str = AUTO, embedded: bool = False
    ) -> None:
        if face not in FACES:
            raise exception.Invalid(
                reason=f'face = {face} in the Paste file is none of '
                f'{", ".join(FACES)}.'
            )
        self._table = table
        self._face = face
        self._embedded = embedded
        self._mappers = {
            LEGACY: _mapper(table, ('/{project_id}',)),
            MODERN: _mapper(table, ('', '/{project_id}')),
        }
        self._find_again = remembered.remembered(self._find)

    def place(self, environ: Mapping[str, Any]) -> Place:
        """The face and the path of a request, ours or not."""
        path = environ.get('PATH_INFO', '')
        version = environ.get('SCRIPT_NAME', '').rpartition('/')[2]
        if version not in _VERSIONS:
            first = path.split('/', 2)[1:2]
            version = first[0] if first and first[0] in _VERSIONS else ''
            path = path.removeprefix(f'/{version}') if version else path
        legacy_v2 = LEGACY_V2 in environ
        face = self._face
        if face == AUTO:
            old = ('v1.1',) if self._embedded else ('v1.1', 'v2')
            face = LEGACY if version in old and not legacy_v2 else MODERN
        if face == LEGACY:
            stem, _dot, suffix = path.rpartition('.')
            if suffix in ('json', 'xml'):
                return Place(face, stem, suffix)
            return Place(face, path)
        return Place(
            face, path, microversions=version != 'v2' and not legacy_v2
        )

    def find(self, environ: Mapping[str, Any]) -> Match | None:
        """What a request matches, or None when it is not ours."""
        return self.match(self.place(environ))

    def match(self, place: Place) -> Match | None:
        """What is at a place, or None where nothing of ours is."""
        if not place.path.startswith('/') or place.path.endswith('\n'):
            return None
        found = self._find_again(place.face, place.path)
        if found is None:
            return None
        template, arguments = found
        return Match(place, template, self._table[template], arguments)

    def _find(
        self, face: str, path: str
    ) -> tuple[str, Mapping[str, str]] | None:
        """The template of a path, and what stands in it for its arguments."""
        found = self._mappers[face].routematch(path)
        if found is None:
            return None
        arguments = dict(found[0])
        return arguments.pop('template'), arguments


def _mapper(table: Routes, prefixes: tuple[str, ...]) -> routes.Mapper:
    mapper = routes.Mapper(controller_scan=None, register=False)
    mapper.minimization = False
    for prefix in prefixes:
        for template in table:
            mapper.connect(None, f'{prefix}{template}', template=template)
    mapper.create_regs()
    return mapper
