"""What cannot be is refused with the field and the rule; nothing changes."""

import json
import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import webob

from aggregates_ext.api import app
from tests.functional import api_service

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
LEGACY = f'/v1.1/{api_service.PROJECT}/os-aggregates'
MODERN = '/v2.1/os-aggregates'
JSON = 'application/json'
XML = 'application/xml'


class Api:
    """A running service with one aggregate, ``pool1`` of host ``xen1``."""

    def __init__(self, database_file: pathlib.Path) -> None:
        self._file = database_file
        self._application, self.database = api_service.make(database_file)
        self.post(MODERN, {'aggregate': {'name': 'pool1'}})
        self.post(MODERN, {'aggregate': {'name': 'pool2'}})
        action = f'{MODERN}/1/action'
        self.post(action, {'set_metadata': {'metadata': {'k': 'v'}}})
        self.post(action, {'add_host': {'host': 'xen1'}})

    def send(
        self, method: str, path: str, body: bytes, content_type: str
    ) -> webob.Response:
        request = webob.Request.blank(
            path, method=method, body=body, headers=ADMIN
        )
        request.content_type = content_type
        return request.get_response(self._application)

    def post(self, path: str, body: Any) -> None:
        answer = self.send('POST', path, json.dumps(body).encode(), JSON)
        assert answer.status_int == 200, answer

    def state(self) -> list[str]:
        """All that the database holds."""
        connection = sqlite3.connect(self._file)
        dump = list(connection.iterdump())
        connection.close()
        return dump


@pytest.fixture(scope='module')
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp('bad') / 'db.sqlite')
    yield made
    made.database.dispose()


