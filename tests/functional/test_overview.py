"""All pools at once: what needs somebody, and since when."""

import dataclasses
import datetime
from typing import Any

import pytest

from aggregates_ext.db import leases
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import overview
from tests.functional import service


def of(running: service.Service, **wanted: Any) -> list[int]:
    """The aggregates of the pools that are asked for."""
    found = running.overview.page(overview.PAGE, **wanted)
    return [pool.aggregate.id for pool in found]


def told(pool: overview.Pool) -> overview.Pool:
    """What is the same of one pool and of all."""
    return dataclasses.replace(pool, now=0.0, halted={})


def test_each_pool_is_told_as_it_is_alone(running: service.Service) -> None:
    first = running.create('xen1', 'xen2')
    second = running.create('xen3', name='other')
    running.maintenance.enter(running.ctx, 'xen2', first)
    running.watch(first, 1)
    running.watch(second, 1)
    listed = running.overview.page(overview.PAGE)
    alone = [running.overview.get(key) for key in (first, second)]
    for found in (listed, running.overview.get_all()):
        # But for the time that passes.
        assert [told(pool) for pool in found] == [told(pool) for pool in alone]
    assert all(pool.seen.seen_at for pool in listed)
    assert [pool.master for pool in listed] == ['xen1', 'xen3']
    assert [host.name for host in listed[0].hosts] == ['xen1', 'xen2']
    assert listed[0].phases == {
        'joining': 0,
        'member': 2,
        'leaving': 0,
        'returning': 0,
    }


def test_more_than_a_page_are_all_read(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, 'PAGE', 2)
    keys = [running.create(name=f'pool{n}') for n in range(5)]
    assert [p.aggregate.id for p in running.overview.get_all()] == keys


def test_a_host_is_found_in_any_phase(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.aggregates.get_all(host='xen2') == []
    assert of(running, host='xen2') == [key]
    assert of(running, host='xen3') == []


def test_what_failed_is_wrong_since_then(running: service.Service) -> None:
    well = running.create('xen3', name='well')
    key = running.create('xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.overview.get(key).wrong_since is None
    running.work()
    failed = running.operation(key)
    assert failed.finished_at is not None
    pool = running.overview.get(key)
    utc = failed.finished_at.replace(tzinfo=datetime.timezone.utc)
    assert pool.wrong_since == utc.timestamp()
    assert overview.since(failed) == failed.finished_at
    assert of(running, state='error') == [key]
    assert of(running, drift=True) == []
    assert of(running, state='active') == [well]
    # The oldest counts.
    drift = records.Drift('LABEL', 'Another.', since=5.0)
    look(running, key, [drift, records.Drift('MARK_LOST', 'It has.')])
    assert running.overview.get(key).wrong_since == 5.0
    assert of(running, drift='LABEL') == of(running, drift=True) == [key]
    assert of(running, drift='LABEL', state='active') == []


def look(
    running: service.Service,
    key: int,
    drift: list[records.Drift],
    ago: float = 0.0,
) -> None:
    """Somebody looks at a pool, or has so many seconds ago."""
    seen = running.aggregates.get(key).observation
    with running.database.writer() as connection:
        at = engine.read_clock(connection) - ago
        db_pools.set_observation(connection, key, seen, drift, at)
        connection.exec_driver_sql(
            f'UPDATE hosts SET phase_since = phase_since - {ago}'  # noqa: S608
        )


def test_a_pool_that_nobody_looks_at_is_overdue(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    empty = running.create(name='empty')
    pool = running.overview.get(key)
    assert pool.age is not None
    assert pool.age < 60
    assert not pool.overdue
    look(running, key, [], ago=181.0)
    pool = running.overview.get(key)
    assert pool.age is not None
    assert 181 <= pool.age < 241
    assert pool.overdue
    # Once in five minutes may be what is wanted.
    assert not overview.Overview(running.database, 300.0).get(key).overdue
    # Nobody looks at a pool without hosts.
    assert not running.overview.get(empty).overdue
    assert running.overview.get(empty).age is None
    running.watch(key, 1)
    assert not running.overview.get(key).overdue


def test_whoever_works_on_a_pool_need_not_look(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    look(running, key, [], ago=1000.0)

    def hold(ttl: float) -> overview.Pool:
        with running.database.writer() as connection:
            connection.exec_driver_sql(
                'UPDATE aggregates SET lease_until = NULL'
            )
            assert leases.claim(connection, key, 'somebody', ttl)
        return running.overview.get(key)

    held = hold(100.0)
    assert (held.overdue, held.abandoned) == (False, False)
    # It has died, or cannot reach the database.
    lost = hold(-1.0)
    assert (lost.overdue, lost.abandoned) == (True, True)
    running.watch(key, 1)
    free = running.overview.get(key)
    assert (free.overdue, free.abandoned) == (False, False)


@pytest.mark.parametrize(
    ('limit', 'wanted', 'found'),
    [
        (2, {}, [0, 1]),
        (2, {'marker': 1}, [1, 2]),
        (1, {'state': 'created', 'marker': 2}, [2]),
        (0, {}, []),
        (9, {'name': 'pool1'}, [1]),
        (9, {'availability_zone': 'az1'}, []),
    ],
)
def test_pages_are_of_what_is_wanted(
    running: service.Service,
    limit: int,
    wanted: dict[str, Any],
    found: list[int],
) -> None:
    keys = [running.create(name=f'pool{n}') for n in range(3)]
    pools = running.overview.page(limit, **wanted)
    assert [pool.aggregate.id for pool in pools] == [keys[n] for n in found]
