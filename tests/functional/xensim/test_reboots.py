"""Hosts that are disabled, rebooted and shut down: xapi#reboots."""

import pytest

from tests.functional.xensim import pools
from tests.functional.xensim import transcripts
from tests.functional.xensim import transcripts_maintenance
from tests.functional.xensim import watching

TOLERANCE = 1.5
"""The moments are upper bounds, of a machine under load."""


@pytest.fixture
def described():
    return pools.described()


def login(pool):
    try:
        answer = pool.clients.call('xen2', transcripts.LOGIN, 'root', 'secret')
    except ConnectionError as exc:
        return type(exc).__name__
    return answer[1]


def allowed(record):
    told = sorted(record['allowed_operations'])
    names = [
        name
        for name in ('ENABLED', 'DISABLED')
        if getattr(transcripts, name) == told
    ]
    return names[0] if names else told


def agent(record):
    return record['other_config']['agent_start_time']


def watches(pool):
    """What is watched of xen2; its record is read once a step."""
    before, record = agent(pool.host('xen2')), {}

    def look():
        record.update(pool.host('xen2'))
        return login(pool)

    return {
        'login': look,
        'operations': lambda: sorted(record['current_operations'].values()),
        'allowed': lambda: allowed(record),
        'agent': lambda: 'old' if agent(record) == before else 'new',
        'enabled': lambda: record['enabled'],
    }


def without_moments_of_starting(seen):
    """HOST_HAS_NO_MANAGEMENT_IP was not always seen."""
    seen['login'] = [
        row for row in seen['login'] if row[0] != 'HOST_HAS_NO_MANAGEMENT_IP'
    ]
    return seen


@pytest.mark.parametrize('method', ['host.reboot', 'Async.host.reboot'])
def test_a_reboot(pool, clk, method):
    pool('host.disable', pool.hosts['xen2'])
    pool(method, pool.hosts['xen2'])
    clk.advance(0.06)
    seen = watching.follow(clk, watches(pool), 29)
    expected = transcripts_maintenance.REBOOT
    watching.compare(without_moments_of_starting(seen), expected, TOLERANCE)


def at_work(sim):
    """What the members of the pool are at, as the simulator tells."""
    (found,) = sim.state()['pools']
    told = {h['name']: h['current_operations'] for h in found['hosts']}
    return {
        name: operations for name, operations in told.items() if operations
    }


def test_boots_are_counted_and_nothing_else(pool, clk, sim):
    pool('host.disable', pool.hosts['xen2'])
    pool('host.restart_agent', pool.hosts['xen2'])
    clk.advance(40)
    assert sim.state()['hosts']['xen2']['boots'] == 0
    pool('host.disable', pool.hosts['xen2'])
    pool('host.reboot', pool.hosts['xen2'])
    clk.advance(1)
    assert at_work(sim) == {'xen2': ['shutdown']}
    clk.advance(39)
    assert at_work(sim) == {}
    boots = {n: h['boots'] for n, h in sim.state()['hosts'].items()}
    assert boots == {name: int(name == 'xen2') for name in boots}


def test_a_restart_of_the_agent(pool, clk):
    pool('host.disable', pool.hosts['xen2'])
    assert pool('host.restart_agent', pool.hosts['xen2']) == ''
    seen = watching.follow(clk, watches(pool), 12)
    expected = transcripts_maintenance.RESTART
    watching.compare(without_moments_of_starting(seen), expected, TOLERANCE)


@pytest.mark.parametrize('first', [False, True])
def test_auto_enable_of_a_disabled_host_is_not_taken(pool, clk, sim, first):
    ref = pool.hosts['xen2']
    if first:
        pool('host.disable', ref)
    assert pool('host.disable', ref, False) == ''
    sim.restart_toolstack('xen2')
    clk.advance(20)
    assert pool.host('xen2')['enabled'] is first


