"""host.evacuate, its task and its subtasks: xapi#evacuation-plan."""

import pytest

from tests.functional.xensim import pools
from tests.functional.xensim import test_moves as moves


@pytest.fixture
def described():
    return pools.described(migrate_per_gib=3.0)


def begin(pool, count, batch=0):
    """Guests of xen2 on their way, and the task of the evacuation."""
    vms = pools.add_guests(pool, 'xen2', count)
    ref = pool.hosts['xen2']
    task = pool('Async.host.evacuate', ref, pools.NULL, str(batch))
    return vms, task


def test_a_cancel_is_answered_and_ignored(pool, clk):
    vms, task = begin(pool, 3, batch=1)
    clk.advance(2)
    record = pool('task.get_record', task)
    assert record['allowed_operations'] == ['cancel']
    assert pool('task.cancel', task) == ''
    seen = set()
    for _ in range(120):
        clk.advance(0.1)
        record = pool('task.get_record', task)
        seen.add((record['status'], round(float(record['progress']), 2)))
    assert seen == {
        ('pending', 0.0),
        ('pending', 0.33),
        ('pending', 0.67),
        ('success', 1.0),
    }
    assert 'xen2' not in {pool.home(vm) for vm in vms}


def test_its_task_and_its_moves(pool, clk):
    _vms, task = begin(pool, 3)
    clk.advance(1)
    subtasks = pool('task.get_subtasks', task)
    assert len(subtasks) == 3
    for subtask in subtasks:
        record = pool('task.get_record', subtask)
        assert record['name_label'] == 'Async.VM.pool_migrate'
        assert record['subtask_of'] == task
        assert record['resident_on'] == pool.hosts['xen2']
        assert record['allowed_operations'] == ['cancel']
    assert pool('task.get_resident_on', task) == pool.hosts['xen1']
    assert pool.operations('xen2') == ['evacuate']
    allowed = sorted(pool.host('xen2')['allowed_operations'])
    assert allowed == ['enable', 'evacuate', 'vm_start']
    assert pool('host.enable', pool.hosts['xen2']) == ''
    clk.advance(4)
    record = pool('task.get_record', task)
    assert (record['status'], record['subtasks']) == ('success', [])
    assert record['result'] == '<value></value>'


def test_ten_at_once_and_the_next_as_one_ends(pool, clk):
    begin(pool, 13)
    seen = []
    for _ in range(80):
        clk.advance(0.2)
        labels = [
            record['name_label']
            for record in pool('task.get_all_records').values()
        ]
        seen.append(labels.count('Async.VM.pool_migrate'))
    assert max(seen) == 10
    after = seen[seen.index(10) :]
    assert after[: after.index(9)].count(10) > 15
    assert seen[-1] == 0


def test_a_second_one_is_refused_about_a_guest(pool, clk):
    vms, task = begin(pool, 2)
    clk.advance(1)
    answer = pool('host.evacuate', pool.hosts['xen2'])
    assert answer[1:3] == ['OTHER_OPERATION_IN_PROGRESS', 'VM']
    assert answer[3] in vms
    assert answer[4] == 'pool_migrate'
    assert answer[5] in pool('task.get_subtasks', task)


def test_one_subtask_cancelled_fails_it_and_others_go_on(pool, clk):
    vms, task = begin(pool, 4)
    clk.advance(1)
    first = pool('task.get_subtasks', task)[0]
    assert pool('task.cancel', first) == ''
    clk.advance(0.6)
    status, error = pool.ended(task)
    assert (status, error[0]) == ('failure', 'INTERNAL_ERROR')
    assert error[1].startswith('unexpected status of migration task')
    assert pool('task.get_status', first)[1] == 'HANDLE_INVALID'
    assert pool.operations('xen2') == []
    assert {pool.home(vm) for vm in vms} == {'xen2'}
    clk.advance(4)
    homes = [pool.home(vm) for vm in vms]
    assert homes.count('xen2') == 1
    assert pool('host.evacuate', pool.hosts['xen2']) == ''


@pytest.mark.parametrize('name', ['xen1', 'xen2'])
def test_the_session_of_a_plain_one_ends(pool, clk, clients, call, name):
    vms = pools.add_guests(pool, name, 2)
    ref, host = clients.ref('xen1'), pool.hosts[name]
    clk.call_later(1, lambda: call('xen1', 'session.logout', ref))
    assert call('xen1', 'host.evacuate', ref, host, pools.NULL, '1') == ''
    assert name not in {pool.home(vm) for vm in vms}


def test_one_after_another_as_older_products_do(clk, pool, sim):
    sim.host('xen1').spec.version = 'xcp-ng-8.2'
    pools.add_guests(pool, 'xen2', 3)
    task = pool('Async.host.evacuate', pool.hosts['xen2'])
    clk.advance(1)
    assert len(pool('task.get_subtasks', task)) == 1


def test_over_a_network(pool, sim):
    """Each target is asked for its address before anything moves."""
    storage = moves.Storage(pool, sim, IP='')
    pools.add_guests(pool, 'xen2', 4)
    ref = pool.hosts['xen2']
    db = sim.host('xen1').database
    answer = pool('host.evacuate', ref, storage.ref, '0')
    assert answer[1] in ('PIF_NOT_PRESENT', 'INTERFACE_HAS_NO_IP')
    assert sim.streams == []
    assert pool('host.disable', pool.hosts['xen1']) == ''
    answer = pool('host.evacuate', ref, storage.ref, '0')
    assert storage.error(answer) == ['ERR', 'INTERFACE_HAS_NO_IP', 'pif']
    [pif] = db.where('PIF', network=storage.ref)
    sim.set_record('xen1', 'PIF', pif, IP=moves.ADDRESS)
    assert pool('host.evacuate', ref, storage.ref, '0') == ''
    assert {sent.address for sent in sim.streams} == {moves.ADDRESS}
    assert len(sim.streams) == 4
