"""Joins that are refused, fail, or whose outcome has to be found out."""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.compute.run import lease
from tests.functional import service

Make = Callable[..., service.Service]


def with_host(**fields: Any) -> dict[str, Any]:
    """xen1 as it comes, and xen2 with something about it."""
    return {'hosts': [{'name': 'xen1'}, {'name': 'xen2', **fields}]}


def assert_apart(running: service.Service, host: str = 'xen2') -> None:
    """The host is free, and its own pool."""
    assert running.hosts.get(host).phase == 'free'
    assert running.hosts.get(host).aggregate_id is None
    assert len(running.pool_of(host)['hosts']) == 1
    assert len(running.pool_of('xen1')['hosts']) == 1


def joins(running: service.Service) -> int:
    """How many joins arrived at hosts."""
    return sum(call.method == 'Async.pool.join' for call in running.sim.calls)


def test_refused_join_names_every_reason(make_service: Make) -> None:
    running = make_service(
        with_host(
            edition='enterprise',
            vlans=[{'tag': 5}],
            software_version={'platform_version': '9.9.9'},
            vms=[{'name': 'web', 'power_state': 'Running'}],
        )
    )
    key = running.create('xen1', 'xen2')
    operation = running.operation(key)
    assert operation.state == 'failed'
    assert operation.error is not None
    found = {p['code'] for p in operation.error['parameters']['blockers']}
    assert {
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'HOSTS_NOT_COMPATIBLE',
        'LICENSE_HOST_POOL_MISMATCH',
        'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
    } <= found
    assert 'web (Running, ' in operation.error['message']
    assert joins(running) == 0
    assert_apart(running)
    assert running.state(key) == 'error'


def test_obstacle_that_passes_is_waited_for(running: service.Service) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1')
    operation = running.sim.start_pool_operation('xen1', 'sync_updates')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work(2)
    resting = running.operation(key)
    assert resting.state == 'queued'
    assert resting.error is not None
    assert resting.error['code'] == 'OTHER_OPERATION_IN_PROGRESS'
    assert 'OTHER_OPERATION_IN_PROGRESS' in resting.error['message']
    assert 'sync_updates on the pool' in resting.error['message']
    assert joins(running) == 0
    running.sim.end_pool_operation('xen1', operation)
    wait_for(running, key)
    assert running.hosts.get('xen2').phase == 'member'


