"""WSGI servers that fork, started as the installation document says."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import psutil

from tests.integration import documents
from tests.integration import environments
from tests.integration import processes

DOCUMENTED = '127.0.0.1:8774'
# Server -> package, what starts it here, where requests go, its command.
SERVERS = {
    'gunicorn': (
        'gunicorn',
        ['-m', 'gunicorn'],
        '',
        documents.command('install.rst', 'gunicorn'),
    ),
    'uwsgi': (
        'pyuwsgi',
        ['-c', 'import pyuwsgi; pyuwsgi.run()'],
        '/compute',
        documents.command('install.rst', 'uwsgi'),
    ),
}
WORKERS = 4


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: Any


class Server(NamedTuple):
    """A server that runs, and its prefix."""

    process: psutil.Process
    port: int
    prefix: str
    log: pathlib.Path

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=60
        )
        with contextlib.closing(connection):
            connection.request(
                method,
                self.prefix + path,
                None if body is None else json.dumps(body),
                {'Content-Type': 'application/json'},
            )
            response = connection.getresponse()
            answered = response.read()
        # Health is told as plain text, all else as JSON.
        told = response.headers.get_content_type() == 'application/json'
        body = json.loads(answered) if told and answered else None
        return Answer(response.status, body)

    def post_chunked(self, path: str, body: Any, wrong: str = '') -> int:
        """The status; all is sent at once, as not everybody reads it.

        :param wrong: what stands before the length of the chunk.
        """
        content = json.dumps(body).encode()
        sent = (
            f'POST {self.prefix}{path} HTTP/1.1\r\nHost: localhost\r\n'
            'Content-Type: application/json\r\nConnection: close\r\n'
            'Transfer-Encoding: chunked\r\n\r\n'
            f'{wrong}{len(content):x}\r\n{content.decode()}\r\n0\r\n\r\n'
        )
        address = ('127.0.0.1', self.port)
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(sent.encode())
            return int(connection.makefile().readline().split()[1])

    def workers(self) -> list[psutil.Process]:
        found: list[psutil.Process] = self.process.children()
        return found


def configure(directory: pathlib.Path, url: str, more: str = '') -> None:
    """Write the configuration that the servers find.

    :param url: of the database.
    """
    (directory / 'aggregates_ext.conf').write_text(
        '[DEFAULT]\ntransport_url = fake:/\n'
        '[api]\nauth_strategy = noauth\nbind_port = 0\n'
        f'[database]\nconnection = {url}\n{more}'
    )
    paste = environments.ROOT / 'etc' / 'aggregates_ext' / 'api-paste.ini'
    shutil.copy(paste, directory)


def begin(
    directory: pathlib.Path, name: str, *arguments: str
) -> tuple[psutil.Popen, pathlib.Path]:
    """Start a server; the process, and where it logs."""
    package, program, _prefix, command = SERVERS[name]
    venv = environments.install(name, package)
    [site] = venv.glob('lib/python*/site-packages')
    words = [word.replace(DOCUMENTED, '127.0.0.1:0') for word in command[1:]]
    log = directory / f'{name}.log'
    with log.open('w') as output:
        process = psutil.Popen(
            [sys.executable, *program, *arguments, *words],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ
            | {
                'HOME': str(directory),
                'OS_AGGREGATES_EXT_CONFIG_DIR': str(directory),
                'PYTHONPATH': f'{environments.ROOT}{os.pathsep}{site}',
            },
        )
    return process, log


@contextlib.contextmanager
def running(
    directory: pathlib.Path, name: str, *arguments: str
) -> Iterator[Server]:
    process, log = begin(directory, name, *arguments)
    prefix = SERVERS[name][2]

    def ready() -> Server | None:
        assert process.poll() is None, log.read_text()
        bound = re.search(r'127\.0\.0\.1:([1-9]\d*)', log.read_text())
        if not bound or len(process.children()) < WORKERS:
            return None
        return Server(process, int(bound[1]), prefix, log)

    try:
        yield processes.wait_for(f'{name} runs', ready)
    finally:
        end(process)


def end(process: psutil.Popen) -> None:
    """SIGTERM ends a server and its workers."""
    process.terminate()
    try:
        process.wait(timeout=30)
    except psutil.TimeoutExpired:
        for found in [*process.children(recursive=True), process]:
            found.kill()
        raise
