"""Moves: one at a time for a guest, found by what they are asked by."""

import datetime
import uuid
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.db import aggregates
from aggregates_ext.db import guests
from aggregates_ext.db import leases
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

pytestmark = pytest.mark.every_database
ASKED = {'request_id': 'req-1', 'user_id': 'u', 'project_id': 'p'}


def guest(name: str = 'web', key: int = 1, host: str = 'h1') -> records.Guest:
    return records.Guest(
        id=1,
        uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        name=name,
        aggregate_id=key,
        host=host,
        host_uuid=f'uuid-{host}',
        zone=None,
        power_state='Running',
        memory=1,
        vcpus=1,
        operation=None,
        first_seen=1.0,
        changed_at=1.0,
    )


def insert(
    database: engine.Database, *args: Any, **kwargs: Any
) -> records.Move:
    known = guest(*args, **kwargs)
    return database.write(
        lambda c: moves.insert(c, str(uuid.uuid4()), known, ASKED)
    )


def read(database: engine.Database, work: Any) -> Any:
    with database.reader() as connection:
        return work(connection)


def end(
    database: engine.Database, move: records.Move, state: str = 'completed'
) -> None:
    database.write(lambda c: moves.finish(c, move, state))


def test_what_is_returned_is_what_is_read(database: engine.Database) -> None:
    made = insert(database)
    assert read(database, lambda c: moves.get(c, made.uuid)) == made
    assert (made.state, made.source, made.request_id) == (
        'queued',
        'h1',
        'req-1',
    )
    changed = database.write(
        lambda c: moves.update(
            c, made, {'state': 'sent', 'target': 'h2', 'call': {'a': 1}}
        )
    )
    assert read(database, lambda c: moves.get(c, made.uuid)) == changed
    assert changed.updated_at > made.updated_at


def test_what_is_open_is_counted_by_its_state(
    database: engine.Database,
) -> None:
    assert read(database, moves.tally) == dict.fromkeys(moves.OPEN, 0)
    made = [insert(database, name) for name in 'abcde']
    for move, state in zip(made, ('sent', 'unresolved', 'sent'), strict=False):
        database.write(
            lambda c, m=move, s=state: moves.update(c, m, {'state': s})
        )
    end(database, made[4])
    assert read(database, moves.tally) == {
        'queued': 1,
        'sent': 2,
        'unresolved': 1,
        'repairing': 0,
        'starting': 0,
    }
    [stuck] = read(database, moves.unresolved)
    assert stuck.uuid == made[1].uuid


HALTED = {'code': records.GUEST_HALTED, 'message': 'It is halted.'}


def seen(ref: str, host: str | None, state: str) -> records.Seen:
    return records.Seen(ref, guest('g').uuid, 'g', host, state, 1, 1, None)


@pytest.mark.parametrize(
    ('looks', 'expected'),
    [
        ([('r', None, 'Halted')], True),
        # It was not seen to be halted yet.
        ([('r', 'u1', 'Running')], True),
        ([('r', None, 'Halted'), ('r', None, '')], True),
        ([('r', None, 'Halted'), ('r', 'u3', 'Running')], False),
        ([('r', None, 'Halted'), ('r', 'u3', 'Paused')], False),
        ([('r', 'u3', 'Running'), ('r', None, 'Halted')], False),
        # It is in the pool as another record.
        ([('s', 'u3', 'Running'), ('s', None, 'Halted')], False),
    ],
)
def test_a_guest_that_has_run_since_is_not_started(
    database: engine.Database,
    looks: list[tuple[str, str | None, str]],
    expected: bool,
) -> None:
    """Where its move has left it halted tells nothing any more then."""
    made = insert(database, 'g')

    def look(*what: Any) -> None:
        database.write(
            lambda c: guests.keep(
                c, made.aggregate_id, [seen(*what)], (), 1e9, whole=True
            )
        )

    look('r', 'u1', 'Running')
    database.write(lambda c: moves.finish(c, made, 'failed', HALTED))
    for what in looks:
        look(*what)
    move = read(database, lambda c: moves.get(c, made.uuid))
    assert move.has_halted
    assert database.write(lambda c: moves.repair(c, move)) is expected


