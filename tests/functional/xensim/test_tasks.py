"""Tasks: how they end, are cancelled and collected (xapi#tasks)."""

import pytest


@pytest.fixture
def described():
    halted = {'name': 'vm', 'power_state': 'Halted'}
    return {
        'hosts': [{'name': 'xen1', 'vms': [halted]}, {'name': 'xen2'}],
        'times': {'vm_start': 8, 'pool_operation_retry': 8},
    }


@pytest.fixture
def ref(clients):
    return clients.ref('xen1')


@pytest.fixture
def vm(call, ref):
    (found,) = call('xen1', 'VM.get_by_name_label', ref, 'vm')
    return found


@pytest.mark.parametrize(
    'method',
    [
        'session.logout',
        'event.from',
        'task.create',
        'session.get_uuid',
    ],
)
def test_classes_without_async(call, ref, method):
    parameters = {
        'event.from': (['*'], '', 0.0),
        'task.create': ('', ''),
        'session.get_uuid': (ref,),
    }
    answer = call('xen1', f'Async.{method}', ref, *parameters.get(method, ()))
    assert answer == [
        'ERR',
        'Fault',
        f'No async mode for this operation (rpc: {method})',
    ]


def test_a_finished_task_is_collected_after_65_minutes(call, ref, vm, clk):
    task = call('xen1', 'Async.VM.start', ref, vm, False, False)
    clk.advance(8)
    assert call('xen1', 'task.get_status', ref, task) == 'success'
    clk.advance(3899)
    assert call('xen1', 'task.get_status', ref, task) == 'success'
    clk.advance(1)
    answer = call('xen1', 'task.get_status', ref, task)
    assert answer == ['ERR', 'HANDLE_INVALID', 'task', task]


def test_a_pending_task_is_collected_after_a_day(call, clients, ref, clk):
    task = call('xen1', 'task.create', ref, 'mine', '')
    clk.advance(86399)
    fresh = clients.ref('xen1')
    assert call('xen1', 'task.get_status', fresh, task) == 'pending'
    clk.advance(1)
    answer = call('xen1', 'task.get_status', fresh, task)
    assert answer[1] == 'HANDLE_INVALID'


def test_a_task_which_allows_it_is_cancelled(call, ref, vm, clk):
    task = call('xen1', 'Async.VM.start', ref, vm, False, False)
    allowed = call('xen1', 'task.get_allowed_operations', ref, task)
    assert allowed == ['cancel']
    assert call('xen1', 'task.cancel', ref, task) == ''
    assert call('xen1', 'task.get_status', ref, task) == 'cancelling'
    clk.advance(8)
    record = call('xen1', 'task.get_record', ref, task)
    assert record['status'] == 'cancelled'
    assert record['error_info'] == []
    assert record['progress'] == 1.0
    assert record['allowed_operations'] == []
    assert call('xen1', 'VM.get_power_state', ref, vm) == 'Halted'


def test_a_join_does_not_react(call, clients, clk, sim):
    ref = clients.ref('xen2')
    login = ('10.0.0.11', 'root', 'secret')
    task = call('xen2', 'Async.pool.join', ref, *login)
    assert call('xen2', 'task.get_allowed_operations', ref, task) == []
    assert call('xen2', 'task.cancel', ref, task) == ''
    clk.advance(3)
    assert call('xen2', 'task.get_status', ref, task) == 'success'


def test_tasks_die_with_xapi(call, clients, ref, clk, sim):
    """xapi#session-validity."""
    call('xen1', 'task.create', ref, 'mine', '')
    sim.restart_toolstack('xen1')
    clk.advance(10)
    fresh = clients.ref('xen1')
    assert call('xen1', 'task.get_all', fresh) == []
