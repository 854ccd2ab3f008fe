"""Maintenance of hosts: xapi#maintenance, xapi#host-operations."""

import pytest

from aggregates_ext.xensim.world import memory
from tests.functional.xensim import pools

GIB = 1 << 30
OPTIONS = pools.OPTIONS


@pytest.fixture
def described():
    return pools.described()


def test_disable_and_enable(pool):
    ref = pool.hosts['xen2']
    vm = pool.vm('xen2', 'v')
    assert pool('host.disable', ref) == ''
    assert pool.host('xen2')['enabled'] is False
    assert 'reboot' in pool.host('xen2')['allowed_operations']
    assert pool('VM.get_power_state', vm) == 'Running'
    assert pool('host.enable', ref) == ''
    assert pool('host.enable', ref) == ''
    assert pool.host('xen2')['enabled'] is True
    assert 'reboot' not in pool.host('xen2')['allowed_operations']


@pytest.mark.parametrize(('auto_enable', 'after'), [(True, 1), (False, 0)])
def test_auto_enable_decides_after_a_restart(pool, clk, auto_enable, after):
    pool('host.disable', pool.hosts['xen2'], auto_enable)
    pool.sim.restart_toolstack('xen2')
    clk.advance(60)
    assert pool.host('xen2')['enabled'] == bool(after)


def test_enable_while_storage_comes_up(pool, clk, sim):
    sim.restart_toolstack('xen2')
    clk.advance(1.2 + 6.9 + 0.15 + 0.3 + 0.2)
    answer = pool('host.enable', pool.hosts['xen2'])
    assert answer == ['ERR', 'HOST_STILL_BOOTING']
    clk.advance(1)
    assert pool('host.enable', pool.hosts['xen2']) == ''


def test_enable_with_pending_guidance(pool, sim):
    sim.set_host('xen2', pending_guidances=['reboot_host'])
    ref = pool.hosts['xen2']
    assert pool('host.enable', ref) == ''
    pool('host.disable', ref)
    code = 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'
    assert pool('host.enable', ref) == ['ERR', code, ref]


def test_evacuation_moves_all_and_does_not_disable(pool, clk):
    vms = [pool.vm('xen2', f'v{number}') for number in range(3)]
    halted = pool.vm('xen2', 'halted', power_state='Halted')
    before = clk.time()
    assert pool('host.evacuate', pool.hosts['xen2']) == ''
    assert clk.time() - before == pytest.approx(8, abs=1)
    assert 'xen2' not in {pool.home(vm) for vm in vms}
    assert pool.home(halted) is None
    assert pool.host('xen2')['enabled'] is True
    assert pool('task.get_all') == []


def test_evacuation_in_batches_shows_its_progress(pool, clk):
    vms = [pool.vm('xen2', f'v{number}') for number in range(4)]
    ref = pool.hosts['xen2']
    null = 'OpaqueRef:NULL'
    task = pool('Async.host.evacuate', ref, null, '2')
    clk.advance(4)
    record = pool.host('xen2')
    assert record['current_operations'] == {task: 'evacuate'}
    assert 'vm_migrate' not in record['allowed_operations']
    moving = [vm for vm in vms if pool('VM.get_current_operations', vm)]
    assert len(moving) == 2
    labels = [
        one['name_label'] for one in pool('task.get_all_records').values()
    ]
    assert labels.count('Async.VM.pool_migrate') == 2
    clk.advance(5)
    assert pool('task.get_progress', task) == pytest.approx(0.5)
    clk.advance(9)
    assert pool('task.get_status', task) == 'success'
    assert pool.host('xen2')['current_operations'] == {}


def test_the_first_error_is_raised_and_others_continue(pool, clk, sim):
    vms = [pool.vm('xen2', f'v{number}') for number in range(3)]
    uuid = pool('VM.get_uuid', vms[0])
    sim.plant(call='VM.pool_migrate', step=uuid, code='VM_CRASHED')
    answer = pool('host.evacuate', pool.hosts['xen2'])
    assert answer == ['ERR', 'VM_CRASHED', 'planted']
    assert pool('task.get_all') == []
    assert [pool.home(vm) for vm in vms] == ['xen2'] * 3
    clk.advance(10)
    assert pool.home(vms[0]) == 'xen2'
    assert 'xen2' not in {pool.home(vm) for vm in vms[1:]}


