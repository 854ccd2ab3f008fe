"""Reading topologies, their defaults and their mistakes."""

import pathlib

import pytest

from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology

TEXT = """
hosts:
- name: a
  password: p
  tls_verification_enabled: false
  software_version: {git_id: x}
  srs:
  - {name: local, vdis: [{name: disk, size: 5}]}
  vms: [{name: vm, power_state: Halted, vdis: [disk]}]
  vlans: [{tag: 7, management: true}]
  bonds: [{devices: [eth1, eth2]}]
- name: b
  address: 192.0.2.1
pools:
- hosts: [a, b]
  name_label: both
  srs: [{name: nfs}]
times: {fuse: 1}
"""


def test_everything_is_read():
    read = topology.load(TEXT)
    first, second = read.hosts
    assert first.software_version['git_id'] == 'x'
    assert first.software_version['product_brand'] == 'XCP-ng'
    assert first.address == '10.0.0.11'
    assert first.srs[0].vdis[0].size == 5
    assert first.vms[0].vdis == ['disk']
    assert second.address == '192.0.2.1'
    assert second.srs[0].name == 'Local storage'
    assert read.pools[0].srs[0].shared is True
    assert read.times.fuse == 1.0


def test_uuids_are_always_the_same():
    first, second = topology.load(TEXT), topology.load(TEXT)
    assert first == second
    assert first.hosts[0].uuid != first.hosts[1].uuid


def test_a_file_is_read(tmp_path):
    path = tmp_path / 'topology.yaml'
    path.write_text(TEXT)
    assert topology.load(path) == topology.load(str(path))


def test_the_example_is_good():
    root = pathlib.Path(__file__).parents[4]
    read = topology.load(root / 'etc/aggregates_ext/xensim-example.yaml')
    assert len(read.hosts) == 8


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        ({}, 'topology.hosts: at least one host'),
        ({'hosts': 5}, 'topology.hosts: must be a list, not 5'),
        ({'hosts': [5]}, r'hosts\[0\]: must be a mapping, not 5'),
        ({'hosts': [{}]}, r'hosts\[0\].name: missing'),
        ({'hosts': [{'name': 5}]}, r'hosts\[0\].name: must be of type str'),
        ({'hosts': [{'name': 'a', 'x': 1}]}, r"unknown field 'x'"),
        ({'hosts': [{'name': 'a', 'port': True}]}, r'port: must be of type'),
        (
            {'hosts': [{'name': 'a', 'version': '1'}]},
            r'version: must be one of',
        ),
        ({'hosts': [{'name': 'a', 'api_version': 'x'}]}, 'like 2.21'),
        ({'hosts': [{'name': 'a', 'port': 70000}]}, 'below 65536'),
        (
            {'hosts': [{'name': 'a', 'cpu': {'features': 'avx'}}]},
            'cpu.features: must be like 0000000f-00000001',
        ),
        (
            {
                'hosts': [
                    {'name': 'a', 'vms': [{'name': 'v', 'power_state': 'on'}]}
                ]
            },
            'power_state: must be one of Running',
        ),
        (
            {'hosts': [{'name': 'a', 'vms': [{'name': 'v', 'vdis': [1]}]}]},
            r'vms\[0\].vdis\[0\]: must be text',
        ),
        (
            {'hosts': [{'name': 'a'}, {'name': 'a'}]},
            'two hosts with the same name: a',
        ),
        (
            {'hosts': [{'name': 'a'}], 'pools': [{'hosts': ['b']}]},
            r"pools\[0\].hosts: unknown host 'b'",
        ),
        ({'hosts': [{'name': 'a'}], 'times': {'fuse': -1}}, 'times.fuse'),
        ('a: [', 'not YAML'),
    ],
)
def test_mistakes_name_the_field(data, message):
    with pytest.raises(described.TopologyError, match=message):
        topology.load(data)
