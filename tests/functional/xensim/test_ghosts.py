"""Records that lie after a move: xapi#moves-that-lie."""

import pytest

from tests.functional.xensim import pools
from tests.functional.xensim import transcripts_maintenance as transcripts


@pytest.fixture
def described():
    return pools.described(migrate_per_gib=3.0)


def unknown(pool, vm):
    uuid = pool('VM.get_uuid', vm)
    text = f'Object with type VM and id {uuid}/config does not exist in'
    return ['ERR', 'INTERNAL_ERROR', f'{text} xenopsd']


@pytest.fixture
def ghost(pool, clk, sim):
    """A guest whose move the restarted master has forgotten."""
    vm = pool.vm('xen2', 'g')
    task = pool.move(vm, 'xen3')
    clk.advance(2)
    sim.restart_toolstack('xen1')
    clk.advance(20)
    pool.login()
    assert pool.ended(task) == transcripts.GONE
    return vm


def test_a_ghost(pool, clk, sim, ghost):
    clk.advance(50)
    assert (pool.home(ghost), pool.places(ghost)) == ('xen2', ['xen3'])
    assert pool('VM.get_power_state', ghost) == 'Running'
    assert pool.doing(ghost) == []
    xen2 = pool.hosts['xen2']
    assert pool('host.assert_can_evacuate', xen2) == ''
    assert pool.move(ghost, 'xen1', 'VM.pool_migrate') == unknown(pool, ghost)
    assert pool('VM.hard_shutdown', ghost) == unknown(pool, ghost)
    answer = pool('VM.power_state_reset', ghost)
    assert answer == ['ERR', 'HOST_IS_LIVE', xen2]
    assert pool('host.evacuate', xen2) == unknown(pool, ghost)


def test_repair_without_loss(pool, clk, sim, ghost):
    """The source first, then the target."""
    sim.restart_toolstack('xen2')
    clk.advance(12)
    assert pool('VM.get_power_state', ghost) == 'Halted'
    assert (pool.home(ghost), pool.places(ghost)) == (None, ['xen3'])
    sim.restart_toolstack('xen3')
    clk.advance(12)
    assert pool('VM.get_power_state', ghost) == 'Running'
    assert (pool.home(ghost), pool.places(ghost)) == ('xen3', ['xen3'])
    assert pool.move(ghost, 'xen1', 'VM.pool_migrate') == ''


@pytest.mark.harms_guests
def test_the_other_order_kills_it(pool, clk, sim, ghost):
    sim.restart_toolstack('xen3')
    clk.advance(12)
    assert (pool.home(ghost), pool.places(ghost)) == ('xen2', [])
    uuid = pool('VM.get_uuid', ghost)
    assert sim.state()['lost'] == [uuid]
    assert sim.harmed() == [f'{uuid} was lost']


def test_the_source_is_the_master(pool, clk, sim):
    vm = pool.vm('xen1', 'g')
    pool.move(vm, 'xen3')
    clk.advance(2)
    sim.restart_toolstack('xen1')
    clk.advance(20)
    pool.login()
    assert pool('VM.get_power_state', vm) == 'Halted'
    assert pool.places(vm) == ['xen3']


@pytest.fixture
def halted(pool, clk, sim):
    """Guests that run on xen3 and are told to be halted."""
    vms = pools.add_guests(pool, 'xen2', 3)
    for vm in vms:
        pool.move(vm, 'xen3')
    clk.advance(1.5)
    sim.restart_toolstack('xen2')
    clk.advance(12)
    states = {pool('VM.get_power_state', vm) for vm in vms}
    assert states == {'Halted'}
    return vms


@pytest.mark.harms_guests
def test_twice_found_and_put_right(pool, clk, sim, halted):
    first, second, third = halted
    start = ('VM.start_on', first, pool.hosts['xen2'], False, False)
    assert pool(*start) == ''
    assert pool.places(first) == ['xen2', 'xen3']
    twice = pool('VM.get_uuid', first)
    assert sim.state()['running_twice'] == [twice]
    assert twice in sim.state()['hosts']['xen3']['domains']

    start = ('VM.start_on', second, pool.hosts['xen3'], False, False)
    bad = ['ERR', 'VM_BAD_POWER_STATE', second, 'Halted', 'Running']
    assert pool(*start) == bad
    assert (pool.home(second), pool.places(second)) == ('xen3', ['xen3'])

    sim.restart_toolstack('xen3')
    clk.advance(12)
    assert pool.places(first) == ['xen2']
    assert sim.state()['running_twice'] == []
    assert sim.harmed() == [f'{twice} ran twice']
    assert pool.home(third) == pool.home(second) == 'xen3'
