"""The API as a process of its own: the command, and the WSGI module."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LISTENING = 'listening on http://127.0.0.1:'


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> dict[str, str]:
    """Where the configuration of the process is found."""
    paste = ROOT / 'etc/aggregates_ext/api-paste.ini'
    (tmp_path / 'api-paste.ini').write_text(paste.read_text())
    (tmp_path / 'aggregates_ext.conf').write_text(
        '[api]\nauth_strategy = noauth\nbind_port = 0\n'
        f'[database]\nconnection = sqlite:///{tmp_path}/db.sqlite\n'
    )
    return os.environ | {'OS_AGGREGATES_EXT_CONFIG_DIR': str(tmp_path)}


@contextlib.contextmanager
def serving(environment: dict[str, str]) -> Iterator[int]:
    """The port of a running command; afterwards it is asked to stop."""
    code = 'from aggregates_ext.cmd import api; api.main()'
    with subprocess.Popen(
        [sys.executable, '-c', code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = next(
            text for text in process.stdout if text.startswith(LISTENING)
        )
        try:
            yield int(line.removeprefix(LISTENING))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=120) == 0


def ask(port: int, path: str, **headers: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    connection.request('GET', path, headers=headers)
    answer: dict[str, Any] = json.load(connection.getresponse())
    connection.close()
    return answer


def test_command_serves_and_stops(environment: dict[str, str]) -> None:
    with serving(environment) as port:
        assert ask(port, '/v2.1/')['version']['id'] == 'v2.1'


@pytest.mark.parametrize(
    ('parsed', 'scheme'), [(True, 'https'), (False, 'http')]
)
def test_links_are_as_the_proxy_in_front_was_asked(
    environment: dict[str, str], parsed: bool, scheme: str
) -> None:
    """Only where the operator says that there is a proxy."""
    directory = pathlib.Path(environment['OS_AGGREGATES_EXT_CONFIG_DIR'])
    with (directory / 'aggregates_ext.conf').open('a') as file:
        file.write(
            f'[oslo_middleware]\nenable_proxy_headers_parsing = {parsed}\n'
        )
    with serving(environment) as port:
        shown = ask(
            port,
            '/v2.1/',
            **{'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'pools:8774'},
        )
    (link, _manual) = shown['version']['links']
    host = 'pools:8774' if parsed else f'127.0.0.1:{port}'
    assert link['href'] == f'{scheme}://{host}/v2.1/'


@pytest.mark.parametrize(
    'line', ['OPTIONS * HTTP/1.1', 'GET v2.1/os-aggregates HTTP/1.1']
)
def test_what_is_no_path_is_refused_in_words(
    environment: dict[str, str], line: str
) -> None:
    with (
        serving(environment) as port,
        socket.create_connection(('127.0.0.1', port), timeout=120) as client,
    ):
        client.sendall(
            f'{line}\r\nHost: a\r\nConnection: close\r\n\r\n'.encode()
        )
        head, _blank, body = (
            b''.join(iter(lambda: client.recv(65536), b''))
            .decode()
            .partition('\r\n\r\n')
        )
    assert head.startswith('HTTP/1.1 400 ')
    assert (
        'does not begin with a slash'
        in json.loads(body)['badRequest']['message']
    )


def test_slow_connections_leave_room_for_others(
    environment: dict[str, str],
) -> None:
    """They have sent half a request each, and no more."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(serving(environment))
        for _number in range(150):
            client = socket.create_connection(('127.0.0.1', port), timeout=120)
            stack.enter_context(client)
            client.sendall(b'GET /v2.1/ HTTP/1.1\r\n')
        assert ask(port, '/v2.1/')['version']['id'] == 'v2.1'


def test_wsgi_module_reads_no_command_line(
    environment: dict[str, str],
) -> None:
    code = (
        'import webob; from aggregates_ext import wsgi; '
        'request = webob.Request.blank("/v2.1"); '
        'print(request.get_response(wsgi.application).text)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, '--bind', 'of-the-server'],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    last = done.stdout.splitlines()[-1]
    assert json.loads(last)['version']['id'] == 'v2.1'
    # Nobody is asked for a token here, and the log says so.
    (warning,) = (
        line for line in done.stdout.splitlines() if 'EVERYBODY' in line
    )
    assert ' WARNING ' in warning
