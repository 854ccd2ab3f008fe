"""No password and no session gets out, whatever goes wrong."""

import contextlib
import pathlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable

import pytest
import sqlalchemy as sa
import XenAPI

from aggregates_ext.compute.xen import text
from tests import databases
from tests.integration import bus
from tests.integration import children
from tests.integration import ports
from tests.integration import processes
from tests.integration import proxy
from tests.integration import rabbitmq
from tests.integration import sentinels
from tests.integration import stories
from tests.integration import wire

MakeSite = Callable[..., processes.Site]
PASSWORDS = {
    'default': 'zQ7-password-of-the-pool',
    'lab': 'zQ8-password-that-is-wrong',
}
DATABASE_PASSWORD = 'zQ6-password-of-the-database'
# Of the broker, of every account anywhere.
SECRETS = {*PASSWORDS.values(), DATABASE_PASSWORD, rabbitmq.PASSWORD}
HOSTS = [
    {'name': 'xen1'},
    {'name': 'xen2'},
    {'name': 'xen3'},
    {'name': 'xen4'},
    {'name': 'untidy', 'vlans': [{'tag': 5}]},
]
# Everything that any of the libraries may say.
LEVELS = 'default_log_levels = ' + ','.join(
    f'{name}={level}'
    for name, level in {
        'sqlalchemy': 'DEBUG',
        'oslo_db': 'DEBUG',
        'oslo.messaging': 'TRACE',
        'oslo_messaging': 'TRACE',
        'kombu': 'DEBUG',
        'amqp': 'DEBUG',
        'urllib3': 'DEBUG',
        'waitress': 'DEBUG',
    }.items()
)
# Server, and what makes an account with a password there, also twice.
ACCOUNTS = {
    'mysql': (
        'mariadb',
        (
            "CREATE OR REPLACE USER sentinel@'127.0.0.1' "
            f"IDENTIFIED BY '{DATABASE_PASSWORD}'",
            "GRANT ALL ON *.* TO sentinel@'127.0.0.1'",
        ),
    ),
    'postgresql': (
        'postgresql',
        (
            'DO $$ BEGIN CREATE ROLE sentinel SUPERUSER LOGIN PASSWORD '
            f"'{DATABASE_PASSWORD}'; "
            'EXCEPTION WHEN duplicate_object THEN NULL; END $$',
        ),
    ),
}
RECORD = ('operations', 'call')
# What makes each database refuse the record of a call, and what mends it.
BREAK = {
    'sqlite': """
CREATE TRIGGER planted BEFORE UPDATE OF call ON operations
BEGIN SELECT RAISE(ABORT, 'planted'); END
""",
    'mysql': """
CREATE TRIGGER planted BEFORE UPDATE ON operations FOR EACH ROW
IF NOT (NEW.`call` <=> OLD.`call`) THEN
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'planted'; END IF
""",
    'postgresql': """
CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'planted'; END $$;
CREATE TRIGGER planted BEFORE UPDATE OF call ON operations
FOR EACH ROW EXECUTE FUNCTION planted()
""",
}
MEND = {
    'sqlite': 'DROP TRIGGER planted',
    'mysql': 'DROP TRIGGER planted',
    'postgresql': 'DROP TRIGGER planted ON operations',
}
# How a host may repeat what it was told.
ECHO = f'login of root with {PASSWORDS["default"]} failed'


