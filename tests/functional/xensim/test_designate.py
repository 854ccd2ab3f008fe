"""Another master: xapi#change-of-master."""

import pytest

LOGIN = ('session.login_with_password', 'root', 'secret')


@pytest.fixture
def master(clients, joined):
    return clients.ref('xen1')


@pytest.fixture
def slave(call, master, sim):
    return call('xen1', 'host.get_by_uuid', master, sim.host('xen2').uuid)


def designate(call, master, ref):
    return call('xen1', 'pool.designate_new_master', master, ref)


def test_roles_change_after_the_fuse(call, master, slave, clk, sim):
    before = clk.time()
    assert designate(call, master, slave) == ''
    assert clk.time() - before == pytest.approx(0.3)
    assert len(call('xen1', 'host.get_all', master)) == 2
    clk.advance(10)
    for name in ('xen1', 'xen2'):
        with pytest.raises(ConnectionRefusedError):
            call(name, *LOGIN)
    clk.advance(20)
    assert call('xen1', *LOGIN) == ['ERR', 'HOST_IS_SLAVE', '10.0.0.12']
    ref = call('xen2', *LOGIN)
    (pool,) = call('xen2', 'pool.get_all_records', ref).values()
    assert pool['master'] == slave
    assert call('xen2', 'host.get_all', master)[1] == 'SESSION_INVALID'
    (members,) = (
        pool['hosts']
        for pool in sim.state()['pools']
        if pool['master'] == 'xen2'
    )
    assert [host['enabled'] for host in members] == [True, True]


def test_the_old_master_can_leave(call, master, slave, clk, sim):
    designate(call, master, slave)
    clk.advance(30)
    ref = call('xen2', *LOGIN)
    old = call('xen2', 'host.get_by_uuid', ref, sim.host('xen1').uuid)
    assert call('xen2', 'pool.eject', ref, old) == ''
    clk.advance(40)
    assert len(sim.state()['pools']) == 3


def test_the_master_itself_is_no_change(call, master):
    (ref,) = call('xen1', 'pool.get_all_records', master).values()
    assert designate(call, master, ref['master']) == ''


def test_refusals(call, master, slave, sim):
    assert designate(call, master, 'x') == ['ERR', 'HOST_OFFLINE', 'x']
    sim.power_off('xen2')
    assert designate(call, master, slave)[1] == 'CANNOT_CONTACT_HOST'
    sim.set_pool('xen1', ha_enabled=True)
    assert designate(call, master, slave) == ['ERR', 'HA_IS_ENABLED']
