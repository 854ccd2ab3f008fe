"""Each server of the API behind nginx, as the installation sets both up."""

import contextlib
import http.client
import pathlib
import re
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from aggregates_ext.db.engine import engine
from tests import databases
from tests import schemas
from tests.integration import children
from tests.integration import documents
from tests.integration import nginx
from tests.integration import processes
from tests.integration import wsgi_servers

COMMAND = 'aggregates-ext-api'
# What a client may say of proxies that it has not come through.
CLAIMS = {
    'Forwarded': 'for=192.0.2.1;host=evil.example.org;proto=http',
    'X-Forwarded-For': '192.0.2.1',
    'X-Forwarded-Host': 'evil.example.org',
    'X-Forwarded-Prefix': '/evil',
    'X-Forwarded-Proto': 'http',
}
HOST = f'Host: {nginx.PLACE}'
JSON = f'{HOST}\r\nContent-Type: application/json'
# Requests, sent as they stand, and the status that nginx brings back.
ODD = {
    f'OPTIONS * HTTP/1.1\r\n{HOST}\r\n\r\n': 400,
    f'GET v2.1/os-aggregates HTTP/1.1\r\n{HOST}\r\n\r\n': 400,
    f'GET https://{nginx.PLACE}/healthcheck HTTP/1.1\r\n{HOST}\r\n\r\n': 200,
    # By HTTP/1.0 nobody needs to name a host.
    'GET /healthcheck HTTP/1.0\r\n\r\n': 200,
    'GET /healthcheck HTTP/1.1\r\n\r\n': 400,
    'GET /healthcheck HTTP/1.1\r\nHost: a b\r\n\r\n': 400,
    f'GET /v2.1/%00 HTTP/1.1\r\n{HOST}\r\n\r\n': 400,
    f'GET /v2.1/%ff HTTP/1.1\r\n{HOST}\r\n\r\n': 404,
    f'TRACE /v2.1 HTTP/1.1\r\n{HOST}\r\n\r\n': 405,
    f'POST /v2.1/os-aggregates HTTP/1.1\r\n{JSON}\r\n'
    'Content-Length: x\r\n\r\n': 400,
}


class Site(NamedTuple):
    """A server of the API, and the proxy in front of it.

    :ivar prefix: of all its paths.
    """

    port: int
    prefix: str
    proxy: nginx.Nginx


@contextlib.contextmanager
def serving(directory: pathlib.Path, name: str) -> Iterator[tuple[int, str]]:
    """The port of a server that runs, and its prefix."""
    if name != COMMAND:
        with wsgi_servers.running(directory, name) as server:
            yield server.port, server.prefix
        return
    place = {'OS_AGGREGATES_EXT_CONFIG_DIR': str(directory)}
    process = children.Process(directory / 'api.log', COMMAND, [], place)

    def look() -> int | None:
        assert process.running, process.text()
        found = re.search(r'^listening on .+:(\d+)$', process.text(), re.M)
        return int(found[1]) if found else None

    try:
        yield processes.wait_for('the API serves', look), ''
    finally:
        process.terminate()


@pytest.fixture(
    name='site', scope='module', params=[COMMAND, *wsgi_servers.SERVERS]
)
def fixture_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp('server')
    url = f'sqlite:///{directory}/sqlite'
    database = engine.Database(databases.configure(url))
    schemas.upgrade(database)
    database.dispose()
    proxied = documents.block('install.rst', '[oslo_middleware]')
    wsgi_servers.configure(directory, url, proxied)
    with (
        serving(directory, request.param) as (port, prefix),
        nginx.Nginx(tmp_path_factory.mktemp('nginx'), port) as proxy,
    ):
        yield Site(port, prefix, proxy)


@pytest.fixture
def api(site: Site) -> processes.Client:
    """A client that asks for the host that the document names."""
    proxy = site.proxy
    made = processes.Client(proxy.url, [], None, proxy.certificate)
    return made.sending(Host=nginx.PLACE)


