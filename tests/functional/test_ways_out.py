"""What a refusal says to do instead is taken in the state that it is said in.

For each kind of operation, and each state of one that cannot be taken back.
"""

import pathlib
import re
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest
import webob

from aggregates_ext.api import app
from aggregates_ext.db import operations as db_operations
from aggregates_ext.domain import remedies
from tests.functional import situations
from tests.functional import test_allowed as allowed
from tests.functional.situations import member
from tests.functional.situations import operation

ONE = allowed.ONE
QUOTED = re.compile(r'"([a-z_]+)"')
LEFT = {'name': 'xen3', 'aggregate_id': None, 'phase': 'free'}
RUN = situations.rolling('running', 'entering')
RUN_OF_UPDATES = {**RUN, 'kind': 'rolling_update'}
PART: situations.Row = {
    'parameters': {'part_of': RUN['uuid'], 'action': 'reboot'}
}
OUT = {'maintenance': 'on', 'service': 'disabled'}
STEP = f'step of operation {RUN["uuid"]}: "cancel_operation" gives that up'
Rows = list[situations.Row]


class Way(NamedTuple):
    """One that cannot be taken back, and what is to be done.

    :ivar rows: a state; the last one is the operation.
    :ivar says: words of the refusal.
    :ivar sent: the request that they tell of: method, path, body.
    :ivar then: what has come to be before it is sent.
    """

    rows: Rows
    says: str
    sent: tuple[str, str, Any] | None
    then: Rows | None = None


def act(name: str, **fields: Any) -> tuple[str, str, Any]:
    """An action on the aggregate."""
    return 'POST', f'{ONE}/action', {name: fields}


def on(kind: str, host: str = 'xen2', **beside: Any) -> situations.Row:
    """One that runs, on a host."""
    return operation(kind, 'running', host, **beside)


def enabling(status: str) -> tuple[str, str, Any]:
    return 'PUT', '/v2.1/os-hosts/xen2', {'status': status}


GIVE_UP = act('cancel_operation', operation=RUN['uuid'])
JOINS, LEAVES = situations.BY_HAND['a join running'], 'a removal under way'
RUNNING = {
    'add_host': Way(JOINS, '"remove_host"', act('remove_host', host='xen3')),
    'remove_host': Way(
        situations.BY_HAND[LEAVES],
        'Wait for its end; then "add_host"',
        act('add_host', host='xen3'),
        [LEFT],
    ),
    'rename': Way(
        [operation('rename', 'running')],
        'Give the aggregate the name',
        ('PUT', ONE, {'aggregate': {'name': 'renamed'}}),
    ),
    'set_master': Way(
        [on('set_master')],
        '"set_master" of another member',
        act('set_master', host='xen1'),
    ),
    'adopt': Way([operation('adopt', 'running')], 'Wait for its end', None),
    'reapply': Way(
        [operation('reapply', 'running')], '"adopt" may be', act('adopt')
    ),
    'delete': Way(
        [operation('delete', 'running')],
        'then create an aggregate anew',
        ('POST', '/v2.1/os-aggregates', {'aggregate': {'name': 'new'}}),
    ),
    'set_hosts': Way(
        situations.BY_HAND['a list of hosts that goes on'],
        'then send the list',
        (
            'PUT',
            f'{ONE}/hosts',
            {'membership': {'hosts': ['xen1', 'xen2', 'xen3']}},
        ),
        [member('xen3')],
    ),
    'disable_host': Way(
        [member('xen2', service='disabled'), on('disable_host')],
        'PUT /os-hosts/xen2), which may be asked for now',
        enabling('enable'),
    ),
    'enable_host': Way(
        [on('enable_host')],
        'PUT /os-hosts/xen2), which may be asked for now',
        enabling('disable'),
    ),
    'enter_maintenance': Way(
        situations.BY_HAND['on its way into maintenance'],
        '"leave_maintenance", which may be asked for now',
        act('leave_maintenance', host='xen2'),
    ),
    'leave_maintenance': Way(
        situations.BY_HAND['on its way out of maintenance'],
        '"enter_maintenance", which may be asked for now',
        act('enter_maintenance', host='xen2'),
    ),
    'power_host': Way(
        [member('xen2', **OUT), on('power_host')],
        'cannot be taken back: wait for the end',
        None,
    ),
    'update_host': Way(
        [member('xen2', **OUT), on('update_host')],
        'cannot be taken back: wait for the end',
        None,
    ),
    # One that has looked at its pool is given up.
    **{
        kind: Way(
            [operation(kind, 'running')],
            'repeat the request in a moment',
            None,
        )
        for kind in db_operations.ROLLING
    },
}
STEPS = {
    'enter_maintenance': [member('xen2', maintenance='entering')],
    'leave_maintenance': [member('xen2', maintenance='leaving')],
    'power_host': [member('xen2', **OUT)],
    'update_host': [member('xen2', **OUT)],
}
WAYS = {
    **RUNNING,
    **{
        f'{kind}, for a run': Way(
            [*rows, RUN, on(kind, **PART)], STEP, GIVE_UP
        )
        for kind, rows in STEPS.items()
    },
}
ON_HOSTS = [k for k in situations.KINDS if k in situations.OF_HOSTS]


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Iterator[allowed.Service]:
    made = allowed.Service(tmp_path / 'db.sqlite')
    yield made
    made.database.dispose()


