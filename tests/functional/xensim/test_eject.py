"""pool.eject watched from both sides: xapi#eject, xapi#eject-timeline."""

import pytest

from aggregates_ext.xensim import control

LOGIN = ('session.login_with_password', 'root', 'secret')


@pytest.fixture
def master(clients, joined):
    return clients.ref('xen1')


@pytest.fixture
def victim(call, master, sim):
    return call('xen1', 'host.get_by_uuid', master, sim.host('xen2').uuid)


def test_timeline(call, clk, master, victim, sim):
    before = sim.state()['hosts']['xen2']
    metrics = call('xen1', 'host.get_metrics', master, victim)
    (pif,) = call('xen1', 'host.get_PIFs', master, victim)
    assert call('xen1', 'pool.eject', master, victim) == ''
    gone = ['ERR', 'HANDLE_INVALID', 'host', victim]
    assert call('xen1', 'host.get_record', master, victim) == gone
    assert call('xen1', 'pool.eject', master, victim) == [
        'ERR',
        'HOST_OFFLINE',
        victim,
    ]
    assert call('xen1', 'host_metrics.get_live', master, metrics) is True
    clk.advance(9)
    assert call('xen2', *LOGIN) == ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']
    assert isinstance(call('xen1', 'PIF.get_record', master, pif), dict)
    clk.advance(3)
    assert call('xen1', 'PIF.get_record', master, pif)[1] == 'HANDLE_INVALID'
    with pytest.raises(ConnectionRefusedError):
        call('xen2', *LOGIN)
    clk.advance(7)
    assert call('xen2', *LOGIN).startswith('OpaqueRef:')
    after = sim.state()['hosts']['xen2']
    assert after['role'] == 'master'
    assert after['uuid'] == before['uuid']
    assert after['pool_uuid'] != before['pool_uuid']
    (sr,) = after['srs']
    assert sr['uuid'] != before['srs'][0]['uuid']
    clk.advance(10)
    ref = call('xen2', *LOGIN)
    (host,) = call('xen2', 'host.get_all_records', ref).values()
    assert host['enabled'] is True
    assert host['name_description'] == 'Default install'


def test_what_comes_back_is_new(call, clk, master, victim, clients, sim):
    call('xen1', 'host.add_to_other_config', master, victim, 'our', 'key')
    call('xen1', 'pool.eject', master, victim)
    clk.advance(40)
    ref = clients.ref('xen2')
    assert call('xen2', 'host.get_all', ref) != [victim]
    (host,) = call('xen2', 'host.get_all_records', ref).values()
    assert host['other_config'].keys() == {'agent_start_time', 'boot_time'}
    (pool,) = call('xen2', 'pool.get_all_records', ref).values()
    assert pool['name_label'] == ''
    assert pool['tls_verification_enabled'] is False


def test_joining_again_needs_tls(call, clk, master, victim, clients, join):
    call('xen1', 'pool.eject', master, victim)
    clk.advance(40)
    code = 'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH'
    assert join() == ['ERR', code]
    ref = clients.ref('xen2')
    assert call('xen2', 'pool.enable_tls_verification', ref) == ''
    assert join() == ''
    clk.advance(30)
    assert len(call('xen1', 'host.get_all', master)) == 2


def test_the_pools_password_is_kept(call, clk, sim, clients):
    sim.host('xen1').password = 'pool'
    ref = clients.ref('xen2')
    call('xen2', 'pool.join', ref, '10.0.0.11', 'root', 'pool')
    clk.advance(30)
    login = 'session.login_with_password'
    ref = call('xen1', login, 'root', 'pool')
    victim = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    call('xen1', 'pool.eject', ref, victim)
    clk.advance(40)
    assert call('xen2', login, 'root', 'secret')[0] == 'ERR'
    assert call('xen2', login, 'root', 'pool').startswith('OpaqueRef:')


