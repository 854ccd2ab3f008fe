"""A host with many guests goes into maintenance as fast as they can move.

In simulated time, which no load of the machine changes. How many there are is
``AGGREGATES_EXT_GUESTS``.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from aggregates_ext.db import leases
from tests.functional import mortal
from tests.functional import service

GIB = 1 << 30
GUESTS = int(os.environ.get('AGGREGATES_EXT_GUESTS', '12'))
MEMORY = 4 * GIB
TICK = 0.1
# Looks at one move while it takes its half minute, and all that is around it.
CALLS_EACH = 100
HOSTS = {
    'hosts': [
        {'name': f'xen{number}', 'memory_gib': 4096} for number in range(1, 6)
    ]
}


@pytest.fixture
def running(conf: cfg.ConfigOpts, database: Any) -> Iterator[service.Service]:
    """A service whose database has the time of the simulated hosts."""
    with mortal.serving(conf, HOSTS) as made:
        yield made


def finish(running: service.Service, key: int) -> float:
    """Let the newest operation succeed; the seconds that it takes."""
    began = running.clock.time()
    interval = float(running.conf.compute.observe_interval)
    while True:
        with running.database.reader() as connection:
            due = leases.candidates(connection, interval, 100)
        for aggregate_id in due:
            running.manager.work_on(aggregate_id)
        found = running.operation(key)
        if found.finished_at is not None:
            assert found.state == 'succeeded', found
            return running.clock.time() - began
        running.clock.advance(TICK)


def enter(running: service.Service, key: int, *guests: str) -> float:
    for name in guests:
        running.sim.add_vm('xen2', name, memory=MEMORY)
    running.maintenance.enter(running.ctx, 'xen2')
    seconds = finish(running, key)
    running.maintenance.leave(running.ctx, 'xen2', restore=False)
    finish(running, key)
    return seconds


@pytest.mark.long
def test_entering_takes_what_the_moves_take(running: service.Service) -> None:
    key = running.create(*(host['name'] for host in HOSTS['hosts']))
    empty = enter(running, key)
    one = enter(running, key, 'one') - empty
    before = len(running.sim.calls)
    seconds = enter(running, key, *(f'g{n}' for n in range(GUESTS))) - empty
    calls = len(running.sim.calls) - before
    at_once = int(running.conf.compute.move_concurrency)
    assert seconds <= 1.05 * one * -(-GUESTS // at_once)
    assert calls <= CALLS_EACH * GUESTS
