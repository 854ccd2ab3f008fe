"""Aggregates become pools: the story, told on simulated hosts."""

import pytest

from aggregates_ext import exception
from tests.functional import service


def test_three_hosts_form_one_pool(running: service.Service) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    aggregate = running.aggregates.get(key)
    assert aggregate.hosts == ('xen1', 'xen2', 'xen3')
    assert running.state(key) == 'active', running.operation(key)
    (pool,) = running.sim.state()['pools']
    assert pool['name_label'] == 'pool'
    assert pool['master'] == 'xen1'
    assert pool['other_config']['aggregates-ext:aggregate'] == aggregate.uuid
    assert all(host['live'] and host['enabled'] for host in pool['hosts'])
    assert aggregate.pool_uuid == pool['uuid']


def test_removed_host_returns_and_is_free(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    assert running.aggregates.get(key).hosts == ('xen1',)
    assert running.hosts.get('xen2').phase == 'returning'
    running.watch(key, 600)
    assert running.hosts.get('xen2').phase == 'free'
    assert running.hosts.get('xen2').aggregate_id is None
    assert len(running.pool_of('xen2')['hosts']) == 1
    assert running.state(key) == 'active'


def test_last_host_leaves_pool_unnamed(running: service.Service) -> None:
    key = running.create('xen1')
    assert running.pool_of('xen1')['name_label'] == 'pool'
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    pool = running.pool_of('xen1')
    assert pool['name_label'] == ''
    assert 'aggregates-ext:aggregate' not in pool['other_config']
    assert running.hosts.get('xen1').phase == 'free'
    assert running.state(key) == 'created'
    running.aggregates.delete(running.ctx, key)
    with pytest.raises(exception.AggregateNotFound):
        running.aggregates.get(key)
