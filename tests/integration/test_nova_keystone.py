"""Tokens of a real Keystone in the pipelines of a real Nova.

Nova's own authtoken and keystonecontext stand in front, as Nova ships them.
Every request has the headers of an administrator too, which anybody can send.
"""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import environments
from tests.integration import keystone as keystone_server
from tests.integration import nova

pytestmark = pytest.mark.long

USERS = ('operator', 'manager', 'member', 'reader')
# Server -> where our extension is in it.
PLACES = [
    ('filtered', '/v2.1'),
    ('filtered', '/v2.1/{project}'),
    ('filtered', '/v2'),
    ('filtered', '/v2/{project}'),
    ('beside', '/pools/v2.1'),
    ('beside', '/pools/v2.1/{project}'),
    ('beside', '/v1.1/{project}'),
]
AGGREGATE = {'aggregate': {'name': 'pool1', 'availability_zone': 'az1'}}
FLAVOR = {'flavor': {'name': 'small', 'ram': 64, 'vcpus': 1, 'disk': 1}}
# What is Nova's: some of it for all, some for administrators.
THEIRS: list[tuple[str, str, Any]] = [
    ('GET', '', None),
    ('GET', '/servers/detail?all_tenants=1', None),
    ('GET', '/flavors', None),
    ('POST', '/flavors', FLAVOR),
    ('GET', '/os-services', None),
    ('GET', '/extensions/os-services', None),
    ('GET', '/os-aggregates.json', None),
    ('GET', '/unknown', None),
]
# Whose token -> what Nova says to some of that.
SAID: dict[str | None, set[int]] = {
    None: {401},
    'nonsense': {401},
    'reader': {200, 403},
    'system': {403},
}


@pytest.fixture(scope='module')
def servers(
    nova_venv: pathlib.Path,
    nova_directory: pathlib.Path,
    keystone: keystone_server.Keystone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, nova.Server]]:
    """Nova as it is, with the filter, and with our application beside."""
    directory = tmp_path_factory.mktemp('nova-keystone')
    nova.configure(nova_venv, directory, keystone.authtoken())
    environments.run(
        *(nova_venv / 'bin' / 'aggregates-ext-manage', '--config-file'),
        *(directory / 'aggregates_ext.conf', 'host', 'add', 'xen1'),
        *('--url', 'https://127.0.0.1'),
    )
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(nova.serve(nova_venv, directory, name))
            for name in nova.EDITS
        }


@pytest.fixture(scope='module')
def tokens(keystone: keystone_server.Keystone) -> dict[str, str]:
    """A token of the project for each user, and some of another scope."""
    found = {user: keystone.token(user) for user in USERS}
    found['system'] = keystone.token('operator', system=True)
    found['domain'] = keystone.token('operator', domain=True)
    found['nonsense'] = 'nonsense'
    found['revoked'] = keystone.token('operator')
    keystone.revoke(found['revoked'])
    return found


@pytest.fixture
def project(keystone: keystone_server.Keystone) -> str:
    return keystone.projects['pools']


def with_token(token: str | None) -> dict[str, str]:
    return {} if token is None else {'X-Auth-Token': token}


@pytest.mark.parametrize('token', [None, 'nonsense', 'revoked'])
@pytest.mark.parametrize(('name', 'place'), PLACES)
def test_without_a_token_nobody_is_believed(
    servers: dict[str, nova.Server],
    tokens: dict[str, str],
    keystone: keystone_server.Keystone,
    project: str,
    name: str,
    place: str,
    token: str | None,
) -> None:
    path = f'{place.format(project=project)}/os-aggregates'
    headers = with_token(tokens[token] if token else None)
    for method, body in (('GET', None), ('POST', AGGREGATE)):
        answer = servers[name].request(method, path, body, **headers)
        assert answer.status == 401
        challenge = ('www-authenticate', f'Keystone uri="{keystone.url}"')
        assert challenge in answer.headers


@pytest.mark.parametrize(
    'user', ['manager', 'member', 'reader', 'system', 'domain']
)
@pytest.mark.parametrize(('name', 'place'), PLACES)
def test_who_is_no_administrator_of_the_project_is_refused(
    servers: dict[str, nova.Server],
    tokens: dict[str, str],
    project: str,
    name: str,
    place: str,
    user: str,
) -> None:
    if user in ('system', 'domain') and '{project}' in place:
        status = 400  # It is no project's token.
    else:
        status = 403
    path = f'{place.format(project=project)}/os-aggregates'
    headers = with_token(tokens[user])
    for method, body in (('GET', None), ('POST', AGGREGATE)):
        answer = servers[name].request(method, path, body, **headers)
        assert answer.status == status, answer


