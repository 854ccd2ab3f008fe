"""What a restart of the simulator keeps, and what dies.

See xapi#simulated-hosts.
"""

import dataclasses
import json
import subprocess
import sys

import pytest
import XenAPI

from aggregates_ext.xensim import control
from aggregates_ext.xensim import main
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.life import disks
from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from aggregates_ext.xensim.world import host as hosts
from tests.functional.xensim import conftest
from tests.functional.xensim import test_main

HOSTS = {'hosts': [{'name': name} for name in ('xen1', 'xen2', 'xen3')]}
STARTED = 60
"""Long enough for all hosts to be up."""


class Room:
    """Hosts which can be switched off and on with all that they keep."""

    def __init__(self, path):
        self.path = path
        self.clients = None
        self.data = HOSTS
        self.start()

    def start(self):
        self.clk = clock.SteppedClock()
        described = topology.load(self.data)
        self.sim = simulator.Simulator(described, self.clk, self.path)
        self.sim.start()
        self.clients = conftest.Clients(self.sim)

    def stop(self):
        self.clients.close()
        self.sim.stop()

    def restart(self, seconds=STARTED):
        self.stop()
        self.start()
        self.clk.advance(seconds)

    def join(self, name, password=conftest.PASSWORD):
        return self.clients.call(
            name,
            'pool.join',
            self.clients.ref(name),
            conftest.MASTER,
            'root',
            password,
        )

    def ask(self, name, method, *params):
        """A call with a session of its own."""
        ref = self.clients.ref(name)
        return self.clients.call(name, method, ref, *params)


@pytest.fixture
def room(tmp_path):
    started = Room(tmp_path / 'state.json')
    yield started
    started.stop()


def test_records_keep_their_refs(room):
    room.join('xen2')
    room.clk.advance(30)
    kinds = ('pool', 'host', 'SR', 'PBD', 'VM', 'PIF', 'network', 'SM')
    before = {kind: room.ask('xen1', f'{kind}.get_all') for kind in kinds}
    room.restart()
    after = {kind: room.ask('xen1', f'{kind}.get_all') for kind in kinds}
    assert after == before


def test_fields_are_the_same(room):
    (pool,) = room.ask('xen1', 'pool.get_all')
    room.ask('xen1', 'pool.set_name_label', pool, 'kept')
    before = room.ask('xen1', 'pool.get_all_records')
    room.restart()
    assert room.ask('xen1', 'pool.get_all_records') == before
    assert before[pool]['name_label'] == 'kept'


def test_roles_and_membership_are_kept(room):
    room.join('xen2')
    room.clk.advance(30)
    before = room.sim.state()
    room.restart()
    after = room.sim.state()
    for fact in ('pools', 'destroyed_vdis'):
        assert after[fact] == before[fact]
    roles = [host['role'] for host in after['hosts'].values()]
    assert roles == ['master', 'slave', 'master']


def test_hosts_start_as_after_a_restart_of_xapi(room):
    room.join('xen2')
    room.clk.advance(30)
    before = room.ask('xen1', 'host.get_all_records')
    room.restart(7)
    login = ('session.login_with_password', 'root', 'secret')
    answer = room.clients.call('xen2', *login)
    assert answer == ['ERR', 'HOST_HAS_NO_MANAGEMENT_IP']
    room.clk.advance(30)
    assert room.clients.call('xen2', *login)[1] == 'HOST_IS_SLAVE'
    after = room.ask('xen1', 'host.get_all_records')
    for ref, record in before.items():
        started = after[ref]['other_config'].pop('agent_start_time')
        assert started > record['other_config'].pop('agent_start_time')
        assert after[ref]['other_config'] == record['other_config']
        assert after[ref]['enabled'] is True


def test_sessions_and_tasks_die(room):
    session = room.clients.ref('xen1')
    task = room.clients.call('xen1', 'task.create', session, 'mine', '')
    room.restart()
    assert room.clients.call('xen1', 'pool.get_all', session) == [
        'ERR',
        'SESSION_INVALID',
        session,
    ]
    assert room.ask('xen1', 'task.get_by_name_label', 'mine') == []
    assert task not in room.path.read_text()


def test_operations_die_with_their_tasks(room):
    room.sim.set_pool('xen1', current_operations={'OpaqueRef:x': 'eject'})
    room.restart()
    (pool,) = room.ask('xen1', 'pool.get_all_records').values()
    assert pool['current_operations'] == {}


def test_a_join_past_its_last_step_is_done_at_the_start(room):
    assert room.join('xen2') == ''
    room.restart()
    assert room.sim.state()['hosts']['xen2']['role'] == 'slave'
    assert len(room.ask('xen1', 'host.get_all')) == 2


def test_a_join_cut_off_earlier_leaves_a_dead_record(room):
    room.sim.plant(call='Async.pool.join', action='hang', step='S7')
    room.ask('xen2', 'Async.pool.join', conftest.MASTER, 'root', 'secret')
    room.clk.advance(3)
    room.restart()
    assert room.sim.state()['hosts']['xen2']['role'] == 'master'
    assert len(room.ask('xen1', 'host.get_all')) == 2


def test_a_committed_change_of_master_is_done_at_the_start(room):
    room.join('xen2')
    room.clk.advance(30)
    (xen2,) = room.ask('xen1', 'host.get_by_name_label', 'xen2')
    assert room.ask('xen1', 'pool.designate_new_master', xen2) == ''
    room.restart()
    (pool,) = room.ask('xen2', 'pool.get_all_records').values()
    assert pool['master'] == xen2
    assert room.sim.state()['hosts']['xen1']['role'] == 'slave'