def test_later_success_ends_the_error(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.state(key) == 'error'
    running.sim.set_host('xen2')
    running.operations.reset(running.ctx, key, 'xen2', 'free')
    assert running.state(key) == 'active'


def refuse_join(running: service.Service) -> int:
    """An aggregate that is in error for the join of xen2."""
    key = running.create('xen1')
    running.sim.plant(
        host='xen2', action='fail', step='S2', code='LICENCE_RESTRICTION'
    )
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.state(key) == 'error'
    return key


def test_failed_join_is_reset_when_the_host_is_elsewhere(
    running: service.Service,
) -> None:
    key = refuse_join(running)
    other = running.create('xen3', 'xen2', name='other')
    with pytest.raises(exception.HostInOtherAggregate):
        running.operations.reset(running.ctx, key, 'xen2', 'member')
    running.operations.reset(running.ctx, key, 'xen2', 'free')
    assert running.state(key) == 'active'
    assert running.hosts.get('xen2').aggregate_id == other
    assert running.hosts.get('xen2').phase == 'member'


def test_failed_join_ends_with_the_registration_of_its_host(
    running: service.Service,
) -> None:
    key = refuse_join(running)
    running.hosts.remove('xen2')
    assert running.state(key) == 'active'


def test_error_refuses_no_change_of_hosts(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.state(key) == 'error'
    running.members.add_host(running.ctx, key, 'xen3')
    running.work()
    assert running.aggregates.get(key).hosts == ('xen1', 'xen3')
    assert len(running.pool_of('xen1')['hosts']) == 2
    assert running.state(key) == 'error'
    running.members.remove_host(running.ctx, key, 'xen3')
    running.work()
    assert running.aggregates.get(key).hosts == ('xen1',)
    assert len(running.pool_of('xen1')['hosts']) == 1


@pytest.mark.parametrize('step', ['S2', 'S4', 'S8'])
def test_join_that_fails_midway_leaves_nothing(
    running: service.Service, step: str
) -> None:
    running.sim.plant(
        host='xen2',
        action='fail',
        step=step,
        code='INTERNAL_ERROR',
        parameters=('planted',),
    )
    key = running.create('xen1', 'xen2')
    operation = running.operation(key)
    assert operation.state == 'failed', operation
    assert operation.error is not None
    assert operation.error['code'] == 'INTERNAL_ERROR'
    assert operation.call is None
    assert joins(running) == 1
    assert_apart(running)


def test_half_join_is_removed_from_the_pool(running: service.Service) -> None:
    running.sim.plant(
        call='Async.pool.join', host='xen2', action='fail', step='S8', code='X'
    )
    key = running.create('xen1', 'xen2')
    operation = running.operation(key)
    assert operation.state == 'failed', operation
    assert operation.error is not None
    assert operation.error['code'] == 'X'
    assert_apart(running)


def test_lost_answer_of_a_join_is_not_repeated(
    running: service.Service,
) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    running.sim.plant(
        call='Async.pool.join', host='xen2', action='drop_answer'
    )
    key = running.create('xen1', 'xen2', name='p')
    wait_for(running, key)
    assert running.operation(key).state == 'succeeded'
    assert joins(running) == 1
    assert len(running.pool_of('xen1')['hosts']) == 2


def test_join_that_never_arrived_is_sent_again(
    running: service.Service,
) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    running.sim.plant(call='Async.pool.join', host='xen2', action='reset')
    key = running.create('xen1', 'xen2', name='p')
    wait_for(running, key)
    assert running.operation(key).state == 'succeeded'
    assert len(running.pool_of('xen1')['hosts']) == 2


def test_host_that_does_not_answer_holds_up_nobody(
    running: service.Service,
) -> None:
    running.sim.power_off('xen2')
    key = running.create('xen1', 'xen2', 'xen3')
    assert len(running.pool_of('xen1')['hosts']) == 2
    assert running.hosts.get('xen3').phase == 'member'
    assert running.hosts.get('xen2').phase == 'joining'
    pending = running.operations.get_all(key)[1]
    assert (pending.host, pending.state) == ('xen2', 'queued')
    assert pending.error is not None
    assert 'xen2' in pending.error['message']
    assert running.state(key) == 'changing'
    running.operations.cancel(running.ctx, key, pending.uuid)
    assert running.hosts.get('xen2').phase == 'free'
    assert running.state(key) == 'active'


def test_wrong_password_is_final_at_once(make_service: Make) -> None:
    running = make_service(with_host(password='other'))
    key = running.create('xen1')
    group = f'xenserver:{running.hosts.get("xen2").credential}'
    running.conf.set_override('password', 'wrong', group)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    assert operation.state == 'failed'
    assert operation.error is not None
    assert operation.error['code'] == 'SESSION_AUTHENTICATION_FAILED'
    assert 'wrong' not in repr(operation.error)
    assert_apart(running)


def test_credential_becomes_the_pools(make_service: Make) -> None:
    running = make_service(with_host(password='other'))
    before = running.hosts.get('xen2').credential
    running.create('xen1', 'xen2')
    after = running.hosts.get('xen2')
    assert after.phase == 'member'
    assert after.credential == running.hosts.get('xen1').credential != before


def test_slave_of_another_pool_is_refused(make_service: Make) -> None:
    running = make_service(
        {
            'hosts': [{'name': f'xen{n}'} for n in (1, 2, 3)],
            'pools': [{'name_label': 'theirs', 'hosts': ['xen2', 'xen3']}],
        }
    )
    key = running.create('xen1')
    for host, code in (('xen3', 'HOST_IS_SLAVE'), ('xen2', 'OTHER_HOSTS')):
        running.members.add_host(running.ctx, key, host)
        running.work()
        operation = running.operation(key)
        assert operation.state == 'failed', operation
        assert operation.error is not None
        assert code in operation.error['code']
        assert running.hosts.get(host).phase == 'free'


def test_master_of_others_founds_no_aggregate(make_service: Make) -> None:
    running = make_service(
        {
            'hosts': [{'name': 'xen1'}, {'name': 'xen2'}],
            'pools': [{'name_label': 'theirs', 'hosts': ['xen1', 'xen2']}],
        }
    )
    key = running.create('xen1')
    operation = running.operation(key)
    assert operation.error is not None
    assert operation.error['code'] == 'POOL_HAS_MEMBERS'
    assert 'pool adopt NAME xen1' in operation.error['message']
    assert running.aggregates.get(key).pool_uuid is None
    assert running.pool_of('xen1')['name_label'] == 'theirs'


def test_pool_marked_by_another_aggregate_is_refused(
    running: service.Service,
) -> None:
    running.sim.set_pool(
        'xen1', other_config={'aggregates-ext:aggregate': 'theirs'}
    )
    key = running.create('xen1')
    operation = running.operation(key)
    assert operation.error is not None
    assert operation.error['code'] == 'POOL_IS_MARKED'
    assert running.hosts.get('xen1').phase == 'free'
    assert running.aggregates.get(key).pool_uuid is None


def test_first_host_that_cannot_be_named_is_given_back(
    running: service.Service,
) -> None:
    running.sim.plant(call='pool.set_name_label', host='xen1', action='fail')
    key = running.create('xen1')
    assert running.operation(key).state == 'failed'
    pool = running.pool_of('xen1')
    assert 'aggregates-ext:aggregate' not in pool['other_config']
    assert running.aggregates.get(key).pool_uuid is None
    assert running.hosts.get('xen1').phase == 'free'


def test_two_registrations_of_one_machine_are_refused(
    make_service: Make,
) -> None:
    running = make_service(with_host())
    running.hosts.add(
        [
            {
                'name': 'alias',
                # Of names nobody can tell where they lead.
                'url': running.sim.host('xen1').url.replace(
                    '127.0.0.1', 'localhost'
                ),
                'credential': 'a',
            }
        ]
    )
    key = running.create('xen1')
    other = running.create(name='other')
    running.members.add_host(running.ctx, other, 'alias')
    running.work()
    operation = running.operation(other)
    assert operation.error is not None
    assert operation.error['code'] == 'HOST_UUID_TAKEN'
    assert running.pool_of('xen1')['name_label'] == 'pool'
    assert running.state(key) == 'active'


def wait_for(running: service.Service, key: int) -> None:
    """Work until nothing of the aggregate is unfinished."""
    if running.state(key) == 'changing':
        running.settle(key)


def test_join_without_a_known_outcome_is_unresolved_and_heals(
    running: service.Service,
) -> None:
    running.conf.set_override('join_timeout', 5.0, 'compute')
    running.sim.plant(
        call='Async.pool.join', host='xen2', action='drop_answer'
    )
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    wait_for(running, key)
    operation = running.operation(key)
    assert operation.state == 'unresolved', operation
    assert operation.error is not None
    assert 'The master of pool' in operation.error['message']
    assert 'the host itself' in operation.error['message']
    assert running.hosts.get('xen2').phase == 'joining'
    assert running.state(key) == 'error'
    running.watch(key, 120)
    assert running.operation(key).state == 'succeeded'
    assert running.hosts.get('xen2').phase == 'member'
    assert running.state(key) == 'active'
    assert joins(running) == 1


def test_reset_is_a_way_out_of_unresolved(running: service.Service) -> None:
    running.conf.set_override('join_timeout', 5.0, 'compute')
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    wait_for(running, key)
    assert running.operation(key).state == 'unresolved'
    running.sim.power_off('xen2')
    running.operations.reset(running.ctx, key, 'xen2', 'free')
    assert running.hosts.get('xen2').phase == 'free'
    newest = running.operation(key)
    assert (newest.kind, newest.user_id) == ('reset', 'user')
    assert all(op.call is None for op in running.operations.get_all(key))


def test_reset_ends_what_a_service_still_does(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    other = lease.Keeper(running.database, 'other', 30)
    with other.hold(key) as held:
        assert held is not None
        running.operations.reset(running.ctx, key, 'xen1', 'free')
        with pytest.raises(exception.LeaseLost):
            held.write(lambda connection: None)