class Story:
    """Joins, failures, an eject and a crash at one site.

    :ivar at_the_crash: where the database held sessions at that moment.
    """

    def __init__(self, site: processes.Site) -> None:
        self.at_the_crash: set[tuple[str, str]] = set()
        self._site = site
        self._client = site.start_api()
        self._service = site.start_compute()
        self._key = self._client.make_pool('pool', ['xen1'])

    def run(self) -> None:
        """From the first join to the last look."""
        self._crash_in_a_join()
        self._fail('xen3', 'SESSION_AUTHENTICATION_FAILED')
        self._fail('untidy', 'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS')
        self._let_hosts_repeat_passwords()
        self._break_database()
        assert self._client.remove(self._key, 'xen2').status == 200
        assert self._client.settle(self._key)['state'] == 'succeeded'
        self._client.ask('GET', '/os-aggregates')
        processes.check_agreement(self._site, self._client, self._key)
        for path in ('/os-hypervisors/detail', '/os-services', '/extensions'):
            self._client.ask('GET', path)

    def _crash_in_a_join(self) -> None:
        site = self._site

        def crash() -> None:
            self._service.kill()
            self.at_the_crash |= sentinels.in_cells(
                site.cells(), site.traffic.uuids
            )

        site.traffic.plant(proxy.Rule(stories.JOIN, host='xen2', after=crash))
        assert self._client.add(self._key, 'xen2').status == 200
        processes.wait_for('the crash', lambda: not self._service.running)
        self._service = site.start_compute()
        assert self._client.settle(self._key)['state'] == 'succeeded'

    def _fail(self, host: str, code: str) -> str:
        """A host that is refused, beforehand or by its operation.

        :returns: what was said.
        """
        answer = self._client.add(self._key, host)
        if answer.status == 409:
            message = str(answer.body['conflictingRequest']['message'])
            assert code in message
            return message
        assert answer.status == 200
        ended = self._client.settle(self._key)
        assert ended['error']['code'] == code
        return str(ended['error'])

    def _let_hosts_repeat_passwords(self) -> None:
        """In a look, in a task, and in a call that changes the pool."""
        for call, host, step in (
            ('pool.get_all_records', 'xen4', None),
            (stories.JOIN, 'xen4', 'S3'),
        ):
            self._site.sim.plant(
                call, host, times=0, step=step, parameters=[ECHO]
            )
            told = self._fail('xen4', 'INTERNAL_ERROR')
            assert text.REDACTED in told
            self._site.sim.clear_faults()
        self._site.sim.plant(stories.NAME, 'xen1', parameters=[ECHO])
        ended = self._rename('another')
        assert text.REDACTED in ended['error']['message']

    def _rename(self, name: str) -> dict[str, object]:
        body = {'aggregate': {'name': name}}
        self._client.done('PUT', f'/os-aggregates/{self._key}', body)
        return self._client.settle(self._key)

    def _break_database(self) -> None:
        """Let the database refuse the record of a call for a while."""
        site = self._site
        kind = sa.make_url(site.connection).get_backend_name()
        rule = proxy.Rule(
            'session.get_uuid', after=lambda: site.query(BREAK[kind])
        )
        site.traffic.plant(rule)
        body = {'aggregate': {'name': 'renamed'}}
        self._client.done('PUT', f'/os-aggregates/{self._key}', body)
        processes.wait_for(
            'the database fails',
            lambda: 'he database failed' in self._service.text(),
        )
        site.query(MEND[kind])
        assert self._client.settle(self._key)['state'] == 'succeeded'


def check_site(site: processes.Site) -> None:
    """No secret in logs, answers, processes, the database, other files."""
    refs, uuids = site.traffic.refs, site.traffic.uuids
    secrets = SECRETS | refs | uuids
    written = [process.text() for process in site.processes]
    assert any('DEBUG' in text for text in written)
    assert sentinels.in_texts([*written, *site.answers], secrets) == []
    running = [p.process_id for p in site.processes if p.running]
    assert len(running) >= 2
    assert sentinels.in_processes(running, secrets) == []
    assert sentinels.in_cells(site.cells(), secrets) == set()
    files = list(site.directory.iterdir())
    assert sentinels.in_files(files, SECRETS) == {site.config.name}
    assert sentinels.in_files(files, refs) == set()


@pytest.fixture
def connection(database_url: str, request: pytest.FixtureRequest) -> str:
    """The database as an account that has a password."""
    url = sa.make_url(database_url)
    kind = url.get_backend_name()
    if kind == 'sqlite':
        return database_url
    servers: databases.Servers = request.getfixturevalue('servers')
    name, statements = ACCOUNTS[kind]
    servers.get(name).administer(*statements)
    url = url.set(username='sentinel', password=DATABASE_PASSWORD)
    return url.render_as_string(hide_password=False)


