"""Guests as servers: what a client gets, from what was seen of a pool."""

import contextlib
import hashlib
import json
import urllib.parse
from typing import Any

import pytest
import sqlalchemy as sa
import webob

from aggregates_ext import deploy
from aggregates_ext.api.edge import versions
from aggregates_ext.db import guestpages
from aggregates_ext.db import guests
from aggregates_ext.db import records
from aggregates_ext.db.schema import models
from tests.functional import api_service
from tests.functional import service
from tests.functional import test_statements

ADMIN = f'operator:{api_service.PROJECT}:admin'
MEMBER = 'somebody:another:member,reader'
NOBODY = '0' * 32
MIB = 1 << 20


class Api:
    """The API on the database of a service."""

    def __init__(self, running: service.Service) -> None:
        running.conf.set_override('settle_wait', 0, 'api')
        built = deploy.build(running.conf)
        self._application = versions.Versions(api_service.Authtoken(built))

    def __call__(
        self,
        path: str,
        microversion: str = '2.1',
        token: str = ADMIN,
        status: int = 200,
        version: str = 'v2.1',
    ) -> Any:
        request = webob.Request.blank(f'/{version}/{path}')
        request.headers['X-Auth-Token'] = token
        request.headers['OpenStack-API-Version'] = f'compute {microversion}'
        response = request.get_response(self._application)
        assert response.status_int == status, response.text
        return json.loads(response.text)

    def names(self, query: str, **more: Any) -> list[str]:
        body = self(f'servers?all_tenants=1&{query}', **more)
        return [server['name'] for server in body['servers']]


@pytest.fixture
def key(running: service.Service) -> int:
    found = running.create('xen1', 'xen2')
    sim = running.sim
    sim.add_vm('xen1', 'web', memory=2048 * MIB, vcpus=2)
    running.watch(found, 0)
    sim.add_vm('xen2', 'db', memory=4096 * MIB, vcpus=4)
    running.watch(found, 0)
    sim.add_vm('xen2', 'off', power_state='Halted')
    running.watch(found, 0)
    return found


@pytest.fixture
def api(running: service.Service, key: int) -> Api:
    return Api(running)


def uuid_of(running: service.Service, name: str) -> str:
    table = models.guests
    with running.database.reader() as connection:
        found = connection.scalar(
            sa.select(table.c.uuid).where(table.c.name == name)
        )
    return str(found)


BASE = {
    'name': 'web',
    'status': 'ACTIVE',
    'tenant_id': NOBODY,
    'user_id': NOBODY,
    'metadata': {},
    'image': '',
    'addresses': {},
    'accessIPv4': '',
    'accessIPv6': '',
    'progress': 0,
    'config_drive': '',
    'key_name': None,
    'security_groups': [],
    'OS-DCF:diskConfig': 'MANUAL',
    'OS-EXT-AZ:availability_zone': 'nova',
    'OS-EXT-STS:task_state': None,
    'OS-EXT-STS:vm_state': 'active',
    'OS-EXT-STS:power_state': 1,
    'OS-EXT-SRV-ATTR:host': 'xen1',
    'OS-EXT-SRV-ATTR:hypervisor_hostname': 'xen1',
    'OS-EXT-SRV-ATTR:instance_name': 'web',
    'OS-SRV-USG:launched_at': None,
    'OS-SRV-USG:terminated_at': None,
    'os-extended-volumes:volumes_attached': [],
}
# Microversion -> what it adds, or has otherwise.
ADDED: dict[str, dict[str, Any]] = {
    '2.3': {
        'OS-EXT-SRV-ATTR:hostname': 'web',
        'OS-EXT-SRV-ATTR:kernel_id': '',
        'OS-EXT-SRV-ATTR:launch_index': 0,
        'OS-EXT-SRV-ATTR:ramdisk_id': '',
        'OS-EXT-SRV-ATTR:reservation_id': '',
        'OS-EXT-SRV-ATTR:root_device_name': None,
        'OS-EXT-SRV-ATTR:user_data': None,
    },
    '2.9': {'locked': False},
    '2.16': {'host_status': 'UP'},
    '2.19': {'description': None},
    '2.26': {'tags': []},
    '2.47': {
        'flavor': {
            'original_name': 'xapi',
            'vcpus': 2,
            'ram': 2048,
            'disk': 0,
            'ephemeral': 0,
            'swap': 0,
            'extra_specs': {},
        }
    },
    '2.63': {'trusted_image_certificates': None},
    '2.71': {'server_groups': []},
    '2.73': {'locked_reason': None},
    '2.96': {'pinned_availability_zone': None},
    '2.100': {'scheduler_hints': {}},
    '2.104': {},
}


