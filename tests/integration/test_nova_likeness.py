"""Extensions beside aggregates, held against a real Nova.

Where there are no hosts both must answer the same, and where there are, our
answers must meet the schemas that Nova has for its own.
"""

import json
import pathlib
import subprocess
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import pytest
import XenAPI

from tests.integration import nova
from tests.integration import processes

pytestmark = pytest.mark.long

# Around each change of what is answered here.
VERSIONS = [
    '2.1',
    '2.10',
    '2.11',
    '2.22',
    '2.23',
    '2.24',
    '2.25',
    '2.27',
    '2.28',
    '2.30',
    '2.32',
    '2.33',
    '2.40',
    '2.41',
    '2.42',
    '2.43',
    '2.52',
    '2.53',
    '2.58',
    '2.59',
    '2.65',
    '2.66',
    '2.67',
    '2.68',
    '2.69',
    '2.74',
    '2.75',
    '2.79',
    '2.80',
    '2.87',
    '2.88',
    '2.101',
    '2.102',
    '2.104',
]
UUID = 'b1e43b5f-eec1-44e0-9f10-7b4945c0226d'
PATHS = [
    '/os-hosts',
    '/os-hosts?zone=az1&unknown=1',
    '/os-hosts?zone=',
    '/os-hosts?zone=%07',
    '/os-hosts/none',
    '/os-services',
    '/os-services?binary=nova-compute&host=none',
    '/os-services?unknown=1',
    '/os-hypervisors',
    '/os-hypervisors?unknown=1',
    '/os-hypervisors?limit=1',
    '/os-hypervisors?limit=none',
    '/os-hypervisors?limit=-1',
    '/os-hypervisors?limit=0',
    '/os-hypervisors?marker=',
    f'/os-hypervisors?marker={UUID}',
    '/os-hypervisors?hypervisor_hostname_pattern=none',
    '/os-hypervisors?hypervisor_hostname_pattern=none&limit=1',
    '/os-hypervisors?with_servers=1',
    '/os-hypervisors?with_servers=perhaps',
    '/os-hypervisors/detail',
    '/os-hypervisors/detail?limit=1',
    '/os-hypervisors/detail?unknown=1',
    '/os-hypervisors/1',
    '/os-hypervisors/none',
    f'/os-hypervisors/{UUID}',
    f'/os-hypervisors/{UUID}?with_servers=perhaps',
    f'/os-hypervisors/{UUID}?unknown=1',
    '/os-hypervisors/1/uptime',
    f'/os-hypervisors/{UUID}/uptime',
    '/os-hypervisors/none/search',
    '/os-hypervisors/none/servers',
    '/os-availability-zone',
    '/os-availability-zone/detail',
    '/os-availability-zone?unknown=1',
    '/os-availability-zone/detail?unknown=1',
    '/os-availability-zone/none',
    '/servers',
    '/servers/detail',
    '/servers?all_tenants=1',
    '/servers?all_tenants=',
    '/servers?all_tenants=perhaps',
    '/servers/detail?all_tenants=True&host=xen1&status=ACTIVE',
    '/servers?status=nonsense',
    '/servers?status=deleted',
    '/servers?status=shutoff',
    '/servers?name=^a$',
    '/servers?limit=1',
    '/servers?limit=0',
    '/servers?limit=-1',
    '/servers?limit=x',
    '/servers?marker=none',
    f'/servers?marker={UUID}',
    '/servers?sort_key=created_at&sort_dir=asc',
    '/servers?sort_dir=up',
    '/servers?changes-since=yesterday',
    '/servers?changes-since=2015-01-24T17:08Z',
    '/servers?changes-before=yesterday',
    '/servers?deleted=true',
    '/servers?tags=a',
    '/servers?uuid=none',
    '/servers?unknown=1',
    '/servers/none',
    f'/servers/{UUID}',
    f'/servers/{UUID}/migrations',
    f'/servers/{UUID}/migrations?unknown=1',
    f'/servers/{UUID}/migrations/1',
    f'/servers/{UUID}/os-instance-actions',
    f'/servers/{UUID}/os-instance-actions?unknown=1',
    f'/servers/{UUID}/os-instance-actions?limit=x',
    f'/servers/{UUID}/os-instance-actions/req-{UUID}',
    '/os-migrations',
    '/os-migrations?host=xen1&status=running&migration_type=live-migration',
    f'/os-migrations?instance_uuid={UUID}&source_compute=xen1',
    '/os-migrations?unknown=1',
    '/os-migrations?limit=1',
    '/os-migrations?limit=0',
    '/os-migrations?limit=x',
    '/os-migrations?limit=-1',
    f'/os-migrations?marker={UUID}',
    '/os-migrations?changes-since=yesterday',
    '/os-migrations?changes-since=2026-01-01T00:00:00Z',
    '/os-migrations?changes-before=2026-01-01T00:00:00Z',
    '/os-migrations?changes-since=2026-01-02T00:00:00Z'
    '&changes-before=2026-01-01T00:00:00Z',
    '/os-migrations?user_id=a&project_id=b',
]
LIVE = {'host': None, 'block_migration': 'auto'}
# What is asked of a server that there is not, or is asked wrongly.
POSTS: list[tuple[str, str, object]] = [
    ('POST', 'action', {'os-migrateLive': LIVE}),
    (
        'POST',
        'action',
        {
            'os-migrateLive': {
                **LIVE,
                'block_migration': False,
                'disk_over_commit': False,
            }
        },
    ),
    ('POST', 'action', {'os-migrateLive': {**LIVE, 'force': True}}),
    ('POST', 'action', {'os-migrateLive': {**LIVE, 'host': 'a b'}}),
    ('POST', 'action', {'os-migrateLive': {'host': None}}),
    ('POST', 'action', {'nonsense': None}),
    ('POST', 'action', {}),
    ('POST', 'migrations/1/action', {'force_complete': None}),
    ('POST', 'migrations/1/action', {'force_complete': 1}),
    ('POST', 'migrations/1/action', {'nonsense': None}),
    ('DELETE', 'migrations/1', None),
]
GUESTS = '/servers?all_tenants=1'
# Path -> the route of Nova that it takes.
KNOWN = {
    '/os-hosts': '/os-hosts',
    '/os-hosts/xen1': '/os-hosts/{id}',
    '/os-services': '/os-services',
    '/os-services?binary=nova-compute': '/os-services',
    '/os-hypervisors': '/os-hypervisors',
    '/os-hypervisors?limit=1': '/os-hypervisors',
    '/os-hypervisors?with_servers=1': '/os-hypervisors',
    '/os-hypervisors/detail': '/os-hypervisors/detail',
    '/os-hypervisors/detail?limit=1': '/os-hypervisors/detail',
    '/os-hypervisors/detail?with_servers=1': '/os-hypervisors/detail',
    '/os-hypervisors/1': '/os-hypervisors/{id}',
    '/os-hypervisors/{uuid}': '/os-hypervisors/{id}',
    '/os-hypervisors/{uuid}?with_servers=1': '/os-hypervisors/{id}',
    '/os-hypervisors/xen/search': '/os-hypervisors/{id}/search',
    '/os-hypervisors/xen/servers': '/os-hypervisors/{id}/servers',
    '/os-hypervisors/statistics': '/os-hypervisors/statistics',
    '/os-availability-zone': '/os-availability-zone',
    '/os-availability-zone/detail': '/os-availability-zone/detail',
    '/os-aggregates': '/os-aggregates',
    '/os-aggregates/1': '/os-aggregates/{id}',
    '/servers?all_tenants=1': '/servers',
    '/servers/detail?all_tenants=1': '/servers/detail',
    '/servers/{guest}': '/servers/{id}',
    '/servers/{guest}/migrations': '/servers/{server_id}/migrations',
    '/servers/{guest}/migrations/{number}': (
        '/servers/{server_id}/migrations/{id}'
    ),
    '/os-migrations': '/os-migrations',
}
# Reads answers and tells what is wrong with them, by Nova's own schemas.
JUDGE = """
import json
import sys
from nova.api.openstack import api_version_request
from nova.api.openstack.compute import routes
from nova.api.validation import validators

ACTIONS = {path: methods for path, methods in routes.ROUTE_LIST}

def schema_of(path, version):
    factory, action = ACTIONS[path]['GET']
    method = getattr(factory.args[0], action)
    wanted = api_version_request.APIVersionRequest(version)
    found = [
        schema
        for schema, low, high in method.response_body_schemas._schemas
        if wanted.matches(low, high)
    ]
    return found[0]

faults = []
for path, version, body in json.load(sys.stdin):
    schema = schema_of(path, version)
    try:
        validators._SchemaValidator(schema, is_body=True).validate(body)
    except Exception as exc:
        faults.append(f'{path} at {version}: {exc!r} in {body}')
print(json.dumps(faults))
"""


