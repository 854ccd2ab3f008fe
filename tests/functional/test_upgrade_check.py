"""``upgrade check``: what it finds, and how it ends."""

import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.cmd import manage
from aggregates_ext.cmd.commands import checks
from aggregates_ext.db import services as db_services
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.domain import services
from tests import databases

SUCCESS, WARNING, FAILURE = 0, 1, 2
GOOD = {
    'DEFAULT': {'transport_url': 'fake:/'},
    'xenserver': {'credentials': 'default'},
    'xenserver:default': {'password': 'secret-of-the-hosts'},
}
Results = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the commands from setting logging up for all other tests."""
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)


class Installation:
    """Configuration and database of one installation.

    :ivar policy: the operator's policy file.
    """

    def __init__(
        self, directory: pathlib.Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._file = directory / 'aggregates_ext.conf'
        self._capsys = capsys
        self.policy = directory / 'policy.yaml'
        self.database = f'sqlite:///{directory}/aggregates_ext.sqlite'
        self.configure()

    def configure(self, **groups: dict[str, str]) -> None:
        """Write the configuration: good, but for what is told."""
        merged = {'database': {'connection': self.database}, **GOOD}
        for name, options in groups.items():
            merged[name] = merged.get(name, {}) | options
        self._file.write_text(
            '\n'.join(
                f'[{name}]\n'
                + '\n'.join(f'{key} = {value}' for key, value in opts.items())
                for name, opts in merged.items()
            )
        )

    def run(self, *command: str) -> int:
        return manage.main(['--config-file', str(self._file), *command])

    def check(self) -> tuple[int, Results]:
        """The exit code, and what each check found."""
        self._capsys.readouterr()
        code = self.run('upgrade', 'check', '--json')
        text = self._capsys.readouterr().out
        assert 'secret-of-the-hosts' not in text
        return code, {c['check']: c for c in json.loads(text)['checks']}


@pytest.fixture(scope='module')
def template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A database with the newest schema."""
    path = tmp_path_factory.mktemp('template') / 'aggregates_ext.sqlite'
    database = engine.Database(databases.configure(f'sqlite:///{path}'))
    migration.upgrade(database)
    database.dispose()
    return path


