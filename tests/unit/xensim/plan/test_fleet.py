"""Many pools of one kind."""

import pytest

from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology

TEXT = """
hosts: [{name: alone}]
pools:
  count: 3
  hosts: 2
  name: rack
  pool: {srs: [{name: nfs}], name_label: overruled}
  host: {password: p, vlans: [{tag: 7}]}
"""


def test_pools_and_hosts_are_written_out():
    read = topology.load(TEXT)
    assert [host.name for host in read.hosts] == [
        'alone',
        'rack1-host1',
        'rack1-host2',
        'rack2-host1',
        'rack2-host2',
        'rack3-host1',
        'rack3-host2',
    ]
    assert [pool.name_label for pool in read.pools] == [
        'rack1',
        'rack2',
        'rack3',
    ]
    assert read.pools[2].hosts == ['rack3-host1', 'rack3-host2']


def test_each_pool_and_host_is_as_described():
    read = topology.load(TEXT)
    assert [host.password for host in read.hosts] == ['secret'] + ['p'] * 6
    assert read.hosts[1].vlans[0].tag == 7
    storage = [pool.srs[0] for pool in read.pools]
    assert {sr.name for sr in storage} == {'nfs'}
    assert len({sr.uuid for sr in storage}) == 3


def test_addresses_go_on_after_the_first_two_hundred():
    read = topology.load({'pools': {'count': 100, 'hosts': 16}})
    addresses = [host.address for host in read.hosts]
    assert len(set(addresses)) == 1600
    assert addresses[0] == '10.0.0.11'
    assert addresses[-1] == '10.0.6.74'


@pytest.mark.parametrize(
    ('pools', 'message'),
    [
        ({'count': 1}, r'topology\.pools\.hosts: missing'),
        ({'count': 1, 'hosts': 'x'}, r'topology\.pools\.hosts: must be'),
        ({'count': 1, 'hosts': 0}, r'pools\[0\]\.hosts: at least one'),
        ({'count': 1, 'hosts': 1, 'x': 1}, "unknown field 'x'"),
        ({'count': 1, 'hosts': 1, 'host': 5}, r'pools\.host: must be'),
        (
            {'count': 1, 'hosts': 1, 'pool': {'x': 5}},
            r"topology\.pools\[0\]: unknown field 'x'",
        ),
    ],
)
def test_mistakes_name_the_field(pools, message):
    with pytest.raises(described.TopologyError, match=message):
        topology.load({'hosts': [{'name': 'a'}], 'pools': pools})


def test_lonely_hosts_are_a_list():
    with pytest.raises(described.TopologyError, match='topology.hosts: must'):
        topology.load({'hosts': 5, 'pools': {'count': 1, 'hosts': 1}})
