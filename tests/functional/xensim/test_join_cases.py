"""Joins which are refused or odd: xapi#join-odd-cases, xapi#join-checks."""

import pytest

from tests.functional.xensim import conftest

LOGIN = (conftest.MASTER, 'root', 'secret')
RUNNING = 'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'


def test_asynchronous_join(call, clients, clk):
    ref = clients.ref('xen2')
    task = call('xen2', 'Async.pool.join', ref, *LOGIN)
    record = call('xen2', 'task.get_record', ref, task)
    assert record['status'] == 'pending'
    assert record['progress'] == 0.0
    assert record['name_label'] == 'Async.pool.join'
    assert record['type'] == '<none/>'
    assert record['finished'] == '19700101T00:00:00Z'
    clk.advance(2.5)
    record = call('xen2', 'task.get_record', ref, task)
    assert record['status'] == 'success'
    assert record['progress'] == 1.0
    assert record['result'] == '<value></value>'
    assert record['error_info'] == []
    assert record['finished'] != '19700101T00:00:00Z'


def test_join_through_a_slave_names_the_master(call, clients, joined):
    ref = clients.ref('xen3')
    for method in ('pool.join', 'pool.join_force'):
        answer = call('xen3', method, ref, '10.0.0.12', 'root', 'wrong')
        assert answer == ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']


@pytest.mark.parametrize('method', ['pool.join', 'pool.join_force'])
def test_a_master_of_others_does_not_join(call, clients, joined, method):
    ref = clients.ref('xen1')
    answer = call('xen1', method, ref, '10.0.0.13', 'root', 'secret')
    code = 'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS'
    assert answer == ['ERR', code]


def test_a_master_of_others_does_not_join_itself(call, clients, joined):
    ref = clients.ref('xen1')
    answer = call('xen1', 'pool.join', ref, '10.0.0.11', 'root', 'secret')
    assert answer[2] == 'Host is already part of a pool'


def test_second_join_in_the_window_duplicates_interfaces(
    call, clients, clk, join, sim
):
    assert join() == ''
    clk.advance(5)
    assert join() == ''
    clk.advance(30)
    ref = clients.ref('xen1')
    assert len(call('xen1', 'host.get_all', ref)) == 2
    (network,) = (
        record
        for record in call('xen1', 'network.get_all_records', ref).values()
        if record['bridge'] == 'xenbr0'
    )
    assert len(network['PIFs']) == 3
    assert len(sim.state()['pools'][0]['hosts']) == 2


def test_halted_machine_comes_along_and_own_network_does_not(
    call, clients, clk, join, sim
):
    ref = clients.ref('xen2')
    call('xen2', 'network.create', ref, {'name_label': 'own'})
    sim.add_sr('xen2', 'disks', vdis=[{'name': 'root disk'}])
    sim.add_vm('xen2', 'v', 'Halted', vdis=['root disk'])
    assert join() == ''
    clk.advance(30)
    ref = clients.ref('xen1')
    networks = call('xen1', 'network.get_all_records', ref).values()
    assert {record['bridge'] for record in networks} == {'xenbr0', 'xenapi'}
    (vm,) = call('xen1', 'VM.get_by_name_label', ref, 'v')
    (vbd,) = call('xen1', 'VM.get_VBDs', ref, vm)
    vdi = call('xen1', 'VBD.get_VDI', ref, vbd)
    assert call('xen1', 'VDI.get_name_label', ref, vdi) == 'root disk'


def test_own_pool_name_is_lost(call, clients, clk, join):
    ref = clients.ref('xen2')
    (pool,) = call('xen2', 'pool.get_all', ref)
    call('xen2', 'pool.set_name_label', ref, pool, 'mine')
    join()
    clk.advance(30)
    ref = clients.ref('xen1')
    (record,) = call('xen1', 'pool.get_all_records', ref).values()
    assert record['name_label'] == ''


def pool(name, **fields):
    return lambda sim: sim.set_pool(name, **fields)


