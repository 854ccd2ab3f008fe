"""Plays of a story that is disturbed at one of its points.

The points of a story are counted in an undisturbed play: every XenAPI call,
before the host gets it and after it has answered, and every COMMIT of
something written, before and after. As time is simulated, each play passes
the same points until it is disturbed.
"""

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import Any

from tests.integration import children
from tests.integration import gates
from tests.integration import proxy
from tests.integration import stage
from tests.integration import stories

COMMIT = 'COMMIT'
# A machine that is slow may once pass other points than otherwise.
ATTEMPTS = 4
# Real seconds in which a service gives back what it can.
LET_GO = 3.0


class NotMet(Exception):
    """The story has not come to the point."""


@dataclasses.dataclass(frozen=True)
class Point:
    """A moment in a story.

    :ivar call: XenAPI method, or ``COMMIT``.
    :ivar host: that is called; empty for a COMMIT.
    :ivar nth: which of them, from 1.
    :ivar moment: 'before' or 'after', or 'in' a COMMIT.
    """

    story: str
    call: str
    host: str
    nth: int
    moment: str

    def __str__(self) -> str:
        where = f' at {self.host}' if self.host else ''
        return f'{self.story}: {self.moment} {self.call} {self.nth}{where}'

    @property
    def changes(self) -> bool:
        """Whether it is around a call that changes a pool."""
        return self.call != COMMIT and proxy.changes_pool(self.call)


class Player:
    """Plays one story on a stage, disturbed or not."""

    def __init__(self, theatre: stage.Stage, story: stories.Story) -> None:
        self.stage = theatre
        self.story = story
        theatre.restore()
        theatre.start()
        self._scene = story.begin(theatre.site, theatre.client)
        self._snapshot = theatre.snapshot()
        self._done = 0

    def set(self) -> stories.Scene:
        """Put everything back to the beginning; no service runs yet."""
        self.stage.restore(self._snapshot)
        self._done = len(self.stage.client.operations(self._scene.key))
        return dataclasses.replace(
            self._scene, given_up=list(self._scene.given_up)
        )

    def points(self) -> list[Point]:
        """Play it undisturbed; every point that is passed, each time."""
        found: list[Point] = []
        for _ in range(ATTEMPTS):
            before, found = found, self._pass_points()
            if found == before:
                return found
        raise AssertionError(f'{self.story} passes other points each time')

    def _pass_points(self) -> list[Point]:
        scene = self.set()
        self.stage.start()
        self.story.act(scene)
        self.stage.settle(scene.key)
        stories.check(self.story, scene)
        sent = self.changing(scene)
        assert sent == list(self.story.calls), sent
        name, found = self.story.name, []
        seen: collections.Counter[tuple[str, str]] = collections.Counter()
        for exchange in self.stage.site.traffic.exchanges:
            at = exchange.method, exchange.host
            seen[at] += 1
            # A host that is down does not answer.
            moments = ('before', 'after') if exchange.answer else ('before',)
            found += [Point(name, *at, seen[at], m) for m in moments]
        commits = len(self.stage.tally.read_text().splitlines())
        found += [
            Point(name, COMMIT, '', number + 1, moment)
            for number in range(commits)
            for moment in ('before', 'after')
        ]
        # Both sides of a join are read at once: their order is by chance.
        return sorted(found, key=dataclasses.astuple)

    def changing(
        self, scene: stories.Scene, succeeded: bool = False
    ) -> list[str]:
        """The calls that came to change something, or that did."""
        return [
            exchange.method
            for exchange in self.stage.site.traffic.changing(scene.hosts)
            if exchange.succeeded or not succeeded
        ]

    def judge(self, scene: stories.Scene) -> str:
        """See what a disturbed story came to, and that it is right.

        :raises AssertionError: it is not.
        """
        operation = self._newest(scene)
        if operation['state'] == 'unresolved':
            self._resolve(scene, operation)
            stories.check_peace(scene)
            return 'unresolved'
        stories.check(self.story, scene)
        if operation['state'] == 'failed':
            assert operation['error']['message'], operation
            return 'failed'
        assert operation['state'] == 'succeeded', operation
        return 'converged'

    def check_once(self, scene: stories.Scene, renamed: bool = False) -> None:
        """Each changing call had its effect once.

        :param renamed: the aggregate was renamed after all.
        :raises AssertionError: it had not.
        """
        done = self.changing(scene, succeeded=True)
        calls = list(self.story.calls)
        if renamed and scene.client.show(scene.key)['hosts']:
            calls.append(stories.NAME)
        if len(self.story.left) == 1:
            # Another end, where one is right too, takes other calls.
            assert sorted(done) == sorted(calls), done

    def _newest(self, scene: stories.Scene) -> dict[str, Any]:
        found = scene.client.operations(scene.key)
        assert len(found) == self._done + 1, found
        return found[0]

    def _resolve(
        self, scene: stories.Scene, operation: dict[str, Any]
    ) -> None:
        """Leave the unresolved state by evidence, else by a reset."""
        for words in ('The master of pool', 'the host itself'):
            assert words in operation['error']['message'], operation
        self.stage.clock.advance(stage.UP)
        self.stage.settle(scene.key)
        if self._newest(scene)['state'] == 'unresolved':
            host = operation['host']
            alone = len(scene.site.pool_of(host)['hosts']) == 1
            body = {
                'reset': {
                    'host': host,
                    'outcome': 'free' if alone else 'member',
                }
            }
            path = f'/os-aggregates/{scene.key}/action'
            scene.client.done('POST', path, body)
            self.stage.settle(scene.key)


