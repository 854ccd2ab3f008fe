"""``$`` in secrets: taken as it stands, or refused by the option's name."""

import logging
import pathlib
from collections.abc import Callable

import pytest
from keystoneauth1 import loading
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext import exception
from aggregates_ext import rpc
from aggregates_ext import verbatim
from aggregates_ext.cmd import api
from aggregates_ext.cmd import compute
from aggregates_ext.cmd import manage
from aggregates_ext.db.engine import engine

# What stands after the "$" must be told nowhere.
TOLD = 'zq5tail'
PASSWORDS = [
    f'pa${TOLD}',
    f'pa${{{TOLD}}}',
    f'${TOLD}',
    f'pa$${TOLD}',
    rf'pa\${TOLD}',
    'pa$',
    '$1$2$$',
    f'${{{TOLD}',
    '$password',
    '%(here)s',
]
REWRITTEN = PASSWORDS[:3]

Make = Callable[..., cfg.ConfigOpts]


@pytest.fixture
def make(tmp_path: pathlib.Path) -> Make:
    """Builds a configuration of lines in a file."""

    def build(*lines: str) -> cfg.ConfigOpts:
        path = tmp_path / 'a.conf'
        path.write_text('\n'.join(lines) + '\n')
        conf = cfg.ConfigOpts()
        options.parse(conf, [], [str(path)])
        return conf

    return build


def account(password: str) -> list[str]:
    """The lines of a file for the credential default."""
    return [
        '[xenserver]',
        'credentials = default',
        '[xenserver:default]',
        f'username = {password}',
        f'password = {password}',
    ]


@pytest.mark.parametrize('password', PASSWORDS)
def test_account_of_hosts_is_taken_as_it_stands(
    make: Make, password: str
) -> None:
    conf = make(*account(password))
    options.validate(conf)
    assert options.read_credential(conf, 'default') == (password, password)


@pytest.mark.parametrize('password', PASSWORDS)
def test_account_in_the_environment_is_taken_as_it_stands(
    make: Make, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv('OS_XENSERVER_LAB_1__PASSWORD', password)
    conf = make('[xenserver]', 'credentials = lab-1')
    assert options.read_credential(conf, 'lab-1') == ('root', password)


def test_account_that_changes_is_taken_as_it_stands(make: Make) -> None:
    conf = make(*account('first'))
    assert options.read_credential(conf, 'default')[1] == 'first'
    (path,) = map(pathlib.Path, conf.config_file or conf.default_config_files)
    path.write_text('\n'.join(account(f'pa${TOLD}')))
    conf.mutate_config_files()
    assert options.read_credential(conf, 'default')[1] == f'pa${TOLD}'


def register_keystone(conf: cfg.ConfigOpts) -> None:
    """As keystonemiddleware does it."""
    for opt in (
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options('password'),
        cfg.StrOpt('memcache_secret_key', secret=True),
    ):
        conf.register_opt(opt, 'keystone_authtoken')


@pytest.mark.parametrize('password', REWRITTEN)
@pytest.mark.parametrize(
    ('group', 'name', 'value'),
    [
        ('database', 'connection', 'mysql+pymysql://u:{}@db/name'),
        ('database', 'slave_connection', 'mysql+pymysql://u:{}@db/name'),
        ('DEFAULT', 'transport_url', 'rabbit://u:{}@mq//'),
        ('keystone_authtoken', 'password', '{}'),
        ('keystone_authtoken', 'memcache_secret_key', '{}'),
        ('keystone_authtoken', 'auth_url', 'https://u:{}@keystone'),
    ],
)
def test_secret_of_a_library_is_refused_by_name(
    make: Make, group: str, name: str, value: str, password: str
) -> None:
    conf = make(f'[{group}]', f'{name} = {value.format(password)}')
    register_keystone(conf)
    conf.register_opt(cfg.StrOpt('transport_url', secret=True))
    for read in (
        lambda: options.validate(conf),
        lambda: conf[name] if group == 'DEFAULT' else conf[group][name],
    ):
        with pytest.raises(cfg.Error) as caught:
            read()
        assert f'[{group}] {name} has a "$"' in str(caught.value)
        assert '"$$"' in str(caught.value)
        assert TOLD not in str(caught.value)


def test_library_gets_the_sign_that_its_documents_ask_for(make: Make) -> None:
    conf = make(
        '[database]',
        'connection = sqlite:///a$$b',
        '[keystone_authtoken]',
        r'password = \$x$$y$1',
    )
    register_keystone(conf)
    options.validate(conf)
    assert conf.database.connection == 'sqlite:///a$b'
    assert conf.keystone_authtoken.password == '$x$y$1'


def test_other_options_refer_to_one_another_as_before(make: Make) -> None:
    conf = make('[api]', 'paste_config = $bind_host-x', 'bind_host = ::1')
    assert conf.api.paste_config == '::1-x'


def test_option_that_refers_to_a_secret_gets_it_as_it_stands(
    make: Make,
) -> None:
    """The one that is read is not taken for the one that is referred to."""
    conf = make('[api]', f'paste_config = ${{other.password}} {TOLD} $$')
    conf.register_opt(
        cfg.StrOpt('password', secret=True, default='a$$b'), 'other'
    )
    assert conf.api.paste_config == f'a$b {TOLD} $'


def test_protecting_twice_does_no_harm(make: Make) -> None:
    conf = make(*account(f'pa${TOLD}'))
    verbatim.protect(conf)
    assert options.read_credential(conf, 'default')[1] == f'pa${TOLD}'


WRONG = {
    'database': ['[database]', f'connection = mysql://u:pa${TOLD}@db/name'],
    'messaging': ['[DEFAULT]', f'transport_url = rabbit://u:pa${TOLD}@mq//'],
    'keystone': ['[keystone_authtoken]', f'password = pa${TOLD}'],
    # What cannot be parsed is not told either.
    'port': ['[database]', f'connection = mysql://u:a@b:{TOLD}@db/name'],
    'no url': ['[database]', f'connection = {TOLD}'],
    'kind': ['[database]', f'connection = what://u:{TOLD}@db/name'],
    'no broker': ['[DEFAULT]', f'transport_url = {TOLD}'],
    'port of a broker': [
        '[DEFAULT]',
        f'transport_url = rabbit://u:{TOLD}/a@mq//',
    ],
    'a number': ['[compute]', 'workers = many'],
}
DATABASE = ['database', 'port', 'no url', 'kind']
COMMANDS = [
    'db sync',
    'db version',
    'db check',
    'host list',
    'host show xen1',
    'host check xen1',
    'host reset xen1 free',
    'host add xen1 --url https://10.0.0.1',
    'operation list',
    'operation retry 0',
    'pool adopt one xen1',
    'status',
]


@pytest.mark.parametrize(
    ('wrong', 'command'),
    [
        *(('database', command) for command in COMMANDS),
        *((wrong, 'db check') for wrong in DATABASE[1:]),
    ],
)
def test_command_tells_a_sentence_without_the_secret(
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
    command: str,
) -> None:
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)
    path = tmp_path / 'a.conf'
    path.write_text('\n'.join(WRONG[wrong]))
    caplog.set_level(logging.DEBUG)
    ended = manage.main(['--config-file', str(path), *command.split()])
    told = ''.join([*capfd.readouterr(), caplog.text])
    # What monitoring does not take for a warning.
    assert ended == (3 if command == 'status' else 1)
    assert TOLD not in told
    assert told.removeprefix('UNKNOWN: ').startswith('[database] connection')


