"""Two API processes, two compute services, and a RabbitMQ that loses nodes.

Its options are those of the installation document. Each run kills one node of
three, and two of them; ``tox -e sweep`` each one of three and of two.
"""

import configparser
import itertools
import os
import re
from collections.abc import Callable
from collections.abc import Iterator

import pytest
from oslo_config import cfg

from aggregates_ext import conf as settings
from tests import databases
from tests import hearing
from tests.integration import documents
from tests.integration import processes
from tests.integration import proxy
from tests.integration import rabbit_cluster
from tests.integration import rabbitmq
from tests.integration import stories
from tests.integration import sweep

pytestmark = pytest.mark.long

SAMPLE = documents.block('install.rst', '[oslo_messaging_rabbit]\n')
TOPIC = 'versioned_notifications'
LISTENS = 'Messages are listened to'
SIZES = [3, pytest.param(2, marks=pytest.mark.sweep)]
POOLS = 2
# Hosts that come while nodes are killed and return, each time.
NEW = 3


@pytest.fixture(scope='module', params=SIZES)
def shared_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[rabbit_cluster.Cluster]:
    """So many nodes of RabbitMQ, on loopback."""
    directory = tmp_path_factory.mktemp('cluster')
    try:
        made = rabbit_cluster.Cluster(directory, request.param)
    except rabbitmq.Missing as exc:
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    with made:
        yield made


@pytest.fixture
def cluster(
    shared_cluster: rabbit_cluster.Cluster,
) -> Iterator[rabbit_cluster.Cluster]:
    """The nodes; all run again after the test, whatever that did."""
    yield shared_cluster
    shared_cluster.recover()


class Pair:
    """Two API processes and two compute services, and what they are asked.

    :ivar asked: aggregate -> kind and host of each operation, in order.
    :ivar numbers: aggregate -> what was written last into its metadata.
    """

    def __init__(self, site: processes.Site) -> None:
        self.site = site
        services = [site.start_compute() for _ in range(2)]
        processes.wait_for(
            'both listen', lambda: all(LISTENS in s.text() for s in services)
        )
        self._clients = itertools.cycle([site.start_api() for _ in range(2)])
        self.asked: dict[int, list[tuple[str, str]]] = {}
        self.numbers: dict[int, int] = {}

    @property
    def client(self) -> processes.Client:
        """Of one API process and of the other, in turns."""
        return next(self._clients)

    def make_pool(self) -> int:
        """An aggregate with one host; the answer: its id."""
        key = self.client.create(self.site.new_name())
        self.asked[key], self.numbers[key] = [], 0
        self.act('add_host', key, *self.site.take_hosts(1))
        return key

    def act(self, kind: str, key: int, host: str) -> None:
        """Have a host added or removed, and something told beside it."""
        path = f'/os-aggregates/{key}/action'
        self.client.done('POST', path, {kind: {'host': host}})
        self.asked[key].append((kind, host))
        self.numbers[key] += 1
        number = {'number': str(self.numbers[key])}
        body = {'set_metadata': {'metadata': number}}
        self.client.done('POST', path, body)

    def settle(self, *keys: int) -> None:
        """Wait until nothing goes on; all has succeeded then."""
        for key in keys or self.asked:
            ended = self.client.settle(key)
            assert ended['state'] == 'succeeded', ended

    def is_checked(self, key: int) -> bool:
        """Whether a compute service answers to an API process."""
        return self.client.check(key, 'xen1', 'remove').status == 200


@pytest.fixture
def site(
    make_site: Callable[..., processes.Site],
    cluster: rabbit_cluster.Cluster,
    servers: databases.Servers,
) -> processes.Site:
    """A site as the document has it, on MariaDB."""
    sample = configparser.ConfigParser(interpolation=None)
    sample.read_string(SAMPLE)
    url = sample['DEFAULT'].pop('transport_url')
    for number, place in enumerate(cluster.places(), 1):
        url = url.replace(f'user:password@broker{number}', place)
    # Those that this cluster has not.
    url = re.sub(',user:password@broker[0-9]', '', url)
    site = make_site(
        POOLS + NEW * len(losses(cluster)),
        connection=servers.get('mariadb').new(),
        # Who was away is found soon.
        transport_url=f'{url}{cluster.make_vhost()}?rabbit_interval_max=1',
    )
    section = 'oslo_messaging_rabbit'
    more = [f'{k} = {v}' for k, v in sample[section].items()]
    lines = [f'[{section}]', *more, '[notifications]', 'enabled = true']
    site.configure('[api]\n', '\n'.join([*lines, '[api]\n']))
    site.set_up()
    return site


def vhost_of(site: processes.Site) -> str:
    """The part of the brokers that a site uses."""
    return site.transport_url.partition('?')[0].rpartition('/')[2]


