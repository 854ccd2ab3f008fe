"""Which aggregates want work: each condition, and what is just beside it."""

from typing import Any

import pytest
import sqlalchemy as sa
from oslo_utils import timeutils
from oslo_utils import uuidutils

from aggregates_ext.db import aggregates
from aggregates_ext.db import leases
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

pytestmark = pytest.mark.every_database
INTERVAL = 60.0
# Seconds from now on.
LATER, OVER, AT_ONCE = 1000.0, -10.0, None
Row = tuple[sa.Table, dict[str, Any]]


def operation(
    state: str,
    rests: float | None = AT_ONCE,
    host: str | None = 'h',
    kind: str = 'remove_host',
) -> Row:
    return models.operations, {
        'uuid': uuidutils.generate_uuid(),
        'kind': kind,
        'host': host,
        'state': state,
        'settled': state == 'succeeded',
        'progress': 0,
        'attempts': 0,
        'parameters': {},
        'not_before': rests,
        'created_at': timeutils.utcnow(),
    }


def move(rests: float | None, ended: int = 0) -> Row:
    return models.moves, {
        'uuid': uuidutils.generate_uuid(),
        'guest_uuid': uuidutils.generate_uuid(),
        'guest_name': 'web',
        'source': 'h',
        'state': 'queued',
        'ended': ended,
        'tried': {},
        'not_before': rests,
        'created_at': timeutils.utcnow(),
        'updated_at': timeutils.utcnow(),
    }


def host(phase: str = 'member', alarm: str | None = None) -> Row:
    return models.hosts, {
        'name': uuidutils.generate_uuid(),
        'url': 'https://h',
        'credential': 'default',
        'phase': phase,
        'alarm': alarm,
        'created_at': timeutils.utcnow(),
    }


def seen(at: float) -> Row:
    return models.aggregates, {'observed_at': at}


def lease(until: float) -> Row:
    return models.aggregates, {'lease_owner': 'one', 'lease_until': until}


# What each aggregate has, and whether it wants work.
CASES: dict[str, tuple[bool, list[Row]]] = {
    'nothing': (False, []),
    'queued': (True, [operation('queued')]),
    'running': (True, [operation('running')]),
    'unresolved': (False, [operation('unresolved')]),
    'ended': (False, [operation('succeeded'), operation('failed')]),
    'rests': (False, [operation('queued', LATER)]),
    'rest is over': (True, [operation('queued', OVER)]),
    'behind one that rests': (
        False,
        [operation('running', LATER), operation('queued')],
    ),
    'before one that rests': (
        True,
        [operation('queued'), operation('queued', LATER)],
    ),
    'behind one of another host': (
        True,
        [operation('running', LATER, 'a'), operation('queued', host='b')],
    ),
    'behind one of the pool': (
        True,
        [operation('running', LATER, None), operation('queued')],
    ),
    'of the pool, behind one of the pool': (
        False,
        [operation('running', LATER, None), operation('queued', host=None)],
    ),
    'behind a list of hosts': (
        True,
        [
            operation('running', LATER, None, 'set_hosts'),
            operation('queued', host=None),
        ],
    ),
    'behind an unresolved one': (
        True,
        [operation('unresolved', LATER), operation('queued')],
    ),
    'rests, with a host that another wants': (
        False,
        [operation('running', LATER, 'shared')],
    ),
    'wants a host that rests elsewhere': (
        True,
        [operation('queued', host='shared')],
    ),
    'a move': (True, [move(AT_ONCE)]),
    'a move that rests': (False, [move(LATER)]),
    'a move that has ended': (False, [move(AT_ONCE, ended=1)]),
    'a pool never seen': (True, [host()]),
    'a pool just seen': (False, [host(), seen(OVER)]),
    'a pool seen long ago': (True, [host(), seen(-100)]),
    'a pool seen in the future': (True, [host(), seen(100)]),
    'no pool, seen long ago': (False, [seen(-100)]),
    'a member, seen a while ago': (False, [host(), seen(-30)]),
    'one returns': (True, [host('returning'), seen(-30)]),
    'one returns, and was just seen': (False, [host('returning'), seen(-5)]),
    'one returns, and needs somebody': (
        False,
        [host('returning', 'not back'), seen(-30)],
    ),
    'held': (False, [operation('queued'), lease(LATER)]),
    'held until a moment ago': (True, [operation('queued'), lease(OVER)]),
}
TIMES = ('not_before', 'observed_at', 'lease_until')


def write(connection: sa.Connection, name: str, rows: list[Row]) -> None:
    uuid = uuidutils.generate_uuid()
    key = aggregates.insert(connection, uuid, name, None).id
    now = engine.read_clock(connection)
    for table, row in rows:
        values = {
            column: now + value if column in TIMES and value else value
            for column, value in row.items()
        }
        if table is models.aggregates:
            connection.execute(
                sa.update(table).where(table.c.id == key).values(values)
            )
        else:
            connection.execute(
                sa.insert(table).values({**values, 'aggregate_id': key})
            )


def test_aggregates_that_want_work(database: engine.Database) -> None:
    with database.writer() as connection:
        for name, (_wanted, rows) in CASES.items():
            write(connection, name, rows)
    with database.reader() as connection:
        found = leases.candidates(connection, INTERVAL, 100)
        names = {aggregates.get(connection, key).name for key in found}
    assert names == {name for name, (wanted, _rows) in CASES.items() if wanted}
