"""Calls on guests, and the small ones beside them: xapi#migration."""

import datetime

import pytest

from tests.functional.xensim import pools


@pytest.fixture
def described():
    return pools.described()


def state(pool, vm):
    return pool('VM.get_power_state', vm), pool.home(vm), pool.places(vm)


def test_the_states_of_a_guest(pool, clk, sim):
    vm = pool.vm('xen2', 'v')
    steps = [
        ('VM.pause', 'Paused', 'xen2', ['xen2']),
        ('VM.unpause', 'Running', 'xen2', ['xen2']),
        ('VM.suspend', 'Suspended', None, []),
    ]
    for method, *after in steps:
        assert sim.state()['ended'] == []
        assert pool(method, vm) == ''
        assert state(pool, vm) == tuple(after)
    xen3 = pool.hosts['xen3']
    assert pool('VM.resume_on', vm, xen3, False, False) == ''
    assert state(pool, vm) == ('Running', 'xen3', ['xen3'])
    for method in ('VM.clean_reboot', 'VM.hard_reboot'):
        assert pool(method, vm) == ''
        assert state(pool, vm) == ('Running', 'xen3', ['xen3'])
    assert pool('VM.clean_shutdown', vm) == ''
    assert state(pool, vm) == ('Halted', None, [])
    # Suspended, and shut down.
    assert sim.state()['ended'] == 2 * [pool('VM.get_uuid', vm)]
    assert len(pool('VM.get_allowed_operations', vm)) == 15
    assert pool('task.get_all') == []


@pytest.mark.parametrize(
    ('method', 'more', 'states'),
    [
        ('VM.pause', [], 'running'),
        ('VM.unpause', [], 'paused'),
        ('VM.suspend', [], 'running'),
        ('VM.resume', [False, False], 'suspended'),
        ('VM.clean_reboot', [], 'running'),
        ('VM.hard_reboot', [], 'paused, running'),
        ('VM.hard_shutdown', [], 'paused, suspended, running'),
    ],
)
def test_a_wrong_state(pool, method, more, states):
    vm = pool.vm('xen2', 'v', power_state='Halted')
    answer = pool(method, vm, *more)
    assert answer == ['ERR', 'VM_BAD_POWER_STATE', vm, states, 'halted']


def test_a_guest_without_drivers(pool):
    vm = pool.vm('xen2', 'v', pv_drivers=False)
    answer = pool('VM.clean_shutdown', vm)
    assert answer == ['ERR', 'VM_LACKS_FEATURE', vm]
    assert 'suspend' not in pool('VM.get_allowed_operations', vm)


@pytest.mark.parametrize(
    ('class_', 'field', 'value'),
    [
        ('VM_guest_metrics', 'other', {'feature-shutdown': '1'}),
        ('VM_metrics', 'current_domain_type', 'pv'),
    ],
)
def test_a_guest_that_can_be_shut_down_without_drivers(
    pool, sim, class_, field, value
):
    vm = pool.vm('xen2', 'v', pv_drivers=False)
    names = {'VM_guest_metrics': 'guest_metrics', 'VM_metrics': 'metrics'}
    ref = pool(f'VM.get_{names[class_]}', vm)
    sim.set_record('xen1', class_, ref, **{field: value})
    assert pool('VM.clean_shutdown', vm) == ''
    assert state(pool, vm) == ('Halted', None, [])


def hang(pool, sim, vm, **more):
    uuid = pool('VM.get_uuid', vm)
    sim.plant('VM.clean_shutdown', 'xen1', 'hang', step=uuid, **more)
    return pool('Async.VM.clean_shutdown', vm)


def test_a_guest_that_does_not_go_down(pool, sim, clk):
    vm = pool.vm('xen2', 'v')
    task = hang(pool, sim, vm)
    clk.advance(600)
    assert pool.doing(vm) == ['clean_shutdown']
    allowed = pool('VM.get_allowed_operations', vm)
    assert sorted(allowed) == ['hard_reboot', 'hard_shutdown']
    clk.advance(601)
    assert pool('task.get_error_info', task) == [
        'VM_SHUTDOWN_TIMEOUT',
        vm,
        '1200.',
    ]
    assert pool.doing(vm) == []
    assert state(pool, vm) == ('Running', 'xen2', ['xen2'])
    # It is asked once more, and goes down.
    assert pool('VM.clean_shutdown', vm) == ''
    assert state(pool, vm) == ('Halted', None, [])


def test_a_shutdown_that_is_cancelled(pool, sim, clk):
    vm = pool.vm('xen2', 'v')
    task = hang(pool, sim, vm)
    clk.advance(5)
    assert pool('task.cancel', task) == ''
    clk.advance(2)
    assert pool('task.get_status', task) == 'cancelled'
    assert pool.doing(vm) == []
    assert state(pool, vm) == ('Running', 'xen2', ['xen2'])


def test_a_hard_shutdown_breaks_a_clean_one_off(pool, sim, clk):
    vm = pool.vm('xen2', 'v')
    task = hang(pool, sim, vm)
    clk.advance(5)
    hard = pool('Async.VM.hard_shutdown', vm)
    clk.advance(3)
    assert pool('task.get_status', task) == 'cancelled'
    assert pool('task.get_status', hard) == 'success'
    assert state(pool, vm) == ('Halted', None, [])