def losses(cluster: rabbit_cluster.Cluster) -> list[list[rabbitmq.Broker]]:
    """Which nodes are away together: one of them, and in the end the most."""
    found = [[node] for node in cluster.nodes]
    if len(cluster.nodes) > 2:
        found.append(cluster.nodes[:-1])
    return found if os.environ.get(sweep.ALL) else [found[0], found[-1]]


def lose(
    cluster: rabbit_cluster.Cluster, pair: Pair, gone: list[rabbitmq.Broker]
) -> None:
    """Nodes are killed in the middle of a join, and come back after more."""
    site = pair.site
    one, other = pair.asked
    late, soon, then = site.take_hosts(NEW)
    join = site.traffic.plant(proxy.Rule(stories.JOIN, host=late, hold=True))
    pair.act('add_host', one, late)
    assert join.arrived.wait(processes.DEADLINE)
    for node in gone:
        node.kill()
    for kind in ('add_host', 'remove_host'):
        pair.act(kind, other, soon)
        pair.settle(other)
    if 2 * len(gone) < len(cluster.nodes):
        # More than half are there.
        processes.wait_for('it is checked', lambda: pair.is_checked(other))
    else:
        assert not pair.is_checked(other)
    join.release()
    pair.settle()

    cluster.recover()
    cluster.await_queues(vhost_of(site))
    for _ in range(2):
        processes.wait_for('it is checked', lambda: pair.is_checked(other))
    pair.act('add_host', other, then)
    pair.settle()


def told(
    heard: list[hearing.Heard], key: int
) -> tuple[list[tuple[str, list[str]]], list[int]]:
    """What was told of an aggregate, each message once, as it came.

    :returns: what was done, with the hosts there are then; and the numbers.
    """
    unique = {message.id: message for message in heard}.values()
    ends = [
        (message.event.split('.')[1], message.data)
        for message in unique
        if message.event.endswith('.end') and message.data['id'] == key
    ]
    return (
        [(k, d['hosts']) for k, d in ends if k in ('add_host', 'remove_host')],
        [
            int(data['metadata']['number'])
            for kind, data in ends
            if kind == 'update_metadata'
        ],
    )


def test_nodes_are_killed_and_return(
    site: processes.Site, cluster: rabbit_cluster.Cluster
) -> None:
    """No operation is lost or doubled, and all is told, in order."""
    pair = Pair(site)
    conf = cfg.ConfigOpts()
    settings.parse(conf, [], [str(site.config)])
    with hearing.Listener(conf, TOPIC) as listener:
        for _ in range(POOLS):
            pair.make_pool()
        pair.settle()
        kinds = {q['name']: q['type'] for q in cluster.queues(vhost_of(site))}
        assert set(kinds.values()) == {'quorum'}, kinds
        for gone in losses(cluster):
            lose(cluster, pair, gone)

        def all_is_told() -> bool:
            return all(
                len(told(listener.heard, key)[1]) >= pair.numbers[key]
                and len(told(listener.heard, key)[0]) >= len(asked)
                for key, asked in pair.asked.items()
            )

        processes.wait_for('all is told', all_is_told)
        rest = 'SELECT COUNT(*) FROM notifications'
        processes.wait_for(
            'all is forgotten', lambda: site.query(rest) == [(0,)]
        )
        heard = list(listener.heard)
    for key, asked in pair.asked.items():
        done = pair.client.operations(key)[::-1]
        assert [(o['kind'], o['host']) for o in done] == asked
        assert {o['state'] for o in done} == {'succeeded'}
        hosts: list[str] = []
        ends = []
        for kind, host in asked:
            if kind == 'add_host':
                hosts.append(host)
            else:
                hosts.remove(host)
            ends.append((kind, sorted(hosts)))
        assert told(heard, key) == (
            ends,
            list(range(1, pair.numbers[key] + 1)),
        )
        for _, host in [a for a in asked[1:] if a[0] == 'add_host']:
            assert site.arrivals(host, stories.JOIN) == 1
        processes.check_agreement(site, pair.client, key)
    sent = sum(site.arrivals(h, stories.EJECT) for h in site.sim.world.hosts)
    assert sent == len(losses(cluster))


def test_queue_of_before_is_told_of(site: processes.Site) -> None:
    """One that the options do not fit; all works by polling then."""
    asked = 'rabbit_quorum_queue = true'
    site.configure(asked, 'rabbit_quorum_queue = false')
    first = site.start_compute()
    processes.wait_for('it listens', lambda: LISTENS in first.text())
    assert first.terminate() == 0
    site.configure('rabbit_quorum_queue = false', asked)
    second = site.start_compute()
    told = re.compile('No messages pass.*x-queue-type')
    processes.wait_for('it is told', lambda: told.search(second.text()))
    site.start_api().make_pool('pool', ['xen1'])
    assert LISTENS not in second.text()
