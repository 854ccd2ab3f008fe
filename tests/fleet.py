"""A fleet in a database as looks, joins and time have left it, made in bulk.

Pools are copies of one that a compute service has looked at, whose hosts
answer what was recorded (``replay``): each with its hosts, guests, moves and
ended operations. Beside them are free hosts, and aggregates that are empty or
deleted.
"""

import contextlib
import datetime
import json
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import timeutils
from oslo_utils import uuidutils

from aggregates_ext import conf as options
from aggregates_ext.compute import manager
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import inventory
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.domain import hosts as registry
from tests import databases
from tests import replay

HOSTS, GUESTS = 16, 20
# The certificate of each; nobody looks.
FINGERPRINT = 'ab' * 32
# Pools copied by one statement, and rows inserted by one.
AT_ONCE, ROWS = 250, 5000
# One of so many hosts is free; of so many aggregates one has no host, and one
# is deleted.
FREE, EMPTY, DELETED = 10, 50, 20
# Ids that come behind those of the pools.
BEHIND = 1_000_000
LONG_AGO = datetime.timedelta(days=200)
ZONES = 8


class Account(NamedTuple):
    """How a fleet is configured: database, and no more than is needed."""

    conf: cfg.ConfigOpts
    database: engine.Database


def configure(url: str) -> Account:
    """A configuration with a database and the account of all hosts."""
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    conf.set_override('connection', url, 'database')
    conf.set_override('credentials', ['default'], 'xenserver')
    group = options.register_credential(conf, 'default')
    conf.set_override('password', 'secret', group)
    return Account(conf, engine.Database(conf))


