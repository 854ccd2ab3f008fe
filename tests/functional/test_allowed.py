"""What is told of each action is what comes of it when it is sent.

In each state all that is told is sent, on that very state each time: what is
allowed is taken, and what is not is refused with the same words.
"""

import json
import pathlib
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest
import webob

from aggregates_ext import policy
from aggregates_ext.api import app
from aggregates_ext.db import operations as db_operations
from tests.functional import api_service
from tests.functional import situations
from tests.integration import documents

ONE = '/v2.1/os-aggregates/1'
ADMIN = f'operator:{api_service.PROJECT}:admin'
# Told wherever a host is: also where it belongs to another aggregate.
HOSTS = ('xen1', 'xen2', 'xen3', 'xen4', 'far')
# What no compute service has answered: the database had nothing against it.
NOBODY_LOOKED = 'No compute service made the check in time.'
# What a body says that is no matter of the state.
BESIDE = {
    'check_host': {'for': 'remove'},
    'set_metadata': {'metadata': {'key': 'value'}},
}
SOME, MANY = 20, 60
_ASKED: dict[str, Any] = {'asked': {}}


class Told(NamedTuple):
    """An action, what it names, and what is told of it."""

    action: str
    about: dict[str, Any]
    shown: dict[str, Any]


class Service:
    """An API on a state that is there again after each request."""

    def __init__(
        self, database_file: pathlib.Path, policy_file: str = ''
    ) -> None:
        self._application, self.database = api_service.make(
            database_file, policy_file=policy_file
        )
        self.stage = situations.Stage(self.database)

    def send(
        self, method: str, path: str, body: Any = None, token: str = ADMIN
    ) -> webob.Response:
        headers = {'X-Auth-Token': token}
        request = webob.Request.blank(path, method=method, headers=headers)
        if body is not None:
            request.json = body
        return request.get_response(self._application)

    def told(self, token: str = ADMIN) -> list[Told]:
        """All that is told, also of hosts that are not bound."""
        whole = self._ask(token)
        found = [Told(s['action'], {}, s) for s in whole['actions']]
        for name in HOSTS:
            [of_host] = self._ask(token, f'?host={name}')['hosts']
            assert of_host['name'] == name
            assert of_host in whole['hosts'] or name not in [
                host['name'] for host in whole['hosts']
            ]
            found += [
                Told(s['action'], {'host': name}, s)
                for s in of_host['actions']
            ]
        for item in whole['operations']:
            found += [
                Told(s['action'], {'operation': item['uuid']}, s)
                for s in item['actions']
            ]
        return found

    def _ask(self, token: str, query: str = '') -> Any:
        answer = self.send('GET', f'{ONE}/allowed_actions{query}', None, token)
        assert answer.status_int == 200, answer.text
        return answer.json['allowed_actions']

    def do(self, told: Told, token: str = ADMIN) -> webob.Response:
        """Send what was told, and take it back."""
        name = told.action
        if name == 'update':
            sent = 'PUT', ONE, {'aggregate': {'name': 'renamed'}}
        elif name == 'delete':
            sent = 'DELETE', ONE, None
        elif name == 'set_hosts':
            listed = self.send('GET', ONE).json['aggregate']['hosts']
            body = {'membership': {'hosts': listed}}
            sent = 'PUT', f'{ONE}/hosts', body
        else:
            fields = {
                **BESIDE.get(name, {}),
                **told.shown['asked'],
                **told.about,
            }
            sent = 'POST', f'{ONE}/action', {name: fields}
        answer = self.send(*sent, token)
        self.stage.restore()
        return answer


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Iterator[Service]:
    made = Service(tmp_path / 'db.sqlite')
    yield made
    made.database.dispose()


def disagreement(told: Told, answer: webob.Response) -> str | None:
    """In what an answer is not what was told of it."""
    shown, taken = told.shown, answer.status_int == 200
    if answer.status_int == 503 and NOBODY_LOOKED in answer.text:
        taken = True
    if shown['allowed'] != taken or taken != (shown['refusal'] is None):
        return f'{told} came to {answer.status} {answer.text}'
    if taken:
        return None
    [(name, fault)] = answer.json.items()
    came = {
        'code': answer.status_int,
        'name': name,
        'message': fault['message'],
        'passes': 'Retry-After' in answer.headers,
    }
    return None if shown['refusal'] == came else f'{told} came to {came}'


def compare(service: Service, token: str = ADMIN) -> list[Told]:
    """Send all that is told in a state; the answer: what was."""
    service.stage.keep()
    told = service.told(token)
    wrong = [disagreement(each, service.do(each, token)) for each in told]
    assert not [text for text in wrong if text]
    return told


def is_called_for(told: Told, uuid: str) -> bool:
    """Whether a refusal says that an operation is to be tried again."""
    reason = told.shown['refusal']['message']
    return f'UNFINISHED: operation {uuid} ' in reason


def laxer(service: Service, told: list[Told]) -> list[str]:
    """What is tried again, though it may not be asked for now.

    But where to try it again is what a refusal calls for.
    """
    with service.database.reader() as connection:
        ended = [
            operation
            for operation in db_operations.get_all(connection, 1)
            if operation.state in ('failed', 'cancelled')
        ]
    found = []
    for operation in ended:
        about = {'host': operation.host} if operation.host else {}
        known = operation.parameters
        refused = [
            each
            for each in told
            if (each.action, each.about) == (operation.kind, about)
            and each.shown['asked'].items() <= known.items()
            and known.get('force') == each.shown['asked'].get('force')
            and not each.shown['allowed']
            and not is_called_for(each, operation.uuid)
        ]
        again = Told('retry_operation', {'operation': operation.uuid}, _ASKED)
        if refused and service.do(again).status_int == 200:
            found.append(f'{operation}, {refused}')
    return found


