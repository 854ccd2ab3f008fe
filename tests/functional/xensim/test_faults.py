"""Planted faults, power, restarts, and the list of arrived calls."""

import socket
import threading

import pytest

from tests.functional.xensim import conftest

LOGIN = (conftest.MASTER, 'root', 'secret')
PASSWORD_LOGIN = ('session.login_with_password', 'root', 'secret')
BROKEN = (ConnectionError, OSError)


def test_lost_answer_after_the_effect(call, clients, clk, sim):
    ref = clients.ref('xen2')
    sim.plant(
        call='Async.pool.join', host='xen2', action='drop_answer', times=2
    )
    with pytest.raises(BROKEN):
        call('xen2', 'Async.pool.join', ref, *LOGIN)
    clk.advance(40)
    assert sim.state()['hosts']['xen2']['role'] == 'slave'


def test_reset_before_the_effect(call, clients, clk, sim):
    ref = clients.ref('xen2')
    sim.plant(call='pool.join', host='xen2', action='reset', times=2)
    with pytest.raises(BROKEN):
        call('xen2', 'pool.join', ref, *LOGIN)
    clk.advance(40)
    assert sim.state()['hosts']['xen2']['role'] == 'master'
    arrived = [arrival.method for arrival in sim.calls]
    assert arrived.count('pool.join') == 2  # the client's own repetition


def test_calls_name_the_originator(clients, sim, clk):
    session = clients.login('xen1', originator='someone')
    session.xenapi.pool.get_all()
    last = sim.calls[-1]
    assert (last.host, last.method, last.originator, last.time) == (
        'xen1',
        'pool.get_all',
        'someone',
        clk.time(),
    )
    assert sim.calls[0].originator is None


def test_fail_at_the_nth_call(call, clients, sim):
    ref = clients.ref('xen1')
    sim.plant(
        call='host.get_all',
        action='fail',
        nth=2,
        code='OTHER',
        parameters=['a', 'b'],
    )
    answers = [call('xen1', 'host.get_all', ref) for _ in range(3)]
    assert answers[1] == ['ERR', 'OTHER', 'a', 'b']
    assert answers[0] == answers[2]


def test_delay(call, clients, sim, clk):
    ref = clients.ref('xen1')
    sim.plant(call='host.get_all', action='delay', seconds=7)
    before = clk.time()
    call('xen1', 'host.get_all', ref)
    assert clk.time() - before == pytest.approx(7)


def test_hang_until_released(call, clients, sim):
    ref = clients.ref('xen1')
    fault = sim.plant(call='pool.get_all', host='xen1', action='hang')
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(call('xen1', 'pool.get_all', ref))
    )
    thread.start()
    assert fault.hit.wait(timeout=10)
    assert len(call('xen1', 'host.get_all', ref)) == 1
    assert answers == []
    sim.clear_faults()
    thread.join(timeout=10)
    assert len(answers) == 1


def test_refuse_until_cleared(call, clients, sim):
    sim.plant(host='xen1', action='refuse')
    with pytest.raises(ConnectionRefusedError):
        call('xen1', *PASSWORD_LOGIN)
    assert call('xen2', *PASSWORD_LOGIN)
    sim.clear_faults()
    assert call('xen1', *PASSWORD_LOGIN).startswith('OpaqueRef:')


def test_refuse_when_a_call_arrives(call, clients, sim, clk):
    ref = clients.ref('xen1')
    sim.plant(call='pool.get_all', action='refuse', seconds=5)
    with pytest.raises(BROKEN):
        call('xen1', 'pool.get_all', ref)
    clk.advance(5)
    assert len(call('xen1', 'pool.get_all', ref)) == 1