def test_what_nobody_knows_is_repaired(database: engine.Database) -> None:
    made = insert(database)
    for state, expected in (
        ('queued', False),
        ('sent', False),
        ('unresolved', True),
        ('repairing', True),
    ):
        database.write(
            lambda c, s=state: moves.update(
                c, moves.get(c, made.uuid), {'state': s}
            )
        )
        database.write(lambda c: moves.rest(c, [made], 600.0))
        asked = database.write(lambda c: moves.repair(c, made))
        assert asked is expected
        after = read(database, lambda c: moves.get(c, made.uuid))
        assert after.state == ('repairing' if expected else state)
        # At once, whenever it was to be looked at.
        assert (after.not_before is None) is expected
    [stuck] = read(database, moves.unresolved)
    assert stuck.uuid == made.uuid
    assert database.write(lambda c: moves.cancel(c, stuck)) == 'repairing'
    after = read(database, lambda c: moves.get(c, made.uuid))
    assert (after.state, after.cancelled) == ('repairing', True)
    # It has not ended yet, and is wanted again.
    assert database.write(lambda c: moves.repair(c, made))
    after = read(database, lambda c: moves.get(c, made.uuid))
    assert not after.cancelled


def test_what_nobody_knows_is_given_up(database: engine.Database) -> None:
    made = insert(database)
    database.write(lambda c: moves.update(c, made, {'state': 'unresolved'}))
    assert database.write(lambda c: moves.cancel(c, made)) == 'failed'
    assert not database.write(lambda c: moves.repair(c, made))


@pytest.mark.parametrize('state', ['repairing', 'starting'])
def test_nothing_more_is_told_of_what_was_given_up(
    database: engine.Database, state: str
) -> None:
    """By who has read it before."""
    made = insert(database)
    values = {'state': state, 'call': {'at': 1}}
    found = database.write(lambda c: moves.update(c, made, values))
    database.write(lambda c: moves.cancel(c, found))
    with pytest.raises(exception.MoveTakenBack):
        database.write(lambda c: moves.update(c, found, {'call': {'at': 2}}))
    found = read(database, lambda c: moves.get(c, made.uuid))
    database.write(lambda c: moves.update(c, found, {'call': {'at': 2}}))


def test_it_ends_once(database: engine.Database) -> None:
    made = insert(database)
    for first in (True, False):
        ended = database.write(lambda c: moves.finish(c, made, 'failed'))
        assert ended is first


def test_a_guest_has_one_at_a_time(database: engine.Database) -> None:
    first = insert(database)
    with pytest.raises(exception.GuestMoves):
        insert(database)
    # Of a copy of the pool, or of another guest.
    insert(database, key=2)
    insert(database, 'db')
    end(database, first)
    second = insert(database)
    end(database, second, 'failed')
    third = insert(database)
    found = read(database, lambda c: moves.open_of_guest(c, first.guest_uuid))
    assert [move.aggregate_id for move in found] == [2, 1]
    assert found[1] == third


def test_open_ones_are_due_when_they_rest_no_more(
    database: engine.Database,
) -> None:
    key = database.write(lambda c: aggregates.insert(c, 'u', 'pool', None)).id
    move = insert(database, key=key)
    for seconds, expected in ((None, [key]), (60.0, []), (-1.0, [key])):
        if seconds is not None:
            database.write(lambda c, s=seconds: moves.rest(c, [move], s))
        found = read(database, lambda c: leases.candidates(c, 1e9, 10))
        assert found == expected
    open_, now = read(database, lambda c: moves.open_of(c, key))
    assert [m.id for m in open_] == [move.id]
    assert now == pytest.approx(open_[0].not_before, abs=300)
    end(database, move)
    assert read(database, lambda c: leases.candidates(c, 1e9, 10)) == []
    assert read(database, lambda c: moves.open_of(c, key)) == ([], 0.0)


