"""What services ask all the time reads what is due, and not the fleet.

On each database. ``test_plans.py`` has much history; here are many pools.
"""

import datetime
from collections.abc import Callable
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from aggregates_ext.db import guests
from aggregates_ext.db import inventory
from aggregates_ext.db import leases
from aggregates_ext.db import sightings
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from tests import databases
from tests.functional.db import plans

POOLS, EACH, FREE = 4000, 2, 4000
# Of them: looked at long ago; without hosts; with a host on its way back.
DUE, EMPTY, RETURNING = 200, 10, 3
# Rows that a search may read: those that it finds, with what is looked up of
# each of them, and those that are nobody's to look at.
LIMIT = 400
SOME = 20
# That of no host.
UUID = '00000000-0000-5000-8000-000000000000'
OLD = datetime.datetime(2020, 1, 1)


@pytest.fixture(scope='module', params=databases.KINDS)
def fleet(
    request: pytest.FixtureRequest,
    servers: databases.Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[engine.Database]:
    """Many pools, each looked at a moment ago but for ``DUE`` of them."""
    directory = tmp_path_factory.mktemp('plans')
    with plans.filled(request.param, servers, directory, _fill) as made:
        yield made


def _fill(connection: sa.Connection) -> None:
    now = engine.read_clock(connection)
    connection.execute(
        sa.insert(models.aggregates),
        [
            {
                'id': key,
                'uuid': f'u{key}',
                'name': f'a{key}',
                'metadata': {},
                'created_at': OLD,
                'pool_uuid': None if key > POOLS else f'p{key}',
                'observation': {'hosts': ['x' * 2000]},
                # None is due for years of a run, but those that are.
                'observed_at': 1.0 if key <= DUE else now + 1e6,
            }
            for key in range(1, POOLS + EMPTY + 1)
        ],
    )
    connection.execute(
        sa.insert(models.hosts),
        [
            {
                'name': f'xen{number}',
                'uuid': f'x{number}',
                'hypervisor_uuid': f'h{number}',
                'service_uuid': f's{number}',
                'url': f'https://xen{number}',
                'credential': 'default',
                'phase': 'returning' if number < RETURNING else 'member',
                'aggregate_id': number // EACH + 1,
                'looked_at': 1.0,
                'created_at': OLD,
            }
            for number in range(POOLS * EACH)
        ],
    )
    connection.execute(
        sa.insert(models.hosts),
        [
            {
                'name': f'free{number}',
                'hypervisor_uuid': f'f{number}',
                'service_uuid': f'e{number}',
                'url': f'https://free{number}',
                'credential': 'default',
                'phase': 'free',
                'looked_at': 1.0 if number < DUE else now + 1e6,
                'created_at': OLD,
            }
            for number in range(FREE)
        ],
    )
    connection.execute(
        sa.insert(models.guests),
        [
            {
                'aggregate_id': number + 1,
                'ref': f'r{number}',
                'uuid': f'g{number}',
                'name': f'guest{number}',
                'power_state': 'Running',
                'memory': 1,
                'vcpus': 1,
                'first_seen': 1.0,
                'changed_at': 1.0,
            }
            for number in range(POOLS)
        ],
    )


def read(
    database: engine.Database, question: Callable[[sa.Connection], object]
) -> float:
    """How many rows a question reads."""
    with database.engine.connect() as connection:
        costs = plans.measure(connection, question)
    return sum(cost.rows for cost in costs)


QUESTIONS: dict[str, Callable[[sa.Connection], object]] = {
    'pools, none due': lambda c: leases.candidates(c, 2e9, SOME),
    'pools, some due': lambda c: leases.candidates(c, 1e8, SOME),
    'free hosts, none due': lambda c: sightings.due(c, 2e9, SOME),
    'free hosts, some due': lambda c: sightings.due(c, 1e8, SOME),
    'guests without a pool': guests.orphaned,
    'a hypervisor': lambda c: inventory.registered(c, 'hypervisor', UUID),
    'a service': lambda c: inventory.registered(c, 'service', UUID),
    'a page of hosts': lambda c: list(inventory.page(c, 5, 'xen2')),
}


@pytest.mark.parametrize('name', QUESTIONS)
def test_a_search_reads_what_is_due(fleet: engine.Database, name: str) -> None:
    assert read(fleet, QUESTIONS[name]) < LIMIT


@pytest.mark.parametrize('interval', [1e8, 1e5])
def test_a_backlog_is_read_in_parts(
    fleet: engine.Database, interval: float
) -> None:
    """Also one of all, as a clock leaves it that was set back."""

    def search(connection: sa.Connection) -> None:
        assert len(leases.candidates(connection, interval, SOME)) == SOME
        assert len(sightings.due(connection, interval, SOME)) == SOME

    assert read(fleet, search) < 2 * LIMIT


def test_the_oldest_are_found_and_no_empty_ones(
    fleet: engine.Database,
) -> None:
    with fleet.reader() as connection:
        found = leases.candidates(connection, 1e8, POOLS)
        free = sightings.due(connection, 1e8, FREE)
        all_of_them = leases.candidates(connection, 1e5, 2 * POOLS)
    assert sorted(found) == list(range(1, DUE + 1))
    assert {host.name for host in free} == {f'free{n}' for n in range(DUE)}
    assert sorted(all_of_them) == list(range(1, POOLS + 1))
