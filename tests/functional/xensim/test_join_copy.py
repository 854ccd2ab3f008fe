"""What a join copies and what it loses: xapi#join-copies."""

import pytest

NULL = 'OpaqueRef:NULL'


@pytest.fixture
def mine(sim):
    """The database of the joiner."""
    return sim.host('xen2').database


@pytest.fixture
def theirs(sim):
    """The database of the pool."""
    return sim.host('xen1').database


def test_fields_of_the_host(sim, mine, theirs, join, clk):
    sr = mine.rows('SR')[0][0]
    sim.set_host(
        'xen2',
        name_description='mine',
        tags=['t'],
        logging={'a': 'b'},
        power_on_mode='x',
        iscsi_iqn='lost',
        timezone='Europe/Paris',
        suspend_image_sr=sr,
        other_config={'iscsi_iqn': 'iqn.1', 'multipathing': 'true'},
    )
    assert join() == ''
    row = theirs.row('host', theirs.by_uuid('host', sim.host('xen2').uuid))
    assert row['cpu_info'] == {}
    for field in ('tags', 'logging', 'power_on_mode', 'iscsi_iqn'):
        assert not row[field]
    assert row['name_description'] == 'Default install'
    assert row['timezone'] == 'Europe/Paris'
    uuid = mine.row('SR', sr)['uuid']
    assert row['suspend_image_sr'] == theirs.by_uuid('SR', uuid)
    clk.advance(30)
    assert row['iscsi_iqn'] == 'iqn.1'
    assert row['multipathing'] is True
    assert row['cpu_info']['vendor'] == 'GenuineIntel'


def test_storage(mine, theirs, join):
    (ref,) = mine.where('SR', name_label='Local storage')
    mine.row('SR', ref).update(
        type='EXT', tags=['t'], other_config={'k': 'v'}, sm_config={'s': 'm'}
    )
    (pbd,) = mine.where('PBD', SR=ref)
    mine.row('PBD', pbd)['other_config'] = {'lost': 'true'}
    parent = mine.create('VDI', SR=ref)
    mine.create('VDI', SR=ref, snapshot_of=parent, name_label='snapshot')
    assert join() == ''
    copied = theirs.by_uuid('SR', mine.row('SR', ref)['uuid'])
    row = theirs.row('SR', copied)
    assert row['type'] == 'ext'
    assert row['tags'] == []
    assert row['shared'] is False
    assert (row['other_config'], row['sm_config']) == ({'k': 'v'}, {'s': 'm'})
    (new,) = theirs.where('PBD', SR=copied)
    assert theirs.row('PBD', new)['other_config'] == {}
    assert theirs.row('PBD', new)['uuid'] != mine.row('PBD', pbd)['uuid']
    (snapshot,) = theirs.where('VDI', name_label='snapshot')
    origin = theirs.row('VDI', snapshot)['snapshot_of']
    assert theirs.row('VDI', origin)['uuid'] == mine.row('VDI', parent)['uuid']


def test_there_is_one_sr_of_tools(mine, theirs, join):
    for db in (mine, theirs):
        db.create('SR', name_label='tools', is_tools_sr=True, shared=True)
    assert join() == ''
    assert len(theirs.where('SR', name_label='tools')) == 1


def test_a_pbd_without_its_secret_is_lost(mine, theirs, join):
    secrets = [mine.create('secret', value=value) for value in ('a', 'b')]
    known = mine.row('secret', secrets[1])
    theirs.create('secret', **known)
    for number, secret in enumerate(secrets):
        mine.create(
            'PBD',
            host=mine.pool['master'],
            SR=mine.create('SR', name_label=f's{number}'),
            device_config={
                'password_secret': mine.row('secret', secret)['uuid']
            },
        )
    assert join() == ''
    (lost,) = theirs.where('SR', name_label='s0')
    (kept,) = theirs.where('SR', name_label='s1')
    assert theirs.where('PBD', SR=lost) == []
    (pbd,) = theirs.where('PBD', SR=kept)
    used = theirs.row('PBD', pbd)['device_config']['password_secret']
    assert used != known['uuid']
    second = theirs.row('secret', theirs.by_uuid('secret', used))
    assert second['value'] == 'b'
    assert theirs.where('secret', value='a') == []


def test_machines_keep_their_uuids_and_relations(sim, mine, theirs, join):
    uuid = sim.add_vm('xen2', 'v', 'Halted')
    origin = mine.by_uuid('VM', uuid)
    mine.row('VM', origin)['appliance'] = mine.create('VM_appliance')
    mine.create('VM', name_label='s', is_a_snapshot=True, snapshot_of=origin)
    network = mine.create('network', bridge='xapi0', name_label='private')
    vif = mine.create(
        'VIF', VM=origin, network=network, MAC='02:00:00:00:00:01'
    )
    assert join() == ''
    vm = theirs.by_uuid('VM', uuid)
    assert vm != origin
    assert theirs.row('VM', vm)['appliance'] == NULL
    assert theirs.rows('VM_appliance') == []
    (snapshot,) = theirs.where('VM', name_label='s')
    assert theirs.row('VM', snapshot)['snapshot_of'] == vm
    assert theirs.read('VM', vm)['snapshots'] == [snapshot]
    metrics = theirs.row('VM', vm)['guest_metrics']
    assert theirs.row('VM_guest_metrics', metrics)['PV_drivers_detected']
    (copied,) = theirs.where('VIF', MAC='02:00:00:00:00:01')
    assert theirs.row('VIF', copied)['uuid'] == mine.row('VIF', vif)['uuid']


