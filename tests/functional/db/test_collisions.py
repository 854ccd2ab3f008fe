"""Two transactions at once: one wins, and each knows what it has done."""

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.db import aggregates
from aggregates_ext.db import hosts
from aggregates_ext.db import leases
from aggregates_ext.db import operations
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from tests import databases

CROWD = 6
GALERA = 'Deadlock: wsrep aborted transaction'
TABLE = models.aggregates
HOST = {'url': 'https://x', 'credential': 'default'}
# Seconds; what MariaDB tells of transactions is as old as what it told last,
# until nobody has asked for a tenth of one.
UNREAD = 0.3
# How many transactions wait for a lock.
WAITING = {
    'mysql': 'SELECT COUNT(*) FROM information_schema.innodb_trx '
    "WHERE trx_state = 'LOCK WAIT'",
    'postgresql': 'SELECT COUNT(*) FROM pg_stat_activity '
    "WHERE wait_event_type = 'Lock'",
}


def create(database: engine.Database, name: str) -> int:
    """Create an aggregate; the answer: its id."""
    uuid = uuidutils.generate_uuid()
    return database.write(lambda c: aggregates.insert(c, uuid, name, None).id)


def register(database: engine.Database, *names: str) -> None:
    """Register hosts."""
    for name in names:
        values = {'name': name, **HOST}
        database.write(lambda c, v=values: hosts.insert(c, v))


