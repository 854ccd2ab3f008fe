"""The database is away for longer than a lease: killed, or hanging.

Meanwhile nothing is done to pools and the API says 503 in good time; when
the database is back everything goes on by itself.
"""

import time
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from tests import databases
from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories

NOT_RENEWED = 'The leases could not be renewed'
# Seconds.
LEASE = 2
# Seconds of patience with a server that hangs; a lease is as long.
PATIENCE = {
    'mariadb': '?read_timeout=2&write_timeout=2&connect_timeout=2',
    'postgresql': '?tcp_user_timeout=2000&connect_timeout=2',
}


@pytest.fixture(params=databases.SERVERS)
def server(
    request: pytest.FixtureRequest, servers: databases.Servers
) -> Iterator[databases.Server]:
    """Each of the servers, which serves again at the end."""
    server = servers.get(request.param)
    yield server
    server.thaw()
    if not server.running:
        server.start()


@pytest.fixture
def site(
    make_site: Callable[..., processes.Site], server: databases.Server
) -> processes.Site:
    """Two hosts, and leases of two seconds."""
    connection = server.new() + PATIENCE[server.kind]
    site = make_site(2, {'lease_ttl': LEASE}, connection=connection)
    site.set_up()
    return site


def is_away(client: processes.Client) -> bool:
    """Whether reading and writing are refused, each with 503."""
    body = {'aggregate': {'name': 'meanwhile'}}
    answers = [
        client.ask('GET', '/os-aggregates'),
        client.ask('POST', '/os-aggregates', body),
    ]
    # What is under way when it begins may still succeed.
    assert {answer.status for answer in answers} <= {200, 409, 503}, answers
    return all(answer.status == 503 for answer in answers)


@pytest.mark.parametrize(
    ('way', 'call'),
    [('killed', 'session.get_uuid'), ('hanging', stories.JOIN)],
    ids=['killed-before-the-call', 'hanging-after-it'],
)
def test_join_is_finished_when_the_database_is_back(
    site: processes.Site, server: databases.Server, way: str, call: str
) -> None:
    """It goes before the join is recorded, or when the host has answered it.

    Unrecorded the join is not sent; sent, it is not sent again.
    """
    leave = server.kill if way == 'killed' else server.freeze
    back = server.start if way == 'killed' else server.thaw
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    gone = site.traffic.plant(proxy.Rule(call, host='xen2', after=leave))
    assert client.add(key, 'xen2').status == 200
    assert gone.ended.wait(processes.DEADLINE)
    before = len(site.traffic.changing(('xen1', 'xen2')))
    processes.wait_for('the API says 503', lambda: is_away(client))
    processes.wait_for(
        'no lease is renewed', lambda: NOT_RENEWED in service.text()
    )
    # And then until they are over.
    time.sleep(2 * LEASE)
    assert len(site.traffic.changing(('xen1', 'xen2'))) == before
    back()
    processes.wait_for('the API serves again', lambda: not is_away(client))
    assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', stories.JOIN) == 1
    assert client.show(key)['hosts'] == ['xen1', 'xen2']
    processes.check_agreement(site, client, key)