LONG = 'x' * 256
DEEP = '[' * 100_000
CREATE = [
    # body, words of the message
    ('[]', 'it must be an object'),
    ('{}', 'it has no aggregate'),
    ('"s"', 'it must be an object'),
    ('null', 'it must be an object'),
    ('', 'it is empty'),
    ('{"aggregate": null}', 'aggregate must be an object'),
    ('{"aggregate": "x"}', 'aggregate must be an object'),
    ('{"aggregate": []}', 'aggregate must be an object'),
    ('{"aggregate": {}}', 'aggregate has no name'),
    ('{"aggregate": {"name": "a"}, "b": 1}', 'unknown b'),
    ('{"aggregate": {"name": "a", "c": 1}}', 'unknown c'),
    ('{"aggregate": {"name": null}}', 'aggregate.name must be text'),
    ('{"aggregate": {"name": ""}}', 'aggregate.name must be text'),
    ('{"aggregate": {"name": "  "}}', 'aggregate.name must be text'),
    ('{"aggregate": {"name": 5}}', 'aggregate.name must be text'),
    ('{"aggregate": {"name": ["a"]}}', 'aggregate.name must be text'),
    (f'{{"aggregate": {{"name": "{LONG}"}}}}', 'of 1 to 255 characters'),
    ('{"aggregate": {"name": "a\\u0000b"}}', 'aggregate.name must be text'),
    ('{"aggregate": {"name": "a\\nb"}}', 'aggregate.name must be text'),
    ('{"aggregate": {"name": "\\ud800"}}', 'surrogate'),
    (
        '{"aggregate": {"name": "a", "availability_zone": "a:b"}}',
        'aggregate.availability_zone must be null or text',
    ),
    (
        '{"aggregate": {"name": "a", "availability_zone": ""}}',
        'aggregate.availability_zone must be',
    ),
    (
        f'{{"aggregate": {{"name": "a", "availability_zone": "{LONG}"}}}}',
        'aggregate.availability_zone must be',
    ),
    ('{"aggregate": {"name": "a", "name": "b"}}', "'name' occurs twice"),
    ('{"aggregate": {"name": NaN}}', 'NaN is no number'),
    ('{"aggregate": {"name": Infinity}}', 'Infinity is no number'),
    ('{"aggregate": {"name": 1e999}}', 'aggregate.name must be text'),
    (f'{{"aggregate": {{"name": {"9" * 5000}}}}}', 'not JSON'),
    (f'{{"aggregate": {{"name": {"9" * 4000}}}}}', 'must be text'),
    ('{"aggregate":', 'not JSON'),
    (DEEP, 'nested more than 32 levels deep'),
    ('{"a":' * 900 + '1' + '}' * 900, 'nested more than 32 levels deep'),
    (b'{"aggregate": {"name": "\xff"}}', 'not UTF-8'),
]
UPDATE = [
    ('{"aggregate": "name"}', 'aggregate must be an object'),
    ('{"aggregate": {}}', 'must have name or availability_zone'),
    ('{"aggregate": []}', 'aggregate must be an object'),
    ('[]', 'it must be an object'),
    ('{"aggregate": {"unknown": "a"}}', 'unknown unknown'),
    ('{"aggregate": {"name": null}}', 'aggregate.name must be text'),
    (f'{{"aggregate": {{"name": "{LONG}"}}}}', 'of 1 to 255 characters'),
    *(
        (
            f'{{"aggregate": {{"availability_zone": "{zone}"}}}}',
            'aggregate.availability_zone must be null or text',
        )
        for zone in ('', 'a:b', LONG)
    ),
]
ACTION = [
    ('{}', 'one key, the name of the action'),
    ('[]', 'one key, the name of the action'),
    ('null', 'one key, the name of the action'),
    ('"add_host"', 'one key, the name of the action'),
    (
        '{"add_host": {"host": "xen2"}, "remove_host": {"host": "xen1"}}',
        'one key, the name of the action',
    ),
    ('{"zzz": {}}', "Aggregates does not have 'zzz' action"),
    ('{"index": {}}', "Aggregates does not have 'index' action"),
    ('{"add_host": {}}', 'add_host has no host'),
    ('{"add_host": null}', 'add_host must be an object'),
    ('{"add_host": "xen2"}', 'add_host must be an object'),
    ('{"add_host": {"host": "xen2", "a": 1}}', 'add_host has the unknown a'),
    ('{"add_host": {"host": ["xen2"]}}', 'add_host.host must be text'),
    ('{"add_host": {"host": null}}', 'add_host.host must be text'),
    ('{"add_host": {"host": 5}}', 'add_host.host must be text'),
    ('{"add_host": {"host": ""}}', 'add_host.host must be text'),
    (f'{{"add_host": {{"host": "{LONG}"}}}}', 'add_host.host must be text'),
    ('{"remove_host": {}}', 'remove_host has no host'),
    ('{"remove_host": null}', 'remove_host must be an object'),
    ('{"remove_host": {"host": ["xen1"]}}', 'remove_host.host must be text'),
    ('{"remove_host": {"host": "xen1", "a": 1}}', 'has the unknown a'),
    ('{"remove_host": {"host": "xen1", "force": 1}}', 'be true or false'),
    ('{"remove_host": {"host": "xen1", "force": null}}', 'true or false'),
    ('{"remove_host": {"host": "xen1", "forced": 1}}', 'unknown forced'),
    (
        '{"remove_host": {"host": "xen1", "accept_data_loss": "all"}}',
        'a list of up to 255 SR UUIDs',
    ),
    (
        '{"remove_host": {"host": "xen1", "accept_data_loss": ["all"]}}',
        'remove_host.accept_data_loss',
    ),
    ('{"check_host": {"host": "xen1"}}', 'check_host has no for'),
    ('{"check_host": {"host": "xen1", "for": "x"}}', '"add", "remove", "'),
    ('{"power_host": {"host": "xen1"}}', 'power_host has no action'),
    (
        '{"power_host": {"host": "xen1", "action": "halt"}}',
        'power_host.action must be "reboot", "shutdown" or "startup"',
    ),
    (
        '{"check_host": {"host": "xen1", "for": "maintenance", '
        '"shut_down": "all"}}',
        'a list of up to 1000 UUIDs of guests',
    ),
    (
        '{"check_host": {"host": "xen1", "for": "maintenance", '
        '"shut_down": ["web"]}}',
        'must be a UUID',
    ),
    (
        '{"check_host": {"host": "xen1", "for": "add", "shut_down": []}}',
        'check_host.for must be "maintenance" with shut_down',
    ),
    (
        '{"check_host": {"host": "xen1", "for": "maintenance", "hard": true}}',
        'check_host has no shut_down',
    ),
    (
        '{"enter_maintenance": {"host": "xen1", "shut_down": ["web"]}}',
        'must be a UUID',
    ),
    (
        '{"enter_maintenance": {"host": "xen1", "shut_down": "all"}}',
        'a list of up to 1000 UUIDs of guests',
    ),
    (
        '{"enter_maintenance": {"host": "xen1", "hard": true}}',
        'enter_maintenance has no shut_down',
    ),
    (
        '{"enter_maintenance": {"host": "xen1", "shut_down": [], "hard": 1}}',
        'true or false',
    ),
    ('{"rolling_reboot": null}', 'rolling_reboot must be an object'),
    ('{"rolling_reboot": {"host": "xen1"}}', 'has the unknown host; known: h'),
    (
        '{"rolling_reboot": {"hosts": "xen1"}}',
        'rolling_reboot.hosts must be a list of 1 to 255 names of hosts',
    ),
    ('{"rolling_reboot": {"hosts": []}}', 'a list of 1 to 255 names of host'),
    ('{"rolling_reboot": {"hosts": [1]}}', 'must be text of 1 to 255'),
    ('{"rolling_reboot": {"hosts": null}}', 'names of hosts, not null'),
    (
        '{"rolling_reboot": {"pause": "always"}}',
        'rolling_reboot.pause must be "none" or "before_reboot", not "always"',
    ),
    ('{"rolling_reboot": {"dry_run": "true"}}', 'true or false, not "true"'),
    ('{"rolling_reboot": {"restore": null}}', 'true or false, not null'),
    ('{"rolling_reboot": {"suspend_ha": 1}}', 'true or false, not 1'),
    ('{"rolling_reboot": {"only_if_needed": []}}', 'true or false, not a lis'),
    ('{"rolling_reboot": {"shut_down": ["web"]}}', 'must be a UUID'),
    ('{"rolling_reboot": {"hard": true}}', 'rolling_reboot has no shut_down'),
    (
        '{"rolling_update": {"pause": "before_reboot"}}',
        '"none" or "before_update", not "before_reboot"',
    ),
    ('{"rolling_update": {"only_if_needed": true}}', 'the unknown only_if_n'),
    ('{"rolling_update": {"sync": "now"}}', 'true or false, not "now"'),
    ('{"rolling_reboot": {"sync": true}}', 'has the unknown sync'),
    ('{"continue_operation": {}}', 'continue_operation has no operation'),
    (
        '{"continue_operation": {"operation": "x"}}',
        'continue_operation.operation must be a UUID',
    ),
    ('{"check_host": {"host": 1, "for": "add"}}', 'check_host.host must be'),
    ('{"set_master": {}}', 'set_master has no host'),
    ('{"set_master": {"host": {}}}', 'set_master.host must be text'),
    ('{"set_master": {"host": "xen1", "a": 1}}', 'has the unknown a'),
    ('{"adopt": null}', 'adopt must be an object'),
    ('{"adopt": {"host": "xen1"}}', 'adopt has the unknown host'),
    ('{"reapply": []}', 'reapply must be an object'),
    ('{"reapply": {"force": true}}', 'reapply has the unknown force'),
    ('{"reset": {"outcome": "free"}}', 'reset has no host'),
    ('{"reset": {"host": "xen1"}}', 'reset has no outcome'),
    (
        '{"reset": {"host": "xen1", "outcome": 0}}',
        '"free" or "out_of_maintenance"',
    ),
    ('{"cancel_operation": {}}', 'cancel_operation has no operation'),
    ('{"cancel_operation": {"operation": "x"}}', 'must be a UUID'),
    ('{"set_metadata": {}}', 'set_metadata has no metadata'),
    ('{"set_metadata": {"metadata": null}}', 'must be an object'),
    ('{"set_metadata": {"metadata": []}}', 'must be an object'),
    ('{"set_metadata": {"metadata": "x"}}', 'must be an object'),
    ('{"set_metadata": {"metadata": {}, "a": 1}}', 'has the unknown a'),
    ('{"set_metadata": {"metadata": {"k": 1}}}', 'metadata.k must be null'),
    ('{"set_metadata": {"metadata": {"k": true}}}', 'metadata.k must be'),
    ('{"set_metadata": {"metadata": {"k": {}}}}', 'metadata.k must be null'),
    ('{"set_metadata": {"metadata": {"": "v"}}}', 'each key of set_metadata'),
    (
        f'{{"set_metadata": {{"metadata": {{"{LONG}": "v"}}}}}}',
        'each key of set_metadata',
    ),
    (
        f'{{"set_metadata": {{"metadata": {{"k": "{LONG}"}}}}}}',
        'metadata.k must be null',
    ),
    (
        '{"set_metadata": {"metadata": {"availability_zone": "a:b"}}}',
        'metadata.availability_zone must be',
    ),
]
XML_ACTION = [
    ('<a', 'not XML'),
    ('<add_host>xen2</add_host>', 'add_host must be an object'),
    ('<add_host/>', 'add_host has no host'),
    ('<add_host host="a"><host>b</host></add_host>', 'occurs twice'),
    ('<add_host>x<host>b</host></add_host>', 'beside elements'),
    ('<add_host host="&#1;"/>', 'not XML'),
    ('<add_host host="&x;"/>', 'not XML'),
    ('<remove_host host="xen1" force="1"/>', 'force must be true or false'),
    (
        '<remove_host host="a"><accept_data_loss>x</accept_data_loss>'
        '</remove_host>',
        'accept_data_loss has elements alone',
    ),
    ('<check_host host="a" for="b"/>', '"add", "remove", "'),
    ('<set_master/>', 'set_master has no host'),
    ('<adopt host="a"/>', 'adopt has the unknown host'),
    ('<reapply>x</reapply>', 'reapply must be an object'),
    ('<reset host="a"/>', 'reset has no outcome'),
    ('<cancel_operation operation="1"/>', 'must be a UUID'),
    ('<:a/>', "Aggregates does not have ':a' action"),
    ('<zzz/>', "Aggregates does not have 'zzz' action"),
    ('{"add_host": {"host": "xen2"}}', 'not XML'),
    ('<set_metadata><metadata>x</metadata></set_metadata>', 'an object'),
    ('<a>' * 33 + '</a>' * 33, 'nested more than 32 levels deep'),
    ('<a>' * 10_000, 'nested more than 32 levels deep'),
    ('<?xml version="1.0" encoding="none"?><a/>', 'not XML'),
    (
        '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        'DTD',
    ),
    ('<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>', 'DTD'),
]


