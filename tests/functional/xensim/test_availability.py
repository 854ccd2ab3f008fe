"""High availability is switched on and off: xapi#ha-calls."""

import pytest

from tests.functional.xensim import pools

GIB = 1 << 30


@pytest.fixture
def described():
    return pools.described()


def told(pool):
    (record,) = pool('pool.get_all_records').values()
    return record


def sr(pool, name='nfs'):
    (ref,) = pool('SR.get_by_name_label', name)
    return ref


def enable(pool, *srs, **configuration):
    return pool('pool.enable_ha', list(srs), configuration)


def tolerate(pool, number):
    (ref,) = pool('pool.get_all')
    method = 'pool.set_ha_host_failures_to_tolerate'
    return pool(method, ref, str(number))


def protect(pool, sim, *guests):
    for vm in guests:
        sim.set_record('xen1', 'VM', vm, ha_restart_priority='restart')


@pytest.mark.parametrize('given', [True, False])
def test_a_state_file_is_made_and_used_again(pool, sim, given):
    (known,) = (found['high_availability'] for found in sim.state()['pools'])
    nothing = {'tolerates': 0, 'configuration': {}, 'srs': []}
    assert known == {'enabled': False, **nothing}
    srs = [sr(pool)] if given else []
    assert enable(pool, *srs, timeout='60') == ''
    (statefile,) = told(pool)['ha_statefiles']
    record = pool('VDI.get_record', statefile)
    assert (record['type'], record['SR']) == ('ha_statefile', sr(pool))
    assert (record['sharable'], record['sm_config']) == (True, {'type': 'raw'})
    assert told(pool)['ha_configuration'] == {'timeout': '60'}
    (known,) = (found['high_availability'] for found in sim.state()['pools'])
    assert known == {
        'enabled': True,
        'tolerates': int(told(pool)['ha_host_failures_to_tolerate']),
        'configuration': {'timeout': '60'},
        'srs': [pool('SR.get_uuid', sr(pool))],
    }
    assert pool.host('xen3')['ha_statefiles'] == [statefile]
    assert len(pool.host('xen3')['ha_network_peers']) == 3
    disks = pool('SR.get_VDIs', sr(pool))
    assert pool('pool.disable_ha') == ''
    assert told(pool)['ha_statefiles'] == [statefile]
    assert enable(pool, *srs) == ''
    assert told(pool)['ha_statefiles'] == [statefile]
    assert pool('SR.get_VDIs', sr(pool)) == disks
    logs = [pool('VDI.get_type', disk) for disk in disks]
    assert sorted(logs) == ['ha_statefile', 'redo_log', 'user']


def test_it_is_on_at_the_end_of_the_call(pool, clk):
    task = pool('Async.pool.enable_ha', [], {})
    assert told(pool)['ha_enabled'] is False
    clk.advance(5)
    assert pool.ended(task) == ('success', [])
    assert told(pool)['ha_enabled'] is True


def test_on_and_on_again_and_off_and_off_again(pool):
    assert pool('pool.disable_ha') == ['ERR', 'HA_NOT_ENABLED']
    assert enable(pool) == ''
    assert enable(pool) == ['ERR', 'HA_IS_ENABLED']
    assert pool('pool.disable_ha') == ''
    assert pool('pool.disable_ha') == ['ERR', 'HA_NOT_ENABLED']


def unplug(pool, sim):
    (pbd,) = [
        ref
        for ref, record in pool('PBD.get_all_records').items()
        if record['SR'] == sr(pool) and record['host'] == pool.hosts['xen3']
    ]
    sim.set_record('xen1', 'PBD', pbd, currently_attached=False)


def fill(pool, sim):
    sim.set_record('xen1', 'SR', sr(pool), physical_size=3 * GIB)


REFUSED = [
    (unplug, 'SR_NO_PBDS'),
    (
        lambda pool, sim: sim.set_record('xen1', 'SR', sr(pool), type='lvm'),
        'SR_OPERATION_NOT_SUPPORTED',
    ),
    (fill, 'SR_SOURCE_SPACE_INSUFFICIENT'),
]


@pytest.mark.parametrize(('change', 'code'), REFUSED)
def test_storage_that_does_not_do(pool, sim, change, code):
    change(pool, sim)
    assert enable(pool, sr(pool)) == ['ERR', code, sr(pool)]
    assert enable(pool) == ['ERR', 'CANNOT_CREATE_STATE_FILE']
    assert told(pool)['ha_statefiles'] == []
    assert told(pool)['current_operations'] == {}


