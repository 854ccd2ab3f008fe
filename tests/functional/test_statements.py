"""No request needs more than eight SQL statements, however much there is."""

import contextlib
import pathlib
import uuid
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import pytest
import webob

from aggregates_ext.api import app
from aggregates_ext.api.edge import routing
from aggregates_ext.api.resources import absent
from aggregates_ext.db import hosts
from aggregates_ext.db import operations
from tests import counting as counting_of
from tests.functional import api_service

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
BUDGET = 8
# Besides, for each host that a list of hosts changes.
EACH = 5
NEIGHBOURS = [
    'os-hosts',
    'os-hosts/xen1',
    'os-services',
    'os-hypervisors',
    'os-hypervisors/detail',
    'os-hypervisors/statistics',
    'os-hypervisors/1',
    'os-hypervisors/xen/search',
    'os-hypervisors/xen/servers',
    'os-availability-zone',
    'os-availability-zone/detail',
    *(path.strip('/') for path in absent.ROUTES if '{' not in path),
    'os-simple-tenant-usage/abc',
    'servers',
    'servers/detail',
    'os-migrations',
]
ALL = '/v2.1/os-aggregates'
ONE = f'{ALL}/1'
# Of xen3, and queued unless a case says otherwise.
OPERATION = '11111111-2222-4333-8444-555555555555'


class Case(NamedTuple):
    """A request, and what is changed in the database before it.

    :ivar body: of an action of aggregate 1, unless ``path`` is given.
    :ivar status: of the answer.
    :ivar changed: how many hosts change, where it is about many.
    """

    body: Any = None
    before: tuple[str, ...] = ()
    method: str = 'POST'
    path: str = f'{ONE}/action'
    status: int = 200
    version: str = '2.1'
    changed: int = 0


def was(kind: str, state: str, host: str, **parameters: bool) -> str:
    """The operation of the stage is another."""
    name = 'NULL' if host == 'NULL' else f"'{host}'"
    known = '{"force": true}' if parameters else '{}'
    return (
        f"UPDATE operations SET kind = '{kind}', state = '{state}', "  # noqa: S608
        f"host = {name}, settled = false, parameters = '{known}'"
    )


def moved(host: str, phase: str) -> str:
    return (
        f"UPDATE hosts SET aggregate_id = 1, phase = '{phase}' "  # noqa: S608
        f"WHERE name = '{host}'"
    )


