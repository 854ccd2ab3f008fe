"""Moves of servers as Nova's clients ask for them, and follow them."""

import json
import urllib.parse
from typing import Any

import pytest
import webob

from aggregates_ext import deploy
from aggregates_ext.api.edge import versions
from aggregates_ext.api.servers import serveractions
from aggregates_ext.db import hosts
from aggregates_ext.db import moves
from aggregates_ext.db import operations
from aggregates_ext.db import records
from tests.functional import api_service
from tests.functional import service
from tests.functional import test_servers
from tests.functional import test_statements
from tests.integration import documents

ADMIN = f'operator:{api_service.PROJECT}:admin'
MANAGER = f'manager:{test_servers.NOBODY}:manager,member'
MEMBER = f'member:{test_servers.NOBODY}:member,reader'
STRANGER = 'somebody:another:manager'
LATEST = '2.104'
# Microversion -> a body that is right there; the host comes to it.
BODIES: dict[str, dict[str, Any]] = {
    '2.1': {'block_migration': False, 'disk_over_commit': False},
    '2.24': {'block_migration': 'False', 'disk_over_commit': 'true'},
    '2.25': {'block_migration': 'auto'},
    '2.29': {'block_migration': False},
    '2.30': {'block_migration': 'auto', 'force': True},
    '2.34': {'block_migration': 'auto', 'force': 'no'},
    '2.67': {'block_migration': 'auto'},
    '2.68': {'block_migration': 'auto'},
    LATEST: {'block_migration': 'false'},
}


class Api:
    """The API on the database of a service."""

    def __init__(self, running: service.Service) -> None:
        running.conf.set_override('settle_wait', 0, 'api')
        built = deploy.build(running.conf)
        self._application = versions.Versions(api_service.Authtoken(built))

    def __call__(
        self,
        path: str,
        microversion: str = LATEST,
        token: str = ADMIN,
        status: int = 200,
        method: str = 'GET',
        body: Any = None,
    ) -> Any:
        request = webob.Request.blank(f'/v2.1/{path}', method=method)
        request.headers['X-Auth-Token'] = token
        request.headers['OpenStack-API-Version'] = f'compute {microversion}'
        if body is not None:
            request.json = body
        response = request.get_response(self._application)
        assert response.status_int == status, response.text
        if status == 202:
            assert response.body == b''
            return None
        return json.loads(response.text)

    def move(self, uuid: str, host: str | None = None, **more: Any) -> str:
        """Ask for a move; what is said to it."""
        version = more.pop('microversion', LATEST)
        fields = {'host': host, **BODIES['2.68'], **more.pop('fields', {})}
        body = {'os-migrateLive': fields}
        more = {'status': 202, 'method': 'POST', 'body': body, **more}
        answer = self(f'servers/{uuid}/action', version, **more)
        return '' if answer is None else next(iter(answer.values()))['message']

    def of(self, uuid: str, **more: Any) -> list[dict[str, Any]]:
        """The moves of a server that are under way."""
        found: list[dict[str, Any]] = self(
            f'servers/{uuid}/migrations', **more
        )['migrations']
        return found

    def all(self, query: str = '', **more: Any) -> list[int]:
        body = self(f'os-migrations?{query}', **more)
        return [found['id'] for found in body['migrations']]


@pytest.fixture
def key(running: service.Service) -> int:
    found = running.create('xen1', 'xen2')
    for host, name, state in (
        ('xen1', 'web', 'Running'),
        ('xen2', 'db', 'Running'),
        ('xen1', 'off', 'Halted'),
        ('xen1', 'still', 'Paused'),
    ):
        running.sim.add_vm(host, name, power_state=state)
        running.watch(found, 0)
    return found


@pytest.fixture
def api(running: service.Service, key: int) -> Api:
    return Api(running)


@pytest.fixture
def web(running: service.Service, key: int) -> str:
    return test_servers.uuid_of(running, 'web')


