"""event.from and event.next: xapi#events and xapi#simulation-checks."""

import http.client
import json
import time

import pytest
import XenAPI

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests.functional.xensim import conftest
from tests.functional.xensim import waiting


@pytest.fixture
def session(clients):
    return clients.login('xen1')


@pytest.fixture
def pool(session):
    (ref,) = session.xenapi.pool.get_all()
    return ref


@pytest.fixture
def token(session):
    return session.xenapi.event_from(['*'], '', 0.0)['token']


def told(batch):
    return [
        (event['operation'], event['class'], event['ref'])
        for event in batch['events']
    ]


def test_an_empty_token_replays_everything_as_records_json_has_it(
    session, pool
):
    batch = session.xenapi.event_from(['pool', 'host'], '', 0.0)
    (host,) = session.xenapi.host.get_all()
    assert sorted(told(batch)) == [
        ('add', 'host', host),
        ('add', 'pool', pool),
    ]
    for event in batch['events']:
        assert event['timestamp'] == '0.0'
        assert event['id'].isdigit()
        read = getattr(session.xenapi, event['class']).get_record
        assert event['snapshot'] == read(event['ref'])
    counts = batch['valid_ref_counts']
    assert (counts['pool'], counts['host'], counts['vm']) == (1, 1, 1)
    assert all(type(count) is int for count in counts.values())
    assert len(batch['token']) == 41


def test_everything_is_all_classes_but_credentials(session):
    batch = session.xenapi.event_from(['*'], '', 0.0)
    classes = {event['class'] for event in batch['events']}
    assert {'pool', 'host', 'vm', 'sr', 'pbd', 'pif', 'network'} <= classes
    assert not {'session', 'secret'} & classes


def test_nothing_new_is_an_empty_batch(session, token):
    batch = session.xenapi.event_from(['*'], token, 0.0)
    assert batch['events'] == []
    assert batch['token'] >= token


def test_changes_of_one_record_coalesce(session, pool, token):
    for label in ('a', 'b', 'c'):
        session.xenapi.pool.set_name_label(pool, label)
    session.xenapi.pool.add_to_other_config(pool, 'key', 'value')
    batch = session.xenapi.event_from(['*'], token, 0.0)
    assert told(batch) == [('mod', 'pool', pool)]
    snapshot = batch['events'][0]['snapshot']
    assert snapshot['name_label'] == 'c'
    assert snapshot['other_config']['key'] == 'value'
    again = session.xenapi.event_from(['*'], batch['token'], 0.0)
    assert again['events'] == []


def test_writing_the_same_value_is_no_event(session, pool, token):
    session.xenapi.pool.set_name_label(pool, '')
    session.xenapi.pool.remove_from_other_config(pool, 'nothing')
    assert told(session.xenapi.event_from(['*'], token, 0.0)) == []


def test_destroying_a_running_task_only_marks_it(session):
    task = session.xenapi.task.create('label', '')
    token = session.xenapi.event_from(['task'], '', 0.0)['token']
    session.xenapi.task.set_other_config(task, {'a': 'b'})
    session.xenapi.task.destroy(task)
    first = session.xenapi.event_from(['task'], token, 0.0)
    assert told(first) == [('mod', 'task', task)]
    marked = session.xenapi.task.get_record(task)
    assert marked['status'] == 'pending'


def test_a_deletion_and_what_came_and_went(session, sim, token):
    vm = sim.add_vm('xen1', 'one', power_state='Halted')
    ref = session.xenapi.VM.get_by_uuid(vm)
    batch = session.xenapi.event_from(['VM'], token, 0.0)
    assert told(batch) == [('add', 'vm', ref)]
    session.xenapi.VM.destroy(ref)
    gone = session.xenapi.event_from(['VM'], batch['token'], 0.0)
    assert told(gone) == [('del', 'vm', ref)]
    assert 'snapshot' not in gone['events'][0]
    assert gone['valid_ref_counts']['vm'] == 1
    assert told(session.xenapi.event_from(['VM'], token, 0.0)) == []


def test_the_other_end_of_a_reference_changes_too(session, sim, token):
    sim.add_sr('xen1', 'more')
    (host,) = session.xenapi.host.get_all()
    batch = session.xenapi.event_from(['host', 'SR'], token, 0.0)
    assert ('mod', 'host', host) in told(batch)
    assert [kind for _, kind, _ in told(batch)].count('sr') == 1


