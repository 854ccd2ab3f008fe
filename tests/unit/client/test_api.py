"""What is asked of the API, and what becomes of its answers."""

import pytest
from keystoneauth1 import exceptions

from aggregates_ext.client import api
from tests.unit.client import scripted

FAULT = {'conflictingRequest': {'message': 'Not now.\x1b[2J', 'code': 409}}


def listed(*names: str) -> object:
    found = [{'id': n + 7, 'name': name} for n, name in enumerate(names)]
    return scripted.answer(200, {'aggregates': found})


def test_an_id_is_looked_for_before_a_name() -> None:
    one = scripted.answer(200, {'aggregate': {'id': 12, 'name': 'pool'}})
    pools, adapter = scripted.pools(one)
    assert pools.find('12') == (12, 'pool')
    assert [asked[:2] for asked in adapter.asked] == [
        ('GET', '/os-aggregates/12')
    ]


def test_a_name_may_be_a_number() -> None:
    missing = scripted.answer(404, {'itemNotFound': {'message': 'No.'}})
    pools, adapter = scripted.pools(missing, listed('12'))
    assert pools.find('12') == (7, '12')
    assert adapter.asked[1][2] == {'params': {'name': '12'}}


@pytest.mark.parametrize('text', ['012', '0', '١٢', '+12', '9' * 19, '1 '])
def test_what_only_looks_like_an_id_is_a_name(text: str) -> None:
    pools, adapter = scripted.pools(listed(text))
    assert pools.find(text).id == 7
    assert adapter.asked[0][1] == '/os-aggregates'


def test_an_api_may_know_no_filter() -> None:
    pools, _adapter = scripted.pools(listed('other', 'pool'))
    assert pools.find('pool').id == 8


def test_a_deleted_aggregate_has_its_id_alone() -> None:
    missing = scripted.answer(404, {'itemNotFound': {'message': 'No.'}})
    pools, _adapter = scripted.pools(missing, listed(), missing, listed())
    assert pools.find('12', deleted=True) == (12, None)
    with pytest.raises(api.Refused, match='No aggregate has the name or id'):
        pools.find('12')


def test_what_names_nothing_is_told_harmlessly() -> None:
    pools, _adapter = scripted.pools(listed())
    with pytest.raises(api.Refused) as raised:
        pools.find('\x1b[2J')
    assert str(raised.value).isprintable()


def test_an_action_is_sent_without_what_was_not_said() -> None:
    header = {'X-Aggregate-Operation': scripted.UUID}
    pools, adapter = scripted.pools(scripted.answer(200, {}, header))
    fields = {'host': 'xen2', 'force': None, 'accept_data_loss': ['sr']}
    accepted = pools.act(1, 'remove_host', fields)
    assert accepted == ({}, scripted.UUID)
    sent = {'remove_host': {'host': 'xen2', 'accept_data_loss': ['sr']}}
    path = '/os-aggregates/1/action'
    assert adapter.asked == [('POST', path, {'json': sent})]


def test_a_plan_changes_nothing() -> None:
    pools, adapter = scripted.pools(scripted.answer(200, {'plan': {}}))
    assert pools.plan(1, 'rolling_reboot', {'hosts': None}) == {}
    sent = {'json': {'rolling_reboot': {'dry_run': True}}}
    assert adapter.asked[0][2] == sent


def test_pools_are_read_page_by_page() -> None:
    links = {'pools_links': [{'rel': 'next', 'href': '…'}]}
    first = scripted.answer(200, {'pools': [{'aggregate_id': 3}], **links})
    last = scripted.answer(200, {'pools': [{'aggregate_id': 4}]})
    pools, adapter = scripted.pools(first, last)
    found = list(pools.pools(None, state='error', host=None))
    assert [pool['aggregate_id'] for pool in found] == [3, 4]
    asked = [{'params': {'state': 'error'}}]
    asked.append({'params': {'state': 'error', 'marker': 3}})
    path = '/os-aggregate-pools'
    assert adapter.asked == [('GET', path, sent) for sent in asked]


