"""Updates from the repository of a pool: xapi#updates."""

import http.client
import json
import urllib.parse

import pytest

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from tests.functional.xensim import pools

NEXT = {'xapi': '26.18', 'xapi_build': '26.18.0'}
PACKAGES = ['xapi-core-26.18.0-1.x86_64']
REBOOT = {'mandatory': ['evacuate_host', 'reboot_host']}
APPLY = 'host.apply_updates'


@pytest.fixture
def described():
    return pools.described()


@pytest.fixture
def ready(pool, sim):
    """The pool has a repository, and nothing is new in it."""
    sim.enable_repository('xen1')
    return pool


def sync(pool):
    return pool('pool.sync_updates', the_pool(pool), False, '', '', '', '')


def the_pool(pool):
    (ref,) = pool('pool.get_all')
    return ref


def publish(pool, guidance=None, **versions):
    """Something new, which the pool knows of: the hash."""
    pool.sim.publish('xen1', PACKAGES, guidance or {}, versions or NEXT)
    return sync(pool)


def apply(pool, name, checksum, method=APPLY):
    return pool(method, pool.hosts[name], checksum)


def told(pool, name):
    row = pool.host(name)
    return [
        row[f'pending_guidances{kind}']
        for kind in ('', '_recommended', '_full')
    ]


def version(pool, name):
    return pool.host(name)['software_version']['xapi_build']


def reboot(pool, name):
    assert pool('host.reboot', pool.hosts[name]) == ''
    pool.clk.advance(60)
    pool.login()


def restart(pool, name):
    pool.sim.restart_toolstack(name)
    pool.clk.advance(60)
    pool.login()


def fetch(pool, name='xen1', session=None, **query):
    """GET /updates: the status and what is told."""
    port = pool.sim.host(name).port
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    query = {'session_id': session or pool.session, **query}
    connection.request('GET', f'/updates?{urllib.parse.urlencode(query)}')
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    is_json = answer.headers['Content-Type'] == 'application/json'
    return answer.status, json.loads(body) if is_json else None


def test_nothing_is_there_without_a_repository(pool, sim):
    ref = pool.hosts['xen1']
    code = ['ERR', 'NO_REPOSITORY_ENABLED']
    assert sync(pool) == code
    assert pool(APPLY, ref, 'any') == code
    assert fetch(pool) == (404, None)
    # It was disabled first, and stays so.
    assert pool('host.get_enabled', ref) is False


def test_what_is_published_is_seen_after_a_sync(ready, clk, sim):
    pool = ready
    old = sync(pool)
    assert pool.host('xen2')['latest_synced_updates_applied'] == 'yes'
    sim.publish('xen2', PACKAGES, REBOOT, NEXT)
    assert pool.host('xen2')['latest_synced_updates_applied'] == 'yes'
    assert fetch(pool)[1]['updates'] == []
    before = clk.time()
    new = sync(pool)
    assert clk.time() - before >= sim.world.times.sync_updates
    assert new != old
    assert len(new) == 64
    for name in pool.hosts:
        assert pool.host(name)['latest_synced_updates_applied'] == 'no'
    (record,) = pool('Repository.get_all_records').values()
    assert (record['hash'], record['origin']) == (new, 'remote')
    (row,) = pool('pool.get_all_records').values()
    assert row['last_update_sync'].value[:4] != '1970'
    assert row['current_operations'] == {}
    assert sync(pool) == new


def test_the_list_of_updates(ready, sim):
    pool = ready
    guidance = {**REBOOT, 'full': ['reboot_host', 'restart_vm']}
    checksum = publish(pool, guidance)
    ref = pool.hosts['xen2']
    status, found = fetch(pool, host_refs=ref)
    assert status == 200
    assert found['hash'] == checksum
    assert found['hosts'] == [
        {
            'ref': ref,
            'guidance': {
                'mandatory': ['RebootHost'],
                'recommended': [],
                'full': ['RestartVM'],
            },
            'RPMS': ['xapi-core-26.18.0-1.x86_64.rpm'],
            'updates': ['UPD-1'],
            'livepatches': [],
        }
    ]
    (update,) = found['updates']
    assert update['id'] == 'UPD-1'
    assert update['guidance'] == {
        'mandatory': ['EvacuateHost', 'RebootHost'],
        'full': ['RebootHost', 'RestartVM'],
    }
    assert set(update) == {
        *('id', 'summary', 'description', 'special-info', 'URL', 'type'),
        *('issued', 'severity', 'livepatches', 'guidance', 'title'),
    }
    both = ';'.join([ref, pool.hosts['xen3']])
    assert len(fetch(pool, host_refs=both)[1]['hosts']) == 2
    assert len(fetch(pool)[1]['hosts']) == 3


