"""The membership follows the pool, on request and all at once."""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.db import records
from tests.functional import byhand
from tests.functional import service

Make = Callable[..., service.Service]


def adopt(running: service.Service, key: int) -> records.Operation:
    queued = running.pools.adopt(running.ctx, key)
    running.work()
    return running.operations.get(queued.uuid)


def blockers(operation: records.Operation) -> dict[str, str]:
    assert operation.state == 'failed', operation
    assert operation.error is not None
    found: Any = operation.error['parameters']['blockers']
    return {problem['code']: problem['message'] for problem in found}


def test_host_joined_by_hand_becomes_a_member(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    operation = adopt(running, key)
    assert operation.state == 'succeeded', operation.error
    host = running.hosts.get('xen2')
    assert (host.phase, host.aggregate_id) == ('member', key)
    assert host.uuid == running.sim.host('xen2').uuid
    assert host.address == '10.0.0.12'
    assert host.credential == running.hosts.get('xen1').credential
    assert running.state(key) == 'active'
    assert operation.parameters['result'] == [
        f'Host xen2 ({host.uuid}) is member now.'
    ]
    again = adopt(running, key)
    assert (again.state, again.parameters['result']) == ('succeeded', [])
    assert running.hosts.get('xen2') == host


def test_label_master_and_mark_are_taken(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    byhand.designate(running, 'xen2', 'xen1')
    running.sim.set_pool('xen2', name_label='by hand')
    byhand.set_mark(running, 'xen2', None)
    operation = adopt(running, key)
    assert operation.state == 'succeeded', operation.error
    assert len(operation.parameters['result']) == 3
    aggregate = running.aggregates.get(key)
    assert aggregate.name == 'by hand'
    assert aggregate.master_uuid == running.sim.host('xen2').uuid
    config = running.pool_of('xen1')['other_config']
    assert config['aggregates-ext:aggregate'] == aggregate.uuid
    assert running.state(key) == 'active'


@pytest.mark.parametrize('label', ['', 'other', ' padded '])
def test_label_that_can_be_no_name_stays_and_is_told(
    running: service.Service, label: str
) -> None:
    key = running.create('xen1')
    running.aggregates.create('other', None)
    running.sim.set_pool('xen1', name_label=label)
    operation = adopt(running, key)
    assert operation.state == 'succeeded', operation.error
    (told,) = operation.parameters['result']
    assert 'could not become the name' in told
    assert running.aggregates.get(key).name == 'pool'
    assert byhand.codes(running, key) == ['LABEL']


def test_ejected_host_is_let_go_when_proven_free(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    byhand.eject(running, 'xen2', 'xen1')
    assert adopt(running, key).state == 'succeeded'
    assert running.hosts.get('xen2').phase == 'free'
    assert running.aggregates.get(key).hosts == ('xen1',)
    assert running.state(key) == 'active'


def test_ejected_host_that_is_not_back_is_watched(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    byhand.eject(running, 'xen2', 'xen1')
    running.sim.power_off('xen2')
    assert adopt(running, key).state == 'succeeded'
    assert running.hosts.get('xen2').phase == 'returning'
    running.sim.power_on('xen2')
    running.watch(key, byhand.WHILE)
    assert running.hosts.get('xen2').phase == 'free'


def test_all_reasons_are_told_and_nothing_is_changed(
    make_service: Make,
) -> None:
    names = ('xen1', 'xen2', 'xen3', 'xen4')
    running = make_service({'hosts': [{'name': name} for name in names]})
    key = running.create('xen1')
    running.create('xen3', name='other')
    for name in names[1:]:
        byhand.join(running, name, 'xen1')
    running.hosts.remove('xen2')
    byhand.set_mark(running, 'xen1', 'theirs')
    found = blockers(adopt(running, key))
    assert found.keys() == {'FOREIGN_MARK', 'HOST_UNKNOWN', 'HOST_OF_OTHER'}
    assert 'host add xen2 --url https://10.0.0.12' in found['HOST_UNKNOWN']
    assert 'xen3' in found['HOST_OF_OTHER']
    assert running.hosts.get('xen4').phase == 'free'


def test_two_masters_are_not_adopted(running: service.Service) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.power_off('xen1')
    byhand.promote(running, 'xen2')
    # It would follow a new master that it reaches.
    running.sim.partition('xen1', 'xen2')
    running.sim.power_on('xen1')
    running.clock.advance(byhand.WHILE)
    assert 'TWO_MASTERS' in blockers(adopt(running, key))


def test_hosts_with_unfinished_operations_refuse(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.sim.power_off('xen2')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work(1)
    running.pools.adopt(running.ctx, key)
    running.work(2)
    assert 'add_host xen2' in blockers(running.operation(key))['HOST_BUSY']


def test_host_that_does_not_answer_as_a_slave_is_not_taken_by_its_name(
    running: service.Service,
) -> None:
    """xen2 is in the pool; the host registered as xen2 is another."""
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    running.hosts.remove('xen2')
    running.hosts.remove('xen3')
    running.hosts.add(
        [
            {
                'name': 'xen2',
                'url': f'{running.sim.host("xen3").url}',
                'credential': running.hosts.get('xen1').credential,
            }
        ]
    )
    found = blockers(adopt(running, key))
    assert found.keys() == {'HOST_UNPROVEN'}
    assert running.hosts.get('xen2').phase == 'free'


def test_zone_must_fit(running: service.Service) -> None:
    key = running.aggregates.create('zoned', 'az1').id
    running.members.add_host(running.ctx, key, 'xen1')
    running.work()
    byhand.join(running, 'xen2', 'xen1')
    url = running.hosts.get('xen2').url
    credential = running.hosts.get('xen2').credential
    running.hosts.remove('xen2')
    running.hosts.add(
        [
            {
                'name': 'xen2',
                'url': url,
                'credential': credential,
                'availability_zone': 'az2',
            }
        ]
    )
    assert blockers(adopt(running, key)).keys() == {'HOST_ZONE_MISMATCH'}


def test_without_a_pool_there_is_nothing_to_adopt(
    running: service.Service,
) -> None:
    key = running.aggregates.create('empty', None).id
    with pytest.raises(exception.AggregateHasNoPool, match='pool adopt'):
        running.pools.adopt(running.ctx, key)


POOLED: dict[str, Any] = {
    'hosts': [{'name': f'xen{n}'} for n in (1, 2, 3)],
    'pools': [{'name_label': 'theirs', 'hosts': ['xen1', 'xen2']}],
}


def adopt_pool(
    running: service.Service, host: str = 'xen1', name: str = 'new'
) -> records.Operation:
    queued = running.pools.adopt_pool(running.ctx, name, host)
    running.work()
    return running.operations.get(queued.uuid)


def test_pool_of_several_hosts_becomes_an_aggregate(
    make_service: Make,
) -> None:
    running = make_service(POOLED)
    operation = adopt_pool(running)
    assert operation.state == 'succeeded', operation.error
    key = operation.aggregate_id
    aggregate = running.aggregates.get(key)
    assert aggregate.hosts == ('xen1', 'xen2')
    assert running.state(key) == 'active', aggregate.drift
    pool = running.pool_of('xen2')
    assert pool['name_label'] == 'new'
    assert pool['other_config']['aggregates-ext:aggregate'] == aggregate.uuid
    assert aggregate.master_uuid == running.sim.host('xen1').uuid
    assert running.hosts.get('xen2').uuid == running.sim.host('xen2').uuid
    running.members.add_host(running.ctx, key, 'xen3')
    running.work()
    assert len(running.pool_of('xen1')['hosts']) == 3


def test_refused_adoption_leaves_an_empty_aggregate_to_try_again(
    make_service: Make,
) -> None:
    running = make_service(POOLED)
    account = running.hosts.get('xen2')
    running.hosts.remove('xen2')
    operation = adopt_pool(running)
    assert blockers(operation).keys() == {'HOST_UNKNOWN'}
    key = operation.aggregate_id
    assert running.aggregates.get(key).bound == 0
    assert running.state(key) == 'error'
    pool = running.pool_of('xen1')
    assert pool['name_label'] == 'theirs'
    assert 'aggregates-ext:aggregate' not in pool['other_config']
    running.hosts.add(
        [
            {
                'name': 'xen2',
                'url': account.url,
                'credential': account.credential,
            }
        ]
    )
    again = adopt_pool(running)
    assert (again.aggregate_id, again.state) == (key, 'succeeded')
    assert running.state(key) == 'active'


def test_pool_of_another_aggregate_is_refused(make_service: Make) -> None:
    running = make_service(POOLED)
    byhand.set_mark(running, 'xen1', 'theirs')
    assert 'FOREIGN_MARK' in blockers(adopt_pool(running))


def test_slave_is_not_the_one_to_name(make_service: Make) -> None:
    running = make_service(POOLED)
    operation = adopt_pool(running, 'xen2')
    assert operation.error is not None
    assert operation.error['code'] == 'HOST_IS_SLAVE'
    assert 'Name the master' in operation.error['message']


def test_mark_is_given_back_when_the_label_cannot_be_set(
    make_service: Make,
) -> None:
    running = make_service(POOLED)
    running.sim.plant(call='pool.set_name_label', action='fail')
    assert adopt_pool(running).state == 'failed'
    config = running.pool_of('xen1')['other_config']
    assert 'aggregates-ext:aggregate' not in config


def test_adoption_goes_on_after_a_lost_answer(make_service: Make) -> None:
    running = make_service(POOLED)
    running.conf.set_override('retry_interval', 0.01, 'compute')
    running.sim.plant(call='pool.add_to_other_config', action='drop_answer')
    queued = running.pools.adopt_pool(running.ctx, 'new', 'xen1')
    for _ in range(20):
        running.work()
    assert running.operations.get(queued.uuid).state == 'succeeded'
    calls = [c.method for c in running.sim.calls]
    assert calls.count('pool.add_to_other_config') == 1


def test_name_of_an_aggregate_with_hosts_is_taken(
    make_service: Make,
) -> None:
    running = make_service(POOLED)
    running.create('xen3', name='new')
    with pytest.raises(exception.AggregateNameExists):
        running.pools.adopt_pool(running.ctx, 'new', 'xen1')


def test_host_of_an_aggregate_is_not_adopted(
    running: service.Service,
) -> None:
    running.create('xen1')
    with pytest.raises(exception.HostInOtherAggregate):
        running.pools.adopt_pool(running.ctx, 'new', 'xen1')


def test_cancelled_removal_leaves_an_adopted_host_a_member(
    running: service.Service,
) -> None:
    """However an earlier request to add it ended."""
    key = running.create('xen1')
    running.sim.plant(
        host='xen2', action='fail', step='S2', code='LICENCE_RESTRICTION'
    )
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.hosts.get('xen2').phase == 'free'
    byhand.join(running, 'xen2', 'xen1')
    assert adopt(running, key).state == 'succeeded'
    change = running.members.remove_host(running.ctx, key, 'xen2')
    running.operations.cancel(running.ctx, key, change.operation or '')
    host = running.hosts.get('xen2')
    assert (host.phase, host.aggregate_id) == ('member', key)
