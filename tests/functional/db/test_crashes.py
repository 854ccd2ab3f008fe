"""The compute service loses its database in a COMMIT, each one in turn.

It stops where it is, as after a crash; whoever takes the operation up looks
what became of it. Nothing is sent twice, and the end is the right one.
"""

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as sim_clock
from tests import databases
from tests import wire
from tests.functional import service

JOIN = 'Async.pool.join'
EJECT = 'Async.pool.eject'
# What a join or an eject commits, and more; the test ends before that.
MANY = 60
# Of how many COMMITs one is lost, unless all are asked for.
EVERY = 1 if os.environ.get('AGGREGATES_EXT_SWEEP_ALL') else 3


class Scene:
    """A pool of one host, which another one joins and leaves.

    :ivar host: free between two rounds.
    """

    def __init__(self, running: service.Service, cut_wire: wire.Wire) -> None:
        first, self.host = running.sim.world.hosts
        self._running = running
        self._wire = cut_wire
        self.key = running.create(first, name=first)

    def join(self) -> None:
        running = self._running
        running.members.add_host(running.ctx, self.key, self.host)

    def eject(self) -> None:
        running = self._running
        running.members.remove_host(running.ctx, self.key, self.host)

    def work(self, lose: str = '', nth: int = 0) -> bool:
        """Let a service work, and another one when its lease has run out.

        :returns: whether it was cut, which is at the nth COMMIT.
        """
        if nth:
            self._wire.plan(lose, nth)
        self._running.work()
        cut = self._wire.was_cut
        self._wire.plan('', 0)
        expired = sa.update(models.aggregates).values(lease_until=0)
        self._running.database.write(lambda c: c.execute(expired))
        self._running.work()
        self._running.watch(self.key, 60)
        self._running.watch(self.key, 60)
        return cut

    def sent(self, method: str) -> int:
        """How many calls of a method have arrived since asked last."""
        world = self._running.sim.world
        with world.lock:
            methods = [call.method for call in world.calls]
            world.calls.clear()
        return methods.count(method)

    def check(self, *members: str) -> None:
        """The operation has succeeded, and everybody says the same."""
        running = self._running
        operation = running.operation(self.key)
        assert (operation.state, operation.call) == ('succeeded', None)
        assert list(running.aggregates.get(self.key).hosts) == list(members)
        pool = running.pool_of(members[0])
        assert [host['name'] for host in pool['hosts']] == list(members)


@pytest.fixture
def scene(
    wired_conf: cfg.ConfigOpts,
    wired: engine.Database,
    cut_wire: wire.Wire,
    request: pytest.FixtureRequest,
) -> Iterator[Scene]:
    # TLS verification is off, as an eject leaves it: it can join again.
    hosts = [
        {
            'name': f'{request.node.callspec.id}-{number}',
            'tls_verification_enabled': False,
        }
        for number in (1, 2)
    ]
    clock = sim_clock.SteppedClock()
    with simulator.Simulator(
        topology.load({'hosts': hosts}), clock=clock
    ) as sim:
        running = service.Service(wired_conf, wired, sim, clock)
        running.register()
        yield Scene(running, cut_wire)


def test_a_lost_commit_of_a_join_or_an_eject_is_got_over(
    scene: Scene, server: databases.Server
) -> None:
    """What one server loses on its way there, the other loses on the way back.

    So each COMMIT is lost both ways, and no round is for nothing.
    """
    first = scene.host.replace('-2', '-1')
    turns = ['answer', 'commit']
    if isinstance(server, databases.MariaDB):
        turns.reverse()
    joins = ejects = True
    for turn, nth in enumerate(range(1, MANY, EVERY), 1):
        lose = turns[turn % 2]
        scene.sent(JOIN)
        scene.join()
        joins = scene.work(lose, nth)
        scene.check(first, scene.host)
        assert scene.sent(JOIN) == 1
        scene.eject()
        ejects = scene.work(lose, nth)
        scene.check(first)
        assert scene.sent(EJECT) == 1
        if not (joins or ejects):
            break
    assert 10 < nth < MANY - 1
