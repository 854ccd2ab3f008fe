"""The plan of a rolling reboot, carried out in a simulated pool."""

from collections.abc import Callable

import pytest

from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import rehearsal
from aggregates_ext.compute.rules.evacuating import rolling
from aggregates_ext.compute.xen import connections
from tests.functional import service
from tests.functional import stage
from tests.functional import test_evacuating as evacuating
from tests.functional import test_rolling as carried_out

Make = Callable[..., stage.Stage]
HOSTS = ('xen1', 'xen2', 'xen3', 'xen4')
# GiB of the guests of each host.
SIZES = (20, 8, 4)

running = carried_out.running


@pytest.fixture
def pool(make_stage: Make) -> evacuating.Pool:
    """Four hosts of 64 GiB that are half full."""
    pool = evacuating.Pool(make_stage(members=2, together=True))
    for name in HOSTS:
        for size in SIZES:
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


def test_each_guest_goes_where_the_plan_has_it(
    running: service.Service,
) -> None:
    """Whoever asks with "dry_run" is told what is then done."""
    key = running.create(*HOSTS)
    for name in HOSTS:
        for size in SIZES:
            memory = size * evacuating.GIB
            running.sim.add_vm(name, f'{name}-{size}', memory=memory)
    running.watch(key, 0)
    told = planning.look(
        connections.Connector(running.conf),
        running.hosts.get_all(),
        running.aggregates.get(key),
        {'restore': True},
    )
    uuid = carried_out.roll(running, key)
    ended = carried_out.finish(running, key, uuid, seconds=40)
    assert (ended.state, ended.error) == ('succeeded', None)
    planned = [move for host in told['hosts'] for move in host['moves']]
    assert sorted(carried_out.moves(running)) == sorted(
        (move['name'], move['from'], move['to'])
        for move in (*planned, *told['homes'])
    )


def test_a_guest_whose_place_is_refused_goes_elsewhere(
    running: service.Service,
) -> None:
    """As by a rule of the pool that no record tells of."""
    key = carried_out.make_pool(running, 1)
    running.sim.plant(
        'VM.assert_can_boot_here',
        times=2,
        code='HOST_NOT_ENOUGH_FREE_MEMORY',
        parameters=['1', '0'],
    )
    for name in ('xen1', 'xen3'):
        running.sim.add_vm(name, 'big', memory=8 * evacuating.GIB)
    uuid = carried_out.roll(running, key, hosts=['xen2'])
    ended = carried_out.finish(running, key, uuid)
    assert (ended.state, ended.error) == ('succeeded', None)
    assert carried_out.moves(running) == [
        ('xen2-0', 'xen2', 'xen1'),
        ('xen2-0', 'xen1', 'xen2'),
    ]
