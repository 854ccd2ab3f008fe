"""The version documents, and nothing but them."""

from collections.abc import Iterable
from typing import Any

import pytest
import webob

from aggregates_ext.api.edge import versions


def behind(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start('418 Teapot', [])
    return [b'behind']


APPLICATION = versions.filter_factory({})(behind)


def get(path: str, script: str = '', method: str = 'GET') -> webob.Response:
    request = webob.Request.blank(path, method=method)
    request.script_name = script
    request.path_info = path
    return request.get_response(APPLICATION)


@pytest.mark.parametrize(
    ('script', 'path', 'key', 'link'),
    [
        ('', '/v2.1', 'v2.1', '/v2.1/'),
        ('', '/v2.1/', 'v2.1', '/v2.1/'),
        ('/v2.1', '', 'v2.1', '/v2.1/'),
        ('/v2.1', '/', 'v2.1', '/v2.1/'),
        ('/compute/v2.1', '/', 'v2.1', '/compute/v2.1/'),
        ('/compute', '/v2.1', 'v2.1', '/compute/v2.1/'),
        ('', '/v2/', 'v2.0', '/v2/'),
        ('/v1.1', '/', 'v2.0', '/v1.1/'),
    ],
)
def test_document(script: str, path: str, key: str, link: str) -> None:
    answer = get(path, script)
    assert answer.status_int == 200
    assert answer.content_type == 'application/json'
    version = answer.json['version']
    assert version['id'] == key
    assert version['links'] == [
        {'rel': 'self', 'href': f'http://localhost{link}'},
        {
            'rel': 'describedby',
            'type': 'text/html',
            'href': 'http://docs.openstack.org/',
        },
    ]
    assert version['media-types'][0]['base'] == 'application/json'


def test_modern_document_tells_the_microversions() -> None:
    version = get('/v2.1').json['version']
    assert version['status'] == 'CURRENT'
    assert version['version'] == '2.104'
    assert version['min_version'] == '2.1'


def test_old_document_has_no_microversions() -> None:
    version = get('/v2').json['version']
    assert version['status'] == 'SUPPORTED'
    assert version['version'] == version['min_version'] == ''


HEADERS = ('OpenStack-API-Version', 'X-OpenStack-Nova-API-Version', 'Vary')


@pytest.mark.parametrize(
    ('asked', 'status', 'told'),
    [
        (None, 200, '2.1'),
        ('compute 2.41', 200, '2.41'),
        ('compute latest', 200, '2.104'),
        ('volume 3.1', 200, '2.1'),
        ('compute 2.999', 406, '2.999'),
        ('compute x', 400, None),
    ],
)
def test_modern_document_tells_which_was_asked_for(
    asked: str | None, status: int, told: str | None
) -> None:
    headers = {HEADERS[0]: asked} if asked else {}
    answer = webob.Request.blank('/v2.1', headers=headers).get_response(
        APPLICATION
    )
    assert answer.status_int == status
    expected = [f'compute {told}', told, ', '.join(HEADERS[:2])]
    assert [answer.headers.get(name) for name in HEADERS] == (
        expected if told else [None] * 3
    )


@pytest.mark.parametrize('path', ['/', '/v2', '/v1.1'])
def test_what_knows_no_microversions_tells_none(path: str) -> None:
    asked = {HEADERS[0]: 'compute 2.999'}
    answer = webob.Request.blank(path, headers=asked).get_response(APPLICATION)
    assert answer.status_int == 200
    assert not set(answer.headers) & set(HEADERS)


@pytest.mark.parametrize('script', ['', '/compute'])
def test_list(script: str) -> None:
    listed = get('/', script).json['versions']
    assert [entry['id'] for entry in listed] == ['v2.0', 'v2.1']
    link = listed[1]['links'][0]['href']
    assert link == f'http://localhost{script}/v2.1/'


def test_head_has_no_body() -> None:
    answer = get('/v2.1', method='HEAD')
    assert answer.status_int == 200
    assert answer.body == b''


@pytest.mark.parametrize(
    ('script', 'path', 'method'),
    [
        ('', '/v2.1', 'POST'),
        ('', '/v3', 'GET'),
        ('', '/v2.1/os-aggregates', 'GET'),
        ('/v2.1', '/v2', 'GET'),
        ('', '/a/v2', 'GET'),
        ('', '//v2', 'GET'),
        ('', '/v2.1//', 'GET'),
    ],
)
def test_all_else_passes(script: str, path: str, method: str) -> None:
    assert get(path, script, method).body == b'behind'


@pytest.mark.parametrize('path', ['/', '/v2.1', '/v2.1/os-aggregates'])
def test_all_answers_have_both_names_of_the_request_id(path: str) -> None:
    """Also those of authtoken, which come from behind."""
    request = webob.Request.blank(path)
    assert (
        'x-compute-request-id' not in request.get_response(APPLICATION).headers
    )
    request.environ['openstack.request_id'] = 'req-1'
    answer = request.get_response(APPLICATION)
    assert answer.headers.getall('x-compute-request-id') == ['req-1']


def test_a_request_id_that_is_told_already_is_not_told_again() -> None:
    def told(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start('200 OK', [('X-Compute-Request-Id', 'req-2')])
        return [b'']

    request = webob.Request.blank('/v2.1/os-aggregates')
    request.environ['openstack.request_id'] = 'req-1'
    answer = request.get_response(versions.filter_factory({})(told))
    assert answer.headers.getall('x-compute-request-id') == ['req-2']
