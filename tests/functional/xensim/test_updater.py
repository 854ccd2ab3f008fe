"""The plugin of XCP-ng that installs updates: xapi#updater."""

import json

import pytest

from tests.functional.xensim import pools

NEXT = {'xapi': '24.20', 'xapi_build': '24.20.0'}
PACKAGE = 'xapi-core-24.20.0-1.x86_64'
CALL = 'host.call_plugin'


@pytest.fixture
def version():
    return 'xcp-ng-8.3'


@pytest.fixture
def described(version):
    found = pools.described()
    for host in found['hosts']:
        host['version'] = version
        host['read_only_users'] = {'viewer': 'viewer'}
    return found


def plugin(pool, name, fn='update', method=CALL, **arguments):
    answer = pool(method, pool.hosts[name], 'updater.py', fn, arguments)
    if isinstance(answer, list) or method != CALL:
        return answer
    return json.loads(answer)


def publish(sim, package=PACKAGE):
    return sim.publish('xen1', [package], {'full': ['reboot_host']}, NEXT)


def labels(pool):
    return [
        row['name_label']
        for row in pool('task.get_all_records').values()
        if row['name_label'].startswith('Update')
    ]


@pytest.mark.parametrize('version', ['xcp-ng-8.2', 'xcp-ng-8.3'])
def test_an_update_takes_effect_with_the_next_boot(pool, clk, sim):
    assert plugin(pool, 'xen2', 'check_update') == []
    publish(sim)
    (found,) = plugin(pool, 'xen2', 'check_update')
    assert (found['name'], found['version'], found['release']) == (
        'xapi-core',
        '24.20.0',
        '1',
    )
    assert set(found) == {
        *('name', 'version', 'release', 'description', 'changelog', 'url'),
        *('size', 'license'),
    }
    vm = pool.vm('xen1', 'v')
    before = clk.time()
    done = plugin(pool, 'xen1')
    assert clk.time() - before >= sim.world.times.yum
    assert (done['returncode'], done['stderr']) == (0, '')
    assert done['command'][:2] == ['yum', 'update']
    assert set(done) == {'stdout', 'stderr', 'command', 'returncode'}
    row = pool.host('xen1')
    # Nobody is asked for anything, and guests may stay.
    assert (row['enabled'], pool.places(vm)) == (True, ['xen1'])
    assert not row.get('pending_guidances_full')
    assert row['software_version']['xapi'] != NEXT['xapi']
    assert plugin(pool, 'xen1', 'check_update') == []
    assert len(plugin(pool, 'xen2', 'check_update')) == 1
    sim.restart_toolstack('xen1')
    clk.advance(60)
    pool.login()
    assert pool.host('xen1')['software_version']['xapi'] != NEXT['xapi']
    assert pool('VM.clean_shutdown', vm) == ''
    assert pool('host.disable', pool.hosts['xen1']) == ''
    assert pool('host.reboot', pool.hosts['xen1']) == ''
    clk.advance(60)
    pool.login()
    assert pool.host('xen1')['software_version']['xapi'] == NEXT['xapi']


def test_packages_by_name(pool, sim):
    publish(sim)
    publish(sim, 'xen-4.17.6-2.x86_64')
    names = 'xapi-core,xen other'
    found = plugin(pool, 'xen2', 'query_installed', packages=names)
    assert found == {
        'xapi-core': 'xapi-core-0-1.x86_64',
        'xen': 'xen-0-1.x86_64',
        'other': '',
    }
    done = plugin(pool, 'xen2', packages='xen')
    assert done['command'][-1] == 'xen'
    found = plugin(pool, 'xen2', 'query_installed', packages=names)
    assert found['xapi-core'] == 'xapi-core-0-1.x86_64'
    assert found['xen'] == 'xen-4.17.6-2.x86_64'
    assert plugin(pool, 'xen2', 'query_installed') == {}


def test_its_task_and_its_lock(pool, clk, sim):
    publish(sim)
    task = plugin(pool, 'xen2', method=f'Async.{CALL}')
    row = pool.host('xen2')
    label = f'Update host {row["name_label"]} ({row["uuid"]})'
    assert labels(pool) == [label]
    before = clk.time()
    code, *told = plugin(pool, 'xen2')[1:]
    assert (code, *told[:2]) == ('-1', 'Update already in progress', '')
    assert told[2].startswith('Traceback')
    busy = 'The updater plugin is busy (current operation: update)'
    assert plugin(pool, 'xen2', 'check_update')[2] == busy
    assert clk.time() == before
    # Other hosts have locks of their own, and a question needs none.
    assert len(plugin(pool, 'xen3', 'check_update')) == 1
    assert plugin(pool, 'xen2', 'query_installed', packages='a') == {'a': ''}
    clk.advance(100)
    status, error = pool.ended(task)
    assert (status, error, labels(pool)) == ('success', [], [])
    result = pool('task.get_result', task)
    assert '"returncode": 0' in result