def read(running: service.Service, key: int = 1) -> records.Move:
    """A move as it is stored."""
    with running.database.reader() as connection:
        found = moves.page(connection, moves.Wanted(), 100) or []
    return next(move for move in found if move.id == key)


def change(running: service.Service, key: int = 1, **values: Any) -> None:
    """What a compute service writes of a move on its way."""
    move = read(running, key)
    running.database.write(lambda c: moves.update(c, move, values))


def end(running: service.Service, state: str, key: int = 1) -> None:
    move = read(running, key)
    running.database.write(
        lambda c: moves.finish(c, move, state, {'code': 'X', 'message': 'x'})
    )


@pytest.mark.parametrize('host', ['xen2', None])
def test_a_move_is_asked_for(
    running: service.Service, api: Api, web: str, host: str | None
) -> None:
    for microversion, fields in BODIES.items():
        if host is None and fields.get('force') is True:
            continue
        body = {'os-migrateLive': {'host': host, **fields}}
        api(f'servers/{web}/action', microversion, ADMIN, 202, 'POST', body)
        [shown] = api.of(web)
        made = read(running, shown['id'])
        assert (made.source, made.wanted, made.state) == (
            'xen1',
            host,
            'queued',
        )
        assert made.request_id is not None
        end(running, 'completed', made.id)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ('2.1', {'block_migration': False}, 'has no disk_over_commit'),
    ('2.24', {**BODIES['2.1'], 'block_migration': 'auto'}, 'true or false'),
    ('2.25', BODIES['2.1'], 'unknown disk_over_commit'),
    ('2.29', BODIES['2.30'], 'unknown force'),
    ('2.30', {**BODIES['2.30'], 'force': 'maybe'}, 'true or false'),
    ('2.68', BODIES['2.30'], 'unknown force'),
    ('2.68', {}, 'has no block_migration'),
    ('2.68', {'block_migration': 1}, 'not 1'),
    ('2.68', {'block_migration': True}, 'no disks'),
    ('2.1', {**BODIES['2.1'], 'block_migration': 'yes'}, 'no disks'),
    ('2.68', {**BODIES['2.68'], 'host': 'a b'}, 'letters of ASCII'),
    ('2.68', {**BODIES['2.68'], 'host': ''}, 'letters of ASCII'),
    (
        '2.30',
        {**BODIES['2.30'], 'host': None},
        "Can't force to a non-provided destination",
    ),
]


def test_bodies_that_are_wrong(api: Api, web: str) -> None:
    for microversion, fields, said in WRONG:
        body = {'os-migrateLive': {'host': 'xen2', **fields}}
        answer = api(
            f'servers/{web}/action', microversion, ADMIN, 400, 'POST', body
        )
        assert said in answer['badRequest']['message']
    assert api.all() == []


def test_a_guest_that_is_not_to_be_moved(
    running: service.Service, api: Api, web: str
) -> None:
    for name, state, remedy in (
        ('off', 'stopped', 'starts it on any host'),
        ('still', 'paused', 'unpause it first'),
    ):
        uuid = test_servers.uuid_of(running, name)
        said = api.move(uuid, 'xen2', status=409)
        assert said.startswith(
            f"Cannot 'os-migrateLive' instance {uuid} while it is in "
            f'vm_state {state}. '
        )
        assert remedy in said
    assert api.move('none', status=404) == 'Instance none could not be found.'
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE guests SET operation = 'clean_reboot' WHERE name = 'web'"
        )
    assert 'in task_state rebooting' in api.move(web, status=409)
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE guests SET operation = NULL, host_uuid = 'x' "
            "WHERE name = 'web'"
        )
    assert 'host that is not registered' in api.move(web, status=409)