def message(answer: webob.Response, status: int) -> str:
    """The text of a JSON fault."""
    assert answer.status_int == status, answer
    assert answer.headers['Content-Type'] == f'{JSON}; charset=UTF-8'
    [(name, fault)] = answer.json.items()
    assert name
    assert fault['code'] == status
    return str(fault['message'])


def refuse(
    api: Api, method: str, path: str, body: Any, kind: str = JSON
) -> str:
    """The message of a 400 that changed nothing."""
    before = api.state()
    data = body if isinstance(body, bytes) else body.encode()
    answer = api.send(method, path, data, kind)
    assert api.state() == before
    return message(answer, 400)


@pytest.mark.parametrize('root', [LEGACY, MODERN])
@pytest.mark.parametrize(('body', 'words'), CREATE)
def test_create(api: Api, root: str, body: Any, words: str) -> None:
    assert words in refuse(api, 'POST', root, body)


@pytest.mark.parametrize('root', [LEGACY, MODERN])
@pytest.mark.parametrize(('body', 'words'), UPDATE)
def test_update(api: Api, root: str, body: Any, words: str) -> None:
    assert words in refuse(api, 'PUT', f'{root}/1', body)


@pytest.mark.parametrize('root', [LEGACY, MODERN])
@pytest.mark.parametrize(('body', 'words'), ACTION)
def test_action(api: Api, root: str, body: Any, words: str) -> None:
    assert words in refuse(api, 'POST', f'{root}/1/action', body)


