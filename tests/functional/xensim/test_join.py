"""pool.join watched from both sides: xapi#join-timeline."""

import pytest
import XenAPI

from tests.functional.xensim import conftest


class Watch:
    """What can be seen of a join of xen2 to xen1."""

    def __init__(self, sim, clients):
        self.sim = sim
        self.clients = clients
        self.master = clients.ref('xen1')
        self.old = clients.ref('xen2')

    def call(self, name, method, *params):
        return self.clients.call(name, method, *params)

    def members(self):
        records = self.call('xen1', 'host.get_all_records', self.master)
        return {rec['name_label']: rec for rec in records.values()}

    def live(self):
        metrics = self.members()['xen2']['metrics']
        return self.call('xen1', 'host_metrics.get_live', self.master, metrics)

    def login(self):
        try:
            answer = self.call(
                'xen2', 'session.login_with_password', 'root', 'secret'
            )
        except ConnectionError as exc:
            return type(exc).__name__
        return answer[1:] if isinstance(answer, list) else 'OK'


@pytest.fixture
def watch(sim, clients):
    return Watch(sim, clients)


def test_join_takes_its_time_and_answers_nothing(watch, join, clk):
    before = clk.time()
    assert join() == ''
    assert clk.time() - before == pytest.approx(2.4)


def test_timeline(watch, join, clk):
    started = watch.members()['xen1']['other_config']['agent_start_time']
    join()
    assert watch.members()['xen2']['enabled'] is False
    assert watch.live() is False
    assert watch.members()['xen2']['allowed_operations'] == []
    clk.advance(9.9)
    assert watch.live() is True
    assert 'shutdown' in watch.members()['xen2']['allowed_operations']
    assert watch.members()['xen2']['enabled'] is False
    assert watch.login() == 'OK'
    assert len(watch.call('xen2', 'pool.get_all', watch.old)) == 1
    clk.advance(0.2)
    assert watch.login() == 'ConnectionRefusedError'
    clk.advance(2.2)
    assert watch.login() == ['HOST_IS_SLAVE', '10.0.0.11']
    clk.advance(6.85)
    assert watch.login() == ['HOST_HAS_NO_MANAGEMENT_IP']
    clk.advance(0.15)
    assert watch.login() == ['HOST_STILL_BOOTING']
    clk.advance(0.3)
    assert watch.login() == ['HOST_IS_SLAVE', '10.0.0.11']
    assert watch.members()['xen2']['enabled'] is False
    clk.advance(1)
    record = watch.members()['xen2']
    assert record['enabled'] is True
    assert float(record['other_config']['agent_start_time']) > float(started)
    assert watch.call('xen2', 'pool.get_all', watch.old) == [
        'ERR',
        'SESSION_INVALID',
        watch.old,
    ]


def test_call_on_a_starting_slave_blocks(watch, join, clk):
    join()
    clk.advance(13)
    before = clk.time()
    answer = watch.call('xen2', 'pool.get_all', watch.old)
    assert answer == ['ERR', 'SESSION_INVALID', watch.old]
    assert clk.time() - before > 5


def test_the_master_shows_the_exchange_of_certificates(watch, clk):
    call = watch.call
    call(
        'xen2',
        'Async.pool.join',
        watch.old,
        conftest.MASTER,
        'root',
        'secret',
    )
    (pool,) = call('xen1', 'pool.get_all', watch.master)
    seen = []
    for _ in range(24):
        clk.advance(0.1)
        ops = call('xen1', 'pool.get_current_operations', watch.master, pool)
        seen.append(list(ops.values()))
    assert seen.count(['exchange_certificates_on_join']) in (2, 3, 4)
    assert seen.count(['exchange_ca_certificates_on_join']) in (4, 5, 6)
    assert seen[5] == []
    assert seen[-1] == []


def test_records_get_new_refs_and_keep_their_uuids(watch, join, clk):
    def refs(name, session, kind):
        records = watch.call(name, f'{kind}.get_all_records', session)
        return {rec['uuid']: ref for ref, rec in records.items()}

    kinds = ('host', 'SR', 'VM', 'PBD', 'PIF', 'network')
    before = {kind: refs('xen2', watch.old, kind) for kind in kinds}
    networks = refs('xen1', watch.master, 'network')
    join()
    after = {kind: refs('xen1', watch.master, kind) for kind in kinds}
    for kind in ('host', 'SR', 'VM'):
        for uuid, ref in before[kind].items():
            assert after[kind][uuid] != ref
    for kind in ('PBD', 'PIF'):
        assert not before[kind].keys() & after[kind].keys()
        assert len(after[kind]) == 2
    assert after['network'] == networks


