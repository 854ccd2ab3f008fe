"""Each way in which a pool can differ, made by hand; nothing is repaired."""

import logging
from collections.abc import Callable

import pytest

from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import records
from tests.functional import byhand
from tests.functional import service

Make = Callable[..., service.Service]


def only(running: service.Service, key: int) -> records.Drift:
    """The one difference of a pool, looked at now."""
    running.watch(key, 0)
    (entry,) = running.aggregates.get(key).drift
    assert running.state(key) == 'error'
    return entry


def set_host(running: service.Service, name: str, **values: object) -> None:
    with running.database.writer() as connection:
        db_hosts.update(connection, name, values)


def test_registered_host_joined_by_hand(running: service.Service) -> None:
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    entry = only(running, key)
    assert (entry.code, entry.host) == ('HOST_JOINED', 'xen2')
    assert '"adopt" makes it a member, "reapply" ejects it' in entry.message
    assert running.hosts.get('xen2').phase == 'free'
    assert len(running.pool_of('xen1')['hosts']) == 2


def test_unregistered_host_joined_by_hand(running: service.Service) -> None:
    key = running.create('xen1')
    byhand.join(running, 'xen2', 'xen1')
    running.hosts.remove('xen2')
    entry = only(running, key)
    assert entry.code == 'HOST_UNKNOWN'
    assert entry.uuid == running.sim.host('xen2').uuid
    assert 'host add xen2 --url https://10.0.0.12' in entry.message