def test_one_task_can_be_watched(clients, clk, sim):
    session = clients.login('xen2')
    task = session.xenapi.Async.pool.join(
        conftest.MASTER, 'root', conftest.PASSWORD
    )
    wanted = [f'task/{task}']
    first = session.xenapi.event_from(wanted, '', 0.0)
    assert told(first) == [('add', 'task', task)]
    waiter = clients.login('xen2')
    call = waiting.blocked(
        sim, 'xen2', waiter.xenapi.event_from, wanted, first['token'], 60.0
    )
    clk.advance(2.5)
    (event,) = call.result()['events']
    assert event['operation'] == 'mod'
    assert event['snapshot']['status'] == 'success'


@pytest.mark.parametrize('bad', ['x', '1', '1,', 'a,b', '1,2,3'])
def test_bad_token(call, clients, bad):
    ref = clients.ref('xen1')
    assert call('xen1', 'event.from', ref, ['*'], bad, 0.0) == [
        'ERR',
        'EVENT_FROM_TOKEN_PARSE_FAILURE',
        bad,
    ]


@pytest.mark.parametrize('bad', ['', 'task/', '/x', 'a/b/c', 'a b'])
def test_bad_subscription(call, clients, bad):
    ref = clients.ref('xen1')
    assert call('xen1', 'event.from', ref, ['pool', bad], '', 0.0) == [
        'ERR',
        'EVENT_SUBSCRIPTION_PARSE_FAILURE',
        bad,
    ]


def test_the_timeout_is_a_float(call, clients):
    ref = clients.ref('xen1')
    assert call('xen1', 'event.from', ref, ['*'], '', 'soon')[1:] == [
        'INTERNAL_ERROR',
        'Failure("Expected float, got \'S(soon)\'")',
    ]


def test_a_blocked_call_is_woken_and_moves_no_time(
    clients, session, pool, sim, clk, token
):
    before = clk.time()
    waiter = clients.login('xen1')
    call = waiting.blocked(
        sim, 'xen1', waiter.xenapi.event_from, ['pool'], token, 60.0
    )
    session.xenapi.network.create({'name_label': 'not wanted'})
    assert call.running
    session.xenapi.pool.set_name_label(pool, 'new')
    assert told(call.result()) == [('mod', 'pool', pool)]
    assert clk.time() == before
    assert sim.host('xen1').xapi.waiting == set()


def test_a_blocked_call_ends_with_simulated_time(clients, sim, clk, token):
    waiter = clients.login('xen1')
    call = waiting.blocked(
        sim, 'xen1', waiter.xenapi.event_from, ['pool'], token, 60.0
    )
    clk.advance(59)
    assert call.running
    clk.advance(1)
    assert call.result()['events'] == []


def test_a_blocked_call_ends_with_real_time(session, clk, token):
    before, started = clk.time(), time.monotonic()
    batch = session.xenapi.event_from(['pool'], token, 0.2)
    assert batch['events'] == []
    assert 0.2 <= time.monotonic() - started < 5
    assert clk.time() == before


def test_one_step_of_the_clock_is_one_batch(clients, join, sim, clk):
    watcher = clients.login('xen1')
    token = watcher.xenapi.event_from(['*'], '', 0.0)['token']
    assert join() == ''
    batch = watcher.xenapi.event_from(['host'], token, 0.0)
    call = waiting.blocked(
        sim, 'xen1', watcher.xenapi.event_from, ['host'], batch['token'], 90.0
    )
    clk.advance(30)
    (event,) = call.result()['events']
    assert event['snapshot']['enabled'] is True


def test_the_connection_dies_with_xapi_and_all_is_replayed(
    call, clients, sim, clk, token
):
    """xapi#simulation-checks, the last item."""
    ref = clients.ref('xen1')
    blocked = waiting.blocked(
        sim, 'xen1', call, 'xen1', 'event.from', ref, ['*'], token, 60.0
    )
    sim.restart_toolstack('xen1')
    assert isinstance(blocked.result(), OSError)
    clk.advance(10)
    assert call('xen1', 'event.from', ref, ['*'], token, 0.0) == [
        'ERR',
        'SESSION_INVALID',
        ref,
    ]
    fresh = clients.ref('xen1')
    batch = call('xen1', 'event.from', fresh, ['pool'], '', 0.0)
    assert [event['operation'] for event in batch['events']] == ['add']


