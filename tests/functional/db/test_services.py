"""Heartbeats: who is alive by the clock of the database."""

import pytest
import sqlalchemy as sa

from aggregates_ext.db import services as db_services
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.domain import services

pytestmark = pytest.mark.every_database


def beat(database: engine.Database, uuid: str, host: str = 'ctl1') -> None:
    database.write(lambda c: db_services.beat(c, uuid, host, 30.0))


def passes(database: engine.Database, seconds: float) -> None:
    """Let heartbeats be older."""
    table = models.services
    with database.writer() as connection:
        connection.execute(
            sa.update(table).values(
                seen_at=table.c.seen_at - seconds,
                alive_until=table.c.alive_until - seconds,
            )
        )


def states(database: engine.Database) -> list[tuple[str, bool]]:
    found = services.Services(database).get_all()
    return [(beat.service.uuid, beat.alive) for beat in found]


def last_seen(database: engine.Database) -> tuple[bool, float | None]:
    with database.reader() as connection:
        return db_services.last_seen(connection)


def test_one_that_beats_is_alive_and_no_longer(
    database: engine.Database,
) -> None:
    assert last_seen(database) == (False, None)
    beat(database, 'u1')
    alive, age = last_seen(database)
    assert alive
    assert age is not None
    assert age < 30
    passes(database, 45)
    alive, age = last_seen(database)
    assert not alive
    assert age is not None
    assert age >= 45
    assert states(database) == [('u1', False)]
    beat(database, 'u1')
    assert states(database) == [('u1', True)]


def test_any_of_them_is_enough(database: engine.Database) -> None:
    beat(database, 'u1')
    passes(database, 45)
    beat(database, 'u2', 'ctl2')
    assert last_seen(database)[0]
    assert states(database) == [('u1', False), ('u2', True)]
    told = services.Services(database).describe()
    assert told == '1 compute service(s) alive, on ctl2.'


def test_the_next_on_its_machine_takes_the_place_of_a_dead_one(
    database: engine.Database,
) -> None:
    beat(database, 'u1')
    beat(database, 'u2')
    beat(database, 'u3', 'ctl3')
    passes(database, 45)
    beat(database, 'u4')
    assert states(database) == [('u4', True), ('u3', False)]
    passes(database, db_services.KEPT + 45)
    beat(database, 'u5', 'ctl5')
    assert states(database) == [('u5', True)]


def test_one_that_has_ended_is_not_told(database: engine.Database) -> None:
    beat(database, 'u1')
    database.write(lambda c: db_services.delete(c, 'u1'))
    assert states(database) == []
    told = services.Services(database).describe()
    assert told.startswith('No compute service runs')