# A guest that runs on xen1, and a move of it.
GUEST = '33333333-2222-4333-8444-555555555555'
SERVER = f'/v2.1/servers/{GUEST}'
SEEN = (
    'INSERT INTO guests (aggregate_id, ref, uuid, name, host_uuid, '  # noqa: S608
    'power_state, memory, vcpus, first_seen, changed_at) '
    f"VALUES (1, 'r', '{GUEST}', 'web', 'x1', 'Running', 1, 1, 1, 1)"
)
MOVING = (
    'INSERT INTO moves (uuid, aggregate_id, guest_uuid, guest_name, source, '  # noqa: S608
    'state, ended, cancelled, progress, attempts, tried, created_at, '
    f"updated_at) VALUES ('{OPERATION}', 1, '{GUEST}', 'web', 'xen1', "
    "'queued', 0, false, 0, 0, '{}', '2026-01-01 00:00:00', "
    "'2026-01-01 00:00:00')"
)
UNKNOWN = "UPDATE moves SET state = 'unresolved', target = 'xen2'"
WITHIN = {'block_migration': False, 'disk_over_commit': False}
FREED = "UPDATE hosts SET aggregate_id = NULL, phase = 'free'"
RETRY = {'retry_operation': {'operation': OPERATION}}
CANCEL = {'cancel_operation': {'operation': OPERATION}}
FORCE = {'remove_host': {'host': 'xen1', 'force': True}}
# A restart of all hosts that waits with the first one.
ROLLED = (
    'UPDATE operations SET parameters = \'{"pause": "before_reboot", '
    '"roll": [{"host": "xen1", "state": "paused", "began": 1.5, '
    '"entered": [1]}, {"host": "xen2", "state": "waiting"}]}\''
)
# One that has failed, and left something switched off.
OWING = (
    was('rolling_reboot', 'failed', 'NULL'),
    'UPDATE operations SET parameters = \'{"autostart_before": true, '
    '"roll": [{"host": "xen1", "state": "done"}]}\'',
)
# Every way that a request may take to its end, by what is asked.
CASES = {
    'a guest': Case(method='GET', path='/v2.1/servers/none', status=404),
    'a move': Case(
        {'os-migrateLive': {**WITHIN, 'host': 'xen2'}},
        (SEEN,),
        path=f'{SERVER}/action',
        status=202,
    ),
    'a move to a free host': Case(
        {'os-migrateLive': {**WITHIN, 'host': 'xen3'}},
        (SEEN,),
        path=f'{SERVER}/action',
        status=400,
    ),
    'a move to any host': Case(
        {'os-migrateLive': {**WITHIN, 'host': None}},
        (SEEN,),
        path=f'{SERVER}/action',
        status=202,
    ),
    'a second move': Case(
        {'os-migrateLive': {**WITHIN, 'host': None}},
        (SEEN, MOVING),
        path=f'{SERVER}/action',
        status=409,
    ),
    'moves of a guest': Case(
        method='GET',
        before=(SEEN, MOVING),
        path=f'{SERVER}/migrations',
        version='2.80',
    ),
    'a move of a guest': Case(
        method='GET',
        before=(SEEN, MOVING),
        path=f'{SERVER}/migrations/1',
        version='2.80',
    ),
    'the end of a move': Case(
        method='DELETE',
        before=(SEEN, MOVING),
        path=f'{SERVER}/migrations/1',
        version='2.65',
        status=202,
    ),
    'the end of a sent move': Case(
        method='DELETE',
        before=(SEEN, MOVING, "UPDATE moves SET state = 'sent'"),
        path=f'{SERVER}/migrations/1',
        version='2.65',
        status=202,
    ),
    'what was done to a guest': Case(
        method='GET',
        before=(SEEN, MOVING),
        path=f'{SERVER}/os-instance-actions?limit=1&marker=req-{OPERATION}',
        version='2.84',
    ),
    'one thing that was done to a guest': Case(
        method='GET',
        before=(SEEN, MOVING),
        path=f'{SERVER}/os-instance-actions/req-{OPERATION}',
        version='2.84',
    ),
    'a forced end of a move': Case(
        {'force_complete': None},
        path=f'{SERVER}/migrations/1/action',
        version='2.22',
        status=404,
    ),
    'the repair of a move': Case(
        {'force_complete': None},
        before=(SEEN, MOVING, UNKNOWN),
        path=f'{SERVER}/migrations/1/action',
        version='2.22',
        status=202,
    ),
    'all moves': Case(
        method='GET',
        before=(SEEN, MOVING),
        path=f'/v2.1/os-migrations?limit=1&marker={OPERATION}',
        version='2.80',
    ),
    'create': Case({'aggregate': {'name': 'b'}}, path=ALL),
    'change': Case(
        {'aggregate': {'name': 'c', 'availability_zone': 'z'}},
        method='PUT',
        path=ONE,
    ),
    'delete': Case(
        before=(FREED, was('add_host', 'failed', 'xen3')),
        method='DELETE',
        path=ONE,
    ),
    'delete that has to wait': Case(
        before=(
            FREED,
            moved('xen1', 'leaving'),
            was('remove_host', 'running', 'xen1'),
        ),
        method='DELETE',
        path=ONE,
    ),
    'images': Case({'cache': []}, path=f'{ONE}/images', status=404),
    'set_metadata': Case(
        {'set_metadata': {'metadata': {'k': 'v', 'availability_zone': 'z'}}}
    ),
    'add_host': Case({'add_host': {'host': 'xen3'}}),
    'remove_host': Case({'remove_host': {'host': 'xen1'}}),
    'remove_host that is to join': Case(
        {'remove_host': {'host': 'xen3'}},
        (moved('xen3', 'joining'), was('add_host', 'queued', 'xen3')),
    ),
    'remove_host that joins': Case(
        {'remove_host': {'host': 'xen3'}},
        (moved('xen3', 'joining'), was('add_host', 'running', 'xen3')),
    ),
    'force': Case(FORCE),
    'force for a removal': Case(
        FORCE, (moved('xen1', 'leaving'), was('remove_host', 'queued', 'xen1'))
    ),
    'force for one that is unresolved': Case(
        FORCE,
        (moved('xen1', 'leaving'), was('remove_host', 'unresolved', 'xen1')),
    ),
    'hosts that stay': Case(
        {'membership': {'hosts': ['xen2', 'xen1']}},
        method='PUT',
        path=f'{ONE}/hosts',
    ),
    'other hosts': Case(
        {'membership': {'hosts': ['xen3']}},
        method='PUT',
        path=f'{ONE}/hosts',
        changed=3,
    ),
    'what a list of hosts would do': Case(
        {'membership': {'hosts': ['xen3'], 'dry_run': True}},
        method='PUT',
        path=f'{ONE}/hosts',
        status=503,
    ),
    'a list of hosts that is taken back': Case(
        CANCEL,
        (
            was('set_hosts', 'queued', 'NULL'),
            'UPDATE operations SET parameters = \'{"parts": ["x"]}\'',
        ),
        status=409,
    ),
    'check_host': Case(
        {'check_host': {'host': 'xen3', 'for': 'add'}}, status=503
    ),
    'adopt': Case({'adopt': {}}),
    'reapply': Case({'reapply': {}}),
    'set_master': Case({'set_master': {'host': 'xen2'}}),
    'enter_maintenance': Case({'enter_maintenance': {'host': 'xen2'}}),
    'leave_maintenance': Case(
        {'leave_maintenance': {'host': 'xen2'}},
        ("UPDATE hosts SET maintenance = 'on' WHERE name = 'xen2'",),
    ),
    'power_host': Case(
        {'power_host': {'host': 'xen2', 'action': 'reboot'}},
        ("UPDATE hosts SET maintenance = 'on' WHERE name = 'xen2'",),
    ),
    'rolling_reboot': Case({'rolling_reboot': {}}),
    'rolling_update': Case({'rolling_update': {}}),
    'rolling_reboot beside one that owes': Case(
        {'rolling_reboot': {}}, OWING, status=409
    ),
    'retry of one that owes': Case(RETRY, OWING),
    'give one up that owes': Case(CANCEL, OWING),
    'dry run of a rolling reboot': Case(
        {'rolling_reboot': {'dry_run': True}}, status=503
    ),
    'continue_operation': Case(
        {'continue_operation': {'operation': OPERATION}},
        (was('rolling_reboot', 'running', 'NULL'), ROLLED),
    ),
    'a rolling reboot': Case(
        before=(was('rolling_reboot', 'running', 'NULL'), ROLLED),
        method='GET',
        path=f'/v2.1/os-aggregates/operations/{OPERATION}',
    ),
    'retry of a reboot': Case(
        RETRY,
        (
            "UPDATE hosts SET maintenance = 'on' WHERE name = 'xen2'",
            was('power_host', 'failed', 'xen2'),
        ),
    ),
    'retry of an entry': Case(
        RETRY, (was('enter_maintenance', 'failed', 'xen2'),)
    ),
    'reset': Case(
        {'reset': {'host': 'xen1', 'outcome': 'free'}},
        (moved('xen1', 'leaving'), was('remove_host', 'unresolved', 'xen1')),
    ),
    'reset of a free host': Case(
        {'reset': {'host': 'xen3', 'outcome': 'free'}},
        (was('add_host', 'failed', 'xen3'),),
    ),
    'cancel a join': Case(
        CANCEL, (moved('xen3', 'joining'), was('add_host', 'queued', 'xen3'))
    ),
    'cancel a removal': Case(
        CANCEL,
        (moved('xen3', 'leaving'), was('remove_host', 'queued', 'xen3')),
    ),
    'cancel a change of master': Case(
        CANCEL, (was('set_master', 'queued', 'xen2'),)
    ),
    'give a rolling reboot up': Case(
        CANCEL, (was('rolling_reboot', 'running', 'NULL'), ROLLED)
    ),
    'retry a join': Case(RETRY, (was('add_host', 'failed', 'xen3'),)),
    'retry a removal': Case(RETRY, (was('remove_host', 'failed', 'xen1'),)),
    'retry force': Case(
        RETRY, (was('remove_host', 'failed', 'xen1', force=True),)
    ),
    'retry a change of master': Case(
        RETRY, (was('set_master', 'failed', 'xen2'),)
    ),
    'retry a rename': Case(RETRY, (was('rename', 'failed', 'NULL'),)),
    'retry the adoption of a pool': Case(
        RETRY, (was('adopt', 'failed', 'xen3'),)
    ),
    'retry what rests': Case(
        RETRY, ('UPDATE operations SET not_before = 1e12',)
    ),
    'retry what is unresolved': Case(
        RETRY, (was('add_host', 'unresolved', 'xen3'),)
    ),
    **{
        path: Case(method='GET', path=f'/v2.1/{path}')
        for path in (
            'os-aggregates',
            'os-aggregates?host=xen1&name=a&limit=1&marker=0',
            'os-aggregates/1',
            'os-aggregates/1/pool',
            'os-aggregates/1/allowed_actions',
            'os-aggregates/1/allowed_actions?host=far',
            'os-aggregate-pools',
            'os-aggregate-pools?state=changing&drift=false&host=xen1&marker=0',
            f'os-aggregates/1/operations?state=queued&marker={OPERATION}',
            f'os-aggregates/operations/{OPERATION}',
            'extensions',
            'extensions/os-aggregates',
            *NEIGHBOURS,
        )
    },
    'disable a host': Case(
        {'status': 'disable'}, method='PUT', path='/v2.1/os-hosts/xen1'
    ),
    **{
        f'{action} a host': Case(
            None,
            ("UPDATE hosts SET maintenance = 'on' WHERE name = 'xen2'",),
            method='GET',
            path=f'/v2.1/os-hosts/xen2/{action}',
        )
        for action in ('startup', 'shutdown', 'reboot')
    },
    'disable a service': Case(
        {'host': 'xen1', 'binary': 'nova-compute'},
        method='PUT',
        path='/v2.1/os-services/disable',
    ),
    'os-hypervisors/1/uptime': Case(
        method='GET', path='/v2.1/os-hypervisors/1/uptime', status=501
    ),
}


