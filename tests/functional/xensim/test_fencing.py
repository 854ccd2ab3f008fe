"""One login ends another's session: xapi#ending-sessions."""

import threading

from tests.functional.xensim import conftest

LOGIN = (conftest.MASTER, 'root', 'secret')


def test_session_is_found_by_uuid_and_ended(call, clients):
    first, second = clients.ref('xen2'), clients.ref('xen2')
    uuid = call('xen2', 'session.get_uuid', first, first)
    assert call('xen2', 'session.get_by_uuid', second, uuid) == first
    (host,) = call('xen2', 'host.get_all', second)
    assert call('xen2', 'session.get_this_host', second, first) == host
    assert call('xen2', 'session.logout', first) == ''
    assert call('xen2', 'pool.get_all', first) == [
        'ERR',
        'SESSION_INVALID',
        first,
    ]
    assert call('xen2', 'session.get_by_uuid', second, uuid) == [
        'ERR',
        'UUID_INVALID',
        'session',
        uuid,
    ]


def test_a_call_with_an_ended_session_has_no_effect(call, clients, clk, sim):
    ref = clients.ref('xen2')
    call('xen2', 'session.logout', ref)
    for method in ('pool.join', 'Async.pool.join'):
        answer = call('xen2', method, ref, *LOGIN)
        assert answer == ['ERR', 'SESSION_INVALID', ref]
    clk.advance(60)
    assert len(sim.state()['pools']) == 3


def test_a_running_join_goes_on_and_stays_visible(call, clients, clk, sim):
    starter, other = clients.ref('xen2'), clients.ref('xen2')
    task = call('xen2', 'Async.pool.join', starter, *LOGIN)
    assert call('xen2', 'session.logout', starter) == ''

    def tasks():
        records = call('xen2', 'task.get_all_records', other)
        return {ref: rec['status'] for ref, rec in records.items()}

    assert tasks() == {task: 'pending'}
    clk.advance(1.2)
    assert tasks() == {task: 'pending'}
    clk.advance(1.3)
    assert tasks() == {task: 'success'}
    clk.advance(9.8)
    assert tasks() == {task: 'success'}
    clk.advance(20)
    assert call('xen2', 'task.get_all_records', other) == [
        'ERR',
        'SESSION_INVALID',
        other,
    ]
    assert sim.state()['hosts']['xen2']['role'] == 'slave'


def test_a_plain_join_goes_on_and_leaves_no_task(call, clients, clk, sim):
    starter, other = clients.ref('xen2'), clients.ref('xen2')
    fault = sim.plant(call='pool.join', action='hang', step='S2')
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(
            call('xen2', 'pool.join', starter, *LOGIN)
        )
    )
    thread.start()
    assert fault.hit.wait(timeout=10)
    assert call('xen2', 'session.logout', starter) == ''
    assert call('xen2', 'task.get_all', other) == []
    fault.release()
    thread.join(timeout=10)
    assert answers == ['']
    clk.advance(30)
    assert sim.state()['hosts']['xen2']['role'] == 'slave'


def test_tasks_can_be_destroyed(call, clients, clk):
    ref = clients.ref('xen2')
    task = call('xen2', 'Async.pool.join', ref, *LOGIN)
    assert call('xen2', 'task.cancel', ref, task) == ''
    assert call('xen2', 'task.get_status', ref, task) == 'pending'
    clk.advance(3)
    assert call('xen2', 'task.destroy', ref, task) == ''
    assert call('xen2', 'task.get_record', ref, task) == [
        'ERR',
        'HANDLE_INVALID',
        'task',
        task,
    ]
