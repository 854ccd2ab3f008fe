"""The API as a process of its own: the command, and the WSGI module."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys

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


def test_command_serves_and_stops(environment: dict[str, str]) -> None:
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
        port = int(line.removeprefix(LISTENING))
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
        connection.request('GET', '/v2.1/')
        answer = json.load(connection.getresponse())
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert answer['version']['id'] == 'v2.1'


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
