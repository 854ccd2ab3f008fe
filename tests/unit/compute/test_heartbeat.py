"""A compute service says that it works, while it does."""

import threading

import pytest
from oslo_db import exception as db_exc

from aggregates_ext.compute import heartbeat
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import services


def test_it_is_there_from_the_start_to_the_end(
    database: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    beaten = threading.Event()
    beat = heartbeat.Heartbeat.beat

    def note(self: heartbeat.Heartbeat) -> None:
        beat(self)
        beaten.set()

    monkeypatch.setattr(heartbeat.Heartbeat, 'beat', note)
    made = heartbeat.Heartbeat(database, 'u1', lambda: True)
    made.start()
    assert beaten.wait(60)
    (found,) = services.Services(database).get_all()
    assert found.alive
    monkeypatch.setattr(heartbeat, 'PATIENCE', 60.0)
    made.stop()
    assert services.Services(database).get_all() == []


def test_one_whose_loop_hangs_beats_no_more(
    database: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, 'INTERVAL', 0.001)
    monkeypatch.setattr(heartbeat, 'PATIENCE', 60.0)
    beats: list[int] = []
    monkeypatch.setattr(
        heartbeat.Heartbeat, 'beat', lambda self: beats.append(1)
    )
    asked = threading.Semaphore(0)

    def is_alive() -> bool:
        asked.release()
        return False

    made = heartbeat.Heartbeat(database, 'u1', is_alive)
    made.start()
    for _ in range(3):
        assert asked.acquire(timeout=60)
    made.stop()
    assert len(beats) == 1


def test_a_database_that_is_away_ends_nothing(
    database: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise db_exc.DBConnectionError

    monkeypatch.setattr(engine.Database, 'write', fail)
    heartbeat.Heartbeat(database, 'u1', lambda: True).beat()