def test_who_may_fetch_the_list(ready):
    pool = ready
    assert fetch(pool, session='OpaqueRef:none') == (401, None)
    assert fetch(pool, host_refs='OpaqueRef:none') == (400, None)
    assert fetch(pool, name='xen2') == (403, None)


@pytest.mark.parametrize('name', ['xen1', 'xen2'])
def test_an_update_that_asks_for_a_boot(ready, clk, sim, name):
    pool = ready
    if name == 'xen2':
        sim.update('xen1', **NEXT)
        assert pool('host.disable', pool.hosts['xen1']) == ''
        reboot(pool, 'xen1')
    checksum = publish(pool, REBOOT)
    before = clk.time()
    assert apply(pool, name, checksum) == []
    assert clk.time() - before >= sim.world.times.yum
    row = pool.host(name)
    assert told(pool, name) == [['reboot_host'], [], []]
    assert row['enabled'] is False
    assert row['current_operations'] == {}
    assert row['last_update_hash'] == checksum
    assert row['latest_synced_updates_applied'] == 'yes'
    assert version(pool, name) == '26.17.0'
    assert fetch(pool, host_refs=pool.hosts[name])[1]['updates'] == []
    code = 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'
    ref = pool.hosts[name]
    assert apply(pool, name, checksum) == ['ERR', code, ref]
    assert pool('host.enable', ref) == ['ERR', code, ref]
    restart(pool, name)
    assert told(pool, name) == [['reboot_host'], [], []]
    assert version(pool, name) == '26.17.0'
    reboot(pool, name)
    assert told(pool, name) == [[], [], []]
    assert version(pool, name) == '26.18.0'
    assert pool.host(name)['enabled'] is True
    before = clk.time()
    assert apply(pool, name, checksum) == []
    assert clk.time() - before < sim.world.times.yum
    assert pool.host(name)['enabled'] is False


def test_an_update_that_asks_for_a_new_toolstack(ready):
    pool = ready
    checksum = publish(pool, {'mandatory': ['restart_toolstack']})
    vm = pool.vm('xen1', 'v')
    assert apply(pool, 'xen1', checksum) == []
    assert told(pool, 'xen1') == [['restart_toolstack'], [], []]
    assert version(pool, 'xen1') == '26.17.0'
    restart(pool, 'xen1')
    assert told(pool, 'xen1') == [[], [], []]
    assert version(pool, 'xen1') == '26.18.0'
    assert pool.host('xen1')['enabled'] is True
    assert pool.places(vm) == ['xen1']


def test_guests_have_to_leave_before(ready, sim):
    pool = ready
    pool.vm('xen2', 'v')
    ref = pool.hosts['xen2']
    checksum = publish(pool, {'mandatory': ['evacuate_host']})
    answer = apply(pool, 'xen2', checksum)
    assert answer == ['ERR', 'HOST_EVACUATION_IS_REQUIRED', ref]
    assert sim.host('xen2').packages == []
    assert pool.host('xen2')['latest_synced_updates_applied'] == 'no'
    assert apply(pool, 'xen3', checksum) == []
    # It has been done before.
    assert told(pool, 'xen3') == [[], [], []]


def test_what_guests_are_asked_for(ready, sim):
    pool = ready
    here, there = pool.vm('xen1', 'a'), pool.vm('xen2', 'b')
    halted = pool.vm('xen1', 'c', power_state='Halted')
    guidance = {
        'recommended': ['restart_device_model'],
        'full': ['restart_vm'],
    }
    checksum = publish(pool, guidance)

    def asked(vm):
        row = pool('VM.get_record', vm)
        kinds = ('', '_recommended', '_full')
        return [row[f'pending_guidances{kind}'] for kind in kinds]

    assert apply(pool, 'xen1', checksum) == []
    assert asked(here) == [[], ['restart_device_model'], ['restart_vm']]
    assert asked(there) == [[], [], ['restart_vm']]
    assert asked(halted) == [[], [], []]
    assert told(pool, 'xen1') == [[], [], []]
    # They are asked again with no host but the master.
    sim.set_record('xen1', 'VM', there, pending_guidances_full=[])
    assert apply(pool, 'xen2', checksum) == []
    assert asked(there) == [[], ['restart_device_model'], []]


