"""Tokens of a real Keystone, in front of the API as it is shipped."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_policy import policy as oslo_policy

from aggregates_ext import policy
from tests.integration import keystone as keystone_server
from tests.integration import processes

UUID = '0a4e6c32-9b1e-4a8e-9d57-1e0a6d1c2b3f'


def action(name: str, **fields: str) -> tuple[str, str, Any]:
    """A request for an action on an aggregate that there is not."""
    return 'POST', '/os-aggregates/99/action', {name: fields}


# Rule -> a request that it is in the way of, and what it comes to for an
# administrator where there is next to nothing.
REQUESTS: dict[str, tuple[tuple[str, str, Any], int]] = {
    policy.INDEX: (('GET', '/os-aggregates', None), 200),
    policy.CREATE: (
        ('POST', '/os-aggregates', {'aggregate': {'name': ''}}),
        400,
    ),
    policy.SHOW: (('GET', '/os-aggregates/99', None), 404),
    policy.UPDATE: (
        ('PUT', '/os-aggregates/99', {'aggregate': {'name': 'a'}}),
        404,
    ),
    policy.DELETE: (('DELETE', '/os-aggregates/99', None), 404),
    policy.SET_METADATA: (action('set_metadata'), 400),
    policy.ADD_HOST: (action('add_host', host='xen1'), 404),
    policy.REMOVE_HOST: (action('remove_host', host='xen1'), 404),
    policy.IMAGES: (('POST', '/os-aggregates/99/images', {'cache': []}), 404),
    policy.ALL_POOLS: (('GET', '/os-aggregate-pools', None), 200),
    policy.POOL: (('GET', '/os-aggregates/99/pool', None), 404),
    policy.OPERATIONS: (('GET', '/os-aggregates/99/operations', None), 404),
    policy.CHECK_HOST: (action('check_host', host='xen1'), 400),
    policy.CANCEL_OPERATION: (action('cancel_operation', operation=UUID), 404),
    policy.RETRY_OPERATION: (action('retry_operation', operation=UUID), 404),
    policy.RESET: (action('reset', host='xen1', outcome='free'), 404),
    policy.ADOPT: (action('adopt'), 404),
    policy.REAPPLY: (action('reapply'), 404),
    policy.SET_MASTER: (action('set_master', host='xen1'), 404),
    policy.MAINTENANCE: (action('enter_maintenance', host='xen1'), 404),
    policy.POWER: (action('power_host', host='xen1', action='reboot'), 404),
    policy.ROLLING: (action('rolling_reboot'), 404),
    policy.SERVICES_LIST: (('GET', '/os-services', None), 200),
    policy.SERVICES_UPDATE: (
        ('PUT', f'/os-services/{UUID}', {'status': 'enabled'}),
        404,
    ),
    policy.HYPERVISORS_LIST: (('GET', '/os-hypervisors', None), 200),
    policy.HYPERVISORS_DETAIL: (('GET', '/os-hypervisors/detail', None), 200),
    policy.HYPERVISORS_SHOW: (('GET', f'/os-hypervisors/{UUID}', None), 404),
    policy.ZONES_DETAIL: (('GET', '/os-availability-zone/detail', None), 200),
    f'{policy.SERVERS_INDEX}:get_all_tenants': (
        ('GET', '/servers?all_tenants=1', None),
        200,
    ),
    f'{policy.SERVERS_DETAIL}:get_all_tenants': (
        ('GET', '/servers/detail?all_tenants=1', None),
        200,
    ),
}
# Without a version in the header: these are gone in later ones.
OLD_REQUESTS: dict[str, tuple[tuple[str, str, Any], int]] = {
    policy.HOSTS_LIST: (('GET', '/os-hosts', None), 200),
    policy.HOSTS_SHOW: (('GET', '/os-hosts/xen1', None), 200),
    policy.HOSTS_UPDATE: (
        ('PUT', '/os-hosts/xen1', {'status': 'enable'}),
        200,
    ),
    policy.HOSTS_START: (('GET', '/os-hosts/xen1/startup', None), 409),
    policy.HOSTS_SHUTDOWN: (('GET', '/os-hosts/xen1/shutdown', None), 409),
    policy.HOSTS_REBOOT: (('GET', '/os-hosts/xen1/reboot', None), 409),
    policy.HYPERVISORS_STATISTICS: (
        ('GET', '/os-hypervisors/statistics', None),
        200,
    ),
    policy.HYPERVISORS_UPTIME: (
        ('GET', '/os-hypervisors/1/uptime', None),
        501,
    ),
    policy.HYPERVISORS_SEARCH: (
        ('GET', '/os-hypervisors/xen/search', None),
        200,
    ),
    policy.HYPERVISORS_SERVERS: (
        ('GET', '/os-hypervisors/xen/servers', None),
        200,
    ),
}
# Open to everybody, of servers to whom they belong; asked beside another rule.
OTHERS = {
    policy.ZONES_LIST,
    policy.SERVERS_INDEX,
    policy.SERVERS_DETAIL,
    policy.SERVERS_SHOW,
    policy.FORCE_REMOVE_HOST,
    policy.SERVER_ATTRIBUTES,
    policy.SERVERS_ALL_FILTERS,
    policy.SERVERS_HOST_STATUS,
    # Of a server, and of which of them, see ``test_migrations``.
    policy.MIGRATE_LIVE,
    policy.MIGRATE_LIVE_HOST,
    policy.MIGRATIONS,
    policy.MIGRATIONS_ALL,
    policy.MIGRATIONS_HOST,
    policy.SERVER_MIGRATIONS,
    policy.SERVER_MIGRATIONS_HOST,
    policy.SERVER_MIGRATION,
    policy.ABORT_MIGRATION,
    policy.FORCE_COMPLETE,
    # Likewise, see ``test_instance_actions``.
    policy.ACTIONS,
    policy.ACTION,
    policy.ACTION_EVENTS,
    policy.ACTION_DETAILS,
}
FORGED = {
    'X_Roles': 'admin',
    'X_Role': 'admin',
    'X_User_Id': 'intruder',
    'X_Project_Id': 'intruders',
    'X_Identity_Status': 'Confirmed',
    'X_Is_Admin_Project': 'true',
    'X_Service_Roles': 'service',
    'X_Service_Identity_Status': 'Confirmed',
}


@pytest.fixture(scope='module')
def site(
    keystone: keystone_server.Keystone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[processes.Site]:
    directory: pathlib.Path = tmp_path_factory.mktemp('site')
    options = keystone.authtoken()
    with processes.Site(directory, 1, authtoken=options) as made:
        made.set_up()
        yield made


@pytest.fixture(scope='module')
def api(site: processes.Site) -> processes.Client:
    return site.start_api()


@pytest.fixture(scope='module')
def tokens(keystone: keystone_server.Keystone) -> dict[str, str]:
    """A token of the project for each user."""
    users = ('operator', 'manager', 'member', 'reader')
    return {user: keystone.token(user) for user in users}


def test_every_rule_is_asked() -> None:
    rules = {
        rule.name
        for rule in policy.list_rules()
        if isinstance(rule, oslo_policy.DocumentedRuleDefault)
    }
    assert rules == {*REQUESTS, *OLD_REQUESTS} | OTHERS


@pytest.mark.parametrize(
    ('rule', 'request_and_status', 'version'),
    [(rule, asked, '2.104') for rule, asked in REQUESTS.items()]
    + [(rule, asked, '2.1') for rule, asked in OLD_REQUESTS.items()],
)
def test_every_request_asks_who_it_is(
    api: processes.Client,
    tokens: dict[str, str],
    rule: str,
    request_and_status: tuple[tuple[str, str, Any], int],
    version: str,
) -> None:
    (method, path, body), status = request_and_status
    asking = api.sending(OpenStack_API_Version=f'compute {version}')
    assert asking.ask(method, path, body).status == 401
    for role in ('manager', 'member', 'reader'):
        user = asking.sending(X_Auth_Token=tokens[role])
        answer = user.ask(method, path, body)
        assert answer.status == 403
        message = f"Policy doesn't allow {rule} to be performed."
        assert answer.body == {'forbidden': {'message': message, 'code': 403}}
    operator = asking.sending(X_Auth_Token=tokens['operator'])
    assert operator.ask(method, path, body).status == status


def test_an_answer_without_a_token_says_where_to_get_one(
    api: processes.Client, keystone: keystone_server.Keystone
) -> None:
    answer = api.ask('GET', '/os-aggregates')
    assert answer.status == 401
    challenge = f'Keystone uri="{keystone.url}"'
    assert answer.headers['WWW-Authenticate'] == challenge
    assert answer.headers['x-openstack-request-id'].startswith('req-')


@pytest.mark.parametrize('path', ['', '/'])
def test_versions_are_told_to_anybody(
    api: processes.Client, path: str
) -> None:
    version = api.ask('GET', path).body['version']
    assert (version['min_version'], version['version']) == ('2.1', '2.104')
    links = {link['rel']: link['href'] for link in version['links']}
    assert links['self'] == f'{api.url}/v2.1/'


def test_the_list_of_versions_is_told_to_anybody(
    api: processes.Client,
) -> None:
    listed = api.ask('GET', '/', prefix='').body['versions']
    assert [version['id'] for version in listed] == ['v2.0', 'v2.1']


def test_a_health_check_needs_no_token(api: processes.Client) -> None:
    assert api.ask('GET', '/healthcheck', prefix='').status == 200


@pytest.mark.parametrize(
    'path', ['/os-availability-zone', '/extensions', '/extensions/os-hosts']
)
def test_some_things_everybody_with_a_token_may_know(
    api: processes.Client, tokens: dict[str, str], path: str
) -> None:
    assert api.ask('GET', path).status == 401
    reader = api.sending(X_Auth_Token=tokens['reader'])
    assert reader.ask('GET', path).status == 200


@pytest.mark.parametrize('scope', [{'system': True}, {'domain': True}])
def test_administrators_of_something_else_than_a_project_are_refused(
    api: processes.Client,
    keystone: keystone_server.Keystone,
    scope: dict[str, bool],
) -> None:
    token = keystone.token('operator', **scope)
    answer = api.sending(X_Auth_Token=token).ask('GET', '/os-aggregates')
    assert answer.status == 403


def test_the_project_of_the_url_is_that_of_the_token(
    api: processes.Client,
    keystone: keystone_server.Keystone,
    tokens: dict[str, str],
) -> None:
    operator = api.sending(X_Auth_Token=tokens['operator'])
    ours = keystone.projects['pools']
    theirs = keystone.projects['others']
    for version in ('v1.1', 'v2', 'v2.1'):
        own = f'/{version}/{ours}'
        answer = operator.ask('GET', '/os-aggregates', prefix=own)
        assert answer.status == 200
        foreign = f'/{version}/{theirs}'
        answer = operator.ask('GET', '/os-aggregates', prefix=foreign)
        assert answer.status == 400


@pytest.mark.parametrize('token', ['nonsense', 'gAAAAA' + 'A' * 180, ''])
def test_what_is_no_token_is_refused(
    api: processes.Client, token: str
) -> None:
    answer = api.sending(X_Auth_Token=token).ask('GET', '/os-aggregates')
    assert answer.status == 401


def test_a_revoked_token_is_refused(
    api: processes.Client, keystone: keystone_server.Keystone
) -> None:
    token = keystone.token('operator')
    operator = api.sending(X_Auth_Token=token)
    assert operator.ask('GET', '/os-aggregates').status == 200
    keystone.revoke(token)
    assert operator.ask('GET', '/os-aggregates').status == 401


def test_an_expired_token_is_refused_unless_a_service_vouches(
    api: processes.Client,
    keystone: keystone_server.Keystone,
    tokens: dict[str, str],
) -> None:
    late = api.sending(X_Auth_Token=keystone.expired_token('operator'))
    assert late.ask('GET', '/os-aggregates').status == 401
    service = keystone.token('pools', project='service')
    vouched = late.sending(X_Service_Token=service)
    assert vouched.ask('GET', '/os-aggregates').status == 200
    # Somebody else is no service.
    vouched = late.sending(X_Service_Token=tokens['operator'])
    assert vouched.ask('GET', '/os-aggregates').status == 401


def test_a_service_token_gives_no_rights(
    api: processes.Client,
    keystone: keystone_server.Keystone,
    tokens: dict[str, str],
) -> None:
    service = keystone.token('pools', project='service')
    member = api.sending(X_Auth_Token=tokens['member'])
    both = member.sending(X_Service_Token=service)
    assert both.ask('GET', '/os-aggregates').status == 403
    broken = api.sending(
        X_Auth_Token=tokens['operator'], X_Service_Token='nonsense'
    )
    assert broken.ask('GET', '/os-aggregates').status == 401


def test_headers_of_an_identity_are_not_believed(
    api: processes.Client, tokens: dict[str, str]
) -> None:
    forged = api.sending(**FORGED)
    assert forged.ask('GET', '/os-aggregates').status == 401
    member = forged.sending(X_Auth_Token=tokens['member'])
    assert member.ask('GET', '/os-aggregates').status == 403
    operator = forged.sending(X_Auth_Token=tokens['operator'])
    body = {'aggregate': {'name': 'forged'}}
    created = operator.done('POST', '/os-aggregates', body)['aggregate']
    path = f'/os-aggregates/{created["id"]}'
    body = {'add_host': {'host': 'xen1'}}
    operator.done('POST', f'{path}/action', body)
    (operation,) = operator.operations(created['id'])
    assert operation['user_id'] != 'intruder'
    assert operation['project_id'] != 'intruders'
    operator.done(
        'POST',
        f'{path}/action',
        {'cancel_operation': {'operation': operation['uuid']}},
    )
    operator.done('DELETE', path)


def test_faults_have_the_format_of_the_face(
    api: processes.Client,
    keystone: keystone_server.Keystone,
    tokens: dict[str, str],
) -> None:
    member = api.sending(X_Auth_Token=tokens['member'])
    prefix = f'/v1.1/{keystone.projects["pools"]}'
    answer = member.ask('GET', '/os-aggregates.xml', prefix=prefix)
    assert answer.status == 403
    assert answer.body.startswith('<forbidden ')


def test_tokens_are_in_no_log(
    api: processes.Client, site: processes.Site, tokens: dict[str, str]
) -> None:
    operator = api.sending(X_Auth_Token=tokens['operator'])
    operator.done('GET', '/os-aggregates')
    (process,) = site.processes
    text = process.text()
    assert [t for t in tokens.values() if t in text] == []
    assert keystone_server.PASSWORD not in text