@pytest.fixture
def installation(
    template: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> Installation:
    """One that is ready, with a host."""
    shutil.copy(template, tmp_path)
    made = Installation(tmp_path, capsys)
    made.run('host', 'add', 'xen1', '--url', 'https://10.0.0.11')
    return made


@pytest.fixture
def only(installation: Installation) -> Callable[[str], tuple[int, str]]:
    """Checks, and expects one finding alone: its code and text."""

    def look(name: str) -> tuple[int, str]:
        code, found = installation.check()
        bad = {key: c for key, c in found.items() if c['result']}
        assert list(bad) == [name]
        assert code == bad[name]['result']
        return code, bad[name]['details']

    return look


def test_an_installation_that_is_ready(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = installation.check()
    assert code == SUCCESS
    told = {name: c['details'] for name, c in found.items() if c['details']}
    assert told == {'Compute services': services.lack([])}
    assert installation.run('upgrade', 'check') == SUCCESS
    assert 'Upgrade Check Results' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('group', 'option', 'value', 'check', 'code', 'told'),
    [
        ('compute', 'pol_interval', '5', 'Names of options', WARNING,
         '[compute] has no option pol_interval'),
        ('xenserver:default', 'pasword', 'x', 'Names of options', WARNING,
         '[xenserver:default] has no option pasword'),
        ('compute', 'lease_ttl', '5', 'Time limits', WARNING, 'lease_ttl = 5'),
        ('compute', 'designate_wait', '3', 'Time limits', WARNING,
         'designate_wait = 3'),
        ('compute', 'master_timeout', '170', 'Time limits', WARNING,
         'master_timeout = 170 is less than designate_wait = 180'),
        ('api', 'graceful_shutdown_timeout', '600', 'Time limits', WARNING,
         '[api] graceful_shutdown_timeout = 600'),
        ('xenserver', 'credentials', '', 'Credentials', WARNING, 'is empty'),
        ('xenserver', 'credentials', 'default,lab', 'Credentials', FAILURE,
         '[xenserver:lab] has no password'),
        ('xenserver:default', 'password', '', 'Credentials', FAILURE,
         '[xenserver:default] has no password'),
        ('api', 'paste_config', 'none.ini', 'Paste file', WARNING, 'none.ini'),
        ('api', 'auth_strategy', 'noauth', 'Paste file', WARNING, 'noauth'),
        ('DEFAULT', 'transport_url', '', 'Messaging', WARNING, 'is unset'),
        ('DEFAULT', 'transport_url', 'pigeon://', 'Messaging', FAILURE,
         'cannot be used'),
    ],
)  # fmt: skip
def test_configuration(
    installation: Installation,
    only: Callable[[str], tuple[int, str]],
    group: str,
    option: str,
    value: str,
    check: str,
    code: int,
    told: str,
) -> None:
    installation.configure(**{group: {option: value}})
    found, details = only(check)
    assert (found, told in details) == (code, True), details


def test_a_value_that_cannot_be_read(installation: Installation) -> None:
    installation.configure(compute={'lease_ttl': 'long'})
    code, found = installation.check()
    assert code == FAILURE
    assert 'lease_ttl' in found['Values of options']['details']
    assert found['Database schema']['result'] == SUCCESS


def test_host_without_a_credential(
    installation: Installation, only: Callable[[str], tuple[int, str]]
) -> None:
    installation.run(
        'host', 'add', 'xen2',
        '--url', 'https://10.0.0.12', '--credential', 'lab',
    )  # fmt: skip
    code, details = only('Credentials')
    assert code == FAILURE
    assert 'Host xen2 has the credential lab' in details


def test_host_in_clear_text(
    installation: Installation,
    only: Callable[[str], tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a release that allowed it may have left one."""
    with monkeypatch.context() as patch:
        patch.setattr('aggregates_ext.db.records.is_clear', lambda url: False)
        installation.run('host', 'add', 'xen2', '--url', 'http://10.0.0.12')
    code, details = only('URLs of hosts')
    assert code == FAILURE
    assert 'xen2 is at http://10.0.0.12' in details


@pytest.mark.parametrize(
    ('text', 'check', 'code', 'told'),
    [
        ('"os_compute_api:os-aggregates:lisst": "@"', 'Policy file', WARNING,
         'os_compute_api:os-aggregates:lisst'),
        ('"os_compute_api:os-aggregates:show": "rule:nobody"', 'Policy file',
         FAILURE, 'The policy file is wrong'),
        ('"os_compute_api:os-aggregates:show: "@"', 'Policy file', FAILURE,
         'The policy file is wrong'),
        ('"os_compute_api:os-aggregates:show": "role:a or"', 'Policy file',
         FAILURE, 'os-aggregates:show cannot be read'),
        ('{"os_compute_api:os-aggregates:show": "@"}',
         'Format of the policy file', FAILURE, 'JSON'),
    ],
)  # fmt: skip
def test_policy_file(
    installation: Installation,
    only: Callable[[str], tuple[int, str]],
    text: str,
    check: str,
    code: int,
    told: str,
) -> None:
    installation.policy.write_text(text)
    found, details = only(check)
    assert (found, told in details) == (code, True), details


def test_a_policy_file_of_nova_is_right(installation: Installation) -> None:
    installation.policy.write_text(
        '"os_compute_api:servers:show": "rule:admin_or_owner"\n'
        '"os_compute_api:os-aggregates:show": "role:reader"\n'
    )
    assert installation.check()[0] == SUCCESS


def test_schema_that_is_empty(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = Installation(tmp_path, capsys).check()
    assert code == FAILURE
    assert 'db sync' in found['Database schema']['details']


@pytest.mark.parametrize(
    ('url', 'told'),
    [
        ('sqlite:////nowhere/none.sqlite', 'nowhere/none.sqlite: unable'),
        ('nothing://at/all', 'KIND://'),
        ('nonsense', 'KIND://'),
        ('mysql://u:secret-of-the-hosts@127.0.0.1:1/x', 'at 127.0.0.1:1, x'),
        ('postgresql://u@127.0.0.1:1/x', 'at 127.0.0.1:1, x'),
    ],
)
def test_database_that_cannot_be_used(
    installation: Installation, url: str, told: str
) -> None:
    """Once, with its address and the cause."""
    installation.configure(database={'connection': url})
    code, found = installation.check()
    assert code == FAILURE
    assert found['Database server']['result'] == FAILURE
    telling = [name for name, c in found.items() if told in str(c['details'])]
    assert telling[0] in ('Database server', 'Database file')
    assert len(telling) == 1
    assert 'see "Database' in found['Database schema']['details']
    assert found['Policy file']['result'] == SUCCESS


def test_database_that_is_older_than_what_is_tested(
    only: Callable[[str], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(checks.TESTED, 'sqlite', (99,))
    code, details = only('Database server')
    assert code == WARNING
    assert 'the tests run on 99 and newer' in details


@pytest.mark.every_database
def test_every_database_is_known(
    database_url: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    installation = Installation(tmp_path, capsys)
    installation.configure(database={'connection': database_url})
    installation.run('db', 'sync')
    assert installation.check()[0] == SUCCESS


@pytest.mark.parametrize(
    ('lifetime', 'code', 'said'),
    [(30.0, SUCCESS, 'alive, on ctl1'), (-1.0, WARNING, 'has looked for 0 s')],
)
def test_who_does_the_work_is_told(
    installation: Installation,
    capsys: pytest.CaptureFixture[str],
    lifetime: float,
    code: int,
    said: str,
) -> None:
    conf = databases.configure(installation.database)
    database = engine.Database(conf)
    database.write(lambda c: db_services.beat(c, 'u1', 'ctl1', lifetime))
    database.dispose()
    ended, found = installation.check()
    assert ended == found['Compute services']['result'] == code
    assert said in found['Compute services']['details']
    assert installation.run('service', 'list') == (code != SUCCESS)
    _columns, row, sentence = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == ['u1', 'ctl1', 'down' if code else 'up']
    assert said in sentence
    installation.run('service', 'list', '--json')
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown['state'] == ('down' if code else 'up')