def test_an_update_waits_for_a_check_for_a_while(pool, clk, sim):
    publish(sim)
    sim.host('xen2').checked_until = clk.time() + 5
    assert plugin(pool, 'xen2')['returncode'] == 0
    sim.host('xen2').checked_until = clk.time() + 60
    before = clk.time()
    busy = 'The updater plugin is busy (current operation: check_update)'
    assert plugin(pool, 'xen2')[2] == busy
    assert clk.time() - before == sim.world.times.updater_lock


def test_yum_fails(pool, sim):
    publish(sim)
    sim.plant(CALL, host='xen2', step='yum', code='no', parameters=('space',))
    code, text, details, trace = plugin(pool, 'xen2')[1:]
    assert code == '1'
    assert text.startswith("Command '['yum', 'update', '--disablerepo=*', ")
    assert text.endswith("'-y']' failed with code: 1")
    assert details == "stdout: '', stderr: 'no space'"
    assert trace.startswith('Traceback')
    assert labels(pool) == []
    assert sim.host('xen2').packages == []
    assert plugin(pool, 'xen2')['returncode'] == 0


@pytest.mark.parametrize('name', ['xen1', 'xen2'])
def test_yum_goes_on_without_its_caller(pool, clk, sim, name):
    """On the master the plugin loses its session with that of the caller."""
    publish(sim)
    task = plugin(pool, name, method=f'Async.{CALL}')
    assert pool('session.logout') == ''
    clk.advance(100)
    pool.login()
    assert sim.host(name).packages == ['UPD-1']
    status, error = pool.ended(task)
    if name == 'xen2':
        assert (status, labels(pool)) == ('success', [])
    else:
        told = ['-1', "<Fault 401: 'You must log in'>"]
        assert (status, error[:2]) == ('failure', told)
        assert len(labels(pool)) == 1


@pytest.mark.parametrize('action', ['die', 'restart'])
def test_yum_goes_on_without_xapi(pool, clk, sim, action):
    publish(sim)
    method = f'Async.{CALL}'
    if action == 'die':
        sim.plant(method, host='xen2', action='die', step='yum')
    task = plugin(pool, 'xen2', method=method)
    if action == 'restart':
        clk.advance(20)
        sim.restart_toolstack('xen2')
        clk.advance(10)
        code, text, *_ = plugin(pool, 'xen2')[1:]
        assert (code, text) == ('-1', 'Update already in progress')
    clk.advance(120)
    pool.login()
    assert sim.host('xen2').packages == ['UPD-1']
    lost = 'HANDLE_INVALID' if action == 'die' else ('cancelled', [])
    assert pool.ended(task) == lost


def test_a_machine_that_goes_down_meanwhile_has_nothing(pool, clk, sim):
    publish(sim)
    task = plugin(pool, 'xen2', method=f'Async.{CALL}')
    clk.advance(10)
    sim.power_off('xen2')
    clk.advance(100)
    status, _ = pool.ended(task)
    assert (status, sim.host('xen2').packages) == ('failure', [])


def test_what_is_not_there(pool, clients):
    ref = pool.hosts['xen2']
    missing = ['ERR', 'XENAPI_MISSING_PLUGIN', 'other']
    assert pool(CALL, ref, 'other', 'update', {}) == missing
    unknown = ['ERR', 'UNKNOWN_XENAPI_PLUGIN_FUNCTION', 'upgrade']
    assert plugin(pool, 'xen2', 'upgrade') == unknown
    login = 'session.login_with_password'
    viewer = clients.call('xen1', login, 'viewer', 'viewer')
    code, *told = clients.call(
        'xen1', CALL, viewer, ref, 'updater.py', 'update', {}
    )[1:]
    assert code == 'RBAC_PERMISSION_DENIED'
    assert told[1].endswith('(Roles with this permission: pool-admin)')


@pytest.mark.parametrize('version', ['xenserver-8.4'])
def test_it_is_no_part_of_xenserver(pool):
    missing = ['ERR', 'XENAPI_MISSING_PLUGIN', 'updater.py']
    assert plugin(pool, 'xen2') == missing
