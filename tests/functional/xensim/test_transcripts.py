"""The stories of a running xapi, replayed: same answers, order and times."""

import http.client
import urllib.parse

import pytest

from tests.functional.xensim import stages
from tests.functional.xensim import transcripts
from tests.functional.xensim import waiting

STEP = 0.1
COARSE = 0.25
"""For what costs many calls and lasts for longer."""
TOLERANCE = 1.0
"""Runs of xapi differ by as much, and polls saw changes late."""
STORY = 24.0
LONGER = 28.0
"""A story with a reboot."""


@pytest.fixture
def stage(clients, clk):
    return stages.Stage(clients, clk)


def late_join(stage, sim):
    """A join of xen2 that fails when its role is written."""
    code = 'REPOSITORY_CLEANUP_FAILED'
    sim.plant(host='xen2', step='S9', code=code, parameters=())
    answer = stage.call('xen2', 'pool.join', '@old', *stages.LOGIN)
    assert answer == ['ERR', code]
    stage.clk.advance(30)


def disable(stage, sim, ref='@host'):
    stage.call('xen1', 'host.disable', '@old', ref)


# Story -> the hosts that joined before, what else came before, the call or
# the blow with which it begins.
STORIES = {
    'join': (
        (),
        None,
        lambda stage, sim: stage.call(
            'xen2', 'Async.pool.join', '@old', *stages.LOGIN
        ),
    ),
    'eject': (
        ('xen2',),
        None,
        lambda stage, sim: stage.call(
            'xen1', 'Async.pool.eject', '@old', '@host'
        ),
    ),
    'half join': (
        (),
        late_join,
        lambda stage, sim: sim.restart_toolstack('xen2'),
    ),
    'restart of a slave': (
        ('xen2',),
        disable,
        lambda stage, sim: stage.call(
            'xen1', 'host.restart_agent', '@old', '@host'
        ),
    ),
    'death of a slave': (
        ('xen2',),
        None,
        lambda stage, sim: sim.restart_toolstack('xen2'),
    ),
    'reboot of a slave': (
        ('xen2',),
        disable,
        lambda stage, sim: stage.call('xen1', 'host.reboot', '@old', '@host'),
    ),
    'death of the master': (
        ('xen2', 'xen3'),
        None,
        lambda stage, sim: sim.restart_toolstack('xen1'),
    ),
    'reboot of the master': (
        ('xen2', 'xen3'),
        lambda stage, sim: disable(stage, sim, '@master'),
        lambda stage, sim: stage.call(
            'xen1', 'host.reboot', '@old', '@master'
        ),
    ),
}


@pytest.mark.parametrize(
    ('story', 'watched'),
    [
        (story, watched)
        for story, watches in transcripts.WATCHES.items()
        for watched in watches
    ],
)
def test_changes(story, watched, stage, join, clk, sim):
    joined, before, begin = STORIES[story]
    for name in joined:
        join(name)
        clk.advance(30)
    stage.prepare(story)
    if before:
        before(stage, sim)
    changes = [(stages.WATCHERS[watched](stage), 0.0)]
    begin(stage, sim)
    started = clk.time()
    lasts = LONGER if 'reboot' in story else STORY
    step = COARSE if watched in ('live', 'hosts', 'fresh look') else STEP
    while clk.time() < started + lasts:
        answer = stages.WATCHERS[watched](stage)
        if answer != changes[-1][0]:
            changes.append((answer, clk.time() - started))
        clk.advance(step)
    expected = transcripts.WATCHES[story][watched]
    assert [answer for answer, _ in changes] == [row[0] for row in expected]
    for (_, moment), (answer, *moments) in zip(changes, expected, strict=True):
        if moments:
            first, last = min(moments), max(moments)
            told = f'{answer} after {moment}, not {moments}'
            assert first - TOLERANCE <= moment <= last + TOLERANCE, told