def test_what_guests_do_ends_what_they_are_asked_for(pool, clk, sim):
    fields = (
        'pending_guidances',
        'pending_guidances_recommended',
        'pending_guidances_full',
    )
    both = dict.fromkeys(fields, ['restart_device_model', 'restart_vm'])
    left = {
        'clean_reboot': [],
        'clean_shutdown': [],
        'suspend': ['restart_vm'],
        'pool_migrate': ['restart_vm'],
    }
    for call, rest in left.items():
        vm = pool.vm('xen1', call)
        sim.set_record('xen1', 'VM', vm, **both)
        if call == 'pool_migrate':
            assert pool.move(vm, 'xen2', 'VM.pool_migrate') == ''
        else:
            assert pool(f'VM.{call}', vm) == ''
        row = pool('VM.get_record', vm)
        assert [row[field] for field in fields] == [rest] * 3, call
    # On a host that is not as new as the master it is booted in vain.
    vm = pool.vm('xen2', 'behind')
    sim.set_record('xen1', 'VM', vm, **both)
    sim.set_host('xen1', software_version=NEXT)
    assert pool('VM.hard_reboot', vm) == ''
    assert pool('VM.get_pending_guidances', vm) == ['restart_vm']


def test_what_does_not_fit_is_refused(ready, sim):
    pool = ready
    ref = pool.hosts['xen2']
    checksum = publish(pool)
    for wrong in ('', 'other'):
        answer = apply(pool, 'xen2', wrong)
        assert answer == ['ERR', 'UPDATEINFO_HASH_MISMATCH']
    assert pool('host.get_enabled', ref) is False
    assert pool('host.enable', ref) == ''
    sim.set_pool('xen1', ha_enabled=True)
    assert apply(pool, 'xen2', checksum) == ['ERR', 'HA_IS_ENABLED']
    assert pool('host.get_enabled', ref) is True


def test_a_host_that_does_not_answer(ready, sim):
    pool = ready
    checksum = publish(pool)
    sim.set_reachable('xen2', False)
    ref = pool.hosts['xen2']
    code = ['ERR', 'GET_HOST_UPDATES_FAILED', ref]
    assert apply(pool, 'xen2', checksum) == code
    assert sync(pool) == code


def test_one_operation_of_a_pool_refuses_another(ready, clk, sim):
    pool = ready
    checksum = publish(pool)
    task = apply(pool, 'xen2', checksum, 'Async.host.apply_updates')
    (row,) = pool('pool.get_all_records').values()
    assert row['current_operations'] == {task: 'apply_updates'}
    assert pool.operations('xen2') == ['apply_updates']
    busy = ['ERR', 'APPLY_UPDATES_IN_PROGRESS']
    assert apply(pool, 'xen3', checksum) == busy
    assert sync(pool) == busy
    assert pool.host('xen3')['enabled'] is True
    # It does not need the session that has asked for it.
    assert pool('session.logout') == ''
    pool.login()
    clk.advance(100)
    assert pool.ended(task) == ('success', [])
    assert (
        pool('task.get_result', task)
        == '<value><array><data></data></array></value>'
    )
    assert pool.host('xen2')['latest_synced_updates_applied'] == 'yes'
    running = pool(
        'Async.pool.sync_updates', the_pool(pool), True, '', '', '', ''
    )
    busy = ['ERR', 'SYNC_UPDATES_IN_PROGRESS']
    assert apply(pool, 'xen3', checksum) == busy
    clk.advance(100)
    assert pool.ended(running) == ('success', [])


def test_yum_fails_half_way(ready, sim):
    pool = ready
    checksum = publish(pool, REBOOT)
    sim.plant(APPLY, host='xen2', step='yum')
    ref = pool.hosts['xen2']
    answer = apply(pool, 'xen2', checksum)
    assert answer == ['ERR', 'APPLY_UPDATES_FAILED', ref]
    row = pool.host('xen2')
    assert (row['enabled'], row['current_operations']) == (False, {})
    assert row['latest_synced_updates_applied'] == 'no'
    assert (told(pool, 'xen2'), row['last_update_hash']) == ([[]] * 3, '')
    (record,) = pool('pool.get_all_records').values()
    assert record['current_operations'] == {}
    assert apply(pool, 'xen2', checksum) == []
    assert told(pool, 'xen2')[0] == ['reboot_host']


def test_a_master_that_dies_leaves_packages_without_guidance(ready, clk, sim):
    """yum goes on, and nobody asks for what is to be done then."""
    pool = ready
    checksum = publish(pool, REBOOT)
    method = 'Async.host.apply_updates'
    sim.plant(method, host='xen2', action='die', step='yum')
    apply(pool, 'xen2', checksum, method)
    clk.advance(120)
    pool.login()
    assert sim.host('xen2').packages == ['UPD-1']
    assert told(pool, 'xen2') == [[], [], []]
    assert pool.host('xen2')['latest_synced_updates_applied'] == 'no'
    assert apply(pool, 'xen2', checksum) == []
    assert told(pool, 'xen2') == [[], [], []]
    assert pool.host('xen2')['latest_synced_updates_applied'] == 'yes'