class Counted:
    """A service that tells how many statements a request took.

    Aggregate 1 has a pool with the members xen1 and xen2; one operation is
    queued.
    """

    def __init__(
        self, database_file: pathlib.Path, *, telling: bool = False
    ) -> None:
        self.application, self.database = api_service.make(
            database_file, telling=telling
        )
        self.send('POST', ALL, {'aggregate': {'name': 'a'}})
        self.execute(
            moved('xen1', 'member'),
            moved('xen2', 'member'),
            "UPDATE aggregates SET pool_uuid = 'p'",
            "UPDATE hosts SET uuid = 'x1' WHERE name = 'xen1'",
        )
        with self.database.writer() as connection:
            operations.insert(connection, OPERATION, 'add_host', 1, 'xen3', {})

    def execute(self, *statements: str) -> None:
        with self.database.writer() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = ADMIN,
    ) -> tuple[int, webob.Response]:
        request = webob.Request.blank(path, method=method, headers=headers)
        if body is not None:
            request.json = body
        with counting() as statements:
            answer = request.get_response(self.application)
        return len(statements), answer


@contextlib.contextmanager
def counting() -> Iterator[list[str]]:
    with counting_of.counting_statements('BEGIN') as seen:
        yield seen


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Iterator[Counted]:
    made = Counted(tmp_path / 'db.sqlite')
    yield made
    made.database.dispose()