@pytest.mark.parametrize(
    ('method', 'operation', 'on_host'),
    [('VM.start', 'start', 'vm_start'), ('VM.start_on', 'start_on', None)],
)
def test_the_names_of_operations(pool, clk, method, operation, on_host):
    vm = pool.vm('xen2', 'v', power_state='Halted')
    where = [pool.hosts['xen2']] if operation == 'start_on' else []
    pool(f'Async.{method}', vm, *where, False, False)
    clk.advance(0.5)
    assert pool.doing(vm) == [operation]
    assert pool.operations('xen2') == [on_host or 'vm_start']
    clk.advance(1)
    assert state(pool, vm) == ('Running', 'xen2', ['xen2'])


def test_a_plain_call_has_a_task_while_it_runs(pool, clk, call):
    vm = pool.vm('xen2', 'v', power_state='Halted')
    seen = []

    def look():
        records = call('xen1', 'task.get_all_records', pool.session)
        seen.extend(records.values())

    clk.call_later(0.5, look)
    assert pool('VM.start', vm, False, False) == ''
    assert [record['name_label'] for record in seen] == ['VM.start']
    assert pool('task.get_all') == []


def test_create_and_destroy(pool):
    vm = pool(
        'VM.create',
        {
            'name_label': 'made',
            'memory_static_max': str(2 << 30),
            'memory_dynamic_max': str(2 << 30),
            'VCPUs_max': '2',
            'other_config': {'a': 'b'},
            'tags': ['t'],
        },
    )
    record = pool('VM.get_record', vm)
    assert (record['name_label'], record['power_state']) == ('made', 'Halted')
    assert record['memory_static_max'] == str(2 << 30)
    assert (record['other_config'], record['tags']) == ({'a': 'b'}, ['t'])
    assert pool('VM.start_on', vm, pool.hosts['xen3'], False, False) == ''
    assert pool.places(vm) == ['xen3']
    assert pool('VM.hard_shutdown', vm) == ''
    assert pool('VM.destroy', vm) == ''


def test_its_own_disabled_host(pool):
    running = pool.vm('xen2', 'running')
    halted = pool.vm('xen2', 'halted', power_state='Halted')
    xen2 = pool.hosts['xen2']
    assert pool('host.disable', xen2) == ''
    assert pool('VM.assert_can_boot_here', running, xen2) == ''
    assert len(pool('VM.get_possible_hosts', running)) == 3
    answer = pool('VM.assert_can_boot_here', halted, xen2)
    assert answer == ['ERR', 'HOST_DISABLED', xen2]
    assert xen2 not in pool('VM.get_possible_hosts', halted)


def test_a_guest_needs_its_memory_once(pool):
    vm = pool.vm('xen2', 'v', memory=40 << 30)
    assert pool('VM.assert_can_boot_here', vm, pool.hosts['xen2']) == ''


def test_questions_about_a_move(pool, sim):
    vm, xen3 = pool.vm('xen2', 'v'), pool.hosts['xen3']
    ask = ('VM.assert_can_migrate', vm)
    rest = (True, {}, {}, {})
    answer = pool(*ask, {}, *rest)
    assert answer == ['ERR', 'INTERNAL_ERROR', 'Not_found']
    assert pool(*ask, {'host': xen3}, *rest) == ''
    pool('host.disable', xen3)
    answer = pool(*ask, {'host': xen3}, *rest)
    assert answer == ['ERR', 'HOST_DISABLED', xen3]
    assert pool('VM.assert_agile', vm) == ''
    sim.add_sr('xen2', 'disks', vdis=[{'name': 'd'}])
    tied = pool.vm('xen2', 'tied', vdis=['d'])
    (sr,) = pool('SR.get_by_name_label', 'disks')
    code = 'HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED'
    assert pool('VM.assert_agile', tied) == ['ERR', code, sr]
    xen2 = pool.hosts['xen2']
    assert pool('host.get_uncooperative_resident_VMs', xen2) == []


def test_a_vlan(pool):
    network = pool('network.create', {'name_label': 'n'})
    (pif,) = [
        ref
        for ref, record in pool('PIF.get_all_records').items()
        if record['host'] == pool.hosts['xen2']
    ]
    vlan = pool('VLAN.create', pif, '7', network)
    assert pool('VLAN.get_tag', vlan) == '7'
    assert pool('VLAN.get_tagged_PIF', vlan) == pif
    untagged = pool('VLAN.get_untagged_PIF', vlan)
    assert pool('PIF.get_network', untagged) == network
    assert pool('VLAN.create', pif, '7', network)[1] == 'PIF_VLAN_EXISTS'
    assert pool('VLAN.create', pif, '5000', network)[1] == 'VLAN_TAG_INVALID'
    answer = pool('VLAN.create', pif, '8', network)
    assert answer[1] == 'NETWORK_ALREADY_CONNECTED'


def test_messages(pool, sim):
    uuid = sim.host('xen2').uuid
    ref = pool('message.create', 'HELLO', '5', 'Host', uuid, 'text')
    record = pool('message.get_record', ref)
    assert (record['name'], record['body']) == ('HELLO', 'text')
    since = datetime.datetime(1970, 1, 1)
    assert list(pool('message.get', 'Host', uuid, since)) == [ref]
    assert list(pool('message.get_all_records')) == [ref]
    answer = pool('message.create', 'HELLO', '5', 'VM', uuid, '')
    assert answer == ['ERR', 'UUID_INVALID', 'VM', uuid]
    assert pool('message.destroy', ref) == ''
    assert pool('message.get_all') == []
