"""The end of history: what may go, and what has to stay."""

import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.compute import purge as compute_purge
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.schema import models
from aggregates_ext.domain import history
from tests.functional import maintaining
from tests.functional import service
from tests.functional.db import test_moves


def purge(
    running: service.Service, aggregate_id: int | None = None
) -> tuple[int, int]:
    """Purge all that has ended by now; operations and aggregates of it."""
    found = history.History(running.database, 180).purge(0, aggregate_id)
    assert found.moves == 0
    return found.operations, found.aggregates


def kinds(running: service.Service, key: int) -> list[tuple[str, str]]:
    return [(o.kind, o.state) for o in running.operations.get_all(key)]


def test_only_what_ended_long_ago_goes(running: service.Service) -> None:
    key = running.create('xen1')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work()
    before = kinds(running, key)
    assert not any(history.History(running.database, 180).purge(1))
    assert kinds(running, key) == before
    assert purge(running) == (1, 0)
    assert kinds(running, key) == [('add_host', 'succeeded')]


def test_what_counts_for_the_state_stays(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.state(key) == 'error'
    assert purge(running) == (0, 0)
    assert running.state(key) == 'error'
    running.operations.reset(running.ctx, key, 'xen2', 'free')
    assert purge(running) == (2, 0)
    assert running.state(key) == 'active'


def test_what_is_unfinished_stays(running: service.Service) -> None:
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    assert purge(running) == (0, 0)
    running.work()
    assert running.hosts.get('xen2').phase == 'member'


def take_out_and_back(running: service.Service, key: int, host: str) -> str:
    """The phase that a cancelled removal gives back."""
    running.members.remove_host(running.ctx, key, host)
    running.operations.cancel(running.ctx, key, running.operation(key).uuid)
    return running.hosts.get(host).phase


@pytest.mark.parametrize('first', [False, True])
def test_cancelled_removal_gives_back_the_same_phase(
    running: service.Service, first: bool
) -> None:
    """A member was reset to one; without the purge it is a member too."""
    key = running.create('xen1', 'xen2')
    running.operations.reset(running.ctx, key, 'xen2', 'member')
    if first:
        assert purge(running) == (1, 0)
    assert take_out_and_back(running, key, 'xen2') == 'member'


def test_join_that_came_to_nothing_is_remembered_while_it_counts(
    running: service.Service,
) -> None:
    """Its removal, queued behind it, leads to free and not to member."""
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    join = running.operation(key)
    with running.database.writer() as connection:
        db_operations.start(connection, join.id)
    running.members.remove_host(running.ctx, key, 'xen2')
    removal = running.operation(key)
    with running.database.writer() as connection:
        db_operations.finish(connection, join, 'failed', {'code': 'X'})
        db_operations.update(connection, join.id, {'settled': True})
    assert purge(running) == (0, 0)
    running.operations.cancel(running.ctx, key, removal.uuid)
    assert running.hosts.get('xen2').phase == 'free'
    assert purge(running) == (2, 0)


def test_deleted_aggregate_goes_with_its_last_operation(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    running.aggregates.delete(running.ctx, key)
    newest = running.create(name='newest')
    assert len(running.operations.get_all(key)) == 2
    assert purge(running) == (2, 1)
    with pytest.raises(exception.AggregateNotFound):
        running.operations.get_all(key)
    assert running.aggregates.get(newest).id == newest


def test_failures_count_for_no_deleted_aggregate(
    running: service.Service,
) -> None:
    running.sim.add_vm('xen2', 'web', power_state='Running')
    key = running.create('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    running.aggregates.create('newest', None)
    running.aggregates.delete(running.ctx, key)
    assert running.operations.aggregate_of('xen2') is None
    assert purge(running)[1] == 1


def test_ids_are_not_reused_after_a_purge(running: service.Service) -> None:
    """Nor where the database counts on from the highest id there is."""
    keys = [running.create(name=f'n{number}') for number in range(3)]
    for key in keys:
        running.aggregates.delete(running.ctx, key)
    assert purge(running) == (0, 2)
    assert running.operations.get_all(keys[-1]) == []
    assert running.create(name='next') > keys[-1]


def test_host_that_returns_keeps_its_aggregate(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    for host in ('xen2', 'xen1'):
        running.members.remove_host(running.ctx, key, host)
        running.work()
    running.aggregates.delete(running.ctx, key)
    running.create(name='newest')
    assert running.hosts.get('xen2').phase == 'returning'
    with running.database.writer() as connection:
        # As of an adopted host, which no operation brought in.
        connection.execute(
            sa.delete(models.operations).where(
                models.operations.c.aggregate_id == key
            )
        )
    assert purge(running)[1] == 0
    running.watch(key, 600)
    assert running.hosts.get('xen2').phase == 'free'
    assert purge(running)[1] == 1


def test_one_aggregate_alone(running: service.Service) -> None:
    first, second = running.create('xen1'), running.create('xen2', name='b')
    for key in (first, second):
        running.aggregates.update(running.ctx, key, {'name': f'new{key}'})
    running.work()
    assert purge(running, second) == (1, 0)
    assert len(kinds(running, first)) == 2


def test_change_of_master_that_keeps_others_back_stays(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    running.pools.set_master(running.ctx, key, 'xen2')
    running.work()
    changed = running.operation(key)
    assert (changed.kind, changed.state) == ('set_master', 'succeeded')
    assert changed.designated == changed.parameters['designated']['at']
    assert purge(running) == (0, 0)
    parameters = dict(changed.parameters)
    parameters['designated']['at'] -= 181
    with running.database.writer() as connection:
        db_operations.update(
            connection, changed.id, {'parameters': parameters}
        )
    assert purge(running) == (1, 0)


def grow_old(running: service.Service, days: float) -> None:
    """Let all that is there be older."""
    table = models.operations
    age = datetime.timedelta(days=days)
    with running.database.writer() as connection:
        for row in connection.execute(table.select()).all():
            connection.execute(
                sa.update(table)
                .where(table.c.id == row.id)
                .values(
                    created_at=row.created_at - age,
                    finished_at=row.finished_at and row.finished_at - age,
                )
            )


@pytest.mark.parametrize(('days', 'kept'), [(None, 1), (0, 3), (100, 3)])
def test_a_compute_service_purges_by_itself(
    running: service.Service, days: float | None, kept: int
) -> None:
    """What is older than 90 days, unless it is told otherwise."""
    if days is not None:
        running.conf.set_override('history_days', days, 'compute')
    key = running.create('xen1')
    running.operations.reset(running.ctx, key, 'xen1', 'member')
    grow_old(running, 90)
    running.operations.reset(running.ctx, key, 'xen1', 'member')
    grow_old(running, 1)
    compute_purge.Purge(running.conf, running.database).purge()
    assert len(kinds(running, key)) == kept


def test_a_service_that_stops_begins_no_further_batch(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = running.create('xen1')
    for _ in range(5):
        running.operations.reset(running.ctx, key, 'xen1', 'member')
    grow_old(running, 100)
    monkeypatch.setattr(history, 'BATCH', 2)
    purging = compute_purge.Purge(running.conf, running.database)
    purging.start()
    purging.stop()
    purging.purge()
    assert len(kinds(running, key)) == 4


def test_what_stays_hides_nothing_behind_it(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches go on behind what no batch may delete."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work()
    monkeypatch.setattr(history, 'BATCH', 1)
    assert purge(running) == (1, 0)
    assert purge(running) == (0, 0)


def test_batches_leave_nothing_behind(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch is a transaction of its own."""
    key = running.create('xen1')
    for _ in range(5):
        running.operations.reset(running.ctx, key, 'xen1', 'member')
    monkeypatch.setattr(history, 'BATCH', 2)
    assert purge(running) == (5, 0)
    assert kinds(running, key) == [('reset', 'succeeded')]


def move(
    running: service.Service, key: int, name: str, **more: Any
) -> records.Move:
    """A move of a guest, queued."""
    guest = test_moves.guest(name, key)
    return running.database.write(
        lambda c: db_moves.insert(c, f'uuid of {name}', guest, {}, **more)
    )


def end(running: service.Service, *ended: records.Move) -> None:
    for one in ended:
        running.database.write(
            lambda c, one=one: db_moves.finish(c, one, 'completed')
        )


def names(running: service.Service) -> list[str]:
    with running.database.reader() as connection:
        found = db_moves.page(connection, db_moves.Wanted(), 100) or []
    return [one.guest_name for one in found]


def test_moves_go_as_operations_do(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = running.create('xen1')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work()
    with running.database.reader() as connection:
        brought_in, renamed = (
            db_operations.get(connection, o.uuid).id
            for o in reversed(running.operations.get_all(key))
        )
    alone = move(running, key, 'alone')
    of_what_stays = move(running, key, 'a', operation_id=brought_in)
    of_what_goes = move(running, key, 'b', operation_id=renamed)
    unresolved = move(running, key, 'c')
    running.database.write(
        lambda c: db_moves.update(c, unresolved, {'state': 'unresolved'})
    )
    elsewhere = move(running, key + 1, 'd')
    past = history.History(running.database, 180)
    assert past.purge(0) == (1, 0, 0)
    end(running, alone, of_what_stays, of_what_goes, elsewhere)
    assert past.purge(1) == (0, 0, 0)
    monkeypatch.setattr(history, 'BATCH', 1)
    assert past.purge(0, key) == (0, 2, 0)
    assert names(running) == ['d', 'c', 'a']
    assert past.purge(0) == (0, 1, 0)
    assert names(running) == ['c', 'a']


def test_what_brings_guests_back_stays(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.add_vm('xen2', 'g1', memory=1 << 30)
    running.watch(key, 0)
    running.maintenance.enter(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    past = history.History(running.database, 180)
    assert past.purge(0) == (0, 0, 0)
    assert maintaining.places(running) == [['xen1']]
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert maintaining.places(running) == [['xen2']]
    assert past.purge(0) == (2, 2, 0)


def test_a_compute_service_purges_moves(running: service.Service) -> None:
    key = running.create('xen1')
    end(running, move(running, key, 'old'))
    with running.database.writer() as connection:
        age = datetime.timedelta(days=91)
        table = models.moves
        row = connection.execute(table.select()).one()
        connection.execute(
            sa.update(table).values(
                created_at=row.created_at - age,
                finished_at=row.finished_at - age,
            )
        )
    end(running, move(running, key, 'new'))
    compute_purge.Purge(running.conf, running.database).purge()
    assert names(running) == ['new']


def test_deleted_aggregate_stays_while_a_move_names_it(
    running: service.Service,
) -> None:
    key = running.create()
    open_move = move(running, key, 'web')
    running.aggregates.delete(running.ctx, key)
    running.create(name='newest')
    assert purge(running) == (0, 0)
    end(running, open_move)
    past = history.History(running.database, 180)
    assert past.purge(0) == (0, 1, 1)


def test_filters(running: service.Service) -> None:
    first, second = running.create('xen1', 'xen2'), running.create(name='b')
    running.members.add_host(running.ctx, second, 'xen3')
    past = history.History(running.database, 180)

    def found(**filters: object) -> list[str | None]:
        listed: list[records.Operation] = past.get_all(**filters)  # type: ignore[arg-type]
        return [operation.host for operation in listed]

    assert found() == ['xen3', 'xen2', 'xen1']
    assert found(limit=1) == ['xen3']
    assert found(state='queued') == ['xen3']
    assert found(host='xen1') == ['xen1']
    assert found(aggregate_id=first, host='xen3') == []
    with pytest.raises(exception.Invalid, match='limit'):
        found(limit=0)
    with pytest.raises(exception.AggregateNotFound):
        found(aggregate_id=99)