def test_links_lead_where_the_client_came_from(
    site: Site, api: processes.Client
) -> None:
    prefix = f'{site.prefix}/v2.1'
    names = {'one', 'two', 'three'}
    for name in names:
        body = {'aggregate': {'name': name}}
        answer = api.ask('POST', '/os-aggregates', body, prefix)
        assert answer.status == 200, answer.body
    root = f'https://{nginx.PLACE}{site.prefix}'
    listed = api.ask('GET', '/', None, site.prefix).body['versions']
    links = [entry['links'][0]['href'] for entry in listed]
    assert links == [f'{root}/v2/', f'{root}/v2.1/']
    # Whatever else is asked for in its own name: it is nobody's proxy.
    claiming = api.sending(
        **{k.replace('-', '_'): v for k, v in CLAIMS.items()}
    )
    place = '/os-aggregates?limit=1'
    found = []
    while place:
        page = claiming.ask('GET', place, None, prefix)
        assert page.status == 200, page.body
        found += [entry['name'] for entry in page.body['aggregates']]
        place = ''
        for link in page.body.get('aggregates_links', []):
            assert link['href'].startswith(f'{root}/v2.1/os-aggregates?')
            place = link['href'].removeprefix(f'{root}/v2.1')
    assert names <= set(found)


def test_a_body_comes_through_or_is_refused_in_words(
    site: Site, api: processes.Client
) -> None:
    """More than the API takes, and more than nginx takes."""
    prefix = f'{site.prefix}/v2.1'
    # Several times, as it is by chance who closes the connection first.
    for size, told in (
        *((120_000, True),) * 10,
        *((250_000, True),) * 20,
        (300_000, False),
    ):
        body = {'aggregate': {'name': 'x' * size}}
        answer = api.ask('POST', '/os-aggregates', body, prefix)
        assert answer.status == 413
        assert isinstance(answer.body, dict) == told, answer.body


@pytest.mark.parametrize('sent', ODD)
def test_nothing_odd_is_a_fault_of_ours(site: Site, sent: str) -> None:
    """By way of nginx, and where there is none."""
    with site.proxy.connect() as client:
        assert status_of(client, sent) == ODD[sent]
    with socket.create_connection(('127.0.0.1', site.port), 60) as client:
        assert status_of(client, sent) < 500


def status_of(client: socket.socket, *parts: str) -> int:
    """Send the parts of a request, one by one; the status of the answer."""
    for part in parts:
        client.sendall(part.encode())
    with http.client.HTTPResponse(client) as response:
        response.begin()
        return response.status


def test_a_body_in_pieces_comes_through(site: Site) -> None:
    """In chunks, which nginx collects; in halves; announced before it."""
    head = f'POST {site.prefix}/v2.1/os-aggregates HTTP/1.1\r\n{JSON}\r\n'
    name = '{"aggregate": {"name": "pieces-%d"}}'
    for number, (before, after) in enumerate(
        (
            ('Transfer-Encoding: chunked\r\n\r\n{0:x}\r\n', '\r\n0\r\n\r\n'),
            ('Content-Length: {0}\r\n\r\n', ''),
            ('Content-Length: {0}\r\nExpect: 100-continue\r\n\r\n', ''),
        )
    ):
        body = name % number
        parts = (head + before.format(len(body)) + body[:9], body[9:] + after)
        with site.proxy.connect() as client:
            assert status_of(client, *parts) == 200, before


def test_who_goes_away_harms_nobody(site: Site, api: processes.Client) -> None:
    """In the middle of a body, and before the answer."""
    head = f'POST {site.prefix}/v2.1/os-aggregates HTTP/1.1\r\n{JSON}\r\n'
    for rest in ('Content-Length: 34\r\n\r\n{', '\r\n'):
        with site.proxy.connect() as client:
            client.sendall((head + rest).encode())
    answer = api.ask('GET', '/os-aggregates', None, f'{site.prefix}/v2.1')
    assert answer.status == 200
