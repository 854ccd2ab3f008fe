"""API and compute service as processes of their own, on one SQLite file.

There is no broker: the compute service finds its work in the database.
"""

import functools
import json
from collections.abc import Callable

import pytest

from tests.integration import processes
from tests.integration import proxy

MakeSite = Callable[..., processes.Site]


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """Sites whose commands start as a user starts them."""
    return functools.partial(make_site, forked=False)


@pytest.fixture
def site(make_site: MakeSite) -> processes.Site:
    """Three hosts and an empty database."""
    site = make_site(3)
    site.set_up()
    return site


def leases(site: processes.Site) -> list[tuple[object, ...]]:
    return site.query(
        'SELECT lease_owner, lease_until FROM aggregates '
        'WHERE lease_owner IS NOT NULL OR lease_until IS NOT NULL'
    )


def test_the_commands_set_up_a_site(make_site: MakeSite) -> None:
    """``db sync`` and ``host add`` are all that the services need."""
    site = make_site(1)
    manage = 'aggregates-ext-manage'
    site.run(manage, 'db', 'sync')
    site.run(
        manage, 'host', 'add', 'xen1',
        '--url', site.url('xen1'), '--credential', 'default',
    )  # fmt: skip
    (listed,) = json.loads(site.run(manage, 'host', 'list', '--json'))
    assert (listed['name'], listed['phase']) == ('xen1', 'free')
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    processes.check_agreement(site, client, key)


def test_membership_becomes_a_pool_without_a_broker(
    site: processes.Site,
) -> None:
    """Create, add three, remove one, delete: the pool follows each time."""
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1', 'xen2', 'xen3'])
    processes.check_agreement(site, client, key)
    assert client.show(key)['operational_state'] == 'active'
    assert site.pool_of('xen3')['master'] == 'xen1'

    assert client.remove(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    assert client.show(key)['hosts'] == ['xen1', 'xen3']
    processes.wait_for(
        'xen2 is free', lambda: len(client.pool(key)['hosts']) == 2
    )
    assert len(site.pool_of('xen2')['hosts']) == 1
    processes.check_agreement(site, client, key)

    refused = client.ask('DELETE', f'/os-aggregates/{key}')
    assert refused.status == 400
    assert 'xen1, xen3' in refused.body['badRequest']['message']
    for host in ('xen3', 'xen1'):
        assert client.remove(key, host).status == 200
        assert client.settle(key)['state'] == 'succeeded'
    processes.wait_for('all are free', lambda: client.pool(key)['hosts'] == [])
    processes.check_agreement(site, client, key)
    assert client.ask('DELETE', f'/os-aggregates/{key}').status == 200
    assert client.ask('GET', f'/os-aggregates/{key}').status == 404


def test_sigterm_ends_an_idle_service_and_its_leases(
    site: processes.Site,
) -> None:
    """A service that is asked to stop leaves nothing held."""
    client = site.start_api()
    service = site.start_compute()
    client.make_pool('pool', ['xen1'])
    assert service.terminate() == 0
    assert leases(site) == []


def test_sigterm_in_a_join_leaves_it_to_the_next_service(
    site: processes.Site,
) -> None:
    """A join that was sent is not repeated by whoever takes it up."""
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    join = site.traffic.plant(proxy.Rule('Async.pool.join'))
    assert client.add(key, 'xen2').status == 200
    assert join.ended.wait(processes.DEADLINE)
    assert service.terminate() == 0
    assert leases(site) == []
    assert client.operations(key)[0]['state'] == 'running'
    site.start_compute()
    assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', 'Async.pool.join') == 1
    processes.check_agreement(site, client, key)


def test_it_is_told_whether_a_compute_service_works(
    site: processes.Site,
) -> None:
    """From its first heartbeat until it has ended as it should."""
    client = site.start_api()
    service = site.start_compute()
    processes.wait_for(
        'a first heartbeat', lambda: site.query('SELECT uuid FROM services')
    )
    manage = 'aggregates-ext-manage'
    (listed,) = json.loads(site.run(manage, 'service', 'list', '--json'))
    assert listed['state'] == 'up'
    assert service.terminate() == 0
    site.run(manage, 'service', 'list', code=1)
    key = client.create('pool')
    assert client.add(key, 'xen1').status == 200
    (waiting,) = client.operations(key)
    assert waiting['step'] == 'waiting: no compute service runs'
    site.start_compute()
    assert client.settle(key)['state'] == 'succeeded'


def test_free_hosts_are_looked_at(site: processes.Site) -> None:
    client = site.start_api()
    site.start_compute()

    def seen() -> bool:
        services = client.ask('GET', '/os-services').body['services']
        return all(service['updated_at'] for service in services)

    processes.wait_for('all were seen', seen)
    assert site.arrivals('xen1', 'session.logout') > 0


def test_deletion_behind_the_last_removals_comes_about(
    site: processes.Site,
) -> None:
    """As clients ask for it: each request right after the one before."""
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1', 'xen2'])
    for host in ('xen2', 'xen1'):
        assert client.remove(key, host).status == 200
    path = f'/os-aggregates/{key}'
    assert client.ask('DELETE', path).status == 200
    processes.wait_for(
        'it is gone', lambda: client.ask('GET', path).status == 404
    )
    assert client.operations(key)[0]['state'] == 'succeeded'
