"""Running calls which take time: with the lock only while they act."""

import collections.abc
import dataclasses
import functools
import inspect
import math
import threading
import typing

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import faults
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


@dataclasses.dataclass
class Wait:
    """A step waits for an event, but not longer than some seconds."""

    event: threading.Event
    seconds: float
    over: bool = False
    """Whether it ended because there was no more time."""


Pause = float | faults.Fault | Wait
"""A step waits for some seconds, for an event, or hangs in a fault."""

Steps = collections.abc.Generator[Pause, None, database.Value]
Outcome = database.Value | Steps


class Cancellable(float):
    """A pause in which the task of the call may be cancelled."""


FOREVER = math.inf
"""The pause of a call which never gets its answer."""


def steps(outcome: Outcome) -> Steps:
    """The steps of any call, also of one which is done at once."""
    if inspect.isgenerator(outcome):
        return (yield from outcome)
    return outcome


def run(world: worlds.World, xapi: hosts.Xapi, work: Steps) -> database.Value:
    """Take all steps of a call in this thread."""
    while True:
        with world.lock:
            if not xapi.alive:
                work.close()
                raise failure.ConnectionLost
            try:
                pause = next(work)
            except StopIteration as done:
                return done.value
        if isinstance(pause, faults.Fault):
            pause.released.wait()
        elif isinstance(pause, Wait):
            pause.over = not world.clock.hold(pause.event, pause.seconds)
        elif pause == FOREVER:
            xapi.ended.wait()
        else:
            world.clock.wait(pause)


def start(world: worlds.World, xapi: hosts.Xapi, work: Steps) -> None:
    """Take all steps in the background; called with the lock held."""
    if not xapi.alive:
        work.close()
        return
    try:
        pause = next(work)
    except StopIteration:
        return

    def go_on() -> None:
        start(world, xapi, work)

    if isinstance(pause, faults.Fault):
        _in_thread(world, pause.released.wait, go_on)
    elif isinstance(pause, Wait):
        hold = functools.partial(world.clock.hold, pause.event, pause.seconds)
        _in_thread(world, hold, go_on)
    elif pause != FOREVER:
        world.later(pause, go_on)


def _in_thread(
    world: worlds.World,
    wait: collections.abc.Callable[[], object],
    go_on: collections.abc.Callable[[], None],
) -> None:
    """Go on when the waiting is over, in a thread of its own."""

    def run() -> None:
        wait()
        with world.lock:
            go_on()

    threading.Thread(target=run, daemon=True).start()


class Context(typing.NamedTuple):
    """What a call knows of where it runs."""

    world: worlds.World
    host: hosts.Host
    xapi: hosts.Xapi
    method: str
    """The name as sent, with its prefix."""
    session: str
    task: str = ''
    """The task of an asynchronous call."""

    def progress(self, done: float) -> None:
        """Tell how much of the call is done, if it has a task."""
        if self.task and self.db.exists('task', self.task):
            self.db.row('task', self.task)['progress'] = done

    def cancelled(self) -> bool:
        """Whether its task was asked to end at a moment of its own."""
        return self.task in self.xapi.cancels

    @property
    def db(self) -> database.Database:
        """The database this xapi uses; the gate saw to it that one is."""
        db = self.world.database_of(self.host)
        if db is None:
            raise failure.Failure('INTERNAL_ERROR', 'no database')
        return db

    @property
    def now(self) -> float:
        """The present moment of the simulated world."""
        return self.world.clock.time()
