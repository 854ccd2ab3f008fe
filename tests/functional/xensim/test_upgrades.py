"""Hosts that come back with other versions: xapi#rolling-upgrade."""

import pytest

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests.functional.xensim import pools

KEY = 'rolling_upgrade_in_progress'
NEXT = {'xapi': '26.18', 'xapi_build': '26.18.0', 'platform_version': '3.4.1'}
LOCAL = ('session.slave_local_login_with_password', 'root', 'secret')


@pytest.fixture
def described():
    return pools.described()


def update(pool, name, **versions):
    """Install it, and reboot the host."""
    pool.sim.update(name, **(versions or NEXT))
    reboot(pool, name)


def reboot(pool, name):
    assert pool('host.disable', pool.hosts[name]) == ''
    assert pool('host.reboot', pool.hosts[name]) == ''
    pool.clk.advance(60)
    pool.login()


def flag(pool):
    (record,) = pool('pool.get_all_records').values()
    return record['other_config'].get(KEY)


def version(pool, name):
    return pool.host(name)['software_version']['xapi_build']


def test_a_pool_is_upgraded_master_first(pool, clk, sim):
    sim.update('xen1', **NEXT)
    sim.restart_toolstack('xen1')
    clk.advance(60)
    pool.login()
    assert version(pool, 'xen1') == '26.17.0'
    assert flag(pool) is None
    reboot(pool, 'xen1')
    assert version(pool, 'xen1') == '26.18.0'
    assert pool.host('xen1')['software_version']['xen'] == '4.17.5'
    assert flag(pool) == 'true'
    for name in ('xen2', 'xen3'):
        assert flag(pool) == 'true'
        update(pool, name)
        assert pool.host(name)['enabled'] is True
    assert flag(pool) is None


def test_a_slave_that_is_newer_than_its_master_waits(pool, clk, sim):
    update(pool, 'xen2')
    local = pool.clients.call('xen2', *LOCAL)
    answer = pool.clients.call('xen2', 'host.local_assert_healthy', local)
    code = 'HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR'
    assert answer == ['ERR', code, '26.18.0']
    record = pool.host('xen2')
    assert (record['enabled'], record['current_operations']) == (False, {})
    assert version(pool, 'xen2') == '26.17.0'
    clk.advance(300)
    pool.login()
    assert pool.host('xen2')['enabled'] is False
    update(pool, 'xen1')
    clk.advance(120)
    assert pool.host('xen2')['enabled'] is True
    assert version(pool, 'xen2') == '26.18.0'


def test_guests_meanwhile(pool, clk, sim):
    """They move and start where it is newest, and nowhere else."""
    vm = pool.vm('xen1', 'g')
    halted = pool.vm('xen3', 'h', power_state='Halted')
    moved = pool.move(vm, 'xen2', 'VM.pool_migrate')
    assert moved == ''
    update(pool, 'xen1')
    refused = ['ERR', 'NOT_SUPPORTED_DURING_UPGRADE']
    start = ('VM.start_on', halted, pool.hosts['xen3'], False, False)
    assert pool(*start) == refused
    possible = pool('VM.get_possible_hosts', halted)
    assert possible == [pool.hosts['xen1']]
    assert pool.move(vm, 'xen3', 'VM.pool_migrate') == ''
    assert pool.move(vm, 'xen1', 'VM.pool_migrate') == ''
    assert pool.move(vm, 'xen2', 'VM.pool_migrate') == refused
    assert pool.prevented('xen1') == {vm: ['NO_HOSTS_AVAILABLE', vm]}


def test_a_patch_of_xapi_alone_is_no_upgrade(pool, clk, sim):
    """Single moves go back to older hosts, evacuations do not."""
    vm = pool.vm('xen2', 'g')
    update(pool, 'xen1', xapi_build='26.17.1')
    assert flag(pool) is None
    assert pool.move(vm, 'xen1', 'VM.pool_migrate') == ''
    assert pool.prevented('xen1') == {vm: ['NO_HOSTS_AVAILABLE', vm]}
    assert pool.move(vm, 'xen2', 'VM.pool_migrate') == ''


def test_versions_outlive_a_restart_of_the_simulator(tmp_path):
    read = topology.load(pools.described())
    path = tmp_path / 'state.json'
    with simulator.Simulator(read, clock.SteppedClock(), path) as sim:
        sim.update('xen1', **NEXT)
        sim.power_off('xen1')
        sim.power_on('xen1')
        sim.clock.advance(60)
        sim.update('xen2', build_number='9')
    read = topology.load(pools.described())
    with simulator.Simulator(read, clock.SteppedClock(), path) as sim:
        assert sim.host('xen1').software_version['xapi'] == '26.18'
        assert sim.host('xen2').update == {'build_number': '9'}
