"""Nothing is concluded, destroyed or freed without proof.

Each story here once ended wrong.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import leases
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from tests.functional import byhand
from tests.functional import service

Make = Callable[..., service.Service]
JOIN = 'Async.pool.join'


@pytest.fixture
def hasty(running: service.Service) -> service.Service:
    """A service on three hosts whose time limits are over soon."""
    hasten(running)
    return running


def hasten(running: service.Service) -> None:
    running.conf.set_override('join_timeout', 5.0, 'compute')
    running.conf.set_override('eject_timeout', 5.0, 'compute')
    running.conf.set_override('retry_interval', 0.01, 'compute')


def hang_join(running: service.Service, key: int) -> None:
    """Add xen2, whose join hangs in the middle until it is unresolved."""
    running.sim.plant(host='xen2', action='hang', step='S2', times=0)
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'unresolved'


def changing(running: service.Service) -> list[str]:
    """The calls that change pools, as they arrived."""
    names = ('pool.join', 'pool.eject', 'host.destroy', 'host.disable')
    return [c.method for c in running.sim.calls if c.method.endswith(names)]


def raise_postponed(
    running: service.Service, key: int, state: str = 'queued'
) -> None:
    """Let the newest operation rest for an hour."""
    with running.database.writer() as connection:
        operation = running.operation(key)
        if state == 'running':
            db_operations.start(connection, operation.id)
        db_operations.postpone(connection, operation.id, state, 3600)


def test_record_of_a_member_is_not_destroyed_for_a_clone(
    running: service.Service,
) -> None:
    """A cloned installation answers with the uuid of a member that is off."""
    key = running.create('xen1', 'xen2')
    running.sim.power_off('xen2')
    with running.database.writer() as connection:
        uuid = running.sim.host('xen3').uuid
        db_hosts.update(connection, 'xen2', {'uuid': uuid})
    running.members.add_host(running.ctx, key, 'xen3')
    running.work()
    operation = running.operation(key)
    assert operation.error is not None
    assert operation.error['code'] == 'HOST_UUID_TAKEN'
    assert 'host.destroy' not in changing(running)


def test_record_that_others_left_is_not_removed(
    running: service.Service,
) -> None:
    """Only what a join of the operation itself has left is cleaned up."""
    key = running.create('xen1')
    running.sim.plant(call=JOIN, host='xen2', action='half_join')
    with contextlib.closing(running.login('xen2')) as session:
        account = running.sim.host('xen1')
        session.call(JOIN, account.address, account.username, account.password)
        running.clock.advance(60)
        views.forget_tasks(session, 'pool.join')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    assert operation.error is not None
    assert operation.error['code'] == 'STALE_RECORD', operation.error
    assert 'host.destroy' not in changing(running)
    assert len(running.pool_of('xen1')['hosts']) == 2


def test_removal_waits_for_an_unresolved_join(
    hasty: service.Service,
) -> None:
    key = hasty.create('xen1')
    hang_join(hasty, key)
    hasty.members.remove_host(hasty.ctx, key, 'xen2')
    hasty.work()
    hasty.watch(key, 15)
    removal, joining = hasty.operations.get_all(key)[:2]
    assert removal.state == 'queued'
    assert removal.error is not None
    assert joining.uuid in removal.error['message']
    assert hasty.hosts.get('xen2').phase == 'leaving'


def test_last_host_stays_while_a_join_is_unresolved(
    hasty: service.Service,
) -> None:
    key = hasty.create('xen1')
    hang_join(hasty, key)
    hasty.members.remove_host(hasty.ctx, key, 'xen1')
    hasty.work()
    assert hasty.pool_of('xen1')['name_label'] == 'pool'
    assert hasty.aggregates.get(key).pool_uuid is not None
    assert hasty.hosts.get('xen1').phase != 'free'


def lose_join(running: service.Service, key: int, host: str) -> None:
    """Add a host, whose join goes on while its answer is lost."""
    running.conf.set_override('retry_interval', 60.0, 'compute')
    running.sim.plant(call=JOIN, host=host, action='drop_answer')
    running.members.add_host(running.ctx, key, host)
    running.work()
    assert running.operation(key).state == 'running'


def test_last_host_stays_while_a_join_rests_that_was_sent(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    lose_join(running, key, 'xen2')
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    running.clock.advance(300)
    assert len(running.pool_of('xen1')['hosts']) == 2
    assert running.aggregates.get(key).pool_uuid is not None
    assert running.hosts.get('xen1').phase == 'leaving'
    (removal, joining) = running.operations.get_all(key)[:2]
    assert removal.error is not None
    assert joining.uuid in removal.error['message']


def test_last_host_leaves_once_a_join_that_was_sent_is_known(
    running: service.Service,
) -> None:
    """Neither waits for the other for ever."""
    key = running.create('xen1')
    lose_join(running, key, 'xen2')
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    running.clock.advance(300)
    joining = running.operations.get_all(key)[1]
    running.retries.retry(running.ctx, key, joining.uuid)
    running.work()
    assert running.hosts.get('xen2').phase == 'member'
    assert running.operation(key).state == 'succeeded'
    assert running.pool_of('xen2')['master'] == 'xen2'
    assert running.aggregates.get(key).hosts == ('xen2',)


def test_master_stays_while_a_join_rests_that_was_sent(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    lose_join(running, key, 'xen3')
    running.pools.set_master(running.ctx, key, 'xen2')
    running.work()
    assert running.arrivals('pool.designate_new_master') == []
    running.clock.advance(300)
    running.retries.retry(
        running.ctx, key, running.operations.get_all(key)[1].uuid
    )
    running.work()
    assert running.hosts.get('xen3').phase == 'member'
    assert running.operation(key).state == 'succeeded'
    assert running.pool_of('xen3')['master'] == 'xen2'


def test_reset_ends_an_unresolved_operation_for_good(
    hasty: service.Service,
) -> None:
    key = hasty.create('xen1')
    hang_join(hasty, key)
    hasty.operations.reset(hasty.ctx, key, 'xen2', 'free')
    hasty.watch(key, 10)
    assert hasty.hosts.get('xen2').aggregate_id is None
    assert hasty.operations.get_all(key)[1].state == 'failed'
    hasty.operations.reset(hasty.ctx, key, 'xen1', 'free')
    hasty.aggregates.delete(hasty.ctx, key)


def test_drift_of_a_pool_ends_with_its_last_host(
    running: service.Service,
) -> None:
    """Nobody looks at an aggregate again that has no hosts."""
    key = running.create('xen1')
    running.sim.power_off('xen1')
    running.watch(key, 60)
    assert running.state(key) == 'error'
    running.operations.reset(running.ctx, key, 'xen1', 'free')
    assert running.state(key) == 'created'
    assert running.aggregates.get(key).observation is None


def test_pool_that_goes_on_without_the_aggregate_is_forgotten(
    running: service.Service,
) -> None:
    """A host that is none of its own was made the master by hand."""
    key = running.create('xen1')
    with running.database.writer() as connection:
        address = running.sim.host('xen3').address
        db_hosts.update(connection, 'xen3', {'address': address})
    byhand.join(running, 'xen3', 'xen1')
    byhand.designate(running, 'xen3', 'xen1')
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    assert running.operation(key).state == 'succeeded'
    assert running.state(key) == 'active'
    running.watch(key, 600)
    assert running.hosts.get('xen1').phase == 'free'
    assert running.state(key) == 'created'
    assert running.aggregates.get(key).pool_uuid is None


@pytest.mark.parametrize('end', ['cancelled', 'failed'])
def test_pool_is_forgotten_when_the_last_operation_on_it_ends(
    hasty: service.Service, end: str
) -> None:
    """Its last host was reset while that was under way."""
    key = hasty.create('xen1')
    hasty.sim.power_off('xen1')
    uuid = hasty.pools.adopt(hasty.ctx, key).uuid
    with hasty.database.writer() as connection:
        db_operations.start(connection, hasty.operation(key).id)
    hasty.operations.reset(hasty.ctx, key, 'xen1', 'free')
    if end == 'cancelled':
        hasty.manager.work_on(key)
        hasty.operations.cancel(hasty.ctx, key, uuid)
    else:
        with hasty.database.writer() as connection:
            begun = engine.read_clock(connection) - 60
            operation = hasty.operations.get(uuid)
            db_operations.update(connection, operation.id, {'begun': begun})
        hasty.work()
    assert hasty.operations.get(uuid).state == end
    hasty.members.add_host(hasty.ctx, key, 'xen2')
    hasty.work()
    assert hasty.hosts.get('xen2').phase == 'member'
    assert hasty.state(key) == 'active'


def test_cancelled_removal_makes_no_member_of_a_failed_join(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.sim.plant(
        host='xen2', action='fail', step='S2', code='LICENCE_RESTRICTION'
    )
    running.members.add_host(running.ctx, key, 'xen2')
    with running.database.writer() as connection:
        db_operations.start(connection, running.operation(key).id)
    running.members.remove_host(running.ctx, key, 'xen2')
    raise_postponed(running, key)
    running.work()
    assert running.hosts.get('xen2').phase == 'leaving'
    running.operations.cancel(running.ctx, key, running.operation(key).uuid)
    assert running.hosts.get('xen2').phase == 'free'
    assert running.aggregates.get(key).hosts == ('xen1',)


def test_disk_that_comes_at_the_last_moment_is_not_destroyed(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard looks when all else is done, right before the call."""
    key = running.create('xen1', 'xen2')
    run = compute_run.Run
    record = run._record

    def record_and_add(self: Any, call: dict[str, Any], *more: Any) -> Any:
        take_back = record(self, call, *more)
        if call['call'] == 'Async.pool.eject':
            running.sim.add_sr('xen2', 'late', vdis=[{'name': 'late'}])
            monkeypatch.setattr(run, '_record', record)
        return take_back

    monkeypatch.setattr(run, '_record', record_and_add)
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    assert running.operation(key).state == 'failed'
    assert running.sim.destroyed_vdis == []
    assert 'Async.pool.eject' not in changing(running)
    assert running.operation(key).call is None