@pytest.mark.parametrize('name', CASES)
def test_every_request_keeps_the_budget(service: Counted, name: str) -> None:
    """Also one that wants the aggregate as it was seen."""
    case = CASES[name]
    service.execute(*case.before)
    _count, seen = service.send('GET', ONE)
    asked = {
        **ADMIN,
        'If-Match': seen.headers['ETag'],
        'OpenStack-API-Version': f'compute {case.version}',
    }
    count, answer = service.send(case.method, case.path, case.body, asked)
    assert answer.status_int == case.status, answer.text
    assert count <= BUDGET + case.changed * EACH


def test_service_by_its_uuid_keeps_the_budget(service: Counted) -> None:
    newest = ADMIN | {'OpenStack-API-Version': 'compute latest'}
    path = '/v2.1/os-services'
    _count, seen = service.send('GET', f'{path}?host=xen1', headers=newest)
    uuid = seen.json['services'][0]['id']
    for status in ('disabled', 'disabled', 'enabled'):
        count, answer = service.send(
            'PUT', f'{path}/{uuid}', {'status': status}, newest
        )
        assert answer.status_int == 200, answer.text
        assert 'X-Aggregate-Operation' in answer.headers
        assert count <= BUDGET


def test_no_request_is_left_out() -> None:
    table = app.routes(app.catalogue(embedded=False), embedded=False)
    router = routing.Router(table)
    asked = set()
    for case in CASES.values():
        path = case.path.partition('?')[0]
        match = router.find({'PATH_INFO': path})
        assert match is not None, path
        asked.add((match.template, case.method))
    assert asked == {
        (template, method)
        for template, methods in table.items()
        for method in methods
    }
    bodies = [c.body for c in CASES.values() if c.path == f'{ONE}/action']
    assert {name for body in bodies for name in body} == set(app.ACTIONS)


