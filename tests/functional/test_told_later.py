"""What a host could not do after 200 is told wherever one looks next."""

import types
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import overview
from aggregates_ext.db import records
from tests.functional import service

CTX: Any = types.SimpleNamespace(can=lambda rule: None)
POOLED: dict[str, Any] = {
    'hosts': [{'name': f'xen{n}'} for n in (1, 2, 3)],
    'pools': [{'name_label': 'theirs', 'hosts': ['xen1', 'xen2']}],
}


def show(running: service.Service, key: int) -> dict[str, Any]:
    """What GET …/pool answers."""
    domain: Any = types.SimpleNamespace(overview=running.overview)
    shown = overview.pool(CTX, domain, shapes.Legacy(), str(key))
    pool: dict[str, Any] = shown['pool']
    return pool


@pytest.fixture
def refused(running: service.Service) -> int:
    """An aggregate that xen2 could not join."""
    key = running.create('xen1')
    running.sim.plant(
        host='xen2', action='fail', step='S2', code='LICENCE_RESTRICTION'
    )
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.aggregates.get(key).hosts == ('xen1',)
    return key


def test_where_a_host_is_missed_its_last_operation_is_told(
    running: service.Service, refused: int
) -> None:
    last = running.operation(refused)
    for ask in (
        lambda: running.members.remove_host(running.ctx, refused, 'xen2'),
        lambda: running.members.remove_host(
            running.ctx, refused, 'xen2', force=True
        ),
        lambda: running.pools.set_master(running.ctx, refused, 'xen2'),
        lambda: running.operations.reset(
            running.ctx, refused, 'xen2', 'member'
        ),
    ):
        with pytest.raises(exception.AggregateHostNotFound) as raised:
            ask()
        said = str(raised.value)
        assert (
            f'has no host xen2. Its last operation there, add_host ({last.uuid}) failed: '
            in said
        )
        assert 'LICENCE_RESTRICTION' in said


def test_a_host_that_never_was_there_has_nothing_told(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    with pytest.raises(exception.AggregateHostNotFound) as raised:
        running.members.remove_host(running.ctx, key, 'xen2')
    assert str(raised.value) == f'Aggregate {key} has no host xen2.'


def retry(running: service.Service, failed: records.Operation) -> None:
    running.retries.retry(running.ctx, failed.aggregate_id, failed.uuid)
    running.work()


def reset(running: service.Service, failed: records.Operation) -> None:
    running.operations.reset(
        running.ctx, failed.aggregate_id, str(failed.host), 'free'
    )


@pytest.mark.parametrize('remedy', [retry, reset])
def test_error_names_why_and_what_ends_it(
    running: service.Service,
    refused: int,
    remedy: Callable[[service.Service, records.Operation], None],
) -> None:
    last = running.operation(refused)
    pool = show(running, refused)
    assert pool['state'] == 'error'
    (cause,) = pool['operations']
    assert cause['uuid'] == last.uuid
    assert (cause['host'], cause['state']) == ('xen2', 'failed')
    assert cause['code'] == 'LICENCE_RESTRICTION'
    assert last.error is not None
    assert cause['message'] == last.error['message']
    assert 'retry_operation' in cause['remedy']
    assert 'reset' in cause['remedy']
    running.sim.clear_faults()
    remedy(running, last)
    pool = show(running, refused)
    assert (pool['state'], pool['operations']) == ('active', [])


def test_adoption_that_is_repeated_rightly_ends_the_error(
    make_service: Callable[..., service.Service],
) -> None:
    running = make_service(POOLED)
    wrong = running.pools.adopt_pool(running.ctx, 'new', 'xen2')
    running.work()
    key = wrong.aggregate_id
    assert show(running, key)['state'] == 'error'
    assert show(running, key)['operations'][0]['host'] == 'xen2'
    right = running.pools.adopt_pool(running.ctx, 'new', 'xen1')
    running.work()
    assert right.aggregate_id == key
    assert running.operations.get(right.uuid).state == 'succeeded'
    pool = show(running, key)
    assert (pool['state'], pool['operations']) == ('active', [])
    with pytest.raises(exception.Conflict):
        running.retries.retry(running.ctx, key, wrong.uuid)


def test_following_the_pool_ends_what_failed_before(
    running: service.Service, refused: int
) -> None:
    running.pools.adopt(running.ctx, refused)
    running.work()
    assert show(running, refused)['state'] == 'active'


def test_what_runs_does_not_show_the_error_of_its_last_rest(
    running: service.Service,
) -> None:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1')
    running.sim.power_off('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work(1)
    resting = running.operation(key)
    assert resting.error is not None
    assert resting.state == 'queued'
    running.sim.power_on('xen1')
    running.clock.advance(600)
    seen: list[records.Operation] = []
    running.meanwhile.append(lambda: seen.append(running.operation(key)))
    assert running.settle(key) == 'succeeded'
    assert seen
    assert {operation.error is None for operation in seen} == {True}
