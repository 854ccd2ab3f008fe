"""A Galera cluster of three nodes, and processes that ask different ones.

No lock of a row reaches another node: two services can both believe that
they hold an aggregate, until their COMMITs. One of these is refused, and
before its COMMIT a service sends nothing. A node may be killed, hang, be cut
off from the others, or come back and be sent what it has missed.
"""

import functools
import os
import pathlib
import threading
import types
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.cmd.commands import checks
from aggregates_ext.db import aggregates
from aggregates_ext.db import leases
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import failures
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from aggregates_ext.domain import aggregates as domain_aggregates
from aggregates_ext.domain import hosts
from aggregates_ext.domain import intent
from tests import databases
from tests import galera
from tests import schemas
from tests.integration import children
from tests.integration import documents
from tests.integration import gates
from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories
from tests.integration import test_races as races
from tests.integration import test_stale_reads as stale

# Set to play all stories at all calls, and be held at all COMMITs.
ALL = 'AGGREGATES_EXT_CLUSTER_ALL'
# Of a join: the claim, and the record of the call that it is about to send;
# and all of them.
CLAIM, RECORD, LAST = 1, 6, 11
COMMITS = range(1, LAST + 1) if os.environ.get(ALL) else (CLAIM, RECORD)
WAITS = f'mysql_wsrep_sync_wait = {galera.SYNC_WAIT}'
DOCUMENTED = documents.block(
    'install.rst',
    '[database]\nconnection = mysql+pymysql://user:password@node1',
)
# Changes by each writer of the story of stale reads.
STEPS = 40
ROUNDS = 10


@pytest.fixture(scope='module')
def running() -> Iterator[galera.Cluster]:
    """The cluster of all tests here."""
    with galera.running() as made:
        yield made


@pytest.fixture
def cluster(running: galera.Cluster) -> Iterator[galera.Cluster]:
    """The cluster, which is whole again after the test."""
    yield running
    running.recover()


Databases = list[engine.Database]


def by_way_of(url: str) -> engine.Database:
    """A database by way of one node, which waits as the guide has it."""
    conf = databases.configure(url)
    conf.set_override('mysql_wsrep_sync_wait', galera.SYNC_WAIT, 'database')
    return engine.Database(conf)


@pytest.fixture
def nodes(cluster: galera.Cluster) -> Iterator[Databases]:
    """One database with its tables, by way of each node."""
    made = [by_way_of(url) for url in cluster.new()]
    schemas.upgrade(made[0])
    yield made
    for database in made:
        database.dispose()


class Spread:
    """A site with its processes on different nodes.

    :param urls: of the database, by way of each node.
    """

    def __init__(self, site: processes.Site, urls: list[str]) -> None:
        self.site = site
        self._urls = urls
        _section, _connection, waits = DOCUMENTED.splitlines()
        site.configure('[database]', f'[database]\n{waits}')

    def set_up(self) -> 'Spread':
        """Make the tables, and register the hosts."""
        self.site.set_up()
        return self

    def api(self, node: int, **variables: str) -> processes.Client:
        """Start an API that asks a node."""
        return self.site.start_api(**self._ask(node), **variables)

    def compute(self, node: int) -> children.Child:
        """Start a compute service that asks a node."""
        return self.site.start_compute(**self._ask(node))

    def held(self, node: int, nth: int, gate: gates.Gate) -> children.Child:
        """The same, which waits before its nth COMMIT."""
        commits = {
            'tally': str(self.site.directory / 'tally'),
            'nth': nth,
            'moment': 'before',
            'gate': str(gate.file),
        }
        held = self._start(node, 'aggregates-ext-compute', commits=commits)
        self.site.processes.append(held)
        return held

    def sync(self, node: int) -> children.Child:
        """Let a node make the schema."""
        return self._start(node, 'aggregates-ext-manage', 'db', 'sync')

    def _start(
        self, node: int, command: str, *more: str, **disturbed: Any
    ) -> children.Child:
        return children.fork_server().start(
            self.site.directory / f'{command}-{node}.log',
            command,
            ['--config-file', str(self.site.config), *more],
            self._ask(node),
            **disturbed,
        )

    def _ask(self, node: int) -> dict[str, str]:
        return {'OS_DATABASE__CONNECTION': self._urls[node]}