def test_auto_enable_survives_a_reboot(pool, clk):
    ref = pool.hosts['xen2']
    pool('host.disable', ref, False)
    assert pool('host.reboot', ref) == ''
    clk.advance(40)
    assert pool.host('xen2')['enabled'] is False
    assert pool.operations('xen2') == []
    assert pool('host.enable', ref) == ''


def test_enable_while_a_reboot_is_pending(pool, clk, sim):
    ref = pool.hosts['xen2']
    pool('host.disable', ref, False)
    pool('host.reboot', ref)
    clk.advance(1)
    assert pool('host.enable', ref) == ''
    assert pool.host('xen2')['enabled'] is True
    assert pool.operations('xen2') == ['shutdown']
    clk.advance(9.2)
    assert sim.state()['hosts']['xen2']['phase'] == 'down'
    clk.advance(20)
    assert pool.host('xen2')['enabled'] is True


def test_two_orders_to_go_down(pool, clk, sim):
    ref = pool.hosts['xen2']
    pool('host.disable', ref)
    assert pool('host.reboot', ref) == ''
    clk.advance(1)
    assert pool('Async.host.shutdown', ref).startswith('OpaqueRef:')
    clk.advance(0.1)
    assert pool.operations('xen2') == ['shutdown', 'shutdown']
    clk.advance(30)
    assert sim.state()['hosts']['xen2']['phase'] == 'running'
    assert pool.operations('xen2') == []
    assert pool.host('xen2')['enabled'] is True


def test_a_second_reboot_waits_and_another_host_lets_it_pass(pool, clk, sim):
    """A host that comes back clears what no task stands for."""
    ref = pool.hosts['xen2']
    pool('host.disable', ref)
    sim.restart_toolstack('xen3')
    assert pool('host.reboot', ref) == ''
    clk.advance(1)
    before = clk.time()
    assert pool('host.reboot', ref) == ''
    assert clk.time() - before == pytest.approx(8, abs=1)
    assert pool.operations('xen2') == ['shutdown']
    clk.advance(26)
    assert pool.operations('xen2') == []
    booted = agent(pool.host('xen2'))
    clk.advance(30)
    assert agent(pool.host('xen2')) == booted


@pytest.mark.harms_guests
def test_guests_of_a_rebooted_host_are_halted(pool, clk):
    vm = pool.vm('xen2', 'w')
    ref = pool.hosts['xen2']
    pool('host.disable', ref)
    assert pool('host.reboot', ref) == ''
    assert pool('VM.get_power_state', vm) == 'Running'
    clk.advance(40)
    assert pool('VM.get_power_state', vm) == 'Halted'
    assert pool.places(vm) == []


def test_guests_of_a_host_that_lost_its_power(pool, clk, sim):
    vm = pool.vm('xen2', 'w')
    sim.power_off('xen2')
    clk.advance(5)
    assert pool('VM.get_power_state', vm) == 'Running'
    sim.power_on('xen2')
    clk.advance(30)
    assert pool('VM.get_power_state', vm) == 'Halted'


def test_the_master_reboots(pool, clk, sim):
    ref = pool.hosts['xen1']
    vm = pool.vm('xen2', 'stays')
    pool('host.disable', ref)
    assert pool('host.reboot', ref) == ''
    clk.advance(18.2)
    assert pool('host.get_all')[1] == 'SESSION_INVALID'
    pool.login()
    clk.advance(20)
    record = pool.host('xen1')
    assert record['enabled'] is True
    assert record['current_operations'] == {}
    assert pool('host_metrics.get_live', record['metrics']) is True
    assert pool('VM.get_power_state', vm) == 'Running'


def test_enable_of_a_host_that_is_away_stays_in_its_operations(pool, clk, sim):
    ref = pool.hosts['xen2']
    pool('host.disable', ref)
    sim.power_off('xen2')
    task = pool('Async.host.enable', ref)
    clk.advance(20)
    assert pool.operations('xen2') == ['enable']
    assert pool('task.get_status', task) == 'pending'
    assert pool('host.evacuate', ref) == ''
    assert pool.prevented('xen2') == {}


def booted(pool, name='xen2'):
    return pool.host(name)['other_config']['boot_time']


