"""What the table of answers says of Nova, asked of a real one.

The same requests go to our faces in ``tests/functional``.
"""

import contextlib
import http.server
import json
import pathlib
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional import wire_conformance
from tests.integration import nova

pytestmark = pytest.mark.long

JSON = 'application/json'
HOSTS = ('xen1', 'xen2', 'xen3', 'far')
STAGE = [
    'POST os-aggregates {"aggregate": {"name": "pool1"}}',
    'POST os-aggregates {"aggregate": {"name": "pool2"}}',
    'POST os-aggregates/1/action {"set_metadata": {"metadata": {"k": "v"}}}',
]
CASES = [
    pytest.param(case, id=f'{subject}-{number}')
    for subject, cases in wire_conformance.load().items()
    for number, case in enumerate(cases, 1)
    if 'nova' in case
]

# The versions at its root, and the nodes that it knows anywhere else.
PLACEMENT = json.dumps(
    {
        'versions': [
            {
                'id': 'v1.0',
                'min_version': '1.0',
                'max_version': '1.39',
                'status': 'CURRENT',
                'links': [{'rel': 'self', 'href': ''}],
            }
        ],
        'resource_providers': [],
    }
).encode()


class Stage:
    """A Nova with hosts that can be put back to where each case begins."""

    def __init__(
        self, server: nova.Server, database_file: pathlib.Path
    ) -> None:
        self._server = server
        self._file = database_file
        for line in STAGE:
            assert self.send(line).status == 200, line
        self._made = sqlite3.connect(':memory:')
        with contextlib.closing(sqlite3.connect(database_file)) as made:
            made.backup(self._made)

    def restore(self) -> None:
        """All aggregates as they were."""
        with contextlib.closing(sqlite3.connect(self._file)) as used:
            self._made.backup(used)

    def send(self, line: str, **headers: str) -> nova.Answer:
        """Answer to a request as cases write it."""
        asked = wire_conformance.parse(line)
        return self._server.request(
            asked.method,
            f'/v2.1/{asked.path}',
            asked.body.encode(),
            **{'Content-Type': JSON, **headers},
        )

    def close(self) -> None:
        self._made.close()


class Placement(http.server.BaseHTTPRequestHandler):
    """A placement service that knows no host, which Nova puts up with."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header('Content-Type', JSON)
        self.send_header('Content-Length', str(len(PLACEMENT)))
        self.end_headers()
        self.wfile.write(PLACEMENT)

    def log_message(self, *_args: object) -> None:
        """Nothing is told of it."""


@pytest.fixture(scope='module')
def placement() -> Iterator[str]:
    """The URL of a placement service."""
    address = ('127.0.0.1', 0)
    with http.server.ThreadingHTTPServer(address, Placement) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()
        thread.join()


@pytest.fixture(scope='module')
def stage(
    nova_venv: pathlib.Path,
    nova_directory: pathlib.Path,
    placement: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A Nova with the hosts of the table, and databases of its own."""
    directory = tmp_path_factory.mktemp('nova-hosts')
    nova.configure(nova_venv, directory)
    with (directory / 'nova.conf').open('a') as conf:
        conf.write(
            f'[placement]\nauth_type = none\nendpoint_override = {placement}\n'
        )
    nova.add_hosts(nova_venv, directory, HOSTS)
    with nova.serve(nova_venv, directory, 'plain') as server:
        made = Stage(server, directory / 'nova_api.sqlite')
        yield made
        made.close()


@pytest.mark.parametrize('case', CASES)
def test_nova_answers_so(stage: Stage, case: dict[str, Any]) -> None:
    stage.restore()
    joining = [
        f'POST os-aggregates/1/action {{"add_host": {{"host": "{name}"}}}}'
        for name in case.get('members', [])
    ]
    given = case.get('given', []) + case.get('given_nova', [])
    for line in given + joining:
        assert stage.send(line).status == 200, line
    headers = {}
    if 'microversion' in case:
        version = f'compute {case["microversion"]}'
        headers['OpenStack-API-Version'] = version
    answer = stage.send(
        case['request'], **{'Content-Type': case.get('type', JSON), **headers}
    )
    assert answer.status == wire_conformance.theirs(case, 'nova'), answer