def test_an_internal_network_gets_a_new_bridge(sim, mine, theirs, join):
    theirs.create('network', bridge='xapi0', name_label='other')
    uuid = sim.add_vm('xen2', 'v', 'Halted')
    network = mine.create('network', bridge='xapi0', name_label='private')
    mine.create('VIF', VM=mine.by_uuid('VM', uuid), network=network)
    assert join() == ''
    (copied,) = theirs.where('network', name_label='private')
    row = theirs.row('network', copied)
    assert row['bridge'] == 'xapi1'
    assert row['uuid'] != mine.row('network', network)['uuid']
    (vif,) = theirs.where('VIF', VM=theirs.by_uuid('VM', uuid))
    assert theirs.row('VIF', vif)['network'] == copied


@pytest.mark.parametrize('kind', ['subject', 'VMSS', 'PVS_site', 'Repository'])
def test_what_is_not_copied(mine, theirs, join, kind):
    mine.create(kind)
    assert join() == ''
    assert theirs.rows(kind) == []


def test_certificates_of_authorities_are_exchanged(mine, theirs, join):
    mine.create('Certificate', type='ca', name='c')
    assert join() == ''
    (ref,) = theirs.where('Certificate', name='c')
    assert theirs.row('Certificate', ref)['host'] == NULL


def test_copying_may_be_skipped_in_silence(sim, join, call, clk):
    sim.plant('pool.join', 'xen2', 'skip', step='S6')
    assert join() == ''
    clk.advance(40)
    assert len(sim.state()['pools'][0]['hosts']) == 1
    answer = call('xen2', 'session.login_with_password', 'root', 'secret')
    assert answer[1] == 'HOST_IS_SLAVE'


class TestNetworks:
    """A pool with networks of its own, and a joiner with the same wires."""

    @pytest.fixture
    def described(self):
        nics = ['eth1', 'eth2']
        return {
            'hosts': [
                {
                    'name': 'xen1',
                    'vlans': [{'tag': 7}],
                    'bonds': [{'devices': nics}],
                },
                {'name': 'xen2', 'nics': nics},
                {'name': 'xen3'},
            ]
        }

    def test_bonds_and_vlans_come_when_the_slave_starts(
        self, sim, theirs, join, clk
    ):
        (physical,) = theirs.where('PIF', device='eth0', VLAN=-1)
        private = theirs.create('network', bridge='xapi9')
        access = theirs.create(
            'PIF',
            host=theirs.pool['master'],
            network=private,
            device='tunnel0',
            VLAN=-1,
        )
        theirs.create('tunnel', access_PIF=access, transport_PIF=physical)
        assert join() == ''
        host = theirs.by_uuid('host', sim.host('xen2').uuid)
        (bond,) = theirs.rows('Bond')
        assert len(theirs.rows('VLAN')) == 1
        clk.advance(30)
        own = theirs.where('PIF', host=host)
        assert len(theirs.rows('Bond')) == 2
        _, second = theirs.rows('Bond')
        assert set(second[1]['slaves']) < set(own)
        _, (_, vlan) = theirs.rows('VLAN')
        assert vlan['tag'] == 7
        assert vlan['untagged_PIF'] in own
        pif = theirs.row('PIF', vlan['untagged_PIF'])
        assert pif['currently_attached'] is True
        first = theirs.row('PIF', theirs.rows('VLAN')[0][1]['untagged_PIF'])
        assert pif['network'] == first['network']
        assert second[1]['master'] in own
        assert bond[1]['master'] not in own
        assert len(theirs.rows('tunnel')) == 2
        sim.restart_toolstack('xen2')
        clk.advance(30)
        assert len(theirs.rows('Bond')) == len(theirs.rows('VLAN')) == 2

    def test_without_the_interfaces_there_is_no_bond(self, theirs, join, clk):
        assert join('xen3') == ''
        clk.advance(30)
        assert len(theirs.rows('Bond')) == 1
        assert len(theirs.rows('VLAN')) == 2


class TestManagementOnVlan:
    @pytest.fixture
    def described(self):
        vlans = [{'tag': 5, 'management': True}]
        return {
            'hosts': [
                {'name': name, 'vlans': vlans} for name in ('xen1', 'xen2')
            ]
        }

    def test_vlan_and_secrets_are_copied(self, sim, mine, theirs, join, clk):
        mine.create('secret', value='a')
        site = mine.create('PVS_site', name_label='p')
        mine.create('PVS_cache_storage', site=site, host=mine.pool['master'])
        assert join() == ''
        assert len(theirs.where('secret', value='a')) == 1
        (cache,) = (row for _, row in theirs.rows('PVS_cache_storage'))
        assert cache['site'] == theirs.where('PVS_site', name_label='p')[0]
        assert len(theirs.rows('VLAN')) == 2
        pifs = theirs.where('PIF', management=True)
        assert {theirs.row('PIF', ref)['VLAN'] for ref in pifs} == {5}
        (network,) = {theirs.row('PIF', ref)['network'] for ref in pifs}
        assert theirs.row('network', network)['bridge'] == 'xapi5'
        clk.advance(30)
        assert len(theirs.rows('VLAN')) == 2