def reboot(pool, name='xen2'):
    pool('host.disable', pool.hosts[name], False)
    assert pool('Async.host.reboot', pool.hosts[name]).startswith('OpaqueRef')


def test_the_boot_is_told_when_the_host_is_back(pool, clk):
    before = booted(pool)
    reboot(pool)
    clk.advance(17)
    assert booted(pool) == before
    clk.advance(15)
    assert booted(pool) != before
    again = booted(pool)
    pool('host.restart_agent', pool.hosts['xen2'])
    clk.advance(20)
    assert booted(pool) == again


def test_the_boot_of_a_master_is_told(pool, clk):
    before = booted(pool, 'xen1')
    reboot(pool, 'xen1')
    clk.advance(40)
    pool.login()
    assert booted(pool, 'xen1') != before
    assert pool.host('xen1')['enabled'] is False


def test_power_that_returns_is_a_boot(pool, clk, sim):
    before = booted(pool)
    clk.advance(5)
    sim.power_off('xen2')
    sim.power_on('xen2')
    clk.advance(30)
    assert booted(pool) != before


def test_a_host_that_does_not_come_back(pool, clk, sim):
    sim.plant(host='xen2', action='no_return')
    reboot(pool)
    clk.advance(60)
    assert sim.state()['hosts']['xen2']['phase'] == 'off'
    assert pool.operations('xen2') == ['shutdown']


def test_a_reboot_that_starts_xapi_alone(pool, clk, sim):
    vm = pool.vm('xen2', 'stays')
    before, started = booted(pool), agent(pool.host('xen2'))
    sim.plant(host='xen2', action='no_boot')
    reboot(pool)
    clk.advance(40)
    assert pool.operations('xen2') == []
    assert booted(pool) == before
    assert agent(pool.host('xen2')) != started
    assert pool.places(vm) == ['xen2']


@pytest.mark.parametrize('planted', [False, True])
def test_storage_that_does_not_come_back(pool, clk, sim, planted):
    if planted:
        sim.plant(host='xen2', action='no_storage')
    reboot(pool)
    clk.advance(40)
    pbds = pool('PBD.get_all_records').values()
    mine = [p for p in pbds if p['host'] == pool.hosts['xen2']]
    attached = [p['currently_attached'] for p in mine]
    assert attached == [not planted] * len(mine)
    assert mine


@pytest.mark.parametrize('times', [1, 2])
def test_storage_that_is_plugged_later(pool, clk, sim, times):
    sim.plant(host='xen2', action='no_storage', times=times)
    reboot(pool)
    clk.advance(40)
    mine = [
        pbd
        for pbd in pool('host.get_PBDs', pool.hosts['xen2'])
        if pool('PBD.get_SR', pbd)
    ]
    said = [pool('PBD.plug', pbd) for pbd in mine]
    assert said[1:] == [''] * (len(mine) - 1)
    if times == 1:
        assert said[0] == ''
    else:
        assert said[0][1] == 'SR_BACKEND_FAILURE_47'
    assert pool('PBD.get_currently_attached', mine[0]) is (times == 1)
    assert pool('PBD.plug', mine[-1]) == ''


def test_storage_of_a_host_that_is_down_is_not_plugged(pool, clk, sim):
    pbd, *_ = pool('host.get_PBDs', pool.hosts['xen2'])
    sim.power_off('xen2')
    clk.advance(700)
    assert pool('PBD.plug', pbd)[1] == 'HOST_OFFLINE'


def test_a_master_that_reboots_has_what_it_wrote(pool, clk, sim):
    sim.plant(host='xen1', action='late_writes')
    pool('host.set_name_description', pool.hosts['xen2'], 'kept')
    assert pool('pool.sync_database') == ''
    pool('host.set_name_description', pool.hosts['xen3'], 'lost')
    reboot(pool, 'xen1')
    clk.advance(40)
    pool.login()
    told = [pool.host(n)['name_description'] for n in ('xen2', 'xen3')]
    assert told == ['kept', 'Default install']
