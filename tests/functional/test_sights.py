"""What is shown of hosts that are not seen any more, or never were."""

import types
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import overview
from aggregates_ext.compute import lookout
from aggregates_ext.compute.xen import connections
from aggregates_ext.db.schema import models
from aggregates_ext.domain import inventory
from tests.functional import service

CTX: Any = types.SimpleNamespace(can=lambda rule: None)
# More than a host counts as up for.
LONG = 200.0


def show(running: service.Service, key: int) -> dict[str, dict[str, Any]]:
    """The hosts that GET …/pool shows, by name."""
    domain: Any = types.SimpleNamespace(overview=running.overview)
    shown = overview.pool(CTX, domain, shapes.Legacy(), str(key))
    return {host['name']: host for host in shown['pool']['hosts']}


def nodes(running: service.Service) -> dict[str, inventory.Node]:
    found = inventory.Inventory(running.database).get_all()
    return {node.name: node for node in found}


def look_out(running: service.Service) -> None:
    """Let a compute service look at the free hosts that are due."""
    connector = connections.Connector(running.conf).patient()
    lookout.Lookout(running.conf, running.database, connector).look()


def age(running: service.Service, table: sa.Table, *columns: str) -> None:
    """Let times of the database be longer ago."""
    with running.database.writer() as connection:
        connection.execute(
            sa.update(table).values(
                {name: table.c[name] - LONG for name in columns}
            )
        )


def test_a_pool_whose_master_is_dead_is_not_known_and_then_down(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    before = nodes(running)['xen2'].seen_at
    assert before is not None
    running.sim.power_off('xen1')
    running.watch(key, 60)
    running.watch(key, 60)
    for host in show(running, key).values():
        assert (host['live'], host['enabled']) == (None, None)
        assert host['drift'] == ['NO_MASTER']
        assert host['seen_at'] == str(before)
    found = nodes(running)
    assert {found[name].seen_at for name in ('xen1', 'xen2')} == {before}
    assert found['xen2'].up
    aggregate = running.aggregates.get(key)
    seen = dict(aggregate.observation or {})
    seen['seen_at'] -= LONG
    with running.database.writer() as connection:
        connection.execute(
            sa.update(models.aggregates).values(observation=seen)
        )
    running.watch(key, 60)
    found = nodes(running)
    assert not found['xen1'].up
    assert not found['xen2'].up
    running.sim.power_on('xen1')
    running.watch(key, 600)
    assert nodes(running)['xen1'].up
    assert show(running, key)['xen1']['live'] is True


def test_a_host_just_ejected_is_not_live(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    with pytest.MonkeyPatch.context() as blind:
        # Between its end and the next look.
        blind.setattr(running.manager, '_observe', lambda held: None)
        running.work()
    found = show(running, key)['xen2']
    assert found['phase'] == 'returning'
    assert found['live'] is None


def test_a_free_host_is_up_as_long_as_it_answers(
    running: service.Service,
) -> None:
    look_out(running)
    # They are new, and wait for their first look.
    assert nodes(running)['xen1'].seen_at is None
    age(running, models.hosts, 'phase_since')
    assert not nodes(running)['xen1'].up
    look_out(running)
    seen = nodes(running)
    assert [seen[name].up for name in ('xen1', 'xen2')] == [True, True]
    assert seen['xen1'].seen_at is not None
    running.sim.power_off('xen1')
    age(running, models.hosts, 'looked_at', 'seen_at')
    look_out(running)
    found = nodes(running)
    assert (found['xen1'].up, found['xen2'].up) == (False, True)


def test_a_free_host_is_looked_at_by_one_service_in_its_time(
    running: service.Service,
) -> None:
    age(running, models.hosts, 'phase_since')
    for _ in range(3):
        look_out(running)
    logins = running.arrivals('session.login_with_password')
    assert len(logins) == len(nodes(running))


def test_a_host_that_refuses_us_answers(running: service.Service) -> None:
    """It is there, whatever it says; the log has what."""
    age(running, models.hosts, 'phase_since')
    running.conf.set_override('password', 'wrong', 'xenserver:a')
    look_out(running)
    assert nodes(running)['xen1'].up


def test_a_pool_is_shown_as_soon_as_it_is_there(
    running: service.Service,
) -> None:
    """Though other operations come before the next look."""
    with pytest.MonkeyPatch.context() as blind:
        blind.setattr(running.manager, '_observe', lambda held: None)
        key = running.create('xen1')
        domain: Any = types.SimpleNamespace(overview=running.overview)
        pool = overview.pool(CTX, domain, shapes.Legacy(), str(key))['pool']
        assert (pool['name_label'], pool['master']) == ('pool', 'xen1')
        running.members.add_host(running.ctx, key, 'xen2')
        running.work()
        assert show(running, key)['xen2']['live'] is True
        running.aggregates.update(running.ctx, key, {'name': 'new'})
        running.work()
        pool = overview.pool(CTX, domain, shapes.Legacy(), str(key))['pool']
        assert pool['name_label'] == 'new'


def test_more_hosts_than_in_a_round_are_asked_without_a_pause(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(running, models.hosts, 'phase_since')
    monkeypatch.setattr(lookout, 'ROUND', len(nodes(running)) - 1)
    pauses: list[float] = []

    def wait(pause: float) -> bool:
        pauses.append(pause)
        return len(pauses) == 3

    connector = connections.Connector(running.conf).patient()
    out = lookout.Lookout(running.conf, running.database, connector)
    out._stopping = types.SimpleNamespace(  # type: ignore[assignment]
        wait=wait, is_set=lambda: False
    )
    out._serve()
    assert pauses == [lookout.PAUSE, 0, lookout.PAUSE]