def test_a_host_that_is_none_for_it(
    running: service.Service, api: Api, web: str
) -> None:
    for host, said in (
        ('xen1', f'Unable to migrate instance ({web}) to current host (xen1)'),
        ('nobody', 'Compute host nobody could not be found.'),
        ('xen3', 'no member of aggregate 1, whose pool the server is in. Its'),
    ):
        assert said in api.move(web, host, status=400)
    with running.database.writer() as connection:
        xen2 = hosts.get(connection, 'xen2')
        hosts.update(connection, xen2.name, {'service': 'disabled'})
    assert 'xen2 is disabled' in api.move(web, 'xen2', status=400)
    said = api.move(web, status=400)
    assert said.startswith('No valid host was found. ')
    assert 'no other member that is enabled' in said
    assert api.all() == []


def test_a_guest_has_one_move_at_a_time(
    running: service.Service, api: Api, web: str
) -> None:
    api.move(web)
    assert 'on the move already' in api.move(web, status=409)
    change(running, state='sent')
    api.move(web, status=409)
    change(running, state='unresolved')
    api.move(web, status=409)
    end(running, 'failed')
    api.move(web)


def test_a_server_that_moves_shows_it(
    running: service.Service, api: Api, web: str
) -> None:
    """Whoever waits for it neither goes on too early nor waits for ever."""
    for state, progress, expected in (
        (None, None, ('ACTIVE', None, 0)),
        ('queued', 0, ('MIGRATING', 'migrating', 0)),
        ('sent', 37, ('MIGRATING', 'migrating', 37)),
        ('unresolved', 90, ('ACTIVE', None, 0)),
    ):
        if state == 'queued':
            api.move(web)
        elif state is not None:
            change(running, state=state, progress=progress)
        shown = api(f'servers/{web}')['server']
        assert expected == (
            shown['status'],
            shown['OS-EXT-STS:task_state'],
            shown['progress'],
        )
        moving = [web] if expected[1] else []
        for query, found in (
            ('status=MIGRATING', moving),
            ('task_state=migrating', moving),
            ('status=ACTIVE&name=web', [] if moving else [web]),
        ):
            listed = api(f'servers/detail?all_tenants=1&{query}')['servers']
            assert [server['id'] for server in listed] == found, query
            assert all(server['status'] in query for server in listed) or (
                'task' in query
            )


# State and progress -> Nova's status; whether it can be aborted.
STATUSES = [
    ('queued', 0, 'queued', '2.65'),
    ('sent', 0, 'preparing', '2.65'),
    ('sent', 1, 'running', '2.24'),
    ('unresolved', 50, 'post-migrating', '2.65'),
    ('repairing', 50, 'post-migrating', '2.65'),
    ('starting', 50, 'post-migrating', '2.65'),
    ('completed', 100, 'completed', None),
    ('failed', 10, 'error', None),
    ('cancelled', 0, 'cancelled', None),
]


@pytest.mark.parametrize(('state', 'progress', 'status', '_since'), STATUSES)
def test_what_is_told_of_a_move(
    running: service.Service,
    api: Api,
    web: str,
    state: str,
    progress: int,
    status: str,
    _since: str | None,
) -> None:
    api.move(web)
    ended = state not in moves.OPEN
    change(
        running,
        target='xen2',
        progress=progress,
        **{} if ended else {'state': state},
    )
    if ended:
        end(running, state)
    for microversion in ('2.1', '2.22', '2.23', '2.59', '2.66', '2.80'):
        [listed] = api('os-migrations', microversion)['migrations']
        check_listed(running, listed, microversion, status, ended)
        for other in ('queued', 'running', 'completed', 'failed', 'none'):
            found = api.all(f'status={other}', microversion=microversion)
            assert found == ([1] if other == status else [])
    shown = api.of(web, microversion='2.80')
    if ended:
        assert shown == []
        for path, said in (
            ('1', f'Live migration 1 for server {web} is not in progress.'),
            (
                '2',
                f'In-progress live migration 2 is not found for server {web}.',
            ),
            ('x', 'In-progress live migration x is not found for server'),
        ):
            answer = api(f'servers/{web}/migrations/{path}', status=404)
            assert answer['itemNotFound']['message'].startswith(said)
        return
    alone = api(f'servers/{web}/migrations/1', '2.80')['migration']
    assert [alone] == shown
    assert alone['server_uuid'] == web
    assert alone['dest_compute'] == alone['dest_node'] == 'xen2'
    assert alone['memory_total_bytes'] is None
    assert {n: alone[n] for n in alone if n in listed} == {
        n: listed[n] for n in listed if n in alone
    }
    short = api(f'servers/{web}/migrations/1', '2.58')['migration']
    assert alone.keys() - short.keys() == {'uuid', 'user_id', 'project_id'}


