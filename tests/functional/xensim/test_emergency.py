"""The master is lost: xapi#emergency, xapi#dead-hosts, xapi#two-masters."""

import pytest

from aggregates_ext.xensim import control
from tests.functional.xensim import conftest
from tests.functional.xensim import waiting

LOGIN = ('session.login_with_password', 'root', 'secret')
LOCAL = ('session.slave_local_login_with_password', 'root', 'secret')
SLAVE_OF_1 = ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']
SLAVE_OF_2 = ['ERR', 'HOST_IS_SLAVE', '10.0.0.12']
BOOTING = ['ERR', 'HOST_STILL_BOOTING']


@pytest.fixture
def described():
    names = ['xen1', 'xen2', 'xen3']
    return {
        'hosts': [{'name': name} for name in names],
        'pools': [{'hosts': names, 'name_label': 'three'}],
    }


@pytest.fixture
def orphans(sim):
    """xen2 and xen3, whose master is dead."""
    sim.power_off('xen1')
    return sim


@pytest.fixture
def promoted(call, orphans, clk):
    """The same with xen2 a master."""
    local = call('xen2', *LOCAL)
    assert call('xen2', 'pool.emergency_transition_to_master', local) == ''
    clk.advance(20)
    return orphans


def members(call, name):
    """What a master says: whether each host lives."""
    ref = call(name, *LOGIN)
    hosts = call(name, 'host.get_all_records', ref).values()
    return {
        host['name_label']: call(
            name, 'host_metrics.get_live', ref, host['metrics']
        )
        for host in hosts
    }


def enabled(call, name):
    """What a master says: whether each host takes machines."""
    ref = call(name, *LOGIN)
    hosts = call(name, 'host.get_all_records', ref).values()
    return {host['name_label']: host['enabled'] for host in hosts}


def test_a_slave_in_service_redirects_and_blocks(call, orphans, clk):
    local = call('xen2', *LOCAL)
    assert call('xen2', *LOGIN) == SLAVE_OF_1
    blocked = waiting.blocked(
        orphans, 'xen2', call, 'xen2', 'host.get_all', local
    )
    assert call('xen2', 'host.is_in_emergency_mode', local) is False
    clk.advance(1000)
    assert blocked.running
    orphans.restart_toolstack('xen2')
    assert isinstance(blocked.result(), OSError)


def test_a_slave_which_restarts_waits_for_its_master(call, orphans, clk):
    """xapi#restarts: no emergency, and calls which hang."""
    orphans.restart_toolstack('xen2')
    clk.advance(3)
    assert call('xen2', *LOGIN) == SLAVE_OF_1
    clk.advance(3600)
    assert call('xen2', *LOGIN) == SLAVE_OF_1
    local = call('xen2', *LOCAL)
    assert call('xen2', 'host.is_in_emergency_mode', local) is False
    assert call('xen2', 'host.local_assert_healthy', local) == ''
    assert call('xen2', 'pool.is_slave', local, 'x') is True
    blocked = waiting.blocked(
        orphans, 'xen2', call, 'xen2', 'pool.get_all', local
    )
    clk.advance(70)
    assert blocked.running
    orphans.power_on('xen1')
    clk.advance(20)
    assert len(blocked.result()) == 1
    assert call('xen2', *LOGIN) == SLAVE_OF_1
    clk.advance(20)
    assert call('xen2', 'host.is_in_emergency_mode', local) is False
    assert enabled(call, 'xen1')['xen2'] is True


def test_a_slave_takes_over(call, promoted, clk):
    assert members(call, 'xen2') == {'xen1': True, 'xen2': True, 'xen3': True}
    ref = call('xen2', *LOGIN)
    (pool,) = call('xen2', 'pool.get_all_records', ref).values()
    assert pool['name_label'] == 'three'
    me = call('xen2', 'host.get_by_uuid', ref, promoted.host('xen2').uuid)
    assert pool['master'] == me
    clk.advance(600)
    assert members(call, 'xen2') == {
        'xen1': False,
        'xen2': True,
        'xen3': False,
    }


