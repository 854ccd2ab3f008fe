"""No answer is older than what its asker could know, whoever wrote.

Two API processes, each with what it keeps, and a compute service write to one
database; every answer is held against what the database itself says.
"""

import json
import random
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import webob

from aggregates_ext.db import hosts
from aggregates_ext.db import leases
from aggregates_ext.db import operations
from aggregates_ext.db import pools
from aggregates_ext.db import records
from aggregates_ext.domain import aggregates as domain_aggregates
from tests import databases
from tests.functional import api_service
from tests.functional import looking
from tests.functional import service

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
ALL = '/v2.1/os-aggregates'
STEPS = 250
DEAD = records.Drift('MEMBER_DEAD', 'It is dead.', 'xen1', 'u1', 1.0)


class Site:
    """Two API processes, as far as one can play them, and one database."""

    def __init__(self, url: str) -> None:
        first, self.database = api_service.make(url=url)
        conf = databases.configure(url)
        conf.set_override('settle_wait', 0, 'api')
        second = api_service.serve(conf)
        self.apis = (first, second)
        self.dice = random.Random(0)

    def send(
        self,
        api: int,
        method: str,
        path: str,
        body: Any = None,
        **headers: str,
    ) -> webob.Response:
        request = webob.Request.blank(path, method=method, headers=ADMIN)
        request.headers.update(headers)
        if body is not None:
            request.json = body
        return request.get_response(self.apis[api])

    def views(self) -> dict[int, Any]:
        with self.database.reader() as connection:
            return looking.views(connection)

    def check(self) -> None:
        """Ask both for all, and for one, in a form chosen by lot."""
        views = self.views()
        for api in (0, 1):
            number = self.dice.randrange(len(looking.FACES))
            (prefix, version, suffix), shape = list(looking.FACES.items())[
                number
            ]
            path = f'{prefix}/os-aggregates'
            asked = {'OpenStack-API-Version': f'compute {version}'}
            listed = self.send(api, 'GET', f'{path}{suffix}', **asked)
            shown = {'aggregates': [view[number] for view in views.values()]}
            assert listed.body == looking.document(shape, shown)
            if views:
                key = self.dice.choice(list(views))
                one = self.send(api, 'GET', f'{path}/{key}{suffix}', **asked)
                shown = {'aggregate': views[key][number]}
                assert one.body == looking.document(shape, shown)
                again = {**asked, 'If-None-Match': one.headers['ETag']}
                same = self.send(api, 'GET', f'{path}/{key}{suffix}', **again)
                assert (same.status_int, same.body) == (304, b'')


@pytest.fixture
def site(database_url: str) -> Iterator[Site]:
    made = Site(database_url)
    yield made
    made.database.dispose()


def create(site: Site, api: int, _key: int) -> None:
    name = f'n{site.dice.randrange(10**9)}'
    site.send(api, 'POST', ALL, {'aggregate': {'name': name}})


def rename(site: Site, api: int, key: int) -> None:
    name = f'r{site.dice.randrange(10**9)}'
    site.send(api, 'PUT', f'{ALL}/{key}', {'aggregate': {'name': name}})


def delete(site: Site, api: int, key: int) -> None:
    site.send(api, 'DELETE', f'{ALL}/{key}')


def set_metadata(site: Site, api: int, key: int) -> None:
    wanted = {f'k{site.dice.randrange(3)}': str(site.dice.randrange(9))}
    _act(site, api, key, 'set_metadata', {'metadata': wanted})


def add_host(site: Site, api: int, key: int) -> None:
    host = site.dice.choice(api_service.HOSTS)
    _act(site, api, key, 'add_host', {'host': host})


def remove_host(site: Site, api: int, key: int) -> None:
    host = site.dice.choice(api_service.HOSTS)
    _act(site, api, key, 'remove_host', {'host': host})


def reset(site: Site, api: int, key: int) -> None:
    host = site.dice.choice(api_service.HOSTS)
    _act(site, api, key, 'reset', {'host': host, 'outcome': 'free'})


def cancel(site: Site, api: int, key: int) -> None:
    with site.database.reader() as connection:
        queued = operations.get_all(connection, key, states=('queued',))
    for operation in queued:
        wanted = {'operation': operation.uuid}
        _act(site, api, key, 'cancel_operation', wanted)


def _act(site: Site, api: int, key: int, name: str, wanted: Any) -> None:
    answer = site.send(api, 'POST', f'{ALL}/{key}/action', {name: wanted})
    body = answer.json.get('aggregate')
    if body is not None:
        with site.database.reader() as connection:
            views = looking.views(connection)
        assert body == views[key][0], name


def _compute(site: Site, key: int, work: Callable[[Any, int], object]) -> None:
    """A transaction of a compute service that holds the aggregate."""
    with site.database.writer() as connection:
        lease = leases.claim(connection, key, 'compute', 60)
    if lease is None:
        return
    with site.database.writer() as connection:
        leases.fence(connection, lease)
        work(connection, key)
    with site.database.writer() as connection:
        leases.release(connection, lease)


