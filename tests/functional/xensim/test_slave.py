"""What a slave answers: xapi#slave-answers."""

import pytest

SLAVE = ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']
LOCAL = 'session.slave_local_login_with_password'


@pytest.fixture
def local(call, joined):
    return call('xen2', LOCAL, 'root', 'secret')


@pytest.fixture
def master(clients, joined):
    return clients.ref('xen1')


@pytest.mark.parametrize('password', ['secret', 'wrong'])
def test_login_is_sent_away_whatever_the_password(call, joined, password):
    login = 'session.login_with_password'
    assert call('xen2', login, 'root', password) == SLAVE


def test_wrong_local_login(call, joined):
    assert call('xen2', LOCAL, 'root', 'wrong')[1:3] == [
        'SESSION_AUTHENTICATION_FAILED',
        'root',
    ]


@pytest.mark.parametrize(
    'method', ['pool.get_all', 'host.get_all', 'VM.get_all']
)
def test_master_session_is_sent_away(call, master, method):
    assert call('xen2', method, master) == SLAVE


def test_local_session_reads_the_masters_database(call, local, master):
    for method in ('pool.get_all', 'host.get_all'):
        assert call('xen2', method, local) == call('xen1', method, master)
    assert call('xen2', 'host.is_in_emergency_mode', local) is False
    assert call('xen2', 'pool.is_slave', local, 'x') is True
    assert call('xen2', 'session.get_this_host', local, local) == [
        'ERR',
        'HANDLE_INVALID',
        'session',
        local,
    ]
    assert call('xen2', 'pool.get_master', local, 'x') == [
        'ERR',
        'HANDLE_INVALID',
        'pool',
        'x',
    ]


def test_local_session_cannot_join(call, local):
    answer = call('xen2', 'pool.join', local, '10.0.0.13', 'root', 'secret')
    code = 'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS'
    assert answer == ['ERR', code]


def test_local_session_is_of_that_host_alone(call, local):
    assert call('xen1', 'pool.get_all', local) == [
        'ERR',
        'SESSION_INVALID',
        local,
    ]


def test_local_logout(call, local):
    assert call('xen2', 'session.local_logout', local) == ''
    assert call('xen2', 'pool.get_all', local)[1] == 'SESSION_INVALID'


def test_a_master_says_that_it_is_none(call, clients):
    ref = clients.ref('xen1')
    (host,) = call('xen1', 'host.get_all', ref)
    assert call('xen1', 'pool.is_slave', ref, host) is False
