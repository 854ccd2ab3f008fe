"""What is listed of actions, and what is asked for that."""

from typing import Any

import pytest

from tests.unit.client import scripted

REFUSAL = {
    'code': 409,
    'name': 'conflictingRequest',
    'message': 'Not now.',
    'passes': True,
}


def told(action: str, refusal: Any = None, **asked: Any) -> dict[str, Any]:
    return {
        'action': action,
        'asked': asked,
        'allowed': refusal is None,
        'refusal': refusal,
    }


FOUND = {
    'aggregate_id': 1,
    'actions': [told('delete', REFUSAL)],
    'hosts': [{'name': 'xen1', 'actions': [told('remove_host', force=True)]}],
    'operations': [
        {'uuid': scripted.UUID, 'actions': [told('retry_operation', REFUSAL)]}
    ],
}


def listed(found: Any, host: str | None) -> list[dict[str, Any]]:
    answer = scripted.answer(200, {'allowed_actions': found})
    pools, _adapter = scripted.pools(answer)
    return list(pools.allowed(1, host))


def test_each_is_listed_with_what_it_is_about() -> None:
    found = listed(FOUND, None)
    assert [
        (e.get('host'), e.get('operation'), e['action'], e.get('message'))
        for e in found
    ] == [
        (None, None, 'delete', 'Not now.'),
        ('xen1', None, 'remove_host', None),
        (None, scripted.UUID, 'retry_operation', 'Not now.'),
    ]
    assert [entry['allowed'] for entry in found] == [False, True, False]
    assert (found[0]['code'], found[0]['passes']) == (409, True)


def test_of_one_host_nothing_else_is() -> None:
    found = listed(FOUND, 'xen1')
    assert [entry['action'] for entry in found] == ['remove_host']


@pytest.mark.parametrize('found', [{}, {'hosts': None, 'actions': [{}]}])
def test_what_another_release_does_not_tell_is_left_out(found: Any) -> None:
    assert all(entry.get('action') is None for entry in listed(found, None))


@pytest.mark.parametrize(
    ('host', 'query'), [(None, {}), ('xen1', {'host': 'xen1'})]
)
def test_what_is_asked(host: str | None, query: dict[str, str]) -> None:
    answer = scripted.answer(200, {'allowed_actions': FOUND})
    pools, adapter = scripted.pools(answer)
    assert list(pools.allowed(1, host))
    path = '/os-aggregates/1/allowed_actions'
    assert adapter.asked == [('GET', path, {'params': query})]
