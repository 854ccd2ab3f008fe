"""The compute service is killed around every call that changes a pool.

The kill is a SIGKILL of the real process, done by the proxy: before the call
reaches the host, or when the host has answered and the service does not know
it yet. Then the service is started again.
"""

import pathlib
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories


class Theatre:
    """A site where one story after another is played, on fresh hosts."""

    def __init__(self, site: processes.Site) -> None:
        self.site = site
        self.client = site.start_api()
        self._service = site.start_compute()

    def serve(self) -> None:
        """See to it that a compute service runs."""
        if not self._service.running:
            self._service = self.site.start_compute()

    def kill(self) -> None:
        """Kill the compute service."""
        self._service.kill()


@pytest.fixture(scope='module')
def module_theatre(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Theatre]:
    directory: pathlib.Path = tmp_path_factory.mktemp('crash')
    hosts = 2 * (2 * len(stories.POINTS) + len(stories.STORIES))
    with processes.Site(directory, hosts, {'observe_interval': 2}) as site:
        site.set_up()
        yield Theatre(site)


@pytest.fixture
def theatre(module_theatre: Theatre) -> Iterator[Theatre]:
    """The theatre without what the test before left planted."""
    module_theatre.serve()
    yield module_theatre
    module_theatre.site.traffic.clear()
    module_theatre.site.sim.clear_faults()


@pytest.mark.parametrize('story', stories.STORIES, ids=str)
def test_no_changing_call_is_without_a_crash_test(
    theatre: Theatre, story: stories.Story
) -> None:
    """Undisturbed, each story sends exactly the calls that it names."""
    scene = story.begin(theatre.site, theatre.client)
    before = len(theatre.site.traffic.changing(scene.hosts))
    story.act(scene)
    theatre.client.settle(scene.key)
    sent = theatre.site.traffic.changing(scene.hosts)[before:]
    assert tuple(exchange.method for exchange in sent) == story.calls
    stories.check(story, scene)


@pytest.mark.parametrize('moment', ['before', 'after'])
@pytest.mark.parametrize(
    ('story', 'number', 'call'), stories.POINTS, ids=stories.IDS
)
def test_killed_service_is_taken_up_by_the_next(
    theatre: Theatre,
    story: stories.Story,
    number: int,
    call: str,
    moment: str,
) -> None:
    """The end is the one that the membership says; nothing happens twice."""
    site, client = theatre.site, theatre.client
    scene = story.begin(site, client)
    if moment == 'before':
        rule = proxy.Rule(call, before=theatre.kill, lose='request')
    else:
        rule = proxy.Rule(call, after=theatre.kill, lose='answer')
    sent = len(site.traffic.changing(scene.hosts))
    site.traffic.plant(rule)
    story.act(scene)
    assert rule.ended.wait(processes.DEADLINE)
    theatre.serve()
    client.settle(scene.key)
    stories.check(story, scene)
    done = [
        exchange.method
        for exchange in site.traffic.changing(scene.hosts)[sent:]
        if exchange.succeeded
    ]
    if len(story.left) == 1:
        # Another end, where one is right too, takes other calls.
        assert sorted(done) == sorted(story.calls)


@pytest.mark.every_database
def test_next_service_waits_while_a_joined_host_serves_as_before(
    make_site: Callable[..., processes.Site],
) -> None:
    """A second join would "succeed" in that time, and do harm.

    The fuse of the host is long enough to start a service meanwhile.
    """
    site = make_site(2, times={'fuse': 100})
    site.set_up()
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    rule = proxy.Rule(stories.JOIN, after=service.kill, lose='answer')
    site.traffic.plant(rule)
    assert client.add(key, 'xen2').status == 200
    assert rule.ended.wait(processes.DEADLINE)
    site.start_compute()
    step = 'joined, xapi of the host restarts soon'
    processes.wait_for(
        'it is seen that the host has joined',
        lambda: client.operations(key)[0]['step'] == step,
    )
    assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)


@pytest.mark.parametrize('crash', [False, True], ids=['served', 'crashed'])
def test_unknown_outcome_is_told_and_resolved_by_evidence(
    make_site: Callable[..., processes.Site],
    crash: bool,
) -> None:
    """The host loses its power when it has joined, before it shows that.

    At the time limit the operation is unresolved, and says what is seen; it
    ends when the host is back and shows what became of it.
    """
    site = make_site(2, {'join_timeout': 2})
    site.set_up()
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])

    def has_joined() -> bool:
        with site.sim.world.lock:
            rows = site.sim.host('xen2').database.rows('task')
            return [row['status'] for _, row in rows] == ['success']

    def cut() -> None:
        if crash:
            service.kill()
        processes.wait_for('xen2 has joined', has_joined)
        site.sim.power_off('xen2')

    rule = site.traffic.plant(proxy.Rule(stories.JOIN, host='xen2', after=cut))
    assert client.add(key, 'xen2').status == 200
    assert rule.ended.wait(processes.DEADLINE)
    if crash:
        site.start_compute()
    operation = client.settle(key)
    assert operation['state'] == 'unresolved'
    for words in ('The master of pool', 'The host itself'):
        assert words in operation['error']['message']
    assert client.show(key)['operational_state'] == 'error'
    assert client.show(key)['hosts'] == ['xen1', 'xen2']
    site.sim.power_on('xen2')
    processes.wait_for(
        'the evidence is seen',
        lambda: client.operations(key)[0]['state'] == 'succeeded',
    )
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)