def test_a_slow_and_a_stuck_machine(pool, clk, sim):
    vms = [pool.vm('xen2', name) for name in ('slow', 'stuck')]
    slow, stuck = (pool('VM.get_uuid', vm) for vm in vms)
    sim.plant(call='VM.pool_migrate', step=slow, action='delay', seconds=60)
    sim.plant(call='VM.pool_migrate', step=stuck, action='hang')
    task = pool('Async.host.evacuate', pool.hosts['xen2'])
    clk.advance(60)
    assert [pool.home(vm) for vm in vms] == ['xen2', 'xen2']
    clk.advance(60)
    assert pool.home(vms[0]) != 'xen2'
    assert pool.home(vms[1]) == 'xen2'
    assert pool('task.get_status', task) == 'pending'


def test_a_machine_which_stops_meanwhile_is_tolerated(pool, clk, sim):
    vm = pool.vm('xen2', 'v')
    task = pool('Async.host.evacuate', pool.hosts['xen2'])
    clk.advance(2)
    gone = {'power_state': 'Halted', 'resident_on': pools.NULL}
    sim.set_record('xen1', 'VM', vm, **gone)
    clk.advance(3)
    assert pool('task.get_status', task) == 'success'


def test_nothing_moves_when_one_cannot(pool, sim):
    moving, pinned = pool.vm('xen2', 'v'), pool.vm('xen2', 'p')
    sim.set_record(
        'xen1', 'VM', pinned, blocked_operations={'pool_migrate': 'pinned'}
    )
    reason = ['OPERATION_BLOCKED', pinned, 'pinned']
    assert pool.prevented('xen2') == {pinned: reason}
    ref = pool.hosts['xen2']
    assert pool('host.evacuate', ref) == ['ERR', *reason]
    assert pool('host.assert_can_evacuate', ref) == [
        'ERR',
        'CANNOT_EVACUATE_HOST',
        ','.join(reason),
    ]
    assert pool.home(moving) == 'xen2'


def field(**fields):
    return lambda sim, vm: sim.set_record('xen1', 'VM', vm, **fields)


def guest(**fields):
    def change(sim, vm):
        db = sim.host('xen1').database
        ref = db.row('VM', vm)['guest_metrics']
        sim.set_record('xen1', 'VM_guest_metrics', ref, **fields)

    return change


def immobile(sim, vm):
    db = sim.host('xen1').database
    sim.set_record(
        'xen1', 'VM_metrics', db.row('VM', vm)['metrics'], nomigrate=True
    )


def reset_disk(sim, vm):
    db = sim.host('xen1').database
    (vdi,) = db.where('VDI', name_label='root')
    db.create('VBD', VM=vm, VDI=vdi)
    sim.set_record('xen1', 'VDI', vdi, on_boot='reset', allow_caching=True)


BLOCKERS = [
    (field(attached_PCIs=['x']), ['VM_HAS_PCI_ATTACHED', 'VM']),
    (field(VGPUs=['x']), ['VM_HAS_VGPU', 'VM']),
    (field(VUSBs=['x']), ['VM_HAS_VUSBS', 'VM']),
    (immobile, ['VM_IS_IMMOBILE', 'VM']),
    (guest(PV_drivers_detected=False), ['VM_LACKS_FEATURE', 'VM']),
    (
        guest(other={'data-cant-suspend-reason': 'why'}),
        ['VM_NON_SUSPENDABLE', 'VM', 'why'],
    ),
    (
        field(power_state='Paused'),
        ['VM_BAD_POWER_STATE', 'VM', 'running', 'paused'],
    ),
    (
        field(current_operations={'x': 'snapshot'}),
        ['OTHER_OPERATION_IN_PROGRESS', 'VM', 'VM', 'snapshot', 'x'],
    ),
    (reset_disk, ['VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION']),
]


@pytest.mark.parametrize(('change', 'reason'), BLOCKERS)
def test_blockers_of_one_machine(pool, sim, change, reason):
    vm = pool.vm('xen2', 'v')
    change(sim, vm)
    told = [vm if part == 'VM' else part for part in reason]
    if told[0] == 'OTHER_OPERATION_IN_PROGRESS':
        told[1] = 'VM'
    assert pool.prevented('xen2') == {vm: told}
    target = pool.hosts['xen3']
    assert pool('VM.pool_migrate', vm, target, OPTIONS) == ['ERR', *told]


