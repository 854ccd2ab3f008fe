"""Operations which occupy a pool: xapi#pool-operations."""

import pytest


@pytest.fixture
def ref(clients):
    return clients.ref('xen1')


@pytest.fixture
def pool(call, ref):
    return call('xen1', 'pool.get_all', ref)[0]


def test_an_idle_pool_allows_everything(call, ref, pool, sim):
    allowed = call('xen1', 'pool.get_allowed_operations', ref, pool)
    assert {'ha_enable', 'eject', 'designate_new_master'} <= set(allowed)
    assert 'ha_disable' not in allowed
    sim.set_pool('xen1', ha_enabled=True)
    allowed = call('xen1', 'pool.get_allowed_operations', ref, pool)
    assert 'ha_disable' in allowed
    assert 'ha_enable' not in allowed


def test_high_availability_is_an_operation(call, ref, pool, clk):
    task = call('xen1', 'Async.pool.enable_ha', ref, [], {})
    get = ('xen1', 'pool.get_current_operations', ref, pool)
    assert call(*get) == {task: 'ha_enable'}
    assert call('xen1', 'pool.get_allowed_operations', ref, pool) == []
    clk.advance(5)
    assert call(*get) == {}
    assert call('xen1', 'pool.get_ha_enabled', ref, pool) is True
    assert call('xen1', 'pool.disable_ha', ref) == ''
    assert call('xen1', 'pool.get_ha_enabled', ref, pool) is False


@pytest.mark.parametrize(
    'running', ['ha_enable', 'sync_updates', 'apply_updates', 'cluster_create']
)
def test_blocking_operations_refuse_each_other(
    call, ref, sim, clk, joined, running
):
    sim.start_pool_operation('xen1', running)
    other = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    before = clk.time()
    for method, params in (
        ('pool.enable_ha', ([], {})),
        ('pool.enable_tls_verification', ()),
        ('pool.designate_new_master', (other,)),
    ):
        answer = call('xen1', method, ref, *params)
        assert answer == ['ERR', f'{running.upper()}_IN_PROGRESS']
    assert clk.time() == before


def test_a_waiting_operation_waits_behind_a_blocking_one(
    call, ref, pool, sim, clk, joined
):
    running = sim.start_pool_operation('xen1', 'apply_updates')
    victim = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    task = call('xen1', 'Async.pool.eject', ref, victim)
    clk.advance(3600)
    assert call('xen1', 'task.get_status', ref, task) == 'pending'
    sim.end_pool_operation('xen1', running)
    clk.advance(2)
    assert call('xen1', 'task.get_status', ref, task) == 'success'


def test_everything_waits_behind_a_waiting_one_for_two_hours(
    call, ref, pool, sim, clk
):
    running = sim.start_pool_operation('xen1', 'cert_refresh')
    before = clk.time()
    answer = call('xen1', 'pool.enable_ha', ref, [], {})
    assert answer == [
        'ERR',
        'OTHER_OPERATION_IN_PROGRESS',
        'pool',
        pool,
        'cert_refresh',
        running,
    ]
    assert clk.time() - before == pytest.approx(7200)


def test_the_long_wait_can_be_cancelled(call, ref, sim, clk, joined):
    sim.start_pool_operation('xen1', 'get_updates')
    victim = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    task = call('xen1', 'Async.pool.eject', ref, victim)
    allowed = call('xen1', 'task.get_allowed_operations', ref, task)
    assert allowed == ['cancel']
    call('xen1', 'task.cancel', ref, task)
    clk.advance(2)
    record = call('xen1', 'task.get_record', ref, task)
    assert record['status'] == 'cancelled'
    assert record['error_info'] == []
    assert call('xen1', 'host.get_uuid', ref, victim) == sim.host('xen2').uuid


def test_a_pending_rotation_of_the_secret_refuses_all(call, ref, sim, join):
    sim.set_pool('xen1', is_psr_pending=True)
    refused = ['ERR', 'POOL_SECRET_ROTATION_PENDING']
    assert call('xen1', 'pool.enable_ha', ref, [], {}) == refused
    assert join() == refused


def test_a_restart_of_the_master_ends_what_runs(call, clients, sim, clk):
    sim.start_pool_operation('xen1', 'eject')
    sim.restart_toolstack('xen1')
    clk.advance(10)
    ref = clients.ref('xen1')
    (record,) = call('xen1', 'pool.get_all_records', ref).values()
    assert record['current_operations'] == {}
    assert 'eject' in record['allowed_operations']


def test_only_known_operations_are_started(sim):
    with pytest.raises(ValueError, match='no operation'):
        sim.start_pool_operation('xen1', 'join')
