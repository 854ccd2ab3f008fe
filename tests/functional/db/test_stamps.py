"""Whatever changes what is shown of an aggregate renews its stamp.

Which columns are shown is found by changing each of them. Which functions
write is read in their source. So what is added is asked too.
"""

import ast
import contextlib
import datetime
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from aggregates_ext import db
from aggregates_ext.db import aggregates
from aggregates_ext.db import history
from aggregates_ext.db import hosts
from aggregates_ext.db import inventory
from aggregates_ext.db import leases
from aggregates_ext.db import operations
from aggregates_ext.db import pools
from aggregates_ext.db import records
from aggregates_ext.db import sightings
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from tests.functional import looking

pytestmark = pytest.mark.every_database
# All of the room: one that is new has its cases too.
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.iter_modules(db.__path__, f'{db.__name__}.')
    if not found.ispkg
]
ASKED = ('request_id', 'user_id', 'project_id')
TABLES = ('aggregates', 'hosts', 'operations')
Act = Callable[[Any], object]
DEAD = records.Drift('MEMBER_DEAD', 'It is dead.', 'h1', 'u1', 1.0)
LONG_AGO = datetime.datetime(2000, 1, 1)
LATER = datetime.datetime(2100, 1, 1)
UUIDS = {
    kind: f'{number}1111111-2222-4333-8444-555555555555'
    for number, kind in enumerate(('queued', 'failed', 'of a free host'))
}


class Case(NamedTuple):
    """One call of a function that writes.

    :ivar before: what is so before it.
    :ivar quiet: it writes a column that is shown, and shows nothing new.
    :ivar spare: it renews the stamp for what is written beside it.
    """

    act: Act
    before: Act = bool
    quiet: bool = False
    spare: bool = False


def fill(connection: Any) -> None:
    """Aggregate 1 is active: h1 a member, h2 on its way out; h3 is free."""
    for name in ('h1', 'h2', 'h3'):
        url = f'https://{name}.test'
        hosts.insert(
            connection, {'name': name, 'url': url, 'credential': 'default'}
        )
    for name in ('a', 'other'):
        key = aggregates.insert(connection, f'uuid-{name}', name, None).id
        pools.set_pool(connection, key, f'p{key}', 'default', 'u1')
    hosts.bind(connection, 'h1', 1, 'member', uuid='u1')
    hosts.bind(connection, 'h2', 1, 'leaving')


def queue(
    connection: Any, kind: str = 'queued', verb: str = 'remove_host'
) -> Any:
    asked = dict.fromkeys(ASKED)
    return operations.insert(connection, UUIDS[kind], verb, 1, 'h2', asked)


def fail(connection: Any) -> None:
    failed = queue(connection, 'failed')
    operations.finish(connection, failed, 'failed', {'code': 'X'})


def of(connection: Any, kind: str = 'queued') -> records.Operation:
    return operations.get(connection, UUIDS[kind])


def drifted(connection: Any) -> None:
    pools.set_drift(connection, 1, [DEAD])


def emptied(connection: Any) -> None:
    for name in ('h1', 'h2'):
        hosts.move(connection, name, 1, ('member', 'leaving'), 'free')


def unnamed(connection: Any) -> None:
    """As a former release registers hosts."""
    table = models.hosts
    unwritten = {table.c.hypervisor_uuid: None, table.c.service_uuid: None}
    connection.execute(sa.update(table).values(unwritten))


def dead(connection: Any) -> None:
    emptied(connection)
    aggregates.delete(connection, 1)


def forgotten(connection: Any) -> None:
    fail(connection)
    operations.settle_failed(connection, aggregate_id=1)


def lease(connection: Any) -> records.Lease:
    found = leases.claim(connection, 1, 'me', 60)
    assert found is not None
    return found


def held(connection: Any) -> records.Lease:
    return records.Lease(1, 'me', 1)