def test_other_config_survives_and_description_does_not(watch, join, clk):
    call = watch.call
    (host,) = call('xen2', 'host.get_all', watch.old)
    call('xen2', 'host.set_name_description', watch.old, host, 'mine')
    call('xen2', 'host.add_to_other_config', watch.old, host, 'key', 'v')
    call('xen2', 'host.add_tags', watch.old, host, 'tag')
    join()
    clk.advance(30)
    record = watch.members()['xen2']
    assert record['other_config']['key'] == 'v'
    assert record['name_description'] == 'Default install'
    assert record['tags'] == []


def test_the_masters_password_wins(clk, clients):
    clients.sim.host('xen1').password = 'other'
    ref = clients.ref('xen2')
    login = (conftest.MASTER, 'root', 'other')
    assert clients.call('xen2', 'pool.join', ref, *login) == ''
    clk.advance(30)
    local = 'session.slave_local_login_with_password'
    assert clients.call('xen2', local, 'root', 'secret')[0] == 'ERR'
    assert clients.call('xen2', local, 'root', 'other').startswith('Opaque')


def test_silent_new_login_of_the_client_ends_in_host_is_slave(
    clients, join, clk
):
    session = clients.login('xen2')
    join()
    clk.advance(30)
    with pytest.raises(XenAPI.Failure) as caught:
        session.xenapi.pool.get_all()
    assert caught.value.details == ['HOST_IS_SLAVE', '10.0.0.11']


def memory_of(watch, name, session):
    call = watch.call
    host = call(name, 'host.get_by_uuid', session, watch.sim.host('xen2').uuid)
    metrics = call(name, 'host.get_metrics', session, host)
    return host, [
        call(name, 'host_metrics.get_memory_total', session, metrics),
        call(name, 'host_metrics.get_memory_free', session, metrics),
        call(name, 'host.compute_free_memory', session, host),
    ]


def test_guests_can_run_on_a_host_which_joined(watch, join, clk, sim):
    call, master = watch.call, watch.master
    _, before = memory_of(watch, 'xen2', watch.old)
    join()
    clk.advance(30)
    host, after = memory_of(watch, 'xen1', master)
    assert after == before
    for name, state in (('starts', 'Halted'), ('moves', 'Running')):
        sim.add_vm('xen1', name, power_state=state)
    (starts,) = call('xen1', 'VM.get_by_name_label', master, 'starts')
    (moves,) = call('xen1', 'VM.get_by_name_label', master, 'moves')
    start = ('VM.start_on', master, starts, host, False, False)
    assert call('xen1', *start) == ''
    assert call('xen1', 'VM.pool_migrate', master, moves, host, {}) == ''
    for machine in (starts, moves):
        assert call('xen1', 'VM.get_resident_on', master, machine) == host


def test_pools_shared_storage_is_plugged(watch, join, clk, sim):
    sim.add_sr('xen1', 'nfs', shared=True)
    join()
    clk.advance(30)
    call = watch.call
    (sr,) = call('xen1', 'SR.get_by_name_label', watch.master, 'nfs')
    record = call('xen1', 'SR.get_record', watch.master, sr)
    assert len(record['PBDs']) == 2
    for pbd in record['PBDs']:
        assert (
            call('xen1', 'PBD.get_currently_attached', watch.master, pbd)
            is True
        )


def test_local_storage_that_is_flagged_is_not_plugged_elsewhere(
    watch, join, clk, sim
):
    """xapi#storage-records: the joiner gets a PBD, and none of the disks."""
    uuid = sim.add_sr('xen1', 'own')
    db = sim.host('xen1').database
    sr = db.by_uuid('SR', uuid)
    db.row('SR', sr)['shared'] = True
    join()
    clk.advance(30)
    pbds = [db.row('PBD', pbd) for pbd in db.where('PBD', SR=sr)]
    assert [pbd['currently_attached'] for pbd in pbds] == [True, False]
    assert pbds[0]['device_config'] == pbds[1]['device_config']