@pytest.fixture
def spread(
    make_site: Callable[..., processes.Site], cluster: galera.Cluster
) -> Callable[..., Spread]:
    """Makes a site on a database of the cluster."""

    def make(number: int, **compute: float) -> Spread:
        urls = cluster.new()
        site = make_site(number, compute, connection=urls[0])
        return Spread(site, urls)

    return make


def collide(
    one: engine.Database,
    first: Callable[[sa.Connection], object],
    other: engine.Database,
    second: Callable[[sa.Connection], object],
) -> list[object]:
    """Do two things on two nodes, the other between the first and its COMMIT.

    :returns: what the first has returned each time that it was done.
    """
    done: list[object] = []

    def work(connection: sa.Connection) -> object:
        done.append(first(connection))
        if len(done) == 1:
            other.write(second)
        return done[-1]

    one.write(work)
    return done


def test_one_of_two_nodes_gets_a_lease(nodes: Databases) -> None:
    """Both have it until the COMMIT, and the loser learns it by that."""
    key = nodes[0].write(lambda c: aggregates.insert(c, 'u', 'pool', None).id)
    found = collide(
        nodes[0],
        lambda c: leases.claim(c, key, 'one', 30),
        nodes[1],
        lambda c: leases.claim(c, key, 'other', 30),
    )
    assert found[0] is not None
    assert found[1:] == [None]
    with nodes[2].reader() as connection:
        owner = sa.select(models.aggregates.c.lease_owner)
        assert connection.scalar(owner) == 'other'


def test_what_a_former_holder_writes_is_refused(nodes: Databases) -> None:
    """Also when the new holder has claimed after the fence was passed."""
    key = nodes[0].write(lambda c: aggregates.insert(c, 'u', 'pool', None).id)
    lease = nodes[0].write(lambda c: leases.claim(c, key, 'one', -1))
    assert lease is not None
    runs: list[str] = []

    def write(connection: sa.Connection) -> None:
        leases.fence(connection, lease)
        runs.append('passed')
        aggregates.update(connection, key, {'name': 'late'})

    with pytest.raises(exception.LeaseLost):
        collide(
            nodes[0],
            write,
            nodes[1],
            lambda c: leases.claim(c, key, 'other', 30),
        )
    assert runs == ['passed']
    with nodes[2].reader() as connection:
        assert aggregates.get(connection, key).name == 'pool'


@pytest.mark.parametrize('first', ['host', 'aggregate'])
def test_zones_of_hosts_and_aggregates_agree(
    nodes: Databases, first: str
) -> None:
    """Each is judged by the other, and both are changed at once.

    What one change writes the other one only reads.
    """
    registered = [hosts.Hosts(database) for database in nodes]
    registered[0].add(
        [{'name': 'xen1', 'url': 'https://a', 'credential': 'default'}]
    )
    key = nodes[0].write(lambda c: aggregates.insert(c, 'u', 'pool', None).id)
    bind = sa.update(models.hosts).values(aggregate_id=key, phase='member')
    nodes[0].write(lambda c: c.execute(bind))

    def change_host(node: int) -> None:
        registered[node].change('xen1', {'availability_zone': 'one'})

    def change_aggregate(node: int) -> None:
        # No compute service is woken for that.
        nobody: Any = None
        wanted = domain_aggregates.Aggregates(
            intent.Intent(nodes[node], nobody, 0)
        )
        wanted.set_metadata(key, {'availability_zone': 'other'})

    ways = [change_host, change_aggregate]
    if first == 'aggregate':
        ways.reverse()
    met: list[str] = []

    def meanwhile(_connection: sa.Connection) -> None:
        if not met:
            met.append('here')
            ways[1](1)

    sa.event.listen(nodes[0].engine, 'commit', meanwhile)
    with pytest.raises((exception.HostZoneMismatch, exception.Invalid)):
        ways[0](0)
    assert met == ['here']
    with nodes[2].reader() as connection:
        zones = {
            aggregates.get(connection, key).availability_zone,
            registered[2].get('xen1').availability_zone,
        }
    assert zones == {None, 'other' if first == 'host' else 'one'}