def test_host_of_another_aggregate_in_the_pool(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.create('xen2', name='other')
    byhand.join(running, 'xen2', 'xen1')
    entry = only(running, key)
    assert (entry.code, entry.host) == ('HOST_OF_OTHER', 'xen2')


def test_member_ejected_by_hand(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    byhand.eject(running, 'xen2', 'xen1')
    running.watch(key, 0)
    found = {e.code: e for e in running.aggregates.get(key).drift}
    assert found.keys() == {'MEMBER_MISSING', 'MEMBER_ELSEWHERE'}
    assert found['MEMBER_MISSING'].host == 'xen2'
    assert running.hosts.get('xen2').phase == 'member'


def test_member_that_is_left_without_a_pool(
    running: service.Service,
) -> None:
    """The last host in the pool has gone, and the pool with it."""
    key = running.create('xen1', 'xen2')
    byhand.eject(running, 'xen2', 'xen1')
    running.members.remove_host(running.ctx, key, 'xen1')
    running.work()
    assert running.aggregates.get(key).pool_uuid is None
    assert running.aggregates.get(key).hosts == ('xen2',)
    assert byhand.codes(running, key) == ['MEMBER_MISSING']
    assert running.state(key) == 'error'
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    running.watch(key, 600)
    assert running.hosts.get('xen2').phase == 'free'
    assert running.state(key) == 'created'


def test_dead_member(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.power_off('xen2')
    running.clock.advance(byhand.WHILE)
    entry = only(running, key)
    assert (entry.code, entry.host) == ('MEMBER_DEAD', 'xen2')
    running.sim.power_on('xen2')
    running.clock.advance(byhand.WHILE)
    assert byhand.codes(running, key) == []


def test_disabled_member_is_shown_and_no_drift(
    running: service.Service,
) -> None:
    """Maintenance by hand is normal."""
    key = running.create('xen1', 'xen2')
    running.sim.set_host('xen2', enabled=False)
    assert byhand.codes(running, key) == []
    seen = running.aggregates.get(key).observation
    assert seen is not None
    assert [h['enabled'] for h in seen['hosts']].count(False) == 1


def test_host_promoted_by_hand(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    assert running.aggregates.get(key).master_uuid == (
        running.sim.host('xen1').uuid
    )
    byhand.designate(running, 'xen2', 'xen1')
    entry = only(running, key)
    assert entry.code == 'MASTER_CHANGED'
    for name in ('xen1', 'xen2'):
        assert running.sim.host(name).uuid in entry.message
    for way in ('"adopt"', '"reapply"', '"set_master"'):
        assert way in entry.message
    assert running.pool_of('xen1')['master'] == 'xen2'


def test_first_look_keeps_who_is_the_master(running: service.Service) -> None:
    key = running.create('xen1')
    with running.database.writer() as connection:
        connection.exec_driver_sql('UPDATE aggregates SET master_uuid = NULL')
    assert byhand.codes(running, key) == []
    assert running.aggregates.get(key).master_uuid == (
        running.sim.host('xen1').uuid
    )


def test_foreign_mark(running: service.Service) -> None:
    key = running.create('xen1')
    byhand.set_mark(running, 'xen1', 'theirs')
    assert only(running, key).code == 'FOREIGN_MARK'


def test_pool_with_another_uuid(running: service.Service) -> None:
    """Its master was installed anew, or leads another pool for any reason."""
    key = running.create('xen1')
    running.sim.set_pool('xen1', uuid='00000000-0000-0000-0000-00000000beef')
    entry = only(running, key)
    assert entry.code == 'POOL_REPLACED'
    assert '00000000-0000-0000-0000-00000000beef' in entry.message


def test_what_was_seen_stays_when_the_master_is_lost(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    before = running.aggregates.get(key).observation
    running.sim.power_off('xen1')
    assert byhand.codes(running, key) == ['NO_MASTER']
    assert running.aggregates.get(key).observation == before


def test_url_of_a_member_leads_to_the_master(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    set_host(running, 'xen2', url=f'{running.sim.host("xen1").url}/')
    running.watch(key, 0)
    entry, double = running.aggregates.get(key).drift
    assert (double.code, double.host) == ('SAME_HOST', 'xen2')
    assert (entry.code, entry.host) == ('WRONG_ADDRESS', 'xen2')
    assert f'xen1 ({running.sim.host("xen1").uuid})' in entry.message


def test_url_of_a_member_leads_to_a_stand_alone_host(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    set_host(running, 'xen2', url=running.sim.host('xen3').url)
    entry = only(running, key)
    assert (entry.code, entry.host) == ('WRONG_ADDRESS', 'xen2')
    assert running.sim.host('xen3').uuid in entry.message


def test_url_of_a_member_leads_to_a_slave_of_another_pool(
    make_service: Make,
) -> None:
    names = ('xen1', 'xen2', 'xen3', 'xen4')
    running = make_service({'hosts': [{'name': name} for name in names]})
    key = running.create('xen1', 'xen2')
    running.create('xen3', 'xen4', name='other')
    set_host(running, 'xen2', url=running.sim.host('xen4').url)
    entry = only(running, key)
    assert (entry.code, entry.host) == ('MEMBER_ELSEWHERE', 'xen2')
    assert 'slave of 10.0.0.13' in entry.message


def test_two_members_with_one_url(running: service.Service) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    set_host(running, 'xen3', url=running.sim.host('xen2').url)
    entry = only(running, key)
    assert (entry.code, entry.host) == ('SAME_HOST', 'xen3')
    assert 'xen2' in entry.message


def test_new_drift_is_logged_once_and_keeps_its_time(
    running: service.Service, caplog: pytest.LogCaptureFixture
) -> None:
    key = running.create('xen1')
    running.sim.set_pool('xen1', name_label='by hand')
    with caplog.at_level(logging.WARNING):
        first = only(running, key)
        second = only(running, key)
    lines = [r for r in caplog.records if 'by hand' in r.getMessage()]
    assert len(lines) == 1
    assert first.since is not None
    assert first.since == second.since


def test_members_are_asked_in_turn(make_service: Make) -> None:
    """A quiet pool costs two logins, however many hosts it has."""
    names = [f'xen{number}' for number in range(1, 6)]
    running = make_service({'hosts': [{'name': name} for name in names]})
    key = running.create(*names)
    for _ in range(3):
        running.watch(key, 60)
    login = 'session.login_with_password'
    asked = []
    for _ in range(4):
        before = len(running.sim.calls)
        running.watch(key, 60)
        calls = running.sim.calls[before:]
        assert len(calls) == 7
        asked += [
            c.host for c in calls if c.method == login and c.host != 'xen1'
        ]
    assert sorted(asked) == names[1:]