def test_the_role_changes_after_the_fuse(call, orphans, clk):
    local = call('xen2', *LOCAL)
    call('xen2', 'pool.emergency_transition_to_master', local)
    clk.advance(9.9)
    assert call('xen2', *LOGIN) == SLAVE_OF_1
    clk.advance(0.2)
    with pytest.raises(ConnectionRefusedError):
        call('xen2', *LOGIN)
    clk.advance(3)
    assert call('xen2', *LOGIN).startswith('OpaqueRef:')
    assert call('xen2', 'pool.get_all', local)[1] == 'SESSION_INVALID'


def test_lost_slaves_are_recovered(call, promoted, clk):
    ref = call('xen2', *LOGIN)
    third = call('xen2', 'host.get_by_uuid', ref, promoted.host('xen3').uuid)
    assert call('xen3', *LOGIN) == SLAVE_OF_1
    assert call('xen2', 'pool.recover_slaves', ref) == [third]
    clk.advance(30)
    assert call('xen3', *LOGIN) == SLAVE_OF_2
    clk.advance(600)
    assert members(call, 'xen2') == {
        'xen1': False,
        'xen2': True,
        'xen3': True,
    }


def test_a_slave_can_be_late_to_follow(call, promoted, clk):
    """More than 80 s were seen: xapi#change-of-master."""
    promoted.plant(step='follow', host='xen3', action='delay', seconds=70)
    call('xen2', 'pool.recover_slaves', call('xen2', *LOGIN))
    clk.advance(79)
    assert call('xen3', *LOGIN) == SLAVE_OF_1
    clk.advance(20)
    assert call('xen3', *LOGIN) == SLAVE_OF_2


@pytest.mark.parametrize('address', ['10.0.0.12', 'xen2'])
def test_a_slave_is_pointed_to_another_master(call, promoted, clk, address):
    promoted.restart_toolstack('xen3')
    clk.advance(20)
    assert call('xen3', *LOGIN) == SLAVE_OF_1
    local = call('xen3', *LOCAL)
    assert call('xen3', 'pool.emergency_reset_master', local, address) == ''
    clk.advance(30)
    assert call('xen3', *LOGIN) == SLAVE_OF_2
    local = call('xen3', *LOCAL)
    assert call('xen3', 'pool.emergency_reset_master', local, address) == ''
    clk.advance(30)
    assert len(call('xen3', 'host.get_all', local)) == 3


def test_the_old_master_follows_the_new_one_that_it_finds(call, promoted, clk):
    """xapi#two-masters: within a second, 2 of 2 times."""
    promoted.power_on('xen1')
    clk.advance(8)
    assert call('xen1', *LOGIN) == SLAVE_OF_2
    clk.advance(30)
    assert len(promoted.state()['pools']) == 1
    assert members(call, 'xen2')['xen1'] is True
    assert enabled(call, 'xen2') == {
        'xen1': True,
        'xen2': True,
        'xen3': False,
    }


@pytest.fixture
def split(promoted, clk):
    """The same, and the old master came back but cannot reach the new one."""
    promoted.partition('xen1', 'xen2')
    promoted.power_on('xen1')
    clk.advance(60)
    return promoted


def test_an_old_master_which_finds_nobody_is_a_second_one(call, split):
    first, second = call('xen1', *LOGIN), call('xen2', *LOGIN)
    pools = [
        next(iter(call(name, 'pool.get_all_records', ref).values()))
        for name, ref in (('xen1', first), ('xen2', second))
    ]
    assert pools[0]['uuid'] == pools[1]['uuid']
    assert pools[0]['master'] != pools[1]['master']
    assert call('xen3', *LOGIN) == SLAVE_OF_1
    assert len(split.state()['pools']) == 2


def test_two_masters_last_until_one_of_them_starts(call, split, clk):
    split.partition('xen1', 'xen2', parted=False)
    clk.advance(60)
    assert len(split.state()['pools']) == 2
    split.restart_toolstack('xen1')
    clk.advance(30)
    assert call('xen1', *LOGIN) == SLAVE_OF_2
    assert len(split.state()['pools']) == 1