def check_listed(
    running: service.Service,
    listed: dict[str, Any],
    microversion: str,
    status: str,
    ended: bool,
) -> None:
    move = read(running)
    uuid = move.guest_uuid
    since = test_servers.number(microversion)
    expected: dict[str, Any] = {
        'id': 1,
        'instance_uuid': uuid,
        'status': status,
        'source_compute': 'xen1',
        'source_node': 'xen1',
        'dest_compute': 'xen2',
        'dest_node': 'xen2',
        'dest_host': None,
        'old_instance_type_id': None,
        'new_instance_type_id': None,
        'created_at': move.created_at.isoformat(timespec='microseconds'),
        'updated_at': move.updated_at.isoformat(timespec='microseconds'),
    }
    if since >= (2, 23):
        expected['migration_type'] = 'live-migration'
    if since >= (2, 23) and not ended:
        path = f'servers/{uuid}/migrations/1'
        url = 'http://localhost'
        expected['links'] = [
            {'rel': 'self', 'href': f'{url}/v2.1/{path}'},
            {'rel': 'bookmark', 'href': f'{url}/{path}'},
        ]
    if since >= (2, 59):
        expected['uuid'] = move.uuid
    if since >= (2, 80):
        expected |= {'user_id': 'operator', 'project_id': api_service.PROJECT}
    assert listed == expected


@pytest.mark.parametrize(('state', 'progress', 'status', 'since'), STATUSES)
def test_a_move_is_aborted(
    running: service.Service,
    api: Api,
    web: str,
    state: str,
    progress: int,
    status: str,
    since: str | None,
) -> None:
    api.move(web)
    if state in moves.OPEN:
        change(running, state=state, progress=progress)
    else:
        end(running, state)
    path = f'servers/{web}/migrations/1'

    def abort(microversion: str, expected: int, path: str = path) -> Any:
        return api(path, microversion, ADMIN, expected, 'DELETE')

    abort('2.23', 404)
    abort(LATEST, 404, f'servers/{web}/migrations/2')
    abort(LATEST, 404, f'servers/{web}/migrations/x')
    other = test_servers.uuid_of(running, 'db')
    abort(LATEST, 404, f'servers/{other}/migrations/1')
    for microversion in ('2.24', '2.64', '2.65', LATEST):
        able = since is not None and (
            test_servers.number(microversion) >= test_servers.number(since)
        )
        answer = abort(microversion, 202 if able else 400)
        if not able:
            assert answer['badRequest']['message'].startswith(
                f'Migration 1 state of instance {web} is {status}. Cannot '
                'abort live migration while the migration is in this state.'
            )
        elif state in ('queued', 'unresolved'):
            break
    moved = read(running)
    assert moved.cancelled is (since is not None)
    ended = {'queued': 'cancelled', 'unresolved': 'failed'}
    assert moved.state == ended.get(state, state)