def number(microversion: str) -> tuple[int, ...]:
    return tuple(map(int, microversion.split('.')))


def test_a_server_has_what_nova_shows(
    running: service.Service, api: Api
) -> None:
    for microversion in ('2.1', '2.2', '2.46', *ADDED):
        check_server(running, api, microversion)


def check_server(
    running: service.Service, api: Api, microversion: str
) -> None:
    uuid = uuid_of(running, 'web')
    url = 'http://localhost'
    expected = {
        **BASE,
        'id': uuid,
        'links': [
            {'rel': 'self', 'href': f'{url}/v2.1/servers/{uuid}'},
            {'rel': 'bookmark', 'href': f'{url}/servers/{uuid}'},
        ],
        'hostId': hashlib.sha224(f'{NOBODY}xen1'.encode()).hexdigest(),
        'flavor': {
            'id': 'xapi',
            'links': [{'rel': 'bookmark', 'href': f'{url}/flavors/xapi'}],
        },
    }
    for since, more in ADDED.items():
        if number(since) <= number(microversion):
            expected |= more
    shown = api(f'servers/{uuid}', microversion)['server']
    for name in ('created', 'updated'):
        assert shown.pop(name).endswith('Z')
    assert shown == expected
    (listed,) = api(
        f'servers/detail?all_tenants=True&uuid={uuid}', microversion
    )['servers']
    expected.pop('server_groups', None)
    assert {'created', 'updated'} <= listed.keys()
    assert {n: listed[n] for n in listed if n in expected} == expected
    assert listed.keys() - expected.keys() == {'created', 'updated'}
    (brief,) = api(f'servers?all_tenants=1&uuid={uuid}', microversion)[
        'servers'
    ]
    assert brief == {n: expected[n] for n in ('id', 'name', 'links')}


def test_a_halted_guest_has_no_host(
    running: service.Service, api: Api
) -> None:
    shown = api(f'servers/{uuid_of(running, "off")}', '2.100')['server']
    assert shown['status'] == 'SHUTOFF'
    assert shown['OS-EXT-SRV-ATTR:host'] is None
    assert shown['OS-EXT-SRV-ATTR:hypervisor_hostname'] is None
    assert (shown['hostId'], shown['host_status']) == ('', '')
    assert shown['OS-EXT-STS:power_state'] == 4
    assert 'progress' not in shown
    assert api.names('host=xen2') == ['db']