@pytest.fixture
def make_telling_site(
    make_site: MakeSite, connection: str
) -> Callable[..., processes.Site]:
    """Builds a site that logs all it can; xen3 has another password."""

    def make(transport_url: str = '') -> processes.Site:
        site = make_site(
            HOSTS,
            credentials=PASSWORDS,
            logging=[LEVELS],
            connection=connection,
            transport_url=transport_url,
        )
        site.set_up(xen3='lab')
        return site

    return make


@pytest.mark.every_database
def test_secrets_stay_where_they_belong(make_telling_site: MakeSite) -> None:
    """Passwords in the configuration, one session while a call is under way.

    Searched are all logs, at debug level, arguments and environment of all
    processes, every cell of the database, what its files still hold, and
    all answers of the API.
    """
    site = make_telling_site()
    story = Story(site)
    story.run()
    assert story.at_the_crash == {RECORD}
    assert len(site.traffic.refs) > 5
    assert len(site.traffic.uuids) > 5
    assert len(site.answers) > 20
    check_site(site)


@pytest.mark.every_database
def test_secrets_are_in_no_message(
    make_telling_site: MakeSite, broker: rabbitmq.Broker
) -> None:
    """All of that again with a broker, whose every message is read."""
    vhost = broker.make_vhost()
    site = make_telling_site(broker.url(vhost))
    with bus.Tap(broker, vhost) as tap:
        Story(site).run()
    assert {r.method for r in tap.requests()} == {'check_host', 'wake_up'}
    # Requests and their answers.
    assert len(tap.messages) > len(tap.requests()) + 3
    secrets = SECRETS | site.traffic.refs | site.traffic.uuids
    assert sentinels.in_texts(tap.messages, secrets) == []
    hosts = set(PASSWORDS.values()) | site.traffic.refs
    assert sentinels.in_files([broker.directory], hosts) == set()
    check_site(site)