def test_refused_eject_is_not_sent_again_when_enabling_is_unclear(
    running: service.Service,
) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    running.sim.plant(
        host='xen1',
        call='Async.pool.eject',
        action='fail',
        code='VDI_IN_USE',
    )
    running.sim.plant(call='host.enable', action='drop_answer')
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed'
    assert changing(running).count('Async.pool.eject') == 1
    error = running.operation(key).error
    assert error is not None
    assert error['code'] == 'VDI_IN_USE'
    assert all(h['enabled'] for h in running.pool_of('xen2')['hosts'])


def test_host_that_stays_disabled_is_told(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.plant(
        call='Async.pool.eject', action='fail', code='VDI_IN_USE'
    )
    running.sim.plant(call='host.enable', action='fail')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    error = running.operation(key).error
    assert error is not None
    assert 'could not be enabled again' in error['message']


def test_foreign_mark_stops_operations(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    hasten(running)
    with contextlib.closing(running.login('xen1')) as session:
        (ref,) = session.call('pool.get_all')
        session.call('pool.remove_from_other_config', ref, views.MARK)
        session.call('pool.add_to_other_config', ref, views.MARK, 'theirs')
    before = changing(running)
    running.members.add_host(running.ctx, key, 'xen3')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work(3)
    assert changing(running) == before
    assert running.pool_of('xen1')['name_label'] == 'pool'
    for operation in running.operations.get_all(key)[:3]:
        assert operation.error is not None
        assert 'another aggregate' in operation.error['message']


def test_unresolved_join_that_never_came_about_ends_by_evidence(
    hasty: service.Service,
) -> None:
    key = hasty.create('xen1')
    hang_join(hasty, key)
    hasty.sim.power_off('xen2')
    hasty.sim.clear_faults()
    hasty.clock.advance(60)
    hasty.sim.power_on('xen2')
    hasty.watch(key, 600)
    assert hasty.operation(key).state == 'failed'
    assert hasty.hosts.get('xen2').phase == 'free'


def test_next_host_founds_the_pool_when_the_first_failed(
    running: service.Service,
) -> None:
    running.sim.plant(call='pool.set_name_label', host='xen1', action='fail')
    running.create('xen1', 'xen2')
    assert running.hosts.get('xen1').phase == 'free'
    assert running.hosts.get('xen2').phase == 'member'
    assert running.pool_of('xen2')['name_label'] == 'pool'


def test_rename_never_keeps_an_aggregate_from_deletion(
    hasty: service.Service,
) -> None:
    key = hasty.create('xen1')
    hasty.sim.plant(
        call='pool.set_name_label', host='xen1', action='drop_answer'
    )
    hasty.conf.set_override('retry_interval', 60.0, 'compute')
    hasty.aggregates.update(hasty.ctx, key, {'name': 'new'})
    hasty.conf.set_override('retry_interval', 60.0, 'compute')
    hasty.work(1)
    hasty.sim.power_off('xen1')
    hasty.conf.set_override('retry_interval', 0.01, 'compute')
    hasty.conf.set_override('join_timeout', 1.0, 'compute')
    with hasty.database.writer() as connection:
        connection.exec_driver_sql(
            'UPDATE operations SET begun = begun - 9, not_before = NULL'
        )
    assert hasty.settle(key) == 'failed'
    hasty.operations.reset(hasty.ctx, key, 'xen1', 'free')
    hasty.aggregates.delete(hasty.ctx, key)
    with pytest.raises(exception.AggregateNotFound):
        hasty.aggregates.get(key)


def test_operation_behind_a_resting_one_rests_with_it(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.sim.power_off('xen2')
    running.members.add_host(running.ctx, key, 'xen2')
    raise_postponed(running, key, 'running')
    running.members.remove_host(running.ctx, key, 'xen2')
    with running.database.reader() as connection:
        assert leases.candidates(connection, 1e9, 10) == []


def test_what_keeps_a_pool_from_being_observed_is_shown(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.conf.set_override('ca_file', '/nowhere', 'xenserver')
    with running.database.writer() as connection:
        connection.exec_driver_sql("UPDATE hosts SET url = 'https://xen1'")
    running.watch(key, 0)
    assert 'ca_file' in running.aggregates.get(key).drift[0].message


def test_pool_is_observed_when_whom_a_call_went_to_is_not_registered(
    running: service.Service,
) -> None:
    """A master took an eject with it; nothing of that can be asked there."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.plant(call='Async.pool.eject', action='drop_answer')
    running.sim.plant(call='pool.eject', action='hang', times=0)
    running.conf.set_override('retry_interval', 60.0, 'compute')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    running.sim.power_off('xen1')
    with running.database.writer() as connection:
        operation = running.operation(key)
        begun = engine.read_clock(connection) - 3600
        late = {'begun': begun, 'not_before': None}
        db_operations.update(connection, operation.id, late)
    running.work()
    assert running.operation(key).state == 'unresolved'
    running.promote('xen3')
    running.clock.advance(700)
    running.operations.reset(running.ctx, key, 'xen1', 'free')
    running.hosts.remove('xen1')
    running.watch(key, 60)
    observation = running.aggregates.get(key).observation
    assert observation is not None
    assert observation['master'] == running.sim.host('xen3').uuid
    assert running.operations.get(operation.uuid).state == 'unresolved'
    running.operations.reset(running.ctx, key, 'xen2', 'member')


def test_join_is_not_sent_to_another_host_than_was_looked_at(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address becomes that of a free host between look and call."""
    key = running.create('xen1')
    real, logins = connections.Connector.login, []

    def login(
        self: connections.Connector,
        host: records.Host,
        *more: Any,
        **named: Any,
    ) -> xenapi.Session:
        if host.name == 'xen2':
            logins.append(host.url)
            url = running.sim.host('xen3' if len(logins) > 1 else 'xen2').url
            host = dataclasses.replace(host, url=url)
        return real(self, host, *more, **named)

    monkeypatch.setattr(connections.Connector, 'login', login)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert changing(running) == []
    error = running.operation(key).error
    assert error is not None
    assert error['code'] == 'HOST_REPLACED'
    assert running.hosts.get('xen2').phase == 'free'


def test_bug_in_a_look_is_shown(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that shows as an error of our own."""

    def fail(*arguments: object) -> None:
        raise exception.HostNotFound(host='xen9')

    key = running.create('xen1')
    monkeypatch.setattr(service.manager.observe, 'observe', fail)
    running.watch(key, 60)
    (entry,) = running.aggregates.get(key).drift
    assert entry.code == 'NOT_OBSERVED'


def test_failed_eject_is_not_sent_again_when_its_task_is_gone(
    running: service.Service,
) -> None:
    """The task tells of the failure; it is written down before it is removed.

    The service is cut off when the host has removed the task.
    """
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1', 'xen2')
    running.sim.plant(host='xen2', action='fail', step='E1', code='VDI_IN_USE')
    running.sim.plant(call='task.destroy', action='drop_answer')
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed'
    assert changing(running).count('Async.pool.eject') == 1
    error = running.operation(key).error
    assert error is not None
    assert error['code'] == 'VDI_IN_USE'


def test_mark_of_another_is_not_taken_away(running: service.Service) -> None:
    """It came between our look and our own mark."""
    key = running.aggregates.create('pool', None).id
    running.members.add_host(running.ctx, key, 'xen1')
    real = compute_run.Run._record

    def record(self: Any, call: dict[str, Any], *more: Any) -> Any:
        take_back = real(self, call, *more)
        if call['call'].endswith('add_to_other_config'):
            with contextlib.closing(running.login('xen1')) as session:
                (ref,) = session.call('pool.get_all')
                session.call(
                    'pool.add_to_other_config', ref, views.MARK, 'theirs'
                )
        return take_back

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute_run.Run, '_record', record)
        running.work()
    assert running.operation(key).state == 'failed'
    assert running.pool_of('xen1')['other_config'][views.MARK] == 'theirs'