def observe(site: Site, _api: int, key: int) -> None:
    seen = {'seen_at': site.dice.random()}
    drift = [DEAD] if site.dice.random() < 0.3 else []
    _compute(
        site,
        key,
        lambda connection, _key: pools.set_observation(
            connection, key, seen, drift
        ),
    )


def begin(site: Site, _api: int, key: int) -> None:
    def work(connection: Any, key: int) -> None:
        for operation in operations.unfinished(connection, key)[0][:1]:
            operations.start(connection, operation.id)
            operations.update(connection, operation.id, {'progress': 50})

    _compute(site, key, work)


def finish(site: Site, _api: int, key: int) -> None:
    state = site.dice.choice(
        ['succeeded', 'succeeded', 'failed', 'unresolved']
    )

    def work(connection: Any, key: int) -> None:
        for operation in operations.unfinished(connection, key)[0][:1]:
            host = operation.host
            if state == 'succeeded' and operation.kind == 'add_host':
                hosts.move(connection, host, key, ('joining',), 'member')
            if state == 'succeeded' and operation.kind == 'remove_host':
                hosts.move(connection, host, key, ('leaving',), 'free')
                pools.forget_pool_if_empty(connection, key)
            operations.finish(connection, operation, state, {'code': 'X'})

    _compute(site, key, work)


STEPS_OF = (create, rename, delete, set_metadata, add_host, remove_host)
STEPS_OF += (reset, cancel, cancel, observe, begin, finish, finish, finish)


@pytest.mark.every_database
def test_every_answer_is_that_of_the_database(site: Site) -> None:
    create(site, 0, 0)
    done = set()
    for _ in range(STEPS):
        keys = list(site.views()) or [0]
        step = site.dice.choice(STEPS_OF if len(keys) < 9 else STEPS_OF[1:])
        before = site.views()
        step(site, site.dice.randrange(2), site.dice.choice(keys))
        if site.views() != before:
            done.add(step)
        site.check()
    # But for a beginning, which nobody sees, each had its effect.
    assert done == set(STEPS_OF) - {begin}


@pytest.mark.every_database
def test_who_was_told_of_a_write_reads_it(site: Site) -> None:
    """Also in another thread, of another process, while others write."""
    create(site, 0, 0)
    told, over, stale = [0], threading.Event(), []

    def write() -> None:
        for number in range(1, 61):
            wanted = {'metadata': {'n': str(number)}}
            body = {'set_metadata': wanted}
            answer = site.send(0, 'POST', f'{ALL}/1/action', body)
            assert answer.status_int == 200, answer.text
            told[0] = number
        over.set()

    def read(api: int, path: str) -> None:
        while not over.is_set():
            least = told[0]
            answer = json.loads(site.send(api, 'GET', path).body)
            found = answer.get('aggregate') or answer['aggregates'][0]
            if int(found['metadata'].get('n', 0)) < least:
                stale.append((api, path, least, found))

    threads = [threading.Thread(target=write)]
    threads += [
        threading.Thread(target=read, args=(api, path))
        for api in (0, 1)
        for path in (ALL, f'{ALL}/1')
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert over.is_set()
    assert stale == []


@pytest.mark.every_database
def test_metadata_are_merged_into_what_others_have_left(site: Site) -> None:
    """And not into what this process has seen last."""

    def send(api: int, wanted: Any, **headers: str) -> webob.Response:
        body = {'set_metadata': {'metadata': wanted}}
        return site.send(api, 'POST', f'{ALL}/1/action', body, **headers)

    create(site, 0, 0)
    wanted = {}
    for number, api in enumerate((0, 0, 1, 1, 0, 1)):
        new = {f'k{number}': str(api)}
        wanted |= new
        assert send(api, new).json['aggregate']['metadata'] == wanted
    assert send(1, {'k0': 'x'}, **{'If-Match': '"another"'}).status_int == 412
    zoned = send(1, {'availability_zone': 'z', 'k0': None}).json['aggregate']
    assert zoned['availability_zone'] == 'z'
    assert 'k0' not in zoned['metadata']
    delete(site, 0, 1)
    assert send(1, {'k0': 'again'}).status_int == 404
    site.check()


def test_what_was_seen_keeps_its_bounds(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And metadata are set of any number of aggregates."""
    monkeypatch.setattr(domain_aggregates, 'SEEN', 2)
    for number in range(5):
        key = running.aggregates.create(f'n{number}', None).id
        running.aggregates.set_metadata(key, {'a': 'b'})
        changed = running.aggregates.set_metadata(key, {'c': 'd'})
        assert changed.metadata == {'a': 'b', 'c': 'd'}
        assert len(running.aggregates._seen) <= 2


def test_what_is_kept_keeps_its_bounds(database_url: str) -> None:
    """And answers the same where nothing can be kept at all."""
    conf = databases.configure(database_url)
    site = Site(database_url)
    conf.set_override('cache_size', 0, 'api')
    site.apis = (site.apis[0], api_service.serve(conf))
    for _ in range(5):
        create(site, 0, 0)
        site.check()
    site.database.dispose()
