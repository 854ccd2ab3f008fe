"""No request needs more than eight SQL statements, however much there is."""

import contextlib
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
import webob

from aggregates_ext.db import hosts
from tests.functional import api_service

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
BUDGET = 8
NEIGHBOURS = [
    'os-hosts',
    'os-hosts/xen1',
    'os-services',
    'os-hypervisors',
    'os-hypervisors/detail',
    'os-hypervisors/statistics',
    'os-hypervisors/1',
    'os-hypervisors/xen/search',
    'os-hypervisors/xen/servers',
    'os-availability-zone',
    'os-availability-zone/detail',
]


class Counted:
    """A service that tells how many statements a request took."""

    def __init__(self, database_file: pathlib.Path) -> None:
        self._application, self.database = api_service.make(database_file)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = ADMIN,
    ) -> tuple[int, webob.Response]:
        request = webob.Request.blank(path, method=method, headers=headers)
        if body is not None:
            request.json = body
        with counting() as statements:
            answer = request.get_response(self._application)
        return len(statements), answer


@contextlib.contextmanager
def counting() -> Iterator[list[str]]:
    seen: list[str] = []

    def listen(
        connection: Any, cursor: Any, statement: str, *_args: Any
    ) -> None:
        if not statement.startswith(('BEGIN', 'PRAGMA')):
            seen.append(statement)

    sa.event.listen(sa.Engine, 'before_cursor_execute', listen)
    yield seen
    sa.event.remove(sa.Engine, 'before_cursor_execute', listen)


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Iterator[Counted]:
    made = Counted(tmp_path / 'db.sqlite')
    made.send('POST', '/v2.1/os-aggregates', {'aggregate': {'name': 'a'}})
    yield made
    made.database.dispose()


def test_every_route_keeps_the_budget(service: Counted) -> None:
    one = '/v2.1/os-aggregates/1'
    action = f'{one}/action'
    requests: list[tuple[str, str, Any]] = [
        ('POST', '/v2.1/os-aggregates', {'aggregate': {'name': 'b'}}),
        ('GET', '/v2.1/os-aggregates?host=xen1&name=a', None),
        ('POST', action, {'add_host': {'host': 'xen1'}}),
        ('POST', action, {'add_host': {'host': 'xen2'}}),
        ('PUT', one, {'aggregate': {'name': 'c', 'availability_zone': 'z'}}),
        ('POST', action, {'set_metadata': {'metadata': {'k': 'v'}}}),
        ('GET', one, None),
        ('GET', f'{one}/pool', None),
        ('GET', f'{one}/operations', None),
        ('GET', '/v2.1/extensions', None),
        *(('GET', f'/v2.1/{path}', None) for path in NEIGHBOURS),
        ('POST', action, {'remove_host': {'host': 'xen2'}}),
        ('POST', action, {'remove_host': {'host': 'xen1'}}),
        ('DELETE', '/v2.1/os-aggregates/2', None),
    ]
    counts = {}
    for method, path, body in requests:
        count, answer = service.send(method, path, body)
        assert answer.status_int == 200, answer
        counts[f'{method} {path} {body}'] = count
    over = {what: n for what, n in counts.items() if n > BUDGET}
    assert not over


def test_ways_out_keep_the_budget(service: Counted) -> None:
    action = '/v2.1/os-aggregates/1/action'
    _count, answer = service.send(
        'POST', action, {'add_host': {'host': 'xen1'}}
    )
    operation = answer.headers['X-Aggregate-Operation']
    shown, answer = service.send(
        'GET', f'/v2.1/os-aggregates/operations/{operation}'
    )
    assert (shown, answer.status_int) == (1, 200)
    cancelled, answer = service.send(
        'POST', action, {'cancel_operation': {'operation': operation}}
    )
    assert answer.status_int == 200
    retried, answer = service.send(
        'POST', action, {'retry_operation': {'operation': operation}}
    )
    assert answer.status_int == 200
    again = answer.headers['X-Aggregate-Operation']
    service.send('POST', action, {'cancel_operation': {'operation': again}})
    reset, answer = service.send(
        'POST', action, {'reset': {'host': 'xen1', 'outcome': 'free'}}
    )
    assert answer.status_int == 200
    assert cancelled <= BUDGET
    assert retried <= BUDGET
    # A rare act of an operator; it settles every operation of the host.
    assert reset <= BUDGET


