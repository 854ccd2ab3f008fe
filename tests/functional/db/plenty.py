"""Much of everything: 100,000 operations, guests and moves.

Most operations and moves are of one aggregate, and half of those of one host.
What is unfinished or counts for a state is little beside them.
"""

import datetime
from typing import Any

import sqlalchemy as sa

from aggregates_ext.db.schema import models

AGGREGATES = 200
# The aggregate, and the host in it, that have most of the history.
LONG = 1
HOST = 'xen1'
OLD = datetime.datetime(2020, 1, 1)
# So many seconds after that.
_SECONDS = {
    'sqlite': "strftime('%Y-%m-%d %H:%M:%f', 1577836800 + n, 'unixepoch')"
    " || '000'",
    'mysql': "DATE_ADD('2020-01-01 00:00:00', INTERVAL n SECOND)",
    'postgresql': "TIMESTAMP '2020-01-01 00:00:00' + n * INTERVAL '1 second'",
}


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
    connection.execute(_moves(connection.dialect.name))


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


def _moves(dialect: str) -> Any:
    """As many moves: most from or to one host, and a few that are open."""
    n = _numbers().c.n
    text = sa.cast(n, sa.String(36))
    host = sa.literal('xen') + sa.cast(n % AGGREGATES + 1, sa.String(36))
    is_open = n % 2000 == 1999
    long = n % 5 < 3
    values = {
        'uuid': text,
        'aggregate_id': sa.case((long, LONG), else_=n % AGGREGATES + 1),
        'operation_id': sa.case((n % 2 == 0, n / 2 + 1), else_=sa.null()),
        'guest_uuid': sa.cast(
            sa.case((is_open, n), else_=n % 5000), sa.String(36)
        ),
        'guest_name': text,
        'source': sa.case((long, HOST), else_=host),
        'target': sa.case((n % 5 == 3, HOST), else_=host),
        'state': sa.case(
            (n % 10_000 == 9999, 'unresolved'),
            (n % 10_000 == 5999, 'sent'),
            (is_open, 'queued'),
            (n % 100 == 1, 'failed'),
            else_='completed',
        ),
        'ended': sa.case((is_open, 0), else_=n + 1),
        'cancelled': sa.false(),
        'progress': n % 2,
        'attempts': sa.literal(1),
        'tried': sa.literal({}, sa.JSON),
        'user_id': sa.case((n % 200 == 7, 'rare'), else_='often'),
        'project_id': sa.case((n % 200 == 7, 'rare'), else_='often'),
        # A second from one to the next.
        'created_at': sa.literal(OLD),
        'updated_at': sa.literal_column(_SECONDS[dialect]),
        'finished_at': sa.literal(OLD),
    }
    return sa.insert(models.moves).from_select(
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
    return sa.insert(models.operations).from_select(
        list(values), sa.select(*values.values()).order_by(n)
    )
