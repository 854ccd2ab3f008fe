"""PostgreSQL is lost, and its standby is promoted behind a proxy.

With a standby that each COMMIT waits for nothing is lost, and nothing done
twice. With one that follows later the end of the history is lost: what
becomes of calls of that time is shown here too.
"""

import os
import pathlib
import threading
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from aggregates_ext.db.engine import failures
from tests.integration import processes
from tests.integration import proxy
from tests.integration import standby
from tests.integration import stories

# Set to play all stories at all calls.
ALL = 'AGGREGATES_EXT_CLUSTER_ALL'
# Accepted requests before the loss, and after it.
MANY = 15
WAYS = {'killed': standby.First.kill, 'hanging': standby.First.freeze}
SLICE = [
    ('join', stories.JOIN),
    ('eject-master', stories.DESIGNATE),
    ('disable', stories.DISABLE),
]
# What is answered when it is done, as Nova does, or when it cannot be seen.
WAITED = ('disable', 'enable', 'disable-taken-over')
PLAYS = (
    [
        (story.name, call)
        for story in stories.STORIES
        for call in dict.fromkeys(story.calls)
    ]
    if os.environ.get(ALL)
    else SLICE
)


@pytest.fixture
def pair(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> Iterator[standby.Pair]:
    """Two servers; each COMMIT waits for both, or for the first alone."""
    synchronous = getattr(request, 'param', True)
    with standby.running(tmp_path, synchronous) as made:
        processes.wait_for(
            'the standby follows',
            lambda: made.first.is_followed(sync=synchronous),
        )
        yield made


@pytest.fixture
def site(
    make_site: Callable[..., processes.Site], pair: standby.Pair
) -> processes.Site:
    """Two hosts, and a database behind the proxy."""
    connection = pair.new()
    made = make_site(2, connection=connection)
    processes.wait_for('the proxy is up', lambda: pair.answers(connection))
    made.set_up()
    return made


def promote(pair: standby.Pair, client: processes.Client) -> None:
    """Let the standby take over; until then it only reads."""
    body = {'aggregate': {'name': 'too early'}}

    def reads() -> bool:
        read = client.ask('GET', '/os-aggregates')
        assert read.status in (200, 503), read
        refused = client.ask('POST', '/os-aggregates', body)
        assert refused.status == 503, refused
        return read.status == 200 and 'othing is written' in str(refused.body)

    processes.wait_for('the standby is asked', reads)
    pair.standby.promote()


@pytest.mark.parametrize('way', WAYS)
def test_nothing_that_was_accepted_is_lost_or_done_twice(
    site: processes.Site, pair: standby.Pair, way: str
) -> None:
    """What was not accepted is asked for again, and then it is there once."""
    client = site.start_api()
    told: list[str] = []
    over = threading.Event()
    strange: list[processes.Answer] = []

    def create() -> None:
        while not over.is_set():
            name = f'pool{len(told)}'
            body = {'aggregate': {'name': name}}
            answer = client.ask('POST', '/os-aggregates', body)
            if answer.status in (200, 409):
                told.append(name)
            elif answer.status != 503:
                strange.append(answer)
                return

    writer = threading.Thread(target=create)
    writer.start()
    try:
        processes.wait_for('some are accepted', lambda: len(told) > MANY)
        WAYS[way](pair.first)
        promote(pair, site.start_api())
        # As it must be before that, where somebody may still reach it.
        if pair.first.running:
            pair.first.kill()
        before = len(told)
        processes.wait_for(
            'more are accepted', lambda: len(told) > before + MANY
        )
    finally:
        over.set()
        writer.join()
    assert strange == []
    listed = client.done('GET', '/os-aggregates')['aggregates']
    assert [one['name'] for one in listed] == told


def test_what_the_standby_does_not_have_is_not_accepted(
    site: processes.Site, pair: standby.Pair
) -> None:
    """The answer says that it may be written, and after a while it is."""
    client = site.start_api()
    body = {'aggregate': {'name': 'perhaps'}}
    pair.standby.freeze()
    answer = client.ask('POST', '/os-aggregates', body)
    assert answer.status == 503, answer.body
    assert failures.LOST in str(answer.body)
    pair.standby.thaw()
    processes.wait_for(
        'it is there',
        lambda: client.done('GET', '/os-aggregates')['aggregates'],
    )
    assert client.ask('POST', '/os-aggregates', body).status == 409


@pytest.mark.parametrize(('name', 'call'), PLAYS)
def test_story_goes_on_at_the_promoted_standby(
    site: processes.Site, pair: standby.Pair, name: str, call: str
) -> None:
    """The first is lost when a host has answered a call, which is not noted."""
    story = stories.BY_NAME[name]
    client = site.start_api()
    service = site.start_compute()
    scene = story.begin(site, client)
    before = len(site.traffic.changing(scene.hosts))
    gone = site.traffic.plant(proxy.Rule(call, after=pair.first.kill))
    if name in WAITED:
        with pytest.raises(AssertionError, match=failures.UNREACHABLE):
            story.act(scene)
    else:
        story.act(scene)
    assert gone.ended.wait(processes.DEADLINE)
    promote(pair, client)
    client.settle(scene.key)
    stories.check(story, scene)
    sent = [e.method for e in site.traffic.changing(scene.hosts)[before:]]
    stories.check_sent(story, sent)
    assert service.running


@pytest.mark.parametrize('pair', [False], indirect=True)
def test_record_of_a_call_that_is_lost(
    site: processes.Site, pair: standby.Pair
) -> None:
    """The host joins, and the database does not know that it was asked to.

    What both sides show is evidence enough here: it is not asked again.
    """
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    site.traffic.plant(
        proxy.Rule(
            'session.get_uuid', host='xen2', after=pair.standby.stop_following
        )
    )
    gone = site.traffic.plant(
        proxy.Rule(stories.JOIN, host='xen2', after=pair.first.kill)
    )
    assert client.add(key, 'xen2').status == 200
    assert gone.ended.wait(processes.DEADLINE)
    promote(pair, client)
    ended = client.settle(key)
    assert ended['state'] == 'succeeded', ended
    assert client.show(key)['hosts'] == ['xen1', 'xen2']
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)


@pytest.mark.parametrize('pair', [False], indirect=True)
def test_request_that_is_lost_after_it_was_carried_out(
    site: processes.Site, pair: standby.Pair
) -> None:
    """The host is in the pool, and nobody has asked for that.

    It is told as a difference, and adopted.
    """
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    processes.wait_for(
        'the standby has all', lambda: pair.first.is_followed(sync=False)
    )
    pair.standby.stop_following()
    assert client.add(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    pair.first.kill()
    promote(pair, client)
    processes.wait_for(
        'the difference is seen', lambda: client.pool(key)['drift']
    )
    assert [one['code'] for one in client.pool(key)['drift']] == [
        'HOST_JOINED'
    ]
    assert client.show(key)['hosts'] == ['xen1']
    path = f'/os-aggregates/{key}/action'
    client.done('POST', path, {'adopt': {}})
    assert client.settle(key)['state'] == 'succeeded'
    assert client.show(key)['hosts'] == ['xen1', 'xen2']
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)