FILTERS: list[tuple[str, list[str]]] = [
    ('', ['off', 'db', 'web']),
    ('host=xen1', ['web']),
    ('node=xen2', ['db']),
    ('host=nobody', []),
    ('name=e', ['web']),
    ('name=^web$', ['web']),
    ('name=^we', ['web']),
    ('name=b$', ['db', 'web']),
    ('name=%25', []),
    ('name=d.*b', ['db']),
    ('status=ACTIVE', ['db', 'web']),
    ('status=active', ['db', 'web']),
    ('status=SHUTOFF', ['off']),
    ('status=MIGRATING', []),
    ('status=ERROR', []),
    ('status=nonsense', []),
    ('vm_state=stopped', ['off']),
    ('power_state=1', ['db', 'web']),
    ('task_state=migrating', []),
    (f'project_id={NOBODY}', ['off', 'db', 'web']),
    ('project_id=abc', []),
    ('tenant_id=abc', []),
    (f'user_id={NOBODY}', ['off', 'db', 'web']),
    ('deleted=true', []),
    ('locked=false', ['off', 'db', 'web']),
    ('tags=a', []),
    ('ip=10.0.0.1', []),
    ('flavor=1', []),
    ('availability_zone=nova', ['off', 'db', 'web']),
    ('availability_zone=other', []),
    ('uuid=none', []),
    ('changes-since=2015-01-24T17:08Z', ['off', 'db', 'web']),
    ('changes-since=2100-01-24T17:08:00%2B00:00', []),
    ('sort_key=created_at&sort_dir=asc', ['web', 'db', 'off']),
    ('sort_key=display_name', ['web', 'off', 'db']),
    ('sort_key=updated_at&sort_dir=asc', ['web', 'db', 'off']),
    ('limit=0', []),
    ('limit=2', ['off', 'db']),
    ('reservation_id=x', []),
    ('unknown_filter=x', ['off', 'db', 'web']),
    ('host=a%00b', []),
]


def test_filters(api: Api) -> None:
    for query, names in FILTERS:
        assert api.names(query) == names, query


BAD_QUERIES = [
    ('status=nonsense', '2.38'),
    ('unknown_filter=x', '2.75'),
    ('limit=x', '2.1'),
    ('limit=-1', '2.1'),
    ('marker=none', '2.1'),
    ('marker=%00', '2.1'),
    ('changes-since=yesterday', '2.1'),
    ('changes-before=yesterday', '2.66'),
    ('all_tenants=perhaps', '2.1'),
    ('deleted=perhaps', '2.1'),
    ('sort_dir=up', '2.1'),
]


def test_bad_queries(api: Api) -> None:
    for query, microversion in BAD_QUERIES:
        whole = f'all_tenants=1&{query}'.replace('1&all_tenants=', '')
        api(f'servers/detail?{whole}', microversion, status=400)


def test_pages(running: service.Service, api: Api) -> None:
    for number in range(10):
        running.sim.add_vm('xen1', f'guest{number}')
    running.watch(1, 0)
    for sort in ('', '&sort_key=name&sort_dir=asc', '&sort_key=uuid'):
        check_pages(api, sort)


def test_pages_end_with_the_last_server(
    running: service.Service, api: Api
) -> None:
    """Also while guests of a deleted aggregate wait for their deletion."""
    left = running.aggregates.create('left', None).id
    ghosts = [
        records.Seen(f'ref{n}', f'uuid{n}', f'ghost{n}', None, '', 0, 0, None)
        for n in range(7)
    ]
    running.database.write(
        lambda c: guests.keep(c, left, ghosts, (), 2e9, whole=True)
    )
    running.aggregates.delete(running.ctx, left)
    assert {'web', 'db', 'off'} <= set(walk(api, 'limit=2'))


def check_pages(api: Api, sort: str) -> None:
    found = walk(api, f'limit=5{sort}')
    assert len(found) == 13
    assert set(found) > {'web', 'db', 'off'}
    assert found == api.names(sort.lstrip('&'))


def walk(api: Api, query: str) -> list[str]:
    """The names on a page and on those that it leads to."""
    found: list[str] = []
    path = f'servers?all_tenants=1&{query}'
    while True:
        body = api(path)
        found += [server['name'] for server in body['servers']]
        if 'servers_links' not in body:
            return found
        href = body['servers_links'][0]['href']
        path = f'servers?{urllib.parse.urlsplit(href).query}'