@pytest.mark.parametrize(('seconds', 'live'), [(None, False), (8, True)])
def test_half_join(call, clients, sim, clk, seconds, live):
    """Some were listed as live later, others not: xapi#join-late-failures."""
    sim.plant(
        call='Async.pool.join',
        host='xen2',
        action='half_join',
        seconds=seconds,
    )
    ref = clients.ref('xen2')
    task = call('xen2', 'Async.pool.join', ref, *LOGIN)
    clk.advance(20)
    record = call('xen2', 'task.get_record', ref, task)
    assert record['status'] == 'failure'
    (first, second, _) = sim.state()['pools']
    members = {host['name']: host for host in first['hosts']}
    assert members['xen2']['live'] is live
    assert members['xen2']['enabled'] is False
    assert second['master'] == 'xen2'
    assert call('xen2', *PASSWORD_LOGIN).startswith('OpaqueRef:')
    ref = clients.ref('xen1')
    stale = call('xen1', 'host.get_by_uuid', ref, members['xen2']['uuid'])
    eject = 'CANNOT_CONTACT_HOST' if live else 'HOST_OFFLINE'
    assert call('xen1', 'pool.eject', ref, stale)[1] == eject


@pytest.mark.parametrize('step', ['S1', 'S2', 'S5'])
def test_join_failing_early_leaves_nothing(join, sim, step):
    sim.plant(host='xen2', action='fail', step=step, code='PLANTED')
    before = sim.state()['pools']
    assert join()[1] == 'PLANTED'
    assert sim.state()['pools'] == before


@pytest.mark.parametrize(
    ('when', 'role'), [('before', 'master'), ('after', 'slave')]
)
def test_xapi_dies_around_a_call(call, clients, sim, clk, when, role):
    ref = clients.ref('xen2')
    sim.plant(call='pool.join', action='die', when=when)
    with pytest.raises(BROKEN):
        call('xen2', 'pool.join', ref, *LOGIN)
    clk.advance(20)
    assert sim.state()['hosts']['xen2']['role'] == role


def test_xapi_dies_within_a_join(call, clients, sim, clk):
    ref = clients.ref('xen2')
    sim.plant(action='die', step='S7')
    with pytest.raises(BROKEN):
        call('xen2', 'pool.join', ref, *LOGIN)
    clk.advance(20)
    assert sim.state()['hosts']['xen2']['role'] == 'master'
    assert len(sim.state()['pools'][0]['hosts']) == 2


def test_restart_of_a_master_kills_its_sessions(call, clients, sim, clk):
    ref = clients.ref('xen1')
    (before,) = call('xen1', 'host.get_all_records', ref).values()
    sim.restart_toolstack('xen1')
    with pytest.raises(ConnectionRefusedError):
        call('xen1', 'pool.get_all', ref)
    clk.advance(3)
    assert call('xen1', 'pool.get_all', ref)[1] == 'SESSION_INVALID'
    ref = clients.ref('xen1')
    (after,) = call('xen1', 'host.get_all_records', ref).values()
    started = 'agent_start_time'
    assert after['other_config'][started] > before['other_config'][started]


def test_power(call, sim, clk):
    sim.power_off('xen1')
    with pytest.raises(ConnectionRefusedError):
        call('xen1', *PASSWORD_LOGIN)
    assert sim.state()['hosts']['xen1']['phase'] == 'off'
    sim.power_on('xen1')
    clk.advance(8)
    assert call('xen1', *PASSWORD_LOGIN).startswith('OpaqueRef:')


