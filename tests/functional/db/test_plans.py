"""No question reads all: 100,000 operations and guests, on each database.

Most of them are of one aggregate, and half of those of one host. What is
unfinished or counts for a state is little beside them.
"""

import datetime
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from aggregates_ext.db import aggregates
from aggregates_ext.db import guestpages
from aggregates_ext.db import guests
from aggregates_ext.db import history
from aggregates_ext.db import hosts
from aggregates_ext.db import leases
from aggregates_ext.db import operations
from aggregates_ext.db import pools
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from tests import databases
from tests.functional.db import plans

ROWS = 100_000
AGGREGATES = 200
# The aggregate, and the host in it, that have most of the history.
LONG = 1
HOST = 'xen1'
# Rows that one statement may read here: all that is unfinished or counts,
# a few pages of history, a look at each aggregate; never the history.
LIMIT = 6_000
OLD = datetime.datetime(2020, 1, 1)
_OPERATIONS = models.operations


def fill(connection: sa.Connection) -> None:
    """Aggregates with a host each, and the history."""
    moment = {'created_at': OLD, 'lease_epoch': 0, 'lease_writes': 0}
    connection.execute(
        sa.insert(models.aggregates),
        [
            {'uuid': f'u{n}', 'name': f'a{n}', 'metadata': {}, **moment}
            for n in range(AGGREGATES)
        ],
    )
    connection.execute(
        sa.insert(models.hosts),
        [
            {
                'name': f'xen{n}',
                'uuid': f'u{n}',
                'url': f'https://xen{n}',
                'credential': 'default',
                'phase': 'member',
                'aggregate_id': n,
                'created_at': OLD,
            }
            for n in range(1, AGGREGATES + 1)
        ],
    )
    connection.execute(_history())
    connection.execute(_guests())


def _numbers() -> Any:
    """A row for each number of 5 digits."""
    digits = ' UNION ALL '.join(f'SELECT {digit} AS d' for digit in range(10))
    number = ' + '.join(f'd{place}.d * {10**place}' for place in range(5))
    tables = ' CROSS JOIN '.join(f'({digits}) d{place}' for place in range(5))
    return (
        sa.text(f'SELECT {number} AS n FROM {tables}')  # noqa: S608
        .columns(sa.column('n', sa.Integer))
        .subquery('numbers')
    )


def _guests() -> Any:
    """As many guests: 500 on each host, and few that are not quite alive."""
    n = _numbers().c.n
    text = sa.cast(n, sa.String(36))
    host = sa.literal('u') + sa.cast(n % AGGREGATES + 1, sa.String(36))
    halted = n % 100 == 99
    values = {
        'aggregate_id': n % AGGREGATES + 1,
        'ref': text,
        'uuid': text,
        'name': sa.literal('guest') + text,
        'host_uuid': sa.case((halted, sa.null()), else_=host),
        'power_state': sa.case(
            (halted, 'Halted'), (n % 1000 == 50, 'Paused'), else_='Running'
        ),
        'memory': sa.literal(1 << 30),
        'vcpus': sa.literal(1),
        'operation': sa.case((n % 500 == 0, 'pool_migrate'), else_=sa.null()),
        'first_seen': n * 1.0,
        'changed_at': n * 1.0,
    }
    return sa.insert(models.guests).from_select(
        list(values), sa.select(*values.values()).order_by(n)
    )


def _history() -> Any:
    """All operations by one statement: a row for each number of 5 digits."""
    n = _numbers().c.n
    text = sa.cast(n, sa.String(36))
    key = sa.case((n % 5 < 3, LONG), else_=n % AGGREGATES + 1)
    # Of every thousand the last one stands, and of these each fifth is open.
    state = sa.case(
        (n % 5000 == 4999, 'queued'),
        (n % 5000 == 3999, 'unresolved'),
        (n % 1000 == 999, 'failed'),
        else_='succeeded',
    )
    values = {
        'uuid': text,
        'kind': sa.case(
            (n % 4 == 0, 'add_host'),
            (n % 4 == 1, 'remove_host'),
            (n % 4 == 2, 'set_master'),
            else_='reset',
        ),
        'aggregate_id': key,
        'host': sa.case(
            (n % 7 == 6, sa.null()),
            (n % 2 == 0, HOST),
            else_=sa.literal('xen') + text,
        ),
        'state': state,
        'settled': n % 1000 != 999,
        'progress': sa.literal(100),
        'attempts': sa.literal(1),
        'parameters': sa.literal({}, sa.JSON),
        'designated': sa.case((n % 4 == 2, sa.literal(1.0)), else_=sa.null()),
        'created_at': sa.literal(OLD),
        'finished_at': sa.literal(OLD),
    }
    return sa.insert(_OPERATIONS).from_select(
        list(values), sa.select(*values.values()).order_by(n)
    )


@pytest.fixture(scope='module', params=databases.KINDS)
def full(
    request: pytest.FixtureRequest,
    servers: databases.Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[engine.Database]:
    """A database with the whole history, filled once for all tests."""
    if request.param == 'sqlite':
        directory = tmp_path_factory.mktemp('plans')
        url = f'sqlite:///{directory}/aggregates_ext.sqlite'
    else:
        url = servers.get(request.param).new()
    conf: cfg.ConfigOpts = databases.configure(url)
    made = engine.Database(conf)
    migration.upgrade(made)
    patient = made.without_limits()
    with patient.writer() as connection:
        fill(connection)
    # As each server does it by itself after a while; SQLite does not.
    if request.param != 'sqlite':
        table = 'TABLE' if request.param == 'mariadb' else ''
        with patient.writer() as connection:
            for name in models.METADATA.tables:
                connection.exec_driver_sql(f'ANALYZE {table} {name}')
    patient.dispose()
    yield made
    made.dispose()


def operation(key: int) -> Callable[[sa.Connection], Any]:
    """The operation with an id."""
    return lambda c: operations.get(
        c,
        c.scalar(sa.select(_OPERATIONS.c.uuid).where(_OPERATIONS.c.id == key)),
    )


LAST = 99_000
QUESTIONS: dict[str, Callable[[sa.Connection], object]] = {
    'what there is to do': lambda c: leases.candidates(c, 1e9, 100),
    'all aggregates': aggregates.get_all,
    'an aggregate': lambda c: aggregates.get(c, LONG),
    'what an aggregate does': lambda c: operations.unfinished(c, LONG),
    'what counts for an aggregate': lambda c: operations.standing(c, LONG),
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
    'a reset': lambda c: operations.reset(c, LONG, HOST),
    'what is queued of a host': lambda c: operations.cancel_service(
        c, LONG, HOST
    ),
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
}


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