CASES: dict[str, list[Case]] = {
    'aggregates.insert': [
        Case(lambda c: aggregates.insert(c, 'uuid-new', 'new', 'zone'))
    ],
    'aggregates.update': [
        Case(lambda c: aggregates.update(c, 1, {'name': 'b'})),
        Case(lambda c: aggregates.update(c, 1, {'metadata': {'k': 'v'}})),
        Case(lambda c: aggregates.update(c, 1, {'availability_zone': 'z'})),
    ],
    'aggregates.lock_changing': [
        Case(lambda c: aggregates.lock_changing(c, 1), spare=True)
    ],
    'aggregates.mark': [Case(lambda c: aggregates.mark(c, 1))],
    'aggregates.delete': [Case(lambda c: aggregates.delete(c, 1), emptied)],
    'pools.set_pool': [Case(lambda c: pools.set_pool(c, 1, 'p9', 'x', 'u9'))],
    'pools.set_master': [Case(lambda c: pools.set_master(c, 1, 'u2'))],
    'pools.release_master': [Case(lambda c: pools.release_master(c, 1, 'u1'))],
    'pools.set_credential': [Case(lambda c: pools.set_credential(c, 1, 'x'))],
    'pools.forget_pool_if_empty': [
        Case(
            lambda c: pools.forget_pool_if_empty(c, 1),
            lambda c: (emptied(c), drifted(c)),
        )
    ],
    'pools.forget_look': [Case(lambda c: pools.forget_look(c, 1))],
    'pools.set_observation': [
        Case(lambda c: pools.set_observation(c, 1, {}, [DEAD])),
        Case(lambda c: pools.set_observation(c, 1, {}, []), drifted),
        Case(lambda c: pools.set_observation(c, 1, {}, []), quiet=True),
        Case(
            lambda c: pools.set_observation(c, 1, {'a': 1}, [DEAD]),
            drifted,
            quiet=True,
        ),
    ],
    'pools.set_seen': [Case(lambda c: pools.set_seen(c, 1, {'seen_at': 1.0}))],
    'pools.set_drift': [
        Case(drifted),
        Case(lambda c: pools.set_drift(c, 1, []), drifted),
        Case(drifted, drifted, quiet=True),
    ],
    'hosts.insert': [
        Case(
            lambda c: hosts.insert(
                c, {'name': 'h4', 'url': 'https://h4', 'credential': 'x'}
            ),
            quiet=True,
        )
    ],
    'hosts.insert_all': [
        Case(
            lambda c: hosts.insert_all(
                c,
                [
                    {
                        'name': f'n{n}',
                        'url': f'https://n{n}',
                        'credential': 'x',
                    }
                    for n in range(3)
                ],
            ),
            quiet=True,
        )
    ],
    'inventory.write_uuids': [
        Case(inventory.write_uuids, unnamed, quiet=True)
    ],
    'hosts.delete': [Case(lambda c: hosts.delete(c, 'h3'), quiet=True)],
    'hosts.bind': [Case(lambda c: hosts.bind(c, 'h3', 1))],
    'hosts.move': [
        Case(lambda c: hosts.move(c, 'h1', 1, ('member',), 'leaving')),
        Case(
            lambda c: hosts.move(c, 'h2', 1, ('leaving',), 'free'),
            lambda c: hosts.move(c, 'h1', 1, ('member',), 'free'),
        ),
    ],
    'hosts.update': [
        Case(lambda c: hosts.update(c, 'h1', {'alarm': 'overdue'}))
    ],
    'hosts.change_credential': [
        Case(lambda c: hosts.change_credential(c, 1, 'x'))
    ],
    'hosts.take_back_service': [
        Case(lambda c: hosts.take_back_service(c, 'h1', 1, stays=True))
    ],
    'hosts.grant': [Case(lambda c: hosts.grant(c, 'h1', {'srs': []}, 9.0))],
    'hosts.use_consent': [Case(lambda c: hosts.use_consent(c, 'h1'))],
    'sightings.claim': [
        Case(
            lambda c: sightings.claim(c, [hosts.get(c, 'h3')], -1.0),
        )
    ],
    'sightings.note': [Case(lambda c: sightings.note(c, hosts.get(c, 'h3')))],
    'leases.claim': [Case(lease)],
    'leases.renew': [
        Case(lambda c: leases.renew(c, [held(c)], 'me', 9), lease)
    ],
    'leases.fence': [Case(lambda c: leases.fence(c, held(c)), lease)],
    'leases.revoke': [Case(lambda c: leases.revoke(c, 1), lease, spare=True)],
    'leases.release': [Case(lambda c: leases.release(c, held(c)), lease)],
    'operations.insert': [Case(queue)],
    'operations.hasten': [
        Case(
            lambda c: operations.hasten(c, of(c), {}),
            lambda c: operations.postpone(c, queue(c).id, 'queued', 99),
        )
    ],
    'operations.wake': [
        Case(lambda c: operations.wake(c, of(c).id), queue, quiet=True)
    ],
    'operations.ask': [
        Case(
            lambda c: operations.ask(
                c, operations.CONTINUE, of(c), dict.fromkeys(ASKED), {}
            ),
            queue,
            quiet=True,
            spare=True,
        )
    ],
    'operations.cancel': [Case(lambda c: operations.cancel(c, of(c)), queue)],
    'operations.replace': [
        Case(lambda c: operations.replace(c, [of(c)]), queue)
    ],
    'operations.start': [
        Case(lambda c: operations.start(c, of(c).id), queue, quiet=True)
    ],
    'operations.update': [
        Case(lambda c: operations.update(c, of(c).id, {'step': 'x'}), queue)
    ],
    'operations.postpone': [
        Case(
            lambda c: operations.postpone(c, of(c).id, 'queued', 1),
            queue,
            quiet=True,
        )
    ],
    'operations.finish': [
        Case(lambda c: operations.finish(c, of(c), 'succeeded'), queue),
        Case(lambda c: operations.finish(c, of(c), 'unresolved'), queue),
    ],
    'operations.reset': [Case(lambda c: operations.reset(c, 1, 'h2'), fail)],
    'operations.settle_failed': [
        Case(lambda c: operations.settle_failed(c, aggregate_id=1), fail),
        Case(lambda c: operations.settle_failed(c, host='h2'), fail),
    ],
    'stamps.renew': [Case(lambda c: stamps.renew(c, 1), spare=True)],
    'history.delete_operations': [
        Case(
            lambda c: history.delete_operations(c, LATER, (), 9),
            forgotten,
            quiet=True,
        )
    ],
    'history.delete_aggregates': [
        Case(
            lambda c: history.delete_aggregates(c, LATER, 9),
            dead,
            quiet=True,
        )
    ],
}


