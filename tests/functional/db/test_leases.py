"""Leases: one holder at a time, and nothing written by a former one."""

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.db import aggregates
from aggregates_ext.db import leases
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

pytestmark = pytest.mark.every_database


@pytest.fixture
def key(database: engine.Database) -> int:
    with database.writer() as connection:
        return aggregates.insert(connection, 'uuid', 'a', None).id


def claim(database: engine.Database, key: int, owner: str, ttl: float = 30):
    return database.write(lambda c: leases.claim(c, key, owner, ttl))


def test_second_claim_is_refused_while_the_first_lives(
    database: engine.Database, key: int
) -> None:
    assert claim(database, key, 'one') is not None
    assert claim(database, key, 'two') is None


def test_expired_lease_goes_to_the_next_with_a_new_epoch(
    database: engine.Database, key: int
) -> None:
    first = claim(database, key, 'one', ttl=-1)
    second = claim(database, key, 'two')
    assert second.epoch == first.epoch + 1


def test_former_holder_writes_nothing(
    database: engine.Database, key: int
) -> None:
    first = claim(database, key, 'one', ttl=-1)
    claim(database, key, 'two')

    def work(connection: sa.Connection) -> None:
        leases.fence(connection, first)
        aggregates.update(connection, key, {'name': 'stolen'})

    with pytest.raises(exception.LeaseLost):
        database.write(work)
    with database.reader() as connection:
        assert aggregates.get(connection, key).name == 'a'


def test_renewal_does_not_bring_back_a_lease_that_is_anothers(
    database: engine.Database, key: int
) -> None:
    first = claim(database, key, 'one', ttl=-1)
    claim(database, key, 'two')
    still = database.write(lambda c: leases.renew(c, [first], 'one', 30))
    assert still == set()
    assert claim(database, key, 'three') is None


def test_renewal_is_one_update_for_all(
    database: engine.Database, key: int
) -> None:
    lease = claim(database, key, 'one', ttl=-1)
    assert database.write(lambda c: leases.renew(c, [lease], 'one', 30)) == {
        key
    }
    assert claim(database, key, 'two') is None


def test_released_lease_is_free_and_release_is_only_the_holders(
    database: engine.Database, key: int
) -> None:
    first = claim(database, key, 'one', ttl=-1)
    second = claim(database, key, 'two')
    database.write(lambda c: leases.release(c, first))
    assert claim(database, key, 'three') is None
    database.write(lambda c: leases.release(c, second))
    assert claim(database, key, 'three') is not None


def test_idle_aggregates_want_no_work(
    database: engine.Database, key: int
) -> None:
    with database.reader() as connection:
        assert leases.candidates(connection, 60, 10) == []
        assert connection.scalar(sa.select(models.aggregates.c.id)) == key