def test_all_pages_are_read_unless_some_rows_are_enough() -> None:
    def page(*uuids: str, more: bool) -> object:
        body = {'operations': [{'uuid': uuid} for uuid in uuids]}
        links = {'operations_links': [{'rel': 'next', 'href': '…'}]}
        return scripted.answer(200, {**body, **(links if more else {})})

    pages = page('a', 'b', more=True), page('c', more=False)
    pools, adapter = scripted.pools(*pages)
    found = list(pools.operations(1, None, state='failed', marker=None))
    assert [each['uuid'] for each in found] == ['a', 'b', 'c']
    assert [asked[2]['params'] for asked in adapter.asked] == [
        {'state': 'failed'},
        {'state': 'failed', 'marker': 'b'},
    ]
    pools, adapter = scripted.pools(page('a', more=True))
    assert len(list(pools.operations(1, 1))) == 1
    assert adapter.asked[0][2]['params'] == {'limit': 1}


@pytest.mark.parametrize(
    ('status', 'body', 'told', 'passes'),
    [
        (409, FAULT, 'Not now.\\x1b[2J (HTTP 409)', False),
        (503, FAULT, 'Not now.\\x1b[2J (HTTP 503)', True),
        (502, '<html>\x1b', 'HTTP 502 Reason\\x1b, without', True),
        (500, ['?'], 'HTTP 500 Reason\\x1b, without', True),
        (403, {'error': 'no'}, 'HTTP 403 Reason\\x1b, without', False),
        (200, '<html>', 'is no JSON object', False),
        (200, [1], 'is no JSON object', False),
        (200, {'other': 1}, 'without "pool"', False),
    ],
)
def test_what_goes_wrong_is_told(
    status: int, body: object, told: str, passes: bool
) -> None:
    pools, _adapter = scripted.pools(scripted.answer(status, body))
    with pytest.raises(api.Refused) as raised:
        pools.pool(1)
    assert told in str(raised.value)
    assert str(raised.value).isprintable()
    assert raised.value.passes == passes


@pytest.mark.parametrize(
    ('failure', 'passes'),
    [
        (exceptions.ConnectFailure('no\x1b'), True),
        (exceptions.ConnectTimeout('no\x1b'), True),
        (exceptions.UnknownConnectionError('no\x1b', OSError()), True),
        (exceptions.ServiceUnavailable('no\x1b'), True),
        (exceptions.SSLError('no\x1b'), False),
        (exceptions.Unauthorized('no\x1b'), False),
        (exceptions.EndpointNotFound('no\x1b'), False),
    ],
)
def test_who_cannot_be_asked_may_be_asked_again(
    failure: Exception, passes: bool
) -> None:
    pools, _adapter = scripted.pools(failure)
    with pytest.raises(api.Refused) as raised:
        pools.pool(1)
    assert raised.value.passes == passes
    assert str(raised.value).isprintable()


def test_names_of_operations_are_no_paths() -> None:
    found = scripted.answer(200, {'operation': {}})
    pools, adapter = scripted.pools(found)
    pools.operation('../1?x')
    assert adapter.asked[0][1] == '/os-aggregates/operations/..%2F1%3Fx'


def test_hosts_are_named_once_and_in_order() -> None:
    services = [{'host': 'xen2'}, {'host': 'xen1'}, {'host': 'xen2'}]
    pools, adapter = scripted.pools(
        scripted.answer(200, {'services': services}),
        scripted.answer(200, {'services': [{}]}),
    )
    assert pools.hosts() == ['xen1', 'xen2']
    asked = {'params': {'binary': 'nova-compute'}}
    assert adapter.asked == [('GET', '/os-services', asked)]
    with pytest.raises(api.Refused, match='without "host"'):
        pools.hosts()