def test_two_masters_end_with_recover_slaves(call, split, clk):
    split.partition('xen1', 'xen2', parted=False)
    ref = call('xen2', *LOGIN)
    assert len(call('xen2', 'pool.recover_slaves', ref)) == 2
    clk.advance(60)
    assert call('xen1', *LOGIN) == SLAVE_OF_2
    assert call('xen3', *LOGIN) == SLAVE_OF_2
    assert len(split.state()['pools']) == 1
    assert all(members(call, 'xen2').values())


@pytest.mark.parametrize('parted', [True, False])
def test_the_call_does_not_ask_whether_the_master_is_dead(
    call, sim, clk, parted
):
    """But the next start does, where it can: xapi#two-masters."""
    local = call('xen2', *LOCAL)
    sim.partition('xen2', 'xen1', parted)
    assert call('xen2', 'pool.emergency_transition_to_master', local) == ''
    clk.advance(20)
    assert call('xen1', *LOGIN).startswith('OpaqueRef:')
    answer = call('xen2', *LOGIN)
    assert answer.startswith('OpaqueRef:') if parted else answer == SLAVE_OF_1


def test_hosts_are_disabled_until_they_have_reported(call, promoted, clk):
    assert enabled(call, 'xen2') == dict.fromkeys(
        ('xen1', 'xen2', 'xen3'), False
    )
    clk.advance(5)
    ref = call('xen2', *LOGIN)
    call('xen2', 'pool.recover_slaves', ref)
    clk.advance(60)
    assert enabled(call, 'xen2') == {
        'xen1': False,
        'xen2': True,
        'xen3': True,
    }


def test_a_master_which_takes_over_does_nothing(call, clients, sim, clk):
    ref = clients.ref('xen1')
    assert call('xen1', 'pool.emergency_transition_to_master', ref) == ''
    clk.advance(20)
    assert len(call('xen1', 'host.get_all', ref)) == 3


@pytest.mark.parametrize(
    ('method', 'params'),
    [
        ('pool.emergency_transition_to_master', ()),
        ('pool.emergency_reset_master', ('10.0.0.12',)),
    ],
)
def test_not_while_high_availability_is_on(call, orphans, method, params):
    orphans.host('xen1').database.pool['ha_enabled'] = True
    local = call('xen2', *LOCAL)
    assert call('xen2', method, local, *params) == ['ERR', 'HA_IS_ENABLED']


def phases(sim, clk, name, seconds):
    """What a host does, one word for each change."""
    seen = []
    for _ in range(int(seconds * 10)):
        phase = sim.state()['hosts'][name]['phase']
        seen += [phase] if seen[-1:] != [phase] else []
        clk.advance(0.1)
    return seen


@pytest.mark.parametrize('lost', [True, False])
def test_a_forgotten_host_starts_again_and_again(
    call, sim, clients, clk, lost
):
    """It can take over only when it finds no master: xapi#restarts."""
    sim.power_off('xen3')
    clk.advance(700)
    master = clients.ref('xen1')
    third = call('xen1', 'host.get_by_uuid', master, sim.host('xen3').uuid)
    assert call('xen1', 'host.destroy', master, third) == ''
    sim.power_on('xen3')
    clk.advance(30)
    assert phases(sim, clk, 'xen3', 24).count('down') == 3
    while sim.state()['hosts']['xen3']['phase'] == 'down':
        clk.advance(0.1)
    assert call('xen3', *LOGIN) == SLAVE_OF_1
    local = call('xen3', *LOCAL)
    assert call('xen3', 'host.is_in_emergency_mode', local) is False
    assert call('xen3', 'pool.emergency_transition_to_master', local) == ''
    if lost:
        sim.power_off('xen1')
    clk.advance(20)
    if lost:
        assert set(members(call, 'xen3')) == {'xen1', 'xen2', 'xen3'}
    else:
        assert sim.state()['hosts']['xen3']['role'] == 'slave'
        assert phases(sim, clk, 'xen3', 24).count('down') == 3
    assert call('xen2', *LOGIN) == SLAVE_OF_1


def test_a_master_which_cannot_talk_back(call, sim, clk):
    sim.partition('xen1', 'xen2')
    sim.restart_toolstack('xen2')
    clk.advance(20)
    code = ['ERR', 'HOST_MASTER_CANNOT_TALK_BACK', '10.0.0.12']
    assert call('xen2', *LOGIN) == code
    sim.partition('xen1', 'xen2', parted=False)
    clk.advance(5)
    assert call('xen2', *LOGIN) == SLAVE_OF_1