Play = Callable[[Player, Point], str]


def plant(player: Player, point: Point, **rule: Any) -> proxy.Rule:
    """Let something happen at the call of a point."""
    return player.stage.site.traffic.plant(
        proxy.Rule(point.call, point.host, point.nth, **rule)
    )


def kill(player: Player, point: Point) -> str:
    """The compute service is killed; then another one is started."""
    theatre = player.stage
    scene = player.set()
    if point.call == COMMIT:
        service = theatre.start(nth=point.nth, moment=point.moment)
    else:
        service = theatre.start()
        if point.moment == 'before':
            plant(player, point, before=theatre.kill, lose='request')
        else:
            plant(player, point, after=theatre.kill, lose='answer')
    player.story.act(scene)
    theatre.settle(scene.key)
    if not service.await_end(children.KILLED):
        raise NotMet
    theatre.settle(scene.key)
    assert theatre.deaths == 1, f'killed {theatre.deaths} times'
    outcome = player.judge(scene)
    player.check_once(scene)
    return outcome


def cut(player: Player, point: Point) -> str:
    """The connection to the database is lost around a COMMIT.

    The service goes on, with another connection. A claim that it does not
    know of, or could not give back, runs out by itself.
    """
    theatre = player.stage
    scene = player.set()
    theatre.start(nth=point.nth, moment=point.moment, cut=True)
    player.story.act(scene)
    if not theatre.settle_until(scene.key, theatre.was_cut):
        last = len(theatre.tally.read_text().splitlines()) == point.nth
        if point.moment == 'after' and last:
            # Nothing is asked after it.
            return player.judge(scene)
        raise NotMet
    end = time.monotonic() + LET_GO
    while time.monotonic() < end and not theatre.is_free(scene.key):
        time.sleep(stage.POLL)
    if not theatre.is_free(scene.key):
        theatre.pass_lease()
    theatre.settle(scene.key)
    assert theatre.deaths == 0, 'it has ended'
    outcome = player.judge(scene)
    player.check_once(scene)
    return outcome


def lose_answer(player: Player, point: Point) -> str:
    """The connection breaks when the host has done what it was asked."""
    return _lose(player, point, 'answer')


def fall_silent(player: Player, point: Point) -> str:
    """The host does what it is asked, and never answers."""
    return _lose(player, point, 'silence')


def _lose(player: Player, point: Point, what: str) -> str:
    scene = player.set()
    player.stage.start()
    rule = plant(player, point, lose=what)
    player.story.act(scene)
    player.stage.settle(scene.key)
    if not rule.ended.is_set():
        raise NotMet
    # It may have been the last look, from which nothing was learnt.
    player.stage.observe(scene.key)
    outcome = player.judge(scene)
    stories.check_sent(player.story, player.changing(scene))
    return outcome


def overtake(player: Player, point: Point) -> str:
    """The service freezes until another one has done its work, and thaws.

    A call that it was about to make is on the wire meanwhile, and reaches
    the host before the service goes on.
    """
    theatre = player.stage
    scene = player.set()
    first, rule = _freeze(player, point, scene)
    theatre.outlive_leases(scene.key)
    theatre.start()
    theatre.settle(scene.key)
    outcome = player.judge(scene)
    if rule is not None and rule.hold:
        late = rule.release()
        assert not (point.changes and late.succeeded), 'a late call counts'
    first.thaw()
    stories.rename(scene)
    theatre.settle(scene.key)
    first.ask_to_end()
    assert first.await_end(), 'it does not end'
    stories.check_peace(scene)
    player.check_once(scene, renamed=True)
    return outcome


def _freeze(
    player: Player, point: Point, scene: stories.Scene
) -> tuple[children.Forked, proxy.Rule | None]:
    """Begin the story, and freeze the service at a point of it."""
    theatre = player.stage
    if point.call == COMMIT:
        gate = gates.Gate(theatre.site.directory)
        service = theatre.start(
            nth=point.nth, moment=point.moment, gate=str(gate.file)
        )
        player.story.act(scene)
        if not theatre.settle_until(scene.key, gate.is_reached):
            raise NotMet
        theatre.site.freeze(service)
        gate.open()
        return service, None
    service = theatre.start()

    def freeze() -> None:
        theatre.site.freeze(service)

    if point.moment == 'before':
        rule = plant(player, point, before=freeze, hold=True)
    else:
        rule = plant(player, point, after=freeze)
    player.story.act(scene)
    if not theatre.settle_until(scene.key, rule.arrived.is_set):
        raise NotMet
    theatre.wait_for('the service is frozen', lambda: service.frozen)
    return service, rule
