"""Ejects: what they would destroy, and what is never destroyed unasked."""

import pytest

from aggregates_ext.db import operations
from tests.functional import service

pytestmark = pytest.mark.every_database
DISK = {'name': 'customer', 'uuid': '22222222-2222-2222-2222-222222222222'}


def with_disk(running: service.Service) -> tuple[int, str]:
    """A pool of two, the second with a disk in its local storage.

    :returns: the aggregate, and the uuid of that storage.
    """
    key = running.create('xen1', 'xen2')
    return key, running.sim.add_sr('xen2', 'data', vdis=[DISK])


def remove(running: service.Service, key: int, *srs: str) -> None:
    running.members.remove_host(running.ctx, key, 'xen2', srs)
    running.work()


def ejects(running: service.Service) -> int:
    return sum(call.method == 'Async.pool.eject' for call in running.sim.calls)


def test_eject_that_would_destroy_disks_is_refused(
    running: service.Service,
) -> None:
    key, sr = with_disk(running)
    remove(running, key)
    operation = running.operation(key)
    assert operation.state == 'failed'
    assert operation.error is not None
    assert operation.error['code'] == 'DATA_LOSS'
    assert sr in operation.error['message']
    assert 'customer' in operation.error['message']
    assert list(operation.error['parameters']['disks']) == [sr]
    assert running.sim.destroyed_vdis == []
    assert ejects(running) == 0
    # The guard looks before anything is changed, too.
    assert running.arrivals('host.disable') == []
    assert running.hosts.get('xen2').phase == 'member'
    assert running.aggregates.get(key).hosts == ('xen1', 'xen2')
    assert all(h['enabled'] for h in running.pool_of('xen2')['hosts'])


def test_consent_lets_go_exactly_what_was_named(
    running: service.Service,
) -> None:
    key, sr = with_disk(running)
    remove(running, key)
    remove(running, key, sr)
    assert running.operation(key).state == 'succeeded'
    assert running.sim.destroyed_vdis == [DISK['uuid']]
    assert running.state(key) == 'active'
    # What was shown and where it was is not what will be.
    host = running.hosts.get('xen2')
    assert (host.shown, host.address) == (None, None)


def test_disk_that_appeared_after_the_refusal_refuses_again(
    running: service.Service,
) -> None:
    key, sr = with_disk(running)
    remove(running, key)
    running.sim.add_sr('xen2', 'more', vdis=[{'name': 'new'}])
    remove(running, key, sr)
    operation = running.operation(key)
    assert operation.state == 'failed'
    assert operation.error is not None
    assert 'new' in operation.error['message']
    assert running.sim.destroyed_vdis == []


def second_pbd(running: service.Service, sr: str, host: str) -> None:
    """What flagging local storage as shared leads to."""
    db = running.sim.host('xen1').database
    ref = db.by_uuid('SR', sr)
    db.row('SR', ref)['shared'] = True
    other = db.by_uuid('host', running.sim.host(host).uuid)
    db.create('PBD', SR=ref, host=other)


def test_storage_with_a_second_pbd_is_not_given_up_by_it(
    running: service.Service,
) -> None:
    key, sr = with_disk(running)
    second_pbd(running, sr, 'xen1')
    remove(running, key)
    assert running.error(key)['code'] == 'DATA_LOSS'
    assert list(running.error(key)['parameters']['disks']) == [sr]
    assert ejects(running) == 0
    assert running.sim.destroyed_vdis == []
    remove(running, key, sr)
    assert running.operation(key).state == 'succeeded'
    assert running.sim.destroyed_vdis == [DISK['uuid']]