@pytest.mark.parametrize(('body', 'words'), XML_ACTION)
def test_action_in_xml(api: Api, body: str, words: str) -> None:
    assert words in refuse(api, 'POST', f'{LEGACY}/1/action', body, XML)


@pytest.mark.parametrize('path', ['/foo', '/99', '/0', '/-1', '/' + '9' * 20])
@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_unknown_ids_on_the_legacy_face(
    api: Api, method: str, path: str
) -> None:
    body = b'{"aggregate": {"name": "a"}}'
    answer = api.send(method, LEGACY + path, body, JSON)
    assert message(answer, 404).startswith(f'Aggregate {path[1:]} could not')


@pytest.mark.parametrize(
    ('path', 'kind'), [(MODERN, JSON), (LEGACY, JSON), (LEGACY, XML)]
)
def test_ten_mebibytes(api: Api, path: str, kind: str) -> None:
    answer = api.send('POST', path, b' ' * 10 * 2**20, kind)
    assert '114688 bytes at most' in message(answer, 413)


def test_body_without_end(api: Api) -> None:
    request = webob.Request.blank(MODERN, method='POST', headers=ADMIN)
    request.content_type = JSON
    request.environ['wsgi.input_terminated'] = True
    request.environ.pop('CONTENT_LENGTH', None)
    request.body_file_raw = open('/dev/zero', 'rb')  # noqa: SIM115
    answer = request.get_response(api._application)
    request.body_file_raw.close()
    assert 'bytes at most' in message(answer, 413)


@pytest.mark.parametrize('root', [LEGACY, MODERN])
@pytest.mark.parametrize(
    'kind', ['application/x-www-form-urlencoded', 'image/png', 'text/html']
)
def test_other_media_types(api: Api, root: str, kind: str) -> None:
    answer = api.send('POST', root, b'name=a', kind)
    assert f'{kind} is not understood' in message(answer, 415)


@pytest.mark.parametrize('root', [LEGACY, MODERN])
@pytest.mark.parametrize('name', sorted(app.ACTIONS))
def test_no_action_takes_what_it_does_not_know(
    api: Api, root: str, name: str
) -> None:
    """Whatever actions there are: none lacks a schema."""
    path = f'{root}/1/action'
    for fields in (None, [], 'x', {'what?': 1}):
        assert name in refuse(api, 'POST', path, json.dumps({name: fields}))


def test_nothing_has_happened(api: Api) -> None:
    answer = api.send('GET', MODERN, b'', JSON)
    names = [item['name'] for item in answer.json['aggregates']]
    assert names == ['pool1', 'pool2']
