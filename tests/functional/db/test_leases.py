"""Leases: one holder at a time, and nothing written by a former one."""

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.db import aggregates
from aggregates_ext.db import leases
from aggregates_ext.db import records
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


def is_fenced_off(database: engine.Database, lease: records.Lease) -> bool:
    try:
        database.write(lambda c: leases.fence(c, lease))
    except exception.LeaseLost:
        return True
    return False


def test_what_is_done_is_done_to_one_aggregate(
    database: engine.Database, key: int
) -> None:
    """Also where one holds two, in the same epoch."""
    with database.writer() as connection:
        other = aggregates.insert(connection, 'uuid2', 'b', None).id
    first, second = claim(database, key, 'one'), claim(database, other, 'one')
    assert first.epoch == second.epoch
    database.write(lambda c: leases.release(c, first))
    assert is_fenced_off(database, first)
    assert not is_fenced_off(database, second)
    assert claim(database, other, 'two') is None
    assert claim(database, key, 'one').aggregate_id == key
    assert database.write(lambda c: leases.revoke(c, key))
    assert not is_fenced_off(database, second)
    assert claim(database, other, 'two') is None


def test_renewal_is_of_what_is_named(
    database: engine.Database, key: int
) -> None:
    with database.writer() as connection:
        other = aggregates.insert(connection, 'uuid2', 'b', None).id
    first = claim(database, key, 'one', ttl=-1)
    claim(database, other, 'one', ttl=-1)
    database.write(lambda c: leases.renew(c, [first], 'one', 30))
    assert claim(database, other, 'two', ttl=-1) is not None
    third = claim(database, other, 'two')
    assert third.epoch > other
    assert database.write(lambda c: leases.renew(c, [third], 'two', 30)) == {
        other
    }
    assert database.write(lambda c: leases.renew(c, [], 'one', 30)) == set()
    assert database.write(lambda c: leases.renew(c, [first], 'two', 30)) == (
        set()
    )


def test_lease_of_an_earlier_epoch_is_not_renewed(
    database: engine.Database, key: int
) -> None:
    first = claim(database, key, 'one', ttl=-1)
    claim(database, key, 'one')
    assert database.write(lambda c: leases.renew(c, [first], 'one', 30)) == (
        set()
    )
    assert is_fenced_off(database, first)
    database.write(lambda c: leases.release(c, first))
    assert claim(database, key, 'two') is None


def test_revoked_lease_is_free_and_never_good_again(
    database: engine.Database, key: int
) -> None:
    first = claim(database, key, 'one')
    with database.reader() as connection:
        stamp = aggregates.get(connection, key).stamp
    assert database.write(lambda c: leases.revoke(c, key))
    with database.reader() as connection:
        assert aggregates.get(connection, key).stamp != stamp
    assert is_fenced_off(database, first)
    assert claim(database, key, 'one') is not None
    assert is_fenced_off(database, first)
    assert not database.write(lambda c: leases.revoke(c, key + 1))


def test_lost_lease_names_its_aggregate(
    database: engine.Database, key: int
) -> None:
    first = claim(database, key, 'one', ttl=-1)
    claim(database, key, 'two')
    with pytest.raises(exception.LeaseLost, match=str(key)):
        database.write(lambda c: leases.fence(c, first))


def test_idle_aggregates_want_no_work(
    database: engine.Database, key: int
) -> None:
    with database.reader() as connection:
        assert leases.candidates(connection, 60, 10) == []
        assert connection.scalar(sa.select(models.aggregates.c.id)) == key