def writers() -> Iterator[str]:
    """Each public function of the room that writes a table of ours."""
    for module in MODULES:
        tree = ast.parse(inspect.getsource(module))
        tables = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr in TABLES
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        # Statements that are made once, and those who use them.
        made = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign) and '' in _calls(node, tables)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        found: dict[str, set[str]] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = set(_calls(node, tables, made))
        for name, calls in found.items():
            inner = [found.get(call, set()) for call in calls]
            if not name.startswith('_') and '' in calls.union(*inner):
                yield f'{module.__name__.rpartition(".")[2]}.{name}'


def _calls(
    code: ast.stmt, tables: set[str], made: Collection[str] = ()
) -> Iterator[str]:
    """What a function calls; '' for what writes."""
    for node in ast.walk(code):
        if isinstance(node, ast.Name) and node.id in made:
            yield ''
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            yield node.func.id
        elif (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ('insert', 'update', 'delete')
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == 'sa'
            and getattr(node.args[0], 'id', '') in tables
        ):
            yield ''


def test_every_function_that_writes_has_a_case(
    database: engine.Database,
) -> None:
    assert set(writers()) == set(CASES)


# What a test writes into a column, by its type; differs from what is there.
OTHER: list[tuple[Any, Any]] = [
    (sa.Boolean, True),
    (sa.Integer, 2),
    (sa.Double, 4.0),
    (sa.DateTime, LONG_AGO),
    (sa.JSON, [{'code': 'X', 'message': 'x'}]),
    (sa.String, 'text'),
]
# What of the tables is shown; told here for those who read it.
SHOWN = {
    'aggregates.availability_zone',
    'aggregates.created_at',
    'aggregates.deleted',
    'aggregates.deleted_at',
    'aggregates.drift',
    'aggregates.metadata',
    'aggregates.name',
    'aggregates.updated_at',
    'aggregates.uuid',
    'hosts.aggregate_id',
    'hosts.name',
    'hosts.phase',
    'operations.aggregate_id',
    'operations.settled',
    'operations.state',
}