def test_reasons_come_in_the_order_of_xapi(pool, sim):
    """One after another is mended, and the next one speaks."""
    vm = pool.vm('xen2', 'v', vdis=['root'])
    immobile(sim, vm)
    reset_disk(sim, vm)
    (vdi,) = sim.host('xen1').database.where('VDI', name_label='root')
    metrics = pool('VM.get_metrics', vm)
    other = {'data-cant-suspend-reason': 'why'}
    guest(PV_drivers_detected=False, other=other)(sim, vm)
    field(
        blocked_operations={'pool_migrate': 'a backup'},
        power_state='Paused',
        attached_PCIs=['x'],
        VGPUs=['x'],
        VUSBs=['x'],
    )(sim, vm)

    def unblock():
        pool('VM.remove_from_blocked_operations', vm, 'pool_migrate')

    def move_again():
        sim.set_record('xen1', 'VM_metrics', metrics, nomigrate=False)

    def speak():
        row = sim.host('xen1').database.row('VM', vm)['guest_metrics']
        sim.host('xen1').database.row('VM_guest_metrics', row)['other'] = {}

    mend = {
        'OPERATION_BLOCKED': unblock,
        'VM_BAD_POWER_STATE': lambda: field(power_state='Running')(sim, vm),
        'VM_IS_IMMOBILE': move_again,
        'VM_NON_SUSPENDABLE': speak,
        'VM_LACKS_FEATURE': lambda: guest(other={'feature-suspend': '1'})(
            sim, vm
        ),
        'VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION': lambda: sim.set_record(
            'xen1', 'VDI', vdi, on_boot='persist'
        ),
        'VM_HAS_PCI_ATTACHED': lambda: field(attached_PCIs=[])(sim, vm),
        'VM_HAS_VGPU': lambda: field(VGPUs=[])(sim, vm),
        'VM_HAS_VUSBS': lambda: field(VUSBs=[])(sim, vm),
    }
    target = pool.hosts['xen3']
    for code, act in mend.items():
        assert pool('VM.pool_migrate', vm, target, OPTIONS)[1] == code
        act()
    assert pool('VM.pool_migrate', vm, target, OPTIONS) == ''


def test_an_internal_network_keeps_what_runs_on_it(pool, sim):
    vm = pool.vm('xen2', 'v')
    network = pool('network.create', {'name_label': 'inside'})
    sim.add_record('xen1', 'VIF', VM=vm, network=network)
    reason = ['VM_REQUIRES_NETWORK', vm, network]
    assert pool.prevented('xen2') == {vm: reason}
    shared = ('assume_network_is_shared', 'true')
    pool('network.add_to_other_config', network, *shared)
    assert pool.prevented('xen2') == {}


def test_virtual_hardware_that_a_host_does_not_know(pool, sim):
    vm = pool.vm('xen2', 'v')
    sim.set_record('xen1', 'VM', vm, hardware_platform_version=3)
    answer = pool('VM.pool_migrate', vm, pool.hosts['xen3'], OPTIONS)
    assert answer[1:] == [
        'VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION',
        pool.hosts['xen3'],
        '[0; 1; 2]',
        vm,
        '3',
    ]


def test_guests_are_counted_with_their_least_memory(pool, sim):
    vm = pool.vm('xen3', 'v', memory=8 << 30)
    before = pool.free('xen3')
    sim.set_record('xen1', 'VM', vm, memory_dynamic_min=2 << 30)
    assert pool.free('xen3') - before == 6 << 30


def test_local_storage_keeps_a_machine(pool, sim):
    sim.add_sr('xen2', 'disks', vdis=[{'name': 'd'}])
    vm = pool.vm('xen2', 'v', vdis=['d'])
    (sr,) = pool('SR.get_by_name_label', 'disks')
    assert pool.prevented('xen2') == {vm: ['VM_REQUIRES_SR', vm, sr]}
    assert pool('VM.get_possible_hosts', vm) == [pool.hosts['xen2']]


