"""Services die, freeze or hear nothing while guests make way, and come back.

Wherever in the program that is, another one ends it as if nothing had been:
no guest stops, runs twice or is forgotten, and none is moved more often than
it has to be. ``tox -e sweep`` plays each place, at its first time and at its
last; a few are among the other tests.
"""

import functools
import os
import pathlib
from typing import Any

import pytest

from aggregates_ext.compute.moving import repairing as repair
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.xensim.plan import presets
from tests.functional import maintaining
from tests.functional import mortal
from tests.functional import relay
from tests.functional import service
from tests.functional import test_moving as moving
from tests.functional import test_repairing as repairing
from tests.functional import test_starting as starting

ALL = bool(os.environ.get('AGGREGATES_EXT_SWEEP_ALL'))
NAMES = ('xen1', 'xen2', 'xen3')
MANY = 40 if ALL else 8
# So many tests share the places of a story; without ALL one of them is played.
PARTS = 8 if ALL else 40
STEPS = 600
# Places of the start of a guest alone.
FEWEST = 20


class Story:
    """Something that is asked of a pool of three with guests on the second.

    :ivar guests: how many.
    :ivar sent: how often each is moved at most, where a move may have to be
        sent again.
    :ivar state: of the aggregate, at its end.
    """

    guests = 3
    sent = 2
    state = 'active'

    def __init__(self, running: service.Service, key: int) -> None:
        self.running = running
        self.key = key

    def prepare(self) -> None:
        """Before any service is disturbed."""

    def ask(self) -> None:
        """What is to be done."""
        raise NotImplementedError

    def meanwhile(self) -> None:
        """After the first look at it."""

    def is_over(self) -> bool:
        """Whether it has ended."""
        found = self.running.operation(self.key)
        return found.state not in ('queued', 'running')

    def check(self) -> None:
        """It has ended as it should."""
        raise NotImplementedError

    def check_host(self, maintenance: str | None) -> None:
        """The host serves, if it is in no maintenance."""
        host = maintaining.host(self.running)
        assert host.maintenance == maintenance
        serves = maintenance is None
        assert host.disabled is not serves
        assert maintaining.is_enabled(self.running) is serves


class Enter(Story):
    def ask(self) -> None:
        self.running.maintenance.enter(self.running.ctx, 'xen2')

    def check(self) -> None:
        assert self.running.operation(self.key).state == 'succeeded'
        self.check_host('on')
        assert ['xen2'] not in maintaining.places(self.running)


class Refused(Enter):
    """One of the guests can go nowhere, which nobody could know before."""

    state = 'error'
    came = False

    def meanwhile(self) -> None:
        if moving.sent(self.running) and not self.came:
            self.running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
            self.came = True

    def check(self) -> None:
        ended = self.running.operation(self.key)
        assert ended.state == 'failed', ended
        assert '"ghuge"' in (ended.error or {})['message']
        self.check_host(None)


class Leave(Story):
    # Home too.
    sent = 3

    def prepare(self) -> None:
        self.running.maintenance.enter(self.running.ctx, 'xen2')
        assert maintaining.finish(self.running, self.key).state == 'succeeded'

    def ask(self) -> None:
        self.running.maintenance.leave(self.running.ctx, 'xen2')

    def check(self) -> None:
        assert self.running.operation(self.key).state == 'succeeded'
        self.check_host(None)
        assert maintaining.places(self.running) == [['xen2']] * self.guests


class Moves(Story):
    """As many as a client asks for at once."""

    guests = MANY

    def ask(self) -> None:
        self.asked = [
            moving.ask(self.running, f'g{number}', 'xen3')
            for number in range(self.guests)
        ]

    def read(self) -> list[records.Move]:
        return [moving.read(self.running, move) for move in self.asked]

    def is_over(self) -> bool:
        return all(m.state not in ('queued', 'sent') for m in self.read())

    def check(self) -> None:
        assert {move.state for move in self.read()} == {'completed'}
        assert maintaining.places(self.running) == [['xen3']] * self.guests