@pytest.fixture(scope='module')
def empty(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[processes.Client]:
    """An API without hosts."""
    directory = tmp_path_factory.mktemp('empty')
    with processes.Site(directory, 1) as site:
        site.run('aggregates-ext-manage', 'db', 'sync')
        yield site.start_api()


@pytest.mark.parametrize('path', PATHS)
def test_without_hosts_the_answers_are_those_of_nova(
    plain: nova.Server, empty: processes.Client, path: str
) -> None:
    differences = {}
    for version in VERSIONS:
        header = {'OpenStack_API_Version': f'compute {version}'}
        theirs = plain.request('GET', f'/v2.1{path}', **header)
        ours = empty.sending(**header).ask('GET', path)
        expected = [theirs.status]
        told = [ours.status]
        if theirs.status == 200:
            expected.append(theirs.json())
            told.append(ours.body)
        if told != expected:
            differences[version] = (told, expected)
    assert differences == {}


def told(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What headers tell of microversions; Nova's ``Vary`` is in two lines."""
    names = ('openstack-api-version', 'x-openstack-nova-api-version', 'vary')
    lines = [(name.lower(), text) for name, text in headers]
    return {
        name: ', '.join(text for key, text in lines if key == name)
        for name in names
    }


@pytest.mark.parametrize('path', ['/', '/v2', '/v2/', '/v2.1', '/v2.1/'])
@pytest.mark.parametrize(
    'asked', ['', 'compute 2.41', 'compute latest', 'compute 2.999', 'x 1.2']
)
def test_version_documents_tell_microversions_as_nova_does(
    plain: nova.Server, empty: processes.Client, path: str, asked: str
) -> None:
    header = {'OpenStack_API_Version': asked} if asked else {}
    theirs = plain.request('GET', path, **header)
    ours = empty.sending(**header).ask('GET', path, prefix='')
    assert (ours.status, told(ours.headers.items())) == (
        theirs.status,
        told(theirs.headers),
    )


@pytest.mark.parametrize(('method', 'path', 'body'), POSTS)
def test_without_servers_moves_are_refused_as_by_nova(
    plain: nova.Server,
    empty: processes.Client,
    method: str,
    path: str,
    body: object,
) -> None:
    differences = {}
    for version in VERSIONS:
        header = {'OpenStack_API_Version': f'compute {version}'}
        theirs = plain.request(
            method,
            f'/v2.1/servers/{UUID}/{path}',
            body,
            **header,
        )
        ours = empty.sending(**header).ask(
            method, f'/servers/{UUID}/{path}', body
        )
        if ours.status != theirs.status:
            differences[version] = (ours, theirs)
    assert differences == {}


@pytest.fixture(scope='module')
def answers(
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[str, str, Any]]:
    """What is answered of a pool, a free host and a disabled one."""
    directory = tmp_path_factory.mktemp('some')
    with processes.Site(directory, 3) as site:
        site.set_up()
        compute = site.start_compute()
        api = site.start_api()
        key = api.make_pool('pool1', ['xen1', 'xen2'])
        disable(site, 'xen1', 'xen2')
        processes.wait_for(
            'the API tells who is disabled', lambda: is_disabled(api, 'xen2')
        )
        assert key == 1
        site.sim.add_vm('xen1', 'guest')
        site.sim.add_vm('xen1', 'halted', power_state='Halted')
        processes.wait_for(
            'the API tells of guests',
            lambda: api.done('GET', GUESTS)['servers'],
        )
        # Nobody makes the move, so it stays open.
        compute.kill()
        guest = api.done('GET', f'{GUESTS}&host=xen1')['servers'][0]['id']
        body = {'block_migration': False, 'disk_over_commit': False}
        asked = api.sending(X_Auth_Token='operator:pools').ask(
            'POST',
            f'/servers/{guest}/action',
            {'os-migrateLive': {'host': None, **body}},
        )
        assert asked.status == 202, asked
        return [
            (route, version, body)
            for version in VERSIONS
            for route, body in all_answers(api, version)
        ]


def disable(site: processes.Site, master: str, host: str) -> None:
    """Disable a host as an operator of its pool would."""
    session = XenAPI.Session(site.url(master))
    session.xenapi.login_with_password(
        'root', processes.PASSWORD, '1.0', 'test'
    )
    (ref,) = session.xenapi.host.get_by_name_label(host)
    session.xenapi.host.disable(ref)
    session.xenapi.session.logout()


def is_disabled(api: processes.Client, host: str) -> bool:
    services = api.done('GET', f'/os-services?host={host}')['services']
    return bool(services[0]['status'] == 'disabled')


def all_answers(
    api: processes.Client, version: str
) -> Iterator[tuple[str, Any]]:
    """Every answer there is at a version, with the route of Nova."""
    asking = api.sending(OpenStack_API_Version=f'compute {version}')
    listed = asking.done('GET', '/os-hypervisors')['hypervisors']
    uuid = str(listed[0]['id'])
    guest = asking.done('GET', f'{GUESTS}&host=xen1')['servers'][0]['id']
    for path, route in KNOWN.items():
        known = path.replace('{uuid}', uuid).replace('{guest}', guest)
        known = known.replace('{number}', '1')
        answer = asking.ask('GET', known)
        if answer.status == 200:
            yield route, answer.body


def test_answers_meet_the_schemas_of_nova(
    nova_venv: pathlib.Path, answers: list[tuple[str, str, Any]]
) -> None:
    # Each route was answered at some version.
    assert {route for route, _v, _b in answers} == set(KNOWN.values())
    done = subprocess.run(
        [nova_venv / 'bin' / 'python', '-c', JUDGE],
        input=json.dumps(answers),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_answers_tell_of_every_kind_of_host(
    answers: list[tuple[str, str, Any]],
) -> None:
    hypervisors = {
        shown['hypervisor_hostname']: shown
        for route, version, body in answers
        if (route, version) == ('/os-hypervisors/detail', '2.88')
        for shown in body['hypervisors']
    }
    told = {
        name: (shown['state'], shown['status'])
        for name, shown in hypervisors.items()
    }
    assert told == {
        'xen1': ('up', 'enabled'),
        'xen2': ('up', 'disabled'),
        'xen3': ('up', 'enabled'),
    }
    versions = {
        name: shown['hypervisor_version']
        for name, shown in hypervisors.items()
    }
    # Nothing has been seen of the free one.
    assert versions['xen3'] == 0
    assert versions['xen1'] == versions['xen2'] > 7_000_000
