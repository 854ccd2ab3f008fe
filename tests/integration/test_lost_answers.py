"""Answers get lost: what was done is found out, and never done twice.

The proxy closes the connection when the host has done what it was asked. The
service cannot know that, and must look before it sends anything again.
"""

import pathlib
from collections.abc import Iterator

import pytest

from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories


@pytest.fixture(scope='module')
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[processes.Site, processes.Client]]:
    """A site with its services; each test takes hosts of its own."""
    directory: pathlib.Path = tmp_path_factory.mktemp('lost')
    hosts = 2 * len(stories.POINTS)
    with processes.Site(directory, hosts, {'observe_interval': 2}) as site:
        site.set_up()
        client = site.start_api()
        site.start_compute()
        yield site, client


@pytest.mark.parametrize(
    ('story', 'number', 'call'), stories.POINTS, ids=stories.IDS
)
def test_call_without_an_answer_is_not_repeated(
    running: tuple[processes.Site, processes.Client],
    story: stories.Story,
    number: int,
    call: str,
) -> None:
    """It arrives exactly once, refused or not, and the story has its end.

    That holds for ``host.disable`` and ``host.enable`` too: sent again they
    would do no harm to xapi, but undo what somebody did in between.
    """
    site, client = running
    scene = story.begin(site, client)
    before = len(site.traffic.changing(scene.hosts))
    rule = site.traffic.plant(proxy.Rule(call, lose='answer'))
    try:
        story.act(scene)
        assert rule.ended.wait(processes.DEADLINE)
        client.settle(scene.key)
        stories.check(story, scene)
    finally:
        site.traffic.clear()
        site.sim.clear_faults()
    sent = [e.method for e in site.traffic.changing(scene.hosts)[before:]]
    if len(story.left) == 1:
        assert sorted(sent) == sorted(story.calls)
    else:
        done = [
            exchange.method
            for exchange in site.traffic.changing(scene.hosts)[before:]
            if exchange.succeeded
        ]
        assert done.count(stories.NAME) <= 1
