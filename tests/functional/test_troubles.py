"""Commands and troubles: whatever is wrong, a sentence and no traceback."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator

import pytest
from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext import refusals
from aggregates_ext.cmd import manage
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from tests import databases

UUID = '11111111-1111-1111-1111-111111111111'
ROOT = pathlib.Path(__file__).parents[2]
# Every command, as it would be typed.
COMMANDS = (
    'db sync',
    'db version',
    'db check',
    'host add xen9 --url https://[fd00::9]',
    'host list',
    'host list --json',
    'host show xen1',
    'host set xen1 --zone az1',
    'host remove xen1',
    'host check xen1',
    'host reset xen1 free',
    f'host accept-data-loss xen1 {UUID}',
    'operation list',
    'operation list 1 --json',
    f'operation show {UUID}',
    f'operation cancel {UUID}',
    f'operation retry {UUID}',
    'operation purge --older-than 1',
    'policy check',
    'policy list',
    'policy show os_compute_api:os-aggregates:show',
    'policy sample',
    'pool adopt rack xen1',
    'status',
    'status --json',
    'upgrade check',
)
NO_DATABASE = ('policy', 'upgrade')
# Those that all others are like, for troubles that are told in one place.
SOME = ('db sync', 'host list', 'policy list', 'status', 'upgrade check')


class Installation:
    """Configuration and database; each trouble breaks one thing.

    :ivar file: the configuration.
    :ivar database: SQLite's file, with the newest schema and a host.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.file = directory / 'aggregates_ext.conf'
        self.database = directory / 'aggregates_ext.sqlite'
        self.configure()

    def configure(self, connection: str = '', more: str = '') -> None:
        self.file.write_text(
            f'[DEFAULT]\ntransport_url = \n[database]\nconnection = '
            f'{connection or f"sqlite:///{self.database}"}\n{more}',
            errors='surrogateescape',
        )

    def alter(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(statement)


Trouble = Callable[[Installation], None]


def set_version(value: str) -> Trouble:
    return lambda found: found.alter(
        f"UPDATE aggregates_ext_version SET version_num = '{value}';"  # noqa: S608
        'DROP TABLE operations; DROP TABLE hosts;'
    )


def make_older(found: Installation) -> None:
    found.database.unlink()
    conf = cfg.ConfigOpts()
    settings.parse(conf, [], [str(found.file)])
    database = engine.Database(conf)
    migration.upgrade(database, '0001')
    database.dispose()


def connect(url: str) -> Trouble:
    return lambda found: found.configure(url)


def write(name: str, content: bytes) -> Trouble:
    return lambda found: (found.directory / name).write_bytes(content) and None


# What is wrong, and what every command that needs it says.
TROUBLES: dict[str, tuple[Trouble, str]] = {
    'no configuration': (lambda f: f.file.unlink(), 'aggregates_ext.conf'),
    'a directory': (
        lambda f: (f.file.unlink(), f.file.mkdir(), None)[-1],
        'directory',
    ),
    'not UTF-8': (write('aggregates_ext.conf', b'[a]\nb = \xff'), 'UTF-8'),
    'no section': (write('aggregates_ext.conf', b'[database\n'), 'section'),
    'no database': (
        write('aggregates_ext.conf', b'[api]\n'),
        'set [database] connection',
    ),
    'nonsense': (connect('nonsense'), 'KIND://'),
    'no driver': (connect('mysql+mysqldb://u:p@h/d'), 'not installed'),
    'no server': (connect('postgresql://u@127.0.0.1:1/d'), '127.0.0.1:1, d'),
    'no name': (connect('postgresql://u@none.invalid/d'), 'none.invalid'),
    'wrong option': (connect('mysql://u:p@127.0.0.1:1/d?a=b'), 'its options'),
    'no file': (connect('sqlite:////nowhere/db'), '/nowhere/db'),
    'damaged': (
        write('aggregates_ext.sqlite', b'nothing' * 999),
        'is damaged',
    ),
    'no schema': (lambda f: f.database.unlink(), 'db sync'),
    'older schema': (make_older, ''),
    'newer schema': (set_version('9999'), ''),
    'wrong policy': (write('policy.yaml', b'a: [\n'), ''),
    'policy of bytes': (write('policy.yaml', b'\xff\xfe\xff'), ''),
    'no authorities': (
        lambda f: f.configure(more='[xenserver]\nca_file = /nowhere\n'),
        '',
    ),
    'wrong transport': (
        lambda f: (
            f.file.write_text(
                f.file.read_text().replace('url = ', 'url = pigeon://x')
            )
            and None
        ),
        '',
    ),
    'wrong value': (
        lambda f: f.configure(more='[compute]\nlease_ttl = long\n'),
        '',
    ),
}
FOR_EACH = ('not UTF-8', 'no file', 'no schema', 'newer schema')


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the commands from setting logging up for all other tests."""
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)


@pytest.fixture(scope='module')
def template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A database with the newest schema and a host."""
    path = tmp_path_factory.mktemp('template') / 'aggregates_ext.sqlite'
    database = engine.Database(databases.configure(f'sqlite:///{path}'))
    migration.upgrade(database)
    database.dispose()
    return path


@pytest.fixture
def installation(
    template: pathlib.Path, tmp_path: pathlib.Path
) -> Installation:
    shutil.copy(template, tmp_path)
    return Installation(tmp_path)


def run(
    installation: Installation,
    capsys: pytest.CaptureFixture[str],
    *command: str,
) -> tuple[int, str]:
    """The exit code, and all that is said."""
    capsys.readouterr()
    try:
        code = manage.main(['--config-file', str(installation.file), *command])
    except SystemExit as exc:
        code = int(exc.code or 0)
    said = capsys.readouterr()
    text = said.out + said.err
    assert 'Traceback' not in text
    assert code == 0 or text.strip()
    return code, text


@pytest.mark.parametrize('trouble', TROUBLES)
def test_every_command_tells_a_trouble_in_a_sentence(
    template: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
) -> None:
    broke, told = TROUBLES[trouble]
    commands = COMMANDS if trouble in FOR_EACH else SOME
    for number, command in enumerate(commands):
        directory = tmp_path / str(number)
        directory.mkdir()
        shutil.copy(template, directory)
        installation = Installation(directory)
        broke(installation)
        words = command.split()
        code, text = run(installation, capsys, *words)
        if words[0] in NO_DATABASE or (words[0] == 'db' and code == 0):
            continue
        if told:
            assert told in text, command
            refused = 3 if words[0] == 'status' else 1
            assert code == refused or command in ('db version', 'db check')


# What is typed, and what is said of it.
TYPED = (
    (['host', 'add', 'x', '--url', 'https://[fd00::1'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://10.0.0.300'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://1'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://a b'], 'white space'),
    (['host', 'add', 'x', '--url', 'https://a\tb'], 'white space'),
    (['host', 'add', 'x', '--url', 'https://a..b'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', f'https://{"a" * 64}'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://é'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://a\\b'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://a:b'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://a:'], None),
    (['host', 'add', 'x', '--url', 'https://0.0.0.0'], 'https://ADDRESS'),
    (['host', 'add', 'x', '--url', 'https://a/b'], 'no account, path'),
    (['host', 'add', 'x', '--url', 'https://@a'], 'no account, path'),
    (['host', 'add', 'x', '--url', 'https://a?'], 'no account, path'),
    (['host', 'add', 'x', '--url', 'https://a', '--zone', '\udcff'], 'UTF-8'),
    (['host', 'show', '\udcff'], 'UTF-8'),
    (['host', 'set', 'x', '--credential=\udcff'], 'UTF-8'),
    (['host', 'add', '--file', '\udcff'], 'No such file'),
    (['move', 'show', '\udcff'], 'UTF-8'),
    (['move', 'list', '--guest', '\udcff'], 'UTF-8'),
    (['move', 'list', '--limit', '0'], '1 or more'),
    (['move', 'list', '--status', 'lost'], 'invalid choice'),
    (['operation', 'show', '\udcff'], 'UTF-8'),
    (['operation', 'list', '--host', '\udcff'], 'UTF-8'),
    (['operation', 'list', '9' * 30], 'is not from 0'),
    (['operation', 'list', 'one'], 'invalid'),
    (['operation', 'list', '--limit', '9' * 30], 'is not from 0'),
    (['operation', 'list', '--limit', '0'], '1 or more'),
    (['operation', 'purge', '--older-than', 'nan'], '0 or more'),
    (['operation', 'purge', '--older-than', 'inf'], '0 or more'),
    (['operation', 'purge', '--older-than', '1e300'], '0 or more'),
    (['operation', 'purge', '--older-than', '-1'], '0 or more'),
    (['pool', 'adopt', '\udcff', 'x'], 'UTF-8'),
    (['--shell_completion', 'bash'], 'no --shell_completion'),
    (['--config-dir', '/nowhere', 'host', 'list'], '/nowhere'),
    (['none'], 'invalid choice'),
    ([], 'required'),
)


@pytest.mark.parametrize(('typed', 'told'), TYPED)
def test_what_is_typed_wrongly_is_told(
    installation: Installation,
    capsys: pytest.CaptureFixture[str],
    typed: list[str],
    told: str | None,
) -> None:
    capsys.readouterr()
    own = [] if typed[:1] == ['--shell_completion'] else ['--config-file']
    own += [str(installation.file)] if own else []
    try:
        code = manage.main([*own, *typed])
    except SystemExit as exc:
        code = int(exc.code or 0)
    said = capsys.readouterr()
    assert code == (0 if told is None else code or -1)
    assert (told or '') in said.err
    assert 'Traceback' not in said.err


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        (b'- \xff', 'is not YAML'),
        (b'- *x\n', 'is not YAML: found undefined alias'),
        (b'- [1\n', 'is not YAML'),
        (b'- 2026-99-99\n', 'is not YAML: month'),
        (b'[' * 9999, 'is not YAML'),
        (b'', 'must hold a list'),
        (b'a: b\n', 'must hold a list'),
        (b'- 7\n', 'A host is a mapping'),
        (b'- {[1]: 2}\n', 'is not YAML'),
        (b'- {1: 2}\n', 'known are name'),
        (b'- {name: a, url: 2026-01-01}\n', 'url'),
        (b'- {name: a, url: "https://a", credential: "\\0"}\n', 'credential'),
    ],
)
def test_a_file_of_hosts_that_is_wrong(
    installation: Installation,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    told: str,
) -> None:
    path = installation.directory / 'hosts.yaml'
    path.write_bytes(content)
    code, text = run(installation, capsys, 'host', 'add', '--file', str(path))
    assert (code, told in text) == (1, True), text


@pytest.mark.parametrize(
    'name', [b'a b%41#c', b'\xc3\xa4 $x ${y} %(here)s', b'\xff', b'[b]']
)
def test_the_path_of_the_configuration_may_have_any_sign(
    template: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    name: bytes,
) -> None:
    directory = tmp_path / os.fsdecode(name)
    directory.mkdir()
    shutil.copy(template, tmp_path)
    installation = Installation(directory)
    installation.configure(f'sqlite:///{tmp_path}/aggregates_ext.sqlite')
    (directory / 'policy.yaml').write_text('"admin_api": "role:boss"\n')
    assert run(installation, capsys, 'host', 'list')[0] == 0
    code, text = run(installation, capsys, 'policy', 'check')
    assert (code, '1 rules' in text) == (0, True), text


def test_tables_are_whole_and_literal(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    long = 'https://' + '.'.join(['a' * 50] * 4)
    for name, url, zone in (
        ('xen1', 'https://[fd00::11]', '[/b]'),
        ('xen2', long, 'é\u2028b'.replace('\u2028', '')),
    ):
        add = ('host', 'add', name, '--url', url, '--zone', zone)
        assert run(installation, capsys, *add)[0] == 0
    code, text = run(installation, capsys, 'host', 'list')
    assert code == 0
    header, *rows = [line.split() for line in text.splitlines()]
    assert header[:3] == ['name', 'url', 'zone']
    assert rows[0][:3] == ['xen1', 'https://[fd00::11]', '[/b]']
    assert rows[1][:2] == ['xen2', long]
    assert len({len(row) for row in [header, *rows]}) == 1


# As processes: what Python does at its end belongs to it.


def start(
    installation: Installation, module: str, *arguments: str, **variables: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-m', module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=installation.directory,
        env={
            **os.environ,
            'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path]),
            **variables,
        },
        text=True,
    )


MANAGE = 'aggregates_ext.cmd.manage'
API = 'aggregates_ext.cmd.api'
COMPUTE = 'aggregates_ext.cmd.compute'
XENSIM = 'aggregates_ext.xensim.main'
DEMO = 'aggregates_ext.cmd.demo'


@pytest.mark.parametrize('module', [MANAGE, API, COMPUTE, XENSIM, DEMO])
def test_every_command_tells_its_version(
    installation: Installation, module: str
) -> None:
    said, wrong = start(installation, module, '--version').communicate()
    assert ' 0.' in said
    assert wrong == ''


def test_an_ascii_terminal_is_enough(installation: Installation) -> None:
    zone = ['host', 'add', 'x', '--url', 'https://a', '--zone', 'zürich']
    for command in (zone, ['host', 'list'], ['host', 'show', 'é']):
        process = start(
            installation,
            MANAGE,
            *('--config-file', str(installation.file), *command),
            PYTHONIOENCODING='ascii',
        )
        said, wrong = process.communicate()
        assert 'Traceback' not in wrong
        assert process.returncode == (1 if 'é' in command else 0), wrong
    assert r'\xe9' in wrong


def test_nobody_needs_to_read_to_the_end(installation: Installation) -> None:
    """As in ``| head``."""
    config = ('--config-file', str(installation.file))
    with start(installation, MANAGE, *config, 'host', 'list') as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ''
    assert process.returncode == refusals.NOBODY_READS


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield server.getsockname()[1]


PASTE = ROOT / 'etc/aggregates_ext/api-paste.ini'
NOAUTH = f'[api]\nauth_strategy = noauth\npaste_config = {PASTE}\n'


@pytest.mark.parametrize(
    ('module', 'more', 'told'),
    [
        (API, NOAUTH + 'bind_port = {port}\n', 'port {port} cannot be had'),
        (API, '[api]\npaste_config = /nowhere\n', 'Paste file /nowhere'),
        (API, f'[api]\npaste_config = {__file__}\n', 'cannot be loaded'),
        (
            API,
            '[keystone_authtoken]\nmemcached_servers = a\ncafile = /no\n'
            'memcache_tls_enabled = yes\n',
            'pip install python-binary-memcached',
        ),
        (API, '[keystone_authtoken]\ncafile = /no\n', '/no is not there'),
        (API, '[api]\nbind_port = none\n', 'bind_port'),
        (COMPUTE, '[xenserver]\nca_file = /no\n', 'ca_file /no cannot be'),
        (COMPUTE, f'[xenserver]\nca_file = {__file__}\n', 'PEM format'),
        (COMPUTE, '[compute]\nworkers = none\n', 'workers'),
        (
            API,
            NOAUTH + 'bind_port = 0\n[metrics]\napi_port = {port}\n',
            '[metrics] bind_host, api_port: 127.0.0.1 port {port} cannot be',
        ),
        (
            COMPUTE,
            '[metrics]\ncompute_port = {port}\n',
            '[metrics] bind_host, compute_port: 127.0.0.1 port {port} cannot',
        ),
    ],
)
def test_a_service_that_cannot_start_tells_why(
    installation: Installation, taken: int, module: str, more: str, told: str
) -> None:
    installation.configure(more=more.format(port=taken))
    process = start(
        installation, module, '--config-file', str(installation.file)
    )
    wrong = process.communicate()[1]
    assert told.format(port=taken) in wrong
    assert 'Traceback' not in wrong
    assert process.returncode == 1


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--control', '{port}'], 'port {port} of 127.0.0.1 cannot be had'),
        (['--topology', 'hosts'], 'port {port} of 127.0.0.1 cannot be had'),
        (['--control', '99999'], '--control must be'),
        (['--speed', 'nan'], '--speed must be'),
        (['--topology', '/nowhere'], '/nowhere'),
        (['--topology', 'bytes'], 'not UTF-8'),
        (['--state', 'state'], 'not a state'),
    ],
)
def test_a_simulator_that_cannot_start_tells_why(
    installation: Installation, taken: int, arguments: list[str], told: str
) -> None:
    directory = installation.directory
    (directory / 'hosts').write_text(f'hosts:\n- {{name: a, port: {taken}}}\n')
    (directory / 'bytes').write_bytes(b'hosts:\n- \xff\n')
    (directory / 'state').write_text('{"version": 1, "hosts": {"xen1": 3}}')
    typed = [word.format(port=taken) for word in arguments]
    process = start(installation, XENSIM, *typed)
    wrong = process.communicate()[1]
    assert told.format(port=taken) in wrong
    assert 'Traceback' not in wrong
    assert process.returncode == 2


def test_services_are_silent_of_their_libraries(
    installation: Installation,
) -> None:
    """Neither eventlet nor alembic says anything when they start."""
    config = ('--config-file', str(installation.file))
    process = start(installation, COMPUTE, *config)
    assert process.stdout is not None
    said = ''
    for line in process.stdout:
        said += line
        if 'The compute service works' in line:
            break
    process.send_signal(signal.SIGTERM)
    said += ''.join(process.communicate())
    assert process.returncode == 0
    for name in ('alembic', 'ventlet', 'Warning:'):
        assert name not in said
