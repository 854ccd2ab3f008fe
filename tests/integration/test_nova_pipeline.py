"""The filter in the pipelines of a real Nova API.

Two servers share Nova's databases: one with Nova's own pipelines, one with
the filter in them.
"""

import contextlib
import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import nova

pytestmark = pytest.mark.long

AGGREGATES = {
    'alias': 'os-aggregates',
    'name': 'Aggregates',
    'namespace': 'http://docs.openstack.org/compute/ext/aggregates/api/v1.1',
    'updated': '2012-01-12T00:00:00+00:00',
    'description': 'Admin-only aggregate administration',
    'links': [],
}
PREFIXES = ['/v2.1', f'/v2.1/{nova.PROJECT}', '/v2']


@pytest.fixture
def aggregate(filtered: nova.Server) -> Iterator[dict[str, Any]]:
    body = {'aggregate': {'name': 'pool1', 'availability_zone': 'az1'}}
    answer = filtered.request('POST', '/v2.1/os-aggregates', body)
    assert answer.status == 200, answer
    created = answer.json()['aggregate']
    yield created
    path = f'/v2.1/os-aggregates/{created["id"]}'
    assert filtered.request('DELETE', path).status == 200


def names(database: pathlib.Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute('SELECT name FROM aggregates').fetchall()
    return [name for (name,) in rows]


def test_nova_answers_without_a_user(
    plain: nova.Server, filtered: nova.Server
) -> None:
    answer = filtered.request('GET', '/v2.1/os-aggregates', X_User_Id='')
    assert answer.status == 401
    assert answer == plain.request('GET', '/v2.1/os-aggregates', X_User_Id='')


def test_a_body_for_nova_reaches_nova(
    plain: nova.Server, filtered: nova.Server
) -> None:
    flavor = {'name': 'small', 'ram': 64, 'vcpus': 1, 'disk': 1}
    answer = filtered.request('POST', '/v2.1/flavors', {'flavor': flavor})
    assert answer.status == 200
    path = f'/v2.1/flavors/{answer.json()["flavor"]["id"]}'
    shown = plain.request('GET', path).json()['flavor']
    assert flavor.items() <= shown.items()


@pytest.mark.parametrize('prefix', PREFIXES)
def test_extensions_are_those_of_nova_and_ours(
    plain: nova.Server, filtered: nova.Server, prefix: str
) -> None:
    before = plain.request('GET', f'{prefix}/extensions')
    after = filtered.request('GET', f'{prefix}/extensions')
    expected = [
        AGGREGATES if entry['alias'] == 'os-aggregates' else entry
        for entry in before.json()['extensions']
    ]
    *merged, last = after.json()['extensions']
    assert AGGREGATES in merged
    assert merged == expected
    assert last['alias'] == 'os-aggregate-pools'
    assert after.status == 200
    assert after.lasting_headers() == before.lasting_headers()
    assert ('content-length', str(len(after.body))) in after.headers


def test_refused_extensions_stay_refused(
    plain: nova.Server, filtered: nova.Server
) -> None:
    version = {'OpenStack_API_Version': 'compute 2.999'}
    answer = filtered.request('GET', '/v2.1/extensions', **version)
    assert answer.status == 406
    assert answer == plain.request('GET', '/v2.1/extensions', **version)


@pytest.mark.parametrize('prefix', PREFIXES)
def test_extension_is_ours(filtered: nova.Server, prefix: str) -> None:
    answer = filtered.request('GET', f'{prefix}/extensions/os-aggregates')
    assert answer.status == 200
    assert answer.json() == {'extension': AGGREGATES}


def test_aggregates_are_kept_in_our_database(
    nova_directory: pathlib.Path, aggregate: dict[str, Any]
) -> None:
    assert names(nova_directory / 'aggregates_ext.sqlite') == ['pool1']
    assert names(nova_directory / 'nova_api.sqlite') == []


@pytest.mark.parametrize('prefix', PREFIXES)
def test_aggregates_are_listed(
    filtered: nova.Server, aggregate: dict[str, Any], prefix: str
) -> None:
    answer = filtered.request('GET', f'{prefix}/os-aggregates')
    assert answer.status == 200
    assert answer.json() == {
        'aggregates': [
            aggregate | {'hosts': [], 'metadata': {'availability_zone': 'az1'}}
        ]
    }


def test_pools_extension_answers(
    plain: nova.Server, filtered: nova.Server, aggregate: dict[str, Any]
) -> None:
    path = f'/v2.1/os-aggregates/{aggregate["id"]}/pool'
    assert plain.request('GET', path).status == 404
    assert filtered.request('GET', path).status == 200


@pytest.mark.parametrize('field', ['name', 'availability_zone'])
@pytest.mark.parametrize(
    ('prefix', 'status'), [*zip(PREFIXES, (400, 400, 200), strict=True)]
)
def test_white_space_is_taken_where_nova_takes_it(
    plain: nova.Server,
    filtered: nova.Server,
    prefix: str,
    status: int,
    field: str,
) -> None:
    path = f'{prefix}/os-aggregates'
    body = {'aggregate': {'name': 'pool1', field: ' a '}}
    for server in (plain, filtered):
        answer = server.request('POST', path, body)
        assert answer.status == status
        if status == 200:
            created = answer.json()['aggregate']
            assert created[field] == 'a'
            key = created['id']
            assert server.request('DELETE', f'{path}/{key}').status == 200


@pytest.mark.parametrize('prefix', PREFIXES)
def test_rights_are_those_of_the_context_of_nova(
    filtered: nova.Server, prefix: str
) -> None:
    path = f'{prefix}/os-aggregates'
    answer = filtered.request('GET', path, X_Roles='member,reader')
    assert answer.status == 403
    assert answer.json()['forbidden']['code'] == 403
