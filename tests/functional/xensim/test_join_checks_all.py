"""All checks before a join, in their order: xapi#join-checks."""

import pytest

from aggregates_ext.xensim.join import checks as join_checks


@pytest.fixture
def described():
    """The release whose checks xapi#join-checks lists."""
    return {
        'hosts': [
            {'name': name, 'version': 'xapi-26'} for name in ('xen1', 'xen2')
        ]
    }


def pool(name, **fields):
    return lambda sim: sim.set_pool(name, **fields)


def host(name, **fields):
    return lambda sim: sim.set_host(name, **fields)


def version(**fields):
    return host('xen2', software_version=fields)


def add(name, kind, **fields):
    return lambda sim: sim.add_record(name, kind, **fields)


def own(sim, name='xen2'):
    """The reference of a host in its own pool."""
    return sim.host(name).database.pool['master']


def pif(sim, name, **fields):
    db = sim.host(name).database
    (ref,) = db.where('PIF', management=True)
    db.row('PIF', ref).update(fields)
    return ref


def cluster_host(sim):
    return sim.add_record('xen2', 'Cluster_host', host=own(sim), enabled=True)


def clustered_pool(sim, **changes):
    ref = pif(sim, 'xen1', **changes)
    cluster = sim.add_record('xen1', 'Cluster', pool_auto_join=True)
    sim.add_record(
        'xen1', 'Cluster_host', cluster=cluster, host=own(sim, 'xen1'), PIF=ref
    )


def clustered_on_vlan(sim):
    clustered_pool(sim)
    db = sim.host('xen1').database
    (row,) = [row for _, row in db.rows('Cluster_host')]
    row['PIF'] = db.create('PIF', VLAN=7)


def clustered_without_address(sim):
    clustered_pool(sim)
    pif(sim, 'xen2', IP='')


def running(sim):
    sim.add_vm('xen2', 'v')


def busy(sim):
    sim.add_record('xen2', 'VM', current_operations={'x': 'snapshot'})


def no_management(sim):
    pif(sim, 'xen2', management=False)


def second_host(sim, name='xen2'):
    metrics = sim.add_record(name, 'host_metrics')
    sim.add_record(name, 'host', edition='xcp-ng', metrics=metrics)


def itself(sim):
    sim.host('xen1').database.row('host', own(sim, 'xen1'))['uuid'] = sim.host(
        'xen2'
    ).uuid


def update(sim):
    sim.add_record(
        'xen2', 'pool_update', enforce_homogeneity=True, hosts=[own(sim)]
    )


def controllers(sim):
    fields = {'protocol': 'ssl', 'port': 6632}
    sim.add_record('xen1', 'SDN_controller', address='10.0.0.1', **fields)
    sim.add_record('xen2', 'SDN_controller', address='10.0.0.2', **fields)


def purposes(sim):
    sim.add_record('xen1', 'network', purpose=['nbd'])
    sim.add_record('xen2', 'network', purpose=['insecure_nbd'])


def authorities(sim):
    for name in ('xen1', 'xen2'):
        sim.add_record(
            name, 'Certificate', type='ca', name='c', fingerprint_sha256=name
        )


def trusted(sim):
    for name, purpose in (('xen1', ['a', 'b']), ('xen2', ['b'])):
        sim.add_record(
            name,
            'Certificate',
            type='pinned',
            name=name,
            fingerprint_sha256='same',
            purpose=purpose,
        )


def licence(sim):
    sim.set_pool('xen2', restrictions={'restrict_pool_size': 'true'})
    for _ in range(2):
        second_host(sim, 'xen1')


APPLYING = {'x': 'apply_updates'}
PREFIX = 'POOL_JOINING_'
OFF = 'OPERATION_NOT_ALLOWED'