def test_who_sees_what(running: service.Service, api: Api) -> None:
    uuid = uuid_of(running, 'web')
    # Of no project but the configured one.
    assert api('servers/detail')['servers'] == []
    api('servers?all_tenants=1', token=MEMBER, status=403)
    api('servers/detail?all_tenants=1', token=MEMBER, status=403)
    assert api('servers', token=MEMBER)['servers'] == []
    assert api('servers?host=xen1', token=MEMBER)['servers'] == []
    answer = api(f'servers/{uuid}', token=MEMBER, status=404)
    assert answer['itemNotFound']['message'] == (
        f'Instance {uuid} could not be found.'
    )
    owner = f'someone:{NOBODY}:member'
    shown = api(f'servers/{uuid}', '2.100', token=owner)['server']
    assert 'host_status' not in shown
    assert 'OS-EXT-SRV-ATTR:host' not in shown
    assert shown['OS-EXT-SRV-ATTR:hostname'] == 'web'
    # Filters that are not for everybody are ignored, as in Nova.
    listed = api('servers?host=xen1&name=off', token=owner)['servers']
    assert [server['name'] for server in listed] == ['off']


def test_no_such_server(api: Api) -> None:
    for server_id in ('none', '%00', 'a' * 300, '..'):
        api(f'servers/{server_id}', status=404)


def test_the_old_face_shows_none(running: service.Service, api: Api) -> None:
    project = api_service.PROJECT
    assert api(f'{project}/servers', version='v1.1')['servers'] == []
    uuid = uuid_of(running, 'web')
    api(f'{project}/servers/{uuid}', version='v1.1', status=404)


def test_a_move_and_a_reboot_show(running: service.Service, api: Api) -> None:
    uuid = uuid_of(running, 'web')
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.call('VM.get_by_uuid', uuid)
        xen2 = session.call('host.get_by_uuid', running.sim.host('xen2').uuid)
        session.call('Async.VM.pool_migrate', ref, xen2, {})
        # Its end would break a move that has just begun at the master.
        running.watch(1, 2)
    shown = api(f'servers/{uuid}')['server']
    assert shown['status'] == 'MIGRATING'
    assert shown['OS-EXT-STS:task_state'] == 'migrating'
    assert shown['OS-EXT-STS:vm_state'] == 'active'
    assert shown['OS-EXT-SRV-ATTR:host'] == 'xen1'
    assert api.names('status=MIGRATING') == ['web']
    assert api.names('status=ACTIVE') == ['db']
    running.watch(1, 60)
    shown = api(f'servers/{uuid}')['server']
    assert (shown['status'], shown['OS-EXT-STS:task_state']) == (
        'ACTIVE',
        None,
    )
    assert shown['OS-EXT-SRV-ATTR:host'] == 'xen2'


def test_the_status_of_a_host(running: service.Service, api: Api) -> None:
    path = f'servers/{uuid_of(running, "db")}'
    assert api(path, '2.16')['server']['host_status'] == 'UP'
    running.sim.set_host('xen2', enabled=False)
    running.watch(1, 0)
    assert api(path, '2.16')['server']['host_status'] == 'MAINTENANCE'
    running.sim.power_off('xen2')
    running.watch(1, 900)
    assert api(path, '2.16')['server']['host_status'] == 'MAINTENANCE'


def test_the_status_of_a_host_that_is_away(
    running: service.Service, api: Api
) -> None:
    running.sim.power_off('xen2')
    running.watch(1, 900)
    path = f'servers/{uuid_of(running, "db")}'
    assert api(path, '2.16')['server']['host_status'] == 'UNKNOWN'


def test_hypervisors_have_real_figures(
    running: service.Service, api: Api
) -> None:
    hypervisors = {
        found['hypervisor_hostname']: found
        for found in api('os-hypervisors/detail')['hypervisors']
    }
    xen2 = hypervisors['xen2']
    count = running.sim.host('xen2').spec.cpu.count
    assert (xen2['vcpus'], xen2['vcpus_used']) == (count, 4)
    assert xen2['memory_mb'] == 64 * 1024
    assert 4096 < xen2['memory_mb_used'] < 12 * 1024
    assert xen2['free_ram_mb'] == xen2['memory_mb'] - xen2['memory_mb_used']
    assert xen2['running_vms'] == 1
    # Of a host in no pool nothing is known.
    assert (
        hypervisors['xen3']['vcpus'] == hypervisors['xen3']['memory_mb'] == 0
    )
    found = api('os-hypervisors/statistics')['hypervisor_statistics']
    assert (found['running_vms'], found['vcpus_used']) == (2, 6)
    assert (found['count'], found['memory_mb']) == (3, 2 * 64 * 1024)
    assert found['vcpus'] == 2 * count