def test_storage_of_one_host_does_not_do(pool, sim):
    local = pool('SR.get_by_name_label', 'Local storage')[0]
    assert enable(pool, local) == ['ERR', 'SR_NO_PBDS', local]


def test_a_host_that_is_off(pool, sim):
    ref, metrics = pool.hosts['xen3'], pool.host('xen3')['metrics']
    sim.power_off('xen3')
    assert enable(pool) == ['ERR', 'CANNOT_CONTACT_HOST', ref]
    assert told(pool)['ha_enabled'] is False
    sim.set_record('xen1', 'host_metrics', metrics, live=False)
    assert enable(pool) == ['ERR', 'HOST_OFFLINE', ref]


def test_a_host_that_is_disabled_does_not_hinder_it(pool):
    assert pool('host.disable', pool.hosts['xen3']) == ''
    assert enable(pool) == ''


@pytest.mark.parametrize(
    ('key', 'code'),
    [
        ('xapi', ['NOT_SUPPORTED_DURING_UPGRADE']),
        ('platform_version', ['NOT_SUPPORTED_DURING_UPGRADE']),
        ('build_number', []),
    ],
)
def test_versions_that_differ(pool, sim, key, code):
    sim.set_host('xen1', software_version={key: '99.0'})
    assert enable(pool) == (['ERR', *code] if code else '')


def test_an_edition_without_it(pool, sim):
    sim.set_pool('xen1', restrictions={'enable_xha': 'false'})
    assert enable(pool) == ['ERR', 'LICENCE_RESTRICTION', 'XHA']


def test_neither_call_changes_the_number_of_failures(pool):
    assert tolerate(pool, 2) == ''
    assert enable(pool) == ''
    numbers = 'ha_host_failures_to_tolerate', 'ha_plan_exists_for'
    assert [told(pool)[field] for field in numbers] == ['2', '2']
    assert pool('pool.disable_ha') == ''
    assert [told(pool)[field] for field in numbers] == ['2', '0']