def host(name, **fields):
    return lambda sim: sim.set_host(name, **fields)


def version(**fields):
    return host('xen2', software_version=fields)


REFUSALS = [
    (
        pool('xen2', restrictions={'restrict_pooling': 'true'}),
        ['LICENCE_RESTRICTION'],
    ),
    (pool('xen2', ha_enabled=True), ['HA_IS_ENABLED']),
    (pool('xen1', ha_enabled=True), ['HA_IS_ENABLED']),
    (lambda sim: sim.add_vm('xen2', 'v'), [RUNNING]),
    (version(platform_version='3.5.0'), ['HOSTS_NOT_COMPATIBLE']),
    (version(product_brand='XenServer'), ['HOSTS_NOT_COMPATIBLE']),
    (
        lambda sim: sim.add_sr('xen2', 'nfs', shared=True),
        ['JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS'],
    ),
    (
        lambda sim: sim.add_bond('xen2', ['eth1', 'eth2']),
        ['POOL_JOINING_HOST_HAS_BONDS'],
    ),
    (
        lambda sim: sim.add_vlan('xen2', 5),
        ['POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS'],
    ),
    (
        host('xen2', external_auth_type='AD'),
        ['POOL_JOINING_EXTERNAL_AUTH_MISMATCH'],
    ),
    (version(network_backend='bridge'), ['OPERATION_NOT_ALLOWED']),
    (
        host('xen2', API_version_minor=20),
        ['POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION', '2.20', '2.21'],
    ),
    (
        version(db_schema='5.603'),
        ['POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA', '5.603', '5.779'],
    ),
    (
        pool('xen2', tls_verification_enabled=False),
        ['POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH'],
    ),
    (
        pool('xen1', current_operations={'x': 'apply_updates'}),
        ['NOT_SUPPORTED_DURING_UPGRADE'],
    ),
]


@pytest.mark.parametrize('method', ['pool.join', 'pool.join_force'])
@pytest.mark.parametrize(('change', 'failure'), REFUSALS)
def test_refusals_which_force_does_not_help(
    sim, join, change, failure, method
):
    change(sim)
    before = sim.state()['pools']
    answer = join(method=method)
    assert answer[1 : len(failure) + 1] == failure
    assert sim.state()['pools'] == before


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (version(git_id='other'), 'Software version differs'),
        (host('xen2', cpu_info={'vendor': 'AuthenticAMD'}), 'CPUs differ'),
    ],
)
def test_force_bridges_versions_and_processors(sim, join, change, reason):
    change(sim)
    assert join() == ['ERR', 'HOSTS_NOT_HOMOGENEOUS', reason]
    assert join(method='pool.join_force') == ''


def test_edition(sim, join):
    sim.set_host('xen2', edition='enterprise')
    assert join()[1] == 'LICENSE_HOST_POOL_MISMATCH'


def test_pending_guidance_names_the_host(sim, join, clients, call):
    sim.set_host('xen2', pending_guidances=['reboot_host'])
    ref = clients.ref('xen2')
    code = 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'
    assert join() == ['ERR', code, *call('xen2', 'host.get_all', ref)]


def test_first_check_wins(sim, join):
    sim.set_pool('xen2', tls_verification_enabled=False)
    sim.set_host('xen2', software_version={'platform_version': '1'})
    sim.add_vm('xen2', 'v')
    assert join() == ['ERR', RUNNING]


def test_waiting_behind_another_operation(sim, join, clk, clients, call):
    ref = clients.ref('xen2')
    sim.set_pool('xen1', current_operations={'x': 'eject'})
    task = call('xen2', 'Async.pool.join', ref, *LOGIN)
    clk.advance(60)
    assert call('xen2', 'task.get_status', ref, task) == 'pending'
    clk.advance(7200)
    record = call('xen2', 'task.get_record', ref, task)
    assert record['error_info'][0] == 'OTHER_OPERATION_IN_PROGRESS'
