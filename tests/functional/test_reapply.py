"""The pool follows the membership, on request, with every guard."""

from typing import Any

import pytest

from aggregates_ext.compute import runner
from aggregates_ext.db import records
from tests.functional import byhand
from tests.functional import service
from tests.functional.test_adopt import blockers


def reapply(running: service.Service, key: int) -> records.Operation:
    queued = running.pools.reapply(running.ctx, key)
    running.work()
    return running.operations.get(queued.uuid)


def test_label_and_mark_are_written_again(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.set_pool('xen1', name_label='by hand')
    byhand.set_mark(running, 'xen1', None)
    operation = reapply(running, key)
    assert operation.state == 'succeeded', operation.error
    assert len(operation.parameters['result']) == 2
    pool = running.pool_of('xen1')
    assert pool['name_label'] == 'pool'
    assert pool['other_config']['aggregates-ext:aggregate'] == (
        running.aggregates.get(key).uuid
    )
    assert running.state(key) == 'active'
    assert reapply(running, key).parameters['result'] == []


def test_host_joined_by_hand_is_ejected(running: service.Service) -> None:
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    operation = reapply(running, key)
    assert operation.state == 'succeeded', operation.error
    removal = running.operation(key)
    assert (removal.kind, removal.host) == ('remove_host', 'xen2')
    assert removal.state == 'succeeded', removal.error
    assert removal.request_id == operation.request_id
    assert removal.user_id == 'user'
    running.watch(key, byhand.WHILE)
    assert running.hosts.get('xen2').phase == 'free'
    assert len(running.pool_of('xen1')['hosts']) == 1
    assert running.state(key) == 'active'


def test_disks_of_a_host_joined_by_hand_are_guarded(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    running.sim.add_sr('xen2', 'precious', vdis=[{'name': 'data'}])
    reapply(running, key)
    removal = running.operation(key)
    assert removal.state == 'failed'
    assert removal.error is not None
    assert removal.error['code'] == 'DATA_LOSS'
    assert running.sim.destroyed_vdis == []
    host = running.hosts.get('xen2')
    assert (host.phase, host.aggregate_id) == ('free', None)
    assert byhand.codes(running, key) == ['HOST_JOINED']


def test_cancelled_eject_leaves_the_host_free(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    running.pools.reapply(running.ctx, key)
    original = runner.Runner.run

    def run_one(self: runner.Runner, *args: Any) -> bool:
        changed = original(self, *args)
        running.manager.stop()
        return changed

    monkeypatch.setattr(runner.Runner, 'run', run_one)
    running.manager.work_on(key)
    removal = running.operation(key)
    assert (removal.kind, removal.state) == ('remove_host', 'queued')
    assert running.hosts.get('xen2').phase == 'leaving'
    running.operations.cancel(running.ctx, key, removal.uuid)
    assert running.hosts.get('xen2').phase == 'free'


def test_member_ejected_by_hand_joins_again(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    byhand.eject(running, 'xen2', 'xen1')
    byhand.enable_tls(running, 'xen2')
    reapply(running, key)
    added = running.operation(key)
    assert (added.kind, added.host) == ('add_host', 'xen2')
    assert added.state == 'succeeded', added.error
    assert len(running.pool_of('xen1')['hosts']) == 2
    assert running.state(key) == 'active'


def test_missing_member_of_another_pool_is_refused(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    byhand.eject(running, 'xen2', 'xen1')
    byhand.enable_tls(running, 'xen2')
    byhand.join(running, 'xen2', 'xen3')
    reapply(running, key)
    added = running.operation(key)
    assert added.error is not None
    assert added.error['code'] == 'HOST_IS_SLAVE'
    assert running.hosts.get('xen2').phase == 'free'


def test_expected_master_is_asked_for_again(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    byhand.designate(running, 'xen2', 'xen1')
    operation = reapply(running, key)
    assert operation.state == 'succeeded', operation.error
    queued = running.operation(key)
    assert (queued.kind, queued.host) == ('set_master', 'xen1')


def test_what_cannot_be_reapplied_is_refused(running: service.Service) -> None:
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    byhand.join(running, 'xen3', 'xen1')
    running.hosts.remove('xen2')
    byhand.set_mark(running, 'xen1', 'theirs')
    running.sim.set_pool('xen1', name_label='by hand')
    found = blockers(reapply(running, key))
    assert found.keys() == {'HOST_UNKNOWN', 'FOREIGN_MARK'}
    assert running.pool_of('xen1')['name_label'] == 'by hand'
    assert running.hosts.get('xen3').phase == 'free'
