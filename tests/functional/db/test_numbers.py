"""Numbers that no column holds are answered as what they are: not there."""

from collections.abc import Iterator

import pytest
import webob

from tests.functional import api_service

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
NUMBERS = [0, -1, 2**31, 2**31 - 1, 2**32, 2**63, 2**63 - 1, int('9' * 20)]
PATHS = [
    ('GET', '/os-aggregates/{}', None),
    ('GET', '/os-aggregates/{}/pool', None),
    ('GET', '/os-aggregates/{}/operations', None),
    ('PUT', '/os-aggregates/{}', {'aggregate': {'name': 'other'}}),
    ('DELETE', '/os-aggregates/{}', None),
    ('POST', '/os-aggregates/{}/action', {'add_host': {'host': 'xen1'}}),
    ('POST', '/os-aggregates/{}/action', {'remove_host': {'host': 'xen1'}}),
    (
        'POST',
        '/os-aggregates/{}/action',
        {'set_metadata': {'metadata': {'a': 'b'}}},
    ),
    (
        'POST',
        '/os-aggregates/{}/action',
        {'reset': {'host': 'xen1', 'outcome': 'free'}},
    ),
    ('GET', '/os-aggregates?marker={}', None),
    ('GET', '/os-aggregates?limit={}', None),
]


@pytest.fixture
def api(database_url: str) -> Iterator[api_service.WSGI]:
    application, database = api_service.make(url=database_url)
    yield application
    database.dispose()


@pytest.mark.every_database
def test_no_number_is_too_much(api: api_service.WSGI) -> None:
    seen = {}
    for method, path, body in PATHS:
        for number in NUMBERS:
            request = webob.Request.blank(
                f'/v2.1{path.format(number)}', method=method, headers=ADMIN
            )
            if body is not None:
                request.json = body
            answer = request.get_response(api)
            seen[method, path, number] = answer.status_int
    listed = [n for (_, path, _), n in seen.items() if '?' in path]
    others = [n for (_, path, _), n in seen.items() if '?' not in path]
    assert set(listed) <= {200, 400}, seen
    assert set(others) <= {404, 400}, seen