def test_refused_and_missing_servers_are_told_without_their_passwords(
    make_telling_site: MakeSite, broker: rabbitmq.Broker
) -> None:
    """A broker that does not know the password, and one that is away."""
    wrong = 'zQ4-password-that-the-broker-refuses'
    site = make_telling_site(broker.url('/', wrong))
    service = site.start_compute()
    client = site.start_api()
    key = client.create('pool')
    assert client.add(key, 'xen1').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    processes.wait_for(
        'it is refused', lambda: 'the broker refuses us' in service.text()
    )
    broker.kill()
    assert client.add(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    api = site.processes[-1]
    for process in (api, service):
        processes.wait_for('it is away', lambda p=process: _is_away(p))
        assert sentinels.in_texts([process.text()], SECRETS | {wrong}) == []
        process.terminate()
    # Tracebacks in the logs are the libraries' own here.
    site.processes.clear()


def _is_away(process: children.Child) -> bool:
    return 'Connection refused' in process.text()


def database_that_is_away() -> str:
    """The URL of a database where nobody listens."""
    (port,) = ports.free(1)
    return f'mysql+pymysql://us:{DATABASE_PASSWORD}@127.0.0.1:{port}/name'


@pytest.mark.parametrize(
    'command', [('db', 'sync'), ('host', 'list'), ('host', 'show', 'xen1')]
)
def test_database_that_is_away_is_told_without_its_password(
    make_site: MakeSite, command: tuple[str, ...]
) -> None:
    site = make_site(1, logging=[LEVELS], connection=database_that_is_away())
    done = subprocess.run(
        [
            pathlib.Path(sys.executable).with_name('aggregates-ext-manage'),
            *('--config-file', site.config, *command),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr
    assert sentinels.in_texts([done.stdout, done.stderr], SECRETS) == []


def test_services_tell_of_a_database_without_its_password(
    make_site: MakeSite,
) -> None:
    """It is away: requests are answered with 503, and all is logged."""
    site = make_site(1, logging=[LEVELS], connection=database_that_is_away())
    service = site.start_compute()
    client = site.start_api()
    assert client.ask('GET', '/os-aggregates').status == 503
    processes.wait_for(
        'it is told', lambda: 'The database failed' in service.text()
    )
    written = [process.text() for process in site.processes]
    assert sentinels.in_texts([*written, *site.answers], SECRETS) == []


def test_password_crosses_the_network_in_tls_alone(
    make_site: MakeSite,
) -> None:
    """The same wire in front of a host without TLS has it in clear."""
    hosts = [{'name': f'xen{n}', 'tls': True} for n in (1, 2)]
    site = make_site(hosts, credentials=PASSWORDS, logging=[LEVELS])
    site.set_up()
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1', 'xen2'])
    assert client.remove(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    for host in ('xen1', 'xen2'):
        assert site.wire_of(host).passed > 1000
        assert not site.wire_of(host).holds(PASSWORDS['default'])
    check_site(site)


# That the search finds what it looks for.


@pytest.mark.parametrize('child', [False, True])
@pytest.mark.parametrize('place', ['argument', 'environment'])
def test_search_finds_a_secret_in_a_process(place: str, child: bool) -> None:
    words = [DATABASE_PASSWORD] if place == 'argument' else []
    named = {'PASSWORD': DATABASE_PASSWORD} if place == 'environment' else {}
    script = 'print(1, flush=True); input()'
    if child:
        script = (
            'import subprocess, sys; subprocess.run('
            f'[sys.executable, "-c", {script!r}, *{words!r}], env={named!r})'
        )
        script, words, named = _hide(script), [], {}
    with subprocess.Popen(
        [sys.executable, '-c', script, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=named,
    ) as popen:
        assert popen.stdout is not None
        popen.stdout.readline()
        found = sentinels.in_processes([popen.pid], SECRETS)
        popen.communicate(b'end')
    assert found == [DATABASE_PASSWORD]


def _hide(script: str) -> str:
    """The same script, not readable as it stands."""
    return f'exec(bytes.fromhex("{script.encode().hex()}"))'


def test_search_finds_a_secret_in_a_text() -> None:
    texts = ['all well\n', f'well\nlogin with {PASSWORDS["lab"]}\n']
    assert sentinels.in_texts(texts, SECRETS) == [
        f'login with {PASSWORDS["lab"]}'
    ]


def test_search_finds_a_secret_in_a_cell_and_a_file(
    make_site: MakeSite,
) -> None:
    site = make_site(1)
    site.set_up()
    assert sentinels.in_cells(site.cells(), SECRETS) == set()
    file = site.directory / 'aggregates_ext.sqlite'
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute('UPDATE hosts SET alarm = ?', (ECHO,))
        connection.commit()
    assert sentinels.in_cells(site.cells(), SECRETS) == {('hosts', 'alarm')}
    assert file.name in sentinels.in_files([site.directory], SECRETS)


def test_search_finds_a_secret_in_a_message(broker: rabbitmq.Broker) -> None:
    vhost = broker.make_vhost()
    with (
        bus.Tap(broker, vhost) as tap,
        broker.connect(vhost) as connection,
    ):
        connection.Producer().publish(
            {'oslo.message': f'{{"args": "{ECHO}"}}'}, routing_key='anywhere'
        )
        processes.wait_for('it is seen', lambda: tap.messages)
    assert len(sentinels.in_texts(tap.messages, SECRETS)) == 1


def test_search_finds_a_secret_on_the_wire(make_site: MakeSite) -> None:
    site = make_site(1, credentials=PASSWORDS)
    with wire.Wire('http', site.sim.host('xen1').port) as seen:
        seen.start()
        session = XenAPI.Session(seen.url)
        session.login_with_password('root', PASSWORDS['default'])
        session.logout()
        session('close')()
        seen.stop()
    assert seen.holds(PASSWORDS['default'])
