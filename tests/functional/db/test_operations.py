"""What statements on operations say and write, on each database."""

from typing import Any

import pytest
import sqlalchemy as sa
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.db import aggregates
from aggregates_ext.db import hosts
from aggregates_ext.db import operations
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

ASKED = {
    'request_id': 'req-1',
    'user_id': 'u',
    'project_id': 'p',
    'global_request_id': 'req-0',
}
CALL = {'call': 'pool.join', 'session': 's'}
WAITING = {'code': operations.WAITING, 'message': 'It waits.'}
STATES = (
    'queued',
    'running',
    'unresolved',
    'failed',
    'cancelled',
    'succeeded',
)


@pytest.fixture
def key(database: engine.Database) -> int:
    """An aggregate; beside it are another one and two hosts."""

    def work(connection: object) -> int:
        for name in ('xen1', 'xen2'):
            values = {'name': name, 'url': 'https://x', 'credential': 'c'}
            hosts.insert(connection, values)
        keys = [
            aggregates.insert(connection, name, name, None).id for name in 'ab'
        ]
        return keys[0]

    return database.write(work)


def insert(
    database: engine.Database,
    key: int,
    host: str | None = 'xen1',
    **values: object,
) -> str:
    """An operation with some of its columns changed."""
    uuid = uuidutils.generate_uuid()

    def work(connection: object) -> None:
        made = operations.insert(connection, uuid, 'add_host', key, host, {})
        if values:
            operations.update(connection, made.id, values)

    database.write(work)
    return uuid


@pytest.mark.every_database
@pytest.mark.parametrize('done', [True, False])
@pytest.mark.parametrize('host', ['xen1', None])
def test_what_insert_returns_is_what_is_written(
    database: engine.Database, key: int, host: str | None, done: bool
) -> None:
    uuid = uuidutils.generate_uuid()
    made = database.write(
        lambda connection: operations.insert(
            connection,
            uuid,
            'remove_host',
            key,
            host,
            ASKED,
            {'disks': ['a', 'ü'], 'was': None},
            done=done,
        )
    )
    with database.reader() as connection:
        assert operations.get(connection, uuid) == made


@pytest.mark.every_database
def test_a_host_comes_with_what_is_open_for_it(
    database: engine.Database, key: int
) -> None:
    uuids = {state: insert(database, key, state=state) for state in STATES}
    insert(database, key, 'xen2')
    insert(database, key, None)
    insert(database, key + 1, 'xen1')
    with database.reader() as connection:
        host, found = operations.of_host(connection, key, 'xen1')
        assert host == hosts.get(connection, 'xen1')
        opened = [uuids[state] for state in operations.OPEN]
        assert [o.uuid for o in found] == opened
        assert found[0] == operations.get(connection, opened[0])
        host, found = operations.of_host(connection, key + 1, 'xen2')
        assert (host.name, found) == ('xen2', [])
        for name in ('XEN1', 'xen3'):
            with pytest.raises(exception.HostNotFound, match=name):
                operations.of_host(connection, key, name)


@pytest.mark.every_database
def test_a_reset_ends_what_stands_and_wakes_what_waits(
    database: engine.Database, key: int
) -> None:
    """In one statement, whose parts do not see one another's work."""
    wanted: dict[str, tuple[object, ...]] = {
        insert(database, key, state='unresolved', call=CALL, not_before=5): (
            'failed', True, None, None,
        ),
        insert(database, key, state='failed', call=CALL): (
            'failed', True, None, None,
        ),
        insert(database, key, state='failed', settled=True, not_before=6): (
            'failed', True, None, 6,
        ),
        insert(database, key, 'xen2', state='failed'): (
            'failed', False, None, None,
        ),
        insert(database, key, 'xen2', error=WAITING, not_before=7): (
            'queued', False, None, None,
        ),
        insert(
            database, key, 'xen2', state='running', call=CALL, error=WAITING,
            not_before=7,
        ): ('running', False, CALL, None),
        insert(database, key, 'xen2', error={'code': 'X'}, not_before=8): (
            'queued', False, None, 8,
        ),
        insert(database, key, 'xen2', state='failed', error=WAITING,
               not_before=9): ('failed', False, None, 9),
        insert(database, key + 1, 'xen1', state='failed'): (
            'failed', False, None, None,
        ),
    }  # fmt: skip
    database.write(lambda c: operations.reset(c, key, 'xen1'))
    table = models.operations
    with database.reader() as connection:
        found = {
            row.uuid: (row.state, row.settled, row.call, row.not_before)
            for row in connection.execute(table.select())
        }
    assert found == wanted


def test_failures_are_settled_however_many_they_are(
    database: engine.Database, key: int
) -> None:
    """A client that repeats what fails may have more than a statement takes.

    So no statement has a parameter for each.
    """
    for _ in range(30):
        uuid = insert(database, key, state='failed')
    lengths: list[int] = []

    def note(*executed: Any) -> None:
        lengths.append(len(executed[3]))

    sa.event.listen(database.engine, 'before_cursor_execute', note)
    database.write(lambda c: operations.settle_failed(c, aggregate_id=key))
    sa.event.remove(database.engine, 'before_cursor_execute', note)
    assert 0 < max(lengths) < 10
    with database.reader() as connection:
        assert operations.get(connection, uuid).settled
        assert operations.standing(connection, [key]) == []
