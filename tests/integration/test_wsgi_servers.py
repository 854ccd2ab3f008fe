"""The application under servers that fork: gunicorn and uwsgi.

The commands are those of the installation document.
"""

import concurrent.futures
import contextlib
import pathlib
import re
from collections.abc import Callable
from collections.abc import Iterator

import psutil
import pytest

from aggregates_ext.db.engine import engine
from aggregates_ext.domain import hosts
from tests.integration import environments
from tests.integration import processes
from tests.integration import rabbitmq
from tests.integration import wsgi_servers

Server = wsgi_servers.Server
BODY = {'aggregate': {'name': 'pool', 'availability_zone': 'az1'}}


@pytest.fixture
def serve(
    tmp_path: pathlib.Path, database_url: str, database: engine.Database
) -> Iterator[Callable[..., Server]]:
    """Starts a server as the document says, with further arguments."""
    wsgi_servers.configure(tmp_path, database_url)
    with contextlib.ExitStack() as stack:

        def start(name: str, *arguments: str) -> Server:
            return stack.enter_context(
                wsgi_servers.running(tmp_path, name, *arguments)
            )

        yield start


@pytest.mark.parametrize('name', wsgi_servers.SERVERS)
def test_what_keeps_it_from_its_work_is_a_sentence(
    tmp_path: pathlib.Path, name: str
) -> None:
    """It ends with that, and is not started again."""
    settings = '[api]\nauth_strategy = nobody\n'
    (tmp_path / 'aggregates_ext.conf').write_text(settings)
    process, log = wsgi_servers.begin(tmp_path, name)
    try:
        assert process.wait(timeout=processes.DEADLINE) != 0
    finally:
        if process.is_running():
            wsgi_servers.end(process)
    written = log.read_text()
    assert 'auth_strategy' in written
    assert 'nobody' in written
    # gunicorn, installed below the root perhaps, may have a traceback of its
    # own when several workers end at once.
    assert f'File "{environments.ROOT / "aggregates_ext"}' not in written


@pytest.mark.parametrize('name', wsgi_servers.SERVERS)
def test_it_answers_with_the_prefix_of_its_place(
    serve: Callable[..., Server], name: str
) -> None:
    server = serve(name)
    root = f'http://127.0.0.1:{server.port}{server.prefix}'
    shown = server.request('GET', '/v2.1').body['version']
    assert shown['links'][0]['href'] == f'{root}/v2.1/'
    listed = server.request('GET', '/').body['versions']
    assert [entry['links'][0]['href'] for entry in listed] == [
        f'{root}/v2/',
        f'{root}/v2.1/',
    ]
    created = server.request('POST', '/v2.1/os-aggregates', BODY)
    assert created.status == 200, server.log.read_text()
    key = created.body['aggregate']['id']
    # With the project in the URL, on the face of that time.
    path = f'/v1.1/admin/os-aggregates/{key}'
    assert server.request('GET', path).body['aggregate']['hosts'] == []
    refused = server.request('GET', '/v2.1/os-aggregates/unknown')
    assert refused.body['badRequest']['code'] == 400
    assert server.request('GET', '/v2.1/unknown').status == 404
    assert server.request('GET', '/healthcheck').status == 200
    # As the document says of either.
    body = {'aggregate': {'name': 'chunked'}}
    status = server.post_chunked('/v2.1/os-aggregates', body)
    assert status == {'gunicorn': 200, 'uwsgi': 400}[name]
    assert server.post_chunked('/v2.1/os-aggregates', body, 'x') == 400
    assert 'Traceback' not in server.log.read_text()


@pytest.mark.parametrize(
    'database_url', ['postgresql'], indirect=True, ids=['postgresql']
)
@pytest.mark.parametrize(
    ('name', 'arguments'), [('gunicorn', ['--preload']), ('uwsgi', [])]
)
def test_each_worker_has_connections_of_its_own(
    tmp_path: pathlib.Path,
    serve: Callable[..., Server],
    database_url: str,
    database: engine.Database,
    broker: rabbitmq.Broker,
    name: str,
    arguments: list[str],
) -> None:
    """Loaded before the fork: none is shared, and none is the master's.

    One that is made while the application loads would be both.
    """
    conf = tmp_path / 'aggregates_ext.conf'
    text = conf.read_text().replace('[api]', '[api]\ncheck_timeout = 1')
    conf.write_text(text.replace('fake:/', broker.url(broker.make_vhost())))
    numbers = range(1, 33)
    hosts.Hosts(database).add(
        [{'name': f'xen{n}', 'url': f'https://10.0.0.{n}'} for n in numbers]
    )
    server = serve(name, *arguments)

    def create(number: int) -> tuple[int, int]:
        path = '/v2.1/os-aggregates'
        body = {'aggregate': {'name': f'pool{number}'}}
        created = server.request('POST', path, body)
        key = created.body['aggregate']['id']
        joined = server.request(
            'POST', f'{path}/{key}/action', {'add_host': {'host': f'xen{key}'}}
        )
        return created.status, joined.status

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(create, numbers)) == {(200, 200)}
    answer = server.request('GET', '/v2.1/os-aggregates')
    names = [entry['name'] for entry in answer.body['aggregates']]
    assert sorted(names) == sorted(f'pool{n}' for n in numbers)
    for port in (broker.port, int(re.findall(r':(\d+)/', database_url)[0])):
        assert connections(server.process, port) == set()
        used = [connections(worker, port) for worker in server.workers()]
        assert len(used) == wsgi_servers.WORKERS
        assert sum(1 for own in used if own) > 1
        assert len(set.union(*used)) == sum(map(len, used))
    assert 'Traceback' not in server.log.read_text()


def connections(process: psutil.Process, port: int) -> set[int]:
    """Local ports of what a process has open to another one."""
    return {
        found.laddr.port
        for found in process.net_connections('tcp')
        if found.raddr and found.raddr.port == port
    }
