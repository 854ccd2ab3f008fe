"""What Nova does not notice: all that is not ours is as without us.

Three servers share Nova's databases: Nova as it is, Nova with the filter in
its pipelines, Nova with our application at prefixes of its own. The edits of
its Paste file are those of the document.
"""

import contextlib
import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest

from tests.integration import nova

pytestmark = pytest.mark.long

OTHER = 'aaaaaaaa0b6d4b6f9a3e8d7c6b5a4f3e'
PREFIXES = ['/v2.1', f'/v2.1/{nova.PROJECT}', '/v2', f'/v2/{nova.PROJECT}']
KEYPAIR = {'keypair': {'title': 'k'}}


class Case(NamedTuple):
    """A request for Nova; ``path`` comes after the prefix."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}


CASES = [
    # Versions and resources.
    Case('GET', ''),
    Case('GET', '/'),
    Case('HEAD', '/'),
    Case('GET', '/servers'),
    Case('GET', '/servers/detail?all_tenants=1'),
    Case('GET', '/servers?limit=x'),
    Case('GET', '/servers?unknown=1&name=%ff'),
    Case('GET', '/servers/unknown'),
    Case('GET', '/flavors'),
    Case('GET', '/flavors/detail?is_public=None'),
    Case('GET', '/os-keypairs'),
    Case('GET', '/limits'),
    Case('GET', '/os-services'),
    Case('GET', '/os-hypervisors'),
    Case('GET', '/os-availability-zone/detail'),
    Case('GET', '/os-hosts'),
    Case('GET', '/flavors', headers={'OpenStack-API-Version': 'compute 2.90'}),
    Case('GET', '/flavors', headers={'X-OpenStack-Nova-API-Version': '2.41'}),
    Case('GET', '/flavors', headers={'OpenStack-API-Version': 'compute 9.9'}),
    Case('GET', '/flavors', headers={'Accept': 'application/xml'}),
    Case('GET', '/flavors', headers={'If-None-Match': '"x"'}),
    # Paths that look like ours.
    Case('GET', '/servers/os-aggregates'),
    Case('GET', '/servers/os-aggregates/1'),
    Case('GET', '/flavors/extensions'),
    Case('GET', '/os-aggregates/'),
    Case('GET', '/os-aggregates//'),
    Case('GET', '/os-aggregates.json'),
    Case('GET', '/os-aggregates.xml'),
    Case('GET', '/OS-AGGREGATES'),
    Case('GET', '/os-aggregates%0a'),
    Case('GET', '/os-aggregates%00'),
    Case('GET', '/os-aggregatesx'),
    Case('GET', '/os-aggregates/1/unknown'),
    Case('GET', '/os-aggregates/1/action/x'),
    Case('GET', '/a/b/os-aggregates'),
    # Discovery of what is Nova's.
    Case('GET', '/extensions/os-services'),
    Case('GET', '/extensions/unknown'),
    Case('GET', '/extensions/'),
    Case('GET', '/extensions.json'),
    Case('POST', '/extensions', {'extension': {}}),
    Case('PUT', '/extensions', {}),
    Case('DELETE', '/extensions'),
    Case('OPTIONS', '/extensions'),
    Case('PATCH', '/extensions', {}),
    # What nobody knows.
    Case('GET', '/unknown'),
    Case('GET', '/%ff'),
    Case('GET', '/%ff/servers'),
    Case('GET', '/servers/%e2%82'),
    Case('GET', '/servers/..%2fos-aggregates'),
    Case('GET', '/flavors/'),
    Case('GET', '/flavors.json'),
    Case('GET', '/flavors.xml'),
    Case('GET', '/flavors?_method=DELETE'),
    # Methods and bodies.
    Case('HEAD', '/flavors'),
    Case('OPTIONS', '/flavors'),
    Case('PATCH', '/flavors', {}),
    Case('BREW', '/flavors'),
    Case('DELETE', '/flavors/unknown'),
    Case('POST', '/servers', b'{'),
    Case('POST', '/servers', b'\xff\xfe'),
    Case('POST', '/servers', b''),
    Case('POST', '/servers', {'server': 1}),
    Case('POST', '/os-keypairs', KEYPAIR),
    Case('POST', '/os-keypairs', [b'{"keypair": ', b'{"title": "k"}}']),
    Case('POST', '/os-keypairs', [b'{"keypair": ', b'{"name"']),
    Case('POST', '/flavors', b'[' + b' ' * 200_000),
    Case('POST', '/flavors', b'a=1', {'Content-Type': 'text/html'}),
    Case(
        'POST',
        '/flavors',
        b'_method=DELETE',
        {'Content-Type': 'application/x-www-form-urlencoded'},
    ),
    # Who asks.
    Case('GET', '/flavors', headers={'X-User-Id': ''}),
    Case('GET', '/flavors', headers={'X-Roles': 'reader'}),
]
# Below no version, and below another project than the caller's.
ELSEWHERE = [
    Case('GET', '/'),
    Case('HEAD', '/'),
    Case('GET', ''),
    Case('GET', '/v3'),
    Case('GET', '/v2.1?x=1'),
    Case('GET', '/v2.11/os-aggregates'),
    Case('GET', '/os-aggregates'),
    Case('GET', '/extensions'),
    Case('GET', '/%ff'),
    Case('POST', '/', b'{}'),
    Case('GET', f'/v2.1/{OTHER}/flavors'),
    Case('GET', f'/v2.1/{OTHER}/extensions'),
]
# Nova's own, which the filter shadows and a neighbour does not.
NOVAS = [
    Case('GET', '/os-aggregates'),
    Case('GET', '/os-aggregates/1'),
    Case('GET', '/os-aggregates/unknown'),
    Case('GET', '/os-aggregates/1/pool'),
    Case('PUT', '/os-aggregates/1', {'aggregate': {}}),
    Case('POST', '/os-aggregates', {'aggregate': {'name': ''}}),
    Case('POST', '/os-aggregates/1/action', {'add_host': {'host': 'no'}}),
    Case('DELETE', '/os-aggregates/99'),
    Case('GET', '/extensions'),
    Case('GET', '/extensions/os-aggregates'),
    Case('GET', '/extensions/os-aggregate-pools'),
]


def differences(
    plain: nova.Server, edited: nova.Server, prefix: str, cases: list[Case]
) -> list[Any]:
    """The requests that the two servers do not answer alike."""
    found = []
    for case in cases:
        answers = [
            server.request(
                case.method,
                prefix + case.path,
                case.body,
                **{k.replace('-', '_'): v for k, v in case.headers.items()},
            )
            for server in (plain, edited)
        ]
        if answers[0] != answers[1]:
            found.append((case, *answers))
    return found


@pytest.mark.parametrize('prefix', PREFIXES)
def test_other_urls_answer_as_without_the_filter(
    plain: nova.Server, filtered: nova.Server, prefix: str
) -> None:
    assert differences(plain, filtered, prefix, CASES) == []


def test_other_places_answer_as_without_the_filter(
    plain: nova.Server, filtered: nova.Server
) -> None:
    assert differences(plain, filtered, '', ELSEWHERE) == []


@pytest.fixture
def novas_aggregate(plain: nova.Server) -> Iterator[int]:
    """An aggregate of Nova's own."""
    body = {'aggregate': {'name': 'novas', 'availability_zone': 'az9'}}
    answer = plain.request('POST', '/v2.1/os-aggregates', body)
    assert answer.status == 200, answer
    key: int = answer.json()['aggregate']['id']
    yield key
    path = f'/v2.1/os-aggregates/{key}'
    assert plain.request('DELETE', path).status == 200


