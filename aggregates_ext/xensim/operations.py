"""Running calls which take time: with the lock only while they act."""

import collections.abc
import inspect
import math
import threading
import typing

from aggregates_ext.xensim import database
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import faults
from aggregates_ext.xensim import host as hosts
from aggregates_ext.xensim import world as worlds

Pause = float | faults.Fault
"""A step waits for some seconds, or hangs in a fault until released."""

Steps = collections.abc.Generator[Pause, None, database.Value]
Outcome = database.Value | Steps

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
        threading.Thread(
            target=_go_on_when_released,
            args=(world, pause, go_on),
            daemon=True,
        ).start()
    elif pause != FOREVER:
        world.later(pause, go_on)


def _go_on_when_released(
    world: worlds.World,
    fault: faults.Fault,
    go_on: collections.abc.Callable[[], None],
) -> None:
    fault.released.wait()
    with world.lock:
        go_on()


class Context(typing.NamedTuple):
    """What a call knows of where it runs."""

    world: worlds.World
    host: hosts.Host
    xapi: hosts.Xapi
    method: str
    """The name as sent, with its prefix."""
    session: str

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