@pytest.mark.parametrize('wrong', WRONG)
def test_upgrade_check_names_the_option(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
) -> None:
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)
    path = tmp_path / 'a.conf'
    path.write_text('\n'.join(WRONG[wrong]))
    command = ['--config-file', str(path), 'upgrade', 'check', '--json']
    assert manage.main(command) == 2
    told = capsys.readouterr().out
    assert TOLD not in told
    assert WRONG[wrong][1].split(' ')[0] in told


@pytest.mark.parametrize('main', [api.main, compute.main])
@pytest.mark.parametrize('wrong', sorted(set(WRONG) - {*DATABASE[1:]}))
def test_service_does_not_start_and_names_the_option(
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    main: Callable[[], None],
    wrong: str,
) -> None:
    path = tmp_path / 'a.conf'
    paste = pathlib.Path('etc/aggregates_ext/api-paste.ini').absolute()
    lines = ['[api]', f'paste_config = {paste}', 'auth_strategy = noauth']
    path.write_text('\n'.join([*lines, *WRONG[wrong]]))
    monkeypatch.setattr(
        'sys.argv', ['aggregates-ext', '--config-file', str(path)]
    )
    for module in (api, compute):
        monkeypatch.setattr(module.logging, 'setup', lambda *args: None)
        monkeypatch.setattr(module.signals, 'block', lambda: None)
    monkeypatch.setattr(cfg, 'CONF', cfg.ConfigOpts())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = ''.join(capfd.readouterr())
    assert TOLD not in told
    assert 'Traceback' not in told
    assert WRONG[wrong][1].split(' ')[0] in told


def test_request_is_told_which_option_is_refused(make: Make) -> None:
    """A filter in another service leaves that one alone."""
    conf = make('[database]', f'connection = mysql://u:pa${TOLD}@db/name')
    database = engine.Database(conf)
    with pytest.raises(exception.Unavailable, match=r'\[database\] conn') as c:
        _ = database.engine
    assert TOLD not in str(c.value)


def test_broker_that_cannot_be_used_is_told_without_its_url(
    make: Make,
) -> None:
    conf = make('[DEFAULT]', f'transport_url = nonsense://u:{TOLD}@mq//')
    with pytest.raises(exception.Unavailable, match='transport_url') as caught:
        rpc.get_transport(conf)
    assert TOLD not in str(caught.value)
