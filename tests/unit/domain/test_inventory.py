"""What is said of a host, by what is known of it."""

import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import sightings
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.domain import inventory
from aggregates_ext.domain import sight

UUID = '7e2f3a52-0c6e-4a41-9d0a-1d1c5b1f4e90'


def register(
    database: engine.Database,
    phase: str = 'free',
    zone: str | None = None,
    aggregate_zone: str | None = None,
    observation: dict[str, Any] | None = None,
    observed: bool = False,
    missed: float = 0.0,
) -> None:
    """One host, xen1, in an aggregate unless it is free.

    :param missed: for so many seconds looks have not shown its pool.
    """
    with database.writer() as connection:
        db_hosts.insert(
            connection,
            {
                'name': 'xen1',
                'url': 'https://10.0.0.11',
                'credential': 'default',
                'availability_zone': zone,
            },
        )
        if phase == 'free':
            return
        key = db_aggregates.insert(connection, UUID, 'a', aggregate_zone).id
        connection.execute(
            sa.update(models.hosts).values(
                uuid=UUID, aggregate_id=key, phase=phase
            )
        )
        if observed:
            now = engine.read_clock(connection)
            if observation is not None:
                observation = {'seen_at': now - missed, **observation}
            db_pools.set_observation(connection, key, observation, [], now)


def seen(uuid: str = UUID, **values: Any) -> dict[str, Any]:
    host = {'uuid': uuid, 'enabled': True, 'live': True, **values}
    return {'name_label': 'a', 'master': uuid, 'hosts': [host]}


def node(database: engine.Database) -> inventory.Node:
    (found,) = inventory.Inventory(database).get_all()
    return found


def test_a_free_host_has_nothing_against_it(
    database: engine.Database,
) -> None:
    register(database)
    found = node(database)
    assert (found.up, found.enabled, found.seen_at) == (True, True, None)
    assert (found.zone, found.address) == ('nova', '10.0.0.11')


@pytest.mark.parametrize(
    ('phase', 'observed', 'observation', 'up', 'enabled'),
    [
        ('joining', False, None, True, True),
        ('joining', True, seen('other'), True, True),
        ('member', False, None, True, True),
        ('member', True, seen(), True, True),
        ('member', True, seen(enabled=False), True, False),
        ('member', True, seen(live=False), False, True),
        # Not in the pool; the pool not to be seen, and only just joined.
        ('member', True, seen('other'), False, True),
        ('member', True, None, True, True),
        ('leaving', True, seen(), True, True),
        ('leaving', True, seen(enabled=False), True, False),
        ('returning', True, seen(), False, True),
    ],
)
def test_state_is_what_was_seen(
    database: engine.Database,
    phase: str,
    observed: bool,
    observation: dict[str, Any] | None,
    up: bool,
    enabled: bool,
) -> None:
    register(database, phase, observation=observation, observed=observed)
    found = node(database)
    assert (found.up, found.enabled) == (up, enabled)
    told = phase in ('member', 'leaving') and observation is not None
    assert (found.seen_at is not None) == (told and UUID in str(observation))


@pytest.mark.parametrize(
    ('service', 'reason', 'enabled', 'told'),
    [
        (None, None, True, None),
        ('enabled', 'of before', True, None),
        ('enabled', 'of before', False, 'Disabled in its pool.'),
        ('disabled', 'fans', False, 'fans'),
        ('disabled', None, False, None),
        ('disabled', 'fans', True, f'fans ({inventory.NOT_DISABLED})'),
        ('disabled', None, True, 'Its pool has it enabled, as last seen.'),
    ],
)
def test_reason_tells_what_is_not_as_it_is_to_be(
    database: engine.Database,
    service: str | None,
    reason: str | None,
    enabled: bool,
    told: str | None,
) -> None:
    register(
        database, 'member', observation=seen(enabled=enabled), observed=True
    )
    with database.writer() as connection:
        connection.execute(
            sa.update(models.hosts).values(
                service=service, disabled_reason=reason
            )
        )
    found = node(database)
    assert found.enabled is (enabled and service != 'disabled')
    assert found.disabled_reason == told
    registered = inventory.Inventory(database).find_service(found.service_uuid)
    assert registered is not None
    assert registered.name == 'xen1'
    assert inventory.Inventory(database).find_service(UUID) is None


@pytest.mark.parametrize('phase', ['free', 'joining', 'member', 'leaving'])
def test_what_nobody_has_seen_is_down_after_a_while(
    database: engine.Database, phase: str
) -> None:
    register(database, phase)
    assert node(database).up
    with database.writer() as connection:
        connection.execute(
            sa.update(models.hosts).values(
                phase_since=models.hosts.c.phase_since - 200
            )
        )
    assert not node(database).up
    assert node(database).seen_at is None


@pytest.mark.parametrize(('missed', 'up'), [(100.0, True), (200.0, False)])
@pytest.mark.parametrize('phase', ['member', 'leaving'])
def test_what_a_look_did_not_show_is_down_after_a_while(
    database: engine.Database, phase: str, missed: float, up: bool
) -> None:
    """And has the time at which it was seen."""
    register(database, phase, observation=seen(), observed=True, missed=missed)
    found = node(database)
    assert (found.up, found.enabled) == (up, True)
    with database.reader() as connection:
        now = engine.read_clock(connection)
    assert found.seen_at is not None
    at = found.seen_at.replace(tzinfo=datetime.timezone.utc).timestamp()
    assert now - at >= missed


def test_a_free_host_that_was_seen_is_up(database: engine.Database) -> None:
    register(database)
    with database.writer() as connection:
        (host,) = db_hosts.get_all(connection)
        connection.execute(
            sa.update(models.hosts).values(
                phase_since=models.hosts.c.phase_since - 200
            )
        )
        sightings.note(connection, host)
    found = node(database)
    assert found.up
    assert found.seen_at is not None