def test_lists_of_any_length_cost_the_same(service: Counted) -> None:
    short, answer = service.send('GET', '/v2.1/os-aggregates')
    assert len(answer.json['aggregates']) == 1
    for number in range(49):
        body = {'aggregate': {'name': f'n{number}'}}
        service.send('POST', '/v2.1/os-aggregates', body)
    long, answer = service.send('GET', '/v2.1/os-aggregates')
    assert len(answer.json['aggregates']) == 50
    # Their sum; the stamps of each where some are known; all of them.
    assert short <= long <= 3


def test_a_pool_costs_the_same_however_many_are_in_maintenance(
    service: Counted,
) -> None:
    costs = []
    for number in (1, 2, 3):
        service.execute(
            moved(f'xen{number}', 'member'),
            f"UPDATE hosts SET maintenance = 'on' WHERE name = 'xen{number}'",  # noqa: S608
        )
        count, answer = service.send('GET', f'{ONE}/pool')
        shown = answer.json['pool']['hosts']
        assert [h['maintenance'] for h in shown].count('on') == number
        costs.append(count)
    assert costs == [costs[0]] * 3
    assert costs[0] <= BUDGET


def test_what_is_allowed_costs_the_same_whatever_there_is(
    service: Counted,
) -> None:
    """With all that is read only where something is so."""
    path = f'{ONE}/allowed_actions'
    few, answer = service.send('GET', path)
    assert answer.status_int == 200
    service.execute(was('rolling_reboot', 'running', 'NULL'), ROLLED)
    with service.database.writer() as connection:
        for number in range(40):
            name = f'more{number}'
            host = {'name': name, 'url': f'https://{name}.test'}
            hosts.insert(connection, {**host, 'credential': 'default'})
            hosts.bind(connection, name, 1)
            made = operations.insert(
                connection,
                str(uuid.uuid4()),
                'remove_host',
                1,
                name,
                {},
            )
            if number % 2:
                operations.finish(connection, made, 'failed', {})
    service.execute("UPDATE hosts SET phase = 'leaving' WHERE name = 'more1'")
    many, answer = service.send('GET', path)
    shown = answer.json['allowed_actions']
    assert (len(shown['hosts']), len(shown['operations'])) == (42, 41)
    # The aggregate; what counts; hosts; the last of hosts.
    assert few == 4
    # What was asked of a run; what took the place of others.
    assert many == 6