@pytest.mark.parametrize('name', situations.BY_HAND)
def test_what_is_told_is_what_comes_of_it(service: Service, name: str) -> None:
    service.stage.become(situations.BY_HAND[name])
    assert not laxer(service, compare(service))


@pytest.mark.parametrize(
    'seed',
    [
        *range(SOME),
        *(pytest.param(n, marks=pytest.mark.long) for n in range(SOME, MANY)),
    ],
)
def test_so_it_is_in_any_state(service: Service, seed: int) -> None:
    service.stage.become(situations.by_chance(seed))
    assert not laxer(service, compare(service))


def changing() -> set[str]:
    """The routes below an aggregate that change something, but by actions."""
    found = set()
    table = app.routes(app.catalogue(embedded=False), embedded=False)
    for template, methods in table.items():
        if template.startswith('/os-aggregates/{aggregate_id}'):
            found |= {
                f'{method} {template}'
                for method, route in methods.items()
                if method != 'GET' and route.known is None
            }
    return found


def test_each_action_is_told_in_each_of_its_ways(service: Service) -> None:
    """Whatever actions there come to be: without a question none can be."""
    service.stage.become(situations.BY_HAND['a run paused'])
    told = {
        (each.action, tuple(each.shown['asked'].items()))
        for each in service.told()
    }
    assert told == {
        (name, tuple(question.asked.items()))
        for name, action in app.ALL_ACTIONS.items()
        for question in action.questions
    }
    assert {name for name, _asked in told} == set(app.ALL_ACTIONS)
    assert changing() == {
        # Which actions are sent to.
        'POST /os-aggregates/{aggregate_id}/action',
        # Is never taken.
        'POST /os-aggregates/{aggregate_id}/images',
    }


def test_in_these_states_each_action_is_allowed_and_is_not(
    service: Service,
) -> None:
    """Else the comparison would show little."""
    seen: set[tuple[str, bool]] = set()
    service.stage.keep()
    for rows in situations.BY_HAND.values():
        service.stage.become(rows)
        seen |= {(t.action, t.shown['allowed']) for t in service.told()}
        service.stage.restore()
    always = {'update', 'set_metadata', 'set_hosts', 'check_host'}
    assert seen == {
        (name, allowed)
        for name in app.ALL_ACTIONS
        for allowed in (True, False)
        if allowed or name not in always
    }


def test_policy_refuses_before_the_state_does(tmp_path: pathlib.Path) -> None:
    """To each who asks what he may, whoever has asked before."""
    rules = sorted(
        {
            policy.FORCE_REMOVE_HOST,
            *(r for a in app.ALL_ACTIONS.values() for r in a.rules),
        }
    )
    lines = [f'"{rule}": "role:r{n}"\n' for n, rule in enumerate(rules)]
    lines += [f'"{rule}": "@"\n' for rule in (policy.POOL, policy.SHOW)]
    file = tmp_path / 'policy.yaml'
    file.write_text(''.join(lines))
    service = Service(tmp_path / 'db.sqlite', str(file))
    service.stage.become(situations.BY_HAND['a removal by force failed'])
    told = {}
    for number, rule in enumerate(rules):
        roles = [f'r{n}' for n in range(len(rules)) if n != number]
        token = f'user:{api_service.PROJECT}:{",".join(roles)}'
        told[rule] = compare(service, token)
    service.database.dispose()
    forbidden = {
        rule: {
            each.action
            for each in found
            if (each.shown['refusal'] or {}).get('code') == 403
        }
        for rule, found in told.items()
    }
    assert all(forbidden.values())
    assert forbidden[policy.ROLLING] == {
        'rolling_reboot',
        'rolling_update',
        'continue_operation',
    }
    assert forbidden[policy.ADD_HOST] == {'add_host', 'set_hosts'}
    assert forbidden[policy.FORCE_REMOVE_HOST] == {
        'remove_host',
        'retry_operation',
    }


@pytest.mark.parametrize(
    ('path', 'said'),
    [
        (f'{ONE}/allowed_actions?host=nobody', 'nobody is not registered'),
        ('/v2.1/os-aggregates/77/allowed_actions', 'Aggregate 77 could not'),
    ],
)
def test_what_is_not_there(service: Service, path: str, said: str) -> None:
    answer = service.send('GET', path)
    assert answer.status_int == 404
    assert said in answer.text


def test_of_a_deleted_aggregate_nothing_is_told(service: Service) -> None:
    rows = situations.BY_HAND['no host']
    service.stage.become(rows)
    assert service.send('DELETE', ONE).status_int == 200
    answer = service.send('GET', f'{ONE}/allowed_actions')
    assert answer.status_int == 404


def test_sample_is_an_answer(service: Service) -> None:
    """What the guide shows of it is what comes of that state."""
    service.stage.become(situations.BY_HAND['a join failed'])
    [failed] = service.send('GET', f'{ONE}/pool').json['pool']['operations']
    sample = json.loads(documents.block('user.rst', '{"allowed_actions"'))
    shown = sample['allowed_actions']
    told = service.send('GET', f'{ONE}/allowed_actions').json
    whole = told['allowed_actions']
    for key in ('actions', 'hosts', 'operations'):
        assert shown[key], key
    for action in shown['actions']:
        assert action in whole['actions']
    for host in shown['hosts']:
        [same] = [h for h in whole['hosts'] if h['name'] == host['name']]
        for action in host['actions']:
            assert action in same['actions']
    text = json.dumps(shown['operations']).replace(
        shown['operations'][0]['uuid'], failed['uuid']
    )
    [operation], [same] = json.loads(text), whole['operations']
    assert operation['uuid'] == same['uuid']
    for action in operation['actions']:
        assert action in same['actions']
