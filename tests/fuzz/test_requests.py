"""Requests generated from the OpenAPI document, right and wrong ones.

None is answered by a 5xx that it may not have, or by anything that is not
in the document; one that is refused changes nothing. The service is the
whole API in this process; no compute service runs, so that a check of a
host is answered by 503.
"""

import collections
import json
import os
import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
import webob
from hypothesis import strategies as st

from tests.functional import api_service
from tests.openapi import answers
from tests.openapi import document

# A few in CI, always the same ones; as many others as one likes by hand.
EXAMPLES = int(os.environ.get('FUZZ_EXAMPLES', '0'))
ADMIN = f'operator:{api_service.PROJECT}:admin'
SCHEMA = schemathesis.openapi.from_dict(document.build())
OPERATIONS = {
    found.ok().label: found.ok() for found in SCHEMA.get_all_operations()
}
HOSTS = st.sampled_from([*api_service.HOSTS, 'far', 'nobody'])
MODES = [
    schemathesis.GenerationMode.POSITIVE,
    schemathesis.GenerationMode.NEGATIVE,
]


class Api:
    """A service with some aggregates in several states.

    :ivar seen: how often each status was answered.
    """

    def __init__(self, database_file: pathlib.Path) -> None:
        self._application, self.database = api_service.make(database_file)
        self.seen: collections.Counter[int] = collections.Counter()
        self._answers = answers.Answers()
        self._watch = sqlite3.connect(database_file, check_same_thread=False)
        self._post('', {'aggregate': {'name': 'pool1'}})
        for name in ('pool2', 'pool3', 'pool4'):
            # A host of another zone is refused after it was bound.
            body = {'name': name, 'availability_zone': 'az1'}
            self._post('', {'aggregate': body})
        self._post('/1/action', {'add_host': {'host': 'xen1'}})
        with self.database.writer() as connection:
            connection.exec_driver_sql(
                "UPDATE hosts SET phase = 'member' WHERE aggregate_id = 1"
            )
            connection.exec_driver_sql(
                "UPDATE operations SET state = 'failed', error = "
                '\'{"code": "C", "message": "m", "parameters": ["p"]}\''
            )
            connection.exec_driver_sql("UPDATE aggregates SET pool_uuid = 'p'")
        self._post('/1/action', {'set_master': {'host': 'xen1'}})

    def _post(self, path: str, body: Any) -> None:
        request = webob.Request.blank(
            f'/v2.1/os-aggregates{path}',
            method='POST',
            headers={'X-Auth-Token': ADMIN},
        )
        request.json = body
        answer = request.get_response(self._application)
        assert answer.status_int == 200, answer.text

    def close(self) -> None:
        self._watch.close()

    def operations(self) -> list[str]:
        rows = self._watch.execute('SELECT uuid FROM operations').fetchall()
        return [uuid for (uuid,) in rows]

    def version(self) -> int:
        """Changes with each change of the database by the service."""
        [(version,)] = self._watch.execute('PRAGMA data_version')
        return int(version)

    def check(self, case: Any) -> None:
        """Send a request and look at all that it did."""
        before = self.version()
        answer = self._send(case)
        self.seen[answer.status_int] += 1
        is_check = 'check_host' in str(case.body)
        assert answer.status_int < 500 or (
            answer.status_int == 503 and is_check
        ), answer.text
        if answer.status_int >= 400:
            assert self.version() == before, answer.text
        self._answers.check(
            case.operation.path,
            case.method,
            answer.status_int,
            answer.headers.get('Content-Type', ''),
            json.loads(answer.body) if answer.body else None,
        )

    def _send(self, case: Any) -> webob.Response:
        arguments = case.as_transport_kwargs(base_url='http://localhost')
        for name in ('cookies', 'timeout', 'allow_redirects', 'verify'):
            arguments.pop(name, None)
        prepared = requests.Request(**arguments).prepare()
        body = prepared.body or b''
        request = webob.Request.blank(
            prepared.path_url,
            method=case.method,
            body=body if isinstance(body, bytes) else body.encode(),
        )
        for name, value in prepared.headers.items():
            text = value if isinstance(value, str) else value.decode('latin-1')
            request.headers[name] = text
        request.headers['X-Auth-Token'] = ADMIN
        return request.get_response(self._application)


@pytest.fixture(scope='module')
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp('fuzz') / 'db.sqlite')
    yield made
    made.close()
    made.database.dispose()
    # With -s: how many requests there were, by status.
    print(sum(made.seen.values()), dict(sorted(made.seen.items())))


def aim(case: Any, data: st.DataObject, known: list[str]) -> None:
    """Let a request be about what there is, most of the time."""
    path = case.path_parameters or {}
    if 'project_id' in path:
        path['project_id'] = api_service.PROJECT
    if 'aggregate_id' in path and data.draw(st.integers(0, 5)):
        path['aggregate_id'] = data.draw(st.integers(1, 4))
    if 'uuid' in path and data.draw(st.booleans()):
        path['uuid'] = data.draw(st.sampled_from(known))
    if 'alias' in path and data.draw(st.booleans()):
        path['alias'] = 'os-aggregates'


def fill(body: Any, data: st.DataObject, known: list[str]) -> None:
    """Let a body name hosts and operations that there are."""
    for fields in body.values() if isinstance(body, dict) else ():
        if isinstance(fields, dict) and 'host' in fields:
            fields['host'] = data.draw(HOSTS)
        if isinstance(fields, dict) and 'operation' in fields:
            fields['operation'] = data.draw(st.sampled_from(known))


def set_conditions(case: Any, data: st.DataObject) -> None:
    """Let most requests have no condition, and some one that holds."""
    for header in ('If-Match', 'If-None-Match'):
        if case.headers and header in case.headers:
            choice = data.draw(st.sampled_from(['', '', '', '*', 'as it is']))
            if choice != 'as it is':
                del case.headers[header]
            if choice == '*':
                case.headers[header] = '*'


@pytest.mark.parametrize('label', sorted(OPERATIONS))
@hypothesis.settings(
    max_examples=EXAMPLES or 30,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(data=st.data())
def test_any_request_is_answered_as_documented(
    api: Api, label: str, data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from(MODES))
    try:
        strategy = OPERATIONS[label].as_strategy(generation_mode=mode)
        case = data.draw(strategy)
    except schemathesis.errors.SchemathesisError:
        hypothesis.reject()
    known = api.operations()
    aim(case, data, known)
    fill(case.body, data, known)
    set_conditions(case, data)
    api.check(case)


def test_requests_were_of_all_kinds(api: Api) -> None:
    assert {200, 304, 400, 404, 409, 412} <= api.seen.keys()