def test_read_sees_what_was_committed_by_another_node(
    cluster: galera.Cluster, nodes: Databases
) -> None:
    """It waits until its node has taken that in; without that it is old.

    The node takes in nothing while somebody locks all of its tables.
    """
    url = nodes[1].engine.url.render_as_string(hide_password=False)
    hasty = engine.Database(databases.configure(url))
    key = nodes[0].write(lambda c: aggregates.insert(c, 'u', 'old', None).id)

    def name(database: engine.Database) -> str:
        with database.reader() as connection:
            return aggregates.get(connection, key).name

    assert name(nodes[1]) == 'old'
    found: list[str] = []
    with cluster.nodes[1].locked():
        nodes[0].write(lambda c: aggregates.update(c, key, {'name': 'new'}))
        assert name(hasty) == 'old'
        thread = threading.Thread(target=lambda: found.append(name(nodes[1])))
        thread.start()
        processes.wait_for(
            'the read waits', lambda: cluster.nodes[1].is_in(galera.WAITING)
        )
        assert found == []
    thread.join(processes.DEADLINE)
    assert found == ['new']
    hasty.dispose()


def test_upgrade_check_tells_of_reads_that_do_not_wait(
    nodes: Databases,
) -> None:
    """A node alone does not say how it is asked; a warning says what to set."""
    found = {}
    for value in (None, 1, galera.SYNC_WAIT):
        conf = databases.configure(
            nodes[1].engine.url.render_as_string(hide_password=False)
        )
        conf.set_override('mysql_wsrep_sync_wait', value, 'database')
        database = engine.Database(conf)
        tools = types.SimpleNamespace(database=database)
        told = checks.server(tools)  # type: ignore[arg-type]
        found[value] = [finding.message for finding in told]
        database.dispose()
    for value in (None, 1):
        (warning,) = found[value]
        assert f'wsrep_sync_wait is {value or 0}' in warning
        assert WAITS in warning
    assert found[galera.SYNC_WAIT] == []


def test_one_host_goes_to_one_of_two_aggregates(
    spread: Callable[..., Spread],
) -> None:
    """Asked for at two nodes at the same moment."""
    made = spread(1).set_up()
    clients = [made.api(0), made.api(1)]
    keys = [clients[0].create('one'), clients[1].create('two')]
    for _round in range(ROUNDS):
        answers: dict[int, processes.Answer] = {}

        def ask(
            number: int, answers: dict[int, processes.Answer] = answers
        ) -> None:
            answers[number] = clients[number].add(keys[number], 'xen1')

        races.at_once([lambda: ask(0), lambda: ask(1)])
        statuses = sorted(answer.status for answer in answers.values())
        assert statuses == [200, 409], answers
        (won,) = (n for n in answers if answers[n].status == 200)
        ((bound,),) = made.site.query('SELECT aggregate_id FROM hosts')
        assert bound == keys[won]
        # By way of the other node, which knows it by then.
        assert clients[1 - won].remove(keys[won], 'xen1').status == 200


def test_no_node_shows_what_a_writer_has_seen_changed(
    spread: Callable[..., Spread], cluster: galera.Cluster
) -> None:
    """As ``test_stale_reads`` on one server: what is kept is never stale."""
    made = spread(stale.HOSTS).set_up()
    clients = [made.api(0), made.api(1)]
    service = made.compute(2)
    processes.wait_for(
        'the compute service works', lambda: stale.works(service)
    )
    stale.play(clients, STEPS)


