"""What a boot does, and a restart of the toolstack does not: xapi#boots."""

import pytest

from tests.functional.xensim import pools

GUIDANCES = (
    'pending_guidances',
    'pending_guidances_recommended',
    'pending_guidances_full',
)
AUTO = {'auto_poweron': 'true'}


@pytest.fixture
def described():
    return pools.described()


def reboot(pool, name='xen2', after=60):
    ref = pool.hosts[name]
    if pool('host.get_enabled', ref):
        assert pool('host.disable', ref) == ''
    assert pool('host.reboot', ref) == ''
    pool.clk.advance(after)
    pool.login()


def restart(pool, name='xen2'):
    pool.sim.restart_toolstack(name)
    pool.clk.advance(60)
    pool.login()


def told(pool, name='xen2'):
    record = pool.host(name)
    return {field: record[field] for field in GUIDANCES}


@pytest.mark.parametrize('name', ['xen1', 'xen2'])
def test_guidances_that_ask_for_a_reboot_end_with_it(pool, sim, name):
    asked = {
        GUIDANCES[0]: ['reboot_host'],
        GUIDANCES[1]: ['reboot_host_on_livepatch_failure', 'restart_vm'],
        GUIDANCES[2]: ['restart_toolstack', 'restart_device_model'],
    }
    update = sim.add_record('xen1', 'pool_update')
    sim.set_host(name, updates_requiring_reboot=[update], **asked)
    restart(pool, name)
    left = {**asked, GUIDANCES[2]: ['restart_device_model']}
    assert told(pool, name) == left
    assert pool.host(name)['updates_requiring_reboot'] == [update]
    # A mandatory one keeps it disabled.
    assert pool.host(name)['enabled'] is False
    code = 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'
    ref = pool.hosts[name]
    assert pool('host.enable', ref) == ['ERR', code, ref]
    reboot(pool, name)
    assert told(pool, name) == {
        **left,
        GUIDANCES[0]: [],
        GUIDANCES[1]: ['restart_vm'],
    }
    assert pool.host(name)['updates_requiring_reboot'] == []
    assert pool.host(name)['enabled'] is True


def test_a_boot_does_not_do_all_that_is_mandatory(pool, sim):
    sim.set_host('xen2', pending_guidances=['restart_device_model'])
    reboot(pool)
    assert pool.host('xen2')['enabled'] is False


def test_a_restart_that_was_to_be_a_boot_ends_nothing(pool, sim):
    sim.set_host('xen2', pending_guidances=['reboot_host'])
    sim.plant(host='xen2', action='no_boot')
    reboot(pool)
    assert told(pool)['pending_guidances'] == ['reboot_host']


def set_auto(pool, sim, *guests):
    sim.set_pool('xen1', other_config=AUTO)
    for vm in guests:
        sim.set_record('xen1', 'VM', vm, other_config=AUTO)


@pytest.mark.parametrize('name', ['xen1', 'xen2'])
def test_a_boot_starts_guests_of_the_whole_pool(pool, sim, name):
    marked = [
        pool.vm('xen3', f'm{number}', power_state='Halted')
        for number in range(2)
    ]
    other = pool.vm('xen3', 'other', power_state='Halted')
    template = pool.vm('xen3', 'template', power_state='Halted')
    sim.set_record('xen1', 'VM', template, is_a_template=True)
    set_auto(pool, sim, *marked, template)
    restart(pool, name)
    assert [pool.home(vm) for vm in marked] == [None, None]
    reboot(pool, name)
    assert [pool.home(vm) for vm in marked] == ['xen3', 'xen3']
    assert [pool.home(vm) for vm in (other, template)] == [None, None]
    assert pool.doing(marked[0]) == []
    assert pool.operations('xen3') == []


def test_guests_that_cannot_start_do_not_keep_others(pool, sim):
    large = pool.vm('xen3', 'a', power_state='Halted', memory=1 << 40)
    small = pool.vm('xen3', 'b', power_state='Halted')
    set_auto(pool, sim, large, small)
    reboot(pool)
    assert (pool.home(large), pool.home(small)) == (None, 'xen3')


def test_without_the_key_of_the_pool_none_starts(pool, sim):
    vm = pool.vm('xen3', 'v', power_state='Halted')
    sim.set_record('xen1', 'VM', vm, other_config=AUTO)
    reboot(pool)
    assert pool.home(vm) is None


def test_a_host_under_ha_without_its_storage_stays_disabled(pool, sim):
    sim.set_pool('xen1', ha_enabled=True)
    sim.plant(host='xen2', action='no_storage')
    reboot(pool)
    assert pool.host('xen2')['enabled'] is False
    ref = pool.hosts['xen2']
    sim.set_pool('xen1', ha_enabled=False)
    restart(pool)
    assert pool('host.get_enabled', ref) is False
    # It was told to go down, and its storage kept that from ending.
    code = 'HOST_DISABLED_UNTIL_REBOOT'
    assert pool('host.enable', ref) == ['ERR', code, ref]
