"""The hosts of an aggregate as one list: all of it comes about, or nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.api.edge import wire
from aggregates_ext.db import records
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain.membership import declared
from tests.functional import service
from tests.functional import test_migrations
from tests.functional import test_rolling_api

FIVE = {'hosts': [{'name': f'xen{number}'} for number in range(1, 6)]}


@pytest.fixture
def five(make_service: Any) -> service.Service:
    """A service on five hosts."""
    made: service.Service = make_service(FIVE)
    made.conf.set_override('watch_interval', service.SELDOM, 'compute')
    return made


def put(
    running: service.Service, key: int, *hosts: str, **more: Any
) -> declared.Declared:
    return running.membership.set_hosts(running.ctx, key, hosts, **more)


def changes(found: declared.Declared) -> dict[str, str]:
    return {entry.found.name: entry.change for entry in found.entries}


def whole(
    running: service.Service, found: declared.Declared
) -> records.Operation:
    """The operation that ends with all of a list."""
    assert found.operation is not None
    return running.operations.get(found.operation)


def test_a_list_founds_changes_and_dissolves_a_pool(
    five: service.Service,
) -> None:
    key = five.aggregates.create('pool', None).id
    founded = put(five, key, 'xen2', 'xen1', 'xen3')
    assert changes(founded) == dict.fromkeys(('xen2', 'xen1', 'xen3'), 'add')
    assert five.state(key) == 'changing'
    five.settle(key)
    assert five.aggregates.get(key).hosts == ('xen1', 'xen2', 'xen3')
    # The first one of the list has founded it.
    assert five.pool_of('xen1')['master'] == 'xen2'
    assert whole(five, founded).state == 'succeeded'
    # All in one: the master and a slave leave, two others join.
    changed = put(five, key, 'xen5', 'xen3', 'xen4')
    assert changes(changed) == {
        'xen5': 'add',
        'xen3': 'none',
        'xen4': 'add',
        'xen1': 'remove',
        # The master is the last one that leaves.
        'xen2': 'remove',
    }
    assert set(five.aggregates.get(key).hosts) == {'xen3', 'xen4', 'xen5'}
    five.settle(key)
    assert whole(five, changed).state == 'succeeded'
    assert five.pool_of('xen3')['name_label'] == 'pool'
    assert len(five.pool_of('xen3')['hosts']) == 3
    assert len(five.pool_of('xen1')['hosts']) == 1
    # It changes once, to a host that stays.
    assert len(five.arrivals('pool.designate_new_master')) == 1
    gone = put(five, key)
    five.settle(key)
    assert whole(five, gone).state == 'succeeded'
    assert five.aggregates.get(key).hosts == ()


def test_what_is_so_or_asked_for_is_not_asked_again(
    five: service.Service,
) -> None:
    key = five.create('xen1', 'xen2')
    before = len(five.operations.get_all(key))
    same = put(five, key, 'xen2', 'xen1')
    assert (same.operation, changes(same)) == (
        None,
        {'xen2': 'none', 'xen1': 'none'},
    )
    assert len(five.operations.get_all(key)) == before
    first = put(five, key, 'xen1', 'xen2', 'xen3')
    asked = five.operations.get_all(key)
    # Its answer was lost: the operation to follow is the same.
    again = put(five, key, 'xen3', 'xen2', 'xen1')
    assert again.operation == first.operation
    assert five.operations.get_all(key) == asked
    five.settle(key)
    assert five.aggregates.get(key).hosts == ('xen1', 'xen2', 'xen3')


def test_each_host_has_an_operation_of_its_own(five: service.Service) -> None:
    key = five.create('xen1', 'xen2')
    found = put(five, key, 'xen1', 'xen3')
    parts = five.operations.parts_of(whole(five, found))
    assert [(part.kind, part.host) for part in parts] == [
        ('add_host', 'xen3'),
        ('remove_host', 'xen2'),
    ]
    assert {part.parameters['part_of'] for part in parts} == {found.operation}
    assert [e.operation for e in found.entries] == [
        None,
        parts[0].uuid,
        parts[1].uuid,
    ]


def test_one_host_that_cannot_join_fails_the_whole_and_no_other(
    five: service.Service,
) -> None:
    key = five.create('xen1')
    five.sim.plant(
        host='xen2', action='fail', step='S2', code='LICENCE_RESTRICTION'
    )
    found = put(five, key, 'xen1', 'xen2', 'xen3')
    five.settle(key)
    assert five.aggregates.get(key).hosts == ('xen1', 'xen3')
    ended = whole(five, found)
    assert (ended.state, ended.settled) == ('failed', True)
    error = ended.error or {}
    assert (error['code'], error['parameters']) == ('HOSTS_FAILED', ['xen2'])
    assert 'Of 2 hosts 1 did not change' in error['message']
    assert 'LICENCE_RESTRICTION' in error['message']
    # What failed of it counts, and ends as ever.
    assert five.state(key) == 'error'
    with pytest.raises(exception.OperationNotRetryable, match='list of hosts'):
        five.retries.retry(five.ctx, key, ended.uuid)
    put(five, key, 'xen1', 'xen2', 'xen3')
    five.settle(key)
    assert five.state(key) == 'active'
    assert len(five.aggregates.get(key).hosts) == 3


def test_what_has_not_begun_is_taken_back(five: service.Service) -> None:
    key = five.create('xen1', 'xen2')
    found = put(five, key, 'xen1', 'xen3')
    five.operations.cancel(five.ctx, key, str(found.operation))
    assert five.aggregates.get(key).hosts == ('xen1', 'xen2')
    assert five.hosts.get('xen3').phase == 'free'
    five.settle(key)
    assert whole(five, found).state == 'cancelled'
    assert five.state(key) == 'active'
    with pytest.raises(exception.OperationNotCancellable, match='already'):
        five.operations.cancel(five.ctx, key, str(found.operation))


def test_what_has_begun_goes_on(five: service.Service) -> None:
    key = five.create('xen1')
    found = put(five, key, 'xen1', 'xen2', 'xen3')
    first, second = five.operations.parts_of(whole(five, found))

    def cancel() -> None:
        five.operations.cancel(five.ctx, key, str(found.operation))

    five.when_sent('Async.pool.join', cancel)
    five.settle(key)
    states = {
        part.uuid: part.state
        for part in five.operations.parts_of(whole(five, found))
    }
    assert states == {first.uuid: 'succeeded', second.uuid: 'cancelled'}
    assert whole(five, found).state == 'cancelled'
    assert five.aggregates.get(key).hosts == ('xen1', 'xen2')


def test_a_part_that_is_called_off_ends_the_whole(
    five: service.Service,
) -> None:
    key = five.create('xen1')
    five.sim.power_off('xen2')
    found = put(five, key, 'xen1', 'xen2')
    five.work()
    assert (whole(five, found).state, five.rests(key) > 0) == ('running', True)
    (part,) = five.operations.parts_of(whole(five, found))
    assert part.state == 'queued'
    five.operations.cancel(five.ctx, key, part.uuid)
    # It looks at once, whatever it was to rest.
    assert five.rests(key) == 0
    five.work()
    assert whole(five, found).state == 'cancelled'


def test_a_list_that_waits_holds_up_nothing(five: service.Service) -> None:
    key = five.create('xen1')
    five.sim.power_off('xen2')
    found = put(five, key, 'xen1', 'xen2')
    five.work()
    assert five.rests(key) > 0
    change = five.aggregates.update(five.ctx, key, {'name': 'other'})
    five.work()
    assert five.operations.get(str(change.operation)).state == 'succeeded'
    assert whole(five, found).state == 'running'


def test_all_on_their_way_cannot_be_taken_back(five: service.Service) -> None:
    key = five.create('xen1')
    found = put(five, key, 'xen1', 'xen2')
    said: list[str] = []

    def cancel() -> None:
        with pytest.raises(exception.OperationNotCancellable) as raised:
            five.operations.cancel(five.ctx, key, str(found.operation))
        said.append(str(raised.value))

    five.when_sent('Async.pool.join', cancel)
    five.settle(key)
    assert 'All its hosts are on their way' in said[0]
    assert whole(five, found).state == 'succeeded'


def test_nothing_is_written_where_one_host_is_not_to_be_had(
    five: service.Service,
) -> None:
    key = five.create('xen1')
    other = five.create('xen2', name='other')
    before = five.operations.get_all(key)
    for hosts, kind, said in (
        (('xen1', 'xen3', 'xen2'), exception.HostInOtherAggregate, 'xen2'),
        (('xen3', 'xen9'), exception.HostNotFound, 'xen9'),
    ):
        with pytest.raises(kind, match=said):
            put(five, key, *hosts)
    with pytest.raises(exception.AggregateNotFound):
        put(five, 99, 'xen3')
    assert five.operations.get_all(key) == before
    assert five.hosts.get('xen3').phase == 'free'
    # One that leaves is waited for no longer than a request may take.
    put(five, other)
    with pytest.raises(exception.HostNotFree, match='repeat'):
        put(five, key, 'xen1', 'xen2')
    five.settle(other)
    put(five, key, 'xen1', 'xen2')
    five.settle(key)
    assert five.aggregates.get(key).hosts == ('xen1', 'xen2')


def test_an_aggregate_may_be_deleted_while_its_list_ends(
    five: service.Service,
) -> None:
    key = five.create('xen1', 'xen2')
    put(five, key)
    five.aggregates.delete(five.ctx, key)
    five.work()
    with pytest.raises(exception.AggregateNotFound):
        five.aggregates.get(key)
    assert [p.state for p in five.operations.get_all(key)][:4] == (
        ['succeeded'] * 4
    )


@pytest.fixture
def asked(five: service.Service) -> Iterator[service.Service]:
    """The same, whose requests are checked by a compute service before."""
    with service.answering(five) as client:
        five.membership = declared.Membership(
            intent.Intent(five.database, client, 0)
        )
        yield five


def test_every_reason_of_every_host_is_told_and_nothing_done(
    asked: service.Service,
) -> None:
    key = asked.create('xen1', 'xen2')
    asked.sim.add_vm('xen3', 'web')
    asked.sim.add_vm('xen4', 'db')
    disk = asked.sim.add_sr('xen2', 'data', type='lvm', vdis=[{'name': 'd'}])
    before = asked.operations.get_all(key)
    with pytest.raises(exception.Refused) as raised:
        put(asked, key, 'xen1', 'xen3', 'xen4', 'xen5')
    said = str(raised.value)
    for word in ('xen3: ', 'web', 'xen4: ', 'db', 'xen2: ', disk):
        assert word in said
    assert 'xen5' not in said
    assert asked.operations.get_all(key) == before
    assert asked.hosts.get('xen5').phase == 'free'
    planned = asked.membership.plan(
        key, ('xen1', 'xen3', 'xen4', 'xen5'), [disk]
    )
    told = {
        entry.found.name: [b['code'] for b in entry.report['blockers']]
        for entry in planned.entries
        if entry.report
    }
    assert told == {
        'xen3': ['JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'],
        'xen4': ['JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'],
        'xen5': [],
        'xen2': [],
    }
    assert asked.operations.get_all(key) == before


def test_data_is_lost_only_where_its_storage_was_named(
    asked: service.Service,
) -> None:
    key = asked.create('xen1', 'xen2', 'xen3')
    named, other = (
        asked.sim.add_sr(host, 'data', type='lvm', vdis=[{'name': 'd'}])
        for host in ('xen2', 'xen3')
    )
    for accepted in ([], [named], [other]):
        with pytest.raises(exception.Refused):
            put(asked, key, 'xen1', accept_data_loss=accepted)
    assert len(asked.aggregates.get(key).hosts) == 3
    found = put(asked, key, 'xen1', accept_data_loss=[named, other])
    asked.settle(key)
    assert whole(asked, found).state == 'succeeded'
    assert asked.aggregates.get(key).hosts == ('xen1',)


def test_hosts_that_all_leave_need_no_successor(
    asked: service.Service,
) -> None:
    key = asked.create('xen1', 'xen2')
    asked.sim.set_host('xen2', enabled=False)
    with pytest.raises(exception.Refused, match='HOST_IS_MASTER'):
        put(asked, key, 'xen2')
    put(asked, key)
    asked.settle(key)
    assert asked.aggregates.get(key).hosts == ()


def test_hosts_that_changed_meanwhile_are_left(asked: service.Service) -> None:
    key = asked.create('xen1', 'xen2')
    compute = asked.membership._intent.compute
    check = compute.check_host

    def slowly(*args: Any, **kwargs: Any) -> Any:
        # Somebody else is quicker.
        if asked.hosts.get('xen4').phase == 'free':
            asked.members.add_host(asked.ctx, key, 'xen4')
        return check(*args, **kwargs)

    compute.check_host = slowly  # type: ignore[method-assign]
    with pytest.raises(exception.Conflict, match='Send the list again'):
        put(asked, key, 'xen1', 'xen2', 'xen3')
    assert asked.hosts.get('xen3').phase == 'free'
    assert operations.SET_HOSTS not in [
        operation.kind for operation in asked.operations.get_all(key)
    ]


def test_a_plan_needs_a_compute_service(five: service.Service) -> None:
    key = five.create('xen1')
    with pytest.raises(exception.Unavailable, match='No compute service'):
        five.membership.plan(key, ['xen1', 'xen2'])
    planned = five.membership.plan(key, ['xen1'])
    assert [entry.change for entry in planned.entries] == ['none']


def test_the_guide_tells_what_is_sent_and_answered(
    five: service.Service,
) -> None:
    """In both languages, with the fields that there are."""
    guide = test_rolling_api
    asked = json.loads(guide.sample('{"membership": {"hosts"'))
    assert guide.read_xml('<membership>\n  <hosts><host>xen1') == asked
    told = json.loads(guide.sample('{"membership": {\n    "hosts": [\n'))
    followed = json.loads(guide.sample('{"operation": {\n    "changes"'))
    for shown, xml in (
        (told, '<membership>\n  <hosts>\n    <host>\n'),
        (followed, '<operation>\n  <changes>'),
    ):
        written = wire.write(shown, wire.XML).decode()
        assert guide.tree(written) == guide.tree(guide.sample(xml))

    key = five.create('xen1', 'xen2')
    api = test_migrations.Api(five)
    path = f'os-aggregates/{key}/hosts'
    answer = api(path, method='PUT', body=asked)
    before, after = told['membership'], answer['membership']
    assert before.keys() == after.keys()
    assert [(h['host'], h['change']) for h in after['hosts']] == [
        (h['host'], h['change']) for h in before['hosts']
    ]
    for mine, theirs in zip(before['hosts'], after['hosts'], strict=True):
        assert mine.keys() == theirs.keys()
        assert (mine['operation'] is None) == (theirs['operation'] is None)
    shown = api(f'os-aggregates/operations/{after["operation"]}')['operation']
    [one] = followed['operation']['changes']
    assert [change.keys() for change in shown['changes']] == [one.keys()] * 3
