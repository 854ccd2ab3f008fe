"""As a filter: what is ours is answered, all else passes untouched."""

import copy
import io
import json
from collections.abc import Iterable
from typing import Any

import pytest
import webob
from lxml import etree
from oslo_config import cfg
from oslo_context import context as oslo_context

from aggregates_ext import deploy
from aggregates_ext.api.edge import identity
from aggregates_ext.api.resources import aggregates
from aggregates_ext.api.resources import pools
from aggregates_ext.db.engine import engine

THEIRS = [
    {'alias': 'os-keypairs', 'name': 'Keypairs'},
    {'alias': 'os-aggregates', 'name': 'Aggregates of Nova'},
    {'alias': 'os-zones', 'name': 'Zones'},
]


class Next:
    """The next application: records what it gets, answers as told."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.answer = webob.Response(
            json.dumps({'extensions': THEIRS}).encode(),
            content_type='application/json',
            etag='old',
        )

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        self.seen.append(copy.copy(environ))
        self.bodies.append(environ['wsgi.input'].read())
        result: Iterable[bytes] = self.answer(environ, start_response)
        return result


@pytest.fixture
def behind() -> Next:
    return Next()


@pytest.fixture
def application(
    conf: cfg.ConfigOpts, database: engine.Database, behind: Next
) -> Any:
    return deploy.build(conf, next_application=behind)


def environ(method: str, path: str, **extra: Any) -> dict[str, Any]:
    made: dict[str, Any] = webob.Request.blank('/').environ
    made['REQUEST_METHOD'] = method
    made['PATH_INFO'] = path
    made[identity.NOVA_CONTEXT] = oslo_context.RequestContext(
        user_id='u', project_id='abc', roles=['admin'], overwrite=False
    )
    return {**made, **extra}


def ask(application: Any, env: dict[str, Any]) -> webob.Response:
    return webob.Request(env).get_response(application)


@pytest.mark.parametrize(
    ('method', 'path'),
    [
        ('GET', '/'),
        ('GET', ''),
        ('GET', '/v2.1'),
        ('GET', '/v2.1/servers'),
        ('POST', '/v2.1/servers'),
        ('GET', '/v2.1/servers/os-aggregates'),
        ('GET', '/v2.1/flavors/extensions'),
        ('GET', '/v2.1/os-aggregates/'),
        ('GET', '/v2.1/os-aggregates\n'),
        ('GET', '/v2.1/os-aggregates.json'),
        ('GET', '/v2.1/os-aggregates/1/unknown'),
        ('GET', '/v2.1/extensions/os-keypairs'),
        ('POST', '/v2.1/extensions'),
        ('GET', '/v2.1/extensions/os-hosts'),
        ('GET', '/v2.1/os-hosts'),
        ('GET', '/v2.1/os-services'),
        ('GET', '/v2.1/os-hypervisors/detail'),
        ('GET', '/v2.1/os-availability-zone'),
        ('GET', '/v1.1/os-aggregates'),
        ('GET', '/v2.1/\xff'),
        ('GET', '/v2.1/\xff/os-aggregates'),
        ('POST', '/v2.1/servers?_method=PUT'),
    ],
)
def test_what_is_not_ours_passes_untouched(
    application: Any, behind: Next, method: str, path: str
) -> None:
    env = environ(method, path, QUERY_STRING='_method=DELETE')
    env['wsgi.input'] = io.BytesIO(b'a=1&_method=DELETE')
    env['CONTENT_LENGTH'] = '18'
    env['CONTENT_TYPE'] = 'application/x-www-form-urlencoded'
    before = dict(env)
    answer = ask(application, env)
    assert behind.seen == [before]
    assert behind.bodies == [b'a=1&_method=DELETE']
    assert answer.headers['ETag'] == '"old"'


def test_errors_of_the_next_application_are_its_own(
    conf: cfg.ConfigOpts,
) -> None:
    def broken(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    application = deploy.build(conf, next_application=broken)
    with pytest.raises(ZeroDivisionError):
        application(environ('GET', '/v2.1/servers'), None)


@pytest.mark.parametrize(
    ('script', 'path', 'legacy'),
    [
        ('/v2.1', '/os-aggregates', False),
        ('/v2.1', '/abc/os-aggregates', False),
        ('/v2', '/abc/os-aggregates', False),
        ('/compute/v2.1', '/os-aggregates', False),
        ('', '/v2.1/os-aggregates', False),
        ('', '/os-aggregates', False),
        ('/v1.1', '/abc/os-aggregates', True),
        ('', '/v1.1/abc/os-aggregates', True),
    ],
)
def test_ours_is_answered_with_the_face_of_the_place(
    application: Any, behind: Next, script: str, path: str, legacy: bool
) -> None:
    env = environ('POST', path, SCRIPT_NAME=script)
    body = b'{"aggregate": {"name": "a"}}'
    env['wsgi.input'] = io.BytesIO(body)
    env['CONTENT_LENGTH'] = str(len(body))
    answer = ask(application, env)
    assert answer.status_int == 200
    assert ('operational_state' in answer.json['aggregate']) is legacy
    assert not behind.seen


@pytest.mark.parametrize(
    ('script', 'extra'),
    [('/v2', {}), ('/v2.1', {'openstack.legacy_v2': True})],
)
def test_microversions_are_ignored_on_v2(
    application: Any, script: str, extra: dict[str, Any]
) -> None:
    env = environ('GET', '/os-aggregates', SCRIPT_NAME=script, **extra)
    env['HTTP_OPENSTACK_API_VERSION'] = 'compute 9.9'
    answer = ask(application, env)
    assert answer.status_int == 200
    assert 'OpenStack-API-Version' not in answer.headers


@pytest.mark.parametrize('face', ['legacy', 'modern'])
def test_face_may_be_told(
    conf: cfg.ConfigOpts, database: engine.Database, behind: Next, face: str
) -> None:
    application = deploy.build(conf, face, behind)
    env = environ('GET', '/abc/os-aggregates', HTTP_ACCEPT='application/xml')
    kind = ask(application, env).content_type
    assert kind == ('application/xml' if face == 'legacy' else JSON)


JSON = 'application/json'


def test_undecodable_path_of_ours_is_refused(application: Any) -> None:
    answer = ask(application, environ('GET', '/v2.1/os-aggregates/\xff'))
    assert answer.status_int == 400


def test_ours_has_the_request_id_of_the_pipeline(application: Any) -> None:
    env = environ('GET', '/v2.1/os-aggregates')
    env['openstack.request_id'] = 'req-of-nova'
    answer = ask(application, env)
    assert answer.headers['x-compute-request-id'] == 'req-of-nova'
    assert answer.headers['x-openstack-request-id'] == 'req-of-nova'


def test_extensions_are_merged_in_place_and_at_the_end(
    application: Any, behind: Next
) -> None:
    env = environ(
        'GET',
        '/v2.1/extensions',
        HTTP_ACCEPT_ENCODING='gzip',
        HTTP_IF_NONE_MATCH='"old"',
    )
    answer = ask(application, env)
    ours = [aggregates.EXTENSION, pools.EXTENSION]
    assert answer.json['extensions'] == [
        THEIRS[0],
        ours[0],
        THEIRS[2],
        ours[1],
    ]
    assert answer.headers['Content-Length'] == str(len(answer.body))
    assert 'ETag' not in answer.headers
    [seen] = behind.seen
    assert 'HTTP_ACCEPT_ENCODING' not in seen
    assert 'HTTP_IF_NONE_MATCH' not in seen
    assert seen['PATH_INFO'] == '/v2.1/extensions'
    assert env['HTTP_ACCEPT_ENCODING'] == 'gzip'


def test_head_of_extensions_has_the_length_and_no_body(
    application: Any, behind: Next
) -> None:
    length = ask(application, environ('GET', '/v2.1/extensions')).headers
    answer = ask(application, environ('HEAD', '/v2.1/extensions'))
    assert answer.body == b''
    assert answer.headers['Content-Length'] == length['Content-Length']
    assert behind.seen[1]['REQUEST_METHOD'] == 'GET'


def test_extensions_are_merged_in_xml(application: Any, behind: Next) -> None:
    answer = ask(application, environ('GET', '/v1.1/abc/extensions.xml'))
    assert answer.content_type == 'application/xml'
    aliases = [item.get('alias') for item in etree.fromstring(answer.body)]
    assert aliases == [
        'os-keypairs',
        'os-aggregates',
        'os-zones',
        'os-aggregate-pools',
    ]
    assert behind.seen[0]['PATH_INFO'] == '/v1.1/abc/extensions'
    assert behind.seen[0]['HTTP_ACCEPT'] == JSON


def test_without_theirs_ours_stand_alone(
    application: Any, behind: Next
) -> None:
    behind.answer = webob.Response('nothing', status=404)
    answer = ask(application, environ('GET', '/v2.1/extensions'))
    assert answer.json == {
        'extensions': [aggregates.EXTENSION, pools.EXTENSION]
    }


@pytest.mark.parametrize(
    ('status', 'body'),
    [
        (200, b'no json'),
        (200, b'[]'),
        (200, b'{"extensions": 5}'),
        (200, b'{"extensions": [5]}'),
        (200, b'\x1f\x8b\xff'),
        (300, b'{"extensions": []}'),
        (401, b'who'),
        (406, b'{}'),
        (500, b'oops'),
    ],
)
def test_other_answers_pass_unchanged(
    application: Any, behind: Next, status: int, body: bytes
) -> None:
    behind.answer = webob.Response(body, status=status, etag='old')
    answer = ask(application, environ('GET', '/v2.1/extensions'))
    assert (answer.status_int, answer.body) == (status, body)
    assert answer.headers['ETag'] == '"old"'


def test_a_second_filter_lets_the_question_pass(
    conf: cfg.ConfigOpts, application: Any, behind: Next
) -> None:
    outer = deploy.build(conf, next_application=application)
    answer = ask(outer, environ('GET', '/v2.1/extensions'))
    aliases = [entry['alias'] for entry in answer.json['extensions']]
    assert len(aliases) == len(set(aliases)) == 4
    assert len(behind.seen) == 1
