"""SQLite is set up as design#databases says, and its clock is the truth."""

import os
import threading
import time

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import exception as db_exc

from aggregates_ext import conf as options
from aggregates_ext import exception
from aggregates_ext.db import hosts
from aggregates_ext.db.engine import engine


def test_sqlite_has_wal_foreign_keys_and_patience(
    database: engine.Database,
) -> None:
    with database.reader() as connection:
        assert pragma(connection, 'journal_mode') == 'wal'
        assert pragma(connection, 'foreign_keys') == 1
        assert pragma(connection, 'busy_timeout') == 15_000
        # FULL: what is committed survives a power failure.
        assert pragma(connection, 'synchronous') == 2


def pragma(connection: sa.Connection, name: str) -> object:
    return connection.exec_driver_sql(f'PRAGMA {name}').scalar()


def test_sqlite_is_not_opened_for_each_transaction(
    database: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is after a fork: SQLite's connections survive none."""
    with database.reader() as connection:
        first = connection.connection.dbapi_connection
    with database.writer() as connection:
        assert connection.connection.dbapi_connection is first
    monkeypatch.setattr(os, 'getpid', lambda: 0)
    with database.reader() as connection:
        assert connection.connection.dbapi_connection is not first


def test_writer_keeps_other_writers_out_from_its_beginning(
    database: engine.Database, conf: cfg.ConfigOpts
) -> None:
    entered = threading.Event()

    def second() -> None:
        with database.writer():
            entered.set()

    with database.writer():
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
    thread.join(timeout=10)
    assert entered.is_set()


def test_failed_writer_leaves_nothing(database: engine.Database) -> None:
    def work(connection: sa.Connection) -> None:
        hosts.insert(
            connection,
            {'name': 'x', 'url': 'https://x', 'credential': 'default'},
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(work)
    with database.reader() as connection:
        assert hosts.get_all(connection) == []


def test_clock_of_the_database_is_in_seconds_of_the_epoch(
    database: engine.Database,
) -> None:
    with database.reader() as connection:
        assert abs(engine.read_clock(connection) - time.time()) < 5


def test_write_is_repeated_after_a_deadlock(
    database: engine.Database,
) -> None:
    runs = []

    def work(connection: sa.Connection) -> int:
        runs.append(connection)
        if len(runs) == 1:
            raise db_exc.DBDeadlock
        return 7

    assert database.write(work) == 7
    assert len(runs) == 2


def test_connection_lost_before_the_commit_has_written_nothing(
    database: engine.Database,
) -> None:
    def work(connection: sa.Connection) -> None:
        raise db_exc.DBConnectionError

    with pytest.raises(exception.Unavailable, match='nothing is written'):
        database.write(work)


def test_no_connection_configured_says_what_to_set() -> None:
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    with pytest.raises(exception.Unavailable, match='connection'):
        engine.Database(conf).engine.connect()


def test_reading_without_a_database_is_unavailable(
    database: engine.Database,
) -> None:
    with (
        pytest.raises(exception.Unavailable, match='reached'),
        database.reader(),
    ):
        raise db_exc.DBConnectionError
