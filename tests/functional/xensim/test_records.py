"""Generic access to records (xapi#simulated-behaviour-5)."""

import pytest


@pytest.fixture
def ref(clients):
    return clients.ref('xen1')


@pytest.fixture
def pool(call, ref):
    return call('xen1', 'pool.get_all', ref)[0]


def test_map_keys_are_added_once(call, ref, pool):
    add = ('xen1', 'pool.add_to_other_config', ref, pool, 'key', 'value')
    assert call(*add) == ''
    assert call(*add) == [
        'ERR',
        'MAP_DUPLICATE_KEY',
        'pool',
        'other_config',
        pool,
        'key',
    ]
    remove = ('xen1', 'pool.remove_from_other_config', ref, pool, 'key')
    assert call(*remove) == ''
    assert call(*remove) == ''
    assert 'key' not in call('xen1', 'pool.get_other_config', ref, pool)


def test_only_some_fields_can_be_set(call, ref, pool):
    assert call('xen1', 'pool.set_name_label', ref, pool, 'name') == ''
    assert call('xen1', 'pool.set_uuid', ref, pool, 'x') == [
        'ERR',
        'MESSAGE_METHOD_UNKNOWN',
        'pool.set_uuid',
    ]


def test_maps_hold_text_only(call, ref, pool):
    answer = call('xen1', 'pool.set_gui_config', ref, pool, {'a': [1]})
    assert answer[1] == 'INTERNAL_ERROR'
    assert call('xen1', 'pool.set_gui_config', ref, pool, {'a': 'b'}) == ''


def test_queries(call, ref, sim):
    sim.add_sr('xen1', 'nfs', shared=True)
    where = 'field "shared"="true" and not field "name_label"="x"'
    found = call('xen1', 'SR.get_all_records_where', ref, where)
    assert [record['name_label'] for record in found.values()] == ['nfs']
    assert call('xen1', 'SR.get_by_name_label', ref, 'nfs') == list(found)


def test_management_interface(call, ref):
    (host,) = call('xen1', 'host.get_all', ref)
    pif = call('xen1', 'host.get_management_interface', ref, host)
    assert call('xen1', 'PIF.get_IP', ref, pif) == '10.0.0.11'


def test_machines_start_and_stop(call, ref, sim):
    sim.add_vm('xen1', 'v', 'Halted')
    (vm,) = call('xen1', 'VM.get_by_name_label', ref, 'v')
    (host,) = call('xen1', 'host.get_all', ref)
    assert call('xen1', 'VM.hard_shutdown', ref, vm) == [
        'ERR',
        'VM_BAD_POWER_STATE',
        vm,
        'paused, suspended, running',
        'halted',
    ]
    assert call('xen1', 'VM.start', ref, vm, False, False) == ''
    assert call('xen1', 'VM.get_resident_on', ref, vm) == host
    assert vm in call('xen1', 'host.get_resident_VMs', ref, host)
    assert call('xen1', 'VM.hard_shutdown', ref, vm) == ''
    call('xen1', 'host.disable', ref, host)
    assert call('xen1', 'VM.start', ref, vm, False, False) == [
        'ERR',
        'NO_HOSTS_AVAILABLE',
    ]


def test_every_class_can_be_listed(call, ref):
    kinds = (
        'pool host host_metrics task SR PBD VDI VBD VM VIF network PIF VLAN'
        ' Bond SM host_cpu Certificate secret pool_update'
    )
    for kind in kinds.split():
        records = call('xen1', f'{kind}.get_all_records', ref)
        assert set(records) == set(call('xen1', f'{kind}.get_all', ref))


class TestPrebuiltPool:
    @pytest.fixture
    def described(self):
        return {
            'hosts': [{'name': name} for name in ('xen1', 'xen2', 'xen3')],
            'pools': [
                {
                    'hosts': ['xen1', 'xen2'],
                    'name_label': 'prod',
                    'srs': [{'name': 'nfs', 'vdis': [{'name': 'd'}]}],
                }
            ],
        }

    def test_is_there_from_the_beginning(self, call, ref, sim):
        (first, second) = sim.state()['pools']
        assert first['name_label'] == 'prod'
        assert [host['name'] for host in first['hosts']] == ['xen1', 'xen2']
        assert second['master'] == 'xen3'
        login = 'session.login_with_password'
        assert call('xen2', login, 'x', 'y')[1] == 'HOST_IS_SLAVE'
        (sr,) = call('xen1', 'SR.get_by_name_label', ref, 'nfs')
        assert len(call('xen1', 'SR.get_PBDs', ref, sr)) == 2


class TestClocks:
    """A host's own clock may be wrong (xapi#simulation-knobs)."""

    @pytest.fixture
    def described(self):
        late = {'name': 'xen2', 'clock_offset': 600}
        return {'hosts': [{'name': 'xen1'}, late]}

    def test_a_wrong_clock_is_told(self, call, clients):
        times = {}
        for name in ('xen1', 'xen2'):
            ref = clients.ref(name)
            (host,) = call(name, 'host.get_all', ref)
            told = str(call(name, 'host.get_servertime', ref, host))
            hours, minutes, seconds = told[9:17].split(':')
            times[name] = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
        ahead = (times['xen2'] - times['xen1']) % 86400
        assert 590 <= ahead <= 610