def test_a_disc_on_local_storage_keeps_a_machine(pool, sim):
    sim.add_sr('xen2', 'discs', type='iso', vdis=[{'name': 'd'}])
    vm = pool.vm('xen2', 'v')
    db = sim.host('xen1').database
    (vdi,) = db.where('VDI', name_label='d')
    drive = db.create('VBD', VM=vm, VDI=vdi, type='CD')
    (sr,) = pool('SR.get_by_name_label', 'discs')
    assert pool.prevented('xen2') == {vm: ['VM_REQUIRES_SR', vm, sr]}
    sim.set_record('xen1', 'VBD', drive, empty=True)
    assert pool.prevented('xen2') == {}


def test_a_machine_must_fit_every_host(pool, sim):
    vm = pool.vm('xen2', 'v', vdis=['root'])
    (sr,) = pool('SR.get_by_name_label', 'nfs')
    assert pool.prevented('xen2') == {}
    for pbd in pool('SR.get_PBDs', sr):
        if pool('PBD.get_host', pbd) == pool.hosts['xen3']:
            assert pool('PBD.unplug', pbd) == ''
    assert pool.prevented('xen2') == {vm: ['VM_REQUIRES_SR', vm, sr]}
    pool('host.disable', pool.hosts['xen3'])
    assert pool.prevented('xen2') == {}


def test_networks_and_processors(pool, sim):
    vm = pool.vm('xen2', 'v')
    sim.add_vlan('xen2', 7)
    (network,) = pool('network.get_by_name_label', 'VLAN 7')
    vif = sim.add_record('xen1', 'VIF', VM=vm, network=network)
    reason = ['VM_REQUIRES_NETWORK', vm, network]
    assert pool.prevented('xen2') == {vm: reason}
    sim.host('xen1').database.delete('VIF', vif)
    sim.set_host('xen3', cpu_info={'vendor': 'AuthenticAMD'})
    code = 'VM_INCOMPATIBLE_WITH_THIS_HOST'
    assert pool.prevented('xen2')[vm][:3] == [code, vm, pool.hosts['xen3']]
    target = pool.hosts['xen3']
    assert pool('VM.pool_migrate', vm, target, {})[1] == code
    assert pool('VM.pool_migrate', vm, target, {'force': 'true'}) == ''


def test_no_other_host(pool):
    vm = pool.vm('xen2', 'v')
    for name in ('xen1', 'xen3'):
        pool('host.disable', pool.hosts[name])
    assert pool.prevented('xen2') == {vm: ['NO_HOSTS_AVAILABLE', vm]}


def test_machines_do_not_go_to_older_hosts(pool, sim):
    vm = pool.vm('xen2', 'v')
    sim.set_host('xen2', software_version={'platform_version': '9.0.0'})
    assert pool.prevented('xen2') == {vm: ['NO_HOSTS_AVAILABLE', vm]}
    target = pool.hosts['xen3']
    answer = pool('VM.pool_migrate', vm, target, OPTIONS)
    assert answer == ['ERR', 'NOT_SUPPORTED_DURING_UPGRADE']


def test_bin_packing_leaves_over_what_does_not_fit(pool):
    pool('host.disable', pool.hosts['xen1'])
    big = pool.vm('xen2', 'big', memory=40 * GIB)
    small = pool.vm('xen2', 'small', memory=18 * GIB)
    code = 'HOST_NOT_ENOUGH_FREE_MEMORY'
    assert pool.free('xen3') == 60 * GIB
    assert pool.prevented('xen2') == {}
    third = pool.vm('xen2', 'third', memory=4 * GIB)
    assert pool.prevented('xen2') == {third: [code, third]}
    assert pool.home(big) == pool.home(small) == 'xen2'


def test_memory_is_kept_account_of(pool, clk):
    vm = pool.vm('xen2', 'v', memory=2 * GIB)
    target = pool.hosts['xen3']
    before = pool.free('xen2'), pool.free('xen3')
    task = pool('Async.VM.pool_migrate', vm, target, OPTIONS)
    clk.advance(8)
    assert pool('task.get_progress', task) == pytest.approx(0.43, abs=0.03)
    assert pool('VM.get_scheduled_to_be_resident_on', vm) == target
    assert pool.host('xen3')['current_operations'] == {task: 'vm_migrate'}
    need = 2 * GIB + memory.overhead(2 * GIB, 1)
    assert pool.free('xen3') == before[1] - need
    assert pool.free('xen2') == before[0]
    clk.advance(9)
    assert pool.home(vm) == 'xen3'
    assert pool.free('xen2') == before[0] + need
    metrics = pool.host('xen3')['metrics']
    seen = pool('host_metrics.get_memory_free', metrics)
    assert int(seen) == pool.free('xen3')


