"""A question costs its one round trip, and a broken wire one more try."""

import os
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import questions
from tests import counting
from tests import wire


def count(database: engine.Database) -> int:
    [(found, _total)] = database.ask(stamps.OF_ALL)
    return int(found)


def test_broken_connection_is_found_by_its_use(
    wired: engine.Database, cut_wire: wire.Wire
) -> None:
    """It is asked once again, on a new one; nobody is told."""
    assert count(wired) == 0
    assert count(wired) == 0
    cut_wire.cut_all()
    with pytest.raises(exception.Unavailable, match='cannot be reached'):
        count(wired)
    cut_wire.mend()
    assert count(wired) == 0
    with counting.counting_statements() as statements:
        assert count(wired) == 0
    assert len(statements) == 1


def test_connection_that_broke_meanwhile_is_replaced(
    wired: engine.Database, cut_wire: wire.Wire
) -> None:
    assert count(wired) == 0
    cut_wire.cut_all()
    cut_wire.mend()
    assert count(wired) == 0


@pytest.mark.every_database
def test_question_takes_one_statement_of_its_own(
    database: engine.Database,
) -> None:
    """Without BEGIN, and not by what a transaction holds open."""
    assert count(database) == 0
    with counting.counting_statements() as statements:
        assert count(database) == 0
    [text] = statements
    assert text.startswith('SELECT count(*)')


@pytest.mark.every_database
def test_child_of_a_fork_has_connections_of_its_own(
    database: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by the number of the process, which is another here."""
    used = []
    execute = questions.Questions._execute

    def note(self: Any, connection: Any, *rest: Any) -> Any:
        used.append(connection)
        return execute(self, connection, *rest)

    monkeypatch.setattr(questions.Questions, '_execute', note)
    for _ in range(3):
        assert count(database) == 0
    parent = os.getpid()
    monkeypatch.setattr(os, 'getpid', lambda: parent + 1)
    for _ in range(3):
        assert count(database) == 0
    first, second, third, fourth = used
    assert first is second
    assert third is fourth
    assert third is not first


@pytest.mark.every_database
def test_no_more_connections_wait_than_the_limit(
    database: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that a rush has made at once, the others are closed."""
    asking = questions.Questions(database.engine, 1)
    execute = questions.Questions._execute
    assert asking.ask(stamps.OF_ALL)

    def meanwhile(self: Any, connection: Any, *rest: Any) -> Any:
        monkeypatch.setattr(questions.Questions, '_execute', execute)
        assert self.ask(stamps.OF_ALL)
        return execute(self, connection, *rest)

    monkeypatch.setattr(questions.Questions, '_execute', meanwhile)
    assert asking.ask(stamps.OF_ALL)
    assert len(asking._idle) == 1
    assert asking.ask(stamps.OF_ALL)
    asking.dispose()
