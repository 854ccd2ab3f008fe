"""Numbers of the API as a process of its own; none where nobody asks."""

import contextlib
import http.client
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import pytest

from aggregates_ext.cmd import manage
from aggregates_ext.metrics import families
from tests import databases
from tests import schemas
from tests import scraping
from tests.functional.test_api_command import serving

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = ('aggregates_ext.cmd.api', 'aggregates_ext.cmd.compute')


class Site(NamedTuple):
    """Where the configuration of the process is found."""

    directory: pathlib.Path
    environment: dict[str, str]

    def configure(self, more: str) -> None:
        """Add lines to the configuration."""
        with (self.directory / 'aggregates_ext.conf').open('a') as file:
            file.write(more)


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    paste = ROOT / 'etc/aggregates_ext/api-paste.ini'
    (tmp_path / 'api-paste.ini').write_text(paste.read_text())
    url = f'sqlite:///{tmp_path}/db.sqlite'
    (tmp_path / 'aggregates_ext.conf').write_text(
        '[api]\nauth_strategy = noauth\nbind_port = 0\n'
        f'[database]\nconnection = {url}\n'
    )
    database = schemas.engine.Database(databases.configure(url))
    schemas.upgrade(database)
    database.dispose()
    return Site(
        tmp_path, os.environ | {'OS_AGGREGATES_EXT_CONFIG_DIR': str(tmp_path)}
    )


@contextlib.contextmanager
def counting(site: Site) -> Iterator[tuple[int, int]]:
    """A running API whose requests are counted: its port, and theirs."""
    port = databases.free_port()
    site.configure(f'[metrics]\napi_port = {port}\n')
    with serving(site.environment) as served:
        yield served, port


def ask(port: int, path: str, method: str = 'GET') -> int:
    """The status of an answer."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
    return response.status


def listeners() -> set[int]:
    """The ports that the processes of this one listen on."""
    return {
        found.laddr.port
        for child in psutil.Process().children(recursive=True)
        for found in child.net_connections()
        if found.status == psutil.CONN_LISTEN
    }


def test_no_port_is_open_unless_it_is_asked_for(site: Site) -> None:
    before = listeners()
    with serving(site.environment) as port:
        assert listeners() - before == {port}


def test_requests_are_counted_by_their_routes(site: Site) -> None:
    with counting(site) as (api, port):
        assert ask(api, '/v2.1/os-aggregates') == 200
        assert ask(api, '/v2.1/os-aggregates/77') == 404
        assert ask(api, '/v2/abc/os-aggregates/78.xml') == 404
        assert ask(api, '/v2.1/os-aggregates/77', 'BREW') == 405
        for number in range(20):
            assert ask(api, f'/v2.1/nothing-{number}') == 404
        page = scraping.ask(port)
        counted = page.of('request_seconds_count')
    found = {tuple(dict(labels).values()): n for labels, n in counted.items()}
    # By name of the labels: method, route, status.
    one = '/os-aggregates/{aggregate_id}'
    assert found == {
        ('GET', '/os-aggregates', '2xx'): 1,
        ('GET', one, '4xx'): 2,
        ('other', one, '4xx'): 1,
        ('GET', 'other', '4xx'): 20,
    }
    assert 'nothing-' not in page.text
    assert page.value('up') == 1
    assert page.value('compute_services', state='alive') == 0


def test_the_api_tells_what_the_table_has(site: Site) -> None:
    with counting(site) as (api, port):
        ask(api, '/v2.1/os-aggregates')
        kinds = scraping.ask(port).kinds
    assert {
        name.removeprefix(scraping.PREFIX)
        for name in kinds
        if name.startswith(scraping.PREFIX)
    } == {
        family.name
        for family in (
            *families.OF_SERVICES,
            families.REQUEST_SECONDS,
            families.RELEASE,
        )
    }


def test_no_other_server_of_the_application_tells_any(site: Site) -> None:
    """Each of its processes would count for itself."""
    site.configure('[metrics]\napi_port = 0\n')
    code = (
        'import sys, psutil; from aggregates_ext import wsgi; '
        'print("prometheus_client" in sys.modules, '
        'psutil.Process().net_connections())'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=site.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith('False []\n')


@pytest.fixture
def without_module(site: Site) -> Site:
    """A Python that has no prometheus_client."""
    (site.directory / 'sitecustomize.py').write_text(
        "import sys\nsys.modules['prometheus_client'] = None\n"
    )
    path = f'{site.directory}:{site.environment.get("PYTHONPATH", "")}'
    return site._replace(environment={**site.environment, 'PYTHONPATH': path})


@pytest.mark.parametrize('command', COMMANDS)
def test_what_is_missing_is_told_at_the_start(
    without_module: Site, command: str
) -> None:
    name = f'{command.rpartition(".")[2]}_port'
    without_module.configure(f'[metrics]\n{name} = 0\n')
    done = subprocess.run(
        [sys.executable, '-m', command],
        env=without_module.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f'[metrics] {name} needs the module prometheus_cl' in done.stderr
    assert 'Traceback' not in done.stderr


def test_who_asks_for_no_numbers_needs_no_module(without_module: Site) -> None:
    with serving(without_module.environment) as port:
        assert ask(port, '/v2.1/') == 200


@pytest.mark.parametrize('name', ['api_port', 'compute_port'])
def test_what_is_missing_is_told_by_the_check(
    site: Site,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)
    monkeypatch.setitem(sys.modules, 'prometheus_client', None)
    site.configure(f'[metrics]\n{name} = 9774\n')
    file = str(site.directory / 'aggregates_ext.conf')
    code = manage.main(['--config-file', file, 'upgrade', 'check', '--json'])
    assert code == 2
    assert f'[metrics] {name} needs the module' in capsys.readouterr().out
