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