def test_a_queued_one_is_cancelled_and_a_sent_one_told_so(
    database: engine.Database,
) -> None:
    queued, sent, ended = (insert(database, name) for name in 'abc')
    database.write(lambda c: moves.update(c, sent, {'state': 'sent'}))
    end(database, ended)
    states = [
        database.write(lambda c, m=move: moves.cancel(c, m))
        for move in (queued, sent, ended)
    ]
    assert states == ['cancelled', 'sent', None]
    found = [
        read(database, lambda c, m=move: moves.get(c, m.uuid))
        for move in (queued, sent, ended)
    ]
    assert [(m.state, m.cancelled) for m in found] == [
        ('cancelled', True),
        ('sent', True),
        ('completed', False),
    ]
    assert found[0].finished_at is not None
    assert found[1].finished_at is None


def test_pages(database: engine.Database) -> None:
    made = [insert(database, str(number)) for number in range(5)]
    end(database, made[1], 'failed')
    database.write(lambda c: moves.update(c, made[2], {'target': 'h1'}))
    database.write(
        lambda c: moves.update(c, made[3], {'source': 'h9', 'target': 'h8'})
    )

    def page(limit: int = 10, marker: str | None = None, **kwargs: Any) -> Any:
        wanted = moves.Wanted(**kwargs)
        found = read(database, lambda c: moves.page(c, wanted, limit, marker))
        return found and [int(move.guest_name) for move in found]

    assert page() == [4, 3, 2, 1, 0]
    assert page(2) == [4, 3]
    assert page(2, made[3].uuid) == [2, 1]
    assert page(marker='none') is None
    assert page(host='h1') == [4, 2, 1, 0]
    assert page(host='h8') == page(source='h9') == [3]
    assert page(states=('failed',)) == [1]
    assert page(guest_uuid=made[4].guest_uuid) == [4]
    assert page(user_id='u', project_id='p') == [4, 3, 2, 1, 0]
    assert page(user_id='x') == []
    moment = made[0].updated_at
    assert page(before=moment) == [0]
    later = moment + datetime.timedelta(microseconds=1)
    # By their change, and so are the pages.
    assert page(since=later) == [3, 2, 1, 4]
    assert page(2, since=later) == [3, 2]
    assert page(2, made[2].uuid, since=later) == [1, 4]
    assert page(host='h1', since=later) == [2, 1, 4]
    assert page(2, made[2].uuid, host='h1', since=later) == [1, 4]
    assert page(states=('queued',), begun=False) == [4, 3, 2, 0]
    assert page(begun=True) == []


def test_a_move_of_a_guest_and_how_far_guests_are(
    database: engine.Database,
) -> None:
    first, second, third = (insert(database, name) for name in 'abc')
    uuids = [move.guest_uuid for move in (first, second, third)]
    assert read(database, lambda c: moves.find(c, 2, uuids[1])) == second
    assert read(database, lambda c: moves.find(c, 2, uuids[0])) is None
    assert read(database, lambda c: moves.find(c, 9, uuids[0])) is None
    database.write(
        lambda c: moves.update(c, second, {'state': 'sent', 'progress': 5})
    )
    found = read(database, lambda c: moves.under_way(c, uuids))
    assert found == {(1, uuids[0]): 0, (1, uuids[1]): 5, (1, uuids[2]): 0}
    database.write(lambda c: moves.update(c, second, {'state': 'unresolved'}))
    end(database, first)
    found = read(database, lambda c: moves.under_way(c, uuids))
    assert found == {(1, uuids[2]): 0}


def test_of_an_operation(database: engine.Database) -> None:
    insert(database, 'other')
    made = database.write(
        lambda c: moves.insert(
            c, str(uuid.uuid4()), guest(), ASKED, 'h2', operation_id=7
        )
    )
    assert read(database, lambda c: moves.of_operation(c, 7)) == [made]
    assert made.wanted == 'h2'
    with pytest.raises(exception.MoveNotFound):
        read(database, lambda c: moves.get(c, 'none'))


def test_what_was_taken_back_is_not_gone_on_with(
    database: engine.Database,
) -> None:
    """Whoever has read it before writes nothing over that."""
    move = insert(database)
    database.write(lambda c: moves.cancel(c, move))
    with pytest.raises(exception.MoveTakenBack):
        database.write(lambda c: moves.update(c, move, {'state': 'sent'}))
    end(database, move, 'failed')
    found = read(database, lambda c: moves.get(c, move.uuid))
    assert (found.state, found.cancelled) == ('cancelled', True)
