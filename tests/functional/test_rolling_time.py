"""A restart of all hosts takes little longer than their pool needs.

Counted in simulated time, which passes only while something is waited for:
what the service itself takes is for ``tests.bench_rolling``.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from aggregates_ext.compute import manager
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import leases
from aggregates_ext.db import moves
from aggregates_ext.db import operations
from aggregates_ext.db import records
from tests import bench_rolling
from tests.functional import mortal
from tests.functional import service
from tests.functional import test_rolling

NAMES = ('xen1', 'xen2', 'xen3')
TICK = 0.1
# What part of the time that the pool needs may pass beside that.
MOST = 0.065
GUESTS = 2


@pytest.fixture
def running(conf: cfg.ConfigOpts, database: Any) -> Iterator[service.Service]:
    """A service with its defaults, on the time of its simulated hosts."""
    version = test_rolling.NEWEST
    described = {'hosts': [{'name': n, 'version': version} for n in NAMES]}
    with mortal.serving(conf, described) as made:
        yield made


class Watch:
    """Lets a service work as its loop does, and counts what passes.

    :ivar needed: seconds in which something went on in the pool.
    :ivar idle: those in which nothing did.
    """

    def __init__(self, running: service.Service, uuid: str) -> None:
        self._running = running
        self._uuid = uuid
        self._last = running.clock.time()
        self.needed = self.idle = 0.0

    def follow(self) -> records.Operation:
        """Work until the operation has ended."""
        while (found := self._find()).finished_at is None:
            turn = bench_rolling.turn_of(
                {'hosts': found.parameters.get(records.Rolling.HOSTS, ())}
            )
            self._work(turn)
        return found

    def _find(self) -> records.Operation:
        return self._running.operations.get(self._uuid)

    def _work(self, turn: Any) -> None:
        """Do what is due, or wait until something may be."""
        options = self._running.conf.compute
        with self._running.database.reader() as connection:
            due = leases.candidates(connection, options.observe_interval, 1)
            rests = leases.rests(connection) or options.watch_interval
        for key in due:
            self._running.manager.work_on(key)
            self._count(turn)
        pause = max(manager.SHORTEST, min(rests, options.watch_interval))
        while not due and pause > 0:
            self._running.clock.advance(min(TICK, pause))
            pause -= TICK
            self._count(turn)

    def _count(self, turn: Any) -> None:
        now = self._running.clock.time()
        if now == self._last:
            return
        if bench_rolling.busy(self._running.sim.state(), turn):
            self.needed += now - self._last
        else:
            self.idle += now - self._last
        self._last = now


@pytest.mark.long
def test_little_time_passes_beside_what_the_pool_needs(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the real time, which is no matter here.
    monkeypatch.setattr(compute_run, 'CHECK_AGE', 1e9)
    key = running.create(*NAMES)
    for name in NAMES:
        for number in range(GUESTS):
            running.sim.add_vm(
                name, f'{name}-{number}', memory=2 * test_rolling.GIB
            )
    running.watch(key, 0)
    uuid = running.rolling.begin(
        running.ctx, key, operations.ROLLING_REBOOT, {}
    ).uuid
    watch = Watch(running, uuid)
    found = watch.follow()
    assert (found.state, found.error) == ('succeeded', None)
    share = watch.idle / watch.needed
    assert share < MOST, f'{watch.idle:.1f} beside {watch.needed:.1f} s'
    # Looks for which nothing is waited once more.
    with running.database.reader() as connection:
        reboots = operations.get_all(
            connection, key, kinds=(operations.POWER_HOST,)
        )
    assert len(reboots) == len(NAMES)
    assert not any(done.parameters.get('ready') for done in reboots)


def test_looks_at_a_host_that_restarts_come_soon_then_seldom(
    running: service.Service,
) -> None:
    """And with none of them the whole pool is looked at, until that is due."""
    key = running.create(*NAMES[:2])
    running.maintenance.enter(running.ctx, 'xen2')
    go_on(running, key, '')
    running.powering.power(running.ctx, 'xen2', 'reboot')
    running.sim.plant(host='xen2', action='no_return')
    go_on(running, key, test_rolling.REBOOT)
    assert running.rests(key) <= 0.5
    found = running.aggregates.get(key)
    before = found.observed_at or 0
    running.watch(key, 15)
    assert running.rests(key) <= 0.5
    running.watch(key, 35)
    assert running.rests(key) > 1
    assert running.aggregates.get(key).observed_at == before
    running.watch(key, 50)
    assert running.rests(key) > 1.9
    assert (running.aggregates.get(key).observed_at or 0) > before


def go_on(running: service.Service, key: int, call: str) -> None:
    """Work until a call is sent, or without one the operation has ended."""
    for _ in range(30):
        running.watch(key, 3)
        done = running.operation(key).finished_at is not None
        if running.arrivals(call) if call else done:
            return
    raise AssertionError(running.operation(key))


def test_a_move_whose_progress_restarts_is_looked_at_soon(
    running: service.Service,
) -> None:
    """It is at its end then, and not at its beginning."""
    key = running.create(*NAMES[:2])
    running.sim.add_vm('xen2', 'g', memory=2 * test_rolling.GIB)
    running.maintenance.enter(running.ctx, 'xen2')
    go_on(running, key, 'Async.VM.pool_migrate')
    running.watch(key, 14)
    before, _now = under_way(running, key)
    assert 50 < before.progress < 95
    task = (before.call or {})['task']
    running.sim.set_record('xen1', 'task', task, progress=0.17)
    running.database.write(lambda c: moves.rest(c, [before], 0))
    running.manager.work_on(key)
    found, now = under_way(running, key)
    assert found.progress == before.progress
    assert (found.not_before or 0) - now < 3


def under_way(
    running: service.Service, key: int
) -> tuple[records.Move, float]:
    """The one move that there is, and the time."""
    with running.database.reader() as connection:
        (found,), now = moves.open_of(connection, key)
    return found, now
