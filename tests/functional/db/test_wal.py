"""How SQLite's file gets the mode in which nobody waits for readers."""

import concurrent.futures
import pathlib
import time

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.db.schema import migration


@pytest.fixture
def place(tmp_path: pathlib.Path) -> str:
    return f'sqlite:///{tmp_path / "file"}'


def test_who_is_refused_without_any_wait_asks_again(place: str) -> None:
    """As SQLite refuses whoever reads already and wants the mode."""
    holder, other = (
        sa.create_engine(place, connect_args={'timeout': 60}) for _ in range(2)
    )
    with (
        concurrent.futures.ThreadPoolExecutor(1) as threads,
        holder.connect() as connection,
    ):
        connection.exec_driver_sql('BEGIN IMMEDIATE')
        asked = threads.submit(migration.use_wal, other)
        time.sleep(0.5)
        assert not asked.done()
        connection.exec_driver_sql('COMMIT')
        asked.result(60)
    with other.connect() as connection:
        mode = connection.exec_driver_sql('PRAGMA journal_mode').scalar()
    assert mode == 'wal'


def test_a_file_that_stays_locked_is_told(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, 'WAL_LIMIT', 0.0)
    holder, other = (
        sa.create_engine(place, connect_args={'timeout': 0}) for _ in range(2)
    )
    with holder.connect() as connection:
        connection.exec_driver_sql('BEGIN EXCLUSIVE')
        with pytest.raises(exception.Unavailable, match='is locked'):
            migration.use_wal(other)
    migration.use_wal(other)