@pytest.mark.parametrize('nth', COMMITS)
def test_service_that_loses_at_its_commit_sends_nothing(
    spread: Callable[..., Spread], tmp_path: pathlib.Path, nth: int
) -> None:
    """It is held before a COMMIT until a service on another node is done.

    No lock of its own keeps that one from the aggregate.
    """
    made = spread(2, observe_interval=3600).set_up()
    site, client = made.site, made.api(0)
    first = made.compute(1)
    key = client.make_pool('pool', ['xen1'])
    assert first.terminate() == 0
    before = len(site.traffic.changing(('xen1', 'xen2')))
    gate = gates.Gate(tmp_path)
    held = made.held(1, nth, gate)
    assert client.add(key, 'xen2').status == 200
    processes.wait_for('it is held', gate.is_reached)
    assert site.arrivals('xen2', stories.JOIN) == (nth > RECORD)
    held.freeze()
    gate.open()
    made.compute(2)
    assert client.settle(key)['state'] == 'succeeded'
    held.thaw()
    stories.rename(stories.Scene(site, client, key, ['xen1', 'xen2']))
    assert client.settle(key)['state'] == 'succeeded'
    sent = [e.method for e in site.traffic.changing(('xen1', 'xen2'))]
    assert sorted(sent[before:]) == sorted([stories.JOIN, stories.NAME])
    processes.check_agreement(site, client, key)


WAYS = ('killed', 'cut off', 'hanging')
LEAVE = {
    'killed': galera.Node.kill,
    'cut off': galera.Node.isolate,
    'hanging': galera.Node.freeze,
}
# Which story loses the node of its service, at which call, and how; the node
# comes back with what it has missed, or with nothing.
SLICE = [
    ('join', stories.JOIN, 'killed', False),
    ('eject-master', stories.DISABLE, 'cut off', False),
    ('set-master', stories.DESIGNATE, 'hanging', False),
    ('first', stories.NAME, 'killed', True),
    ('first-given-back', stories.NAME, 'hanging', False),
]
PLAYS = (
    [
        (story.name, call, way, way == 'killed')
        for story in stories.STORIES
        for call in dict.fromkeys(story.calls)
        for way in WAYS
    ]
    if os.environ.get(ALL)
    else SLICE
)


@pytest.mark.parametrize(('name', 'call', 'way', 'empty'), PLAYS)
def test_story_goes_on_without_the_node_of_its_service(
    spread: Callable[..., Spread],
    cluster: galera.Cluster,
    name: str,
    call: str,
    way: str,
    empty: bool,
) -> None:
    """The node leaves when a host has answered a call, which is not noted.

    A service on another node takes over, and sends nothing twice. Then the
    node is back, with what has happened, and so is its service.
    """
    story = stories.BY_NAME[name]
    made = spread(2).set_up()
    site, client, victim = made.site, made.api(0), cluster.nodes[1]
    first = made.compute(1)
    scene = story.begin(site, client)
    before = len(site.traffic.changing(scene.hosts))
    gone = site.traffic.plant(
        proxy.Rule(call, after=functools.partial(LEAVE[way], victim))
    )
    story.act(scene)
    assert gone.ended.wait(processes.DEADLINE)
    second = made.compute(2)
    client.settle(scene.key)
    stories.check(story, scene)
    sent = [e.method for e in site.traffic.changing(scene.hosts)[before:]]
    stories.check_sent(story, sent)
    transfers = victim.transfers
    if empty:
        victim.lose_its_data()
    cluster.recover()
    assert victim.transfers == transfers + empty
    assert first.running
    stories.rename(scene)
    client.settle(scene.key)
    stories.check_peace(scene)
    # Nobody writes meanwhile.
    assert [first.terminate(), second.terminate()] == [0, 0]
    one, *others = cluster.contents(site.connection)
    assert [other for other in others if other != one] == []


