"""The plug-in of ``openstack`` against the running service.

With tokens of a real Keystone, and installed beside the clients of OpenStack
as pip does. Who uses nothing else sees what a pool does, and what refuses.
"""

import configparser
import json
import os
import pathlib
import shlex
import signal
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from aggregates_ext.demo import life
from aggregates_ext.demo import rolling
from tests.integration import children
from tests.integration import clients
from tests.integration import documents
from tests.integration import keystone as keystone_server
from tests.integration import operators
from tests.integration import processes
from tests.integration import rabbitmq

pytestmark = pytest.mark.long

REGION = 'Plugged'
HOSTS = 20
GROUP = 'openstack.aggregate_pools.v1'
POOL = ('aggregate', 'pool')
HOST = (*POOL, 'host')
JSON = ('-f', 'json')


# Parses command lines as "openstack" would; tells their words and the options
# that no other plug-in's commands have.
PARSE = """
import json
import sys
from importlib import metadata
from osc_lib.command import command

class Show(command.ShowOne):
    def take_action(self, parsed_args): ...

class List(command.Lister):
    def take_action(self, parsed_args): ...

def options(made):
    parser = made(None, None).get_parser('openstack')
    return {o for action in parser._actions for o in action.option_strings}

group, lines = sys.argv[1], json.loads(sys.argv[2])
points = metadata.entry_points(group=group)
made = {p.name.replace('_', ' '): p.load() for p in points}
told = {name: sorted(options(each) - options(Show) - options(List))
        for name, each in made.items()}
for words in lines:
    [name] = [name for name in made
              if words[:len(name.split())] == name.split()]
    rest = words[len(name.split()):]
    made[name](None, None).get_parser(name).parse_args(rest)
print(json.dumps(told))
"""
# Whether what the extra asks for is there.
REQUIRED = """
from importlib import metadata
from packaging import requirements
for line in metadata.requires('aggregates_ext'):
    wanted = requirements.Requirement(line)
    if wanted.marker and wanted.marker.evaluate({'extra': 'client'}):
        found = metadata.version(wanted.name)
        assert wanted.specifier.contains(found), (line, found)
        print(wanted.name)
"""


class Waiting(NamedTuple):
    """A command that waits.

    :ivar told: the file that it tells its progress to.
    :ivar key: id of the aggregate.
    """

    process: subprocess.Popen[str]
    told: pathlib.Path
    key: int

    def await_line(self, text: str) -> None:
        """Wait until it has told something."""

        def look() -> bool:
            assert self.process.poll() is None, self.told.read_text()
            return text in self.told.read_text()

        processes.wait_for(text, look)


def commands() -> list[str]:
    """What the entry points say that there is."""
    setup = configparser.ConfigParser()
    setup.read(documents.ROOT / 'setup.cfg')
    points = setup['options.entry_points'][GROUP].strip().split('\n')
    return [point.partition(' =')[0].replace('_', ' ') for point in points]


