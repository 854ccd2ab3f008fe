"""Hosts that answer what no host should: what is shown, and what goes on."""

import logging
from collections.abc import Callable
from collections.abc import Iterator

import pytest
from oslo_db import exception as db_exc

from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import leases
from aggregates_ext.db import pools
from tests.functional import liar
from tests.functional import service

Make = Callable[..., service.Service]
ODD = failures.OddAnswer.code
# What a look at a pool reads.
LOOKED_AT = ('pool', 'host', 'host_metrics')


@pytest.fixture
def lies(monkeypatch: pytest.MonkeyPatch) -> liar.Liars:
    return liar.Liars(monkeypatch)


@pytest.fixture
def running(make_service: Make) -> service.Service:
    """A service on four plain hosts."""
    names = ('xen1', 'xen2', 'xen3', 'xen4')
    made = make_service({'hosts': [{'name': name} for name in names]})
    made.conf.set_override('retry_interval', 0.01, 'compute')
    made.conf.set_override('join_timeout', 300, 'compute')
    return made


@pytest.fixture(autouse=True)
def _no_bug(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a host answers, it is no bug of ours."""
    caplog.set_level(logging.WARNING)
    yield
    bugs = [r.getMessage() for r in caplog.records if r.exc_info]
    assert bugs == []


def seen(running: service.Service, key: int) -> dict[str, object]:
    """The hosts as last seen, by uuid."""
    observation = running.aggregates.get(key).observation
    assert observation is not None
    return {host['uuid']: host for host in observation['hosts']}


def uuids(running: service.Service, *names: str) -> list[str]:
    return [running.sim.host(name).uuid for name in names]


def test_an_odd_member_is_unknown_and_the_others_are_shown(
    running: service.Service, lies: liar.Liars
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    right = seen(running, key)
    (odd,) = uuids(running, 'xen2')
    others = uuids(running, 'xen1', 'xen3')
    for lie in liar.all_lies('host'):
        lies.lies['xen1'] = lie, [odd]
        running.watch(key, 0)
        found = seen(running, key)
        assert [found[uuid] for uuid in others] == [
            right[uuid] for uuid in others
        ], lie
        aggregate = running.aggregates.get(key)
        told = [entry for entry in aggregate.drift if entry.code == ODD]
        assert {e.code for e in aggregate.drift} <= {ODD}, lie
        if lie.field in ('uuid', 'address', 'enabled', 'name_label'):
            assert lie.field in ' '.join(e.message for e in told) or told, lie
    lies.lies.clear()
    running.watch(key, 0)
    assert seen(running, key) == right
    assert running.aggregates.get(key).drift == ()


def test_an_odd_pool_or_master_is_told_and_what_was_seen_stays(
    running: service.Service, lies: liar.Liars
) -> None:
    key = running.create('xen1', 'xen2')
    other = running.create('xen3', name='other')
    right = running.aggregates.get(key).observation
    assert right is not None
    first = uuids(running, 'xen1')
    for lie in liar.all_lies(*LOOKED_AT):
        lies.lies['xen1'] = lie, first if lie.class_ == 'host' else None
        running.watch(key, 0)
        aggregate = running.aggregates.get(key)
        assert aggregate.observation is not None
        assert {e.code for e in aggregate.drift} <= {ODD}, (
            lie,
            aggregate.drift,
        )
        if lie.class_ == 'pool' and lie.field in ('uuid', 'master'):
            assert aggregate.drift, lie
            assert aggregate.observation['hosts'] == right['hosts'], lie
            assert aggregate.observation['seen_at'] < aggregate.observed_at
        running.watch(other, 0)
        assert running.aggregates.get(other).drift == ()


@pytest.mark.parametrize('count', [0, 2])
def test_no_or_two_pools_are_an_ordinary_failure(
    running: service.Service,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    key = running.create('xen1', 'xen2')
    honest = xenapi.Session.call

    def call(session: xenapi.Session, method: str, *params: str) -> object:
        answer = honest(session, method, *params)
        if method != 'pool.get_all_records':
            return answer
        (record,) = answer.values()
        return {f'OpaqueRef:{number}': record for number in range(count)}

    monkeypatch.setattr(xenapi.Session, 'call', call)
    running.watch(key, 0)
    (entry, *_rest) = running.aggregates.get(key).drift
    assert entry.code == ODD
    assert f'there are {count} records of pool' in entry.message
    assert running.aggregates.get(key).observation is not None


def test_operations_end_with_words_whatever_is_answered(
    running: service.Service, lies: liar.Liars
) -> None:
    """The host that lies is the joiner, then the master."""
    running.sim.add_vm('xen3', 'web', power_state='Halted')
    key = running.create('xen1', 'xen2')
    other = running.create('xen4', name='other')
    for who, lie in (
        ('xen3', liar.Lie('pool', 'master', None)),
        ('xen3', liar.Lie('host', 'uuid', liar.GONE)),
        ('xen3', liar.Lie('VM', 'power_state', 5)),
        ('xen1', liar.Lie('host', 'address', liar.GONE)),
        ('xen1', liar.Lie('host', 'uuid', None)),
        ('xen1', liar.Lie('pool', 'other_config', 'abc')),
        ('xen1', liar.Lie('pool', 'ha_enabled', 'false')),
    ):
        lies.lies = {who: (lie, None)}
        running.members.add_host(running.ctx, key, 'xen3')
        assert running.settle(key) == 'failed', lie
        error = running.error(key)
        assert error['code'] in (ODD, 'TIMEOUT'), lie
        assert len(error['message']) < 20000
        running.pools.reapply(running.ctx, other)
        lies.lies = {}
        running.settle(other)
        assert running.operation(other).state == 'succeeded'
        assert running.hosts.get('xen3').phase == 'free', lie


def test_an_eject_ends_with_words_whatever_the_master_answers(
    running: service.Service, lies: liar.Liars
) -> None:
    key = running.create('xen1', 'xen2', 'xen3')
    for lie in (
        liar.Lie('host', 'uuid', None),
        liar.Lie('VM', 'resident_on', 5),
        liar.Lie('PBD', 'host', None),
        liar.Lie('SR', 'shared', 'no'),
        liar.Lie('pool', 'current_operations', None),
    ):
        lies.lies = {'xen1': (lie, None)}
        running.members.remove_host(running.ctx, key, 'xen2')
        assert running.settle(key) == 'failed', lie
        assert 'xen2' in [
            member['name'] for member in running.pool_of('xen1')['hosts']
        ]
        assert running.error(key)['message'], lie
    lies.lies = {
        'xen1': (liar.Lie('host', 'uuid', None), uuids(running, 'xen3'))
    }
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed', 'it could not be seen to be gone'
    assert 'cannot be told apart' in running.error(key)['message']
    assert len(running.arrivals('Async.pool.eject')) == 0


def test_a_look_that_the_database_refuses_is_dated_and_shown(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = running.create('xen1', 'xen2')
    before = running.aggregates.get(key)
    running.clock.advance(600)

    def refuse(*_arguments: object) -> None:
        raise db_exc.DBDataError(ValueError('value too long'))

    with monkeypatch.context() as refusing:
        refusing.setattr(pools, 'set_observation', refuse)
        running.manager.work_on(key)
    after = running.aggregates.get(key)
    (entry,) = after.drift
    assert entry.code == 'NOT_OBSERVED'
    assert 'The database refused' in entry.message
    assert after.observation == before.observation
    assert (after.observed_at or 0) > (before.observed_at or 0)
    with running.database.reader() as connection:
        assert leases.candidates(connection, 60, 10) == []


def test_texts_of_hosts_fit_into_the_database(
    running: service.Service, lies: liar.Liars
) -> None:
    key = running.create('xen1', 'xen2')
    for lie in (
        liar.Lie('host', 'name_label', 'x' * 60000),
        liar.Lie('host', 'name_label', 'a\x00b\ud800'),
        liar.Lie('host', 'other_config', {'agent_start_time': 'NaN'}),
        liar.Lie('host', 'other_config', {'agent_start_time': '1' * 300}),
        liar.Lie('host', 'software_version', {'product_version': 'y' * 9999}),
    ):
        lies.lies = {'xen1': (lie, None)}
        running.watch(key, 0)
        aggregate = running.aggregates.get(key)
        assert 'NOT_OBSERVED' not in [e.code for e in aggregate.drift], lie
        assert len(str(aggregate.observation)) < 5000
