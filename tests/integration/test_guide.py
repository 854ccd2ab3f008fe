"""README, installation and administration, carried out as they are written.

Each sample and each command comes from the document. What is replaced in it
is told where it is: addresses and passwords of services that run here.
"""

import concurrent.futures
import contextlib
import datetime
import os
import pathlib
import re
import shlex
import shutil
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from aggregates_ext.db.schema import models
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests import databases
from tests.integration import clients
from tests.integration import documents
from tests.integration import guide
from tests.integration import guide_databases
from tests.integration import keystone as keystone_server
from tests.integration import memcached
from tests.integration import nginx
from tests.integration import processes
from tests.integration import rabbitmq
from tests.integration import systemd

pytestmark = pytest.mark.long

PASSWORD = guide_databases.PASSWORD
SYNC = documents.block('install.rst', 'aggregates-ext-manage db sync')
ADD = documents.block('install.rst', 'aggregates-ext-manage host add xen1')


@pytest.fixture(scope='module')
def machine(tmp_path_factory: pytest.TempPathFactory) -> guide.Machine:
    """A machine with what "Install the package" installs."""
    made = guide.Machine(tmp_path_factory.mktemp('guide'))
    block = documents.block('install.rst', 'python3 -m venv /opt')
    block = guide.filled(block, {'[mysql]': '[mysql,postgresql,memcached]'})
    try:
        made.install(block)
    except AssertionError as exc:
        # Without a way to PyPI, and for nothing else.
        required = os.environ.get('REQUIRE_SERVICES') == '1'
        if required or 'No matching distribution found' not in str(exc):
            raise
        pytest.skip(f'the package cannot be installed: {exc}')
    return made