class Cancelled(Moves):
    guests = 2

    def meanwhile(self) -> None:
        first = self.read()[0]
        if first.state == 'sent' and not first.cancelled:
            with self.running.database.writer() as connection:
                moves.cancel(connection, first)

    def check(self) -> None:
        first, second = self.read()
        assert first.state in ('cancelled', 'completed')
        assert second.state == 'completed'
        target = 'xen3' if first.state == 'completed' else 'xen2'
        assert self.running.sim.places(first.guest_uuid) == [target]


class Repaired(Story):
    """A move of which nothing is known since a toolstack has ended."""

    guests = 1
    # Those that are queued before stay so.
    sent = 1
    move = ''

    def prepare(self) -> None:
        found = repairing.unresolve(self.running, self.key, 'g0')
        assert found is not None
        self.move = found

    def ask(self) -> None:
        assert repairing.repair(self.running, self.move)

    def is_over(self) -> bool:
        return moving.read(self.running, self.move).state not in moves.OPEN

    def check(self) -> None:
        assert moving.read(self.running, self.move).state == 'completed'
        assert maintaining.places(self.running) == [['xen3']]
        told = len(self.running.arrivals(repair.CALL))
        # Each of both, and once more where an answer to one was lost.
        assert 1 <= told <= 3


class Started(Story):
    """A move that has left its guest recorded as halted, where it runs."""

    guests = 1
    sent = 1
    move = ''

    def prepare(self) -> None:
        self.move = starting.hidden(self.running, self.key, 'g0')

    def ask(self) -> None:
        assert starting.start(self.running, self.move)

    def is_over(self) -> bool:
        return moving.read(self.running, self.move).state not in moves.OPEN

    def check(self) -> None:
        assert moving.read(self.running, self.move).state == 'completed'
        assert maintaining.places(self.running) == [['xen3']]
        # Once more where an answer was lost.
        assert 1 <= len(self.running.arrivals(starting.STARTED)) <= 2


STORIES: tuple[type[Story], ...] = (
    Enter,
    Refused,
    Leave,
    Moves,
    Cancelled,
    Repaired,
    Started,
)


def play(
    directory: pathlib.Path,
    kind: type[Story],
    plan: relay.Plan,
    act: relay.Act,
) -> bool:
    """A story from its beginning to its end; whether it came to that."""
    conf = relay.fresh(str(directory))
    conf.set_override('retry_interval', 0.01, 'compute')
    version = list(presets.PRESETS)[-1]
    described: dict[str, Any] = {
        'hosts': [{'name': name, 'version': version} for name in NAMES]
    }
    with mortal.serving(conf, described) as running:
        key = running.create(*NAMES)
        for number in range(kind.guests):
            running.sim.add_vm('xen2', f'g{number}', memory=maintaining.GIB)
        running.watch(key, 0)
        story = kind(running, key)
        story.prepare()
        services = relay.Relay(running, key, seconds=1.0)
        services.begin(plan, act)
        story.ask()
        for _ in range(STEPS):
            services.go_on()
            assert running.sim.harmed() == []
            assert all(len(p) == 1 for p in maintaining.places(running))
            if story.is_over():
                break
            story.meanwhile()
        else:
            raise AssertionError(f'{kind.__name__} goes on')
        services.close()
        story.check()
        # The last look may have got no answer.
        running.watch(key, 61)
        assert running.state(key) == story.state
        assert moving.sent(running) <= story.sent * (kind.guests + 1)
    return services.happened


each_part = pytest.mark.parametrize(
    'part',
    [
        0,
        *(pytest.param(n, marks=pytest.mark.sweep) for n in range(1, PARTS)),
    ],
)


@each_part
@pytest.mark.parametrize('kind', STORIES)
def test_services_end_at_each_place(
    tmp_path: pathlib.Path, kind: type[Story], part: int
) -> None:
    disturbed = functools.partial(play, tmp_path, kind)
    places = relay.passed(disturbed)
    assert len(places) >= FEWEST
    relay.disturb(disturbed, places, part, PARTS)


@pytest.mark.long
@each_part
@pytest.mark.parametrize('kind', STORIES)
def test_answers_are_lost_at_each_place(
    tmp_path: pathlib.Path, kind: type[Story], part: int
) -> None:
    asked = functools.partial(play, tmp_path, kind)
    places = relay.passed(asked, relay.ASKING)
    relay.lose_answers(asked, places, part, PARTS)