@pytest.mark.parametrize(
    ('state', 'said'),
    [
        ('queued', 'no way to hasten'),
        ('sent', 'no way to hasten'),
        ('completed', 'It has ended'),
        ('failed', 'It has ended'),
        ('unresolved', None),
        ('repairing', None),
    ],
)
def test_what_nobody_knows_is_repaired(
    running: service.Service, api: Api, web: str, state: str, said: str | None
) -> None:
    """And nothing else."""
    api.move(web)
    if state == 'queued':
        pass
    elif state in moves.OPEN:
        change(running, state=state, target='xen2')
    else:
        end(running, state)
    path = f'servers/{web}/migrations/1/action'
    body = {'force_complete': None}
    status = 202 if said is None else 400
    answer = api(path, '2.22', ADMIN, status, 'POST', body)
    after = read(running)
    if said is None:
        assert after.state == 'repairing'
        shown = api(f'servers/{web}/migrations/1', '2.80')['migration']
        assert shown['status'] == 'post-migrating'
        assert api(f'servers/{web}')['server']['status'] == 'ACTIVE'
        api(path, '2.22', ADMIN, 202, 'POST', body)
    else:
        assert said in answer['badRequest']['message']
        assert 'Cannot force_complete' in answer['badRequest']['message']
        assert after.state == state


def test_a_guest_that_its_move_has_left_halted_is_started(
    running: service.Service, api: Api, web: str
) -> None:
    """Nova's clients see that the migration goes on; once, by the last one."""
    api.move(web)
    change(running, state='sent', target='xen2')
    move = read(running)
    error = {'code': records.GUEST_HALTED, 'message': 'It is halted.'}
    running.database.write(lambda c: moves.finish(c, move, 'failed', error))
    path = f'servers/{web}/migrations/1/action'
    body = {'force_complete': None}
    for _ in range(2):
        api(path, '2.22', ADMIN, 202, 'POST', body)
        found = read(running)
        assert (found.state, found.finished_at) == ('starting', None)
        shown = api(f'servers/{web}/migrations/1', '2.80')['migration']
        assert shown['status'] == 'post-migrating'
    assert 'already' in api.move(web, status=409)
    api(f'servers/{web}/migrations/1', LATEST, ADMIN, 202, 'DELETE')
    found = read(running)
    assert (found.state, found.cancelled) == ('starting', True)
    running.database.write(lambda c: moves.halt_again(c, found, error))
    api.move(web)
    answer = api(path, '2.22', ADMIN, 400, 'POST', body)
    assert 'has moved, or run, since' in answer['badRequest']['message']


def test_it_is_repaired_while_an_end_waits_to_leave(
    running: service.Service, api: Api, web: str
) -> None:
    """A removal waits for the move, so the move may not wait for it."""
    api.move(web)
    change(running, state='unresolved', target='xen2')
    running.database.write(
        lambda c: hosts.update(c, 'xen2', {'phase': 'leaving'})
    )
    path = f'servers/{web}/migrations/1/action'
    api(path, '2.22', ADMIN, 202, 'POST', {'force_complete': None})
    assert read(running).state == 'repairing'


def test_no_end_is_forced(api: Api, web: str) -> None:
    api.move(web)
    path = f'servers/{web}/migrations/1/action'
    body = {'force_complete': None}
    api(path, '2.21', ADMIN, 404, 'POST', body)
    answer = api(path, '2.22', ADMIN, 400, 'POST', body)
    assert 'no way to hasten' in answer['badRequest']['message']
    for wrong in ({'force_complete': 1}, {'x': None}, {}):
        api(path, LATEST, ADMIN, 400, 'POST', wrong)
    api('servers/none/migrations/1/action', '2.22', ADMIN, 404, 'POST', body)


def test_what_else_nova_does_with_servers(api: Api, web: str) -> None:
    said = {
        'migrate': 'starts it on any host',
        'evacuate': 'Guests of a dead host are restarted by the high '
        'availability of their pool.',
        'nonsense': 'There is no such action: nonsense',
    }
    for name in serveractions._OF_NOVA:
        said[name] = f'Servers are made and managed in their pool: {name} is'
    for name, message in said.items():
        answer = api(
            f'servers/{web}/action', '2.1', ADMIN, 400, 'POST', {name: None}
        )
        assert message in answer['badRequest']['message']
    api(f'servers/{web}/action', '2.1', ADMIN, 400, 'POST', {})


