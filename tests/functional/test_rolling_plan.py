"""The plan of a rolling reboot, carried out in a simulated pool."""

from collections.abc import Callable

import pytest

from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import rehearsal
from aggregates_ext.compute.rules.evacuating import rolling
from tests.functional import stage
from tests.functional import test_evacuating as evacuating

Make = Callable[..., stage.Stage]
HOSTS = ('xen1', 'xen2', 'xen3', 'xen4')


@pytest.fixture
def pool(make_stage: Make) -> evacuating.Pool:
    """Four hosts of 64 GiB that are half full."""
    pool = evacuating.Pool(make_stage(members=2, together=True))
    for name in HOSTS:
        for size in (20, 8, 4):
            memory = size * evacuating.GIB
            pool.sim.add_vm(name, f'{name}-{size}', memory=memory)
    return pool


def plan(pool: evacuating.Pool) -> rolling.RollingPlan:
    by_name = {member.name: member for member in pool.members}
    order = [by_name[name] for name in HOSTS]
    found = rolling.plan(facts.read(pool.session), order, pool.members)
    stage.assert_readable(found.report)
    return found


def move(pool: evacuating.Pool, moves: tuple[rehearsal.Move, ...]) -> None:
    for one in moves:
        ref = str(pool.db.by_uuid('VM', one.guest))
        assert pool.of(ref, 'resident_on') == pool.ref(one.source)
        assert pool.move(ref, one.target) == '', one


def places(pool: evacuating.Pool) -> dict[str, list[str]]:
    return {
        vm['uuid']: pool.sim.places(vm['uuid'])
        for vm in pool.session.records('VM').values()
        if not vm['is_control_domain']
    }


def test_the_pool_takes_each_move_of_the_plan(pool: evacuating.Pool) -> None:
    found = plan(pool)
    assert found.report.blockers == ()
    start = places(pool)
    for turn in found.hosts:
        ref = pool.ref(turn.name)
        assert pool.ask('host.disable', ref) == ''
        move(pool, turn.moves)
        assert [turn.name] not in places(pool).values()
        free = {
            name: int(pool.session.call('host.compute_free_memory', here))
            for name in HOSTS
            if (here := pool.ref(name)) != ref
        }
        assert turn.room == rehearsal.Room(
            sum(free.values()),
            min(free, key=lambda n: free[n]),
            min(free.values()),
        )
        assert pool.ask('host.enable', ref) == ''
    move(pool, found.homes)
    assert places(pool) == start