CASES = [
    (1, licence, ['LICENCE_RESTRICTION', 'Pool_size']),
    (2, no_management, ['HOST_STILL_BOOTING']),
    (3, pool('xen2', ha_enabled=True), ['HA_IS_ENABLED']),
    (4, cluster_host, ['CLUSTERING_ENABLED']),
    (
        5,
        clustered_on_vlan,
        [
            PREFIX + 'POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK',
            '7',
        ],
    ),
    (
        5,
        clustered_without_address,
        [PREFIX + 'HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK'],
    ),
    (6, pool('xen1', ha_enabled=True), ['HA_IS_ENABLED']),
    (7, itself, [OFF, 'Host cannot become slave of itself']),
    (8, second_host, ['JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS']),
    (9, running, ['JOINING_HOST_CANNOT_HAVE_RUNNING_VMS']),
    (10, busy, ['JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS']),
    (
        11,
        host('xen1', pending_guidances=['reboot_host']),
        ['HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'],
    ),
    (12, version(platform_version='9'), ['HOSTS_NOT_COMPATIBLE']),
    (
        13,
        version(git_id='x'),
        ['HOSTS_NOT_HOMOGENEOUS', 'Software version differs'],
    ),
    (
        14,
        lambda sim: sim.add_sr('xen2', 'nfs', shared=True),
        ['JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS'],
    ),
    (15, add('xen2', 'Bond'), [PREFIX + 'HOST_HAS_BONDS']),
    (16, add('xen2', 'tunnel'), [PREFIX + 'HOST_HAS_TUNNELS']),
    (17, add('xen2', 'network_sriov'), [PREFIX + 'HOST_HAS_NETWORK_SRIOVS']),
    (
        18,
        lambda sim: sim.add_vlan('xen2', 5),
        [PREFIX + 'HOST_HAS_NON_MANAGEMENT_VLANS'],
    ),
    (
        19,
        lambda sim: pif(sim, 'xen2', VLAN=0),
        [PREFIX + 'HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH', '0', '-1'],
    ),
    (
        20,
        host('xen2', external_auth_type='AD'),
        [PREFIX + 'EXTERNAL_AUTH_MISMATCH'],
    ),
    (21, host('xen2', edition='enterprise'), ['LICENSE_HOST_POOL_MISMATCH']),
    (22, version(network_backend='bridge'), [OFF, 'Network backends differ']),
    (22, controllers, [OFF, 'SDN controller differs']),
    (
        23,
        host('xen2', API_version_minor=20),
        [PREFIX + 'HOST_MUST_HAVE_SAME_API_VERSION', '2.20', '2.23'],
    ),
    (
        24,
        version(db_schema='5.1'),
        [PREFIX + 'HOST_MUST_HAVE_SAME_DB_SCHEMA', '5.1', '5.909'],
    ),
    (25, update, ['HOSTS_NOT_HOMOGENEOUS']),
    (
        26,
        lambda sim: pif(sim, 'xen2', primary_address_type='IPv6'),
        [OFF, 'Primary address type differs'],
    ),
    (
        27,
        purposes,
        [OFF, 'Incompatible network purposes: nbd and insecure_nbd'],
    ),
    (
        28,
        pool('xen2', tls_verification_enabled=False),
        [PREFIX + 'HOST_TLS_VERIFICATION_MISMATCH'],
    ),
    (29, authorities, [PREFIX + 'HOST_CA_CERTIFICATES_CONFLICT', 'c']),
    (30, trusted, [PREFIX + 'HOST_TRUSTED_CERTIFICATES_CONFLICT']),
    (
        31,
        pool('xen2', current_operations=APPLYING),
        ['NOT_SUPPORTED_DURING_UPGRADE'],
    ),
    (
        32,
        pool('xen1', current_operations=APPLYING),
        ['NOT_SUPPORTED_DURING_UPGRADE'],
    ),
    (
        33,
        add('xen1', 'SM', type='new', features={'X': 1}),
        [PREFIX + 'SM_FEATURES_INCOMPATIBLE'],
    ),
]


def test_every_check_has_a_case():
    assert {number for number, _, _ in CASES} == set(range(1, 34))
    assert [number for number, _ in join_checks.CHECKS] == list(range(1, 34))


@pytest.mark.parametrize(('number', 'change', 'failure'), CASES)
def test_the_answer_of_a_check(sim, join, number, change, failure):
    change(sim)
    before = sim.state()['pools']
    assert join()[1 : len(failure) + 1] == failure
    assert sim.state()['pools'] == before


@pytest.mark.parametrize(('number', 'change', 'failure'), CASES)
def test_force_skips_number_13_only(sim, join, number, change, failure):
    change(sim)
    answer = join(method='pool.join_force')
    assert (answer == '') == (number == 13)


PAIRS = [
    pair
    for pair in zip(CASES, CASES[1:], strict=False)
    if pair[0][0] != pair[1][0] and pair[0][0] not in (1, 2, 7)
]
"""Neighbours whose states can be had together."""


@pytest.mark.parametrize(('first', 'second'), PAIRS)
def test_the_first_check_which_fails_wins(sim, join, first, second):
    first[1](sim)
    second[1](sim)
    assert join()[1 : len(first[2]) + 1] == first[2]


def test_conflicts_name_both_sides(sim, join):
    trusted(sim)
    code, theirs, ours = join()[1:]
    assert sim.host('xen1').database.exists('Certificate', theirs)
    assert sim.host('xen2').database.exists('Certificate', ours)


def test_a_cluster_host_is_named(sim, join):
    ref = cluster_host(sim)
    assert join() == ['ERR', 'CLUSTERING_ENABLED', ref]


def test_disjoint_purposes_pass(sim, join):
    for name, purpose in (('xen1', ['a']), ('xen2', ['b'])):
        sim.add_record(
            name,
            'Certificate',
            type='pinned',
            fingerprint_sha256='same',
            purpose=purpose,
        )
    assert join() == ''


def test_licences_of_equal_rank_pass(sim, join):
    sim.set_host('xen1', edition='free')
    sim.set_host('xen2', edition='express')
    assert join() == ''


def test_an_edition_nobody_knows(sim, join):
    sim.set_host('xen2', edition='strange')
    assert join() == ['ERR', 'V6D_FAILURE']


class TestSizeRace:
    """The size is checked again in host.create, unheard.

    See xapi#simulation-checks.
    """

    @pytest.fixture
    def described(self):
        names = ('xen1', 'xen2', 'xen3', 'xen4')
        return {
            'hosts': [{'name': name} for name in names],
            'pools': [{'hosts': ['xen1', 'xen4']}],
        }

    def test_the_second_of_two_joins_is_lost(self, sim, call, clients, clk):
        limit = {'restrict_pool_size': 'true'}
        login = ('10.0.0.11', 'root', 'secret')
        tasks = {}
        for name in ('xen1', 'xen2', 'xen3'):
            sim.set_pool(name, restrictions=limit)
        for name in ('xen2', 'xen3'):
            ref = clients.ref(name)
            tasks[name] = ref, call(name, 'Async.pool.join', ref, *login)
        clk.advance(6)
        for name, (ref, task) in tasks.items():
            assert call(name, 'task.get_status', ref, task) == 'success'
        clk.advance(40)
        members = [one['name'] for one in sim.state()['pools'][0]['hosts']]
        assert len(members) == 3
        (lost,) = {'xen2', 'xen3'} - set(members)
        answer = call(lost, 'session.login_with_password', 'root', 'secret')
        assert answer[:2] == ['ERR', 'HOST_IS_SLAVE']
