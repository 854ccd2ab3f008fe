"""A change happens to the aggregate that was seen, or not at all."""

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import webob

from aggregates_ext.api import app
from aggregates_ext.db import operations
from tests.functional import api_service
from tests.functional import test_statements

ONE = '/v2.1/os-aggregates/1'
ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
READS = {'check_host'}
OPERATION = '11111111-2222-4333-8444-555555555555'
BODIES: dict[str, Any] = {
    'set_metadata': {'metadata': {'k': 'v'}},
    'add_host': {'host': 'xen3'},
    'remove_host': {'host': 'xen1'},
    'check_host': {'host': 'xen1', 'for': 'remove'},
    'adopt': {},
    'reapply': {},
    'set_master': {'host': 'xen2'},
    'enter_maintenance': {'host': 'xen1'},
    'leave_maintenance': {'host': 'xen2'},
    'power_host': {'host': 'xen2', 'action': 'reboot'},
    'rolling_reboot': {},
    'rolling_update': {},
    'continue_operation': {'operation': OPERATION},
    'cancel_operation': {'operation': OPERATION},
    'retry_operation': {'operation': OPERATION},
    'reset': {'host': 'xen2', 'outcome': 'free'},
}


class Api:
    """A service with aggregate 1: members xen1 and xen2, work is queued."""

    def __init__(self, database_file: pathlib.Path) -> None:
        self.application, self.database = api_service.make(database_file)
        self.send('POST', '/v2.1/os-aggregates', {'aggregate': {'name': 'a'}})
        for host in ('xen1', 'xen2'):
            self.send('POST', f'{ONE}/action', {'add_host': {'host': host}})
        self.execute(
            "UPDATE operations SET state = 'succeeded', settled = 1",
            "UPDATE hosts SET phase = 'member' WHERE aggregate_id = 1",
            "UPDATE hosts SET maintenance = 'on' WHERE name = 'xen2'",
            "UPDATE aggregates SET pool_uuid = 'p'",
        )

        with self.database.writer() as connection:
            asked = dict.fromkeys(('request_id', 'user_id', 'project_id'))
            operations.insert(
                connection, OPERATION, 'set_master', 1, 'xen1', asked
            )

    def execute(self, *statements: str) -> None:
        with self.database.writer() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> webob.Response:
        request = webob.Request.blank(path, method=method, headers=ADMIN)
        request.headers.update(headers)
        if body is not None:
            request.json = body
        return request.get_response(self.application)

    def tag(self) -> str:
        return str(self.send('GET', ONE).headers['ETag'])

    def state(self) -> list[Any]:
        with self.database.reader() as connection:
            return [
                row
                for table in ('aggregates', 'hosts', 'operations')
                for row in connection.exec_driver_sql(f'SELECT * FROM {table}')  # noqa: S608
            ]


@pytest.fixture
def api(tmp_path: pathlib.Path) -> Iterator[Api]:
    made = Api(tmp_path / 'db.sqlite')
    yield made
    made.database.dispose()


def changes() -> list[tuple[str, str, Any]]:
    """Every request that changes something."""
    names = sorted(set(app.ACTIONS) - READS)
    return [
        ('PUT', ONE, {'aggregate': {'name': 'b'}}),
        ('DELETE', ONE, None),
        (
            'POST',
            f'{ONE}/action',
            {'remove_host': {'host': 'xen1', 'force': True}},
        ),
        *[('POST', f'{ONE}/action', {name: BODIES[name]}) for name in names],
    ]


@pytest.mark.parametrize(('method', 'path', 'body'), changes())
def test_no_change_of_what_is_not_as_it_was_seen(
    api: Api, method: str, path: str, body: Any
) -> None:
    tag = api.tag()
    api.send('PUT', ONE, {'aggregate': {'name': 'meanwhile'}})
    before = api.state()
    answer = api.send(method, path, body, **{'If-Match': tag})
    assert answer.status_int == 412, answer.text
    assert api.state() == before


@pytest.mark.parametrize(('method', 'path', 'body'), changes())
def test_change_of_what_is_as_it_was_seen(
    api: Api, method: str, path: str, body: Any
) -> None:
    """It is carried out, or refused otherwise, within the budget."""
    tag = api.tag()
    with test_statements.counting() as statements:
        answer = api.send(method, path, body, **{'If-Match': tag})
    expected = 400 if method == 'DELETE' else 200
    if {'retry_operation', 'continue_operation'} & {*(body or ())}:
        expected = 409  # it is due already
    assert answer.status_int == expected, answer.text
    assert len(statements) <= test_statements.BUDGET


def test_of_two_that_saw_the_same_one_writes(api: Api) -> None:
    """The second waits in the database for the first, and then looks."""
    tag = api.tag()
    begins = threading.Event()
    answers = []

    def listen(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text == 'BEGIN IMMEDIATE':
            begins.set()

    def second() -> None:
        body = {'set_metadata': {'metadata': {'by': 'second'}}}
        answers.append(
            api.send('POST', f'{ONE}/action', body, **{'If-Match': tag})
        )

    thread = threading.Thread(target=second)
    with api.database.writer() as connection:
        sa.event.listen(sa.Engine, 'before_cursor_execute', listen)
        thread.start()
        assert begins.wait(60)
        connection.exec_driver_sql("UPDATE aggregates SET name = 'first'")
    thread.join(60)
    sa.event.remove(sa.Engine, 'before_cursor_execute', listen)
    assert [answer.status_int for answer in answers] == [412]
    assert api.send('GET', ONE).json['aggregate']['metadata'] == {}


@pytest.mark.every_database
def test_many_who_count_lose_nothing(database_url: str) -> None:
    """Read, add one, write if nobody else did: the sum is right."""
    application, database = api_service.make(url=database_url)

    def send(method: str, path: str, body: Any, tag: str) -> webob.Response:
        request = webob.Request.blank(path, method=method, headers=ADMIN)
        if body is not None:
            request.json = body
            request.headers['If-Match'] = tag
        return request.get_response(application)

    send('POST', '/v2.1/os-aggregates', {'aggregate': {'name': 'a'}}, '*')
    refused = []

    def count() -> None:
        done = 0
        while done < 5:
            seen = send('GET', ONE, None, '')
            value = seen.json['aggregate']['metadata'].get('n', '0')
            body = {'set_metadata': {'metadata': {'n': str(int(value) + 1)}}}
            answer = send('POST', f'{ONE}/action', body, seen.headers['ETag'])
            assert answer.status_int in (200, 412), answer.text
            done += answer.status_int == 200
            refused.append(answer.status_int == 412)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    seen = send('GET', ONE, None, '')
    database.dispose()
    assert seen.json['aggregate']['metadata'] == {'n': '20'}