def fill(account: Account, recorded: replay.Recorded, pools: int) -> None:
    """Make so many pools in an empty database, and what is beside them."""
    database = account.database.without_limits()
    with replay.answering(recorded):
        _first(account, _shown(account))
    with database.writer() as connection:
        _pools(connection, pools)
        _hosts(connection, pools)
        _free(connection, pools * HOSTS // FREE)
        inventory.write_uuids(connection)
        _others(connection, pools)
    for first in range(2, pools + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, pools)
        with database.writer() as connection:
            connection.execute(_guests(first, last))
    with database.writer() as connection:
        _history(connection)
    with database.writer() as connection:
        databases.analyze(connection)
    database.dispose()


def _shown(account: Account) -> views.PoolView:
    """The first pool, as its master shows it."""
    registry.Hosts(account.database).add(
        [
            {
                'name': f'{replay.title(1)}-h{place:02}',
                'url': f'https://{replay.address(1, place)}',
                'fingerprint': FINGERPRINT,
            }
            for place in range(HOSTS)
        ]
    )
    connector = connections.Connector(account.conf)
    master = registry.Hosts(account.database).get_all()[0]
    with contextlib.closing(connector.login(master)) as session:
        return views.pool_view(session)


def _first(account: Account, view: views.PoolView) -> None:
    """The first pool, after looks."""
    with account.database.writer() as connection:
        connection.execute(
            sa.insert(models.aggregates).values(
                id=1,
                uuid=view.mark,
                name=view.name_label,
                availability_zone='zone1',
                metadata={'rack': 'r1', 'power': 'a'},
                created_at=timeutils.utcnow() - LONG_AGO,
                deleted=0,
                stamp=stamps.new(),
                pool_uuid=view.uuid,
                credential='default',
            )
        )
        for host in view.hosts.values():
            connection.execute(
                sa.update(models.hosts)
                .where(models.hosts.c.url == f'https://{host.address}')
                .values(
                    aggregate_id=1,
                    phase='member',
                    phase_since=0.0,
                    uuid=host.uuid,
                    address=host.address,
                )
            )
    connector = connections.Connector(account.conf)
    service = manager.Manager(account.conf, account.database, connector)
    for _ in range(2 * HOSTS):
        service.work_on(1)


def _insert(
    connection: sa.Connection, table: sa.Table, rows: Iterator[dict[str, Any]]
) -> None:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == ROWS:
            connection.execute(sa.insert(table), part)
            part = []
    if part:
        connection.execute(sa.insert(table), part)


def _pools(connection: sa.Connection, pools: int) -> None:
    row = dict(
        connection.execute(sa.select(models.aggregates)).mappings().one()
    )
    seen = json.dumps(row['observation'])

    def rows() -> Iterator[dict[str, Any]]:
        for pool in range(2, pools + 1):
            yield {
                **row,
                'id': pool,
                'uuid': _own(row['uuid'], pool),
                'name': replay.title(pool),
                'availability_zone': f'zone{pool % ZONES}',
                'pool_uuid': _own(row['pool_uuid'], pool),
                'master_uuid': _own(row['master_uuid'], pool),
                'observation': json.loads(_own(seen, pool)),
                'stamp': stamps.new(),
            }

    _insert(connection, models.aggregates, rows())


def _own(text: str, pool: int) -> str:
    """A text of the first pool as another one has it."""
    for of in (replay.number, replay.network, replay.title):
        text = text.replace(of(1), of(pool))
    return text


def _hosts(connection: sa.Connection, pools: int) -> None:
    known = [
        dict(row)
        for row in connection.execute(
            sa.select(models.hosts).order_by(models.hosts.c.id)
        ).mappings()
    ]

    def rows() -> Iterator[dict[str, Any]]:
        for pool in range(2, pools + 1):
            for place, row in enumerate(known):
                yield {
                    **row,
                    'id': (pool - 1) * HOSTS + place + 1,
                    'aggregate_id': pool,
                    'hypervisor_uuid': None,
                    'service_uuid': None,
                    **{
                        name: _own(row[name], pool)
                        for name in ('name', 'uuid', 'url', 'address')
                    },
                }

    _insert(connection, models.hosts, rows())


def _free(connection: sa.Connection, number: int) -> None:
    now = engine.read_clock(connection)
    _insert(
        connection,
        models.hosts,
        (
            {
                'id': BEHIND + key,
                'name': f'free{key}',
                'url': f'https://{replay.address(1 + key // HOSTS, 0)}',
                'credential': 'default',
                'phase': 'free',
                'phase_since': now - 1e6,
                'looked_at': now,
                'seen_at': now,
                'created_at': timeutils.utcnow() - LONG_AGO,
            }
            for key in range(1, number + 1)
        ),
    )


def _others(connection: sa.Connection, pools: int) -> None:
    """Aggregates without hosts, and deleted ones, which were looked at."""
    empty = pools // EMPTY
    _insert(
        connection,
        models.aggregates,
        (
            {
                'id': BEHIND + key,
                'uuid': uuidutils.generate_uuid(),
                'name': f'other{key}',
                'metadata': {},
                'created_at': timeutils.utcnow() - LONG_AGO,
                'deleted': 0 if key <= empty else BEHIND + key,
                'deleted_at': None if key <= empty else timeutils.utcnow(),
                'observed_at': 1.0 if key % 2 else None,
                'stamp': stamps.new(),
            }
            for key in range(1, empty + pools // DELETED + 1)
        ),
    )


def _guests(first: int, last: int) -> Any:
    """The guests of some pools, as the first one has them."""
    table, pools = models.guests, models.aggregates
    own = sa.cast(pools.c.id + 10_000_000, sa.String(8))
    values: dict[str, Any] = {
        column.name: column for column in table.c if column.name != 'id'
    }
    values['aggregate_id'] = pools.c.id
    values['ref'] = _behind('OpaqueRef:', own, table.c.ref)
    values['uuid'] = _behind('', own, table.c.uuid)
    values['host_uuid'] = _behind('', own, table.c.host_uuid)
    found = (
        sa.select(*values.values())
        .select_from(table.join(pools, sa.true()))
        .where(table.c.aggregate_id == 1, pools.c.id.between(first, last))
        .order_by(pools.c.id, table.c.id)
    )
    return sa.insert(table).from_select(list(values), found)


def _behind(begin: str, own: Any, column: Any) -> Any:
    rest = sa.func.substr(column, len(begin) + 9)
    return (sa.literal(begin) + own if begin else own) + rest


def _history(connection: sa.Connection) -> None:
    """How each host came in, what was done since, and moves.

    Four operations on a host of each pool were long ago, as many of late, and
    one in a hundred pools stands. Ten guests of each pool have moved.
    """
    now = timeutils.utcnow()
    for begin, kind, age, places in (
        # The first sign of a uuid of a host, which is a digit.
        ('', 'add_host', LONG_AGO, range(HOSTS)),
        ('a', 'disable_host', LONG_AGO, range(4)),
        ('b', 'disable_host', datetime.timedelta(days=1), range(4)),
    ):
        connection.execute(
            _operations(begin, kind, now - age, [f'%-h{p:02}' for p in places])
        )
    connection.execute(
        sa.update(models.operations)
        .where(
            models.operations.c.kind == 'disable_host',
            models.operations.c.uuid.like('b%'),
            models.operations.c.aggregate_id % 100 == 7,
        )
        .values(state='failed', settled=False)
    )
    connection.execute(_moves(now - LONG_AGO))


def _operations(begin: str, kind: str, at: Any, places: list[str]) -> Any:
    hosts = models.hosts
    uuid = hosts.c.uuid
    if begin:
        uuid = sa.literal(begin) + sa.func.substr(uuid, 2)
    values = {
        'uuid': uuid,
        'kind': sa.literal(kind),
        'aggregate_id': hosts.c.aggregate_id,
        'host': hosts.c.name,
        'state': sa.literal('succeeded'),
        'settled': sa.true(),
        'progress': sa.literal(100),
        'attempts': sa.literal(1),
        'parameters': sa.literal({}, sa.JSON),
        'request_id': sa.literal(f'req-{uuidutils.generate_uuid()}'),
        'user_id': sa.literal('user'),
        'project_id': sa.literal('project'),
        'created_at': sa.literal(at, models.moment()),
        'started_at': sa.literal(at, models.moment()),
        'finished_at': sa.literal(at, models.moment()),
    }
    found = (
        sa.select(*values.values())
        .where(
            hosts.c.aggregate_id.is_not(None),
            sa.or_(*(hosts.c.name.like(place) for place in places)),
        )
        .order_by(hosts.c.id)
    )
    return sa.insert(models.operations).from_select(list(values), found)


def _moves(at: Any) -> Any:
    guests = models.guests
    values = {
        'uuid': guests.c.uuid,
        'aggregate_id': guests.c.aggregate_id,
        'guest_uuid': guests.c.uuid,
        'guest_name': guests.c.name,
        'source': sa.literal('from'),
        'target': sa.literal('to'),
        'state': sa.literal('completed'),
        'ended': guests.c.id,
        'cancelled': sa.false(),
        'progress': sa.literal(100),
        'attempts': sa.literal(1),
        'tried': sa.literal({}, sa.JSON),
        'user_id': sa.literal('user'),
        'project_id': sa.literal('project'),
        'created_at': sa.literal(at, models.moment()),
        'updated_at': sa.literal(at, models.moment()),
        'finished_at': sa.literal(at, models.moment()),
    }
    found = (
        sa.select(*values.values())
        .where(guests.c.id % 32 == 0)
        .order_by(guests.c.id)
    )
    return sa.insert(models.moves).from_select(list(values), found)
