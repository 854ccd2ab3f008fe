"""Guests move where all is that they have started with: xapi#cpu-features."""

import pytest

from tests.functional.xensim import pools

NEWER, OLDER = '0000000f-00000001', '00000007-00000001'
CODE = 'VM_INCOMPATIBLE_WITH_THIS_HOST'


@pytest.fixture
def described():
    """xen1 and xen2 are a pool; xen3 is older, and alone."""
    told = pools.described()
    for host in told['hosts']:
        features = OLDER if host['name'] == 'xen3' else NEWER
        host['cpu'] = {'features': features}
    told['pools'][0]['hosts'] = ['xen1', 'xen2']
    return told


def level(pool):
    (record,) = pool('pool.get_all_records').values()
    return record['cpu_info']['features_hvm_host']


def flags(pool, vm):
    return pool('VM.get_last_boot_CPU_flags', vm)


def test_an_older_host_that_joins_takes_what_starts_then(pool, clk, sim, join):
    vm = pool.vm('xen2', 'v')
    assert level(pool) == NEWER
    started = {'vendor': 'GenuineIntel', 'features': NEWER}
    assert flags(pool, vm) == started
    assert join('xen3') == ''
    clk.advance(60)
    assert level(pool) == OLDER
    xen3 = pool('host.get_by_uuid', sim.host('xen3').uuid)
    refused = pool('VM.pool_migrate', vm, xen3, pools.OPTIONS)
    assert refused[1:4] == [CODE, vm, xen3]
    assert 'features' in refused[4]
    assert flags(pool, vm) == started
    assert pool('VM.clean_reboot', vm) == ''
    assert flags(pool, vm) == started | {'features': OLDER}
    assert pool('VM.pool_migrate', vm, xen3, pools.OPTIONS) == ''
    assert pool('VM.get_resident_on', vm) == xen3


def test_a_host_that_has_told_nothing_yet_takes_none(pool, sim):
    """As one that has just joined, and has not started since."""
    vm, xen2 = pool.vm('xen1', 'v'), pool.hosts['xen2']
    db = sim.host('xen1').database
    db.row('host', xen2)['cpu_info'] = {}
    assert pool('VM.pool_migrate', vm, xen2, pools.OPTIONS)[1] == CODE


def test_a_guest_that_starts_has_what_all_hosts_have(pool, sim):
    vm = pool.vm('xen1', 'v', power_state='Halted')
    assert flags(pool, vm) == {}
    sim.set_host('xen2', cpu_info={'features_hvm_host': '00000001'})
    assert pool('VM.start', vm, False, False) == ''
    assert flags(pool, vm)['features'] == '00000001-00000000'
