"""A call that changes a pool waits for a fresh lease, or is not sent."""

from collections.abc import Iterator

import pytest

from aggregates_ext import exception
from aggregates_ext.compute.run import lease
from aggregates_ext.db import aggregates
from aggregates_ext.db import leases
from aggregates_ext.db.engine import engine

TTL = 30.0


@pytest.fixture
def held(database: engine.Database) -> Iterator[lease.Held]:
    """A lease of this process, just taken."""
    with database.writer() as connection:
        key = aggregates.insert(connection, 'uuid', 'a', None).id
    with lease.Keeper(database, 'one', TTL).hold(key) as held:
        assert held is not None
        yield held


def take_over(database: engine.Database, held: lease.Held) -> None:
    """Let another service begin an epoch, as if the lease had run out."""

    def work(connection: object) -> None:
        leases.revoke(connection, held.aggregate_id)  # type: ignore[arg-type]
        leases.claim(connection, held.aggregate_id, 'two', TTL)  # type: ignore[arg-type]

    database.write(work)


def test_fresh_lease_lets_a_call_be_sent(held: lease.Held) -> None:
    before = held.renewed
    held.ensure_fresh()
    assert held.renewed == before


def test_old_renewal_is_renewed_first(held: lease.Held) -> None:
    held.renewed -= TTL / 2
    before = held.renewed
    held.ensure_fresh()
    assert held.renewed > before


def test_lease_of_another_lets_nothing_be_sent(
    held: lease.Held, database: engine.Database
) -> None:
    take_over(database, held)
    held.renewed -= TTL / 2
    with pytest.raises(exception.LeaseLost):
        held.ensure_fresh()


def test_lease_past_its_deadline_is_not_renewed(held: lease.Held) -> None:
    held.extend(-1)
    held.renewed -= TTL / 2
    with pytest.raises(exception.LeaseLost):
        held.ensure_fresh()


def test_held_aggregate_is_nobody_elses(
    held: lease.Held, database: engine.Database
) -> None:
    other = lease.Keeper(database, 'two', TTL)
    with other.hold(held.aggregate_id) as second:
        assert second is None
