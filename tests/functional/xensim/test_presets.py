"""Products of several ages: xapi#versions, xapi#simulated-behaviour-14."""

import pytest
import requests

from aggregates_ext.xensim.plan import presets

OLD, SEVEN, MIDDLE, NEW, LTS, STREAM, NEWEST = presets.PRESETS
LOGIN = ('10.0.0.11', 'root', 'secret')


@pytest.fixture
def version(request):
    return request.param


@pytest.fixture
def described(version):
    return {
        'hosts': [
            {'name': name, 'version': version} for name in ('xen1', 'xen2')
        ]
    }


@pytest.fixture
def ref(clients):
    return clients.ref('xen1')


@pytest.fixture
def host(call, ref):
    return call('xen1', 'host.get_all', ref)[0]


def of(*versions):
    return pytest.mark.parametrize('version', versions, indirect=True)


@pytest.mark.parametrize(
    ('version', 'api', 'schema'),
    [
        (OLD, '1.10', None),
        (SEVEN, '2.6', None),
        (MIDDLE, '2.15', '5.603'),
        (NEW, '2.21', '5.779'),
        (LTS, '2.21', '5.793'),
        (STREAM, '2.21', '5.909'),
        (NEWEST, '2.23', '5.909'),
    ],
    indirect=['version'],
)
def test_ladder(call, ref, host, api, schema):
    record = call('xen1', 'host.get_record', ref, host)
    seen = f'{record["API_version_major"]}.{record["API_version_minor"]}'
    assert seen == api
    assert record['software_version'].get('db_schema') == schema


@pytest.mark.parametrize(
    ('version', 'seconds'),
    [(OLD, 5), (SEVEN, 5), (MIDDLE, 5), (NEW, 2), (NEWEST, 2)],
    indirect=['version'],
)
def test_a_wrong_password_costs_time(call, clk, seconds):
    before = clk.time()
    call('xen1', 'session.login_with_password', 'root', 'wrong')
    assert clk.time() - before == pytest.approx(seconds)


@pytest.mark.parametrize(
    ('version', 'absent'),
    [
        (
            OLD,
            'SR.get_is_tools_sr pool.get_is_psr_pending pool_update.get_all'
            ' Cluster.get_all pool.enable_tls_verification'
            ' host.declare_dead Certificate.get_all_records',
        ),
        (
            SEVEN,
            'pool.get_is_psr_pending network.get_purpose Cluster.get_all'
            ' network_sriov.get_all SDN_controller.get_all'
            ' pool_update.get_enforce_homogeneity',
        ),
        (
            MIDDLE,
            'pool.get_tls_verification_enabled host.get_pending_guidances'
            ' pool.enable_tls_verification Repository.get_all'
            ' pool.sync_updates pool.check_update_readiness'
            ' host.apply_updates',
        ),
        (NEW, 'host.get_ssh_enabled Certificate.get_purpose'),
        (LTS, 'Certificate.get_purpose VM_metrics.get_numa_nodes'),
    ],
    indirect=['version'],
)
def test_what_is_absent_is_unknown(call, ref, version, absent):
    for method in absent.split():
        answer = call('xen1', method, ref)
        assert answer == ['ERR', 'MESSAGE_METHOD_UNKNOWN', method]
    for kind in ('SR', 'pool', 'host'):
        (record, *_) = call('xen1', f'{kind}.get_all_records', ref).values()
        for method in absent.split():
            owner, _, getter = method.partition('.')
            if owner == kind:
                assert getter.removeprefix('get_') not in record


@of(OLD, MIDDLE)
def test_one_parameter_exactly(call, ref, host):
    for method, surplus in (
        ('host.disable', [True]),
        ('host.evacuate', ['OpaqueRef:NULL']),
    ):
        answer = call('xen1', method, ref, host, *surplus)
        code = 'MESSAGE_PARAMETER_COUNT_MISMATCH'
        assert answer == ['ERR', code, method, '1', '2']
        assert call('xen1', method, ref, host) == ''


@of(NEW)
def test_evacuate_has_defaults_and_disable_has_none(call, ref, host):
    assert call('xen1', 'host.evacuate', ref, host, '', '3') == ''
    assert call('xen1', 'host.evacuate', ref, host, '', '3', 'more') == ''
    answer = call('xen1', 'host.disable', ref, host, False)
    assert answer[1] == 'MESSAGE_PARAMETER_COUNT_MISMATCH'


@of(NEW, NEWEST)
def test_sync_needs_two_parameters(call, ref):
    (pool,) = call('xen1', 'pool.get_all', ref)
    answer = call('xen1', 'pool.sync_updates', ref, pool)
    code = 'MESSAGE_PARAMETER_COUNT_MISMATCH'
    assert answer == ['ERR', code, 'pool.sync_updates', '2', '1']
    answer = call('xen1', 'pool.sync_updates', ref, pool, False)
    assert answer == ['ERR', 'NO_REPOSITORY_ENABLED']


@of(LTS, STREAM, NEWEST)
def test_disable_has_a_second_parameter(call, ref, host):
    assert call('xen1', 'host.disable', ref, host, False) == ''


