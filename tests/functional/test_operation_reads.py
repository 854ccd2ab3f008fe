"""An operation is told in one statement, as it is at that moment."""

import datetime

import pytest
import webob

from aggregates_ext.db import aggregates
from aggregates_ext.db import history
from aggregates_ext.db import operations
from aggregates_ext.db import services
from tests import counting
from tests.functional import api_service

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
UUID = '11111111-2222-4333-8444-555555555555'
NOBODY = dict.fromkeys(('request_id', 'user_id', 'project_id'))
LATER = datetime.datetime(2100, 1, 1)
WAITS = 'waiting: no compute service'


@pytest.mark.every_database
def test_operation_is_told_in_one_statement(database_url: str) -> None:
    application, database = api_service.make(url=database_url)
    path = f'/v2.1/os-aggregates/operations/{UUID}'

    def ask() -> webob.Response:
        request = webob.Request.blank(path, headers=ADMIN)
        with counting.counting_statements() as statements:
            answer = request.get_response(application)
        assert len(statements) == 1
        return answer

    # The first one makes the connection.
    webob.Request.blank(path, headers=ADMIN).get_response(application)
    assert ask().status_int == 404
    with database.writer() as connection:
        key = aggregates.insert(connection, 'uuid', 'a', None).id
        made = operations.insert(
            connection, UUID, 'remove_host', key, 'xen1', NOBODY, {'force': 1}
        )
    shown = ask().json['operation']
    assert shown['asked'] == {'force': 1}
    assert shown['step'] == f'{WAITS} runs'
    assert shown['created_at'] == made.created_at.isoformat(
        timespec='microseconds'
    )
    with database.writer() as connection:
        services.beat(connection, 'one', 'machine', -1.0)
    assert ask().json['operation']['step'].startswith(f'{WAITS} has looked')
    with database.writer() as connection:
        services.beat(connection, 'one', 'machine', 60.0)
        operations.start(connection, made.id)
        operations.update(connection, made.id, {'progress': 50})
    shown = ask().json['operation']
    assert (shown['state'], shown['progress']) == ('running', 50)
    assert shown['step'] is None
    with database.writer() as connection:
        operations.finish(connection, made, 'succeeded')
    assert ask().json['operation']['state'] == 'succeeded'
    with database.writer() as connection:
        history.delete_operations(connection, LATER, (), 9)
    assert ask().status_int == 404
    database.dispose()
