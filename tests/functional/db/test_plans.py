"""No question reads all of what ``plenty`` makes, on each database."""

import dataclasses
import datetime
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext.db import aggregates
from aggregates_ext.db import guestpages
from aggregates_ext.db import guests
from aggregates_ext.db import history
from aggregates_ext.db import hosts
from aggregates_ext.db import inventory
from aggregates_ext.db import leases
from aggregates_ext.db import moves
from aggregates_ext.db import operations
from aggregates_ext.db import pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from tests import databases
from tests.functional.db import plans
from tests.functional.db import plenty
from tests.functional.db.plenty import HOST
from tests.functional.db.plenty import LONG
from tests.functional.db.plenty import OLD

ROWS = 100_000
# Rows that one statement may read here: all that is unfinished or counts,
# a few pages of history, a look at each aggregate; never the history.
LIMIT = 6_000
_OPERATIONS = models.operations


@pytest.fixture(scope='module', params=databases.KINDS)
def full(
    request: pytest.FixtureRequest,
    servers: databases.Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[engine.Database]:
    """A database with the whole history, filled once for all tests."""
    directory = tmp_path_factory.mktemp('plans')
    with plans.filled(request.param, servers, directory, plenty.fill) as made:
        yield made


def operation(key: int) -> Callable[[sa.Connection], Any]:
    """The operation with an id."""
    return lambda c: operations.get(
        c,
        c.scalar(sa.select(_OPERATIONS.c.uuid).where(_OPERATIONS.c.id == key)),
    )


def designation(connection: sa.Connection) -> Any:
    """One of the oldest changes of master."""
    found = [operation(key)(connection) for key in range(1, 20)]
    return next(o for o in found if (o.kind, o.host) == ('set_master', HOST))


def run(connection: sa.Connection) -> records.Operation:
    """An operation as one that takes all hosts of a pool in turn."""
    found = operation(LAST)(connection)
    kind = operations.ROLLING_REBOOT
    return dataclasses.replace(found, kind=kind, host=None)


LAST = 99_000
EACH = range(1, plenty.AGGREGATES + 1)
QUESTIONS: dict[str, Callable[[sa.Connection], object]] = {
    'what there is to do': lambda c: leases.candidates(c, 1e9, 100),
    'when there is more to do': leases.rests,
    'whether a look is old': lambda c: leases.is_stale(c, LONG, 60),
    'all aggregates': aggregates.get_all,
    'an aggregate': lambda c: aggregates.get(c, LONG),
    'what an aggregate does': lambda c: operations.unfinished(c, LONG),
    'what counts for an aggregate': lambda c: operations.standing(c, [LONG]),
    'what counts for all aggregates': lambda c: operations.standing(c, EACH),
    'what was seen of all pools': lambda c: pools.looks(c, EACH),
    'the numbers of operations': operations.tally,
    'the numbers of moves': moves.tally,
    'moves that are unresolved': moves.unresolved,
    'what is known of all pools': pools.known,
    'hosts with an alarm': hosts.alarmed,
    'hosts and their homes': lambda c: list(inventory.entries(c, {})),
    'the hosts of all pools': lambda c: hosts.of_aggregates(c, EACH),
    'aggregates of a host': lambda c: aggregates.get_all(
        c, host='xen77', phases=None, limit=100
    ),
    'what may be resolved': lambda c: operations.get_all(
        c, LONG, states=('unresolved',)
    ),
    'joins that may come about': lambda c: operations.get_all(
        c, LONG, states=('running', 'unresolved'), kinds=('add_host',)
    ),
    'a page of all': lambda c: operations.get_all(c, limit=100),
    'a page of an aggregate': lambda c: operations.get_all(
        c, LONG, before=50_000, limit=100
    ),
    'failures of an aggregate': lambda c: operations.get_all(
        c, LONG, states=('failed',), limit=100
    ),
    'what runs anywhere': lambda c: operations.get_all(
        c, states=('running',), limit=100
    ),
    'the history of a host': lambda c: operations.get_all(
        c, host=HOST, limit=100
    ),
    'the history of a host that has little': lambda c: operations.get_all(
        c, host='xen99991', limit=100
    ),
    'a host in an aggregate': lambda c: operations.get_all(
        c, LONG, host=HOST, limit=1
    ),
    'the maintenance of hosts': lambda c: operations.of_hosts(
        c, LONG, ('xen99991', 'xen99992'), ('enter_maintenance',)
    ),
    'a removal before': lambda c: operations.get_all(
        c, LONG, kinds=('add_host',), host=HOST, before=LAST, limit=1
    ),
    'a host and what is open': lambda c: operations.of_host(c, LONG, HOST),
    'how a host came in': lambda c: operations.latest(
        c, LONG, HOST, ('add_host', 'reset')
    ),
    'a later one of no host': lambda c: operations.latest(
        c, LONG, None, ('set_master',), after=LAST
    ),
    'the networks of moves': lambda c: operations.networks(
        c, range(LAST - 100, LAST)
    ),
    'what counts, with the clock': lambda c: operations.counting(c, LONG),
    'hosts of an aggregate and others': lambda c: hosts.beside(
        c, LONG, [HOST, 'xen77']
    ),
    'the last operations on hosts': lambda c: operations.last_of(
        c, [(LONG, HOST), (LONG, 'xen99991'), (77, 'xen77')]
    ),
    'what took the place of others': lambda c: operations.successors(
        c, LONG, [operation(key)(c) for key in range(LAST, LAST + 8)]
    ),
    'what took the place of an old change of master': lambda c: (
        operations.successors(c, LONG, [designation(c)])
    ),
    'what was asked of a restart': lambda c: operations.requests(
        c, operation(LAST)(c)
    ),
    'the parts of a list of hosts': lambda c: operations.named(
        c, [operation(key)(c).uuid for key in (7, 50_000, LAST)]
    ),
    'hosts by their names': lambda c: hosts.named(c, [HOST, 'xen77']),
    'changes of master': lambda c: operations.designations(c, LONG, 180),
    'what stands of a host': lambda c: operations.find_standing(c, HOST),
    'removal of a host': lambda c: operations.settle_failed(c, host=HOST),
    'deletion of an aggregate': lambda c: operations.settle_failed(
        c, aggregate_id=LONG
    ),
    'a pool that may be forgotten': lambda c: pools.forget_pool_if_empty(
        c, LONG
    ),
    'the end of an operation': lambda c: operations.finish(
        c, operation(LAST)(c), 'succeeded'
    ),
    'the end of a run of all hosts': lambda c: operations.finish(
        c, run(c), 'succeeded'
    ),
    'a run of all hosts that is given up': lambda c: operations.finish(
        c, run(c), 'cancelled'
    ),
    'failures that are given up': lambda c: operations.settle_failed(
        c, keys=(77, LAST)
    ),
    'a reset': lambda c: operations.reset(c, LONG, HOST),
    'a part of the purge': lambda c: history.delete_operations(
        c, OLD, ('add_host', 'reset'), 100, after=50_000
    ),
    'a part of the purge of an aggregate': lambda c: history.delete_operations(
        c, OLD, ('add_host', 'reset'), 100, LONG, after=50_000
    ),
    'deletion of aggregates': lambda c: history.delete_aggregates(c, OLD, 500),
    'whose a host is': lambda c: hosts.get_all(c, LONG),
    'guests': lambda c: listed(c),
    'guests behind a page': lambda c: listed(c, marker='50000'),
    'guests by name': lambda c: listed(c, by='name', marker='50000'),
    'guests by change': lambda c: listed(c, by='changed_at', marker='50000'),
    'guests by uuid': lambda c: listed(c, by='uuid', marker='50000'),
    'guests of a host': lambda c: listed(c, host=HOST, marker='50000'),
    'guests of a host by name': lambda c: listed(c, by='name', host=HOST),
    'a guest by its name': lambda c: listed(c, name='guest77'),
    'a guest by its uuid': lambda c: listed(c, uuid='77'),
    'guests that run': lambda c: listed(
        c,
        power_states=('Running',),
        no_operations=('pool_migrate', 'migrate_send'),
        marker='50000',
    ),
    'guests that are paused': lambda c: listed(c, power_states=('Paused',)),
    'guests that move': lambda c: listed(
        c,
        power_states=('Running', 'Paused'),
        operations=('pool_migrate', 'migrate_send'),
    ),
    'guests that are at rest': lambda c: listed(
        c, power_states=('Running',), moving=False, marker='50000'
    ),
    'guests that move or are to': lambda c: listed(c, moving=True),
    'guests that move by name': lambda c: listed(
        c, by='name', moving=True, marker='50000'
    ),
    'guests that changed': lambda c: listed(c, by='changed_at', since=9e4),
    'names of guests on hosts': lambda c: list(
        guestpages.on_hosts(c, ['u1', 'u2'])
    ),
    'guests of a pool': lambda c: guests.keep(
        c, LONG, [], ['1'], 1, whole=False
    ),
    'what guests take': lambda c: guests.totals(c, LONG),
    'an end of guests': lambda c: guests.forget(c, LONG),
    'ends of guests': guests.orphaned,
    'a move': lambda c: moves.find(c, LAST, '1'),
    'moves that are open': lambda c: moves.open_of(c, LONG),
    'moves of a guest': lambda c: moves.open_of_guest(c, '1999'),
    'moves of an operation': lambda c: moves.of_operation(c, 7),
    'moves of operations': lambda c: moves.of_operations(c, [7, 8, 9]),
    'guests under way': lambda c: moves.under_way(c, ['1', '1999', '5999']),
    'moves': lambda c: moved(c),
    'moves behind a page': lambda c: moved(c, '50000'),
    'moves of a host': lambda c: moved(c, host=HOST),
    'moves of a host behind a page': lambda c: moved(c, '50000', host=HOST),
    'moves of a host that has few': lambda c: moved(c, host='xen77'),
    'moves from a host': lambda c: moved(c, source='xen77'),
    'moves of a host that failed': lambda c: moved(
        c, host='xen77', states=('failed',)
    ),
    'moves that a guest had': lambda c: moved(c, guest_uuid='77'),
    'moves that completed': lambda c: moved(c, states=('completed',)),
    'moves that failed': lambda c: moved(c, '50000', states=('failed',)),
    'moves that run': lambda c: moved(c, states=('sent',), begun=True),
    'moves for a user': lambda c: moved(c, user_id='rare'),
    'moves in a project': lambda c: moved(c, '50000', project_id='rare'),
    'moves in the usual project': lambda c: moved(c, project_id='often'),
    'moves behind a page in the usual project': lambda c: moved(
        c, '50000', project_id='often'
    ),
    'moves that completed, behind a page': lambda c: moved(
        c, '50000', states=('completed',)
    ),
    'moves from a host, behind a page': lambda c: moved(
        c, '50000', source=HOST
    ),
    'moves that changed': lambda c: moved(c, since=_at(99_000)),
    'moves that changed since ever': lambda c: moved(c, since=OLD),
    'moves before': lambda c: moved(c, before=_at(50_000)),
    'moves before, behind a page': lambda c: moved(
        c, '40000', before=_at(50_000)
    ),
    'moves of a host before': lambda c: moved(
        c, host='xen77', before=_at(50_000)
    ),
    'a part of the purge of moves': lambda c: history.delete_moves(
        c, OLD, 100, after=50_000
    ),
    'a part of the purge of moves of a pool': lambda c: history.delete_moves(
        c, OLD, 100, LONG, after=50_000
    ),
}


def moved(
    connection: sa.Connection, marker: str | None = None, **wanted: Any
) -> object:
    """A page of moves."""
    return moves.page(connection, moves.Wanted(**wanted), 100, marker)


def _at(seconds: int) -> datetime.datetime:
    return OLD + datetime.timedelta(seconds=seconds)


def listed(
    connection: sa.Connection,
    by: str = 'first_seen',
    marker: str | None = None,
    **wanted: Any,
) -> object:
    """A page of guests."""
    return guestpages.page(
        connection,
        guestpages.Wanted(**wanted),
        guestpages.Order(by),
        200,
        marker,
    )


def test_there_is_as_much_as_said(full: engine.Database) -> None:
    with full.reader() as connection:
        count = sa.select(sa.func.count()).select_from(_OPERATIONS)
        assert connection.scalar(count) == ROWS


@pytest.mark.parametrize('name', QUESTIONS)
def test_no_question_reads_the_history(
    full: engine.Database, name: str
) -> None:
    with full.engine.connect() as connection:
        costs = plans.measure(connection, QUESTIONS[name])
    assert costs
    for cost in costs:
        assert cost.rows < LIMIT, cost.plan
