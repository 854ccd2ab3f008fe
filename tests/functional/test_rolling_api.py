"""The restart of all hosts of a pool as clients ask for it and see it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import webob
from lxml import etree

from aggregates_ext.api.edge import wire
from aggregates_ext.db import records
from tests.functional import api_service
from tests.functional import checked_service
from tests.functional import service
from tests.functional import test_migrations
from tests.functional import test_power
from tests.integration import documents

GIB = 1 << 30
STUCK = 'db030610-fd88-5129-95cc-29401dbd0cf4'
FACES = {'json': '/v2.1/os-aggregates', 'xml': '/v1.1/abc123/os-aggregates'}


def ask(kind: str, text: str, status: int = 200, key: int = 1) -> str:
    """Post an action, in JSON or XML, and get the answer in the same."""
    path = f'{FACES[kind]}/{key}/action'
    request = webob.Request.blank(path, method='POST', body=text.encode())
    request.headers['X-Auth-Token'] = 'operator:abc123:admin'
    request.headers['Content-Type'] = f'application/{kind}'
    request.headers['Accept'] = f'application/{kind}'
    answer = request.get_response(api_service.LAZY)
    assert answer.status_int == status, answer.text
    return str(answer.text)


def sample(start: str) -> str:
    return documents.block('user.rst', start)


def tree(text: str) -> Any:
    """XML without the white space between its elements."""
    parser = etree.XMLParser(remove_blank_text=True)
    root = etree.fromstring(text.encode(), parser)
    for element in root.iter():
        if element.text is not None:
            element.text = ' '.join(element.text.split())
    return etree.tostring(root)


@pytest.fixture
def checked() -> Iterator[None]:
    """A pool whose compute service answers, as the stories have it."""
    fixture = checked_service.CheckedService()
    fixture.start_fixture()
    yield
    fixture.stop_fixture()


def test_a_plan_is_told_as_the_guide_says(checked: None) -> None:
    """In both languages, by the real service, and nothing comes of it."""
    body = sample('{"rolling_reboot": {\n    "hosts": ["xen1"],\n    "shut')
    told = json.loads(ask('json', body))
    for problem in told['plan']['warnings']:
        assert problem['code'] == 'MASTER'
    as_xml = ask('xml', sample('<rolling_reboot hard="true" dry_run'))
    root = etree.fromstring(as_xml.encode())
    for warnings in root.iter('warnings'):
        del warnings[:]
        warnings.text = '…'
    whole = etree.tostring(root, encoding='unicode')
    assert tree(whole) == tree(sample('<plan>\n  <blockers/>'))
    for part in (told['plan'], *told['plan']['hosts']):
        part['warnings'] = ['…'] * len(part['warnings'])
    assert told == json.loads(sample('{"plan"'))
    path = f'{FACES["json"]}/1/operations'
    request = webob.Request.blank(path)
    request.headers['X-Auth-Token'] = 'operator:abc123:admin'
    found = request.get_response(api_service.LAZY).json['operations']
    assert {operation['kind'] for operation in found} == {'add_host'}


def test_a_plan_tells_what_forbids_it(checked: None) -> None:
    told = json.loads(ask('json', '{"rolling_reboot": {"dry_run": true}}'))
    [problem] = told['plan']['blockers']
    assert problem['code'] == 'GUEST_IMMOVABLE'
    assert STUCK in problem['remedy']
    assert told['plan']['consent'] == [STUCK]
    assert 'GUEST_IMMOVABLE' in ask('json', '{"rolling_reboot": {}}', 409)
    strange = '{"rolling_reboot": {"hosts": ["xen3", "xen9"]}}'
    assert 'xen3, xen9' in ask('json', strange, 409)
    ask('json', '{"rolling_reboot": {}}', 404, key=9)
    ask('json', '{"rolling_reboot": {"dry_run": true}}', 404, key=9)
    nobody = f'{{"rolling_reboot": {{"shut_down": ["{api_service.PROJECT}'
    ask('json', f'{nobody}"]}}}}', 400)
    nobody = '{"rolling_reboot": {"shut_down": ["11111111-2222-4333-8444-'
    told = ask('json', f'{nobody}555555555555"]}}}}', 400)
    assert 'shut_down names what is not on these hosts' in told


def read_xml(start: str) -> Any:
    """The body of a request that the guide has in XML."""
    request = webob.Request.blank('/', method='POST')
    request.body = sample(start).encode()
    request.content_type = 'application/xml'
    return wire.read(request, xml=True)


def test_requests_of_the_guide_are_the_same_in_xml() -> None:
    for start, xml in (
        ('{"rolling_reboot": {"pause"', '<rolling_reboot pause'),
        ('{"rolling_reboot": {\n    "hosts"', '<rolling_reboot hard="true"'),
        ('{"continue_operation"', '<continue_operation'),
    ):
        assert read_xml(xml) == json.loads(sample(start))
    request = webob.Request.blank(
        '/', method='POST', body=b'<rolling_reboot/>'
    )
    request.content_type = 'application/xml'
    assert wire.read(request, xml=True) == {'rolling_reboot': {}}


class Site:
    """A pool of two, whose guest is on xen2, and its API."""

    def __init__(self, running: service.Service) -> None:
        running.conf.set_override('retry_interval', 0.01, 'compute')
        self.running = running
        self.key = running.create('xen1', 'xen2')
        self.guest = running.sim.add_vm('xen2', 'g0', memory=GIB)
        running.watch(self.key, 0)
        self.api = test_migrations.Api(running)

    def act(self, name: str, status: int = 200, **fields: Any) -> Any:
        path = f'os-aggregates/{self.key}/action'
        body = {name: fields}
        return self.api(path, method='POST', body=body, status=status)

    def show(self, uuid: str) -> Any:
        return self.api(f'os-aggregates/operations/{uuid}')['operation']

    def history(self) -> list[str]:
        """The kinds of all operations of the pool."""
        found = self.api(f'os-aggregates/{self.key}/operations')
        return [operation['kind'] for operation in found['operations']]

    def until(self, uuid: str, **wanted: Any) -> Any:
        """Go on until an operation shows something."""
        for _ in range(200):
            found = self.show(uuid)
            if {name: found[name] for name in wanted} == wanted:
                return found
            test_power.go_on(self.running, self.key)
        raise AssertionError(found)


@pytest.fixture
def site(running: service.Service) -> Site:
    return Site(running)


def test_a_restart_is_shown_and_let_go_on(site: Site) -> None:
    asked = json.loads(sample('{"rolling_reboot": {"pause"'))
    [fields] = asked.values()
    queued = site.act('rolling_reboot', **fields)['operation']
    uuid = queued['uuid']
    assert queued['kind'] == 'rolling_reboot'
    assert queued['asked'] == {
        'only_if_needed': False,
        'restore': True,
        'suspend_ha': False,
        **fields,
    }
    shown = site.show(uuid)
    assert (shown['hosts'], shown['paused']) == ([], None)
    assert shown['seconds_left'] is None
    # There is one already, and nothing waits.
    site.act('rolling_reboot', 409)
    site.act('continue_operation', 409, operation=uuid)
    first = site.until(uuid, paused='xen1')
    assert [h['state'] for h in first['hosts']] == ['paused', 'waiting']
    assert first['seconds_left'] is None
    went_on = site.act('continue_operation', operation=uuid)['operation']
    assert went_on['uuid'] == uuid
    # Whoever looks before the service does is not told to ask again; one whose
    # answer was lost may.
    assert site.show(uuid)['paused'] is None
    site.act('continue_operation', operation=uuid)
    assert site.history().count('continue_operation') == 1
    second = site.until(uuid, paused='xen2')
    done, paused = second['hosts']
    assert (done['host'], done['state']) == ('xen1', 'done')
    assert done['began_at'] <= done['ended_at']
    assert (paused['moved'], paused['ended_at']) == (1, None)
    assert second['seconds_left'] is not None
    [move] = second['moves']
    assert (move['uuid'], move['from'], move['to']) == (
        site.guest,
        'xen2',
        'xen1',
    )
    part = site.show(paused['operation'])
    assert (part['kind'], part['asked']['part_of']) == (
        'enter_maintenance',
        uuid,
    )
    told = json.loads(sample('{"operation": {\n    "hosts"'))['operation']
    assert told.keys() == {'hosts', 'paused', 'seconds_left'}
    for entry in told['hosts']:
        assert entry.keys() == done.keys()
        assert entry['state'] in records.Rolling.STATES
    site.act('cancel_operation', operation=uuid)
    given_up = site.show(uuid)
    assert (given_up['state'], given_up['paused']) == ('running', None)
    # It does not go on, and nobody is told so.
    site.act('continue_operation', 409, operation=uuid)
    ended = site.until(uuid, state='cancelled')
    assert ended['paused'] is ended['seconds_left'] is None
    assert [h['state'] for h in ended['hosts']] == ['done', 'stopped']
    site.act('continue_operation', 409, operation=uuid)
    site.act('continue_operation', 404, operation=site.guest)


def test_the_progress_of_the_guide_is_the_same_in_xml() -> None:
    told = json.loads(sample('{"operation": {\n    "hosts"'))
    for entry in told['operation']['hosts']:
        for name in ('began_at', 'ended_at'):
            entry[name] = entry[name] and entry[name].replace('T', ' ')
    written = wire.write(told, wire.XML).decode()
    assert tree(written) == tree(sample('<operation>\n  <hosts>'))


UPDATES = {
    'packages': ['kernel-4.19.19-8.0.40', 'xen-hypervisor-4.17.5-9'],
    'guidance': ['RebootHost'],
    'reboot': True,
}


def test_an_update_is_asked_for_as_the_guide_says() -> None:
    xml = read_xml('<rolling_update pause')
    assert xml == json.loads(sample('{"rolling_update": {"pause"'))


def test_what_a_host_would_install_is_told_as_the_guide_says() -> None:
    assert json.loads(sample('{"updates"'))['updates'] == UPDATES
    media = wire.choose('application/xml', None)
    as_xml = wire.write({'updates': UPDATES}, media).decode()
    assert tree(as_xml) == tree(sample('<updates>\n  <packages>'))


def test_an_update_is_queued_and_taken_back(site: Site) -> None:
    asked = json.loads(sample('{"rolling_update": {"pause"'))
    [fields] = asked.values()
    queued = site.act('rolling_update', **fields)['operation']
    assert queued['kind'] == 'rolling_update'
    assert queued['asked'] == {
        'only_if_needed': False,
        'restore': True,
        'sync': False,
        **fields,
    }
    site.act('rolling_reboot', 409)
    site.act('rolling_update', 409)
    site.act('continue_operation', 409, operation=queued['uuid'])
    shown = site.show(queued['uuid'])
    assert (shown['hosts'], shown['paused']) == ([], None)
    site.act('cancel_operation', operation=queued['uuid'])
    assert site.show(queued['uuid'])['state'] == 'cancelled'
