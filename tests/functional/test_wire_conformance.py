"""The table of answers is true on both faces, reasoned and told."""

import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import webob

from aggregates_ext.db import hosts
from aggregates_ext.db import pools
from aggregates_ext.db import records
from tests.functional import api_service
from tests.functional import wire_conformance

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
ROOTS = {'legacy': f'/v1.1/{api_service.PROJECT}/', 'modern': '/v2.1/'}
JSON = 'application/json'
STAGE = [
    'POST os-aggregates {"aggregate": {"name": "pool1"}}',
    'POST os-aggregates {"aggregate": {"name": "pool2"}}',
    'POST os-aggregates/1/action {"set_metadata": {"metadata": {"k": "v"}}}',
]
CASES = wire_conformance.load()
FIELDS = {
    *(
        'what',
        'given',
        'given_nova',
        'members',
        'drifted',
        'request',
        'type',
        'microversion',
    ),
    *('ours', 'says', 'shows', 'essex', 'nova', 'why'),
}


class Api:
    """A service that can be put back to where each case begins.

    There are the aggregates 1, ``pool1`` with metadata, and 2, ``pool2``.
    """

    def __init__(self, database_file: pathlib.Path) -> None:
        self._file = database_file
        self._application, self.database = api_service.make(database_file)
        for line in STAGE:
            self.send(ROOTS['modern'], line, ok=True)
        self._stage = sqlite3.connect(':memory:')
        with sqlite3.connect(database_file) as made:
            made.backup(self._stage)
        made.close()

    def restore(self) -> None:
        with sqlite3.connect(self._file) as used:
            self._stage.backup(used)
        used.close()

    def dump(self) -> list[str]:
        """All that the database holds."""
        connection = sqlite3.connect(self._file)
        lines = list(connection.iterdump())
        connection.close()
        return lines

    def join(self, name: str) -> None:
        """Make a host a member of aggregate 1, as the service would."""
        with self.database.writer() as connection:
            assert hosts.bind(connection, name, 1)
            assert hosts.move(connection, name, 1, ('joining',), 'member')

    def drift(self) -> None:
        """Put aggregate 1 in state error."""
        dead = records.Drift('MEMBER_DEAD', 'It is dead.', 'xen1', 'u1', 1.0)
        view = {'name_label': 'pool1', 'master': 'u1', 'hosts': []}
        with self.database.writer() as connection:
            pools.set_observation(connection, 1, view, [dead], 2.0)
        shown = self.send(ROOTS['legacy'], 'GET os-aggregates/1', ok=True)
        assert shown.json['aggregate']['operational_state'] == 'error'

    def send(
        self, root: str, line: str, ok: bool = False, **more: Any
    ) -> webob.Response:
        asked = wire_conformance.parse(line)
        request = webob.Request.blank(
            root + asked.path,
            method=asked.method,
            body=asked.body.encode(),
            headers={**ADMIN, **more.get('headers', {})},
        )
        request.content_type = more.get('kind', JSON)
        answer = request.get_response(self._application)
        assert not ok or answer.status_int == 200, (line, answer)
        return answer

    def close(self) -> None:
        self._stage.close()
        self.database.dispose()


@pytest.fixture(scope='module')
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp('wire') / 'db.sqlite')
    yield made
    made.close()


def every(*, face: bool) -> list[Any]:
    """All cases as parameters, once for each of their faces if asked."""
    return [
        pytest.param(case, *([at] if face else []), id=f'{subject}-{n}-{at}')
        for subject, cases in CASES.items()
        for n, case in enumerate(cases, 1)
        for at in (wire_conformance.faces(case) if face else ['case'])
    ]


@pytest.mark.parametrize(('case', 'face'), every(face=True))
def test_answer(api: Api, case: dict[str, Any], face: str) -> None:
    api.restore()
    for line in case.get('given', []):
        api.send(ROOTS[face], line, ok=True)
    for name in case.get('members', []):
        api.join(name)
    if case.get('drifted'):
        api.drift()
    before = api.dump()
    version = case.get('microversion')
    headers = {'OpenStack-API-Version': f'compute {version}'}
    answer = api.send(
        ROOTS[face],
        case['request'],
        headers=headers if version else {},
        kind=case.get('type', JSON),
    )
    expected = wire_conformance.ours(case, face)
    assert answer.status_int == expected, answer
    if expected == 200:
        check_facts(api, case, face, answer)
    else:
        check_fault(case, answer)
        assert api.dump() == before


def check_fault(case: dict[str, Any], answer: webob.Response) -> None:
    [fault] = answer.json.values()
    assert fault['code'] == answer.status_int
    assert case.get('says', '') in fault['message']


def check_facts(
    api: Api, case: dict[str, Any], face: str, answer: webob.Response
) -> None:
    """Compare what the case shows of the aggregate afterwards."""
    if 'shows' not in case:
        return
    key = answer.json['aggregate']['id']
    shown = api.send(ROOTS[face], f'GET os-aggregates/{key}', ok=True)
    found = shown.json['aggregate']
    for name, value in case['shows'].items():
        assert found[name] == value, name


@pytest.mark.parametrize('case', every(face=False))
def test_case_is_whole(case: dict[str, Any]) -> None:
    assert case.keys() <= FIELDS
    assert wire_conformance.faces(case)
    if isinstance(case['ours'], dict):
        assert list(case['ours']) == wire_conformance.faces(case)


@pytest.mark.parametrize('case', every(face=False))
def test_a_difference_has_its_reason(case: dict[str, Any]) -> None:
    assert ('why' in case) == wire_conformance.differs(case)


def test_the_document_is_in_step() -> None:
    told = wire_conformance.DOCUMENT.read_text(encoding='utf-8')
    assert told == wire_conformance.render(CASES), (
        'run python -m tests.functional.wire_conformance'
    )
