"""The guests of pools, as they are seen: what changed, and at what cost."""

import contextlib
import logging
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext.compute import lookout
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import events
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db.schema import models
from tests.functional import service

GUESTS = models.guests


def kept(running: service.Service) -> dict[str, Any]:
    """The guests in the database, by name."""
    with running.database.reader() as connection:
        rows = connection.execute(sa.select(GUESTS)).all()
    return {row.name: row for row in rows}


def sums(running: service.Service, key: int) -> dict[str, Any]:
    observation = running.aggregates.get(key).observation
    assert observation is not None
    return dict(observation['guests']['hosts'])


@pytest.fixture
def key(running: service.Service) -> int:
    found = running.create('xen1', 'xen2')
    running.sim.add_vm('xen1', 'web', memory=2 << 30, vcpus=2)
    running.sim.add_vm('xen2', 'db', memory=4 << 30, vcpus=4)
    running.sim.add_vm('xen2', 'off', power_state='Halted')
    running.watch(found, 0)
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each answer to event.from has."""
    found: list[int] = []
    honest = xenapi.Session.call

    def call(session: xenapi.Session, method: str, *params: Any) -> Any:
        answer = honest(session, method, *params)
        if method == events.CALL:
            found.append(len(answer['events']))
        return answer

    monkeypatch.setattr(xenapi.Session, 'call', call)
    return found


def test_guests_are_seen(running: service.Service, key: int) -> None:
    found = kept(running)
    assert set(found) == {'web', 'db', 'off'}
    web, off = found['web'], found['off']
    assert web.aggregate_id == key
    assert web.host_uuid == running.sim.host('xen1').uuid
    assert (web.power_state, web.vcpus) == ('Running', 2)
    assert (web.memory, web.operation) == (2 << 30, None)
    assert (off.power_state, off.host_uuid) == ('Halted', None)
    assert web.first_seen == web.changed_at > 0
    assert sums(running, key) == {
        running.sim.host('xen1').uuid: [1, 2],
        running.sim.host('xen2').uuid: [1, 4],
    }


def test_a_look_costs_what_has_changed(
    running: service.Service, key: int, asked: list[int]
) -> None:
    for number in range(50):
        running.sim.add_vm('xen1', f'guest{number}')
    running.watch(key, 60)
    before = kept(running)
    running.watch(key, 60)
    running.watch(key, 60)
    assert asked == [50, 0, 0]
    assert kept(running) == before
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.call('VM.get_by_uuid', before['guest7'].uuid)
        session.call('VM.set_name_label', ref, 'renamed')
    running.watch(key, 60)
    assert asked[3:] == [1]
    changed = kept(running)
    assert changed['renamed'].id == before['guest7'].id
    assert changed['renamed'].first_seen == before['guest7'].first_seen
    assert changed['renamed'].changed_at > before['guest7'].changed_at
    assert changed['web'] == before['web']


def test_guests_that_move_stop_and_go(
    running: service.Service, key: int
) -> None:
    with contextlib.closing(running.login('xen1')) as session:
        web, db, off = (
            session.call('VM.get_by_uuid', kept(running)[name].uuid)
            for name in ('web', 'db', 'off')
        )
        xen2 = session.call('host.get_by_uuid', running.sim.host('xen2').uuid)
        session.call('Async.VM.pool_migrate', web, xen2, {})
        running.watch(key, 2)
        assert kept(running)['web'].operation == 'pool_migrate'
        running.watch(key, 60)
        session.call('VM.hard_shutdown', db)
        session.call('VM.destroy', off)
        running.watch(key, 60)
    found = kept(running)
    assert set(found) == {'web', 'db'}
    assert found['web'].operation is None
    assert found['web'].host_uuid == running.sim.host('xen2').uuid
    assert (found['db'].power_state, found['db'].host_uuid) == ('Halted', None)
    assert sums(running, key) == {running.sim.host('xen2').uuid: [1, 2]}


def test_all_are_read_after_a_restart_of_the_master(
    running: service.Service, key: int, asked: list[int]
) -> None:
    before = kept(running)
    running.sim.restart_toolstack('xen1')
    running.watch(key, 60)
    assert len(asked) == 1
    assert asked[0] >= 3
    assert kept(running) == before


def test_a_guest_that_was_missed_is_noticed_by_number(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = events.read

    def forget(*args: Any) -> Any:
        found = honest(*args)
        return found._replace(gone=frozenset())

    with contextlib.closing(running.login('xen1')) as session:
        off = session.call('VM.get_by_uuid', kept(running)['off'].uuid)
        session.call('VM.destroy', off)
    monkeypatch.setattr(events, 'read', forget)
    running.watch(key, 60)
    assert set(kept(running)) == {'web', 'db'}


def test_a_look_that_fails_leaves_what_was_seen(
    running: service.Service, key: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = kept(running)
    first = running.aggregates.get(key).observation
    running.sim.plant('event.from', action='fail', times=0)
    running.sim.add_vm('xen1', 'later')
    with caplog.at_level(logging.WARNING):
        running.watch(key, 60)
    assert 'the guests of its pool are not seen' in caplog.text
    assert kept(running) == before
    second = running.aggregates.get(key).observation
    assert first is not None
    assert second is not None
    assert second['guests'] == first['guests']
    assert second['seen_at'] > first['seen_at']
    assert running.state(key) == 'active'
    running.sim.clear_faults()
    running.watch(key, 60)
    assert 'later' in kept(running)


ODD: dict[str, Any] = {
    'uuid': 'x' * 40,
    'is_a_template': 'false',
    'name_label': 5,
    'power_state': ['Running'],
    'resident_on': {},
    'memory_static_max': 'much',
    'VCPUs_at_startup': '9' * 30,
    'current_operations': 'none',
}
# Without these nobody knows what it is: what was seen of it stays.
NEEDED = ('uuid', 'is_a_template')


@pytest.mark.parametrize('field', ODD)
def test_one_odd_record_spoils_no_other(
    running: service.Service,
    key: int,
    field: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = xenapi.Session.call

    def call(session: xenapi.Session, method: str, *params: Any) -> Any:
        answer = honest(session, method, *params)
        if method == events.CALL:
            for event in answer['events']:
                if event['snapshot']['name_label'] == 'web':
                    event['snapshot'][field] = ODD[field]
        return answer

    before = kept(running)
    running.sim.restart_toolstack('xen1')
    monkeypatch.setattr(xenapi.Session, 'call', call)
    running.watch(key, 60)
    assert running.aggregates.get(key).drift == ()
    found = kept(running)
    assert {'db', 'off'} <= set(found)
    assert len(found) == 3
    if field in NEEDED:
        assert found == before


ANSWERS: list[Any] = [
    None,
    'text',
    {},
    {'events': 'none', 'token': 't', 'valid_ref_counts': {'vm': 1}},
    {'events': [], 'token': 5, 'valid_ref_counts': {'vm': 1}},
    {'events': [], 'token': 't', 'valid_ref_counts': []},
    {'events': [None, 'x', {}, {'class': 'vm', 'ref': 'a\n'}], 'token': 't'},
]


@pytest.mark.parametrize('answer', ANSWERS)
def test_an_answer_that_is_none_is_no_look(
    running: service.Service,
    key: int,
    answer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = kept(running)
    honest = xenapi.Session.call

    def call(session: xenapi.Session, method: str, *params: Any) -> Any:
        found = honest(session, method, *params)
        return answer if method == events.CALL else found

    monkeypatch.setattr(xenapi.Session, 'call', call)
    running.watch(key, 60)
    assert running.aggregates.get(key).drift == ()
    assert kept(running) == before


def test_what_a_guest_is_called_is_cleaned_and_bounded(
    running: service.Service, key: int
) -> None:
    running.sim.add_vm('xen1', 'bell\u202e ' + 'x' * 400)
    running.watch(key, 60)
    (name,) = (name for name in kept(running) if name.startswith('bell'))
    assert name.startswith('bell\\u202e')
    assert len(name) == 255


def test_guests_go_with_the_pool(running: service.Service, key: int) -> None:
    for name in ('web', 'db'):
        uuid = kept(running)[name].uuid
        with contextlib.closing(running.login('xen1')) as session:
            ref = session.call('VM.get_by_uuid', uuid)
            session.call('VM.hard_shutdown', ref)
    for host in ('xen2', 'xen1'):
        running.members.remove_host(running.ctx, key, host)
        running.work()
        assert running.operation(key).state == 'succeeded'
    look = lookout.Lookout(
        running.conf, running.database, connections.Connector(running.conf)
    )
    look.look()
    assert kept(running) == {}
