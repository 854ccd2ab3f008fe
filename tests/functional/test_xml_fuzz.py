"""Whatever comes as XML is answered, in XML, and changes nothing unless
it is understood."""

import collections
import os
import pathlib
import sqlite3
from collections.abc import Iterator

import hypothesis
import pytest
import webob
from lxml import etree

from tests.functional import api_service
from tests.functional import xmltrees

ADMIN = {
    'X-Auth-Token': f'operator:{api_service.PROJECT}:admin',
    'Accept': 'application/xml',
    'Content-Type': 'application/xml',
}
ROOT = f'/v1.1/{api_service.PROJECT}/os-aggregates'
REQUESTS = [
    ('POST', ROOT),
    ('PUT', f'{ROOT}/1'),
    ('PUT', f'{ROOT}/1/hosts'),
    ('POST', f'{ROOT}/1/action'),
]
# A few in CI, always the same ones; as many others as one likes by hand.
EXAMPLES = int(os.environ.get('FUZZ_EXAMPLES', '0'))
KNOWN = {200, 400, 404, 409, 413, 503}


class Api:
    """A service with aggregate 1.

    :ivar seen: how often each status was answered.
    """

    def __init__(self, database_file: pathlib.Path) -> None:
        self._file = database_file
        self._application, self.database = api_service.make(database_file)
        self.seen: collections.Counter[int] = collections.Counter()
        self.send('POST', ROOT, b'<aggregate name="pool1"/>')

    def send(self, method: str, path: str, body: bytes) -> webob.Response:
        request = webob.Request.blank(
            path, method=method, body=body, headers=ADMIN
        )
        answer = request.get_response(self._application)
        self.seen[answer.status_int] += 1
        return answer

    def state(self) -> list[str]:
        connection = sqlite3.connect(self._file)
        dump = list(connection.iterdump())
        connection.close()
        return dump


@pytest.fixture(scope='module')
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp('fuzz') / 'db.sqlite')
    yield made
    made.database.dispose()


@pytest.mark.parametrize(('method', 'path'), REQUESTS)
@hypothesis.settings(
    max_examples=EXAMPLES or 200,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(body=xmltrees.DOCUMENTS)
def test_any_document_is_answered(
    api: Api, method: str, path: str, body: bytes
) -> None:
    before = api.state()
    answer = api.send(method, path, body)
    assert answer.status_int in KNOWN, answer.text
    root = etree.fromstring(answer.body)
    if answer.status_int == 200:
        assert answer.headers['Content-Type'] == 'application/xml'
        return
    assert api.state() == before
    assert etree.QName(root).namespace.endswith('/compute/api/v1.1')
    assert root.get('code') == str(answer.status_int)
    [message] = root
    assert message.text


def test_some_documents_were_understood(api: Api) -> None:
    """The documents are not all of a kind that is refused at the door."""
    assert {200, 400, 404} <= api.seen.keys()
