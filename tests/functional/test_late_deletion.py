"""An aggregate whose last hosts are leaving is deleted when they have left."""

import pytest

from aggregates_ext import exception
from tests.functional import service


@pytest.fixture
def leaving(running: service.Service) -> int:
    """An aggregate whose hosts have been told to leave, and have not yet."""
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.members.remove_host(running.ctx, key, 'xen1')
    return key


def test_it_is_accepted_and_done_when_it_can_be(
    running: service.Service, leaving: int
) -> None:
    uuid = running.aggregates.delete(running.ctx, leaving)
    assert uuid is not None
    # Once more is the same request.
    assert running.aggregates.delete(running.ctx, leaving) == uuid
    assert running.aggregates.get(leaving).hosts == ()
    running.work()
    assert running.operations.get(uuid).state == 'succeeded'
    with pytest.raises(exception.AggregateNotFound):
        running.aggregates.get(leaving)
    # A host that is on its way back comes back all the same.
    running.watch(leaving, 600)
    assert running.hosts.get('xen2').phase == 'free'
    assert len(running.pool_of('xen2')['hosts']) == 1


def test_it_waits_for_removals_whatever_comes_first(
    running: service.Service, leaving: int
) -> None:
    running.conf.set_override('retry_interval', 60.0, 'compute')
    running.sim.power_off('xen1')
    uuid = running.aggregates.delete(running.ctx, leaving)
    assert uuid is not None
    running.work()
    waiting = running.operations.get(uuid)
    assert waiting.state == 'queued'
    assert waiting.error is not None
    assert waiting.error['code'] == 'WAITING'
    assert 'remove_host' in waiting.error['message']
    assert running.aggregates.get(leaving).deleted is False


def test_a_host_that_stays_keeps_the_aggregate(
    running: service.Service, leaving: int
) -> None:
    uuid = running.aggregates.delete(running.ctx, leaving)
    assert uuid is not None
    (removal, *_rest) = [
        operation
        for operation in running.operations.get_all(leaving)
        if (operation.kind, operation.host) == ('remove_host', 'xen1')
    ]
    running.operations.cancel(running.ctx, leaving, removal.uuid)
    running.work()
    ended = running.operations.get(uuid)
    assert ended.state == 'failed'
    assert ended.error is not None
    assert ended.error['code'] == 'NOT_EMPTY'
    assert 'xen1' in ended.error['message']
    assert running.aggregates.get(leaving).hosts == ('xen1',)
    assert running.state(leaving) == 'active'


def test_nothing_is_accepted_that_may_leave_a_host(
    running: service.Service, leaving: int
) -> None:
    running.pools.adopt(running.ctx, leaving)
    with pytest.raises(exception.AggregateBusy, match='adopt'):
        running.aggregates.delete(running.ctx, leaving)


def test_one_with_hosts_is_refused(running: service.Service) -> None:
    key = running.create('xen1')
    with pytest.raises(exception.AggregateNotEmpty):
        running.aggregates.delete(running.ctx, key)


def test_one_at_rest_is_deleted_at_once(running: service.Service) -> None:
    key = running.aggregates.create('pool', None).id
    assert running.aggregates.delete(running.ctx, key) is None
    with pytest.raises(exception.AggregateNotFound):
        running.aggregates.get(key)