@pytest.mark.parametrize(('name', 'place'), PLACES)
def test_an_administrator_of_the_project_is_served(
    servers: dict[str, nova.Server],
    tokens: dict[str, str],
    keystone: keystone_server.Keystone,
    project: str,
    name: str,
    place: str,
) -> None:
    server = servers[name]
    path = f'{place.format(project=project)}/os-aggregates'
    headers = with_token(tokens['operator'])
    created = server.request('POST', path, AGGREGATE, **headers)
    assert created.status == 200, created
    item = f'{path}/{created.json()["aggregate"]["id"]}'
    listed = server.request('GET', path, **headers).json()['aggregates']
    assert [entry['name'] for entry in listed] == ['pool1']
    assert server.request('GET', f'{item}/pool', **headers).status == 200
    assert server.request('DELETE', item, **headers).status == 200
    # Of another project's URL it is none.
    foreign = place.format(project=keystone.projects['others'])
    answer = server.request('GET', f'{foreign}/os-aggregates', **headers)
    assert answer.status == (400 if '{project}' in place else 200)


def test_who_asked_is_who_the_token_says(
    servers: dict[str, nova.Server],
    tokens: dict[str, str],
    keystone: keystone_server.Keystone,
    project: str,
) -> None:
    server = servers['filtered']
    headers = with_token(tokens['operator'])
    path = '/v2.1/os-aggregates'
    created = server.request('POST', path, AGGREGATE, **headers)
    item = f'{path}/{created.json()["aggregate"]["id"]}'

    def act(**body: Any) -> nova.Answer:
        return server.request('POST', f'{item}/action', body, **headers)

    assert act(add_host={'host': 'xen1'}).status == 200
    answer = server.request('GET', f'{item}/operations', **headers)
    (operation,) = answer.json()['operations']
    assert operation['user_id'] == keystone.users['operator']
    assert operation['project_id'] == project
    uuid = operation['uuid']
    assert act(cancel_operation={'operation': uuid}).status == 200
    assert server.request('DELETE', item, **headers).status == 200


def test_a_service_can_vouch_for_a_token_that_is_over(
    servers: dict[str, nova.Server], keystone: keystone_server.Keystone
) -> None:
    server = servers['filtered']
    path = '/v2.1/os-aggregates'
    headers = with_token(keystone.expired_token('operator'))
    assert server.request('GET', path, **headers).status == 401
    service = keystone.token('pools', project='service')
    headers['X-Service-Token'] = service
    assert server.request('GET', path, **headers).status == 200


@pytest.mark.parametrize('user', SAID)
@pytest.mark.parametrize('prefix', ['/v2.1', '/v2'])
def test_what_is_novas_is_answered_as_without_us(
    servers: dict[str, nova.Server],
    tokens: dict[str, str],
    prefix: str,
    user: str | None,
) -> None:
    headers = with_token(tokens[user] if user else None)
    seen = set()
    for method, path, body in THEIRS:
        answers = {
            name: server.request(method, prefix + path, body, **headers)
            for name, server in servers.items()
        }
        seen.add(answers['plain'].status)
        for name, answer in answers.items():
            assert answer == answers['plain'], (name, method, path)
    assert SAID[user] <= seen


def test_a_change_of_what_is_novas_needs_its_rights(
    servers: dict[str, nova.Server], tokens: dict[str, str]
) -> None:
    for name in ('filtered', 'beside'):
        server = servers[name]
        reader = with_token(tokens['reader'])
        path = '/v2.1/flavors'
        assert server.request('POST', path, FLAVOR, **reader).status == 403
        operator = with_token(tokens['operator'])
        made = server.request('POST', path, FLAVOR, **operator)
        assert made.status == 200
        item = f'{path}/{made.json()["flavor"]["id"]}'
        assert server.request('GET', item, **reader).status == 200
        assert server.request('DELETE', item, **operator).status == 202


def test_extensions_are_for_everybody_with_a_token(
    servers: dict[str, nova.Server], tokens: dict[str, str]
) -> None:
    server = servers['filtered']
    for path in ('/v2.1/extensions', '/v2.1/extensions/os-aggregates'):
        assert server.request('GET', path).status == 401
        reader = with_token(tokens['reader'])
        assert server.request('GET', path, **reader).status == 200