@contextlib.contextmanager
def trying(database: engine.Database) -> Iterator[Any]:
    """A transaction that leaves nothing."""
    with database.engine.connect() as connection:
        transaction = connection.begin()
        yield connection
        transaction.rollback()


def shown_columns(database: engine.Database) -> set[str]:
    """The columns whose change some face shows, in one state or another."""
    found = set()
    for state in (fail, forgotten):
        with trying(database) as connection:
            state(connection)
            found |= {
                f'{table.name}.{column.name}'
                for table in map(models.METADATA.tables.get, TABLES)
                if table is not None
                for column in table.c
                if not column.primary_key and _is_shown(connection, column)
            }
    return found


def _is_shown(connection: Any, column: sa.Column[Any]) -> bool:
    table = column.table
    value: Any = next(
        value for kind, value in OTHER if isinstance(column.type, kind)
    )
    if column.name == 'metadata':
        value = {'k': 'v'}
    first = connection.scalar(sa.select(sa.func.min(table.c.id)))
    before = looking.views(connection)
    with connection.begin_nested() as ended:
        connection.execute(
            sa.update(table)
            .where(table.c.id == first)
            .values({column.name: value})
        )
        after = looking.views(connection)
        ended.rollback()
    return before != after


_SET = re.compile(r'[ ,](\w+)=')


def columns_of(statement: str) -> set[str]:
    """The columns that a statement writes."""
    plain = statement.replace('`', '').replace('"', '')
    words = plain.split()
    if words[0] == 'UPDATE':
        return {f'{words[1]}.{name}' for name in _SET.findall(plain)}
    if words[0] in ('INSERT', 'DELETE'):
        columns = models.METADATA.tables[words[2]].c
        return {f'{words[2]}.{column.name}' for column in columns}
    return set()


@contextlib.contextmanager
def writing(database: engine.Database) -> Iterator[set[str]]:
    """The columns that are written in a block."""
    found: set[str] = set()

    def listen(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        found.update(columns_of(text))

    sa.event.listen(database.engine, 'before_cursor_execute', listen)
    yield found
    sa.event.remove(database.engine, 'before_cursor_execute', listen)


@pytest.fixture
def filled(database: engine.Database) -> engine.Database:
    with database.writer() as connection:
        fill(connection)
    return database


def test_what_is_shown_and_the_stamp_change_together(
    filled: engine.Database,
) -> None:
    """Neither without the other, of any function that writes."""
    shown = shown_columns(filled)
    assert shown == SHOWN
    for name, cases in CASES.items():
        for case in cases:
            check(name, case, filled, shown)


def check(
    name: str, case: Case, database: engine.Database, shown: set[str]
) -> None:
    with trying(database) as connection:
        case.before(connection)
        # As if that had been another transaction.
        connection.info.pop(stamps.KEY, None)
        before = looking.views(connection), looking.stamps(connection)
        with writing(database) as columns:
            case.act(connection)
        after = looking.views(connection), looking.stamps(connection)
    changed = {
        key
        for key in before[0].keys() | after[0].keys()
        if before[0].get(key) != after[0].get(key)
    }
    renewed = {
        key
        for key in before[1].keys() | after[1].keys()
        if before[1].get(key) != after[1].get(key)
    }
    # What begins with the same one as others can take another's place.
    assert 0 not in after[1].values(), name
    assert changed == renewed or (case.spare and renewed == {1}), name
    touched = (columns - {'aggregates.stamp'}) & shown
    assert bool(changed) == (bool(touched) and not case.quiet), (name, touched)