@pytest.fixture(scope='module')
def site(
    keystone: keystone_server.Keystone,
    shared_broker: rabbitmq.Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[processes.Site]:
    directory: pathlib.Path = tmp_path_factory.mktemp('site')
    with operators.site(keystone, shared_broker, directory, HOSTS) as made:
        yield made


@pytest.fixture(scope='module')
def compute(site: processes.Site) -> children.Child:
    return operators.start_compute(site)


@pytest.fixture(scope='module')
def api(
    site: processes.Site,
    compute: children.Child,
    keystone: keystone_server.Keystone,
) -> processes.Client:
    """The API, seen by an administrator; it can be restarted where it is."""
    return operators.start_api(site, keystone, REGION)


@pytest.fixture(scope='module')
def variables(
    api: processes.Client,
    keystone: keystone_server.Keystone,
    plugin_path: pathlib.Path,
) -> dict[str, str]:
    """Who an administrator is, where the API is, and where the plug-in."""
    told = keystone.variables('operator', REGION)
    return {**told, 'PYTHONPATH': str(plugin_path)}


@pytest.fixture(scope='module')
def openstack(
    clients_venv: pathlib.Path, variables: dict[str, str]
) -> Iterator[clients.Shell]:
    with clients.Shell(clients_venv, variables) as shell:
        yield shell


@pytest.fixture(scope='module')
def pool(
    site: processes.Site, api: processes.Client
) -> tuple[str, int, list[str]]:
    """A pool of three hosts: its name, its id, their names."""
    name, hosts = site.new_name(), site.take_hosts(3)
    return name, api.make_pool(name, hosts), hosts


def test_openstack_knows_the_commands(
    clients_venv: pathlib.Path,
    openstack: clients.Shell,
    variables: dict[str, str],
) -> None:
    told = clients.run(clients_venv, variables, 'openstack', '--help')
    assert (told.status, told.err) == (0, '')
    listed = {' '.join(line.split()) for line in told.out.splitlines()}
    for command in commands():
        assert any(line.startswith(f'{command} ') for line in listed), command
    helped = openstack('help', *HOST, 'remove')
    assert helped.status == 0, helped.err
    assert 'provided by the aggregates_ext plugin' in helped.out
    assert '--accept-data-loss' in helped.out
    assert commands()[0] in openstack('help', *POOL).out


def test_the_document_tells_all_of_it(
    clients_venv: pathlib.Path, variables: dict[str, str]
) -> None:
    """And nothing that cannot be typed, nor does the demonstration."""
    text = documents.read('client.rst')
    start = 'openstack aggregate pool '
    lines = [
        line
        for block in documents.blocks('client.rst')
        for line in block.replace('\\\n', ' ').splitlines()
        if line.startswith(start)
    ]
    words = [shlex.split(line)[1:] for line in lines]
    for story in (life.Story, rolling.Story):
        for tried in story.tries.fget(None).plugin:
            words.append(['aggregate', 'pool', *shlex.split(tried)])
    done = clients.run(
        clients_venv,
        variables,
        *('python', '-c', PARSE, GROUP, json.dumps(words)),
    )
    told = done.json()
    assert sorted(told) == sorted(commands())
    for command, options in told.items():
        assert any(f'openstack {command} ' in line for line in lines) or (
            f'``{command.split()[-1]}``' in text
        ), command
        for option in options:
            assert f'{option}' in text, (command, option)


def test_the_extra_asks_for_what_there_is(
    clients_venv: pathlib.Path, variables: dict[str, str]
) -> None:
    done = clients.run(clients_venv, variables, *('python', '-c', REQUIRED))
    assert done.status == 0, done.err
    assert 'python-openstackclient' in done.out.split()


def test_a_pool_is_made_and_dissolved(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    name, (first, second) = site.new_name(), site.take_hosts(2)
    assert openstack('aggregate', 'create', name).status == 0
    checked = openstack(*HOST, 'check', name, first, *JSON).json()
    assert (checked['for'], checked['accepted']) == ('add', True)
    dry = openstack(*HOST, 'add', '--dry-run', name, first, *JSON).json()
    assert dry == checked
    assert openstack(*POOL, 'show', name, *JSON).json()['hosts'] == []

    begun = openstack(*HOST, 'add', name, first, *JSON).json()
    assert (begun['kind'], begun['host']) == ('add_host', first)
    waited = openstack(
        *(*POOL, 'operation', 'show', '--wait', begun['uuid'], *JSON)
    )
    assert waited.json()['state'] == 'succeeded'
    assert f'add_host {first}: succeeded' in waited.err
    done = openstack(*HOST, 'add', '--wait', name, second, *JSON)
    assert (done.json()['state'], done.json()['progress']) == (
        'succeeded',
        100,
    )
    shown = openstack(*POOL, 'show', name, *JSON).json()
    assert [h['name'] for h in shown['hosts']] == [first, second]
    hosts = openstack(*HOST, 'list', '--long', name, *JSON).json()
    assert [(h['Name'], h['Phase'], h['Drift']) for h in hosts] == [
        (first, 'member', []),
        (second, 'member', []),
    ]
    told = [
        (h['Guests'], h['Needs Reboot'], h['Pending Guidances']) for h in hosts
    ]
    assert told == [(0, False, [])] * 2
    host = ('--host', first)
    [row] = openstack(*POOL, 'list', '--long', *host, *JSON).json()
    assert (row['Name'], row['State']) == (name, 'active')
    assert (row['Drift'], row['UUID']) == ([], shown['uuid'])
    listing = openstack(*POOL, 'list', '--drift', 'false', '--limit', '9').out
    assert '2 member' in listing
    table = openstack(*POOL, 'show', str(shown['aggregate_id'])).out
    assert f'{first}: member, master, live, enabled' in table

    actions = (*POOL, 'action', 'list')
    refused = openstack(*actions, '--refused', '--long', name, *JSON).json()
    [deletion] = [row for row in refused if row['Action'] == 'delete']
    assert (deletion['Code'], deletion['Fault']) == (400, 'badRequest')
    assert f'{first}, {second}' in deletion['Reason']
    allowed = openstack(*actions, '--allowed', *host, name, *JSON).json()
    assert {row['Host'] for row in allowed} == {first}
    assert {'force': True} in [row['Asked'] for row in allowed]
    assert 'outcome: free' in openstack(*actions, name).out

    changed = openstack(*POOL, 'master', 'set', '--wait', name, second)
    assert changed.status == 0, changed.err
    processes.wait_for(
        'the other master is seen',
        lambda: api.pool(shown['aggregate_id'])['master'] == second,
    )
    for verb in ('adopt', 'reapply'):
        done = openstack(*POOL, verb, '--wait', name, *JSON)
        assert done.json()['kind'] == verb

    removed = openstack(*HOST, 'remove', '--wait', name, first, *JSON).json()
    assert removed['state'] == 'succeeded'
    listed = openstack(*POOL, 'operation', 'list', name, *JSON).json()
    assert [row['Kind'] for row in listed] == [
        *('remove_host', 'reapply', 'adopt', 'set_master'),
        *('add_host', 'add_host'),
    ]
    some = openstack(
        *(*POOL, 'operation', 'list', '--limit', '2', '--long'),
        *('--marker', listed[0]['UUID'], '--state', 'succeeded', name, *JSON),
    ).json()
    assert [row['UUID'] for row in some] == [
        row['UUID'] for row in listed[1:3]
    ]
    assert some[0]['Request ID'].startswith('req-')


def test_the_hosts_of_a_pool_are_set_as_one_list(
    site: processes.Site,
    api: processes.Client,
    openstack: clients.Shell,
) -> None:
    name, (first, second, third, other) = site.new_name(), site.take_hosts(4)
    key = api.make_pool(name, [first, second, third])
    wanted = [word for h in (first, second, other) for word in ('--host', h)]
    dry = openstack(*HOST, 'set', '--dry-run', *wanted, name, *JSON).json()
    assert dry['accepted']
    assert {host['host']: host['change'] for host in dry['hosts']} == {
        first: 'none',
        second: 'none',
        other: 'add',
        third: 'remove',
    }
    disk = site.sim.add_sr(third, 'local', vdis=[{'name': 'customer'}])
    refused = openstack(*HOST, 'set', '--dry-run', *wanted, name)
    assert refused.status == 1
    assert disk in refused.out
    refused = openstack(*HOST, 'set', *wanted, name)
    assert refused.status == 1
    assert f'{third}: DATA_LOSS' in refused.err
    names = {host['name'] for host in api.pool(key)['hosts']}
    assert names == {first, second, third}
    accepted = (*wanted, '--accept-data-loss', disk)
    done = openstack(*HOST, 'set', '--wait', *accepted, name, *JSON)
    shown = done.json()
    assert (shown['kind'], shown['state']) == ('set_hosts', 'succeeded')
    assert [(c['host'], c['state']) for c in shown['changes']] == [
        (other, 'succeeded'),
        (third, 'succeeded'),
    ]
    assert f'host add {other}: succeeded' in done.err
    again = openstack(*HOST, 'set', '--wait', *wanted, name, *JSON).json()
    assert (again['uuid'], again['step']) == (None, 'done at once')
    gone = openstack(*HOST, 'set', '--wait', '--no-host', name, *JSON).json()
    assert gone['state'] == 'succeeded'
    phases = {host['phase'] for host in api.pool(key)['hosts']}
    assert phases <= {'returning'}


def test_disks_are_given_up_by_name(
    site: processes.Site, api: processes.Client, openstack: clients.Shell
) -> None:
    name, (first, second) = site.new_name(), site.take_hosts(2)
    api.make_pool(name, [first, second])
    disk = {'name': 'customer', 'size': 1 << 30}
    sr = site.sim.add_sr(second, 'local', vdis=[disk])
    checked = openstack(*HOST, 'check', '--for', 'remove', name, second)
    assert checked.status == 1
    for told in (f'SR {sr}', 'customer', '1.0 GiB', 'remedy: '):
        assert told in checked.out
    dry = openstack(*HOST, 'remove', '--dry-run', name, second, *JSON)
    assert dry.status == 1
    assert list(json.loads(dry.out)['disks']) == [sr]
    refused = openstack(*HOST, 'remove', '--wait', name, second)
    assert (refused.status, refused.out) == (1, '')
    assert sr in refused.err
    assert 'Traceback' not in refused.err
    done = openstack(
        *(*HOST, 'remove', '--accept-data-loss', sr, '--wait', name, second),
        *JSON,
    ).json()
    assert done['asked']['accept_data_loss'] == [sr]
    assert done['state'] == 'succeeded'


def test_what_fails_after_its_acceptance_is_told(
    site: processes.Site,
    api: processes.Client,
    compute: children.Child,
    openstack: clients.Shell,
) -> None:
    name, (first, second) = site.new_name(), site.take_hosts(2)
    key = api.make_pool(name, [first])
    site.sim.plant('Async.pool.join', code='LICENCE_RESTRICTION', times=100)
    failed = openstack(*HOST, 'add', '--wait', name, second, *JSON)
    assert failed.status == 1
    operation = json.loads(failed.out)
    assert operation['state'] == 'failed'
    assert operation['error']['code'] in failed.err
    assert 'Traceback' not in failed.err
    wrong = openstack(*POOL, 'show', name).out
    assert 'error' in wrong
    assert operation['uuid'] in wrong
    assert 'retry_operation' in wrong
    site.sim.clear_faults()
    again = openstack(
        *(*POOL, 'operation', 'retry', '--wait', operation['uuid'], *JSON)
    ).json()
    assert again['state'] == 'succeeded'
    assert again['asked']['retry_of'] == operation['uuid']

    site.freeze(compute)
    try:
        queued = openstack(*HOST, 'remove', '--force', name, second, *JSON)
        cancelled = openstack(
            *(*POOL, 'operation', 'cancel', '--wait'),
            *(queued.json()['uuid'], *JSON),
        )
        assert cancelled.json()['state'] == 'cancelled'
        assert cancelled.status == 0
    finally:
        compute.thaw()
    reset = openstack(
        *(*HOST, 'reset', '--outcome', 'member', name, second, *JSON)
    ).json()
    assert (reset['kind'], reset['asked']['outcome']) == ('reset', 'member')
    shown = api.done('GET', f'/os-aggregates/{key}')
    assert set(shown['aggregate']['hosts']) == {first, second}


def test_a_host_is_taken_out_for_repair(
    site: processes.Site,
    api: processes.Client,
    openstack: clients.Shell,
    pool: tuple[str, int, list[str]],
) -> None:
    name, key, (_master, host, _other) = pool
    guest = site.sim.add_vm(host, f'{name}-web')
    processes.wait_for(
        'the guest is seen',
        lambda: api.done('GET', f'/servers?all_tenants=1&host={host}')[
            'servers'
        ],
    )
    plan = openstack(
        *(*HOST, 'maintenance', 'set', '--dry-run', name, host, *JSON)
    ).json()['plan']
    assert [entry['uuid'] for entry in plan] == [guest]
    done = openstack(
        *(*HOST, 'maintenance', 'set', '--wait', '--reason', 'new fans'),
        *(name, host, *JSON),
    )
    assert done.json()['asked']['reason'] == 'new fans'
    assert [move['uuid'] for move in done.json()['moves']] == [guest]
    assert f'guest {name}-web from {host} to ' in done.err
    again = openstack(*HOST, 'maintenance', 'set', name, host, *JSON).json()
    assert (again['uuid'], again['state']) == (None, 'succeeded')
    checked = openstack(*HOST, 'check', '--for', 'reboot', name, host)
    assert checked.status == 0, checked.err
    for verb in ('reboot', 'shutdown', 'startup'):
        told = openstack(*HOST, verb, '--wait', name, host, *JSON)
        # Its pool knows no way to switch it on.
        assert told.status == (verb == 'startup'), told.err
        if verb == 'shutdown':
            site.sim.power_on(host)
            processes.wait_for(
                'it is back',
                lambda: all(h['live'] for h in api.pool(key)['hosts']),
            )
    assert 'live' in told.err
    done = openstack(
        *(*HOST, 'maintenance', 'unset', '--wait', name, host, *JSON)
    )
    assert done.json()['state'] == 'succeeded'
    assert site.sim.places(guest) == [host]


def test_all_hosts_restart_in_turn(
    site: processes.Site,
    openstack: clients.Shell,
    pool: tuple[str, int, list[str]],
) -> None:
    name, _key, (_master, host, _other) = pool
    rolling = (*POOL, 'rolling')
    plan = openstack(
        *(*rolling, 'reboot', '--dry-run', '--host', host, name, *JSON)
    ).json()
    assert plan['accepted']
    assert [entry['host'] for entry in plan['hosts']] == [host]
    # They lack nothing.
    updated = openstack(*rolling, 'update', '--wait', name, *JSON).json()
    assert updated['state'] == 'succeeded'
    assert {entry['state'] for entry in updated['hosts']} == {'skipped'}
    paused = openstack(
        *(*rolling, 'reboot', '--host', host, '--pause', 'before_reboot'),
        *('--wait', name, *JSON),
    )
    assert paused.status == 5, paused.err
    operation = json.loads(paused.out)
    assert operation['paused'] == host
    assert f'operation continue {operation["uuid"]}' in paused.err
    done = openstack(
        *(*POOL, 'operation', 'continue', '--wait', operation['uuid'], *JSON)
    )
    assert done.json()['state'] == 'succeeded'
    assert [entry['state'] for entry in done.json()['hosts']] == ['done']
    assert f'host {host}: rebooting' in done.err


@pytest.fixture
def waiting(
    site: processes.Site,
    api: processes.Client,
    compute: children.Child,
    clients_venv: pathlib.Path,
    keystone: keystone_server.Keystone,
    plugin_path: pathlib.Path,
    tmp_path: pathlib.Path,
) -> Iterator[Waiting]:
    """Somebody waits for a join that is queued while the service is frozen.

    The cloud is learned from its file, as an operator's.
    """
    name, [host] = site.new_name(), site.take_hosts(1)
    key = api.create(name)
    config = tmp_path / 'clouds.yaml'
    auth = {
        'auth_url': keystone.url,
        'username': 'operator',
        'password': keystone_server.PASSWORD,
        'project_name': 'pools',
        'user_domain_id': 'default',
        'project_domain_id': 'default',
    }
    cloud = {'auth': auth, 'region_name': REGION}
    config.write_text(json.dumps({'clouds': {'pools': cloud}}))
    told = tmp_path / 'told'
    kept = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
    site.freeze(compute)
    try:
        with (
            told.open('w') as output,
            subprocess.Popen(
                [
                    *(clients_venv / 'bin' / 'openstack', *HOST, 'add'),
                    *('--wait', name, host, *JSON),
                ],
                env={
                    **kept,
                    'OS_CLOUD': 'pools',
                    'OS_CLIENT_CONFIG_FILE': str(config),
                    'PYTHONPATH': str(plugin_path),
                },
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            ) as process,
        ):
            made = Waiting(process, told, key)
            try:
                made.await_line(f'add_host {host}: queued')
                yield made
            finally:
                process.kill()
    finally:
        compute.thaw()


def test_who_waits_outlives_the_api(
    site: processes.Site, compute: children.Child, waiting: Waiting
) -> None:
    [running] = [p for p in site.processes if p.running and p is not compute]
    running.kill()
    waiting.await_line('asking again')
    site.start_api()
    waiting.await_line('it answers again')
    compute.thaw()
    out, _none = waiting.process.communicate(timeout=processes.DEADLINE)
    assert waiting.process.returncode == 0, waiting.told.read_text()
    assert json.loads(out)['state'] == 'succeeded'


def test_who_waits_no_longer_ends_nothing(
    api: processes.Client, compute: children.Child, waiting: Waiting
) -> None:
    waiting.process.send_signal(signal.SIGINT)
    out, _none = waiting.process.communicate(timeout=processes.DEADLINE)
    assert (waiting.process.returncode, out) == (130, '')
    [operation] = api.operations(waiting.key)
    assert operation['state'] == 'queued'
    told = waiting.told.read_text()
    assert f'Operation {operation["uuid"]} goes on.' in told
    assert 'Traceback' not in told
    compute.thaw()
    assert api.settle(waiting.key)['state'] == 'succeeded'


def test_a_refusal_is_told_in_the_words_of_the_api(
    site: processes.Site,
    openstack: clients.Shell,
    clients_venv: pathlib.Path,
    keystone: keystone_server.Keystone,
    variables: dict[str, str],
) -> None:
    name = site.new_name()
    assert openstack('aggregate', 'create', name).status == 0
    nothing = '11111111-2222-3333-4444-555555555555'
    for command, reason in (
        ((*POOL, 'show', 'nothing'), 'No aggregate has the name or id'),
        ((*POOL, 'adopt', name), 'pool'),
        ((*HOST, 'add', name, 'nothing'), 'Host nothing is not registered'),
        ((*POOL, 'operation', 'show', nothing), nothing),
        ((*POOL, 'operation', 'retry', '../x'), '(HTTP 404)'),
        (
            (*HOST, 'remove', '--dry-run', '--force', name, 'xen1'),
            'leave them away',
        ),
    ):
        done = openstack(*command)
        assert (done.status, done.out) == (1, ''), command
        assert reason in done.err, command
        assert 'Traceback' not in done.err, command
    reader = {**variables, **keystone.variables('reader', REGION)}
    done = clients.run(clients_venv, reader, 'openstack', *POOL, 'show', name)
    assert done.status == 1
    assert "Policy doesn't allow" in done.err
