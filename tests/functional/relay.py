"""Services that end while they work on a pool, and others that follow them.

When one ends is told by its steps, or by where in the program it is: of the
thousands of steps of a long operation most are the same place once more.
"""

import collections
import functools
import tempfile
from collections.abc import Callable

from oslo_config import cfg

from aggregates_ext.db.engine import engine
from aggregates_ext.xensim.world import faults
from tests import databases
from tests import schemas
from tests.functional import mortal
from tests.functional import service

SECONDS = 4.0
# Lets something happen once in the life of a service.
Plan = Callable[[mortal.Life, Callable[[], None]], None]
Act = Callable[['Relay', mortal.Worker], None]
# Plays from beginning to end, and tells whether it has come to that.
Play = Callable[[Plan, Act], bool]
Passed = collections.Counter[mortal.Place]
# How an answer can fail to come: nothing is done, or all of it.
LOST = ('reset', 'drop_answer')
# What calls a life, at its steps and before those that ask a host.
STEP = 'note'
ASKING = 'asking'


class Relay:
    """Services that work on one aggregate, one after the other.

    :param key: of the aggregate.
    :param seconds: that pass after each step.
    """

    def __init__(
        self, running: service.Service, key: int, seconds: float = SECONDS
    ) -> None:
        self._running = running
        self._key = key
        self._seconds = seconds
        self._workers: list[mortal.Worker] = []
        self._lost: faults.Fault | None = None
        self._ended = False

    @property
    def happened(self) -> bool:
        """Whether what was planned has."""
        lost = self._lost is not None and self._lost.hit.is_set()
        return self._ended or lost

    def _new_worker(self) -> mortal.Worker:
        running = self._running
        self._workers.append(mortal.Worker(running.conf, running.clock))
        return self._workers[-1]

    def begin(self, plan: Plan | None = None, act: Act | None = None) -> None:
        """Start the first service.

        :param plan: when ``act`` happens to it.
        """
        first = self._new_worker()
        if plan is not None and act is not None:
            plan(first.life, functools.partial(act, self, first))

    def go_on(self) -> None:
        """Take all one step further, whatever rests; then let time pass."""
        worker = self._workers[-1]
        if worker.life.dead:
            self.end_leases(worker)
            worker = self._new_worker()
        worker.work_on(self._key)
        self._running.clock.advance(self._seconds)
        with self._running.database.writer() as connection:
            for table in ('operations', 'moves'):
                connection.exec_driver_sql(
                    f'UPDATE {table} SET not_before = NULL'  # noqa: S608
                )

    def close(self) -> None:
        """Let go what the services hold."""
        for one in self._workers:
            one.close()

    def end_leases(self, worker: mortal.Worker) -> None:
        """Let the time of a service's leases be over."""
        with self._running.database.writer() as connection:
            connection.exec_driver_sql(
                'UPDATE aggregates SET lease_until = 0 WHERE lease_owner = ?',
                (worker.owner,),
            )

    def kill(self, worker: mortal.Worker) -> None:
        self._ended = True
        worker.life.die()

    def freeze(self, worker: mortal.Worker) -> None:
        """Let another go on, and then this one, which knows nothing of it."""
        self._ended = True
        self.end_leases(worker)
        worker.age_leases()
        other = mortal.Worker(self._running.conf, self._running.clock)
        self._workers.insert(0, other)
        for _ in range(3):
            other.work_on(self._key)
            self._running.clock.advance(self._seconds)
        self.end_leases(other)

    def lose(self, _worker: mortal.Worker, action: str) -> None:
        """Let no answer come to the request that is about to be sent."""
        self._lost = self._running.sim.plant(action=action)


def at_step(number: int) -> Plan:
    """With its nth step."""
    return lambda life, act: life.plan(number, act)


def at_place(wanted: mortal.Place, nth: int, hook: str = STEP) -> Plan:
    """When it comes to a place for the nth time.

    :param hook: of a life that is called there.
    """

    def plan(life: mortal.Life, act: Callable[[], None]) -> None:
        left = nth

        def note() -> None:
            nonlocal left
            if mortal.place() == wanted:
                left -= 1
                if not left:
                    act()

        setattr(life, hook, note)

    return plan


def passed(play: Play, hook: str = STEP) -> Passed:
    """Where the service comes by in a play that nothing disturbs."""
    found: Passed = collections.Counter()

    def plan(life: mortal.Life, _act: Callable[[], None]) -> None:
        setattr(life, hook, lambda: found.update([mortal.place()]))

    play(plan, Relay.kill)
    return found


def disturb(play: Play, places: Passed, part: int, parts: int) -> None:
    """Kill at each place when it is new, and freeze when it is old.

    :param places: the places, and how often each is passed.
    :param part: of so many ``parts`` that share the places.
    :raises AssertionError: one did not end well, or not come by.
    """
    for place in sorted(places)[part::parts]:
        assert play(at_place(place, 1), Relay.kill), place
        last = at_place(place, places[place])
        assert play(last, Relay.freeze), place


def lose_answers(play: Play, places: Passed, part: int, parts: int) -> None:
    """Let a request from each place come to nothing, or be answered by nobody.

    :param places: from which a host is asked.
    :param part: of so many ``parts`` that share the places.
    :raises AssertionError: one did not end well, or not come by.
    """
    for place in sorted(places)[part::parts]:
        for action in LOST:
            act = functools.partial(Relay.lose, action=action)
            assert play(at_place(place, 1, ASKING), act), (place, action)


def fresh(directory: str) -> cfg.ConfigOpts:
    """The configuration of a database of its own, in a directory."""
    place = tempfile.mkdtemp(dir=directory)
    conf = databases.configure(f'sqlite:///{place}/db.sqlite')
    database = engine.Database(conf)
    schemas.upgrade(database)
    database.dispose()
    return conf