def test_a_slave_which_cannot_reach_its_master(call, sim, clk):
    local = call('xen2', *LOCAL)
    sim.partition('xen2', 'xen1')
    blocked = waiting.blocked(sim, 'xen2', call, 'xen2', 'host.get_all', local)
    clk.advance(600)
    assert blocked.running
    assert members(call, 'xen1')['xen2'] is False
    sim.partition('xen2', 'xen1', parted=False)
    assert len(blocked.result()) == 3
    assert members(call, 'xen1')['xen2'] is True


def test_a_master_cannot_reach_what_is_parted_from_it(call, sim, clients):
    sim.partition('xen1', 'xen2')
    ref = clients.ref('xen1')
    second = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    assert call('xen1', 'pool.eject', ref, second) == [
        'ERR',
        'CANNOT_CONTACT_HOST',
        second,
    ]


def test_a_slave_of_itself(call, sim, clk):
    local = call('xen2', *LOCAL)
    call('xen2', 'pool.emergency_reset_master', local, '10.0.0.12')
    clk.advance(30)
    assert call('xen2', *LOGIN) == ['ERR', 'HOST_ITS_OWN_SLAVE']


def test_what_is_only_for_emergencies(call, sim, clk):
    local = call('xen2', *LOCAL)
    method = 'host.local_management_reconfigure'
    assert call('xen2', method, local, 'eth0') == [
        'ERR',
        'NOT_IN_EMERGENCY_MODE',
    ]
    sim.partition('xen1', 'xen2')
    sim.restart_toolstack('xen2')
    clk.advance(20)
    local = call('xen2', *LOCAL)
    assert call('xen2', method, local, 'eth0') == ''
    assert call('xen2', 'host.is_in_emergency_mode', local) is True
    code = 'HOST_MASTER_CANNOT_TALK_BACK'
    assert call('xen2', 'host.local_assert_healthy', local)[1] == code
    assert call('xen2', 'pool.get_all', local)[1] == code
    for method in (
        'host.emergency_ha_disable',
        'host.emergency_reset_server_certificate',
        'host.emergency_disable_tls_verification',
    ):
        assert call('xen2', method, local) == ''
    assert sim.host('xen2').tls_verification_enabled is False
    assert call('xen2', 'host.shutdown_agent', local) == ''
    clk.advance(100)
    with pytest.raises(ConnectionRefusedError):
        call('xen2', *LOGIN)


def test_tasks_of_a_slave_are_cancelled_when_it_says_hello(
    call, sim, clients, clk
):
    """xapi#session-validity."""
    ref = clients.ref('xen1')
    second = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    sim.restart_toolstack('xen2')
    task = call('xen1', 'Async.host.disable', ref, second)
    assert call('xen1', 'task.get_status', ref, task) == 'pending'
    clk.advance(30)
    assert call('xen1', 'task.get_status', ref, task) == 'cancelled'
    clk.advance(200)
    assert call('xen1', 'task.get_status', ref, task) == 'cancelled'
    assert call('xen1', 'host.get_enabled', ref, second) is True


def test_the_genuine_client_recovers_a_pool(clients, orphans, clk):
    local = clients.session('xen2')
    local.slave_local_login_with_password('root', conftest.PASSWORD)
    local.xenapi.pool.emergency_transition_to_master()
    clk.advance(20)
    session = clients.login('xen2')
    assert len(session.xenapi.pool.recover_slaves()) == 1


def test_the_network_is_parted_through_the_control_endpoint(sim):
    body = {'sender': 'xen1', 'receiver': 'xen2'}
    assert control.act(sim, 'POST', '/partitions', body) == (200, {})
    assert sim.world.partitions == {('xen1', 'xen2')}
    mended = body | {'parted': False}
    assert control.act(sim, 'POST', '/partitions', mended) == (200, {})
    assert sim.world.partitions == set()
    status, _ = control.act(
        sim, 'POST', '/partitions', body | {'sender': 'nobody'}
    )
    assert status == 400