def test_change_of_master_keeps_the_budget(service: Counted) -> None:
    action = '/v2.1/os-aggregates/1/action'
    service.send('POST', action, {'add_host': {'host': 'xen1'}})
    with service.database.writer() as connection:
        connection.exec_driver_sql("UPDATE hosts SET phase = 'member'")
    count, answer = service.send(
        'POST', action, {'set_master': {'host': 'xen1'}}
    )
    assert answer.status_int == 200, answer
    assert count <= BUDGET


def test_force_keeps_the_budget(service: Counted) -> None:
    """Also where it takes the place of a removal."""
    action = '/v2.1/os-aggregates/1/action'
    service.send('POST', action, {'add_host': {'host': 'xen1'}})
    with service.database.writer() as connection:
        connection.exec_driver_sql("UPDATE hosts SET phase = 'member'")
        connection.exec_driver_sql("UPDATE operations SET state = 'succeeded'")
    service.send('POST', action, {'remove_host': {'host': 'xen1'}})
    count, answer = service.send(
        'POST', action, {'remove_host': {'host': 'xen1', 'force': True}}
    )
    assert answer.status_int == 200, answer
    assert count <= BUDGET


def test_lists_of_any_length_cost_the_same(service: Counted) -> None:
    short, answer = service.send('GET', '/v2.1/os-aggregates')
    assert len(answer.json['aggregates']) == 1
    for number in range(49):
        body = {'aggregate': {'name': f'n{number}'}}
        service.send('POST', '/v2.1/os-aggregates', body)
    long, answer = service.send('GET', '/v2.1/os-aggregates')
    assert len(answer.json['aggregates']) == 50
    assert short == long <= BUDGET


def test_ways_to_resolve_drift_keep_the_budget(service: Counted) -> None:
    action = '/v2.1/os-aggregates/1/action'
    with service.database.writer() as connection:
        connection.exec_driver_sql("UPDATE aggregates SET pool_uuid = 'p'")
    for name in ('adopt', 'reapply'):
        count, answer = service.send('POST', action, {name: {}})
        assert answer.status_int == 200, answer
        assert count <= BUDGET


@pytest.mark.parametrize('path', NEIGHBOURS)
def test_neighbours_cost_the_same_whatever_there_is(
    service: Counted, path: str
) -> None:
    few, answer = service.send('GET', f'/v2.1/{path}')
    assert answer.status_int == 200
    with service.database.writer() as connection:
        for number in range(40):
            hosts.insert(
                connection,
                {
                    'name': f'more{number}',
                    'url': 'https://more.test',
                    'credential': 'default',
                },
            )
    many, answer = service.send('GET', f'/v2.1/{path}')
    assert answer.status_int == 200
    assert few == many == 2


@pytest.mark.parametrize('token', ['user:abc123:member', None])
def test_who_may_not_ask_costs_no_statement(
    service: Counted, token: str | None
) -> None:
    requests: list[tuple[str, str, Any]] = [
        ('GET', '/v2.1/os-aggregates', None),
        ('GET', '/v2.1/os-aggregates/1', None),
        ('POST', '/v2.1/os-aggregates', {'aggregate': {'name': 'b'}}),
        ('DELETE', '/v2.1/os-aggregates/1', None),
        (
            'POST',
            '/v2.1/os-aggregates/1/action',
            {'add_host': {'host': 'xen1'}},
        ),
        ('GET', '/v2.1/os-hypervisors/detail', None),
    ]
    headers = {} if token is None else {'X-Auth-Token': token}
    for method, path, body in requests:
        count, answer = service.send(method, path, body, headers)
        assert answer.status_int == (401 if token is None else 403)
        assert count == 0
