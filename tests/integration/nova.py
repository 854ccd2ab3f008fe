"""A real Nova API from PyPI, with or without the filter in its pipelines."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from tests.integration import environments

# Nova takes nothing but hexadecimal digits and dashes for a project in a URL.
PROJECT = '5f1c0f7e2b6d4b6f9a3e8d7c6b5a4f3e'
# What authtoken would tell keystonecontext; one name for both servers, as
# links in the answers repeat it.
HEADERS = {
    'Host': 'nova.test',
    'X-User-Id': 'operator',
    'X-Project-Id': PROJECT,
    'X-Roles': 'admin',
}
VOLATILE = {'date', 'x-compute-request-id', 'x-openstack-request-id'}
# Nova refuses arguments it does not know, so the listener is standard input.
SERVE = """
import socket
import waitress
from nova.wsgi import osapi_compute
waitress.serve(osapi_compute.application, sockets=[socket.socket(fileno=0)])
"""


class Answer(NamedTuple):
    """All of an answer that does not differ from one request to the next."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def lasting_headers(self) -> list[tuple[str, str]]:
        """The headers without the length, which goes with the body."""
        return [(k, v) for k, v in self.headers if k != 'content-length']


class Server(NamedTuple):
    """One running Nova API."""

    port: int
    log: pathlib.Path

    def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> Answer:
        """Answer of one request; a body that is not bytes is sent as JSON."""
        sent = HEADERS | {k.replace('_', '-'): v for k, v in headers.items()}
        if body is not None:
            sent['Content-Type'] = 'application/json'
            if not isinstance(body, bytes):
                body = json.dumps(body)
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=120
        )
        with contextlib.closing(connection):
            try:
                connection.request(method, path, body, sent)
                response = connection.getresponse()
                content = response.read()
            except ConnectionError as exc:
                raise AssertionError(self.log.read_text()[-4000:]) from exc
        return Answer(
            response.status,
            response.reason,
            [
                (name.lower(), value)
                for name, value in response.getheaders()
                if name.lower() not in VOLATILE
            ],
            content,
        )


def install_project(venv: pathlib.Path, directory: pathlib.Path) -> None:
    """Install the project as it is now.

    From a copy: setuptools would leave build/ beside the sources, and later
    install from there what the sources no longer have.
    """
    source = directory / 'source'
    ignored = shutil.ignore_patterns('.*', '*.egg-info', 'build', 'tests')
    shutil.copytree(environments.ROOT, source, ignore=ignored)
    pip = venv / 'bin' / 'pip'
    environments.run(pip, 'install', '--no-build-isolation', source)


def configure(venv: pathlib.Path, directory: pathlib.Path) -> None:
    """Configurations and databases of Nova and of the filter."""
    conf = directory / 'nova.conf'
    conf.write_text(
        '[DEFAULT]\n'
        'transport_url = fake:/\n'
        'my_ip = 127.0.0.1\n'
        f'state_path = {directory}\n'
        f'[api_database]\nconnection = sqlite:///{directory}/nova_api.sqlite\n'
        f'[database]\nconnection = sqlite:///{directory}/nova.sqlite\n'
    )
    cell0 = f'sqlite:///{directory}/nova_cell0.sqlite'
    manage = (venv / 'bin' / 'nova-manage', '--config-file', conf)
    environments.run(*manage, 'api_db', 'sync')
    environments.run(
        *manage, 'cell_v2', 'map_cell0', '--database_connection', cell0
    )
    environments.run(*manage, 'db', 'sync')

    ours = directory / 'aggregates_ext.conf'
    ours.write_text(
        '[database]\n'
        f'connection = sqlite:///{directory}/aggregates_ext.sqlite\n'
    )
    manage = (venv / 'bin' / 'aggregates-ext-manage', '--config-file', ours)
    environments.run(*manage, 'db', 'sync')

    shipped = (venv / 'etc' / 'nova' / 'api-paste.ini').read_text()
    plain = edited(shipped, 'authtoken keystonecontext', 'keystonecontext')
    (directory / 'plain.ini').write_text(plain)
    application = 'osapi_compute_app_v21\n'
    (directory / 'filtered.ini').write_text(
        edited(plain, f' {application}', f' aggregates {application}')
        + '\n[filter:aggregates]\n'
        'use = egg:aggregates_ext#aggregates\n'
        f'config_file = {ours}\n'
    )


def edited(paste: str, old: str, new: str) -> str:
    """Change the pipelines of both API versions in an api-paste.ini."""
    assert paste.count(old) == 2, f'{old!r} in\n{paste}'
    return paste.replace(old, new)


@contextlib.contextmanager
def serve(
    venv: pathlib.Path, directory: pathlib.Path, name: str
) -> Iterator[Server]:
    """A Nova API with the pipelines of that name.

    Requests wait at the listener until the process answers, or is gone.
    """
    files = f'{directory / name}.ini;{directory / "nova.conf"}'
    log = directory / f'{name}.log'
    with (
        log.open('w') as output,
        socket.create_server(('127.0.0.1', 0)) as listener,
    ):
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [venv / 'bin' / 'python', '-c', SERVE],
            stdin=listener.fileno(),
            stdout=output,
            stderr=output,
            env=os.environ | {'OS_NOVA_CONFIG_FILES': files},
        )
    try:
        yield Server(port, log)
    finally:
        process.terminate()
        process.wait(timeout=60)
