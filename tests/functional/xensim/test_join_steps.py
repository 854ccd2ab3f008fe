"""A join which fails at each of its steps (xapi#join-steps)."""

import pytest

from tests.functional.xensim import conftest

STEPS = [f'S{number}' for number in range(1, 11)]
LOGIN = (conftest.MASTER, 'root', 'secret')


class Left:
    """What is left after a join which failed at a step."""

    def __init__(self, clients, clk, sim, step):
        self.clients = clients
        session = clients.ref('xen2')
        sim.plant(
            host='xen2', call='pool.join', action='fail', step=step, code='X'
        )
        self.answer = clients.call('xen2', 'pool.join', session, *LOGIN)
        clk.advance(30)
        self.role = sim.state()['hosts']['xen2']['role']

    def read(self, name, kind):
        session = self.clients.ref(name)
        records = self.clients.call(name, f'{kind}.get_all_records', session)
        return list(records.values())


@pytest.fixture
def fail_at(clients, clk, sim):
    return lambda step: Left(clients, clk, sim, step)


@pytest.mark.parametrize('step', STEPS)
def test_the_joiner_is_a_slave_only_past_the_last_step(fail_at, step):
    left = fail_at(step)
    assert left.answer == ['ERR', 'X', 'planted']
    assert left.role == ('slave' if step == 'S10' else 'master')


def late(clients, clk, sim):
    """A joiner with its role written, which serves on (xapi#half-joined)."""
    code = 'REPOSITORY_CLEANUP_FAILED'
    sim.plant(host='xen2', step='S9', code=code, parameters=())
    session = clients.ref('xen2')
    answer = clients.call('xen2', 'pool.join', session, *LOGIN)
    assert answer == ['ERR', code]
    clk.advance(20)
    assert clients.call('xen2', 'pool.get_all', session)
    return session


def test_the_next_start_completes_a_join_that_failed_late(clients, clk, sim):
    session = late(clients, clk, sim)
    call = clients.call
    (host,) = call('xen2', 'host.get_all', session)
    assert call('xen2', 'host.restart_agent', session, host) == ''
    clk.advance(12)
    assert sim.state()['hosts']['xen2']['role'] == 'slave'
    (pool, _) = sim.state()['pools']
    told = [(member['enabled'], member['live']) for member in pool['hosts']]
    assert told == [(True, True)] * 2


def test_a_host_whose_record_went_before_is_a_brick(clients, clk, sim):
    """xapi#join-late-failures: 4 of 4 times."""
    late(clients, clk, sim)
    call, master = clients.call, clients.ref('xen1')
    stale = call('xen1', 'host.get_by_uuid', master, sim.host('xen2').uuid)
    assert call('xen1', 'host.destroy', master, stale) == ''
    sim.restart_toolstack('xen2')
    slave = ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']
    login = ('session.login_with_password', 'root', 'secret')
    local = ('session.slave_local_login_with_password', 'root', 'secret')
    for _ in range(4):
        while sim.state()['hosts']['xen2']['phase'] == 'down':
            clk.advance(0.1)
        assert call('xen2', *login) == slave
        session = call('xen2', *local)
        method = 'pool.emergency_transition_to_master'
        assert call('xen2', method, session) == ''
        while sim.state()['hosts']['xen2']['phase'] != 'down':
            clk.advance(0.1)
    clk.advance(600)
    assert sim.state()['hosts']['xen2']['role'] == 'slave'
    assert len(call('xen1', 'host.get_all', master)) == 1


@pytest.mark.parametrize('step', STEPS)
def test_the_master_knows_the_host_once_records_are_copied(fail_at, step):
    hosts = fail_at(step).read('xen1', 'host')
    assert len(hosts) == (1 if STEPS.index(step) < 6 else 2)


@pytest.mark.parametrize('step', STEPS[:9])
def test_storage_of_the_joiner_may_be_left_unplugged(fail_at, step):
    (pbd,) = fail_at(step).read('xen2', 'PBD')
    assert pbd['currently_attached'] is (STEPS.index(step) < 7)


def test_the_exchange_of_certificates_is_over(fail_at):
    (pool,) = fail_at('S3').read('xen1', 'pool')
    assert pool['current_operations'] == {}


def test_a_repeat_uses_the_host_again_and_duplicates_interfaces(
    fail_at, clients, clk
):
    left = fail_at('S8')
    session = clients.ref('xen2')
    assert clients.call('xen2', 'pool.join', session, *LOGIN) == ''
    clk.advance(30)
    assert len(left.read('xen1', 'host')) == 2
    assert len(left.read('xen1', 'PIF')) == 3
    assert len(left.read('xen1', 'PBD')) == 2


def test_a_target_which_starts_answers_for_itself(join, clk, clients):
    assert join('xen2') == ''
    clk.advance(19.3)
    answer = join('xen3', address='10.0.0.12')
    assert answer == ['ERR', 'HOST_STILL_BOOTING']