@of(OLD, MIDDLE)
def test_no_certificates_are_exchanged(sim, join):
    fault = sim.plant('pool.join', 'xen2', step='S3')
    assert join() == ''
    assert not fault.hit.is_set()


@of(OLD)
def test_no_json_on_old_products(sim):
    body = {'id': 1, 'method': 'session.login_with_password', 'params': []}
    url = sim.host('xen1').url
    answer = requests.post(f'{url}/jsonrpc', json=body, timeout=10)
    assert answer.status_code == 403


@of(*presets.PRESETS)
def test_two_of_a_kind_join(join, sim, clk):
    assert join() == ''
    clk.advance(30)
    assert [host['enabled'] for host in sim.state()['pools'][0]['hosts']] == [
        True,
        True,
    ]


def no_tls(sim):
    sim.set_pool('xen2', tls_verification_enabled=False)


def bond(sim):
    sim.add_bond('xen2', ['eth1', 'eth2'])


def build(sim):
    sim.set_host('xen2', software_version={'build_number': 'x'})


def features(sim):
    sim.set_host('xen2', cpu_info={'features': 'f'})


def patch(sim):
    db = sim.host('xen2').database
    sim.add_record(
        'xen2',
        'host_patch',
        host=db.pool['master'],
        pool_patch=db.create('pool_patch'),
        applied=True,
    )


def guidance(sim):
    sim.set_host('xen2', pending_guidances=['reboot_host'])


def drivers(sim):
    sim.add_record('xen1', 'SM', type='new', features={'X': 1})


BY_RELEASE = [
    (MIDDLE, no_tls, None),
    (NEW, no_tls, 'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH'),
    (OLD, bond, None),
    (SEVEN, bond, 'POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS'),
    (MIDDLE, bond, 'POOL_JOINING_HOST_HAS_BONDS'),
    (OLD, build, 'HOSTS_NOT_HOMOGENEOUS'),
    (SEVEN, build, None),
    (MIDDLE, build, None),
    (OLD, features, 'HOSTS_NOT_HOMOGENEOUS'),
    (MIDDLE, features, None),
    (OLD, patch, 'HOSTS_NOT_HOMOGENEOUS'),
    (SEVEN, patch, 'HOSTS_NOT_HOMOGENEOUS'),
    (MIDDLE, patch, None),
    (MIDDLE, guidance, None),
    (NEW, guidance, 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'),
    (NEW, drivers, None),
    (NEWEST, drivers, 'POOL_JOINING_SM_FEATURES_INCOMPATIBLE'),
]
"""Which release refuses what, and with which code."""


@pytest.mark.parametrize(
    ('version', 'change', 'code'), BY_RELEASE, indirect=['version']
)
def test_checks_by_release(sim, join, change, code):
    change(sim)
    answer = join()
    assert (answer[1] if answer else None) == code


@of(OLD)
def test_old_products_need_a_physical_management_interface(sim, join):
    db = sim.host('xen2').database
    (pif,) = db.where('PIF', management=True)
    sim.set_record('xen2', 'PIF', pif, physical=False)
    code = 'POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC'
    assert join() == ['ERR', code]


@of(OLD)
def test_processors_are_compared_under_a_mask(sim, join):
    for name, text in (('xen1', 'ff-01'), ('xen2', 'ff-02')):
        sim.set_host(name, cpu_info={'features': text})
    assert join()[1] == 'HOSTS_NOT_HOMOGENEOUS'
    sim.set_pool('xen1', other_config={'cpuid_feature_mask': 'ff-00'})
    assert join() == ''


@pytest.mark.parametrize(
    ('version', 'seconds'),
    [(MIDDLE, 16), (NEWEST, 8)],
    indirect=['version'],
)
def test_old_products_move_one_after_another(
    sim, call, clients, clk, join, seconds
):
    assert join() == ''
    clk.advance(30)
    ref = clients.ref('xen1')
    host = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    for name in ('a', 'b'):
        sim.add_vm('xen2', name)
    before = clk.time()
    assert call('xen1', 'host.evacuate', ref, host) == ''
    assert clk.time() - before == pytest.approx(seconds, abs=1.5)


@pytest.mark.parametrize(
    ('version', 'code'),
    [
        (MIDDLE, 'HOST_NOT_ENOUGH_FREE_MEMORY'),
        ('xcp-ng-8.3', 'HOST_NOT_ENOUGH_FREE_MEMORY'),
        (NEWEST, 'HOST_EVACUATE_VM_NOT_HA_PROTECTED'),
    ],
    indirect=['version'],
)
def test_unprotected_guests_are_told_otherwise_by_older_products(
    sim, call, clients, clk, join, code
):
    """Those that high availability does not protect."""
    assert join() == ''
    clk.advance(30)
    ref = clients.ref('xen1')
    host = call('xen1', 'host.get_by_uuid', ref, sim.host('xen2').uuid)
    uuid = sim.add_vm('xen2', 'a')
    sim.set_pool('xen1', ha_enabled=True, ha_host_failures_to_tolerate=1)
    vm = call('xen1', 'VM.get_by_uuid', ref, uuid)
    method = 'host.get_vms_which_prevent_evacuation'
    assert call('xen1', method, ref, host) == {vm: [code, vm]}
