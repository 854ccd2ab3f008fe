"""The two phases of a change of master, and how they fail.

See xapi#change-of-master.
"""

import datetime

import pytest

LOGIN = ('session.login_with_password', 'root', 'secret')
LOCAL = ('session.slave_local_login_with_password', 'root', 'secret')
DESIGNATE = 'pool.designate_new_master'
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture
def described():
    names = ['xen1', 'xen2', 'xen3']
    return {
        'hosts': [{'name': name} for name in names],
        'pools': [{'hosts': names}],
    }


@pytest.fixture
def master(clients):
    return clients.ref('xen1')


@pytest.fixture
def refs(call, master, sim):
    return {
        name: call('xen1', 'host.get_by_uuid', master, sim.host(name).uuid)
        for name in ('xen1', 'xen2', 'xen3')
    }


def designate(call, master, ref):
    return call('xen1', DESIGNATE, master, ref)


def test_a_silent_member_makes_the_call_hang(call, master, refs, sim, clk):
    """No answer in 30 s, and nothing changed: xapi#designate-errors."""
    sim.power_off('xen3')
    task = call('xen1', f'Async.{DESIGNATE}', master, refs['xen2'])
    clk.advance(30)
    assert call('xen1', 'task.get_status', master, task) == 'pending'
    assert sim.state()['pools'][0]['master'] == 'xen1'
    clk.advance(70)
    told = call('xen1', 'task.get_error_info', master, task)
    assert told[0] == 'INTERNAL_ERROR'
    clk.advance(60)
    assert len(call('xen1', 'host.get_all', master)) == 3
    sim.power_on('xen3')
    clk.advance(30)
    assert designate(call, master, refs['xen3']) == ''


def test_a_member_which_the_master_cannot_reach_aborts_too(
    call, master, refs, sim
):
    sim.partition('xen1', 'xen3')
    answer = designate(call, master, refs['xen2'])
    assert answer[1] == 'INTERNAL_ERROR'
    answer = designate(call, master, refs['xen3'])
    assert answer == ['ERR', 'CANNOT_CONTACT_HOST', refs['xen3']]


def test_a_refusal_in_the_first_phase_leaves_no_promise(
    call, master, refs, sim
):
    sim.plant(call=DESIGNATE, host='xen3', step='propose', code='OUT_OF_SPACE')
    answer = designate(call, master, refs['xen2'])
    assert answer == ['ERR', 'OUT_OF_SPACE', 'planted']
    assert designate(call, master, refs['xen3']) == ''


def test_a_promise_to_another_candidate_binds(call, master, refs, clk, sim):
    assert designate(call, master, refs['xen2']) == ''
    answer = designate(call, master, refs['xen3'])
    assert answer[:2] == ['ERR', 'HA_ABORT_NEW_MASTER']
    assert '10.0.0.12' in answer[2]
    clk.advance(40)
    assert sim.state()['pools'][0]['master'] == 'xen2'


def test_a_promise_ends_after_ten_minutes(call, master, refs, clk, sim):
    now = clk.time()
    sim.host('xen3').xapi.promise = ('10.0.0.99', now)
    answer = designate(call, master, refs['xen2'])
    assert answer[1] == 'HA_ABORT_NEW_MASTER'
    clk.advance(600)
    assert designate(call, master, refs['xen2']) == ''


def test_a_second_call_meanwhile_is_refused(call, master, refs):
    call('xen1', f'Async.{DESIGNATE}', master, refs['xen2'])
    answer = designate(call, master, refs['xen3'])
    assert answer[:2] == ['ERR', 'DESIGNATE_NEW_MASTER_IN_PROGRESS']


def test_all_sessions_die(call, clients, master, refs, clk):
    local = call('xen3', *LOCAL)
    assert designate(call, master, refs['xen2']) == ''
    assert call('xen1', 'pool.get_all', master) != []
    clk.advance(40)
    for name in ('xen1', 'xen2', 'xen3'):
        assert call(name, 'pool.get_all', master)[1] == 'SESSION_INVALID'
    assert call('xen3', 'pool.get_all', local)[1] == 'SESSION_INVALID'
    for name in ('xen1', 'xen3'):
        assert call(name, *LOGIN) == ['ERR', 'HOST_IS_SLAVE', '10.0.0.12']
    ref = call('xen2', *LOGIN)
    (pool,) = call('xen2', 'pool.get_all_records', ref).values()
    assert pool['master'] == refs['xen2']
    hosts = call('xen2', 'host.get_all_records', ref)
    assert {ref for ref, host in hosts.items() if host['enabled']} == set(
        refs.values()
    )


def test_the_last_synchronisation_is_forgotten(call, master, refs, clk, sim):
    sim.set_pool('xen1', last_update_sync=EPOCH.replace(year=2026))
    designate(call, master, refs['xen2'])
    clk.advance(40)
    assert sim.host('xen2').database.pool['last_update_sync'] == EPOCH


@pytest.mark.parametrize('lost', ['xen1', 'xen2'])
def test_the_database_survives_the_loss_of_power_in_the_window(
    call, master, refs, clk, sim, lost
):
    designate(call, master, refs['xen2'])
    clk.advance(5)
    sim.power_off(lost)
    sim.power_on(lost)
    clk.advance(60)
    ref = call('xen2', *LOGIN)
    assert len(call('xen2', 'host.get_all', ref)) == 3
    assert call('xen1', *LOGIN) == ['ERR', 'HOST_IS_SLAVE', '10.0.0.12']


def test_a_failed_commit_breaks_the_new_master(call, master, refs, clk, sim):
    sim.plant(call=DESIGNATE, host='xen3', step='commit', code='X')
    assert designate(call, master, refs['xen2'])[:2] == ['ERR', 'X']
    clk.advance(40)
    broken = ['ERR', 'HOST_BROKEN']
    assert call('xen2', *LOGIN) == broken
    assert sim.state()['hosts']['xen2']['phase'] == 'broken'
    clk.advance(600)
    assert call('xen2', *LOGIN) == broken
    local = call('xen2', *LOCAL)
    assert call('xen2', 'host.is_in_emergency_mode', local) is True
    assert call('xen2', 'pool.emergency_transition_to_master', local) == ''
    clk.advance(40)
    ref = call('xen2', *LOGIN)
    assert len(call('xen2', 'host.get_all', ref)) == 3
    assert len(call('xen2', 'pool.recover_slaves', ref)) == 2


def test_a_broken_host_can_be_sent_back(call, master, refs, clk, sim):
    """The first to commit fails, so the old master is still one."""
    sim.plant(call=DESIGNATE, host='xen1', step='commit', code='X')
    designate(call, master, refs['xen2'])
    clk.advance(30)
    assert call('xen2', *LOGIN) == ['ERR', 'HOST_BROKEN']
    assert len(call('xen1', 'host.get_all', master)) == 3
    local = call('xen2', *LOCAL)
    reset = 'pool.emergency_reset_master'
    assert call('xen2', reset, local, '10.0.0.11') == ''
    clk.advance(30)
    assert call('xen2', *LOGIN) == ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']
