"""SQLite's file is closed to others, whatever the umask."""

import os
import pathlib
import stat
from collections.abc import Iterator

import pytest

from aggregates_ext.db.engine import connections
from aggregates_ext.db.engine import engine
from tests import databases


@pytest.fixture(params=[0o022, 0o000, 0o077, 0o007])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def use(path: pathlib.Path) -> None:
    """Write something, and look at the journals while it is open."""
    database = engine.Database(databases.configure(f'sqlite:///{path}'))
    raw = database.engine.raw_connection()
    raw.cursor().execute('PRAGMA journal_mode = WAL')
    raw.close()
    with database.writer() as connection:
        connection.exec_driver_sql('CREATE TABLE x (y INTEGER)')
        modes = {mode(file) for file in path.parent.iterdir()}
    assert len(list(path.parent.iterdir())) == 3
    database.dispose()
    assert modes == {mode(path)}


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_file_and_journals_are_for_the_owner(
    tmp_path: pathlib.Path, umask: int
) -> None:
    use(tmp_path / 'a.sqlite')
    assert mode(tmp_path / 'a.sqlite') == 0o600


def test_group_shares_them_where_the_directory_hands_it_on(
    tmp_path: pathlib.Path, umask: int
) -> None:
    tmp_path.chmod(0o2770)
    use(tmp_path / 'a.sqlite')
    assert mode(tmp_path / 'a.sqlite') == 0o660


def test_file_that_is_there_is_left_as_it_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'a.sqlite'
    path.touch()
    path.chmod(0o640)
    use(path)
    assert mode(path) == 0o640


def test_database_in_memory_makes_no_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (None, '', ':memory:', 'file:a?mode=memory&uri=true'):
        connections.make_private(name)
    assert list(tmp_path.iterdir()) == []
