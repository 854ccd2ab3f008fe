"""A real Nova API from PyPI, with or without the filter in its pipelines."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from tests.integration import documents
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
URLMAP = (
    '[composite:osapi_compute]\n'
    'use = call:nova.api.openstack.urlmap:urlmap_factory\n'
)
# Isolated: what stands beside it is not for Nova to import.
PROCESS = pathlib.Path(__file__).with_name('nova_process.py')
MAKE_HOSTS = pathlib.Path(__file__).with_name('nova_hosts.py')


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
    pid: int

    def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> Answer:
        """Answer of one request.

        :param body: bytes; a list of them, sent in chunks; anything else is
            sent as JSON.
        """
        sent = HEADERS | {k.replace('_', '-'): v for k, v in headers.items()}
        if body is not None:
            sent.setdefault('Content-Type', 'application/json')
            if not isinstance(body, bytes | list):
                body = json.dumps(body)
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=120
        )
        chunked = isinstance(body, list)
        if chunked:
            sent['Transfer-Encoding'] = 'chunked'
        with contextlib.closing(connection):
            try:
                connection.request(
                    method, path, body, sent, encode_chunked=chunked
                )
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

    def state(self) -> dict[str, Any]:
        """What the process is like, without the place of its Paste file."""
        answer = self.request('GET', '/state-of-the-process')
        assert answer.status == 200, self.log.read_text()[-4000:]
        found: dict[str, Any] = json.loads(
            answer.body.replace(self.log.stem.encode() + b'/api-', b'api-')
        )
        return found


def install_project(venv: pathlib.Path, directory: pathlib.Path) -> None:
    """Install the project as it is now.

    From a copy: setuptools would leave build/ beside the sources, and later
    install from there what the sources no longer have. Tests may run side by
    side: one installs it, and none takes it away from a Nova that runs.
    """
    source = directory / 'source'
    ignored = shutil.ignore_patterns(
        '.*', '*.egg-info', '__pycache__', 'build', 'tests'
    )
    shutil.copytree(environments.ROOT, source, ignore=ignored)
    wanted = digest(source)
    installed = venv / 'project'
    with environments.alone(venv / 'project.lock'):
        if installed.exists() and installed.read_text() == wanted:
            return
        installed.unlink(missing_ok=True)
        pip = venv / 'bin' / 'pip'
        environments.run(pip, 'install', '--no-build-isolation', source)
        installed.write_text(wanted)


def digest(directory: pathlib.Path) -> str:
    """What tells the files of a directory from any others."""
    found = hashlib.sha256()
    for path in sorted(directory.rglob('*')):
        if path.is_file():
            found.update(str(path.relative_to(directory)).encode() + b'\0')
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def configure(
    venv: pathlib.Path,
    directory: pathlib.Path,
    authtoken: Mapping[str, str] | None = None,
) -> None:
    """Configurations and databases of Nova and of the filter.

    :param authtoken: options of the filter of that name, where there is a
        Keystone; else what it would tell is in ``HEADERS``.
    """
    conf = directory / 'nova.conf'
    conf.write_text(
        '[DEFAULT]\n'
        'transport_url = fake:/\n'
        'my_ip = 127.0.0.1\n'
        f'state_path = {directory}\n'
        f'[api_database]\nconnection = sqlite:///{directory}/nova_api.sqlite\n'
        f'[database]\nconnection = sqlite:///{directory}/nova.sqlite\n'
        '[keystone_authtoken]\n'
        + ''.join(f'{k} = {v}\n' for k, v in (authtoken or {}).items())
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
    for name, edit in EDITS.items():
        paste = directory / name / 'api-paste.ini'
        paste.parent.mkdir()
        text = edit(shipped)
        if authtoken is None:
            text = without_authtoken(text)
        paste.write_text(
            text.replace('/etc/aggregates_ext/aggregates_ext.conf', str(ours))
        )
    # The application beside Nova has a database of its own.
    shutil.copy(
        directory / 'aggregates_ext.sqlite', directory / 'beside.sqlite'
    )
    conf = directory / 'beside.conf'
    conf.write_text(ours.read_text().replace('aggregates_ext.', 'beside.'))
    paste = directory / 'beside' / 'api-paste.ini'
    paste.write_text(paste.read_text().replace(str(ours), str(conf)))


def add_hosts(
    venv: pathlib.Path, directory: pathlib.Path, names: Iterable[str]
) -> None:
    """Compute hosts that Nova finds in its databases."""
    conf = directory / 'nova.conf'
    environments.run(
        *(venv / 'bin' / 'nova-manage', '--config-file', conf),
        *('cell_v2', 'create_cell', '--name', 'cell1'),
        *('--database_connection', f'sqlite:///{directory}/nova.sqlite'),
        *('--transport-url', 'fake:/'),
    )
    python = venv / 'bin' / 'python'
    environments.run(python, '-I', MAKE_HOSTS, conf, *names)


def with_filter(paste: str) -> str:
    """An api-paste.ini as the document makes it: the filter put in."""
    for line in documents.blocks('filter.rst'):
        if line.startswith('keystone = '):
            before = line.replace(' aggregates ', ' ')
            assert line != before
            assert paste.count(before) == 1, f'{before!r} in\n{paste}'
            paste = paste.replace(before, line)
    return paste + documents.block('filter.rst', '[filter:aggregates]')


def with_application(paste: str) -> str:
    """An api-paste.ini as the document makes it: our application beside."""
    head, opening, rest = paste.partition(URLMAP)
    assert opening, f'{URLMAP!r} in\n{paste}'
    paths = documents.block('filter.rst', '/v1.1: ')
    sections = documents.block('filter.rst', '[pipeline:aggregates_beside]')
    return f'{head}{opening}{paths}{rest}\n{sections}'


EDITS = {
    'plain': str,
    'filtered': with_filter,
    'beside': with_application,
}


def without_authtoken(paste: str) -> str:
    """The same without Keystone."""
    paste = paste.replace(' authtoken keystonecontext', ' keystonecontext')
    return paste.replace(' authtoken ', ' keystonecontext ')


@contextlib.contextmanager
def serve(
    venv: pathlib.Path, directory: pathlib.Path, name: str
) -> Iterator[Server]:
    """A Nova API with the pipelines of that name.

    Requests wait at the listener until the process answers, or is gone.
    """
    paste = directory / name / 'api-paste.ini'
    files = f'{paste};{directory / "nova.conf"}'
    log = directory / f'{name}.log'
    with (
        log.open('w') as output,
        socket.create_server(('127.0.0.1', 0)) as listener,
    ):
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [venv / 'bin' / 'python', '-I', PROCESS],
            stdin=listener.fileno(),
            stdout=output,
            stderr=output,
            env=os.environ | {'OS_NOVA_CONFIG_FILES': files},
        )
    try:
        yield Server(port, log, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)