@pytest.fixture(scope='module')
def schema(
    machine: guide.Machine,
    servers: databases.Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    """A SQLite file with the schema and the host of the document."""
    kept = tmp_path_factory.mktemp('schema') / 'sqlite'
    with guide_databases.database('sqlite', servers, machine) as url:
        machine.configure(url)
        machine.run(SYNC + ADD)
        shutil.copy(url.removeprefix('sqlite:///'), kept)
    return kept


@pytest.fixture
def prepared(
    machine: guide.Machine, servers: databases.Servers, schema: pathlib.Path
) -> Iterator[str]:
    """The URL of a SQLite database with the host xen1, which is configured."""
    with guide_databases.database('sqlite', servers, machine) as url:
        shutil.copy(schema, url.removeprefix('sqlite:///'))
        machine.configure(url)
        yield url


def test_units_find_all_that_they_name(
    machine: guide.Machine, servers: databases.Servers
) -> None:
    """The two blocks of "With systemd", and what they leave."""
    machine.run(documents.block('install.rst', 'cd /opt/aggregates_ext'))
    with guide_databases.database('sqlite', servers, machine) as url:
        machine.configure(url)
        machine.run(documents.block('install.rst', 'runuser '))
    enabled = machine.told[-1].split()
    assert enabled[:3] == ['systemctl', 'enable', '--now']
    assert len(enabled) == 5
    local = machine.root / 'usr' / 'local'
    for name in enabled[3:]:
        unit = machine.root / 'etc' / 'systemd' / 'system' / f'{name}.service'
        text = unit.read_text()
        [page, section] = re.findall(r'Documentation=man:(.+)\((\d)\)', text)[
            0
        ]
        manual = local / 'share' / 'man' / f'man{section}'
        assert '.SH Synopsis' in (manual / f'{page}.{section}').read_text()
        [program] = re.findall(r'ExecStart=(\S+)', text)
        assert (local / 'bin' / program).exists()
        account = re.findall(r'User=(\S+)', text)[0]
        made = machine.root / 'etc' / 'sysusers.d' / 'aggregates_ext.conf'
        assert f'u {account} ' in made.read_text()
    # In this order: owners of files come after the accounts.
    asked = [line.split()[0] for line in machine.told]
    assert asked[:2] == ['systemd-sysusers', 'systemd-tmpfiles']
    assert asked[2:] == ['runuser', 'systemd-tmpfiles', 'systemctl']


def test_readme_begins_as_the_installation(machine: guide.Machine) -> None:
    """The same commands, with the demonstration as the last one."""
    block = documents.block(
        'README.rst', 'python3 -m venv .venv && .venv/bin/pip install . '
    )
    make, install, demo = block.strip().split(' && ')
    assert (make, install) == (
        'python3 -m venv .venv',
        '.venv/bin/pip install .',
    )
    program = demo.replace('.venv/', '/opt/aggregates_ext/')
    said = machine.run(f'{program} --speed 50', COLUMNS='200')
    assert 'All 10 steps had their effect' in said


@pytest.mark.parametrize('kind', ['sqlite', 'mariadb', 'postgresql'])
def test_a_dump_brings_everything_back(
    machine: guide.Machine, servers: databases.Servers, kind: str
) -> None:
    """Made by the account of the administrator, put into an empty one."""
    variables = {}
    if kind != 'sqlite':
        port = str(servers.get(kind).port)
        variables = {
            'PGHOST': '127.0.0.1',
            'PGUSER': 'postgres',
            'PGPORT': port,
        }
        (machine.home / '.my.cnf').write_text(
            f'[client]\nhost = 127.0.0.1\nuser = root\nport = {port}\n'
        )
    with guide_databases.database(kind, servers, machine) as url:
        machine.configure(url)
        machine.run(SYNC + ADD + guide_databases.DUMP[kind], **variables)
    with guide_databases.database(kind, servers, machine):
        machine.run(guide_databases.RESTORE[kind], **variables)
        assert guide_databases.names(url) == ['xen1']


def test_hosts_are_registered_one_by_one_or_by_a_file(
    machine: guide.Machine, prepared: str
) -> None:
    text = documents.block('install.rst', '# aggregates-ext-manage host add')
    command = text.splitlines()[0].removeprefix('# ')
    (machine.source / shlex.split(command)[-1]).write_text(text)
    # All or none: xen1 is there.
    machine.run(command, code=1)
    assert guide_databases.names(prepared) == ['xen1']
    machine.run(f'aggregates-ext-manage host remove xen1\n{command}')
    assert guide_databases.names(prepared) == ['xen1', 'xen2']


def test_commands_of_the_administrator(
    machine: guide.Machine, prepared: str
) -> None:
    """Those on single hosts, with hosts in the states that they are for."""
    # Forgotten by force, and installed anew.
    forgotten, anew = sorted(
        documents.blocks_from(
            'admin.rst', 'aggregates-ext-manage host reset xen2 free'
        ),
        key=len,
    )
    assert anew.startswith(forgotten)
    machine.run(ADD.replace('xen1', 'xen2').replace('.11', '.12'))
    made = sa.create_engine(prepared, poolclass=sa.NullPool)
    now = datetime.datetime.now()
    with made.begin() as connection:
        connection.execute(
            sa.insert(models.aggregates).values(
                id=1, uuid='a', name='pool', metadata={}, created_at=now
            )
        )
        connection.execute(
            sa.update(models.hosts)
            .where(models.hosts.c.name == 'xen2')
            .values(phase='returning', aggregate_id=1)
        )
    consent = documents.block('admin.rst', 'aggregates-ext-manage host accept')
    # NEW is what the alarm tells.
    block = documents.block('admin.rst', 'aggregates-ext-manage host set xen2')
    machine.run(consent + guide.filled(block, {'NEW': 'ab' * 32}))
    with made.begin() as connection:
        host = models.hosts.c
        found = connection.execute(
            sa.select(host.fingerprint, host.consent).where(
                host.name == 'xen2'
            )
        ).one()
    assert found[0].replace(':', '').lower() == 'ab' * 32
    assert found[1]['srs']
    machine.run(anew)
    assert guide_databases.names(prepared) == ['xen1', 'xen2']


def test_policies_are_told_as_shown(
    machine: guide.Machine, prepared: str
) -> None:
    rule = '"compute_extension:hosts": "role:pooler"\n'
    policy = machine.etc / 'policy.yaml'
    policy.write_text(rule)
    shown = documents.block('install.rst', '$ aggregates-ext-manage policy')
    told = ''
    for line in shown.splitlines():
        if line.startswith('$ '):
            told += f'{line}\n{machine.run(line[2:])}'
    assert told == machine.place(shown)
    policy.write_text('"os_compute_api:os-hosts": "role:pooler"\n')
    (machine.etc / 'token.json').write_text(
        '{"token": {"user": {"id": "u", "domain": {"id": "default"}},'
        ' "project": {"id": "p", "domain": {"id": "default"}},'
        ' "roles": [{"name": "pooler"}]}}'
    )
    told = machine.run(
        documents.block('install.rst', 'cd /etc/aggregates_ext')
    )
    assert told == 'passed: os_compute_api:os-hosts\n'
    policy.unlink()


def test_a_trial_needs_no_keystone(
    machine: guide.Machine, prepared: str, clients_venv: pathlib.Path
) -> None:
    # Any port that is free, as there may be a service at the usual one.
    machine.configure(prepared, '[api]\nauth_strategy = noauth\nbind_port=0')
    command = documents.block('install.rst', 'aggregates-ext-api')
    with machine.running(command, r'127\.0\.0\.1:(\d+)') as port:
        [words] = guide.commands(
            'install.rst', 'openstack --os-auth-type none'
        )
        place = [word.replace(':8774', f':{port}') for word in words]
        assert place != words
        with clients.Shell(clients_venv, {}) as shell:
            done = shell(*place[1:], '-f', 'json')
        assert done.json() == []


def test_the_machine_is_ready(machine: guide.Machine, prepared: str) -> None:
    """With a sample for old hosts among its credentials."""
    old = documents.block('install.rst', '[xenserver:old]')
    machine.configure(
        prepared,
        f'[xenserver]\ncredentials = default, old\n{old}'
        '[xenserver:default]\npassword = secret\n'
        '[DEFAULT]\ntransport_url = fake:/\n',
    )
    machine.run('aggregates-ext-manage upgrade check')


@pytest.fixture(scope='module')
def sim() -> Iterator[simulator.Simulator]:
    """Three hosts that sign their certificates themselves."""
    described = [
        {'name': f'xen{number}', 'tls': True, 'password': PASSWORD}
        for number in (1, 2, 3)
    ]
    made = simulator.Simulator(
        topology.load({'hosts': described}), clock.RunningClock(20)
    )
    made.start()
    yield made
    made.stop()


def register(machine: guide.Machine, host: simulator.hosts.Host) -> None:
    """Register a simulated host with the fingerprint that openssl shows."""
    ask = documents.block('install.rst', 'openssl s_client')
    place = f'127.0.0.1:{host.port}'
    shown = machine.run(guide.filled(ask, {'10.0.0.11:443': place}))
    fingerprint = shown.strip().rpartition('=')[2]
    command = guide.filled(
        ADD, {'xen1': host.name, 'https://10.0.0.11': f'https://{place}'}
    )
    machine.run(f'{command.strip()} --fingerprint {fingerprint}')


def test_the_services_make_a_pool(
    machine: guide.Machine,
    servers: databases.Servers,
    shared_broker: rabbitmq.Broker,
    keystone: keystone_server.Keystone,
    clients_venv: pathlib.Path,
    sim: simulator.Simulator,
    tmp_path: pathlib.Path,
) -> None:
    """The whole of the installation, on real services."""
    # Who may tell Keystone, of users and endpoints.
    variables = keystone.variables('admin', keystone_server.REGION)
    variables |= {'OS_PROJECT_NAME': 'admin'}
    with contextlib.ExitStack() as stack:
        openstack = stack.enter_context(clients.Shell(clients_venv, variables))
        prompt = {'--password-prompt': f'--password {PASSWORD}'}
        service = guide.commands('install.rst', 'openstack project create')
        guide.tell(openstack, service, prompt)
        url = stack.enter_context(
            guide_databases.database('mariadb', servers, machine)
        )
        sample = documents.block('install.rst', '[DEFAULT]\n# Leave it out')
        [connection] = re.findall('^connection = (.+)$', sample, re.M)
        broker = shared_broker.url(shared_broker.make_vhost())
        proxied = documents.block('install.rst', '[oslo_middleware]')
        cache = stack.enter_context(memcached.Memcached())
        values = {
            'rabbit://user:password@broker/': broker,
            connection: url,
            'the password of the hosts': PASSWORD,
            'https://keystone.example.org/v3': keystone.url,
            'the password of the service user': PASSWORD,
            '# memcached_servers = cache.example.org:11211': (
                f'memcached_servers = {cache.place}'
            ),
        }
        (machine.etc / 'aggregates_ext.conf').write_text(
            guide.filled(sample, values) + proxied
        )
        machine.run(SYNC)
        for name in ('xen1', 'xen2', 'xen3'):
            register(machine, sim.host(name))
        machine.run('aggregates-ext-manage upgrade check')

        command = documents.block('install.rst', 'aggregates-ext-compute')
        stack.enter_context(
            machine.running(command, '(Messages are listened)')
        )
        listener = systemd.Listener(machine.root)
        stack.enter_context(listener)
        unit = documents.block('install.rst', '[Service]\nExecStart=\n')
        serve = guide.served(unit).replace(':8774', ':0')
        port = stack.enter_context(
            machine.running(
                serve,
                r'Listening at: http://127\.0\.0\.1:(\d+)',
                NOTIFY_SOCKET=listener.place,
            )
        )
        listener.await_count('READY=1')
        proxy = stack.enter_context(nginx.Nginx(tmp_path, int(port)))
        guide.tell(
            openstack,
            guide.commands('install.rst', 'openstack service create'),
            {'https://pools.example.org': proxy.url},
        )
        variables = keystone.variables('operator', keystone_server.REGION)
        variables['OS_CACERT'] = str(proxy.certificate)
        operator = stack.enter_context(clients.Shell(clients_venv, variables))
        api = processes.Client(proxy.url, [], None, proxy.certificate)
        use(machine, keystone, operator, api)

        # The second page is had by the link of the first.
        done = clients.run(clients_venv, variables, 'python', '-c', PAGES)
        assert done.status == 0, done.err
        assert len(done.out.split()) == 2
        theirs = [line for line in proxy.served() if 'openstacksdk' in line]
        asked = [line for line in theirs if 'limit=1' in line]
        assert ['marker=' in line for line in asked] == [False, True, True]
        assert cache.count('cmd_set')


PAGES = """
import openstack
conn = openstack.connect(load_yaml_config=False)
print(*[found.id for found in conn.compute.aggregates(limit=1)])
"""


def use(
    machine: guide.Machine,
    keystone: keystone_server.Keystone,
    openstack: clients.Shell,
    api: processes.Client,
) -> None:
    """Make pools, as the README and the administrator's guide do."""
    readme = documents.read('README.rst').replace('\n   ', ' ')
    for command in re.findall(
        '``openstack (aggregate (?:cr|add)[^`]+)``', readme
    ):
        for host in ('xen1', 'xen2') if 'xen1' in command else ('',):
            done = openstack(*command.replace('xen1', host).split())
            assert done.status == 0, done.err
    api = api.sending(X_Auth_Token=keystone.token('operator'))
    assert api.settle(1)['state'] == 'succeeded', api.operations(1)
    shown = api.done('GET', '/os-aggregates/1')['aggregate']
    assert shown['hosts'] == ['xen1', 'xen2']

    block = documents.block('admin.rst', 'aggregates-ext-manage pool adopt')
    said = machine.run(guide.filled(block, {'NAME': 'old', 'HOST': 'xen3'}))
    assert said.endswith('succeeded\n')

    # Something answers there: it is refused, by the operation.
    force = documents.block('admin.rst', '{"remove_host": ')
    answer = api.ask('POST', '/os-aggregates/1/action', force)
    assert answer.status == 200, answer.body
    assert api.settle(1)['error']['code'] == 'HOST_IS_LIVE'

    behind = api.sending(
        Host=nginx.PLACE, X_Auth_Token=keystone.token('operator')
    )
    page = behind.done('GET', '/os-aggregates?limit=1')
    [link] = page['aggregates_links']
    assert link['href'].startswith(f'https://{nginx.PLACE}/v2.1/os-aggr')


@pytest.mark.parametrize('end', ['kill', 'freeze'])
def test_tokens_are_kept_in_memcached(
    machine: guide.Machine,
    prepared: str,
    keystone: keystone_server.Keystone,
    end: str,
) -> None:
    """For all API processes; and without it they serve as well."""
    options = keystone.authtoken()
    # As it is, where a configuration does not say so.
    del options['token_cache_time']
    lines = ''.join(f'{name} = {value}\n' for name, value in options.items())
    command = documents.block('install.rst', 'aggregates-ext-api')
    serves = r'listening on (http://\S+)'
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(memcached.Memcached())
        machine.configure(
            prepared,
            '[api]\nbind_port = 0\n[keystone_authtoken]\n'
            f'memcached_servers = {cache.place}\n{lines}',
        )

        def start() -> processes.Client:
            url = stack.enter_context(machine.running(command, serves))
            return processes.Client(url, [])

        def ask(api: processes.Client, token: str) -> int:
            own = api.sending(X_Auth_Token=token)
            return own.ask('GET', '/os-aggregates').status

        first, second = start(), start()
        token = keystone.token('operator')
        assert ask(first, token) == 200
        assert cache.count('cmd_set') == 1
        hits = cache.count('get_hits')
        # So the second would be told, if it asked.
        keystone.revoke(token)
        assert ask(second, token) == 200
        assert cache.count('get_hits') == hits + 1
        assert cache.count('cmd_set') == 1

        # Gone, with many who ask for something at that moment.
        token = keystone.token('operator')
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            apis = [first, second] * 150
            answers = [pool.submit(ask, api, token) for api in apis]
            processes.wait_for('some are answered', answers[40].done)
            getattr(cache, end)()
            assert {answer.result() for answer in answers} == {200}
        assert ask(first, token) == 200
