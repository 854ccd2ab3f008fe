"""A password goes only where it is configured, or where its pool is.

``HOST_IS_SLAVE`` names an address, and what addresses hosts have is what
they say of themselves; two sites may have the same internal ones.
"""

from collections.abc import Callable

import pytest

from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import hosts as db_hosts
from tests.functional import byhand
from tests.functional import service

Make = Callable[..., service.Service]
LOGIN = 'session.login_with_password'


@pytest.fixture
def running(make_service: Make) -> service.Service:
    """Three accounts; xen0, which sorts first, and xen4 have their own."""
    made = make_service(
        {
            'hosts': [
                {'name': 'xen0', 'password': 'zero'},
                {'name': 'xen1', 'password': 'ours'},
                {'name': 'xen2', 'password': 'ours'},
                {'name': 'xen3', 'password': 'ours'},
                {'name': 'xen4', 'password': 'theirs'},
            ]
        }
    )
    made.conf.set_override('retry_interval', 0.01, 'compute')
    return made


def claim(running: service.Service, host: str, address: str) -> None:
    """Let a host say that an address is its own, as ``learn`` writes it."""
    with running.database.writer() as connection:
        db_hosts.update(connection, host, {'address': address})


def hide(running: service.Service, hidden: bool = True) -> None:
    """Nobody answers at the address of xen1, or it does again."""
    url = 'http://127.0.0.1:9' if hidden else running.sim.host('xen1').url
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen1', {'url': url})


def logins(running: service.Service, host: str) -> int:
    """How many logins have arrived at a host."""
    return sum(
        call.method == LOGIN and call.host == host
        for call in running.sim.calls
    )


def mislead(running: service.Service) -> tuple[int, str]:
    """A pool of xen1 and xen2, whose master is silent for a moment.

    A free host and one of another aggregate have the master's address.
    """
    key = running.create('xen1', 'xen2')
    running.create('xen4', name='other')
    address = running.sim.host('xen1').address
    claim(running, 'xen0', address)
    claim(running, 'xen4', address)
    hide(running)
    return key, address


ASK: dict[str, Callable[[service.Service, int], object]] = {
    'rename': lambda r, key: r.aggregates.update(r.ctx, key, {'name': 'new'}),
    'join': lambda r, key: r.members.add_host(r.ctx, key, 'xen3'),
    'eject': lambda r, key: r.members.remove_host(r.ctx, key, 'xen2'),
    'master': lambda r, key: r.pools.set_master(r.ctx, key, 'xen2'),
    'adopt': lambda r, key: r.pools.adopt(r.ctx, key),
    'reapply': lambda r, key: r.pools.reapply(r.ctx, key),
    'look': lambda r, key: None,
}


@pytest.mark.parametrize('what', list(ASK))
def test_password_goes_to_no_host_that_claims_the_address_of_the_master(
    running: service.Service, what: str
) -> None:
    """And none of them ends an operation that the master lets pass."""
    key, _address = mislead(running)
    before = logins(running, 'xen0'), logins(running, 'xen4')
    ASK[what](running, key)
    running.work(3)
    running.watch(key, 0)
    assert (logins(running, 'xen0'), logins(running, 'xen4')) == before
    if what == 'look':
        (entry,) = running.aggregates.get(key).drift
        assert entry.code == 'NO_MASTER'
        return
    assert running.error(key)['code'] == 'NO_MASTER'
    hide(running, False)
    assert running.settle(key) == 'succeeded', running.error(key)


def test_second_site_with_the_same_addresses_is_no_matter(
    running: service.Service,
) -> None:
    """Its host sorts first, and has the account of neither."""
    key = running.create('xen1', 'xen2')
    claim(running, 'xen0', running.sim.host('xen1').address)
    running.sim.power_off('xen1')
    running.watch(key, 700)
    running.sim.power_on('xen1')
    before = logins(running, 'xen0')
    running.watch(key, 700)
    assert running.aggregates.get(key).drift == ()
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded', running.error(key)
    assert logins(running, 'xen0') == before


def test_host_that_has_the_address_and_is_not_asked_is_named(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.create('xen4', name='other')
    claim(running, 'xen4', running.sim.host('xen1').address)
    claim(running, 'xen1', 'elsewhere')
    url = running.sim.host('xen2').url
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen1', {'url': url})
    running.watch(key, 0)
    (entry,) = running.aggregates.get(key).drift
    assert 'no host of the aggregate has that address' in entry.message
    assert 'xen4 of aggregate' in entry.message


def test_free_host_with_a_wrong_password_ends_no_operation(
    running: service.Service,
) -> None:
    """Registered with the account of the pool, which it does not have."""
    key = running.create('xen1', 'xen2')
    credential = running.hosts.get('xen1').credential
    running.hosts.change('xen0', {'credential': credential})
    claim(running, 'xen0', running.sim.host('xen1').address)
    claim(running, 'xen1', 'elsewhere')
    hide(running)
    before = logins(running, 'xen0')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work(5)
    assert running.error(key)['code'] == 'NO_MASTER'
    assert logins(running, 'xen0') == before + 1, 'it counts them'
    hide(running, False)
    assert running.settle(key) == 'succeeded', running.error(key)


@pytest.mark.parametrize('answer', ['master', 'refused'])
def test_host_that_only_its_pool_claims_is_not_adopted(
    running: service.Service, answer: str
) -> None:
    """The master still lists xen3, which has been installed anew."""
    key = running.create('xen1')
    running.sim.power_off('xen2')
    byhand.join(running, 'xen3', 'xen1')
    uuid = running.sim.host('xen3').uuid
    other = 'xen4' if answer == 'refused' else 'xen0'
    url = running.sim.host(other).url
    with running.database.writer() as connection:
        values = {'uuid': uuid, 'url': url}
        db_hosts.update(connection, 'xen3', values)
    if answer == 'master':
        credential = running.hosts.get('xen0').credential
        running.hosts.change('xen3', {'credential': credential})
    running.pools.adopt(running.ctx, key)
    running.work()
    assert running.error(key)['code'] == 'HOST_UNPROVEN'
    assert running.hosts.get('xen3').phase == 'free'


def test_connector_itself_refuses(running: service.Service) -> None:
    """Whoever asks: the last gate."""
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen4')
    aggregate = running.aggregates.get(key)
    connector = connections.Connector(running.conf)
    connector.login(running.hosts.get('xen1'), aggregate).close()
    connector.login(running.hosts.get('xen3'), aggregate).close()
    before = len(running.sim.calls)
    for name in ('xen0', 'xen4'):
        host = running.hosts.get(name)
        with pytest.raises(failures.NotEntitled, match=name):
            connector.login(host, aggregate)
    assert len(running.sim.calls) == before