def test_it_is_told_when_a_member_was_seen(database: engine.Database) -> None:
    register(database, 'member', observation=seen(), observed=True)
    with database.reader() as connection:
        now = engine.read_clock(connection)
    at = node(database).seen_at
    assert at is not None
    passed = now - at.replace(tzinfo=datetime.timezone.utc).timestamp()
    assert 0 <= passed < 3600


@pytest.mark.parametrize(
    ('version', 'number'),
    [
        ('8.3.0', 8003000),
        ('8.2', 8002),
        ('', 0),
        ('next', 0),
        ('8.x', 0),
        ('8..1', 0),
    ],
)
def test_version_is_a_number_where_it_can_be(
    database: engine.Database, version: str, number: int
) -> None:
    register(
        database, 'member', observation=seen(version=version), observed=True
    )
    assert node(database).version == number


@pytest.mark.parametrize(
    ('own', 'aggregate', 'zone'),
    [
        (None, None, 'nova'),
        ('az1', None, 'az1'),
        (None, 'az2', 'az2'),
        ('az1', 'az1', 'az1'),
    ],
)
def test_zone_is_that_of_the_aggregate_or_its_own(
    database: engine.Database,
    own: str | None,
    aggregate: str | None,
    zone: str,
) -> None:
    register(database, 'member', own, aggregate)
    assert node(database).zone == zone


def test_ids_stay_and_are_those_of_this_registration(
    database: engine.Database,
) -> None:
    register(database)
    first = node(database)
    assert node(database) == first
    assert first.hypervisor_uuid != first.service_uuid
    with database.writer() as connection:
        db_hosts.delete(connection, 'xen1')
    register(database)
    second = node(database)
    assert second.id != first.id
    ids = {first.hypervisor_uuid, first.service_uuid}
    assert not ids & {second.hypervisor_uuid, second.service_uuid}


def test_one_host_is_found_as_it_is_in_the_list(
    database: engine.Database,
) -> None:
    register(database, 'member', 'z', 'az', seen(), observed=True)
    hosts = inventory.Inventory(database)
    one = node(database)
    assert hosts.get_all() == [one]
    assert hosts.named(['xen1', 'xen2']) == {'xen1': one}
    assert hosts.find('xen1') == one
    assert hosts.find_registration(str(one.id)) == one
    assert hosts.find_hypervisor(one.hypervisor_uuid) == one


@pytest.mark.every_database
def test_what_no_host_can_be_is_not_found(database: engine.Database) -> None:
    register(database)
    hosts = inventory.Inventory(database)
    for name in ('', 'XEN1', 'xen1 ', 'xen1\0', 'x' * 5000, '\U0001f43c'):
        assert hosts.find(name) is None
    for number in ('0', '01', '-1', '1.0', '\u0661', '2147483648', 'x'):
        assert hosts.find_registration(number) is None
    uuid = node(database).hypervisor_uuid
    for wanted in (UUID, uuid.upper(), f'{uuid} ', f'{uuid}\0', 'x' * 5000):
        assert hosts.find_hypervisor(wanted) is None
        assert hosts.find_service(wanted) is None
    assert hosts.find_service(uuid) is None


@pytest.mark.every_database
def test_what_a_former_release_has_registered_is_found(
    database: engine.Database,
) -> None:
    """By the next registration it has what it is found by."""
    register(database)
    first = node(database)
    unwritten = {'hypervisor_uuid': None, 'service_uuid': None}
    with database.writer() as connection:
        connection.execute(sa.update(models.hosts).values(**unwritten))
    hosts = inventory.Inventory(database)
    assert hosts.find_hypervisor(first.hypervisor_uuid) == first
    assert hosts.find_service(first.service_uuid) is not None
    assert hosts.find_service(UUID) is None
    other = {'name': 'xen2', 'url': 'https://y', 'credential': 'default'}
    with database.writer() as connection:
        db_hosts.insert(connection, other)
        table = models.hosts
        rows = connection.execute(
            sa.select(table.c.hypervisor_uuid, table.c.service_uuid)
        ).all()
    told = [
        (each.hypervisor_uuid, each.service_uuid) for each in hosts.get_all()
    ]
    assert sorted(map(tuple, rows)) == sorted(told)


@pytest.mark.every_database
def test_pages_are_the_list_in_parts(database: engine.Database) -> None:
    names = [f'xen{number}' for number in (3, 1, 2)]
    with database.writer() as connection:
        for name in names:
            host = {'name': name, 'url': 'https://x', 'credential': 'default'}
            db_hosts.insert(connection, host)
    hosts = inventory.Inventory(database)
    every = hosts.get_all()
    assert [node.name for node in every] == sorted(names)
    assert hosts.page(None, None) == every
    assert hosts.page(2, None) == every[:2]
    assert hosts.page(2, 'xen2') == every[2:]
    assert hosts.page(2, 'xen3') == []


def test_a_pool_is_looked_through_once_for_all_its_hosts(
    database: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(database, 'member', 'z', 'az', seen(), observed=True)
    with database.writer() as connection:
        for name in ('xen2', 'xen3'):
            host = {'name': name, 'url': 'https://x', 'credential': 'default'}
            db_hosts.insert(connection, host)
            db_hosts.bind(connection, name, 1, 'member')
    looked = []
    of = sight.Sight.of
    monkeypatch.setattr(
        sight.Sight, 'of', lambda *seen: looked.append(seen) or of(*seen)
    )
    assert len(inventory.Inventory(database).get_all()) == 3
    assert len(looked) == 1