def test_a_toolstack_that_restarts_meanwhile(ready, clk, sim):
    """The master works on the call, and has lost who installs."""
    pool = ready
    checksum = publish(pool, REBOOT)
    method = 'Async.host.apply_updates'
    task = apply(pool, 'xen2', checksum, method)
    clk.advance(10)
    sim.restart_toolstack('xen2')
    clk.advance(30)
    assert pool.ended(task) == ('pending', [])
    clk.advance(60)
    error = ['CANNOT_CONTACT_HOST', pool.hosts['xen2']]
    assert pool.ended(task) == ('failure', error)
    assert sim.host('xen2').packages == ['UPD-1']
    assert told(pool, 'xen2') == [[], [], []]


def test_a_machine_that_goes_down_meanwhile_has_nothing(ready, clk, sim):
    pool = ready
    checksum = publish(pool, REBOOT)
    method = 'Async.host.apply_updates'
    task = apply(pool, 'xen2', checksum, method)
    clk.advance(10)
    sim.power_off('xen2')
    sim.power_on('xen2')
    clk.advance(120)
    error = ['CANNOT_CONTACT_HOST', pool.hosts['xen2']]
    assert pool.ended(task) == ('failure', error)
    assert sim.host('xen2').packages == []


def test_a_livepatch_that_fails_is_told(ready, sim):
    pool = ready
    guidance = {
        'recommended': ['reboot_host'],
        'livepatch': ['restart_device_model'],
    }
    checksum = publish(pool, guidance)
    (livepatch,) = fetch(pool)[1]['hosts'][0]['livepatches']
    assert livepatch['component'] == 'xen'
    sim.plant(APPLY, host='xen2', step='livepatch')
    ((code, text),) = apply(pool, 'xen2', checksum)
    assert code == 'APPLY_LIVEPATCH_FAILED'
    assert json.loads(text) == livepatch
    failed = 'reboot_host_on_xen_livepatch_failure'
    assert told(pool, 'xen2') == [[], [failed], []]
    assert apply(pool, 'xen3', checksum) == []
    assert told(pool, 'xen3') == [[], [], []]


def test_a_boot_that_must_be_needs_no_livepatch(ready):
    pool = ready
    guidance = {
        'mandatory': ['reboot_host'],
        'livepatch': ['restart_device_model'],
    }
    publish(pool, guidance)
    assert fetch(pool)[1]['hosts'][0]['livepatches'] == []


def test_readiness_does_not_ask_for_protected_guests(ready, sim):
    pool = ready
    pool.vm('xen2', 'v')
    sim.set_pool('xen1', ha_enabled=True)
    (reason,) = pool.prevented('xen2').values()
    assert reason[0] == 'HOST_EVACUATE_VM_NOT_HA_PROTECTED'
    answer = pool('pool.check_update_readiness', the_pool(pool), True)
    assert answer == [['HA_IS_ENABLED']]


def test_whether_a_pool_is_ready(ready, sim):
    pool = ready
    ref = the_pool(pool)
    assert pool('pool.check_update_readiness', ref, True) == []
    disks = [{'name': 'own'}]
    sim.add_sr('xen2', 'local', vdis=disks)
    vm = pool.vm('xen2', 'v', vdis=['own'])
    (reason,) = pool('pool.check_update_readiness', ref, True)
    assert [reason] == list(pool.prevented('xen2').values())
    assert vm in reason
    assert pool('pool.check_update_readiness', ref, False) == []
    sim.power_off('xen3')
    pool.clk.advance(700)
    sim.set_pool('xen1', ha_enabled=True)
    assert pool('pool.check_update_readiness', ref, False) == [
        ['HA_IS_ENABLED'],
        ['HOST_OFFLINE', pool.hosts['xen3']],
    ]


@pytest.mark.parametrize(
    'wrong',
    [
        {'packages': []},
        {'packages': ['xapi-core']},
        {'guidance': {'soon': ['reboot_host']}},
        {'guidance': {'full': ['RebootHost']}},
    ],
)
def test_what_cannot_be_published(sim, wrong):
    with pytest.raises(ValueError, match=r'package|guidance'):
        sim.publish('xen1', **{'packages': PACKAGES, **wrong})


def test_what_is_published_and_installed_is_saved(tmp_path, clk, described):
    loaded = topology.load(described)
    path = tmp_path / 'state'
    with simulator.Simulator(loaded, clk, path) as sim:
        sim.enable_repository('xen1')
        sim.publish('xen1', PACKAGES, REBOOT, NEXT)
        sim.host('xen2').packages.append('UPD-1')
        sim.host('xen2').renewed = dict(NEXT)
    with simulator.Simulator(loaded, clk, path) as sim:
        (mirror,) = sim.world.mirrors.values()
        (release,) = mirror.releases
        assert (release.name, release.guidance) == ('UPD-1', REBOOT)
        assert sim.host('xen2').packages == ['UPD-1']
        assert sim.host('xen2').software_version['xapi'] == '26.18'
