"""A hundred pools of sixteen hosts in one process."""

import threading

import pytest

POOLS, HOSTS = 100, 16


@pytest.fixture
def described():
    return {'pools': {'count': POOLS, 'hosts': HOSTS}}


def test_all_pools_answer(sim, clients, call):
    uuids = set()
    for number in range(1, POOLS + 1):
        master = f'pool{number}-host1'
        session = clients.ref(master)
        (pool,) = call(master, 'pool.get_all_records', session).values()
        assert pool['name_label'] == f'pool{number}'
        assert len(call(master, 'host.get_all', session)) == HOSTS
        uuids.add(pool['uuid'])
    assert len(uuids) == POOLS


def test_slaves_name_their_masters(sim, call):
    for number in range(1, POOLS + 1):
        slave = f'pool{number}-host{HOSTS}'
        answer = call(slave, 'session.login_with_password', 'root', 'secret')
        master = sim.host(f'pool{number}-host1').address
        assert answer == ['ERR', 'HOST_IS_SLAVE', master]


def test_hosts_need_no_thread_each(sim):
    assert threading.active_count() < 20


def test_the_state_tells_all(sim):
    state = sim.state()
    assert [len(pool['hosts']) for pool in state['pools']] == [HOSTS] * POOLS