def test_disks_of_its_own_are_destroyed_and_shared_ones_kept(
    call, master, victim, sim
):
    sim.add_sr('xen2', 'own', vdis=[{'name': 'lost', 'uuid': 'u-1'}])
    sim.add_sr('xen2', 'nfs', shared=True, vdis=[{'name': 'kept'}])
    call('xen1', 'pool.eject', master, victim)
    assert sim.destroyed_vdis == ['u-1']
    assert sim.state()['destroyed_vdis'] == ['u-1']
    labels = [
        record['name_label']
        for record in call('xen1', 'VDI.get_all_records', master).values()
    ]
    assert labels == ['kept']


@pytest.mark.parametrize(
    ('change', 'failure'),
    [
        (
            lambda sim: sim.set_pool('xen1', ha_enabled=True),
            ['HA_IS_ENABLED'],
        ),
        (
            lambda sim: sim.add_vm('xen2', 'v'),
            ['OPERATION_NOT_ALLOWED', 'VM resident on host'],
        ),
        (
            lambda sim: sim.set_pool('xen1', is_psr_pending=True),
            ['POOL_SECRET_ROTATION_PENDING'],
        ),
    ],
)
def test_refusals(call, master, victim, sim, change, failure):
    change(sim)
    assert call('xen1', 'pool.eject', master, victim) == ['ERR', *failure]
    assert sim.state()['hosts']['xen2']['srs']
    assert sim.destroyed_vdis == []


def test_the_pool_shows_the_operation(call, clk, master, victim):
    task = call('xen1', 'Async.pool.eject', master, victim)
    (pool,) = call('xen1', 'pool.get_all', master)
    seen = call('xen1', 'pool.get_current_operations', master, pool)
    assert list(seen.values()) == ['eject']
    clk.advance(1)
    assert call('xen1', 'pool.get_current_operations', master, pool) == {}
    assert call('xen1', 'task.get_status', master, task) == 'success'


def test_devices_are_not_destroyed(call, master, victim, sim):
    uuid = sim.add_sr('xen2', 'Removable storage', vdis=[{'name': 'stick'}])
    db = sim.host('xen1').database
    db.row('SR', db.by_uuid('SR', uuid))['type'] = 'udev'
    assert call('xen1', 'pool.eject', master, victim) == ''
    assert sim.destroyed_vdis == []
    assert db.where('SR', uuid=uuid) == []


def test_a_host_which_does_not_return(call, clk, master, victim, sim):
    sim.plant(call='pool.eject', host='xen2', action='no_return')
    call('xen1', 'pool.eject', master, victim)
    clk.advance(600)
    assert sim.state()['hosts']['xen2']['phase'] == 'off'
    sim.power_on('xen2')
    clk.advance(20)
    assert call('xen2', *LOGIN).startswith('OpaqueRef:')


def test_a_host_which_just_died(call, clk, master, victim, sim):
    sim.power_off('xen2')
    before = clk.time()
    assert call('xen1', 'pool.eject', master, victim) == [
        'ERR',
        'CANNOT_CONTACT_HOST',
        victim,
    ]
    assert clk.time() - before == pytest.approx(100)
    clk.advance(600)
    assert call('xen1', 'pool.eject', master, victim)[1] == 'HOST_OFFLINE'
    assert call('xen1', 'host.declare_dead', master, victim) == ''
    assert call('xen1', 'host.destroy', master, victim) == ''
    assert len(call('xen1', 'host.get_all', master)) == 1