def play(stage, rows):
    """Make the calls of a table one after another."""
    for host, method, params, expected, *taken in rows:
        before = stage.clk.time()
        answer = stage.call(host, method, *params)
        if expected == '@@':
            assert answer.startswith('OpaqueRef:'), (method, params)
        else:
            assert answer == expected, (method, params)
        if taken:
            took = stage.clk.time() - before
            assert took == pytest.approx(taken[0], abs=0.3), (method, params)


def test_errors(stage):
    (stage.refs['@master'],) = stage.named('xen1')
    (stage.refs['@pool'],) = stage.read('pool')
    stage.refs['@old'] = stage.clients.ref('xen1')
    play(stage, transcripts.ERRORS)
    assert 'pool.join' in stage.clients.session('xen1').system.listMethods()


def test_slave(joined, stage):
    stage.prepare('slave')
    play(stage, transcripts.SLAVES)
    for path in ('/', '/jsonrpc', '/nosuch'):
        for host in ('xen1', 'xen2'):
            assert fetch(joined.host(host).url, path) == (403, 'close', True)


def fetch(url, path):
    """Status, what becomes of the connection, whether it says so."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    connection.request('GET', path)
    answer = connection.getresponse()
    said = b'<h1>HTTP 403 forbidden</h1>' in answer.read()
    connection.close()
    return answer.status, answer.getheader('connection'), said


def test_a_long_poll_is_cut_when_the_joiner_restarts(stage, sim, clk, clients):
    stage.prepare('join')
    old = stage.refs['@old']
    first = clients.call('xen2', 'event.from', old, ['*'], '', 1.0)
    assert {event['operation'] for event in first['events']} == {'add'}
    poll = ('event.from', old, ['pool'], first['token'], 60.0)
    blocked = waiting.blocked(sim, 'xen2', clients.call, 'xen2', *poll)
    stage.call('xen2', 'pool.join', '@old', *stages.LOGIN)
    clk.advance(9.9)
    assert blocked.running
    clk.advance(0.2)
    assert isinstance(blocked.result(), ConnectionError)


def test_after_an_eject(joined, stage, clk):
    stage.prepare('eject')
    call = stage.call
    uuid = stage.read('host')[stage.refs['@host']]['uuid']
    old_pool = stage.read('pool')[stage.refs['@pool']]['uuid']
    before = clk.time()
    assert call('xen1', 'pool.eject', '@old', '@host') == ''
    assert clk.time() - before == pytest.approx(0.35, abs=0.1)
    assert call('xen1', 'pool.eject', '@old', '@host') == [
        'ERR',
        'HOST_OFFLINE',
        '@host',
    ]
    assert call('xen1', 'host.get_by_uuid', '@old', uuid) == [
        'ERR',
        'UUID_INVALID',
        'host',
        uuid,
    ]
    clk.advance(46)
    ref = stage.clients.ref('xen2')
    (pool,) = call('xen2', 'pool.get_all_records', ref).values()
    ((host, record),) = call('xen2', 'host.get_all_records', ref).items()
    assert (pool['master'], record['uuid']) == (host, uuid)
    assert pool['uuid'] != old_pool
    assert host != stage.refs['@host']
    assert record['enabled'] is True
    networks = call('xen2', 'network.get_all_records', ref).values()
    assert sorted(network['bridge'] for network in networks) == [
        'xenapi',
        'xenbr0',
    ]
    old = call('xen2', 'pool.get_all', '@old')
    assert old == transcripts.OLD_INVALID


def task_of(stage, host, session, task):
    record = stage.call(host, 'task.get_record', session, task)
    fields = 'status progress result error_info name_label type'
    return [
        *[record[field] for field in fields.split()],
        record['allowed_operations'],
    ]


def test_join_cases(stage, sim, clk):
    call, ref = stage.call, stage.clients.ref
    sessions = {name: ref(name) for name in ('xen1', 'xen2', 'xen3')}
    task = call('xen2', 'Async.pool.join', sessions['xen2'], *stages.LOGIN)
    described = ['Async.pool.join', '<none/>', []]
    before = task_of(stage, 'xen2', sessions['xen2'], task)
    assert before == ['pending', 0.0, '', [], *described]
    clk.advance(2.5)
    done = task_of(stage, 'xen2', sessions['xen2'], task)
    assert done == ['success', 1.0, '<value></value>', [], *described]
    clk.advance(20.2)
    assert stages.WATCHERS['hosts'](stage) == [['xen1', True], ['xen2', True]]
    via_slave = ('10.0.0.12', 'root', 'secret')
    answer = call('xen3', 'pool.join', sessions['xen3'], *via_slave)
    assert answer == transcripts.SLAVE
    for method in ('pool.join', 'pool.join_force'):
        to_third = ('10.0.0.13', 'root', 'secret')
        assert call('xen1', method, sessions['xen1'], *to_third) == [
            'ERR',
            'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS',
        ]
    join_with_machine(stage, sim, sessions['xen3'])


def join_with_machine(stage, sim, session):
    """A repeat in the fuse leaves its traces (xapi#join-odd-cases)."""
    call, clk = stage.call, stage.clk
    (pool,) = call('xen3', 'pool.get_all', session)
    network = {'name_label': 'own', 'MTU': '1500', 'other_config': {}}
    assert 'OpaqueRef' in call('xen3', 'network.create', session, network)
    assert call('xen3', 'pool.set_name_label', session, pool, 'third') == ''
    sim.add_vm('xen3', 'v', power_state='Halted')
    (machine,) = call('xen3', 'VM.get_by_name_label', session, 'v')
    assert call('xen3', 'pool.join', session, *stages.LOGIN) == ''
    assert call('xen3', 'VM.hard_shutdown', session, machine) == [
        'ERR',
        'VM_BAD_POWER_STATE',
        machine,
        'paused, suspended, running',
        'halted',
    ]
    assert call('xen3', 'pool.join', session, *stages.LOGIN) == ''
    clk.advance(30)
    assert stages.WATCHERS['hosts'](stage) == [
        ['xen1', True],
        ['xen2', True],
        ['xen3', True],
    ]
    bridges = {
        record['bridge']: len(record['PIFs'])
        for record in stage.read('network').values()
    }
    assert (bridges['xenbr0'], bridges['xenapi']) == (4, 0)
    machines = stage.read('VM').values()
    assert sorted(
        (vm['name_label'], vm['power_state']) for vm in machines
    ) == [
        ('Control domain on host: xen1', 'Running'),
        ('Control domain on host: xen2', 'Running'),
        ('Control domain on host: xen3', 'Running'),
        ('v', 'Halted'),
    ]
    (record,) = stage.read('pool').values()
    assert record['name_label'] == ''


def test_fencing(stage, clk, clients):
    call, first = stage.call, clients.ref('xen2')
    second = clients.ref('xen2')
    uuid = call('xen2', 'session.get_uuid', first, first)
    assert call('xen2', 'session.get_by_uuid', second, uuid) == first
    assert call('xen2', 'session.logout', first) == ''
    invalid = ['ERR', 'SESSION_INVALID', first]
    assert call('xen2', 'pool.get_all', first) == invalid
    assert call('xen2', 'session.get_by_uuid', second, uuid) == [
        'ERR',
        'UUID_INVALID',
        'session',
        uuid,
    ]
    starter = clients.ref('xen2')
    task = call('xen2', 'Async.pool.join', starter, *stages.LOGIN)
    assert call('xen2', 'session.logout', starter) == ''
    started, seen = clk.time(), []
    while clk.time() < started + 12.3:
        status = call('xen2', 'task.get_status', second, task)
        seen += [status] if seen[-1:] != [status] else []
        clk.advance(1.1)
    assert seen == ['pending', 'success']
    assert call('xen2', 'task.get_status', second, task) == (
        transcripts.REFUSED
    )
    clk.advance(10)
    assert stages.WATCHERS['hosts'](stage)[1] == ['xen2', True]