def test_all_pools_cost_the_same_however_many_there_are(
    service: Counted,
) -> None:
    costs = []
    for pools in (1, 50):
        while service.send('GET', ALL)[1].text.count('"id"') < pools:
            made = service.send('POST', ALL, {'aggregate': {'name': 'more'}})
            key = made[1].json['aggregate']['id']
            with service.database.writer() as connection:
                host = {'name': f'more{key}', 'url': 'https://more.test'}
                hosts.insert(connection, {**host, 'credential': 'default'})
                hosts.bind(connection, host['name'], key)
                operations.insert(
                    connection,
                    str(uuid.uuid4()),
                    'add_host',
                    key,
                    host['name'],
                    {},
                )
            service.execute(
                f"UPDATE aggregates SET name = 'n{key}' WHERE id = {key}"  # noqa: S608
            )
        for query in ('', '?state=changing'):
            count, answer = service.send(
                'GET', f'/v2.1/os-aggregate-pools{query}'
            )
            shown = answer.json['pools']
            assert len(shown) == pools
            assert all(pool['operations'] for pool in shown)
            costs.append(count)
    assert costs == [costs[0]] * 4
    # All; what was seen; hosts; operations; who runs them.
    assert costs[0] == 5


@pytest.mark.parametrize('path', NEIGHBOURS)
def test_neighbours_cost_the_same_whatever_there_is(
    service: Counted, path: str
) -> None:
    few, answer = service.send('GET', f'/v2.1/{path}')
    assert answer.status_int == 200
    with service.database.writer() as connection:
        for number in range(40):
            hosts.insert(
                connection,
                {
                    'name': f'more{number}',
                    'url': 'https://more.test',
                    'credential': 'default',
                },
            )
    many, answer = service.send('GET', f'/v2.1/{path}')
    assert answer.status_int == 200
    assert few == many <= 2


def test_one_service_reads_no_others(service: Counted) -> None:
    """Nor does a page of hypervisors."""
    newest = ADMIN | {'OpenStack-API-Version': 'compute latest'}
    pages = '/v2.1/os-hypervisors?limit=1'
    _count, first = service.send('GET', pages, headers=newest)
    marker = first.json['hypervisors'][0]['id']
    for path in (
        '/v2.1/os-services?host=xen1',
        pages,
        f'/v2.1/os-hypervisors?marker={marker}&limit=1',
    ):
        request = webob.Request.blank(path, headers=newest)
        with counting() as statements:
            answer = request.get_response(service.application)
        assert answer.status_int == 200
        assert len(statements) <= 5
        for statement in statements:
            if 'hosts.url' in statement:
                assert 'WHERE' in statement or 'LIMIT' in statement


@pytest.mark.parametrize('token', ['user:abc123:member', None])
def test_who_may_not_ask_costs_no_statement(
    service: Counted, token: str | None
) -> None:
    requests: list[tuple[str, str, Any]] = [
        ('GET', '/v2.1/os-aggregates', None),
        ('GET', '/v2.1/os-aggregates/1', None),
        ('POST', '/v2.1/os-aggregates', {'aggregate': {'name': 'b'}}),
        ('DELETE', '/v2.1/os-aggregates/1', None),
        (
            'POST',
            '/v2.1/os-aggregates/1/action',
            {'add_host': {'host': 'xen1'}},
        ),
        ('GET', '/v2.1/os-hypervisors/detail', None),
    ]
    headers = {} if token is None else {'X-Auth-Token': token}
    for method, path, body in requests:
        count, answer = service.send(method, path, body, headers)
        assert answer.status_int == (401 if token is None else 403)
        assert count == 0
