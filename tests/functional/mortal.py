"""Compute services that can die or be disturbed between any two steps.

A step is a XenAPI request or a transaction of the service. A death stands
for SIGKILL: nothing in the service can catch it, and whatever the service
still tries then, in its ``finally`` blocks, comes to nothing.
"""

import contextlib
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

import sqlalchemy as sa
from oslo_config import cfg

from aggregates_ext.compute import manager
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import transport as xen_transport
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db.engine import engine
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as sim_clock
from tests import sqlclock
from tests.functional import service

T = TypeVar('T')
# Where in the service a step is: files and lines of those who call it.
Place = tuple[tuple[str, int], ...]
SERVICE = '/aggregates_ext/compute/'


class Death(BaseException):
    """The process is gone."""


class Life:
    """Counts the steps of a service and acts at one of them.

    :ivar steps: how many there have been.
    :ivar note: called at each of them.
    :ivar asking: called before each request to a host.
    """

    def __init__(self) -> None:
        self.dead = False
        self.steps = 0
        self.note: Callable[[], object] = bool
        self.asking: Callable[[], object] = bool
        self._at = 0
        self._act: Callable[[], None] | None = None

    def plan(self, steps: int, act: Callable[[], None]) -> None:
        """Do something once, when so many steps from now begin."""
        self._at, self._act = self.steps + steps, act

    def forget(self) -> None:
        """Plan nothing."""
        self._act = None

    def die(self) -> None:
        """End it before its next step."""
        self.dead = True

    def step(self) -> None:
        """Begin a step.

        :raises Death: there is none any more.
        """
        # Threads beside the first only read, and in no certain order.
        if threading.current_thread() is threading.main_thread():
            self.steps += 1
            self.note()
            if self._act is not None and self.steps >= self._at:
                act, self._act = self._act, None
                act()
        if self.dead:
            raise Death

    def ask(self) -> None:
        """Begin a step that is a request.

        :raises Death: there is none any more.
        """
        self.step()
        if threading.current_thread() is threading.main_thread():
            self.asking()


def place() -> Place:
    """Where the step is that is noted."""
    found = []
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        file = frame.f_code.co_filename
        if SERVICE in file:
            found.append((file.partition(SERVICE)[2], frame.f_lineno))
    return tuple(found)


class Database(engine.Database):
    """A database on the simulated clock.

    :param life: of the service whose it is; None: it does not die.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        clock: sim_clock.SteppedClock,
        life: Life | None = None,
    ) -> None:
        super().__init__(conf)
        self._clock = clock
        self._life = life
        self._prepared = False

    @property
    def engine(self) -> sa.Engine:
        found = super().engine
        if not self._prepared:
            self._prepared = True
            sa.event.listen(found, 'connect', self._set_clock)
        return found

    def _set_clock(self, connection: Any, record: Any) -> None:
        # These deaths are none of the machine.
        connection.execute('PRAGMA synchronous = OFF')
        sqlclock.give_clock(connection, self._clock.time)

    def _step(self) -> None:
        if self._life is not None:
            self._life.step()

    @contextlib.contextmanager
    def reader(self) -> Iterator[sa.Connection]:
        if self._life is not None and self._life.dead:
            raise Death
        with super().reader() as connection:
            yield connection

    def write(
        self, work: Callable[[sa.Connection], T], *more: Any, **named: Any
    ) -> T:
        self._step()
        written = super().write(work, *more, **named)
        self._step()
        return written


class Connector(connections.Connector):
    """Makes sessions whose every request is a step, and its answer too."""

    def __init__(self, conf: cfg.ConfigOpts, life: Life) -> None:
        super().__init__(conf)
        self._life = life
        self._transports: list[xen_transport._Transport] = []

    def close(self) -> None:
        """Close the connections, as the end of a process does."""
        for transport in self._transports:
            transport.close()

    def login(self, *arguments: Any, **named: Any) -> xenapi.Session:
        self._life.ask()
        session = super().login(*arguments, **named)
        transport = session._transport
        self._transports.append(transport)
        request = transport.request

        def mortal(*arguments: Any, **named: Any) -> Any:
            self._life.ask()
            answer = request(*arguments, **named)
            self._life.step()
            return answer

        transport.request = mortal  # type: ignore[method-assign]
        self._life.step()
        return session


class Worker:
    """A compute service on a database of its own making.

    :ivar life: when it dies.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, clock: sim_clock.SteppedClock
    ) -> None:
        self.life = Life()
        self.database = Database(conf, clock, self.life)
        self.connector = Connector(conf, self.life)
        self.manager = manager.Manager(
            conf,
            self.database,
            self.connector,
            service.SteppedClock(clock),
        )

    @property
    def owner(self) -> str:
        """Whom its leases belong to."""
        return self.manager._owner

    def work_on(self, aggregate_id: int) -> None:
        """Work as far as it gets before it dies."""
        with contextlib.suppress(Death):
            self.manager.work_on(aggregate_id)

    def close(self) -> None:
        """Let go what it holds."""
        self.connector.close()
        self.database.dispose()

    def age_leases(self) -> None:
        """Let the last renewal be long ago, as when it was frozen."""
        for held in self.manager._keeper._held.values():
            held.renewed = float('-inf')


@contextlib.contextmanager
def serving(
    conf: cfg.ConfigOpts, described: dict[str, Any]
) -> Iterator[service.Service]:
    """A service whose database has the time of its simulated hosts.

    :param described: the hosts.
    """
    clock = sim_clock.SteppedClock()
    sim = simulator.Simulator(topology.load(described), clock=clock)
    sim.start()
    timed = Database(conf, clock)
    made = service.Service(conf, timed, sim, clock)
    made.register()
    yield made
    timed.dispose()
    sim.stop()