def test_what_an_eject_left_is_collected(room):
    room.join('xen2')
    room.clk.advance(30)
    (xen2,) = room.ask('xen1', 'host.get_by_name_label', 'xen2')
    assert room.ask('xen1', 'pool.eject', xen2) == ''
    assert len(room.ask('xen1', 'PIF.get_all')) == 2
    room.clk.advance(10.5)
    room.restart()
    assert len(room.ask('xen1', 'PIF.get_all')) == 1
    assert len(room.ask('xen1', 'host_metrics.get_all')) == 1
    assert room.sim.state()['hosts']['xen2']['role'] == 'master'


def test_what_lies_on_disks_is_kept(room):
    room.join('xen2')
    room.clk.advance(30)
    uuid = room.sim.add_sr('xen2', 'own', vdis=[{'name': 'd', 'uuid': 'u-1'}])
    room.restart()
    assert uuid in room.sim.host('xen2').storage
    (xen2,) = room.ask('xen1', 'host.get_by_name_label', 'xen2')
    assert room.ask('xen1', 'pool.eject', xen2) == ''
    assert room.sim.destroyed_vdis == ['u-1']


def test_a_password_from_a_join_is_kept(room):
    room.sim.host('xen1').password = 'other'
    room.join('xen2', 'other')
    room.clk.advance(30)
    room.restart()
    local = 'session.slave_local_login_with_password'
    answer = room.clients.call('xen2', local, 'root', 'other')
    assert answer.startswith('OpaqueRef:')


def test_a_password_of_the_topology_is_not_in_the_file(room):
    room.data = {'hosts': [{'name': 'xen1', 'password': 'hush-hush'}]}
    room.stop()
    room.path.unlink()
    room.start()
    room.sim.save()
    assert 'hush-hush' not in room.path.read_text()


def test_a_host_without_power_stays_off_and_is_given_up(room):
    room.join('xen2')
    room.clk.advance(30)
    room.sim.power_off('xen2')
    room.restart()
    assert room.sim.state()['hosts']['xen2']['phase'] == 'off'
    (pool, _) = room.sim.state()['pools']
    assert pool['hosts'][1]['live'] is True
    room.clk.advance(600)
    (pool, _) = room.sim.state()['pools']
    assert pool['hosts'][1]['live'] is False


def test_time_goes_on(room):
    room.clk.advance(5000)
    before = room.clk.time()
    room.restart(0)
    assert room.clk.time() == before


def test_only_the_owner_reads_the_file(room):
    room.sim.save()
    assert room.path.stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_old_file(room, monkeypatch):
    room.sim.save()
    before = room.path.read_text()

    def fail(*_args):
        raise OSError('no space')

    monkeypatch.setattr(disks.os, 'fsync', fail)
    with pytest.raises(OSError, match='no space'):
        room.sim.save()
    monkeypatch.undo()
    assert room.path.read_text() == before
    assert list(room.path.parent.iterdir()) == [room.path]


def test_the_control_endpoint_saves_on_request(room):
    assert not room.path.exists()
    assert control.act(room.sim, 'POST', '/save', {}) == (200, {})
    assert room.path.exists()


def test_without_a_file_nothing_is_saved(sim):
    error = {'error': 'there is no file to save to'}
    assert control.act(sim, 'POST', '/save', {}) == (400, error)


def run_command(path, do):
    """Run the command until it is asked to end."""
    command = [sys.executable, '-c', test_main.COMMAND, '--state', str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        lines = [process.stdout.readline().split() for _ in range(5)]
        session = XenAPI.Session(lines[0][1])
        session.login_with_password('root', 'secret')
        (pool,) = session.xenapi.pool.get_all()
        answer = do(session.xenapi.pool, pool)
        session('close')()
        process.terminate()
        assert process.wait(timeout=10) == 0
    return answer


def test_the_command_saves_at_its_end(tmp_path):
    path = tmp_path / 'state.json'
    run_command(path, lambda pools, pool: pools.set_name_label(pool, 'kept'))
    label = run_command(path, lambda pools, pool: pools.get_name_label(pool))
    assert label == 'kept'


def test_the_command_refuses_a_bad_file(tmp_path, capsys):
    path = tmp_path / 'state.json'
    path.write_text('{}')
    assert main.main(['--state', str(path)]) == 2
    assert 'not a state of version 2' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'not JSON'),
        ('[]', 'not a state of version 2'),
        ('{"version": 1}', 'not a state of version 2'),
        (
            '{"version": 2, "hosts": {}}',
            'not the host of the topology: xen1',
        ),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, message):
    path = tmp_path / 'state.json'
    path.write_text(text)
    with pytest.raises(described.TopologyError, match=message):
        simulator.Simulator(topology.load(HOSTS), clock.SteppedClock(), path)


def test_other_hosts_are_refused(room):
    room.sim.save()
    hosts_ = [{'name': name} for name in ('xen1', 'xen2', 'xen4')]
    other = topology.load({'hosts': hosts_})
    with pytest.raises(described.TopologyError, match='xen3'):
        simulator.Simulator(other, clock.SteppedClock(), room.path)


def test_every_field_of_a_host_is_saved_or_dies_with_a_restart(room):
    room.sim.save()
    saved = json.loads(room.path.read_text())['hosts']['xen1']
    fields = {field.name for field in dataclasses.fields(hosts.Host)}
    lost = {'xapi', 'door', 'port', 'reachable', 'held', 'silent_since'}
    lost |= {'copies', 'written', 'booted', 'boots'}
    lost |= {'installation', 'checked_until'}
    assert fields - saved.keys() - lost == {'spec', 'password'}


def test_a_directory_which_is_missing_is_told_at_the_start(tmp_path):
    path = tmp_path / 'missing' / 'state.json'
    with pytest.raises(described.TopologyError, match='no such directory'):
        simulator.Simulator(topology.load(HOSTS), clock.SteppedClock(), path)
