"""Operations that are tried again, and what they then are."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.db import leases
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from tests.functional import service

Make = Callable[..., service.Service]
NULL = 'OpaqueRef:NULL'
UNKNOWN = '0a4e6c32-9b1e-4a8e-9d57-1e0a6d1c2b3f'


def retry(
    running: service.Service, operation: records.Operation
) -> records.Operation:
    return running.retries.retry(
        running.ctx, operation.aggregate_id, operation.uuid
    )


def halt(running: service.Service, vm: str) -> None:
    """Halt a machine, wherever it is."""
    with running.sim.world.lock:
        for each in running.sim.world.hosts.values():
            for ref, row in each.database.rows('VM'):
                if row['uuid'] == vm:
                    values = {'power_state': 'Halted', 'resident_on': NULL}
                    running.sim.set_record(each.name, 'VM', ref, **values)


def fail_join(running: service.Service) -> tuple[int, records.Operation]:
    """A join that a running machine forbids."""
    key = running.create('xen1')
    vm = running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    assert operation.state == 'failed'
    halt(running, vm)
    return key, operation


def test_failed_join_is_asked_for_again_and_settled(
    running: service.Service,
) -> None:
    key, failed = fail_join(running)
    assert running.state(key) == 'error'
    again = retry(running, failed)
    assert (again.kind, again.host, again.state) == (
        'add_host',
        'xen2',
        'queued',
    )
    assert again.parameters == {'retry_of': failed.uuid}
    assert (again.user_id, again.project_id) == ('user', 'project')
    assert running.hosts.get('xen2').phase == 'joining'
    running.work()
    assert running.hosts.get('xen2').phase == 'member'
    assert running.operations.get(failed.uuid).settled
    assert running.state(key) == 'active'


def test_two_retries_at_once_are_one(running: service.Service) -> None:
    key, failed = fail_join(running)
    together = threading.Barrier(2)
    results: list[Any] = []

    def ask() -> None:
        together.wait()
        try:
            results.append(retry(running, failed))
        except exception.Conflict as exc:
            results.append(exc)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [r for r in results if isinstance(r, records.Operation)]
    assert len(made) == 1
    assert len(running.operations.get_all(key)) == 3
    with pytest.raises(exception.Conflict):
        retry(running, failed)


def test_removal_is_retried_once(running: service.Service) -> None:
    """Where the host could leave a second time, the later one is named."""
    key = running.create('xen1', 'xen2')
    vm = running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    failed = running.operation(key)
    assert failed.state == 'failed', failed
    later = retry(running, failed)
    running.work()
    assert running.operations.get(later.uuid).state == 'failed'
    assert running.hosts.get('xen2').phase == 'member'
    with pytest.raises(
        exception.OperationNotRetryable, match=later.uuid
    ) as refusal:
        retry(running, failed)
    assert 'failed' in str(refusal.value)
    halt(running, vm)
    retry(running, running.operations.get(later.uuid))
    running.work()
    assert running.hosts.get('xen2').phase == 'returning'
    assert running.state(key) == 'active'


def test_removal_keeps_what_was_accepted_and_nothing_found_out(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    with running.database.writer() as connection:
        operation = running.operation(key)
        asked = {
            'accept_data_loss': ['sr'],
            'accepted_by': 'user',
            'disks': ['disk'],
        }
        noise = {'changed': True, 'refused': {}, 'disabled': True}
        db_operations.update(
            connection, operation.id, {'parameters': {**asked, **noise}}
        )
    running.operations.cancel(running.ctx, key, operation.uuid)
    again = retry(running, operation)
    assert again.parameters == {
        **asked,
        'was': 'member',
        'retry_of': operation.uuid,
    }


def test_consent_for_one_use_is_not_used_again(
    running: service.Service,
) -> None:
    """It was given on the command line; a machine keeps the host in."""
    key = running.create('xen1', 'xen2')
    sr = next(sr['uuid'] for sr in running.sim.state()['hosts']['xen2']['srs'])
    running.hosts.accept_data_loss('xen2', [sr], 'me')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    failed = running.operation(key)
    assert failed.state == 'failed'
    assert failed.parameters['accept_data_loss'] == [sr]
    again = retry(running, failed)
    assert again.parameters == {
        'accept_data_loss': [],
        'disks': [],
        'was': 'member',
        'retry_of': failed.uuid,
    }


def test_what_rests_is_due_at_once(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.power_off('xen2')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    resting = running.operation(key)
    assert resting.not_before is not None
    running.sim.power_on('xen2')
    running.clock.advance(600)
    hastened = retry(running, resting)
    assert hastened.uuid == resting.uuid
    assert hastened.parameters['retried_by'] == 'user'
    running.work()
    assert running.hosts.get('xen2').phase == 'member'


def test_what_is_due_already_is_refused(running: service.Service) -> None:
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    with pytest.raises(exception.OperationNotRetryable, match='is queued'):
        retry(running, running.operation(key))


def test_unresolved_is_looked_at_now(running: service.Service) -> None:
    running.conf.set_override('join_timeout', 5.0, 'compute')
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1')
    running.sim.plant(
        call='Async.pool.join', host='xen2', action='drop_answer'
    )
    running.members.add_host(running.ctx, key, 'xen2')
    for _ in range(1000):
        running.work()
        if running.operation(key).state == 'unresolved':
            break
    operation = running.operation(key)
    assert operation.state == 'unresolved', operation
    with running.database.reader() as connection:
        assert leases.candidates(connection, 1e9, 10) == []
    running.clock.advance(120)
    assert retry(running, operation).uuid == operation.uuid
    with running.database.reader() as connection:
        assert leases.candidates(connection, 1e9, 10) == [key]
    running.work()
    assert running.operation(key).state == 'succeeded'
    assert running.hosts.get('xen2').phase == 'member'


def test_rules_of_the_request_hold_again(running: service.Service) -> None:
    """The host has meanwhile gone elsewhere, or to another zone."""
    key, failed = fail_join(running)
    other = running.create(name='other')
    running.members.add_host(running.ctx, other, 'xen2')
    with pytest.raises(exception.HostInOtherAggregate):
        retry(running, failed)
    running.operations.cancel(
        running.ctx, other, running.operation(other).uuid
    )
    running.aggregates.update(running.ctx, key, {'availability_zone': 'a'})
    running.hosts.change('xen2', {'availability_zone': 'b'})
    with pytest.raises(exception.HostZoneMismatch):
        retry(running, failed)
    assert running.hosts.get('xen2').phase == 'free'


def test_failed_rename_is_retried(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.plant(call='pool.set_name_label', action='fail')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work()
    failed = running.operation(key)
    assert (failed.kind, failed.state) == ('rename', 'failed')
    retry(running, failed)
    running.work()
    assert running.pool_of('xen1')['name_label'] == 'new'
    assert running.state(key) == 'active'


def test_only_a_member_becomes_the_master(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.pools.set_master(running.ctx, key, 'xen2')
    asked = running.operation(key)
    running.operations.cancel(running.ctx, key, asked.uuid)
    running.members.remove_host(running.ctx, key, 'xen2')
    with pytest.raises(exception.AggregateHostNotFound):
        retry(running, asked)


def test_latest_change_of_master_counts(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    with running.database.writer() as connection:
        for number, host in enumerate(('xen3', 'xen1')):
            uuid = f'{number}{UNKNOWN[1:]}'
            db_operations.insert(
                connection, uuid, 'set_master', key, host,
                {'request_id': None, 'user_id': None, 'project_id': None},
            )  # fmt: skip
            operation = db_operations.get(connection, uuid)
            db_operations.cancel(connection, operation)
    # Of a change of master the latest counts, whichever host it names.
    with pytest.raises(exception.OperationNotRetryable, match='taken its'):
        running.retries.retry(running.ctx, key, f'0{UNKNOWN[1:]}')
    again = running.retries.retry(running.ctx, key, f'1{UNKNOWN[1:]}')
    assert (again.kind, again.host) == ('set_master', 'xen1')


def test_forced_removal_is_forced_again_by_who_may(
    running: service.Service,
) -> None:
    """The host answers, so it is not gone; then it is."""
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2', force=True)
    running.work()
    failed = running.operation(key)
    assert failed.state == 'failed', failed

    def forbid() -> None:
        raise exception.Forbidden(action='force')

    with pytest.raises(exception.Forbidden):
        running.retries.retry(running.ctx, key, failed.uuid, forbid)
    assert running.operation(key).uuid == failed.uuid
    running.sim.power_off('xen2')
    again = retry(running, failed)
    assert again.parameters == {'force': True, 'retry_of': failed.uuid}
    assert running.hosts.get('xen2').phase == 'leaving'


@pytest.mark.parametrize('kind', ['join', 'reset'])
def test_what_is_done_is_not_repeated(
    running: service.Service, kind: str
) -> None:
    key = running.create('xen1')
    if kind == 'reset':
        running.operations.reset(running.ctx, key, 'xen1', 'member')
    with pytest.raises(exception.OperationNotRetryable, match='done its work'):
        retry(running, running.operation(key))


def test_operation_of_another_aggregate_is_not_found(
    running: service.Service,
) -> None:
    _key, failed = fail_join(running)
    other = running.create(name='other')
    for uuid in (failed.uuid, UNKNOWN):
        with pytest.raises(exception.OperationNotFound):
            running.retries.retry(running.ctx, other, uuid)


def test_refused_retry_changes_nothing(running: service.Service) -> None:
    key, failed = fail_join(running)
    running.members.add_host(running.ctx, key, 'xen2')
    before = running.operations.get_all(key)
    with contextlib.suppress(exception.Conflict):
        retry(running, failed)
    assert running.operations.get_all(key) == before