def test_lists_of_moves(running: service.Service, api: Api, web: str) -> None:
    """Filters and pages, each where Nova has it."""
    uuids = [web, test_servers.uuid_of(running, 'db')]
    for number in range(5):
        api.move(uuids[number % 2])
        change(running, number + 1, target=f'h{number}')
        end(running, 'completed' if number else 'failed', number + 1)
    assert api.all() == api.all(microversion='2.1') == [5, 4, 3, 2, 1]
    for query, found in (
        ('host=xen1', [5, 3, 1]),
        ('host=h1', [2]),
        ('source_compute=xen2', [4, 2]),
        ('host=h1&source_compute=xen1', [2]),
        (f'instance_uuid={web}', [5, 3, 1]),
        ('status=error', [1]),
        ('migration_type=live-migration', [5, 4, 3, 2, 1]),
        ('migration_type=resize', []),
        ('hidden=true', []),
        ('hidden=0', [5, 4, 3, 2, 1]),
        ('host=%00', []),
        (f'project_id={api_service.PROJECT}', [5, 4, 3, 2, 1]),
        ('project_id=other', []),
        ('user_id=other', []),
    ):
        for microversion in ('2.1', '2.58', '2.80'):
            assert api.all(query, microversion=microversion) == found, query
    check_pages(api)
    moment = read(running, 4).updated_at.isoformat()
    # In the order of their change.
    assert api.all(f'changes-since={moment}') == [5, 4]
    assert api.all(f'changes-before={moment}') == [4, 3, 2, 1]
    assert api.all(f'changes-before={moment}&limit=1') == [4]
    # Where they are not known they are ignored.
    assert api.all('changes-since=x&limit=x&z=1', microversion='2.58') == [
        5,
        4,
        3,
        2,
        1,
    ]


def check_pages(api: Api) -> None:
    found: list[int] = []
    query = 'limit=2&host=xen1'
    while query:
        body = api(f'os-migrations?{query}', '2.59')
        found += [move['id'] for move in body['migrations']]
        links = body.get('migrations_links', [])
        query = ''.join(
            urllib.parse.urlsplit(link['href']).query for link in links
        )
    assert found == [5, 3, 1]
    assert api.all('limit=0') == []


BAD_QUERIES = [
    ('limit=x', '2.59'),
    ('limit=-1', '2.59'),
    ('marker=none', '2.59'),
    ('x=1', '2.59'),
    ('changes-before=2026-01-01', '2.65'),
    ('user_id=a', '2.79'),
    ('project_id=a', '2.79'),
    ('changes-since=yesterday', '2.59'),
    ('changes-before=yesterday', '2.66'),
    ('changes-since=2026-01-02&changes-before=2026-01-01', '2.66'),
]


def test_bad_queries(api: Api, web: str) -> None:
    for query, microversion in BAD_QUERIES:
        api(f'os-migrations?{query}', microversion, status=400)
    api(f'servers/{web}/migrations?x=1', '2.101')
    api(f'servers/{web}/migrations?x=1', '2.102', status=400)
    api(f'servers/{web}/migrations', '2.22', status=404)
    api(f'servers/{web}/migrations/1', '2.22', status=404)
    api('servers/none/migrations', '2.23', status=404)


def test_the_samples_of_the_guide(
    running: service.Service, api: Api, web: str
) -> None:
    body = documents.block('user.rst', '{"os-migrateLive"')
    api(
        f'servers/{web}/action',
        method='POST',
        body=json.loads(body),
        status=202,
    )
    change(running, state='sent', progress=1)
    told = json.loads(documents.block('user.rst', '{"migrations"'))
    shown = api.of(web)
    assert told['migrations'][0].keys() == shown[0].keys()
    assert told['migrations'][0]['status'] == shown[0]['status']