def is_taken(answer: webob.Response) -> bool:
    """What no compute service has answered, the database has taken."""
    return answer.status_int == 200 or allowed.NOBODY_LOOKED in answer.text


def refused(service: allowed.Service, name: str, **fields: Any) -> str:
    """What the refusal of an action says."""
    answer = service.send(*act(name, **fields))
    assert answer.status_int == 409, answer.text
    [fault] = answer.json.values()
    return str(fault['message'])


def test_each_kind_has_its_way_out() -> None:
    assert set(RUNNING) == set(remedies.RUNNING) == set(situations.KINDS)
    told = {
        word
        for said in remedies.RUNNING.values()
        for word in QUOTED.findall(said)
    }
    assert told <= set(app.ALL_ACTIONS)


@pytest.mark.parametrize('name', WAYS)
def test_what_is_said_is_taken(service: allowed.Service, name: str) -> None:
    way = WAYS[name]
    service.stage.become(way.rows)
    uuid = way.rows[-1]['uuid']
    said = refused(service, 'cancel_operation', operation=uuid)
    assert way.says in said
    named = set(QUOTED.findall(said))
    if way.sent is None:
        assert not named
        return
    method, path, body = way.sent
    if path.endswith('/action'):
        assert named == set(body)
    if way.then is not None:
        service.stage.become(way.then)
    answer = service.send(method, path, body)
    assert is_taken(answer), answer.text


@pytest.mark.parametrize('kind', ON_HOSTS)
def test_what_is_unresolved_is_tried_or_reset(
    service: allowed.Service, kind: str
) -> None:
    phases = {'add_host': 'joining', 'remove_host': 'leaving'}
    one = operation(kind, 'unresolved', 'xen2')
    service.stage.become(
        [member('xen2', phase=phases.get(kind, 'member')), one]
    )
    uuid = one['uuid']
    said = refused(service, 'cancel_operation', operation=uuid)
    assert QUOTED.findall(said) == ['retry_operation', 'reset']
    service.stage.keep()
    for sent in (
        act('retry_operation', operation=uuid),
        act('reset', host='xen2', outcome='member'),
        act('reset', host='xen2', outcome='free'),
    ):
        answer = service.send(*sent)
        assert answer.status_int == 200, answer.text
        service.stage.restore()


@pytest.mark.parametrize('kind', situations.KINDS)
@pytest.mark.parametrize('state', ['succeeded', 'cancelled', 'failed'])
def test_of_what_has_ended_nothing_is_asked(
    service: allowed.Service, kind: str, state: str
) -> None:
    of_host = kind in situations.OF_HOSTS
    one = operation(
        kind,
        state,
        'xen2' if of_host else None,
        settled=True,
        parameters={'parts': [], 'hosts': []},
    )
    service.stage.become([one])
    said = refused(service, 'cancel_operation', operation=one['uuid'])
    assert not QUOTED.findall(said)


