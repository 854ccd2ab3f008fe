"""Requests generated from the OpenAPI document, right and wrong ones.

None is answered by a 5xx that it may not have, or by anything that is not
in the document; one that is refused changes nothing. The service is the
whole API in this process; no compute service runs, so that a check of a
host is answered by 503.
"""

import collections
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

from aggregates_ext.domain import inventory
from tests.functional import api_service
from tests.openapi import answers
from tests.openapi import document
from tests.openapi import xmlforms

# A few in CI, always the same ones; as many others as one likes by hand.
EXAMPLES = int(os.environ.get('FUZZ_EXAMPLES', '0'))
ADMIN = f'operator:{api_service.PROJECT}:admin'
DOCUMENT = document.build()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    found.ok().label: found.ok() for found in SCHEMA.get_all_operations()
}
HOSTS = st.sampled_from([*api_service.HOSTS, 'far', 'nobody'])
TEXTS = st.sampled_from(['xen', 'XEN2', 'a', 'nobody', '%', '\u00e9'])
BINARIES = st.sampled_from(['nova-compute'] * 3 + ['nova-scheduler'])
XML = 'application/xml'
# A 5xx that is an answer: no compute service runs; nobody knows it.
MEANT = {503: ('check_host', 'dry_run'), 501: ('/uptime',)}
MODES = [
    schemathesis.GenerationMode.POSITIVE,
    schemathesis.GenerationMode.NEGATIVE,
]


class Api:
    """A service with some aggregates in several states.

    :ivar seen: how often each status was answered.
    :ivar ids: of hypervisors, old and new ones; of services, and actions.
    :ivar kinds: how often each format was sent and answered.
    """

    def __init__(self, database_file: pathlib.Path) -> None:
        self._application, self.database = api_service.make(database_file)
        self.seen: collections.Counter[int] = collections.Counter()
        self.kinds: collections.Counter[tuple[str, str]] = (
            collections.Counter()
        )
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
        found = inventory.Inventory(self.database).get_all()
        self.ids = {
            'hypervisor_id': [
                *(str(node.id) for node in found),
                *(node.hypervisor_uuid for node in found),
            ],
            'service_id': [
                *(node.service_uuid for node in found),
                *('enable', 'disable', 'disable-log-reason', 'force-down'),
            ],
        }

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

    def aggregates(self) -> list[int]:
        """Those that no request has deleted yet, and one that is not."""
        rows = self._watch.execute(
            'SELECT id FROM aggregates WHERE deleted = 0 ORDER BY id'
        ).fetchall()
        return [*(number for (number,) in rows), 5]

    def version(self) -> int:
        """Changes with each change of the database by the service."""
        [(version,)] = self._watch.execute('PRAGMA data_version')
        return int(version)

    def check(self, case: Any) -> None:
        """Send a request and look at all that it did."""
        before = self.version()
        answer, asked = self._send(case)
        self.seen[answer.status_int] += 1
        if answer.status_int >= 500:
            meant = MEANT.get(answer.status_int, ())
            assert any(word in asked.lower() for word in meant), answer.text
        self.kinds[case.media_type, answer.content_type] += 1
        if answer.status_int >= 400:
            assert self.version() == before, answer.text
        self._answers.check(
            case.operation.path,
            case.method,
            answer.status_int,
            answer.headers.get('Content-Type', ''),
            answer.body,
        )

    def _send(self, case: Any) -> tuple[webob.Response, str]:
        """The answer, and what it is to: the URL and the body."""
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
        asked = f'{request.path} {request.body.decode(errors="replace")}'
        return request.get_response(self._application), asked


@pytest.fixture(scope='module')
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp('fuzz') / 'db.sqlite')
    yield made
    made.close()
    made.database.dispose()
    # With -s: how many requests there were, by status.
    print(sum(made.seen.values()), dict(sorted(made.seen.items())))
    print(dict(made.kinds))


def aim(case: Any, data: st.DataObject, known: list[str], api: Api) -> None:
    """Let a request be about what there is, most of the time."""
    path = case.path_parameters or {}
    if 'project_id' in path:
        path['project_id'] = api_service.PROJECT
    if 'aggregate_id' in path and data.draw(st.integers(0, 5)):
        path['aggregate_id'] = data.draw(st.sampled_from(api.aggregates()))
    if 'uuid' in path and data.draw(st.booleans()):
        path['uuid'] = data.draw(st.sampled_from(known))
    if 'alias' in path and data.draw(st.booleans()):
        path['alias'] = 'os-aggregates'
    aim_at_hosts(path, data, api)


def aim_at_hosts(path: dict[str, Any], data: st.DataObject, api: Api) -> None:
    """Let the same be about hosts, by any of their names."""
    if 'host_name' in path and data.draw(st.booleans()):
        path['host_name'] = data.draw(HOSTS)
    for name in sorted(path.keys() & api.ids.keys()):
        if data.draw(st.integers(0, 3)):
            path[name] = data.draw(st.sampled_from(api.ids[name]))
    if 'pattern' in path and data.draw(st.integers(0, 3)):
        path['pattern'] = data.draw(TEXTS)


def fill(body: Any, data: st.DataObject, known: list[str]) -> None:
    """Let a body name hosts and operations that there are."""
    for fields in (body, *body.values()) if isinstance(body, dict) else ():
        if isinstance(fields, dict) and 'host' in fields:
            fields['host'] = data.draw(HOSTS)
        if isinstance(fields, dict) and 'binary' in fields:
            fields['binary'] = data.draw(BINARIES)
        if isinstance(fields, dict) and 'operation' in fields:
            fields['operation'] = data.draw(st.sampled_from(known))


def set_conditions(case: Any, label: str, data: st.DataObject) -> None:
    """Let many requests have no condition, and as many one that holds.

    Which of them have one is drawn here: releases of schemathesis differ in
    how often they leave out what is optional.
    """
    declared = {header.name for header in OPERATIONS[label].headers}
    for header in sorted(declared & {'If-Match', 'If-None-Match'}):
        choice = data.draw(st.sampled_from(['', '', '*', '*', 'as it is']))
        if choice == 'as it is':
            continue
        case.headers = {**(case.headers or {})}
        case.headers.pop(header, None)
        if choice == '*':
            case.headers[header] = '*'


def set_formats(case: Any, data: st.DataObject) -> None:
    """Let the legacy face be asked in XML, and for it, half of the time."""
    if case.media_type == XML:
        content = DOCUMENT['paths'][case.operation.path]
        described = content[case.method.lower()]['requestBody']['content']
        rule = described[XML]['schema']
        # What is generated does not tell of which of them it is.
        rule = data.draw(st.sampled_from(rule.get('oneOf', [rule])))
        case.body = xmlforms.write(rule['xml']['name'], case.body, rule)
    if case.operation.path.startswith('/v1.1') and data.draw(st.booleans()):
        case.headers = {**(case.headers or {}), 'Accept': XML}


@pytest.mark.parametrize('label', sorted(OPERATIONS))
@hypothesis.settings(
    max_examples=EXAMPLES or 30,
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
    aim(case, data, known, api)
    fill(case.body, data, known)
    set_conditions(case, label, data)
    set_formats(case, data)
    api.check(case)


def test_requests_were_of_all_kinds(api: Api) -> None:
    assert {200, 304, 400, 404, 409, 412, 501} <= api.seen.keys()
    formats = ('application/json', XML)
    assert {(a, b) for a in formats for b in formats} <= api.kinds.keys()
