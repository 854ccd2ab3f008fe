"""No answer of any process is older than what a writer was told before it.

Two API processes that keep how aggregates look, and a compute service that
changes them, on each database. ``AGGREGATES_EXT_STALE_STEPS`` asks for more
changes by each writer.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration import children
from tests.integration import processes

# Changes that each writer makes, and joins and ejects beside them.
STEPS = int(os.environ.get('AGGREGATES_EXT_STALE_STEPS', '120'))
HOSTS = 2
MakeSite = Callable[..., processes.Site]
LEGACY = '/v2/project'


class Story:
    """Writers, readers, and what the readers must know.

    :param clients: one of each API process.
    :param steps: changes that each writer makes.
    :ivar reads: how many answers were held against what was told.
    :ivar stale: those that were older.
    """

    def __init__(self, clients: list[processes.Client], steps: int) -> None:
        self.clients = clients
        self._steps = steps
        self.told: dict[int, int] = {}
        self.reads = 0
        self.stale: list[Any] = []
        self.errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

    def count(self, api: int, key: int) -> None:
        """Write one number after the other, by way of one process."""
        client = self.clients[api]
        for number in range(1, self._steps + 1):
            body = {'set_metadata': {'metadata': {'n': str(number)}}}
            path = f'/os-aggregates/{key}/action'
            answer = client.done('POST', path, body)['aggregate']
            assert answer['metadata']['n'] == str(number)
            self.told[key] = number

    def come_and_go(self, api: int) -> None:
        """Create, rename and delete aggregates; each is seen at once."""
        for number in range(self._steps // 4):
            key = self.clients[api].create(f'new{number}')
            self._check(key, f'new{number}')
            name = f'other{number}'
            body = {'aggregate': {'name': name}}
            self.clients[api].done('PUT', f'/os-aggregates/{key}', body)
            self._check(key, name)
            answer = self.clients[api].ask('DELETE', f'/os-aggregates/{key}')
            assert answer.status == 200
            self._check(key, None)

    def _check(self, key: int, name: str | None) -> None:
        """What both processes say of one that nobody else touches."""
        for client in self.clients:
            answer = client.ask('GET', f'/os-aggregates/{key}')
            shown = answer.body.get('aggregate', {}).get('name')
            listed = client.done('GET', '/os-aggregates')['aggregates']
            names = [item['name'] for item in listed if item['id'] == key]
            self._hold(
                shown == name and names == ([name] if name else []),
                (key, name, shown, names),
            )

    def join_and_eject(self, api: int, key: int, hosts: list[str]) -> None:
        """Let the compute service change what is shown of an aggregate.

        What it was asked for is seen at once, and what it has done as soon
        as the operation says so, which nobody keeps.
        """
        client = self.clients[api]
        for change in (client.add, client.remove) * (1 + self._steps // 400):
            for host in hosts:
                assert change(key, host).status == 200
                there = change == client.add
                self._check_hosts(key, host, there)
                self._settle(client, key)
                self._check_hosts(key, host, there, at_rest=True)
            # Whose end changes nothing but the state.
            body = {'aggregate': {'name': f'pool{change.__name__}'}}
            client.done('PUT', f'/os-aggregates/{key}', body)
            self._settle(client, key)
            self._check_hosts(key, host, there, at_rest=True)

    def _settle(self, client: processes.Client, key: int) -> None:
        ended = client.settle(key)
        assert ended['state'] == 'succeeded', ended

    def _check_hosts(
        self, key: int, host: str, there: bool, at_rest: bool = False
    ) -> None:
        for client in self.clients:
            listed = client.ask('GET', '/os-aggregates', prefix=LEGACY).body
            for shown in (client.show(key), *listed['aggregates']):
                changing = shown['operational_state'] == 'changing'
                if shown['id'] == key:
                    self._hold(
                        (host in shown['hosts']) == there
                        and not (at_rest and changing),
                        (key, host, there, shown),
                    )

    def read(self, api: int, keys: list[int]) -> None:
        """Ask again and again, each time for no less than was told."""
        client = self.clients[api]
        while not self._over.is_set():
            for path, prefix in (
                ('/os-aggregates', '/v2.1'),
                ('/os-aggregates', LEGACY),
                *((f'/os-aggregates/{key}', '/v2.1') for key in keys),
            ):
                least = dict(self.told)
                body = client.ask('GET', path, prefix=prefix).body
                found = body.get('aggregates') or [body['aggregate']]
                numbers = {
                    item['id']: int(item['metadata'].get('n', 0))
                    for item in found
                }
                for key in keys:
                    if 'aggregates' in body or key in numbers:
                        self._hold(
                            numbers.get(key, -1) >= least.get(key, 0),
                            (api, path, prefix, least, numbers),
                        )

    def _hold(self, fresh: bool, what: Any) -> None:
        with self._lock:
            self.reads += 1
            if not fresh:
                self.stale.append(what)

    def play(self, writers: list[Callable[[], None]], keys: list[int]) -> None:
        """Let all writers end, and the readers after them."""
        readers = [lambda api=api: self.read(api, keys) for api in (0, 1)]
        threads = [
            [threading.Thread(target=self._run, args=(part,)) for part in some]
            for some in (writers, readers)
        ]
        for thread in threads[0] + threads[1]:
            thread.start()
        for thread in threads[0]:
            thread.join()
        self._over.set()
        for thread in threads[1]:
            thread.join()

    def _run(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as exc:
            self.errors.append(exc)
            raise


def works(service: children.Child) -> bool:
    """Whether a compute service is ready."""
    return 'service works' in service.text()


def play(clients: list[processes.Client], steps: int) -> None:
    """Let each writer make so many changes, and hold all reads against them.

    A compute service must be at work, for two hosts.

    :raises AssertionError: an answer was older than what was told before.
    """
    keys = [clients[0].create('one'), clients[1].create('two')]
    pool = clients[0].create('pool')
    story = Story(clients, steps)
    story.play(
        [
            lambda: story.count(0, keys[0]),
            lambda: story.count(1, keys[1]),
            lambda: story.come_and_go(0),
            lambda: story.join_and_eject(1, pool, ['xen1', 'xen2']),
        ],
        keys,
    )
    assert story.errors == []
    assert story.stale == []
    assert story.reads >= 5 * steps
    print(f'{story.reads} reads')


@pytest.mark.every_database
def test_no_process_shows_what_a_writer_has_seen_changed(
    make_site: MakeSite,
) -> None:
    site = make_site(HOSTS)
    site.set_up()
    clients = [site.start_api(), site.start_api()]
    service = site.start_compute()
    processes.wait_for('the compute service works', lambda: works(service))
    play(clients, STEPS)
