"""The one door to the API: requests of the plug-in, and what is answered.

All that comes through it is harmless on a terminal. What is refused is told
in the words of the API, which name the ways out.
"""

import re
import urllib.parse
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from keystoneauth1 import exceptions as keystone_exceptions

from aggregates_ext.client import harmless

# As the API writes ids: what it would read as one may be a name too.
_ID = re.compile('[1-9][0-9]{0,17}')
OPERATION = 'X-Aggregate-Operation'
# Who reads may ask again: nobody is there now, or not for everybody.
PASSING = (429, 500, 502, 503, 504)
_PASSING_ERRORS = (
    keystone_exceptions.ConnectFailure,
    keystone_exceptions.ConnectTimeout,
    keystone_exceptions.UnknownConnectionError,
    # Of Keystone, when a token is made anew.
    keystone_exceptions.HttpServerError,
)


class Refused(Exception):
    """The request has no effect; the message tells why.

    :ivar status: of the answer; None: there was none.
    :ivar passes: whether the same request may be answered later.
    """

    def __init__(
        self, message: str, status: int | None = None, passes: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.passes = passes


class Aggregate(NamedTuple):
    """An aggregate that somebody has named."""

    id: int
    name: str | None


class Accepted(NamedTuple):
    """A change that the API has accepted.

    :ivar operation: uuid of what carries it out; None: nothing has to.
    """

    body: dict[str, Any]
    operation: str | None


class Pools:
    """The extension os-aggregate-pools of one cloud.

    :param adapter: openstacksdk's for the compute API.
    """

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def find(self, text: str, *, deleted: bool = False) -> Aggregate:
        """An aggregate by id or name; an id is looked for first.

        :param deleted: whether an id need not be there any more.
        :raises Refused: there is none.
        """
        is_id = _ID.fullmatch(text) is not None
        if is_id:
            try:
                found = self._get(f'/os-aggregates/{text}', 'aggregate')
                return _aggregate(found)
            except Refused as exc:
                if exc.status != 404:
                    raise
        # An API that knows no such filter answers with all of them.
        listed = self._get('/os-aggregates', 'aggregates', name=text)
        for found in listed:
            if found.get('name') == text:
                return _aggregate(found)
        if deleted and is_id:
            return Aggregate(int(text), None)
        raise Refused(
            f'No aggregate has the name or id {harmless.clean(text)}; '
            '"openstack aggregate list" lists those there are.',
            404,
        )

    def pool(self, aggregate_id: int) -> dict[str, Any]:
        """The pool of an aggregate as it was last seen."""
        path = f'/os-aggregates/{aggregate_id}/pool'
        found: dict[str, Any] = self._get(path, 'pool')
        return found

    def allowed(
        self, aggregate_id: int, host: str | None
    ) -> Iterator[dict[str, Any]]:
        """Each action, with what it is about and why it would be refused.

        :param host: given: what is done with that one alone.
        """
        path = f'/os-aggregates/{aggregate_id}/allowed_actions'
        query = {} if host is None else {'host': host}
        found = self._get(path, 'allowed_actions', **query)
        parts = [
            ({'host': part.get('name')}, part.get('actions'))
            for part in found.get('hosts') or ()
        ]
        if host is None:
            parts.insert(0, ({}, found.get('actions')))
            parts += [
                ({'operation': part.get('uuid')}, part.get('actions'))
                for part in found.get('operations') or ()
            ]
        for about, told in parts:
            for entry in told or ():
                yield {**(entry.get('refusal') or {}), **entry, **about}

    def hosts(self) -> list[str]:
        """Names of all hosts that the compute API lists as services."""
        found = self._get('/os-services', 'services', binary='nova-compute')
        return sorted({str(_part(entry, 'host')) for entry in found})

    def operation(self, uuid: str) -> dict[str, Any]:
        """One operation, with its hosts, moves and guests."""
        name = urllib.parse.quote(uuid, safe='')
        path = f'/os-aggregates/operations/{name}'
        found: dict[str, Any] = self._get(path, 'operation')
        return found

    def pools(
        self, limit: int | None, **filters: Any
    ) -> Iterator[dict[str, Any]]:
        """All pools as they were last seen, by the ids of their aggregates.

        :param limit: how many at most; None: all.
        :param filters: ``state``, ``drift``, ``host``, ``availability_zone``
            and ``marker``, where they are not None.
        """
        path, root = '/os-aggregate-pools', 'pools'
        return self._pages(path, root, 'aggregate_id', limit, filters)

    def operations(
        self, aggregate_id: int, limit: int | None, **filters: Any
    ) -> Iterator[dict[str, Any]]:
        """The history of an aggregate, the newest first.

        :param limit: how many at most; None: all.
        :param filters: ``state`` and ``marker``, where they are not None.
        """
        path = f'/os-aggregates/{aggregate_id}/operations'
        return self._pages(path, 'operations', 'uuid', limit, filters)

    def _pages(
        self,
        path: str,
        root: str,
        key: str,
        limit: int | None,
        filters: Mapping[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """What a list has, page by page.

        :param root: what the list stands below.
        :param key: the field of an item that the next page begins after.
        """
        query = {n: v for n, v in filters.items() if v is not None}
        while True:
            if limit is not None:
                query['limit'] = limit
            body = self._ask('GET', path, params=query).body
            page = _part(body, root)
            yield from page
            if limit is not None or not body.get(f'{root}_links'):
                return
            if not page:
                return
            query['marker'] = page[-1][key]

    def act(
        self, aggregate_id: int, action: str, fields: Mapping[str, Any]
    ) -> Accepted:
        """Ask for an action; what was not said (None) is not sent."""
        sent = {name: v for name, v in fields.items() if v is not None}
        path = f'/os-aggregates/{aggregate_id}/action'
        return self._ask('POST', path, json={action: sent})

    def set_hosts(
        self, aggregate_id: int, fields: Mapping[str, Any]
    ) -> Accepted:
        """Say which hosts an aggregate is to have, or ask what that changes."""
        sent = {name: v for name, v in fields.items() if v is not None}
        path = f'/os-aggregates/{aggregate_id}/hosts'
        return self._ask('PUT', path, json={'membership': sent})

    def plan_hosts(
        self, aggregate_id: int, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a list of hosts would change, which is not done."""
        asked = {**fields, 'dry_run': True}
        accepted = self.set_hosts(aggregate_id, asked)
        found: dict[str, Any] = _part(accepted.body, 'plan')
        return found

    def check(
        self, aggregate_id: int, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What would forbid a change of a host, which is not made."""
        accepted = self.act(aggregate_id, 'check_host', fields)
        found: dict[str, Any] = _part(accepted.body, 'check')
        return found

    def plan(
        self, aggregate_id: int, action: str, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a run over all hosts would do, which is not done."""
        asked = {**fields, 'dry_run': True}
        accepted = self.act(aggregate_id, action, asked)
        found: dict[str, Any] = _part(accepted.body, 'plan')
        return found

    def _get(self, path: str, root: str, **query: Any) -> Any:
        return _part(self._ask('GET', path, params=query).body, root)

    def _ask(self, verb: str, path: str, **sent: Any) -> Accepted:
        """One request, which is sent once.

        :raises Refused: it was not answered, or with an error.
        """
        try:
            response = self._adapter.request(
                path, verb, raise_exc=False, **sent
            )
        except keystone_exceptions.ClientException as exc:
            raise Refused(
                harmless.clean(str(exc)),
                passes=isinstance(exc, _PASSING_ERRORS),
            ) from exc
        body = _parsed(response)
        if response.status_code >= 400:
            raise Refused(
                _reason(response, body),
                response.status_code,
                response.status_code in PASSING,
            )
        if not isinstance(body, dict):
            raise Refused(f'The answer to {verb} {path} is no JSON object.')
        return Accepted(body, harmless.clean(response.headers.get(OPERATION)))


def _aggregate(found: Mapping[str, Any]) -> Aggregate:
    return Aggregate(int(_part(found, 'id')), found.get('name'))


def _part(body: Mapping[str, Any], name: str) -> Any:
    """What stands below a name in an answer.

    :raises Refused: nothing does; it is another API.
    """
    if name not in body:
        raise Refused(
            f'The API has answered without "{name}": it has no extension '
            'os-aggregate-pools as this plug-in knows it.'
        )
    return body[name]


def _parsed(response: Any) -> Any:
    """The body as data; None: it is no JSON."""
    try:
        return harmless.clean(response.json())
    except ValueError:
        return None


def _reason(response: Any, body: Any) -> str:
    """What an answer tells of an error; a proxy's has no fault."""
    status = f'HTTP {response.status_code}'
    faults = body.values() if isinstance(body, dict) else ()
    for fault in faults:
        if isinstance(fault, dict) and isinstance(fault.get('message'), str):
            return f'{fault["message"]} ({status})'
    reason = harmless.clean(response.reason or '')
    return f'{status} {reason}, without a reason that can be read.'