@pytest.mark.parametrize('kind', db_operations.ROLLING)
def test_a_run_that_counts_names_no_host(
    service: allowed.Service, kind: str
) -> None:
    one = {**situations.rolling('failed', 'stopped'), 'kind': kind}
    service.stage.become([one])
    [shown] = service.send('GET', f'{ONE}/pool').json['pool']['operations']
    assert 'None' not in shown['remedy']
    named = QUOTED.findall(shown['remedy'])
    assert named == ['retry_operation', 'cancel_operation']
    service.stage.keep()
    for name in named:
        answer = service.send(*act(name, operation=one['uuid']))
        assert answer.status_int == 200, answer.text
        service.stage.restore()


@pytest.mark.parametrize('kind', ON_HOSTS)
def test_what_failed_is_tried_or_reset(
    service: allowed.Service, kind: str
) -> None:
    """As the pool tells of it, where it counts."""
    rows = [operation(kind, 'failed', 'xen2', parameters={'action': 'reboot'})]
    if kind == 'add_host':
        rows += [{**LEFT, 'name': 'xen2'}]
    elif kind in db_operations.ON_EMPTY_HOSTS:
        rows += [member('xen2', **OUT)]
    service.stage.become(rows)
    [shown] = service.send('GET', f'{ONE}/pool').json['pool']['operations']
    named = QUOTED.findall(shown['remedy'])
    assert named == ['retry_operation', 'reset']
    service.stage.keep()
    answer = service.send(*act(named[0], operation=shown['uuid']))
    assert is_taken(answer), answer.text
    service.stage.restore()
    answer = service.send(*act(named[1], host='xen2', outcome='free'))
    assert answer.status_int == 200, answer.text


@pytest.mark.parametrize(
    ('rows', 'said'),
    [
        ([RUN], '"pause": "before_reboot" does'),
        ([RUN_OF_UPDATES], '"pause": "before_update" does'),
        ([on('enter_maintenance')], 'takes the hosts of a pool in turn'),
        (
            situations.BY_HAND['a run paused and given up'],
            'given up, and ends by itself',
        ),
        ([situations.rolling('failed', 'stopped')], '"retry_operation"'),
        ([situations.rolling('cancelled', 'done')], '"retry_operation"'),
        ([situations.rolling('succeeded', 'done')], 'has done its work'),
    ],
)
def test_what_does_not_wait_says_what_does(
    service: allowed.Service, rows: Rows, said: str
) -> None:
    service.stage.become(rows)
    uuid = rows[0]['uuid']
    message = refused(service, 'continue_operation', operation=uuid)
    assert said in message
    if '"retry_operation"' in said:
        answer = service.send(*act('retry_operation', operation=uuid))
        assert answer.status_int == 200, answer.text


def test_what_is_in_the_way_and_unresolved_says_what_ends_it(
    service: allowed.Service,
) -> None:
    service.stage.become(situations.BY_HAND['no host, and a join unresolved'])
    answer = service.send('DELETE', ONE)
    assert answer.status_int == 409
    assert 'action "reset"' in answer.text.replace('\\', '')
    sent = act('reset', host='xen1', outcome='free')
    assert service.send(*sent).status_int == 200
    assert service.send('DELETE', ONE).status_int == 200


def test_a_run_in_the_way_says_how_it_is_ended(
    service: allowed.Service,
) -> None:
    service.stage.become([RUN])
    assert '"cancel_operation"' in refused(service, 'rolling_reboot')
    assert service.send(*GIVE_UP).status_int == 200


def test_a_join_in_the_way_is_taken_back_by_its_state(
    service: allowed.Service,
) -> None:
    """A host that joins cannot be forgotten."""
    service.stage.become(JOINS)
    said = refused(service, 'remove_host', host='xen3', force=True)
    assert 'if it runs, use "remove_host" without "force"' in said
    sent = act('remove_host', host='xen3')
    assert service.send(*sent).status_int == 200