def test_a_host_has_the_figures_of_its_hypervisor(api: Api) -> None:
    found = api('os-hypervisors/detail')['hypervisors']
    of = {h['hypervisor_hostname']: h for h in found}
    for name in ('xen1', 'xen2', 'xen3'):
        rows = [row['resource'] for row in api(f'os-hosts/{name}')['host']]
        seen = {r['project']: (r['cpu'], r['memory_mb']) for r in rows}
        has = (of[name]['vcpus'], of[name]['memory_mb'])
        used = (of[name]['vcpus_used'], of[name]['memory_mb_used'])
        assert seen == {
            '(total)': has,
            '(used_now)': used,
            '(used_max)': used,
        }
    assert of['xen2']['vcpus_used'] == 4


def test_hypervisors_with_their_servers(
    running: service.Service, api: Api
) -> None:
    web = {'uuid': uuid_of(running, 'web'), 'name': 'web'}
    found = api('os-hypervisors/xen/servers')['hypervisors']
    servers = {h['hypervisor_hostname']: h.get('servers') for h in found}
    assert servers['xen1'] == [web]
    assert servers['xen3'] is None
    for microversion, none in (('2.53', None), ('2.75', []), ('2.88', [])):
        found = api(
            'os-hypervisors?hypervisor_hostname_pattern=xen&with_servers=True',
            microversion,
        )['hypervisors']
        servers = {h['hypervisor_hostname']: h.get('servers') for h in found}
        assert (servers['xen1'], servers['xen3']) == ([web], none)
        shown = api(
            f'os-hypervisors/{found[0]["id"]}?with_servers=True', microversion
        )['hypervisor']
        assert shown['servers'] == [web]


def test_a_pool_that_lies_takes_no_host_of_another(
    running: service.Service, api: Api
) -> None:
    """Its guest says that it is on a host of which the pool is not."""
    other = running.aggregates.create('other', None).id
    with running.database.writer() as connection:
        connection.execute(
            sa.update(models.guests)
            .where(models.guests.c.name == 'web')
            .values(aggregate_id=other)
        )
    assert api.names('host=xen1') == []
    (web,) = api('servers/detail?all_tenants=1&name=web')['servers']
    assert web['OS-EXT-SRV-ATTR:host'] is None
    (xen1,) = api('os-hypervisors/xen1/servers')['hypervisors']
    assert 'servers' not in xen1


@pytest.mark.parametrize(
    ('pattern', 'sql'),
    [
        ('web', '%web%'),
        ('^web$', 'web'),
        ('^web', 'web%'),
        ('web$', '%web'),
        ('a.*b', '%a%b%'),
        (r'a\.b', '%a.b%'),
        ('50%_!', '%50!%!_!!%'),
        ('', '%%'),
        ('^', '%'),
        ('$', '%'),
        ('^$', ''),
    ],
)
def test_patterns_of_names(pattern: str, sql: str) -> None:
    assert guestpages.like(pattern) == sql


def test_no_request_needs_more_than_eight_statements(
    running: service.Service, api: Api
) -> None:
    uuid = uuid_of(running, 'db')
    for path in (
        f'servers/{uuid}',
        f'servers/detail?all_tenants=1&limit=1&marker={uuid}',
        'servers/detail?all_tenants=1&host=xen2&name=^db$',
        'os-hypervisors/detail?with_servers=1',
        'os-hypervisors/statistics',
    ):
        version = '2.80' if 'hypervisors' in path else '2.104'
        with test_statements.counting() as statements:
            api(path, version)
        assert 2 <= len(statements) <= test_statements.BUDGET, statements
