"""Clients of OpenStack against the running service, with real tokens.

All of them make pools of simulated hosts, and know nothing of that.
"""

import json
import pathlib
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import clients
from tests.integration import documents
from tests.integration import keystone as keystone_server
from tests.integration import processes

REGION = 'Pools'
EXTENSIONS = {
    'os-aggregates',
    'os-aggregate-pools',
    'os-hosts',
    'os-services',
    'os-hypervisors',
    'os-availability-zone',
}
HOSTS = 40


def longer(*versions: str) -> list[Any]:
    """The client's own version, and others where there is more time."""
    return [*(pytest.param(v, marks=pytest.mark.long) for v in versions), '']


@pytest.fixture(scope='module')
def site(
    keystone: keystone_server.Keystone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[processes.Site]:
    directory: pathlib.Path = tmp_path_factory.mktemp('site')
    with processes.Site(
        directory, HOSTS, authtoken=keystone.authtoken(), settle_wait=30
    ) as made:
        made.set_up()
        made.start_compute()
        yield made


@pytest.fixture(scope='module')
def api(
    site: processes.Site, keystone: keystone_server.Keystone
) -> processes.Client:
    """The API, seen by an administrator."""
    client = site.start_api()
    keystone.add_endpoint(f'{client.url}/v2.1', REGION)
    return client.sending(X_Auth_Token=keystone.token('operator'))


@pytest.fixture(scope='module')
def variables(
    api: processes.Client, keystone: keystone_server.Keystone
) -> dict[str, str]:
    """Who an administrator is, and where the API is."""
    return keystone.variables('operator', REGION)


@pytest.fixture(scope='module')
def openstack(
    clients_venv: pathlib.Path, variables: dict[str, str]
) -> Iterator[clients.Shell]:
    with clients.Shell(clients_venv, variables) as shell:
        yield shell


@pytest.mark.parametrize('version', longer('2.1', '2.41'))
def test_openstackclient_makes_a_pool(
    site: processes.Site,
    api: processes.Client,
    openstack: clients.Shell,
    version: str,
) -> None:
    name = site.new_name()
    host = site.take_hosts(1)[0]

    def run(*command: str) -> Any:
        done = openstack('aggregate', *command, '-f', 'json', version=version)
        return done.json()

    def quietly(*command: str) -> None:
        done = openstack('aggregate', *command, version=version)
        assert (done.status, done.out) == (0, ''), done.err

    created = run(
        'create', '--zone', f'az-{name}', '--property', 'ssd=true', name
    )
    assert created['name'] == name
    listed = {row['Name']: row for row in run('list', '--long')}
    assert listed[name]['Availability Zone'] == f'az-{name}'
    assert listed[name]['Properties'] == {'ssd': 'true'}

    assert run('add', 'host', name, host)['hosts'] == [host]
    assert api.settle(created['id'])['state'] == 'succeeded'
    assert site.pool_of(host)['name_label'] == name
    shown = run('show', name)
    assert shown['hosts'] == [host]
    # Actions are asked without a version, so only this one tells it.
    assert (shown['uuid'] is not None) == (version != '2.1')
    assert run('show', str(created['id']))['name'] == name

    quietly('set', '--property', 'os=xcp', '--name', f'{name}-b', name)
    api.settle(created['id'])
    assert site.pool_of(host)['name_label'] == f'{name}-b'
    quietly('unset', '--property', 'ssd', f'{name}-b')
    shown = run('show', f'{name}-b')
    assert shown['properties'] == {'os': 'xcp'}
    assert shown['updated_at'] is not None

    refused = openstack('aggregate', 'delete', f'{name}-b', version=version)
    assert refused.status == 1
    assert f'Remove these hosts first: {host}.' in refused.err
    assert run('remove', 'host', f'{name}-b', host)['hosts'] == []
    quietly('delete', f'{name}-b')
    assert f'{name}-b' not in [row['Name'] for row in run('list')]


def test_openstackclient_shows_what_is_on_a_host(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    name = site.new_name()
    hosts = site.take_hosts(2)
    created = openstack('aggregate', 'create', '-f', 'json', name).json()
    for host in hosts:
        openstack('aggregate', 'add', 'host', name, host)
    assert api.settle(created['id'])['state'] == 'succeeded'
    guests = {
        guest: site.sim.add_vm(host, f'{name}-{guest}', power_state=state)
        for guest, host, state in (
            ('web', hosts[0], 'Running'),
            ('db', hosts[1], 'Running'),
            ('off', hosts[1], 'Halted'),
        )
    }

    def listed(*options: str, version: str = '') -> dict[str, Any]:
        done = openstack(
            'server',
            'list',
            '--all-projects',
            '--long',
            *options,
            '-f',
            'json',
            version=version,
        )
        return {row['ID']: row for row in done.json()}

    processes.wait_for(
        'guests are seen', lambda: set(guests.values()) <= set(listed())
    )
    for version in ('2.1', '2.96', ''):
        on_host = listed('--host', hosts[0], version=version)
        assert list(on_host) == [guests['web']]
        row = on_host[guests['web']]
        assert (row['Name'], row['Status']) == (f'{name}-web', 'ACTIVE')
        assert row['Host'] == hosts[0]
        by_name = listed('--name', f'{name}-off', version=version)
        assert list(by_name) == [guests['off']]
        assert by_name[guests['off']]['Host'] is None
        by_status = listed('--status', 'SHUTOFF', version=version)
        assert guests['off'] in by_status
        assert guests['web'] not in by_status
        shown = openstack(
            'server', 'show', guests['web'], '-f', 'json', version=version
        ).json()
        assert shown['id'] == guests['web']
        assert shown['OS-EXT-SRV-ATTR:host'] == hosts[0]
        assert shown['status'] == 'ACTIVE'
    hypervisor = openstack(
        'hypervisor', 'show', hosts[0], '-f', 'json', version='2.80'
    ).json()
    assert (hypervisor['running_vms'], hypervisor['vcpus_used']) == (1, 1)
    assert hypervisor['memory_mb'] > hypervisor['memory_mb_used'] > 0


LIVE = 'live-migration'


def guests_of(
    site: processes.Site, api: processes.Client, *names: str
) -> tuple[str, str, list[str]]:
    """Two hosts of a pool, and guests that were seen on the first."""
    name = site.new_name()
    first, second = site.take_hosts(2)
    api.make_pool(name, [first, second])
    made = [site.sim.add_vm(first, f'{name}-{guest}') for guest in names]
    path = f'/servers?all_tenants=1&host={first}'
    processes.wait_for(
        'guests are seen',
        lambda: len(api.done('GET', path)['servers']) == len(names),
    )
    return first, second, made


def moves_of(api: processes.Client, guest: str) -> list[dict[str, Any]]:
    path = f'/os-migrations?instance_uuid={guest}'
    found: list[dict[str, Any]] = api.done('GET', path)['migrations']
    return found


def await_status(api: processes.Client, guest: str, status: str) -> None:
    """Until the last move of a guest has a status."""
    processes.wait_for(
        f'the move is {status}',
        lambda: moves_of(api, guest)[0]['status'] == status,
    )


def test_openstackclient_moves_servers(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    """It asks, follows and aborts; who carries it out is not asked here."""
    first, second, guests = guests_of(site, api, 'a', 'b', 'c')
    for guest, version, options in (
        (guests[0], '2.30', ('--host', second)),
        (guests[1], '', ('--host', second)),
        (guests[2], '2.25', ()),
    ):
        done = openstack(
            *('server', 'migrate', '--live-migration', *options, guest),
            version=version,
        )
        assert done.status == 0, done.err
        [made] = moves_of(api, guest)
        assert made['source_compute'] == first
        listed = openstack(
            *('server', 'migration', 'list', '--server', guest, '-f', 'json'),
            version='2.80',
        ).json()
        assert [row['Id'] for row in listed] == [made['id']]
        assert (listed[0]['Type'], listed[0]['Source Compute']) == (
            LIVE,
            first,
        )
        number = str(made['id'])
        # By its number the client asks for the wrong one, of any API.
        uuid = listed[0]['UUID']
        shown = openstack(
            *('server', 'migration', 'show', guest, uuid, '-f', 'json'),
            version='2.80',
        )
        over = ('completed', 'error', 'cancelled')
        # It may have ended meanwhile.
        if shown.status == 0:
            assert shown.json()['Server UUID'] == guest
            ended = openstack(
                *('server', 'migration', 'abort', guest, number),
                version='2.65',
            )
            assert ended.status == 0 or 'Cannot abort' in ended.err
        else:
            assert moves_of(api, guest)[0]['status'] in over, shown.err
    refused = openstack('server', 'migrate', guests[0])
    assert refused.status == 1
    assert 'needs no migration' in refused.err
    refused = openstack(
        *('server', 'migrate', '--live-migration', '--host', 'nothing'),
        guests[0],
    )
    assert refused.status == 1
    everything = openstack(
        'server', 'migration', 'list', '-f', 'json', version='2.80'
    ).json()
    assert set(guests) <= {row['Server UUID'] for row in everything}


def test_openstackclient_waits_for_a_move(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    """It comes back when the guest runs on its target, and not before."""
    first, second, guests = guests_of(site, api, 'a', 'b')
    for guest, version in zip(guests, ('2.30', '2.96'), strict=True):
        done = openstack(
            *('server', 'migrate', '--live-migration', '--host', second),
            *('--wait', guest),
            version=version,
        )
        assert done.status == 0, done.err
        assert site.sim.places(guest) == [second]
        [made] = moves_of(api, guest)
        assert made['status'] == 'completed'
        again = openstack(
            *('server', 'migrate', '--live-migration', '--host', second),
            *('--wait', guest),
            version=version,
        )
        assert again.status == 1
        assert second in again.err


def test_openstackclient_completes_a_move_that_has_halted_its_guest(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    """By its number; what is known to run is refused in words."""
    _first, second, [guest] = guests_of(site, api, 'a')
    site.sim.plant('VM.pool_migrate', step=guest, action='halt')
    done = openstack(
        *('server', 'migrate', '--live-migration', '--host', second, guest),
        version='2.30',
    )
    assert done.status == 0, done.err
    await_status(api, guest, 'error')
    assert site.sim.places(guest) == []
    number = str(moves_of(api, guest)[0]['id'])
    complete = ('server', 'migration', 'force', 'complete', guest, number)
    done = openstack(*complete, version='2.22')
    assert done.status == 0, done.err
    await_status(api, guest, 'completed')
    assert site.sim.places(guest) == [second]
    again = openstack(*complete, version='2.22')
    assert again.status == 1
    assert 'It has ended' in again.err


def test_openstackclient_tells_why_a_move_has_failed(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    """The answer to its request was that it is accepted."""
    _first, second, [guest] = guests_of(site, api, 'a')
    shown = openstack(
        'hypervisor', 'show', second, '-f', 'json', version='2.80'
    ).json()
    free = shown['memory_mb'] - shown['memory_mb_used']
    site.sim.add_vm(second, site.new_name(), memory=(free - 64) << 20)
    done = openstack(
        *('server', 'migrate', '--live-migration', '--host', second, guest),
        version='2.30',
    )
    assert done.status == 0, done.err
    await_status(api, guest, 'error')
    [listed] = openstack(
        *('server', 'event', 'list', '--long', guest, '-f', 'json'),
        version='2.84',
    ).json()
    assert listed['Action'] == LIVE
    assert second in listed['Message']
    shown = openstack(
        *('server', 'event', 'show', guest, listed['Request ID']),
        *('-f', 'json'),
        version='2.84',
    ).json()
    assert shown['message'] == listed['Message']
    [event] = shown['events']
    assert (event['result'], event['details']) == ('Error', shown['message'])


def test_openstackclient_takes_a_host_into_maintenance(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    first, second, guests = guests_of(site, api, 'a', 'b')
    done = openstack('host', 'set', '--enable-maintenance', first)
    assert done.status == 0, done.err
    processes.wait_for(
        'the host is empty',
        lambda: (
            not openstack(
                *('server', 'list', '--all-projects', '--host', first),
                *('-f', 'json'),
            ).json()
            and not is_enabled(site, first)
        ),
    )
    assert [site.sim.places(guest) for guest in guests] == [[second]] * 2
    [service] = openstack(
        *('compute', 'service', 'list', '--host', first, '-f', 'json')
    ).json()
    assert (service['Status'], service['State']) == ('disabled', 'up')
    done = openstack('host', 'set', '--disable-maintenance', first)
    assert done.status == 0, done.err
    processes.wait_for(
        'the guests are back',
        lambda: (
            [site.sim.places(guest) for guest in guests] == [[first]] * 2
            and is_enabled(site, first)
        ),
    )


@pytest.mark.parametrize('version', longer('2.1', '2.53', '2.87'))
def test_novaclient_evacuates_a_host_live(
    site: processes.Site,
    api: processes.Client,
    clients_venv: pathlib.Path,
    variables: dict[str, str],
    version: str,
) -> None:
    first, second, guests = guests_of(site, api, 'a', 'b')
    asked = ('--os-compute-api-version', version) if version else ()
    done = clients.run(
        clients_venv,
        variables,
        'nova',
        *asked,
        'host-evacuate-live',
        '--target-host',
        second,
        first,
    )
    assert done.status == 0, done.err
    for guest in guests:
        assert guest in done.out
        [made] = moves_of(api, guest)
        assert made['source_compute'] == first
    processes.wait_for(
        'the guests have left',
        lambda: [site.sim.places(guest) for guest in guests] == [[second]] * 2,
    )
    again = clients.run(
        clients_venv,
        variables,
        'nova',
        'live-migration',
        guests[0],
        first,
    )
    # It is on the move, or there already, or still here.
    assert again.status == 0 or '(HTTP 4' in again.err


SDK_MOVES = """
import json
import sys
import openstack
from openstack import exceptions
guest, host = sys.argv[1:]
conn = openstack.connect(load_yaml_config=False)
compute = conn.compute
server = compute.get_server(guest)
compute.live_migrate_server(server, host)
told = {'all': [found.to_dict(computed=False) for found in
                compute.migrations(instance_uuid=guest)]}
told['of'] = [found.to_dict(computed=False) for found in
              compute.server_migrations(server)]
try:
    for found in compute.server_migrations(server):
        compute.get_server_migration(server, found)
        compute.abort_server_migration(found, server)
except exceptions.HttpException as exc:
    told['refused'] = str(exc)
print(json.dumps(told))
"""


def test_openstacksdk_moves_a_server(
    site: processes.Site,
    api: processes.Client,
    clients_venv: pathlib.Path,
    variables: dict[str, str],
) -> None:
    first, second, [guest] = guests_of(site, api, 'a')
    done = clients.run(
        clients_venv, variables, 'python', '-c', SDK_MOVES, guest, second
    )
    assert done.status == 0, done.err
    told = json.loads(done.out)
    [found] = told['all']
    assert (found['server_id'], found['migration_type']) == (guest, LIVE)
    for under_way in told['of']:
        assert under_way['source_compute'] == first
        assert under_way['server_uuid'] == guest


def test_the_program_openstack_itself(
    clients_venv: pathlib.Path, api: processes.Client, variables: Any
) -> None:
    done = clients.run(
        clients_venv,
        variables,
        'openstack',
        'aggregate',
        'list',
        '-f',
        'json',
    )
    assert isinstance(done.json(), list)


def test_openstackclient_tells_why_it_is_refused(
    openstack: clients.Shell, api: processes.Client, site: processes.Site
) -> None:
    name = site.new_name()
    openstack('aggregate', 'create', name)
    for command, reason in [
        (('create', name), f'Aggregate {name} already exists'),
        (('create', '--zone', 'a:b', f'{name}-b'), 'without ":"'),
        (('show', 'nothing'), 'No Aggregate found for nothing'),
        (('add', 'host', name, 'nothing'), 'Host nothing is not registered'),
        (('remove', 'host', name, 'xen1'), 'has no host xen1'),
        (
            ('cache', 'image', name, 'b1e43b5f-eec1-44e0-9f10-7b4945c0226d'),
            '',
        ),
    ]:
        done = openstack('aggregate', *command)
        assert done.status == 1, command
        assert reason in done.err, command
    assert openstack('aggregate', 'delete', name).status == 0


@pytest.mark.long
def test_openstackclient_finds_hosts_and_zones(
    openstack: clients.Shell, api: processes.Client
) -> None:
    def run(*command: str, version: str = '') -> Any:
        return openstack(*command, '-f', 'json', version=version).json()

    names = {f'xen{number + 1}' for number in range(HOSTS)}
    rows = run('extension', 'list', '--compute')
    assert {row['Alias'] for row in rows} == EXTENSIONS
    rows = run('host', 'list')
    assert {row['Host Name'] for row in rows} == names
    rows = run('host', 'show', 'xen1')
    assert [row['Project'] for row in rows] == [
        '(total)',
        '(used_now)',
        '(used_max)',
    ]
    for version in ('2.1', '2.53', ''):
        rows = run('compute', 'service', 'list', version=version)
        assert {row['Host'] for row in rows} == names
        assert {row['State'] for row in rows} == {'up'}
        rows = run('hypervisor', 'list', version=version)
        assert {row['Hypervisor Hostname'] for row in rows} == names
        shown = run('hypervisor', 'show', 'xen1', version=version)
        assert shown['hypervisor_type'] == 'XenServer'
        assert shown['service_host'] == 'xen1'
    rows = run('hypervisor', 'list', '--long', version='2.87')
    assert {row['State'] for row in rows} == {'up'}
    shown = run('hypervisor', 'stats', 'show', version='2.87')
    assert shown['count'] == HOSTS
    rows = run('availability', 'zone', 'list', '--compute', '--long')
    assert names <= {row['Host Name'] for row in rows}
    assert {row['Zone Status'] for row in rows} == {'available'}


def is_enabled(site: processes.Site, host: str) -> bool:
    """Whether the pool of a host has it enabled."""
    members = {h['name']: h for h in site.pool_of(host)['hosts']}
    return bool(members[host]['enabled'])


@pytest.mark.parametrize('version', longer('2.1', '2.52', '2.53'))
def test_openstackclient_disables_and_enables_services(
    site: processes.Site,
    api: processes.Client,
    openstack: clients.Shell,
    version: str,
) -> None:
    first, host = site.take_hosts(2)
    key = api.make_pool(site.new_name(), [first, host])

    def set_service(*options: str, of: str = host) -> int:
        done = openstack(
            *('compute', 'service', 'set', *options, of, 'nova-compute'),
            version=version,
        )
        return done.status

    def show() -> tuple[str, str | None, bool]:
        done = openstack(
            *('compute', 'service', 'list', '--long', '--host', host),
            *('-f', 'json'),
            version=version,
        )
        (row,) = done.json()
        return row['Status'], row['Disabled Reason'], is_enabled(site, host)

    assert set_service('--disable', '--disable-reason', 'two fans') == 0
    assert show() == ('disabled', 'two fans', False)
    assert set_service('--disable') == 0
    assert show() == ('disabled', None, False)
    site.sim.plant('host.enable', code='HOST_DISABLED_UNTIL_REBOOT')
    assert set_service('--enable') == 1
    assert show() == ('disabled', None, False)
    assert api.pool(key)['state'] == 'active'
    assert set_service('--enable') == 0
    assert show() == ('enabled', None, True)
    assert set_service('--disable', of='nothing') == 1
    if version != '2.1':
        assert (set_service('--down'), set_service('--up')) == (1, 0)


def test_openstackclient_disables_and_enables_hosts(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    host, other = site.take_hosts(2)
    api.make_pool(site.new_name(), [other, host])
    for option, enabled in (('--disable', False), ('--enable', True)):
        done = openstack('host', 'set', option, host)
        assert done.status == 0, done.err
        assert is_enabled(site, host) is enabled
        listed = openstack('host', 'list', '-f', 'json').json()
        assert (host in [row['Host Name'] for row in listed]) is enabled
    commands = documents.block('admin.rst', 'openstack host set --enable')
    for line, enabled in zip(
        commands.splitlines(), (False, True), strict=True
    ):
        words = shlex.split(line)
        assert (words[0], words[-1]) == ('openstack', 'xen2')
        done = openstack(*words[1:-1], host)
        assert done.status == 0, done.err
        processes.wait_for(line, lambda e=enabled: is_enabled(site, host) is e)


def test_openstackclient_finds_the_versions(
    openstack: clients.Shell, api: processes.Client
) -> None:
    done = openstack(
        'versions',
        'show',
        '--service',
        'compute',
        '--region-name',
        REGION,
        '-f',
        'json',
    )
    versions = {row['Version']: row for row in done.json()}
    assert versions['2.1']['Status'] == 'CURRENT'
    assert versions['2.1']['Min Microversion'] == '2.1'
    assert versions['2.1']['Max Microversion'] == '2.104'
    assert versions['2.1']['Endpoint'] == f'{api.url}/v2.1/'


SDK = """
import json
import sys
import openstack
from openstack import exceptions
name, host, version = sys.argv[1:]
conn = openstack.connect(
    load_yaml_config=False,
    compute_default_microversion=version or None,
)
compute = conn.compute
told = {}
made = compute.create_aggregate(name=name, availability_zone='az-' + name)
told['created'] = made.to_dict(computed=False)
assert compute.find_aggregate(name).id == made.id
assert made.id in [found.id for found in compute.aggregates()]
compute.set_aggregate_metadata(made, {'ssd': 'true', 'old': 'x'})
compute.set_aggregate_metadata(made, {'old': None})
assert compute.add_host_to_aggregate(made, host).hosts == [host]
told['shown'] = compute.get_aggregate(made.id).to_dict(computed=False)
compute.update_aggregate(made, name=name + '-b')
assert compute.remove_host_from_aggregate(made, host).hosts == []
compute.delete_aggregate(made, ignore_missing=False)
assert compute.find_aggregate(name + '-b') is None
# The other layer of the same client.
made = conn.create_aggregate(name)
assert conn.get_aggregate(name).id == made.id
assert [found.id for found in conn.search_aggregates(name)] == [made.id]
conn.set_aggregate_metadata(made.id, {'a': 'b'})
conn.update_aggregate(made.id, availability_zone='az-b')
assert conn.get_aggregate(made.id).metadata['a'] == 'b'
assert conn.delete_aggregate(made.id)
services = list(compute.services(binary='nova-compute', host=host))
told['services'] = [found.to_dict(computed=False) for found in services]
hypervisors = list(compute.hypervisors(details=True))
told['hypervisors'] = [found.name for found in hypervisors]
found = compute.find_hypervisor(host, ignore_missing=False)
told['hypervisor'] = compute.get_hypervisor(found).to_dict(computed=False)
zones = compute.availability_zones(details=True)
told['zones'] = [zone.name for zone in zones]
print(json.dumps(told))
"""


@pytest.mark.parametrize('version', longer('2.1', '2.41'))
def test_openstacksdk(
    site: processes.Site,
    clients_venv: pathlib.Path,
    variables: dict[str, str],
    version: str,
) -> None:
    # It adds and removes at once, so the host stays free.
    name = site.new_name()
    done = clients.run(
        clients_venv, variables, 'python', '-c', SDK, name, 'xen1', version
    )
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told['created']['availability_zone'] == f'az-{name}'
    assert (told['created']['uuid'] is not None) == (version != '2.1')
    shown = told['shown']
    assert shown['hosts'] == ['xen1']
    assert shown['metadata'] == {
        'ssd': 'true',
        'availability_zone': f'az-{name}',
    }
    assert [service['host'] for service in told['services']] == ['xen1']
    assert len(told['hypervisors']) == HOSTS
    assert told['hypervisor']['name'] == 'xen1'
    assert 'nova' in told['zones']


NOVA = """
import json
import sys
from keystoneauth1 import loading, session
from novaclient import api_versions, client, exceptions
import os
name, host, version = sys.argv[1:]
loader = loading.get_plugin_loader('password')
auth = loader.load_from_options(
    auth_url=os.environ['OS_AUTH_URL'],
    username=os.environ['OS_USERNAME'],
    password=os.environ['OS_PASSWORD'],
    project_name=os.environ['OS_PROJECT_NAME'],
    user_domain_id='default',
    project_domain_id='default',
)
arguments = dict(
    session=session.Session(auth=auth),
    region_name=os.environ['OS_REGION_NAME'],
)
if not version:
    newest = client.Client('2.1', **arguments)
    found = api_versions.discover_version(
        newest, api_versions.APIVersion('2.latest'))
    version = found.get_string()
nova = client.Client(version, **arguments)
told = {'version': version}
made = nova.aggregates.create(name, 'az-' + name)
assert made.id in [found.id for found in nova.aggregates.list()]
assert nova.aggregates.get(made.id).hosts == []
assert made.update({'name': name + '-b'}).name == name + '-b'
assert made.set_metadata({'ssd': 'true'}).metadata['ssd'] == 'true'
assert made.add_host(host).hosts == [host]
told['shown'] = nova.aggregates.get_details(made.id).to_dict()
assert made.remove_host(host).hosts == []
try:
    nova.aggregates.cache_images(
        made, ['b1e43b5f-eec1-44e0-9f10-7b4945c0226d'])
except exceptions.BadRequest as exc:
    told['images'] = str(exc)
except exceptions.VersionNotFoundForAPIMethod:
    told['images'] = None
made.delete()
try:
    nova.aggregates.get(made.id)
except exceptions.NotFound:
    told['gone'] = True
told['services'] = [
    found.host for found in nova.services.list(binary='nova-compute')]
told['hypervisors'] = [
    found.hypervisor_hostname for found in nova.hypervisors.list()]
named = nova.hypervisors.search(host)
(found,) = [node for node in named if node.hypervisor_hostname == host]
told['hypervisor'] = nova.hypervisors.get(found).to_dict()
told['zones'] = [zone.zoneName for zone in nova.availability_zones.list()]
try:
    told['count'] = nova.hypervisors.statistics().count
except (exceptions.VersionNotFoundForAPIMethod, exceptions.UnsupportedVersion):
    told['count'] = None
print(json.dumps(told))
"""


@pytest.mark.parametrize('version', longer('2.1', '2.41', '2.87'))
def test_novaclient(
    site: processes.Site,
    clients_venv: pathlib.Path,
    variables: dict[str, str],
    version: str,
) -> None:
    name = site.new_name()
    done = clients.run(
        clients_venv, variables, 'python', '-c', NOVA, name, 'xen1', version
    )
    assert done.status == 0, done.err
    told = json.loads(done.out)
    numbers = tuple(map(int, told['version'].split('.')))
    assert told['shown']['metadata']['ssd'] == 'true'
    assert ('uuid' in told['shown']) == (numbers >= (2, 41))
    assert told['gone']
    assert told['images'] is None or 'no image cache' in told['images']
    assert (told['images'] is not None) == (numbers >= (2, 81))
    assert len(told['services']) == len(told['hypervisors']) == HOSTS
    assert told['hypervisor']['hypervisor_hostname'] == 'xen1'
    assert told['zones'] == ['nova']
    if numbers < (2, 88):
        assert told['count'] == HOSTS


def test_an_aggregate_of_another_region_is_not_seen(
    clients_venv: pathlib.Path,
    api: processes.Client,
    keystone: keystone_server.Keystone,
) -> None:
    elsewhere = keystone.variables('operator', 'Elsewhere')
    done = clients.run(
        clients_venv, elsewhere, 'openstack', 'aggregate', 'list'
    )
    assert done.status == 1
    assert 'compute' in done.err


def test_one_who_is_no_administrator_is_told_so(
    clients_venv: pathlib.Path,
    api: processes.Client,
    keystone: keystone_server.Keystone,
) -> None:
    reader = keystone.variables('reader', REGION)
    done = clients.run(clients_venv, reader, 'openstack', 'aggregate', 'list')
    assert done.status == 1
    rule = 'os_compute_api:os-aggregates:index'
    assert f"Policy doesn't allow {rule} to be performed." in done.err