def at_once(actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each action returns or raises, all begun at the same moment."""
    barrier = threading.Barrier(len(actions))
    results: list[Any] = [None] * len(actions)

    def run(number: int, action: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[number] = action()
        except Exception as exc:
            results[number] = exc

    threads = [
        threading.Thread(target=run, args=pair) for pair in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def check_one_won(results: list[Any], refusal: type[Exception]) -> None:
    """All but one got their refusal, and nothing else happened."""
    refused = [r for r in results if isinstance(r, refusal)]
    assert len(refused) == len(results) - 1, results


@pytest.mark.every_database
def test_one_of_many_creations_of_a_name_wins(
    database: engine.Database,
) -> None:
    results = at_once([lambda: create(database, 'pool')] * CROWD)
    check_one_won(results, exception.AggregateNameExists)


@pytest.mark.every_database
def test_one_of_many_renames_to_a_name_wins(
    database: engine.Database,
) -> None:
    def rename(connection: sa.Connection, key: int) -> None:
        aggregates.lock(connection, key)
        aggregates.update(connection, key, {'name': 'taken'})

    keys = [create(database, f'pool{number}') for number in range(CROWD)]
    results = at_once(
        [lambda k=key: database.write(lambda c: rename(c, k)) for key in keys]
    )
    check_one_won(results, exception.AggregateNameExists)


@pytest.mark.every_database
def test_one_of_many_registrations_of_a_host_wins(
    database: engine.Database,
) -> None:
    results = at_once([lambda: register(database, 'xen1')] * CROWD)
    check_one_won(results, exception.HostExists)


@pytest.mark.every_database
def test_one_of_two_hosts_has_a_uuid(database: engine.Database) -> None:
    names = [f'xen{number}' for number in range(CROWD)]
    register(database, *names)
    results = at_once(
        [
            lambda n=name: database.write(
                lambda c: hosts.update(c, n, {'uuid': 'the-same'})
            )
            for name in names
        ]
    )
    check_one_won(results, exception.Conflict)


@pytest.mark.every_database
def test_a_host_goes_to_one_of_many_aggregates(
    database: engine.Database,
) -> None:
    """Also while its aggregate's row is locked, as each request does."""
    keys = [create(database, f'pool{number}') for number in range(CROWD)]
    register(database, 'xen1')

    def bind(connection: sa.Connection, key: int) -> str:
        aggregates.lock(connection, key)
        # What was read before the wait must not be believed after it.
        hosts.get(connection, 'xen1')
        if hosts.bind(connection, 'xen1', key):
            return 'bound'
        other = hosts.get(connection, 'xen1').aggregate_id
        assert other in keys
        return 'refused'

    results = at_once(
        [lambda k=key: database.write(lambda c: bind(c, k)) for key in keys]
    )
    assert sorted(results) == ['bound', *['refused'] * (CROWD - 1)]


@pytest.mark.every_database
def test_one_of_many_services_gets_a_lease(database: engine.Database) -> None:
    key = create(database, 'pool')
    results = at_once(
        [
            lambda o=f'service{number}': database.write(
                lambda c: leases.claim(c, key, o, 30)
            )
            for number in range(CROWD)
        ]
    )
    (lease,) = [result for result in results if result is not None]
    assert not isinstance(lease, Exception)
    assert lease.epoch == 1


@pytest.mark.every_database
def test_rows_that_a_change_found_count_even_unchanged(
    database: engine.Database,
) -> None:
    """MySQL counts what it changed, unless it is asked what it found."""
    key = create(database, 'pool')
    register(database, 'xen1')

    def work(connection: sa.Connection) -> list[int]:
        hosts.bind(connection, 'xen1', key)
        same = sa.update(models.hosts).where(models.hosts.c.name == 'xen1')
        return [
            connection.execute(same.values(phase='joining')).rowcount
            for _ in range(2)
        ]

    assert database.write(work) == [1, 1]


@pytest.mark.every_database
def test_list_is_of_one_moment(
    database: engine.Database, conf: cfg.ConfigOpts
) -> None:
    """What is committed between its statements is not half in it."""
    key = create(database, 'pool')
    register(database, 'xen1')
    other = engine.Database(conf)
    with database.reader() as connection:
        assert connection.scalar(sa.select(sa.func.count(TABLE.c.id))) == 1
        other.write(lambda c: hosts.bind(c, 'xen1', key))
        (seen,) = aggregates.get_all(connection)
    assert seen.bound == 0
    with database.reader() as connection:
        assert aggregates.get(connection, key).bound == 1
    other.dispose()


def test_who_holds_an_aggregate_writes_its_row(
    database: engine.Database,
) -> None:
    """Else nothing excludes two of them on two nodes of a Galera cluster.

    All these tests are watched for that, see ``tests/locks.py``.
    """
    key = create(database, 'pool')
    register(database, 'xen1')

    def change(connection: sa.Connection) -> None:
        aggregates.lock(connection, key)
        hosts.update(connection, 'xen1', {'address': '10.0.0.1'})

    def mark(connection: sa.Connection) -> None:
        change(connection)
        aggregates.mark(connection, key)

    database.write(mark)
    with pytest.raises(AssertionError, match='call aggregates.mark'):
        database.write(change)


@pytest.mark.parametrize('kind', databases.SERVERS)
class TestServers:
    """What SQLite, with one writer at a time, cannot come to."""

    @pytest.fixture
    def database(
        self, kind: str, servers: databases.Servers
    ) -> Iterator[engine.Database]:
        database = engine.Database(
            databases.configure(servers.get(kind).new())
        )
        with database.engine.begin() as connection:
            models.METADATA.create_all(connection)
        yield database
        database.dispose()

    def test_writer_reads_what_it_has_waited_for(
        self, database: engine.Database
    ) -> None:
        """Not the state of the moment when its transaction began."""
        key = create(database, 'before')
        read, changed = threading.Event(), threading.Event()
        names = []

        def work(connection: sa.Connection) -> None:
            names.append(aggregates.get(connection, key).name)
            read.set()
            assert changed.wait(30)
            row = aggregates.lock(connection, key)
            names.append(row.name)
            names.append(aggregates.get(connection, key).name)

        thread = threading.Thread(target=lambda: database.write(work))
        thread.start()
        assert read.wait(30)
        database.write(lambda c: aggregates.update(c, key, {'name': 'after'}))
        changed.set()
        thread.join()
        assert names == ['before', 'after', 'after']

    def wait_until_one_waits(self, database: engine.Database) -> None:
        """Until a transaction waits for the lock of another."""
        waiting = sa.text(WAITING[database.engine.dialect.name])
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with database.reader() as connection:
                if connection.scalar(waiting):
                    return
            time.sleep(UNREAD)
        raise AssertionError('nobody waits')

    def test_what_belongs_to_a_held_aggregate_is_that_of_now(
        self, database: engine.Database
    ) -> None:
        """Not of when its row began to be waited for."""
        key = create(database, 'one')
        register(database, 'xen1')
        began = threading.Event()
        found = []

        def hold(connection: sa.Connection) -> None:
            began.set()
            found.append(aggregates.hold(connection, key))

        thread = threading.Thread(target=lambda: database.write(hold))
        with database.writer() as connection:
            aggregates.lock(connection, key)
            thread.start()
            assert began.wait(30)
            self.wait_until_one_waits(database)
            hosts.bind(connection, 'xen1', key)
            aggregates.update(connection, key, {'name': 'other'})
        thread.join()
        assert [(one.name, one.hosts) for one in found] == [
            ('other', ('xen1',))
        ]

    def test_to_hold_an_aggregate_waits_for_none_of_its_hosts(
        self, database: engine.Database
    ) -> None:
        """They are read with it, and not locked."""
        key = create(database, 'one')
        register(database, 'xen1')
        database.write(lambda c: hosts.bind(c, 'xen1', key))
        with database.writer() as connection:
            hosts.update(connection, 'xen1', {'alarm': 'changes'})
            held = database.write(lambda c: aggregates.hold(c, key))
        assert held.hosts == ('xen1',)

    def test_deadlock_is_repeated_and_both_succeed(
        self, database: engine.Database
    ) -> None:
        keys = [create(database, name) for name in ('a', 'b')]
        barrier = threading.Barrier(2)
        runs = []

        def work(connection: sa.Connection, first: int, then: int) -> None:
            runs.append(first)
            aggregates.update(connection, first, {'availability_zone': 'z'})
            if len(runs) <= 2:
                barrier.wait(30)
            zone = {'availability_zone': f'by {first}'}
            aggregates.update(connection, then, zone)

        results = at_once(
            [
                lambda: database.write(lambda c: work(c, *keys)),
                lambda: database.write(lambda c: work(c, *reversed(keys))),
            ]
        )
        assert results == [None, None]
        assert len(runs) == 3

    def test_collision_in_the_commit_is_repeated(
        self, database: engine.Database, kind: str
    ) -> None:
        """As Galera's certification refuses a transaction.

        PostgreSQL's level SERIALIZABLE does so; of a single MariaDB only the
        error is known, so it is planted.
        """
        keys = [create(database, name) for name in ('a', 'b')]
        barrier = threading.Barrier(2)
        runs = []

        def work(connection: sa.Connection, mine: int, other: int) -> None:
            runs.append(mine)
            if kind == 'postgresql':
                connection.exec_driver_sql(
                    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'
                )
            zone = aggregates.get(connection, other).availability_zone
            value = {'availability_zone': f'{zone}+'}
            aggregates.update(connection, mine, value)
            if len(runs) <= 2:
                barrier.wait(30)

        if kind == 'mariadb':
            refuse_one_commit(database)
        results = at_once(
            [
                lambda: database.write(lambda c: work(c, *keys)),
                lambda: database.write(lambda c: work(c, *reversed(keys))),
            ]
        )
        assert results == [None, None]
        assert len(runs) == 3

    def test_row_that_stays_locked_is_told(
        self, database: engine.Database, kind: str
    ) -> None:
        key = create(database, 'pool')
        runs = []

        def work(connection: sa.Connection) -> None:
            runs.append(connection)
            connection.exec_driver_sql(
                'SET innodb_lock_wait_timeout = 1'
                if kind == 'mariadb'
                else "SET lock_timeout = '100ms'"
            )
            aggregates.lock(connection, key)

        with database.writer() as connection:
            aggregates.lock(connection, key)
            with pytest.raises(
                exception.Unavailable, match=r'[Nn]othing is written'
            ):
                database.write(work)
        assert len(runs) == 1

    def test_neighbours_are_not_in_each_others_way(
        self, database: engine.Database
    ) -> None:
        """Work on one aggregate locks nothing of the next one."""
        keys = [create(database, name) for name in ('a', 'b')]

        def insert(connection: sa.Connection, key: int) -> None:
            uuid = uuidutils.generate_uuid()
            operations.insert(connection, uuid, 'rename', key, None, {})

        with database.writer() as one:
            operations.reset(one, keys[0], 'xen1')
            database.write(lambda c: insert(c, keys[1]))
            with database.reader() as connection:
                assert len(operations.get_all(connection, keys[1])) == 1


def refuse_one_commit(database: engine.Database) -> None:
    """Let one COMMIT fail as a node of Galera says it."""
    driver: Any = database.engine.dialect.loaded_dbapi
    refused = driver.OperationalError(1213, GALERA)
    planted, lock = [refused], threading.Lock()

    def do_commit(connection: Any) -> None:
        with lock:
            refusal = planted.pop() if planted else None
        if refusal is not None:
            connection.rollback()
            raise refusal
        connection.commit()

    database.engine.dialect.do_commit = do_commit  # type: ignore[method-assign]
