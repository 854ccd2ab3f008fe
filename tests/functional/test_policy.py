"""Each route asks the rule that its documentation names."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import webob

from aggregates_ext import policy
from tests.functional import api_service

UUID = '0a4e6c32-9b1e-4a8e-9d57-1e0a6d1c2b3f'
ROUTES = [
    ('GET', '', None, policy.INDEX),
    ('HEAD', '', None, policy.INDEX),
    ('POST', '', {'aggregate': {'name': 'a'}}, policy.CREATE),
    ('GET', '/1', None, policy.SHOW),
    ('PUT', '/1', {'aggregate': {'name': 'a'}}, policy.UPDATE),
    ('DELETE', '/1', None, policy.DELETE),
    ('POST', '/1/images', {'cache': []}, policy.IMAGES),
    ('GET', '/1/pool', None, policy.POOL),
    ('GET', '/1/operations', None, policy.OPERATIONS),
    ('GET', f'/operations/{UUID}', None, policy.OPERATIONS),
    ('POST', '/1/action', {'set_metadata': 1}, policy.SET_METADATA),
    ('POST', '/1/action', {'add_host': 1}, policy.ADD_HOST),
    ('POST', '/1/action', {'remove_host': 1}, policy.REMOVE_HOST),
    ('POST', '/1/action', {'check_host': 1}, policy.CHECK_HOST),
    ('POST', '/1/action', {'cancel_operation': 1}, policy.CANCEL_OPERATION),
    ('POST', '/1/action', {'retry_operation': 1}, policy.RETRY_OPERATION),
    ('POST', '/1/action', {'reset': 1}, policy.RESET),
    ('POST', '/1/action', {'adopt': 1}, policy.ADOPT),
    ('POST', '/1/action', {'reapply': 1}, policy.REAPPLY),
    ('POST', '/1/action', {'set_master': 1}, policy.SET_MASTER),
]


@pytest.fixture(scope='module')
def application(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[api_service.WSGI]:
    directory: pathlib.Path = tmp_path_factory.mktemp('policy')
    made, database = api_service.make(directory / 'db.sqlite')
    yield made
    database.dispose()


@pytest.mark.parametrize(('method', 'path', 'body', 'rule'), ROUTES)
def test_rule_of_the_route(
    application: api_service.WSGI,
    method: str,
    path: str,
    body: Any,
    rule: str,
) -> None:
    request = webob.Request.blank(f'/v2.1/os-aggregates{path}', method=method)
    request.headers['X-Auth-Token'] = 'user:abc:member,reader'
    request.headers['OpenStack-API-Version'] = 'compute latest'
    if body is not None:
        request.json = body
    answer = request.get_response(application)
    assert answer.status_int == 403
    if method != 'HEAD':
        message = answer.json['forbidden']['message']
        assert message == f"Policy doesn't allow {rule} to be performed."


def test_no_rule_is_left_out() -> None:
    names = {
        name for name in vars(policy) if name.isupper() and name[0] != '_'
    } - {'AGGREGATES', 'POOLS', 'ADMIN'}
    rules = {getattr(policy, name) for name in names}
    # Asked beside another rule: a test of its own.
    rules.remove(policy.FORCE_REMOVE_HOST)
    assert rules == {rule for _method, _path, _body, rule in ROUTES}


@pytest.mark.parametrize('force', [True, False])
def test_force_has_a_rule_of_its_own(
    tmp_path: pathlib.Path, force: bool
) -> None:
    rules = tmp_path / 'policy.yaml'
    rules.write_text(f'"{policy.REMOVE_HOST}": "role:member"')
    application, database = api_service.make(
        tmp_path / 'db.sqlite', policy_file=str(rules)
    )
    request = webob.Request.blank(
        '/v2.1/os-aggregates/1/action', method='POST'
    )
    request.headers['X-Auth-Token'] = 'user:abc:member'
    request.json = {'remove_host': {'host': 'xen1', 'force': force}}
    answer = request.get_response(application)
    database.dispose()
    assert answer.status_int == (403 if force else 404)
    if force:
        message = answer.json['forbidden']['message']
        assert policy.FORCE_REMOVE_HOST in message