def test_the_victim_went_although_the_answer_is_an_error(
    call, clk, master, victim, sim
):
    """xapi#eject-errors: the record stays, without its control domain."""
    sim.plant(call='pool.eject', host='xen2', step='E3')
    answer = call('xen1', 'pool.eject', master, victim)
    assert answer == ['ERR', 'INTERNAL_ERROR', 'planted']
    clk.advance(9)
    assert call('xen2', *LOGIN) == ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']
    clk.advance(10)
    assert call('xen2', *LOGIN).startswith('OpaqueRef:')
    assert sim.state()['hosts']['xen2']['role'] == 'master'
    record = call('xen1', 'host.get_record', master, victim)
    live = ('host_metrics.get_live', master, record['metrics'])
    assert record['enabled'] is True
    assert call('xen1', *live) is True
    domain = call('xen1', 'VM.get_record', master, record['control_domain'])
    assert domain[1] == 'HANDLE_INVALID'
    assert call('xen1', 'pool.eject', master, victim)[1] == (
        'CANNOT_CONTACT_HOST'
    )
    clk.advance(590)
    assert call('xen1', *live) is True
    clk.advance(10)
    assert call('xen1', *live) is False
    assert call('xen1', 'host.destroy', master, victim) == ''
    assert len(sim.state()['pools']) == 3


def test_a_host_whose_xapi_is_dead(call, clk, master, victim, sim):
    """xapi#dead-hosts: the machine is up, and refuses connections."""
    sim.stop_xapi('xen2')
    assert sim.state()['hosts']['xen2']['phase'] == 'down'
    with pytest.raises(ConnectionRefusedError):
        call('xen2', *LOGIN)
    before = clk.time()
    answer = call('xen1', 'host.disable', master, victim)
    assert answer == ['ERR', 'CANNOT_CONTACT_HOST', victim]
    assert clk.time() - before == pytest.approx(53)
    assert call('xen1', 'pool.eject', master, victim) == answer
    before = clk.time()
    assert call('xen1', 'host.destroy', master, victim) == ''
    assert clk.time() == before
    clk.advance(100)
    assert sim.state()['hosts']['xen2']['phase'] == 'down'
    sim.start_xapi('xen2')
    assert call('xen2', *LOGIN) == ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']


def test_xapi_is_killed_through_the_control_endpoint(call, clk, sim):
    path = '/hosts/xen2/xapi'
    assert control.act(sim, 'POST', path, {'on': False}) == (200, {})
    clk.advance(60)
    assert sim.state()['hosts']['xen2']['phase'] == 'down'
    assert control.act(sim, 'POST', path, {'on': True}) == (200, {})
    assert call('xen2', *LOGIN).startswith('OpaqueRef:')
    assert control.act(sim, 'POST', path, {'on': 1})[0] == 400


def test_a_live_host_is_not_destroyed(call, master, victim):
    for method in ('host.destroy', 'host.declare_dead'):
        answer = call('xen1', method, master, victim)
        assert answer == ['ERR', 'HOST_IS_LIVE', victim]


def local_srs(call, master, victim):
    """The SRs that the pool knows of the victim's own."""
    pbds = call('xen1', 'host.get_PBDs', master, victim)
    return [call('xen1', 'PBD.get_SR', master, pbd) for pbd in pbds]


def test_a_disk_in_use_stops_the_unplugging(call, master, victim, sim):
    """xapi#eject-checks: a deliberate abort, nothing is forgotten."""
    sim.add_sr('xen2', 'data', vdis=[{'name': 'iso'}])
    (vdi,) = call('xen1', 'VDI.get_by_name_label', master, 'iso')
    dom0 = call('xen1', 'host.get_control_domain', master, victim)
    with sim.world.lock:
        sim.host('xen1').database.create(
            'VBD', VM=dom0, VDI=vdi, currently_attached=True
        )
    answer = call('xen1', 'pool.eject', master, victim)
    assert answer[:3] == ['ERR', 'VDI_IN_USE', vdi]
    assert len(local_srs(call, master, victim)) == 2
    assert sim.destroyed_vdis == []