@pytest.mark.parametrize(
    ('seconds', 'synced', 'kept'),
    [(0, False, False), (0, True, True), (300, False, True)],
)
def test_a_killed_master_has_lost_what_it_did_not_write(
    join, call, clients, clk, sim, seconds, synced, kept
):
    """xapi#late-writes: the joined host goes on naming it."""
    sim.plant(action='late_writes', host='xen1')
    assert join() == ''
    clk.advance(30)
    master = clients.ref('xen1')
    if synced:
        assert call('xen1', 'pool.sync_database', master) == ''
    clk.advance(seconds)
    call('xen1', 'network.create', master, {'name_label': 'lost'})
    sim.power_off('xen1')
    sim.power_on('xen1')
    clk.advance(40)
    names = [one['name'] for one in sim.state()['pools'][0]['hosts']]
    assert names == (['xen1', 'xen2'] if kept else ['xen1'])
    master = clients.ref('xen1')
    assert call('xen1', 'network.get_by_name_label', master, 'lost') == []
    assert call('xen2', *PASSWORD_LOGIN) == [
        'ERR',
        'HOST_IS_SLAVE',
        '10.0.0.11',
    ]
    sim.restart_toolstack('xen2')
    clk.advance(60)
    told = [one['enabled'] for one in sim.state()['pools'][0]['hosts']]
    assert told == ([True, True] if kept else [True])
    assert sim.state()['hosts']['xen2']['role'] == 'slave'


@pytest.mark.parametrize('end', ['restart', 'cleared'])
def test_a_master_which_is_not_killed_loses_nothing(join, clk, sim, end):
    sim.plant(action='late_writes', host='xen1')
    assert join() == ''
    clk.advance(30)
    if end == 'restart':
        sim.restart_toolstack('xen1')
    else:
        sim.clear_faults()
        sim.power_off('xen1')
        sim.power_on('xen1')
    clk.advance(30)
    assert len(sim.state()['pools'][0]['hosts']) == 2


def test_dead_slave_is_noticed_after_ten_minutes(joined, clk):
    joined.power_off('xen2')

    def live():
        (members,) = (
            pool['hosts']
            for pool in joined.state()['pools']
            if pool['master'] == 'xen1'
        )
        return members[1]['live']

    clk.advance(599)
    assert live() is True
    clk.advance(2)
    assert live() is False
    joined.power_on('xen2')
    clk.advance(30)
    assert live() is True


def test_unreachable_host_takes_connections_and_stays_silent(sim, call):
    sim.set_reachable('xen1', False)
    address = ('127.0.0.1', sim.host('xen1').port)
    with socket.create_connection(address, timeout=0.1) as connection:
        connection.sendall(b'POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n')
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert sim.state()['hosts']['xen1']['phase'] == 'unreachable'
    sim.set_reachable('xen1', True)
    assert call('xen1', *PASSWORD_LOGIN).startswith('OpaqueRef:')


def test_no_eject_while_the_joiner_is_its_old_self(join, clk, clients, call):
    join()
    clk.advance(9)
    ref = clients.ref('xen1')
    uuid = clients.sim.host('xen2').uuid
    joiner = call('xen1', 'host.get_by_uuid', ref, uuid)
    assert call('xen1', 'pool.eject', ref, joiner)[1] == 'CANNOT_CONTACT_HOST'
    assert call('xen1', 'host.destroy', ref, joiner)[1] == 'HOST_IS_LIVE'


def test_two_joins_at_once_take_turns(call, clients, sim, clk):
    for name in ('xen2', 'xen3'):
        call(name, 'Async.pool.join', clients.ref(name), *LOGIN)
    clk.advance(40)
    (pool,) = sim.state()['pools']
    assert len(pool['hosts']) == 3
    assert all(host['enabled'] for host in pool['hosts'])


def test_join_to_a_master_which_dies(call, clients, sim, clk):
    ref = clients.ref('xen2')
    task = call('xen2', 'Async.pool.join', ref, *LOGIN)
    clk.advance(1)
    sim.power_off('xen1')
    clk.advance(3)
    record = call('xen2', 'task.get_record', ref, task)
    assert record['error_info'] == ['JOINING_HOST_CONNECTION_FAILED']


def test_slave_waits_for_its_master(joined, call, clk):
    joined.power_off('xen1')
    joined.restart_toolstack('xen2')
    clk.advance(30)
    assert call('xen2', *PASSWORD_LOGIN)[1] == 'HOST_IS_SLAVE'
    joined.power_on('xen1')
    clk.advance(30)
    assert call('xen2', *PASSWORD_LOGIN)[1] == 'HOST_IS_SLAVE'