def test_who_may_move(running: service.Service, api: Api, web: str) -> None:
    """A manager of the project of guests may; where to is not his to say."""
    api.move(web, 'xen2', token=MANAGER, status=403)
    api.move(web, token=MEMBER, status=403)
    api.move(web, token=STRANGER, status=404)
    api.move(web, token=MANAGER)
    assert read(running).user_id == 'manager'
    change(running, target='xen2')
    [shown] = api.of(web, token=MANAGER)
    assert shown['status'] == 'queued'
    hidden = ('source_compute', 'source_node', 'dest_compute', 'dest_node')
    assert {shown[name] for name in hidden} == {None}
    api(f'servers/{web}/migrations/1', token=MANAGER, status=403)
    api(f'servers/{web}/migrations', token=MEMBER, status=403)
    api(f'servers/{web}/migrations', token=STRANGER, status=404)
    api('os-migrations', token=MANAGER, status=403)
    api('os-migrations', token=MEMBER, status=403)
    own = f'os-migrations?project_id={test_servers.NOBODY}'
    [listed] = api(own, token=MANAGER)['migrations']
    assert {listed[name] for name in hidden} == {None}
    assert api(own, token=STRANGER, status=403)
    # It restarts toolstacks, which all guests of a pool have.
    for token in (MEMBER, MANAGER):
        api(
            f'servers/{web}/migrations/1/action',
            '2.22',
            token,
            403,
            'POST',
            {'force_complete': None},
        )
    api(
        f'servers/{web}/migrations/1',
        token=MEMBER,
        method='DELETE',
        status=403,
    )
    api(
        f'servers/{web}/migrations/1',
        token=MANAGER,
        method='DELETE',
        status=202,
    )


def test_the_old_face_moves_none(api: Api, web: str) -> None:
    project = api_service.PROJECT
    path = f'/v1.1/{project}/servers/{web}'

    def ask(path: str, method: str = 'GET', body: bytes = b'') -> int:
        request = webob.Request.blank(path, method=method, body=body)
        request.headers['X-Auth-Token'] = ADMIN
        status: int = request.get_response(api._application).status_int
        return status

    move = b'{"os-migrateLive": {"host": null, "block_migration": false, '
    move += b'"disk_over_commit": false}}'
    assert ask(f'{path}/action', 'POST', move) == 404
    assert ask(f'{path}/migrations') == 404
    assert ask(f'/v1.1/{project}/os-migrations') == 200
    assert api.all() == []


def test_an_operation_tells_of_its_moves(
    running: service.Service, api: Api, web: str, key: int
) -> None:
    uuid = running.operation(key).uuid
    path = f'os-aggregates/operations/{uuid}'
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE operations SET kind = 'enter_maintenance'"
        )
    assert 'moves' not in api(path)['operation']
    with running.database.writer() as connection:
        operation = operations.get(connection, uuid).id
    api.move(web, 'xen2')
    change(running, operation_id=operation, progress=7)
    [shown] = api(path)['operation']['moves']
    assert shown == {
        'name': 'web',
        'uuid': web,
        'from': 'xen1',
        'to': 'xen2',
        'state': 'queued',
        'progress': 7,
        'error': None,
    }
    end(running, 'failed')
    [shown] = api(path)['operation']['moves']
    assert shown['error'] == {'code': 'X', 'message': 'x'}


def test_no_request_needs_more_than_eight_statements(
    running: service.Service, api: Api, web: str
) -> None:
    with test_statements.counting() as statements:
        api.move(web, 'xen2')
    assert len(statements) <= test_statements.BUDGET, statements
    for path in (
        f'servers/{web}/migrations/1',
        f'servers/detail?all_tenants=1&limit=1&marker={web}&status=MIGRATING',
        'servers/detail?all_tenants=1&status=MIGRATING',
        'os-migrations?limit=1&host=xen1',
    ):
        with test_statements.counting() as statements:
            api(path)
        assert len(statements) <= test_statements.BUDGET, statements