def test_the_end_of_the_session_ends_a_blocked_call(call, clients, sim, token):
    ref = clients.ref('xen1')
    blocked = waiting.blocked(
        sim, 'xen1', call, 'xen1', 'event.from', ref, ['VM'], token, 60.0
    )
    assert call('xen1', 'session.logout', ref) == ''
    assert blocked.result() == ['ERR', 'SESSION_INVALID', ref]


def test_a_slave_has_no_events(call, clients, joined):
    """Its own words for a local and for a master's session.

    See xapi#slave-answers.
    """
    local = call(
        'xen2', 'session.slave_local_login_with_password', 'root', 'secret'
    )
    answer = call('xen2', 'event.from', local, ['pool'], '', 0.0)
    assert answer == ['ERR', 'INTERNAL_ERROR', 'missing table', 'pool', '']
    ref = clients.ref('xen1')
    answer = call('xen2', 'event.from', ref, ['pool'], '', 0.0)
    assert answer == ['ERR', 'HOST_IS_SLAVE', conftest.MASTER]


def test_there_are_no_asynchronous_events(call, clients):
    ref = clients.ref('xen1')
    assert call('xen1', 'Async.event.from', ref, ['*'], '', 0.0) == [
        'ERR',
        'Fault',
        'No async mode for this operation (rpc: event.from)',
    ]


def test_event_next_needs_a_registration(clients, session, pool, sim):
    with pytest.raises(XenAPI.Failure) as caught:
        session.xenapi.event.next()
    assert caught.value.details == ['SESSION_NOT_REGISTERED', session.handle]
    waiter = clients.login('xen1')
    waiter.xenapi.event.register(['pool'])
    call = waiting.blocked(sim, 'xen1', waiter.xenapi.event.next)
    session.xenapi.pool.set_name_label(pool, 'new')
    (event,) = call.result()
    assert (event['ref'], event['operation']) == (pool, 'mod')
    session.xenapi.pool.set_name_label(pool, 'newer')
    (event,) = waiter.xenapi.event.next()
    assert event['snapshot']['name_label'] == 'newer'
    waiter.xenapi.event.unregister(['pool'])
    with pytest.raises(XenAPI.Failure, match='SESSION_NOT_REGISTERED'):
        waiter.xenapi.event.next()


def test_an_injected_event_has_a_token(session, pool, token):
    injected = session.xenapi.event.inject('pool', pool)
    assert injected > token
    batch = session.xenapi.event_from(['pool'], token, 0.0)
    assert told(batch) == [('mod', 'pool', pool)]
    assert batch['token'] >= injected
    assert int(session.xenapi.event.get_current_id()) > 0


def test_events_on_a_running_clock():
    described = topology.load({'hosts': [{'name': 'xen1'}]})
    running = clock.RunningClock(20)
    with simulator.Simulator(described, running) as sim:
        clients = conftest.Clients(sim)
        session, waiter = clients.login('xen1'), clients.login('xen1')
        token = session.xenapi.event_from(['*'], '', 0.0)['token']
        empty = session.xenapi.event_from(['pool'], token, 2.0)
        assert empty['events'] == []
        call = waiting.blocked(
            sim, 'xen1', waiter.xenapi.event_from, ['pool'], token, 1000.0
        )
        (pool,) = session.xenapi.pool.get_all()
        session.xenapi.pool.set_name_label(pool, 'new')
        assert told(call.result()) == [('mod', 'pool', pool)]
        clients.close()


def test_events_in_json_have_numbers(sim, clients):
    """xapi#wire: what is text in XML-RPC is a number in JSON."""
    ref = clients.ref('xen1')
    body = {
        'jsonrpc': '2.0',
        'method': 'event.from',
        'params': [ref, ['VM'], '', 60.1],
        'id': 1,
    }
    connection = http.client.HTTPConnection('127.0.0.1', sim.host('xen1').port)
    connection.request('POST', '/jsonrpc', json.dumps(body))
    result = json.load(connection.getresponse())['result']
    connection.close()
    (event,) = result['events']
    assert event['snapshot']['VCPUs_max'] == 2
    assert event['timestamp'] == '0.0'
    assert result['valid_ref_counts']['vm'] == 1