def test_a_late_failure_leaves_a_member_without_its_storage(
    call, master, victim, sim
):
    """SRs are forgotten before the last steps that can fail.

    See xapi#eject-checks.
    """
    sim.add_sr('xen2', 'data', vdis=[{'name': 'disk'}])
    sim.plant(
        call='pool.eject',
        host='xen2',
        step='E2',
        action='fail',
        code='CLUSTER_HOST_NOT_JOINED',
        parameters=('c',),
    )
    assert call('xen1', 'pool.eject', master, victim) == [
        'ERR',
        'CLUSTER_HOST_NOT_JOINED',
        'c',
    ]
    assert call('xen1', 'host.get_uuid', master, victim)
    assert local_srs(call, master, victim) == []
    assert sim.destroyed_vdis == []
    assert call('xen1', 'pool.eject', master, victim) == ''


def second_pbd(sim, uuid, host='xen1', **fields):
    """Another PBD for storage of xen2, as when it is flagged as shared."""
    db = sim.host('xen1').database
    sr = db.by_uuid('SR', uuid)
    db.row('SR', sr)['shared'] = True
    names = db.where('host', name_label=host)
    ref = names[0] if names else 'OpaqueRef:gone'
    db.create('PBD', SR=sr, host=ref, **fields)


def without_pbd(sim, uuid):
    db = sim.host('xen1').database
    for pbd in db.where('PBD', SR=db.by_uuid('SR', uuid)):
        db.delete('PBD', pbd)


def forgotten(sim, uuid):
    """What SR.forget leaves; the disks are not touched."""
    db = sim.host('xen1').database
    sr = db.by_uuid('SR', uuid)
    for kind in ('PBD', 'VDI'):
        for ref in db.where(kind, SR=sr):
            db.delete(kind, ref)
    db.delete('SR', sr)


@pytest.mark.parametrize(
    'change',
    [
        lambda sim, uuid: second_pbd(sim, uuid),
        lambda sim, uuid: second_pbd(sim, uuid, currently_attached=True),
        lambda sim, uuid: second_pbd(sim, uuid, 'gone'),
        without_pbd,
        forgotten,
    ],
    ids=['unplugged', 'plugged', 'dangling', 'none', 'forgotten'],
)
def test_what_lies_on_its_disks_is_lost_whatever_records_say(
    call, clk, master, victim, sim, change
):
    """xapi#eject-destroys: the first boot makes its storage new."""
    uuid = sim.add_sr('xen2', 'own', vdis=[{'name': 'lost', 'uuid': 'u-1'}])
    change(sim, uuid)
    assert call('xen1', 'pool.eject', master, victim) == ''
    assert sim.destroyed_vdis == ['u-1']
    clk.advance(40)
    (new,) = sim.host('xen2').storage
    assert new != uuid


def test_storage_on_another_host_stays(call, master, victim, sim):
    uuid = sim.add_sr('xen1', 'own', vdis=[{'name': 'kept'}])
    db = sim.host('xen1').database
    db.create('PBD', SR=db.by_uuid('SR', uuid), host=victim)
    assert call('xen1', 'pool.eject', master, victim) == ''
    assert sim.destroyed_vdis == []
    assert db.where('SR', uuid=uuid)


def test_shared_storage_that_it_alone_has_is_forgotten_and_kept(
    call, master, victim, sim
):
    """xapi#eject-forgets-storage: the flag is not looked at."""
    uuid = sim.add_sr('xen2', 'nfs', type='nfs', vdis=[{'name': 'kept'}])
    db = sim.host('xen1').database
    db.row('SR', db.by_uuid('SR', uuid))['shared'] = True
    assert call('xen1', 'pool.eject', master, victim) == ''
    assert sim.destroyed_vdis == []
    assert db.where('SR', uuid=uuid) == []


def test_a_late_failure_does_not_save_the_disks_from_the_next_one(
    call, master, victim, sim
):
    sim.add_sr('xen2', 'own', vdis=[{'name': 'lost', 'uuid': 'u-1'}])
    sim.plant(call='pool.eject', step='E2', action='fail', code='X')
    assert call('xen1', 'pool.eject', master, victim)[:2] == ['ERR', 'X']
    assert sim.destroyed_vdis == []
    assert call('xen1', 'pool.eject', master, victim) == ''
    assert sim.destroyed_vdis == ['u-1']
