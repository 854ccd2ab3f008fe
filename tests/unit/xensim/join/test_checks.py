"""The checks before a join without sockets (xapi#join-checks)."""

import pytest

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.join import checks as join_checks
from aggregates_ext.xensim.join import sides as joining_
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import clock


@pytest.fixture
def joining():
    named = [{'name': name, 'version': 'xapi-26'} for name in ('m', 'j')]
    read = topology.load({'hosts': named})
    sim = simulator.Simulator(read, clock.SteppedClock())
    joiner, master = sim.host('j'), sim.host('m')
    return joining_.Joining(joiner, joiner.database, master, master.database)


def refusal(joining, force=False):
    with pytest.raises(failure.Failure) as caught:
        join_checks.run(joining, force)
    return caught.value.description


def test_two_plain_hosts_pass(joining):
    join_checks.run(joining, force=False)


def test_the_numbers_of_the_checks_rise():
    numbers = [number for number, _ in join_checks.CHECKS]
    assert numbers == sorted(set(numbers))


def test_vm_with_current_operations(joining):
    joining.local.create('VM', current_operations={'x': 'start'})
    code = 'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS'
    assert refusal(joining) == [code]


def test_suspended_vms_pass(joining):
    joining.local.create('VM', power_state='Suspended')
    join_checks.run(joining, force=False)


def test_pool_size(joining):
    joining.local.pool['restrictions']['restrict_pool_size'] = 'true'
    for _ in range(2):
        joining.remote.create('host')
    assert refusal(joining) == ['LICENCE_RESTRICTION', 'Pool_size']


def test_no_management_interface_yet(joining):
    for pif in joining.local.where('PIF'):
        joining.local.delete('PIF', pif)
    assert refusal(joining) == ['HOST_STILL_BOOTING']


def test_management_vlan_tags(joining):
    (pif,) = joining.local.where('PIF', management=True)
    joining.local.row('PIF', pif)['VLAN'] = 5
    code = 'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH'
    assert refusal(joining, force=True) == [code, '5', '-1']


def test_address_type(joining):
    (pif,) = joining.local.where('PIF', management=True)
    joining.local.row('PIF', pif)['primary_address_type'] = 'IPv6'
    assert refusal(joining)[1] == 'Primary address type differs'


def test_updates_are_not_bridged_by_force(joining):
    joining.local.create(
        'pool_update', enforce_homogeneity=True, hosts=[joining.here_ref]
    )
    answer = refusal(joining, force=True)
    assert answer == [
        'HOSTS_NOT_HOMOGENEOUS',
        'Updates on local host j and pool host m differ',
    ]


def test_nbd_purposes(joining):
    joining.local.create('network', purpose=['nbd'])
    joining.remote.create('network', purpose=['insecure_nbd'])
    assert refusal(joining)[0] == 'OPERATION_NOT_ALLOWED'


def test_ca_certificates(joining):
    for db in (joining.local, joining.remote):
        db.create(
            'Certificate', type='ca', name='c', fingerprint_sha256=str(id(db))
        )
    code = 'POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT'
    assert refusal(joining) == [code, 'c']


def test_storage_driver_which_is_missing(joining):
    driver = joining.remote.create('SM', type='new', features={'X': 1})
    assert refusal(joining) == [
        'POOL_JOINING_SM_FEATURES_INCOMPATIBLE',
        driver,
        '',
    ]