def test_a_host_which_is_full(pool):
    vm = pool.vm('xen2', 'v', power_state='Halted', memory=61 * GIB)
    answer = pool('VM.start_on', vm, pool.hosts['xen3'], False, False)
    overhead = memory.overhead(61 * GIB, 1)
    needed, available = str(61 * GIB + overhead), str(60 * GIB)
    code = 'HOST_NOT_ENOUGH_FREE_MEMORY'
    assert answer == ['ERR', code, needed, available]
    assert pool('VM.start', vm, False, False) == ['ERR', 'NO_HOSTS_AVAILABLE']
    assert pool('VM.get_possible_hosts', vm) == []


def test_boot_test_of_one_host(pool, sim):
    vm = pool.vm('xen2', 'v', power_state='Halted', vcpus=64)
    test = ('VM.assert_can_boot_here', vm, pool.hosts['xen3'])
    assert pool(*test) == ['ERR', 'HOST_NOT_ENOUGH_PCPUS', '64', '4']
    pool('host.disable', pool.hosts['xen3'])
    assert pool(*test) == ['ERR', 'HOST_DISABLED', pool.hosts['xen3']]
    metrics = pool.host('xen3')['metrics']
    sim.set_record('xen1', 'host_metrics', metrics, live=False)
    assert pool(*test) == ['ERR', 'HOST_NOT_LIVE']


def test_the_overhead_of_memory():
    wanted = 600_000_000_000
    row = {
        'memory_dynamic_min': wanted,
        'memory_overhead': memory.overhead(wanted, 1),
    }
    assert memory.needed(row) == 604_692_807_680


def test_migration_may_be_forbidden_by_the_licence(pool, sim):
    vm = pool.vm('xen2', 'v')
    sim.set_pool('xen1', restrictions={'restrict_xen_motion': 'true'})
    answer = pool('VM.pool_migrate', vm, pool.hosts['xen3'], OPTIONS)
    assert answer == ['ERR', 'LICENCE_RESTRICTION', 'Xen_motion']


def test_an_evacuation_excludes_what_comes_in(pool, clk):
    pool.vm('xen2', 'leaves')
    comes = pool.vm('xen3', 'comes')
    ref = pool.hosts['xen2']
    task = pool('Async.host.evacuate', ref)
    clk.advance(1)
    busy = ['ERR', 'OTHER_OPERATION_IN_PROGRESS', 'host', ref, 'evacuate']
    answer = pool('VM.pool_migrate', comes, ref, OPTIONS)
    assert answer == [*busy, task]
    pool('host.disable', ref)
    assert pool('host.reboot', ref) == [*busy, task]
    clk.advance(20)
    arriving = pool('Async.VM.pool_migrate', comes, pool.hosts['xen1'], {})
    answer = pool('host.evacuate', pool.hosts['xen1'])
    assert answer[1:5] == [*busy[1:3], pool.hosts['xen1'], 'vm_migrate']
    assert answer[5] == arriving


@pytest.mark.harms_guests
def test_reboot_stops_guests_and_comes_back(pool, clk):
    vm = pool.vm('xen2', 'v')
    ref = pool.hosts['xen2']
    assert pool('host.reboot', ref) == ['ERR', 'HOST_NOT_DISABLED']
    pool('host.disable', ref)
    booted = pool.host('xen2')['other_config']['boot_time']
    assert pool('host.reboot', ref) == ''
    clk.advance(9)
    assert pool('VM.get_power_state', vm) == 'Running'
    clk.advance(2)
    assert pool('VM.get_power_state', vm) == 'Halted'
    metrics = pool.host('xen2')['metrics']
    assert pool('host_metrics.get_live', metrics) is False
    clk.advance(60)
    assert pool.host('xen2')['enabled'] is True
    assert pool('host_metrics.get_live', metrics) is True
    assert pool.host('xen2')['other_config']['boot_time'] != booted


