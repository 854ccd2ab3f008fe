"""Each route asks the rule that its documentation names."""

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import webob
from oslo_policy import policy as oslo_policy

from aggregates_ext import policy
from tests.functional import api_service

HYPERVISORS = '/v2.1/os-hypervisors'
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
    ('GET', '/1/allowed_actions', None, policy.POOL),
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
    ('POST', '/1/action', {'enter_maintenance': 1}, policy.MAINTENANCE),
    ('POST', '/1/action', {'leave_maintenance': 1}, policy.MAINTENANCE),
    ('POST', '/1/action', {'power_host': 1}, policy.POWER),
    ('POST', '/1/action', {'rolling_reboot': 1}, policy.ROLLING),
    ('POST', '/1/action', {'rolling_update': 1}, policy.ROLLING),
    ('POST', '/1/action', {'continue_operation': 1}, policy.ROLLING),
]
CHANGES = [
    ('/v2.1/os-hosts/xen1', policy.HOSTS_UPDATE),
    ('/v2.1/os-services/disable', policy.SERVICES_UPDATE),
]
# Below these microversions the neighbours have most paths.
NEIGHBOURS = [
    ('/v2.1/os-aggregate-pools', policy.ALL_POOLS),
    ('/v2.1/os-hosts', policy.HOSTS_LIST),
    ('/v2.1/os-hosts/xen1', policy.HOSTS_SHOW),
    ('/v2.1/os-hosts/xen1/startup', policy.HOSTS_START),
    ('/v2.1/os-hosts/xen1/shutdown', policy.HOSTS_SHUTDOWN),
    ('/v2.1/os-hosts/xen1/reboot', policy.HOSTS_REBOOT),
    ('/v2.1/os-services', policy.SERVICES_LIST),
    (HYPERVISORS, policy.HYPERVISORS_LIST),
    (f'{HYPERVISORS}/detail', policy.HYPERVISORS_DETAIL),
    (f'{HYPERVISORS}/statistics', policy.HYPERVISORS_STATISTICS),
    (f'{HYPERVISORS}/1', policy.HYPERVISORS_SHOW),
    (f'{HYPERVISORS}/1/uptime', policy.HYPERVISORS_UPTIME),
    (f'{HYPERVISORS}/xen/search', policy.HYPERVISORS_SEARCH),
    (f'{HYPERVISORS}/xen/servers', policy.HYPERVISORS_SERVERS),
    ('/v2.1/os-availability-zone/detail', policy.ZONES_DETAIL),
    (
        '/v2.1/servers?all_tenants=1',
        f'{policy.SERVERS_INDEX}:get_all_tenants',
    ),
    (
        '/v2.1/servers/detail?all_tenants=1',
        f'{policy.SERVERS_DETAIL}:get_all_tenants',
    ),
]
# For everybody; of servers each sees his own.
FREE = {
    policy.ZONES_LIST,
    policy.SERVERS_INDEX,
    policy.SERVERS_DETAIL,
    policy.SERVERS_SHOW,
    policy.ACTIONS,
    policy.ACTION,
}
# Asked beside another rule: tests of their own, those of servers in
# ``test_servers.test_who_sees_what``.
BESIDE = {
    policy.FORCE_REMOVE_HOST,
    policy.SERVER_ATTRIBUTES,
    policy.SERVERS_ALL_FILTERS,
    policy.SERVERS_HOST_STATUS,
    # Those of moves in ``test_migrations.test_who_may_move``.
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
    # And in ``test_instance_actions``.
    policy.ACTION_EVENTS,
    policy.ACTION_DETAILS,
}


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


@pytest.mark.parametrize(('path', 'rule'), NEIGHBOURS)
def test_rule_of_a_neighbour(
    application: api_service.WSGI, path: str, rule: str
) -> None:
    request = webob.Request.blank(path)
    request.headers['X-Auth-Token'] = 'user:abc:member,reader'
    answer = request.get_response(application)
    assert answer.status_int == 403
    message = answer.json['forbidden']['message']
    assert message == f"Policy doesn't allow {rule} to be performed."


@pytest.mark.parametrize(('path', 'rule'), CHANGES)
def test_rule_of_a_change(
    application: api_service.WSGI, path: str, rule: str
) -> None:
    request = webob.Request.blank(path, method='PUT')
    request.headers['X-Auth-Token'] = 'user:abc:member,reader'
    request.json = {}
    answer = request.get_response(application)
    assert answer.status_int == 403
    message = answer.json['forbidden']['message']
    assert message == f"Policy doesn't allow {rule} to be performed."


def test_zones_are_listed_to_everybody(
    application: api_service.WSGI,
) -> None:
    request = webob.Request.blank('/v2.1/os-availability-zone')
    request.headers['X-Auth-Token'] = 'user:abc:reader'
    assert request.get_response(application).status_int == 200


def test_no_rule_is_left_out() -> None:
    rules = {
        rule.name
        for rule in policy.list_rules()
        if isinstance(rule, oslo_policy.DocumentedRuleDefault)
    }
    asked = {rule for _method, _path, _body, rule in ROUTES}
    asked |= {rule for _path, rule in NEIGHBOURS + CHANGES}
    assert rules == asked | FREE | BESIDE


@pytest.mark.parametrize(
    ('given', 'status'),
    [
        ((policy.ADD_HOST,), 403),
        ((policy.REMOVE_HOST,), 403),
        ((policy.ADD_HOST, policy.REMOVE_HOST), 404),
    ],
)
@pytest.mark.parametrize('dry_run', [True, False])
def test_a_list_of_hosts_asks_for_both_rules(
    tmp_path: pathlib.Path, given: tuple[str, ...], status: int, dry_run: bool
) -> None:
    rules = tmp_path / 'policy.yaml'
    rules.write_text(''.join(f'"{rule}": "role:member"\n' for rule in given))
    application, database = api_service.make(
        tmp_path / 'db.sqlite', policy_file=str(rules)
    )
    request = webob.Request.blank('/v2.1/os-aggregates/1/hosts', method='PUT')
    request.headers['X-Auth-Token'] = 'user:abc:member'
    request.json = {'membership': {'hosts': ['xen1'], 'dry_run': dry_run}}
    answer = request.get_response(application)
    database.dispose()
    assert answer.status_int == status, answer.text


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


@pytest.mark.parametrize(
    ('tool', 'text', 'status', 'told'),
    [
        ('list-redundant', f'"{policy.SHOW}": "{policy.ADMIN}"', 0, 'show'),
        ('list-redundant', f'"{policy.SHOW}": "role:a"', 0, ''),
        ('validator', f'"{policy.SHOW}": "role:a"', 0, ''),
        ('validator', f'"{policy.SHOW}": "role:a or"', 1, 'role:a or'),
        ('validator', '"os_compute_api:os-nothing": "role:a"', 1, 'nothing'),
    ],
)
def test_tools_of_oslo_policy_read_the_file_of_the_operator(
    tmp_path: pathlib.Path, tool: str, text: str, status: int, told: str
) -> None:
    (tmp_path / 'policy.yaml').write_text(f'{text}\n')
    config = tmp_path / 'ours.conf'
    config.write_text(
        f'[oslo_policy]\npolicy_file = {tmp_path / "policy.yaml"}\n'
    )
    program = pathlib.Path(sys.executable).with_name(f'oslopolicy-{tool}')
    done = subprocess.run(
        [program, '--namespace', 'aggregates_ext', '--config-file', config],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    assert told in done.stdout + done.stderr
    if not told:
        assert done.stdout == ''
