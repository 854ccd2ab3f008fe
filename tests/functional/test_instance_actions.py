"""What became of the moves of a server, as Nova's clients ask for it."""

import json
from typing import Any

import pytest

from aggregates_ext.db import moves
from tests.functional import service
from tests.functional import test_migrations
from tests.functional import test_servers
from tests.functional import test_statements
from tests.integration import documents

LATEST = test_migrations.LATEST
ADMIN, MANAGER = test_migrations.ADMIN, test_migrations.MANAGER
MEMBER, STRANGER = test_migrations.MEMBER, test_migrations.STRANGER
Api = test_migrations.Api
key, api, web = test_migrations.key, test_migrations.api, test_migrations.web
WHY = 'X: the host xen2 has no memory'


def listed(
    api: Api, uuid: str, query: str = '', **more: Any
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api(
        f'servers/{uuid}/os-instance-actions?{query}', **more
    )['instanceActions']
    return found


def shown(api: Api, uuid: str, name: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = api(
        f'servers/{uuid}/os-instance-actions/{name}', **more
    )['instanceAction']
    return found


def end(running: service.Service, state: str, key: int = 1) -> None:
    """As a compute service ends a move."""
    error = {'code': 'X', 'message': WHY} if state == 'failed' else None
    move = test_migrations.read(running, key)
    running.database.write(lambda c: moves.finish(c, move, state, error))


# How a move ends -> Nova's word, what an administrator reads, and others.
ENDS = [
    ('completed', 'Success', None, None, None),
    ('failed', 'Error', WHY, WHY, 'Error'),
    (
        'cancelled',
        'Error',
        'It was aborted; the guest is where it was.',
        'It was aborted; the guest is where it was.',
        'Error',
    ),
]


@pytest.mark.parametrize(
    ('state', 'result', 'details', 'message', 'others'), ENDS
)
def test_how_a_move_has_ended_is_told_with_the_reason(
    running: service.Service,
    api: Api,
    web: str,
    state: str,
    result: str,
    details: str | None,
    message: str | None,
    others: str | None,
) -> None:
    """The answer to the request said no more than that it was accepted."""
    api.move(web, 'xen2')
    end(running, state)
    made = test_migrations.read(running)
    [found] = listed(api, web)
    assert found['request_id'] == made.request_id
    assert (found['action'], found['message']) == ('live-migration', message)
    one = shown(api, web, found['request_id'])
    [event] = one.pop('events')
    assert one == found
    assert event == {
        'event': 'compute_live_migration',
        'start_time': found['start_time'],
        'finish_time': found['updated_at'],
        'result': result,
        'traceback': details,
        'host': 'xen1',
        'hostId': event['hostId'],
        'details': details,
    }
    [found] = listed(api, web, token=MANAGER)
    assert found['message'] == others
    one = shown(api, web, found['request_id'], token=MANAGER)
    assert one['message'] == others
    assert set(one['events'][0]) == {
        'event',
        'start_time',
        'finish_time',
        'result',
        'hostId',
    }


def test_one_that_goes_on_has_no_end(
    running: service.Service, api: Api, web: str
) -> None:
    api.move(web, 'xen2')
    for state, said in (('queued', None), ('sent', None), ('unresolved', WHY)):
        error = {'code': 'X', 'message': WHY} if said else None
        test_migrations.change(running, state=state, error=error)
        [found] = listed(api, web)
        [event] = shown(api, web, found['request_id'])['events']
        assert found['message'] is None
        assert (event['finish_time'], event['result']) == (None, None)
        assert event['details'] == said


def test_a_move_of_an_operation_has_a_name_of_its_own(
    running: service.Service, api: Api, web: str, key: int
) -> None:
    """One request has asked for the moves of many, and for this way back."""
    api.move(web, 'xen2')
    test_migrations.change(running, operation_id=running.operation(key).id)
    made = test_migrations.read(running)
    [found] = listed(api, web)
    assert found['request_id'] == f'req-{made.uuid}' != made.request_id
    shown(api, web, found['request_id'])
    api(
        f'servers/{web}/os-instance-actions/{made.request_id}',
        status=404,
    )


def test_microversions(running: service.Service, api: Api, web: str) -> None:
    api.move(web, 'xen2')
    end(running, 'failed')
    [found] = listed(api, web)
    name = found['request_id']
    fields = {
        'action',
        'instance_uuid',
        'message',
        'project_id',
        'request_id',
        'start_time',
        'user_id',
    }
    events = {'event', 'start_time', 'finish_time', 'result'}
    whole = {*events, 'traceback'}
    for microversion, more, seen, seen_by_others in (
        ('2.1', set(), whole, None),
        ('2.50', set(), whole, None),
        ('2.51', set(), whole, events),
        ('2.58', {'updated_at'}, whole, events),
        (
            '2.62',
            {'updated_at'},
            {*whole, 'host', 'hostId'},
            {*events, 'hostId'},
        ),
        (
            '2.84',
            {'updated_at'},
            {*whole, 'host', 'hostId', 'details'},
            {*events, 'hostId'},
        ),
    ):
        [found] = listed(api, web, microversion=microversion)
        assert set(found) == fields | more
        one = shown(api, web, name, microversion=microversion)
        assert set(one['events'][0]) == seen
        one = shown(api, web, name, microversion=microversion, token=MEMBER)
        if seen_by_others is None:
            assert 'events' not in one
        else:
            assert set(one['events'][0]) == seen_by_others


def test_pages(running: service.Service, api: Api, web: str) -> None:
    for number in range(3):
        api.move(web, 'xen2')
        end(running, 'failed', number + 1)
    names = [found['request_id'] for found in listed(api, web)]
    assert len(set(names)) == 3
    body = api(f'servers/{web}/os-instance-actions?limit=2')
    assert [f['request_id'] for f in body['instanceActions']] == names[:2]
    [link] = body['links']
    assert link['rel'] == 'next'
    path = link['href'].partition('/v2.1/')[2]
    body = api(path)
    assert [f['request_id'] for f in body['instanceActions']] == names[2:]
    assert 'links' not in body
    path = f'servers/{web}/os-instance-actions?limit=0'
    assert api(path)['instanceActions'] == []
    # Before, there were neither pages nor rules.
    found = listed(api, web, 'limit=1&x=y', microversion='2.57')
    assert [one['request_id'] for one in found] == names


@pytest.mark.parametrize(
    ('query', 'microversion'),
    [
        ('marker=req-none', LATEST),
        (f'marker=req-{test_statements.OPERATION}', LATEST),
        ('marker=%00', LATEST),
        ('limit=-1', LATEST),
        ('limit=x', LATEST),
        ('x=y', LATEST),
        ('changes-since=x', LATEST),
        ('changes-before=2026-01-01T00:00:00Z', '2.65'),
        (
            'changes-since=2026-01-02T00:00:00Z'
            '&changes-before=2026-01-01T00:00:00Z',
            LATEST,
        ),
    ],
)
def test_queries_that_are_wrong(
    api: Api, web: str, query: str, microversion: str
) -> None:
    api.move(web, 'xen2')
    path = f'servers/{web}/os-instance-actions?{query}'
    assert 'badRequest' in api(path, microversion, status=400)


def test_changes(running: service.Service, api: Api, web: str) -> None:
    api.move(web, 'xen2')
    for query, count in (
        ('changes-since=2000-01-01T00:00:00Z', 1),
        ('changes-since=2100-01-01T00:00:00Z', 0),
        ('changes-before=2100-01-01T00:00:00Z', 1),
        ('changes-before=2000-01-01T00:00:00Z', 0),
    ):
        assert len(listed(api, web, query)) == count, query


def test_who_may_see_them(
    running: service.Service, api: Api, web: str
) -> None:
    api.move(web, 'xen2')
    [found] = listed(api, web, token=MEMBER)
    shown(api, web, found['request_id'], token=MEMBER)
    path = f'servers/{web}/os-instance-actions'
    api(path, token=STRANGER, status=404)
    api(f'{path}/{found["request_id"]}', token=STRANGER, status=404)
    other = test_servers.uuid_of(running, 'db')
    assert listed(api, other) == []
    for wrong in (found['request_id'][:-1], 'req-', '%00', '1'):
        api(f'{path}/{wrong}', status=404)
    api(
        f'servers/{other}/os-instance-actions/{found["request_id"]}',
        status=404,
    )
    api('servers/none/os-instance-actions', status=404)


def test_the_sample_of_the_guide_is_what_is_told(
    running: service.Service, api: Api, web: str
) -> None:
    told = json.loads(documents.block('user.rst', '{"instanceAction":'))
    api.move(web, 'xen2')
    end(running, 'failed')
    [found] = listed(api, web)
    one = shown(api, web, found['request_id'])
    wanted = told['instanceAction']
    assert wanted.keys() == one.keys()
    assert wanted['events'][0].keys() == one['events'][0].keys()
    for name in ('action', 'event', 'result'):
        for ours, theirs in (
            (wanted, one),
            (wanted['events'][0], one['events'][0]),
        ):
            assert ours.get(name) == theirs.get(name)