def test_commit_that_was_not_answered_may_be_done(
    spread: Callable[..., Spread], cluster: galera.Cluster
) -> None:
    """A node is cut off when the others have a change and it has no answer.

    They do it, so it must not say that nothing is written; and it must not
    do it a second time.
    """
    made = spread(1).set_up()
    # One that waits before its first statement comes to no COMMIT here.
    client = made.api(2, OS_DATABASE__MYSQL_WSREP_SYNC_WAIT='0')
    other = made.api(0)
    node, waiting = cluster.nodes[2], cluster.nodes[:2]
    body = {'aggregate': {'name': 'perhaps'}}
    answers: list[processes.Answer] = []
    thread = threading.Thread(
        target=lambda: answers.append(
            client.ask('POST', '/os-aggregates', body)
        )
    )
    for each in waiting:
        each.freeze()
    thread.start()
    processes.wait_for(
        'the COMMIT is on its way', lambda: node.is_in(galera.COMMITTING)
    )
    node.isolate()
    for each in waiting:
        each.thaw()
    thread.join(processes.DEADLINE)
    (answer,) = answers
    assert answer.status == 503, answer.body
    assert failures.LOST in str(answer.body)
    cluster.recover()
    again = other.ask('POST', '/os-aggregates', body)
    listed = other.done('GET', '/os-aggregates')['aggregates']
    assert [one['name'] for one in listed] == ['perhaps']
    assert again.status in (200, 409)
    assert client.done('GET', '/os-aggregates')['aggregates'] == listed


def test_node_that_is_not_in_the_cluster_is_a_database_that_is_away(
    spread: Callable[..., Spread], cluster: galera.Cluster
) -> None:
    """It refuses all (1047), and so does whoever asks it; the rest goes on."""
    made = spread(1).set_up()
    client, other = made.api(0), made.api(1)
    key = client.create('pool')
    cluster.nodes[1].isolate()

    def is_away() -> bool:
        answer = other.ask('GET', f'/os-aggregates/{key}')
        assert answer.status in (200, 503), answer
        return answer.status == 503

    processes.wait_for('its API says so', is_away)
    body = {'aggregate': {'name': 'other'}}
    refused = other.ask('PUT', f'/os-aggregates/{key}', body)
    assert refused.status == 503
    assert 'othing is written' in str(refused.body)
    client.done('PUT', f'/os-aggregates/{key}', body)
    cluster.recover()
    assert other.show(key)['name'] == 'other'


def ended(process: children.Child) -> bool:
    """Whether a process has ended."""
    return not process.running


def test_schema_that_three_nodes_make_at_once(
    spread: Callable[..., Spread], cluster: galera.Cluster
) -> None:
    """One makes it, and the others wait for that, as on one server."""
    made = spread(1)
    started = [made.sync(node) for node in range(galera.NODES)]
    for each in started:
        processes.wait_for('it ends', functools.partial(ended, each))
    told = [(each.wait(), each.text()) for each in started]
    assert [code for code, _text in told] == [0, 0, 0], told
    made.site.run('aggregates-ext-manage', 'db', 'check')
    one, *others = cluster.contents(made.site.connection)
    assert 'operations' in one
    assert migration.UPGRADING not in one
    assert others == [one, one]


def test_upgrade_that_was_killed_is_told(
    cluster: galera.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can see whether it still runs on another node."""
    monkeypatch.setattr(migration, 'CLUSTER_LIMIT', 0.0)
    left, again = [by_way_of(url) for url in cluster.new()[:2]]
    with left.engine.connect() as connection:
        connection.exec_driver_sql(
            f'CREATE TABLE {migration.UPGRADING} (id INT)'
        )
    with pytest.raises(exception.Unavailable, match=migration.UPGRADING):
        migration.upgrade(again)
    with left.engine.connect() as connection:
        connection.exec_driver_sql(f'DROP TABLE {migration.UPGRADING}')
    migration.upgrade(again)
    assert migration.find_fault(left) == ''
    left.dispose()
    again.dispose()
