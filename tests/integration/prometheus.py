"""A Prometheus of the tests' own: private, on loopback, without root."""

import contextlib
import http.client
import json
import pathlib
import subprocess
import urllib.parse
from typing import Any

import pytest

from tests import databases
from tests.integration import processes

START_LIMIT = 60.0


def find(program: str) -> str:
    """The full path of ``prometheus`` or ``promtool``, or a skip by name."""
    return databases.find(program)


def promtool(*arguments: object) -> str:
    """Run promtool; the answer: what it wrote. Its failure is the test's."""
    done = subprocess.run(
        [find('promtool'), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=START_LIMIT,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr)
    return done.stdout


class Prometheus:
    """One server with its configuration and data.

    :param directory: everything it writes goes there.
    :param configuration: the text of its prometheus.yml.
    """

    def __init__(self, directory: pathlib.Path, configuration: str) -> None:
        self._program = find('prometheus')
        self.directory = directory
        self._port = databases.free_port()
        self._file = directory / 'prometheus.yml'
        self._file.write_text(configuration)
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> 'Prometheus':
        promtool('check', 'config', self._file)
        output = self.directory / 'prometheus.out'
        with output.open('wb') as file:
            self._server = subprocess.Popen(
                [
                    self._program,
                    f'--config.file={self._file}',
                    f'--storage.tsdb.path={self.directory / "data"}',
                    f'--web.listen-address=127.0.0.1:{self._port}',
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.directory,
            )

        def serves() -> bool:
            assert self._server is not None
            assert self._server.poll() is None, output.read_text()
            with contextlib.suppress(OSError):
                return self._get('/-/ready')[0] == 200
            return False

        try:
            processes.wait_for('Prometheus serves', serves, START_LIMIT)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def _get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer."""
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._port, timeout=30
        )
        with contextlib.closing(connection):
            connection.request('GET', path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def ask(self, path: str, **query: str) -> Any:
        """What its API answers.

        :raises AssertionError: with what is wrong with the question.
        """
        asked = urllib.parse.urlencode(query)
        status, text = self._get(f'/api/v1/{path}?{asked}')
        assert status == 200, f'{query}: {text}'
        told = json.loads(text)
        assert not told.get('warnings'), text
        return told['data']

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression, as they are now."""
        found: list[dict[str, Any]] = self.ask('query', query=expression)[
            'result'
        ]
        return found

    def value(self, expression: str) -> float | None:
        """The value of the one series of an expression; None: there is none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]['value'][1]) if found else None