def test_a_number_of_failures_needs_a_plan(pool, sim):
    assert tolerate(pool, -1) == [
        *('ERR', 'INVALID_VALUE', 'ha_host_failures_to_tolerate', '-1')
    ]
    guests = pools.add_guests(pool, 'xen1', 2, memory=40 * GIB // 2)
    protect(pool, sim, *guests, pool.vm('xen2', 'g', memory=40 * GIB))
    enable(pool)
    assert pool('pool.ha_compute_max_host_failures_to_tolerate') == '1'
    assert pool('pool.ha_failover_plan_exists', '1') is True
    assert pool('pool.ha_failover_plan_exists', '2') is False
    assert tolerate(pool, 1) == ''
    broken = ['ERR', 'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN']
    assert tolerate(pool, 2) == broken
    (ref,) = pool('pool.get_all')
    assert pool('pool.set_ha_allow_overcommit', ref, True) == ''
    assert tolerate(pool, 2) == ''
    assert told(pool)['ha_overcommitted'] is True
    assert told(pool)['ha_plan_exists_for'] == '1'


def test_a_pool_without_protected_guests_lets_hosts_go(pool):
    enable(pool)
    tolerate(pool, 1)
    assert pool('host.disable', pool.hosts['xen2']) == ''
    assert pool('host.disable', pool.hosts['xen3']) == ''


def test_what_the_plan_is_about(pool, sim):
    """Guests of the host that is disabled have to fit elsewhere, too."""
    protect(pool, sim, pool.vm('xen2', 'g', memory=40 * GIB))
    pool.vm('xen1', 'a', memory=40 * GIB)
    pool.vm('xen3', 'b', memory=40 * GIB)
    enable(pool)
    broken = ['ERR', 'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN']
    assert pool('host.disable', pool.hosts['xen2']) == broken
    assert pool('host.disable', pool.hosts['xen3']) == ''


def test_a_guest_that_is_tied_to_a_host_leaves_no_plan(pool, sim):
    vm = pool.vm('xen2', 'g')
    protect(pool, sim, vm)
    sim.set_record('xen1', 'VM', vm, VUSBs=['OpaqueRef:1'])
    assert pool('VM.assert_agile', vm) == ['ERR', 'VM_HAS_VUSBS', vm]
    assert pool('pool.ha_failover_plan_exists', '0') is False
    enable(pool)
    assert told(pool)['ha_overcommitted'] is True
    # What does not exist cannot break.
    assert pool('host.disable', pool.hosts['xen2']) == ''


def test_the_plan_follows_hosts_that_die_and_come_back(pool, clk, sim):
    protect(pool, sim, pool.vm('xen1', 'g'))
    enable(pool)
    tolerate(pool, 2)
    sim.power_off('xen3')
    clk.advance(650)
    assert told(pool)['ha_plan_exists_for'] == '1'
    assert told(pool)['ha_overcommitted'] is True
    sim.power_on('xen3')
    clk.advance(60)
    assert told(pool)['ha_plan_exists_for'] == '2'
    assert told(pool)['ha_overcommitted'] is False


def roles(sim):
    """The master of each host that is no master, and the masters."""
    hosts = sim.world.hosts.values()
    return {host.name: host.master for host in hosts}


def go_down(pool, sim, how):
    if how == 'plug':
        sim.power_off('xen1')
    else:
        pool('host.disable', pool.hosts['xen1'])
        assert pool(f'host.{how}', pool.hosts['xen1']) == ''


@pytest.mark.parametrize('how', ['reboot', 'shutdown', 'plug'])
def test_a_master_that_goes_down_is_succeeded(pool, clk, sim, clients, how):
    enable(pool)
    go_down(pool, sim, how)
    clk.advance(60)
    if how != 'reboot':
        assert sim.state()['hosts']['xen1']['phase'] == 'off'
        sim.power_on('xen1')
        clk.advance(60)
    (heir,) = [name for name, master in roles(sim).items() if not master]
    assert heir != 'xen1'
    address = sim.host(heir).address
    others = [host for host in sim.world.hosts if host != heir]
    for name in others:
        answer = clients.call(name, *LOGIN)
        assert answer == ['ERR', 'HOST_IS_SLAVE', address]
    session = clients.ref(heir)
    records = clients.call(heir, 'host.get_all_records', session)
    assert records.keys() == set(pool.hosts.values())
    assert [record['enabled'] for record in records.values()] == [True] * 3
    (told,) = clients.call(heir, 'pool.get_all_records', session).values()
    assert told['master'] == pool.hosts[heir]
    assert told['ha_enabled'] is True


LOGIN = ('session.login_with_password', 'root', 'secret')


def test_without_it_nobody_takes_over(pool, clk, sim):
    before = roles(sim)
    enable(pool)
    pool('pool.disable_ha')
    go_down(pool, sim, 'reboot')
    clk.advance(60)
    assert roles(sim) == before


def test_a_master_without_living_members_keeps_the_role(pool, clk, sim):
    before = roles(sim)
    enable(pool)
    for name in ('xen2', 'xen3'):
        sim.power_off(name)
    go_down(pool, sim, 'reboot')
    clk.advance(60)
    assert roles(sim) == before


def test_a_disabled_host_may_be_the_next_master(pool, clk, sim):
    enable(pool)
    sim.power_off('xen3')
    pool('host.disable', pool.hosts['xen2'])
    sim.power_off('xen1')
    clk.advance(60)
    assert roles(sim)['xen2'] is None
    # Those that were off find out when they boot.
    sim.power_on('xen3')
    clk.advance(60)
    assert sim.state()['hosts']['xen3']['phase'] == 'running'
    assert roles(sim)['xen3'] == sim.host('xen2').address


def test_the_next_master_has_what_was_not_written(pool, clk, sim, clients):
    sim.plant(host='xen1', action='late_writes')
    enable(pool)
    ref = pool.hosts['xen2']
    pool('host.set_name_description', ref, 'kept')
    go_down(pool, sim, 'plug')
    clk.advance(60)
    (heir,) = [name for name, master in roles(sim).items() if not master]
    told = sim.host(heir).database.row('host', ref)
    assert told['name_description'] == 'kept'


def test_what_is_to_run_is_started_when_it_is_switched_on(pool, clk, sim):
    """By its record: one that runs unknown to that runs twice."""
    down, off = (pool.vm('xen2', name) for name in ('down', 'off'))
    protect(pool, sim, down, off)
    assert pool('VM.hard_shutdown', off) == ''
    assert pool('VM.hard_shutdown', down) == ''
    # As one that its move has halted, or that has shut down by itself.
    sim.set_record('xen1', 'VM', down, ha_always_run=True)
    assert enable(pool) == ''
    clk.advance(30)
    assert pool('VM.get_power_state', down) == 'Running'
    assert pool('VM.get_power_state', off) == 'Halted'