@pytest.mark.parametrize('prefix', ['/v2.1', '/v2'])
def test_beside_it_nova_is_as_it_was(
    plain: nova.Server,
    beside: nova.Server,
    novas_aggregate: int,
    prefix: str,
) -> None:
    assert differences(plain, beside, prefix, CASES + NOVAS) == []
    path = f'/v2.1/os-aggregates/{novas_aggregate}'
    assert plain.request('GET', path) == beside.request('GET', path)
    assert differences(plain, beside, '', ELSEWHERE) == []


@pytest.mark.parametrize(
    ('place', 'stamp'),
    [(f'/v1.1/{nova.PROJECT}', ' '), ('/pools/v2.1', 'T')],
)
def test_beside_it_ours_answers_too(
    nova_directory: pathlib.Path,
    beside: nova.Server,
    novas_aggregate: int,
    place: str,
    stamp: str,
) -> None:
    body = {'aggregate': {'name': 'pool2', 'availability_zone': 'az1'}}
    answer = beside.request('POST', f'{place}/os-aggregates', body)
    assert answer.status == 200, answer
    created = answer.json()['aggregate']
    assert created['created_at'][10] == stamp
    path = f'{place}/os-aggregates/{created["id"]}'
    shown = beside.request('GET', path).json()['aggregate']
    assert shown['name'] == 'pool2'
    assert 'pool2' in rows(nova_directory, 'beside')
    assert rows(nova_directory, 'nova_api') == ['novas']
    listed = beside.request('GET', '/v2.1/os-aggregates').json()['aggregates']
    assert [entry['name'] for entry in listed] == ['novas']
    refused = beside.request('GET', path, X_Roles='reader')
    assert refused.status == 403
    assert beside.request('GET', path, X_User_Id='').status == 401
    assert beside.request('DELETE', path).status == 200