def test_a_host_with_a_pbd_for_storage_of_another_may_leave(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    sr = running.sim.add_sr('xen1', 'data', vdis=[DISK])
    second_pbd(running, sr, 'xen2')
    remove(running, key)
    assert running.operation(key).state == 'succeeded'
    assert running.sim.destroyed_vdis == []


def test_copies_that_the_pool_keeps_on_the_host_refuse(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    sr = running.sim.add_sr('xen1', 'xostor', shared=True, type='linstor')
    remove(running, key)
    assert running.error(key)['code'] == 'REPLICAS_LOST'
    assert f'linstor "xostor" ({sr})' in running.error(key)['message']
    assert ejects(running) == 0
    remove(running, key, sr)
    assert running.operation(key).state == 'succeeded'


def test_consent_by_command_serves_once(running: service.Service) -> None:
    key, sr = with_disk(running)
    remove(running, key)
    running.hosts.accept_data_loss('xen2', [sr], 'operator')
    remove(running, key)
    assert running.operation(key).state == 'succeeded'
    assert running.operation(key).parameters['accepted_by'] == 'operator'
    assert running.hosts.get('xen2').consent is None
    assert running.sim.destroyed_vdis == [DISK['uuid']]


def test_running_machine_refuses_and_the_host_is_enabled_again(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    remove(running, key)
    operation = running.operation(key)
    assert operation.state == 'failed'
    assert operation.error is not None
    assert 'web' in operation.error['message']
    assert all(h['enabled'] for h in running.pool_of('xen2')['hosts'])


def test_obstacle_that_passes_is_waited_for(running: service.Service) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    operation = running.sim.start_pool_operation('xen1', 'sync_updates')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work(2)
    resting = running.operation(key)
    assert resting.state == 'queued'
    assert resting.error is not None
    assert 'OTHER_OPERATION_IN_PROGRESS' in resting.error['message']
    assert all(h['enabled'] for h in running.pool_of('xen2')['hosts'])
    running.sim.end_pool_operation('xen1', operation)
    assert running.settle(key) == 'succeeded'
    assert ejects(running) == 1


def test_who_consented_is_kept(running: service.Service) -> None:
    key, sr = with_disk(running)
    remove(running, key)
    assert 'accepted_by' not in running.operation(key).parameters
    remove(running, key, sr)
    assert running.operation(key).parameters['accepted_by'] == 'user'


def test_refused_eject_enables_the_host_again(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(
        call='Async.pool.eject',
        action='fail',
        code='VDI_IN_USE',
        parameters=('vdi',),
    )
    remove(running, key)
    operation = running.operation(key)
    assert operation.state == 'failed', operation
    assert operation.error is not None
    assert operation.error['code'] == 'VDI_IN_USE'
    assert running.state(key) == 'error'
    assert running.hosts.get('xen2').phase == 'member'
    assert all(h['enabled'] for h in running.pool_of('xen2')['hosts'])


def test_lost_answer_of_an_eject_is_not_repeated(
    running: service.Service,
) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    running.sim.plant(call='Async.pool.eject', action='drop_answer')
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded'
    assert ejects(running) == 1
    assert len(running.pool_of('xen1')['hosts']) == 1


def test_host_that_does_not_return_raises_an_alarm(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='no_return')
    remove(running, key)
    running.conf.set_override('return_timeout', 0.0, 'compute')
    running.watch(key, 600)
    host = running.hosts.get('xen2')
    assert host.phase == 'returning'
    assert host.alarm is not None
    assert 'not back' in host.alarm


def test_removal_of_a_queued_join_cancels_it(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    change = running.members.remove_host(running.ctx, key, 'xen2')
    assert change.operation is None
    assert running.hosts.get('xen2').phase == 'free'
    assert running.operation(key).state == 'cancelled'
    assert running.state(key) == 'active'


def test_aggregate_is_deleted_while_its_hosts_return(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    remove(running, key)
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    running.aggregates.delete(running.ctx, key)
    assert running.hosts.get('xen2').phase == 'returning'
    running.watch(key, 600)
    assert running.hosts.get('xen2').phase == 'free'
    assert running.create('xen2', name='next')
    assert running.hosts.get('xen2').phase == 'member'


def test_aggregate_is_not_deleted_before_its_pool_is_empty(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.members.remove_host(running.ctx, key, 'xen1')
    assert running.aggregates.delete(running.ctx, key) is not None
    assert running.aggregates.get(key).id == key


def test_cancelled_removal_leaves_the_host_joining(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.sim.power_off('xen2')
    running.members.add_host(running.ctx, key, 'xen2')
    with running.database.writer() as connection:
        # As if the join had begun: it cannot be cancelled any more.
        operations.start(connection, running.operation(key).id)
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.hosts.get('xen2').phase == 'leaving'
    running.operations.cancel(running.ctx, key, running.operation(key).uuid)
    assert running.hosts.get('xen2').phase == 'joining'


def test_disks_that_nobody_was_shown_are_not_given_up(
    running: service.Service,
) -> None:
    key, sr = with_disk(running)
    remove(running, key, sr)
    assert running.operation(key).state == 'failed'
    assert running.sim.destroyed_vdis == []
    remove(running, key, sr)
    assert running.sim.destroyed_vdis == [DISK['uuid']]