def test_off_and_on(pool, clk, sim):
    ref = pool.hosts['xen2']
    pool('host.disable', ref)
    assert pool('host.power_on', ref) == ['ERR', 'HOST_IS_LIVE', ref]
    pool('host.shutdown', ref)
    clk.advance(11)
    assert sim.state()['hosts']['xen2']['phase'] == 'off'
    assert pool('host.power_on', ref) == ['ERR', 'HOST_POWER_ON_MODE_DISABLED']
    pool('host.set_power_on_mode', ref, 'wake-on-lan', {})
    assert pool('host.power_on', ref) == ''
    clk.advance(60)
    assert pool.host('xen2')['enabled'] is True


@pytest.mark.parametrize('method', ['host.reboot', 'host.shutdown'])
def test_a_clustered_sr_that_recovers(pool, sim, method):
    (sr,) = pool('SR.get_by_name_label', 'nfs')
    sim.set_record('xen1', 'SR', sr, clustered=True)
    task = sim.add_record(
        'xen1', 'task', name_label='SR Recovering', name_description=sr
    )
    ref = pool.hosts['xen2']
    pool('host.disable', ref)
    assert pool(method, ref) == ['ERR', 'CLUSTERED_SR_DEGRADED', sr]
    assert pool.operations('xen2') == []
    pool('task.destroy', task)
    assert pool(method, ref) == ''


def test_a_clustered_sr_does_not_ask_who_is_down(pool, sim):
    """As xapi reads: it looks for members by their metrics."""
    (sr,) = pool('SR.get_by_name_label', 'nfs')
    sim.set_record('xen1', 'SR', sr, clustered=True)
    for ref in (pool.hosts['xen2'], pool.hosts['xen3']):
        sim.add_record('xen1', 'Cluster_host', host=ref, enabled=True)
    metrics = pool.host('xen3')['metrics']
    sim.set_record('xen1', 'host_metrics', metrics, live=False)
    ref = pool.hosts['xen2']
    pool('host.disable', ref)
    assert pool('host.reboot', ref) == ''


class TestHighAvailability:
    @pytest.fixture(autouse=True)
    def armed(self, sim):
        sim.set_pool('xen1', ha_enabled=True, ha_host_failures_to_tolerate=1)

    @pytest.mark.parametrize('method', ['host.reboot', 'host.shutdown'])
    def test_a_state_file_that_is_lost(self, pool, sim, method):
        sim.plant(action='no_state', host='xen2')
        ref = pool.hosts['xen2']
        assert pool('host.disable', ref) == ''
        assert pool(method, ref) == ['ERR', 'HA_LOST_STATEFILE']
        assert pool.operations('xen2') == []
        # One that has been lost for a while is in the record.
        sim.set_pool('xen1', ha_statefiles=['OpaqueRef:state'])
        assert pool(method, ref) == ['ERR', 'HA_LOST_STATEFILE']
        sim.set_pool('xen1', ha_enabled=False)
        sim.plant(action='no_state', host='xen2')
        assert pool(method, ref) == ''

    def test_the_plan_keeps_hosts_enabled(self, pool, sim):
        vm = pool.vm('xen1', 'p')
        sim.set_record('xen1', 'VM', vm, ha_restart_priority='restart')
        assert pool('host.disable', pool.hosts['xen2']) == ''
        for method in ('host.disable', 'host.evacuate'):
            answer = pool(method, pool.hosts['xen3'])
            code = 'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN'
            assert answer == ['ERR', code]

    def test_machines_which_are_not_protected_stay(self, pool, sim):
        vm = pool.vm('xen2', 'v')
        code = 'HOST_EVACUATE_VM_NOT_HA_PROTECTED'
        assert pool.prevented('xen2') == {vm: [code, vm]}
        sim.set_record('xen1', 'VM', vm, ha_restart_priority='restart')
        assert pool.prevented('xen2') == {}

    def test_a_host_told_to_go_down_stays_disabled(self, pool):
        ref = pool.hosts['xen2']
        pool('host.disable', ref)
        pool('host.reboot', ref)
        answer = pool('host.enable', ref)
        assert answer == ['ERR', 'HOST_DISABLED_UNTIL_REBOOT', ref]