def test_beside_it_versions_tell_their_place(beside: nova.Server) -> None:
    for path in ('/v1.1', '/v1.1/', '/pools/v2.1', '/pools/v2.1/'):
        answer = beside.request('GET', path, X_User_Id='')
        [link, *_rest] = answer.json()['version']['links']
        assert link['href'] == f'http://nova.test{path.rstrip("/")}/'
    listed = beside.request('GET', '/pools/').json()['versions']
    assert {entry['links'][0]['href'] for entry in listed} == {
        'http://nova.test/pools/v2/',
        'http://nova.test/pools/v2.1/',
    }


@pytest.mark.parametrize('edited', ['filtered', 'beside'])
def test_the_process_is_as_without_us(
    request: pytest.FixtureRequest, plain: nova.Server, edited: str
) -> None:
    server: nova.Server = request.getfixturevalue(edited)
    for asked in (plain, server):
        for path in ('/v2.1/flavors', '/v2.1/extensions', '/v2.1/servers'):
            assert asked.request('GET', path).status == 200
        asked.request('GET', '/v2.1/os-aggregates')
        asked.request('GET', f'/v1.1/{nova.PROJECT}/os-aggregates')
    before, after = plain.state(), server.state()
    assert before.keys() == after.keys()
    changed = [name for name in before if after[name] != before[name]]
    assert changed == [], [(before[name], after[name]) for name in changed]


def test_the_databases_of_nova_are_as_without_us(
    nova_directory: pathlib.Path, filtered: nova.Server, beside: nova.Server
) -> None:
    for name in ('nova', 'nova_api', 'nova_cell0'):
        for table in tables(nova_directory / f'{name}.sqlite'):
            assert table != 'aggregates_ext_version', name
            assert table not in ('operations', 'hosts'), name


def test_shadowing_is_logged_at_the_start(
    plain: nova.Server, filtered: nova.Server, beside: nova.Server
) -> None:
    # Who answers has started, and said so.
    for server in (plain, filtered, beside):
        server.request('GET', '/')
    line = 'os-aggregates is answered here'
    # Once for each pipeline.
    assert filtered.log.read_text().count(line) == 2
    assert line not in beside.log.read_text() + plain.log.read_text()


def tables(database: pathlib.Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [
            name
            for (name,) in connection.execute('SELECT name FROM sqlite_master')
        ]


def rows(directory: pathlib.Path, name: str) -> list[str]:
    """The names of the aggregates in a database."""
    path = directory / f'{name}.sqlite'
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute('SELECT name FROM aggregates').fetchall()
    return [name for (name,) in found]
