"""Guests that move, as they were seen to: xapi#moves and what follows."""

import pytest

from tests.functional.xensim import pools
from tests.functional.xensim import transcripts_maintenance as transcripts
from tests.functional.xensim import watching

LONG, SHORT = 14.0, 8.0
TOLERANCE = 1.0
PER_GIB = 3.0


@pytest.fixture
def described():
    return pools.described(
        migrate_per_gib=PER_GIB, exit_to_listen=0.5, vm_start=0.1
    )


class Story:
    """Who is called what, and how each is watched."""

    def __init__(self, pool):
        self.pool = pool
        self.guests = {'g': pool.vm('xen2', 'g')}
        self.tasks = {}
        self.refs = self.guests | pool.hosts

    def do(self, name, what, *who):
        pool = self.pool
        if what == 'move':
            self.tasks[name] = pool.move(self.guests[who[0]], who[1])
        elif what == 'cancel':
            assert pool('task.cancel', self.tasks[who[0]]) == ''
        elif what.startswith('restart'):
            pool.sim.restart_toolstack(who[0], what == 'restart all')
        else:
            known = [
                self.refs.get(one, one) if isinstance(one, str) else one
                for one in who
            ]
            answer = pool(what, *known)
            if name:
                self.tasks[name] = answer
            else:
                assert answer == ''

    def watch(self, name):
        pool, (subject, _, field) = self.pool, name.partition(' ')
        if field == 'operations':
            return lambda: pool.operations(subject)
        if not field:
            return lambda: self.told(subject)
        vm = self.guests[subject]
        return {
            'home': lambda: pool.home(vm),
            'places': lambda: pool.places(vm),
            'doing': lambda: pool.doing(vm),
            'power': lambda: pool('VM.get_power_state', vm),
        }[field]

    def told(self, task):
        if task not in self.tasks:
            return None
        names = {ref: name for name, ref in self.refs.items()}
        told = self.pool.ended(self.tasks[task])
        if isinstance(told, str):
            return told
        status, error = told
        return status, [names.get(part, part) for part in error]


HARMING = {
    'xapi of the source ends',
    'xapi of the target ends',
    'the toolstack of the target restarts',
}
"""A guest is started twice there, or killed when xapi comes back."""


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(
            name, marks=[pytest.mark.harms_guests] * (name in HARMING)
        )
        for name in transcripts.STORIES
    ],
)
def test_stories(name, pool, clk):
    script, expected = transcripts.STORIES[name]
    story = Story(pool)
    watches = {watched: story.watch(watched) for watched in expected}
    actions = [
        (moment, lambda step=step: story.do(*step)) for moment, *step in script
    ]
    seconds = LONG if 'ends' in name or 'restarts' in name else SHORT
    seen = watching.follow(clk, watches, seconds, actions)
    watching.compare(seen, expected, TOLERANCE)


def test_progress_restarts_near_the_end(pool, clk):
    task = pool.move(pool.vm('xen2', 'g'), 'xen3')
    watches = {'progress': lambda: pool('task.get_progress', task)}
    seen = watching.follow(clk, watches, 4.0, step=0.05)
    told = [round(answer, 2) for answer, _ in seen['progress']]
    until = told.index(0.91)
    assert told[: until + 1] == sorted(told[: until + 1])
    assert told[until:] == [0.91, 1.0, 0.17, 0.83, 1.0]


def test_the_simulator_tells_who_moves(pool, clk, sim):
    vm = pool.vm('xen2', 'g')
    pool.vm('xen2', 'stays')

    def busy():
        (found,) = sim.state()['pools']
        return found['busy_guests']

    assert busy() == []
    pool.move(vm, 'xen3')
    clk.advance(0.5)
    assert busy() == [pool('VM.get_uuid', vm)]
    clk.advance(30)
    assert busy() == []


def test_a_guest_that_moves_tells_what_it_allows(pool, clk):
    vm = pool.vm('xen2', 'g')
    assert 'pool_migrate' in pool('VM.get_allowed_operations', vm)
    task = pool.move(vm, 'xen3')
    clk.advance(1)
    allowed = pool('VM.get_allowed_operations', vm)
    assert sorted(allowed) == ['hard_reboot', 'hard_shutdown']
    scheduled = pool('VM.get_scheduled_to_be_resident_on', vm)
    assert scheduled == pool.hosts['xen3']
    clk.advance(3)
    assert pool.ended(task) == transcripts.SUCCESS
    assert 'pool_migrate' in pool('VM.get_allowed_operations', vm)
    (message,) = pool('message.get_all_records').values()
    assert message['name'] == 'VM_MIGRATED'


def test_four_leave_a_host_at_a_time(pool, clk):
    vms = pools.add_guests(pool, 'xen2', 9)
    tasks = [pool.move(vm, 'xen3') for vm in vms]
    clk.advance(1.5)
    under_way = [
        task for task in tasks if float(pool('task.get_progress', task)) > 0
    ]
    assert len(under_way) == 4
    waiting = next(task for task in tasks if task not in under_way)
    assert pool('task.cancel', waiting) == ''
    clk.advance(3)
    assert float(pool('task.get_progress', tasks[-1])) > 0
    assert pool.ended(waiting) == transcripts.PENDING
    clk.advance(8)
    assert pool.ended(waiting) == transcripts.CANCELLED
    assert sorted(pool.home(vm) for vm in vms) == ['xen2'] + ['xen3'] * 8


def test_guests_run_at_the_target_before_records_say_so(pool, clk):
    vms = pools.add_guests(pool, 'xen2', 20)
    for vm in vms:
        pool.move(vm, 'xen3')
    clk.advance(3.5)
    arrived = [vm for vm in vms if pool.places(vm) == ['xen3']]
    assert len(arrived) == 4
    assert {pool.home(vm) for vm in arrived} == {'xen2'}


@pytest.mark.parametrize(
    ('source', 'after', 'moves'),
    [
        ('xen2', 0.0, True),
        ('xen2', 0.05, True),
        ('xen2', 1.0, True),
        ('xen1', 0.0, False),
        ('xen1', 0.05, False),
        ('xen1', 0.2, True),
        ('xen1', 1.0, True),
    ],
)
def test_a_move_whose_session_ends(
    pool, clk, clients, call, source, after, moves
):
    vm, target = pool.vm(source, 'g'), pool.hosts['xen3']
    ref = clients.ref('xen1')
    task = call('xen1', 'Async.VM.pool_migrate', ref, vm, target, {})
    clk.advance(after)
    assert call('xen1', 'session.logout', ref) == ''
    clk.advance(4)
    status, error = pool.ended(task)
    assert (status == 'success', pool.home(vm) == 'xen3') == (moves, moves)
    if not moves:
        assert error[0] == 'INTERNAL_ERROR'
        assert f'session_id={ref}' in error[1]
        assert pool.places(vm) == [source]
        assert pool('VM.get_power_state', vm) == 'Running'


def test_a_session_that_ended_before(pool, clients, call):
    vm, target = pool.vm('xen2', 'g'), pool.hosts['xen3']
    ref = clients.ref('xen1')
    call('xen1', 'session.logout', ref)
    answer = call('xen1', 'VM.pool_migrate', ref, vm, target, {})
    assert answer == ['ERR', 'SESSION_INVALID', ref]
    assert pool.doing(vm) == []


def test_a_target_whose_xapi_is_dead(pool, clk, sim):
    vm = pool.vm('xen2', 'g')
    sim.stop_xapi('xen3')
    task = pool.move(vm, 'xen3')
    clk.advance(52)
    assert pool.ended(task) == transcripts.PENDING
    clk.advance(2)
    assert pool.ended(task)[1][0] == 'INTERNAL_ERROR'
    assert (pool.home(vm), pool.places(vm)) == ('xen2', ['xen2'])


@pytest.mark.parametrize('name', ['xen2', 'xen3'])
def test_a_machine_that_dies_in_a_move(pool, clk, sim, name):
    """Nothing is told for as long as it is away."""
    vm = pool.vm('xen2', 'g')
    task = pool.move(vm, 'xen3')
    clk.advance(2)
    sim.power_off(name)
    clk.advance(97)
    assert pool.ended(task) == transcripts.PENDING
    assert (pool.home(vm), pool.doing(vm)) == ('xen2', transcripts.MOVING)
    sim.power_on(name)
    clk.advance(30)
    assert pool.ended(task)[0] in ('failure', 'cancelled')
    assert pool.doing(vm) == []
    left = [] if name == 'xen2' else ['xen2']
    assert pool.places(vm) == left
    power = 'Running' if left else 'Halted'
    assert pool('VM.get_power_state', vm) == power


def test_a_waiting_call_ends_after_two_hours(pool, clk, sim):
    vm = pool.vm('xen2', 'g')
    sim.set_record('xen1', 'VM', vm, current_operations={'x': 'snapshot'})
    before = clk.time()
    answer = pool('VM.suspend', vm)
    busy = ['OTHER_OPERATION_IN_PROGRESS', 'VM', vm, 'snapshot', 'x']
    assert answer == ['ERR', *busy]
    assert clk.time() - before == pytest.approx(7200, abs=3)


ADDRESS, IPV6 = '10.1.0.3', 'fd00::3'
LINK = 'fe80::1/64'
NETWORK_ERRORS = [
    ({}, ['PIF_NOT_PRESENT', 'xen3', 'storage']),
    ({'currently_attached': False}, ['REQUIRED_PIF_IS_UNPLUGGED', 'pif']),
    ({'IP': ''}, ['INTERFACE_HAS_NO_IP', 'pif']),
    (
        {'primary_address_type': 'IPv6', 'IPv6': [LINK]},
        ['INTERFACE_HAS_NO_IP', 'pif'],
    ),
]


class Storage:
    """A network of its own, on which xen3 may have an interface."""

    def __init__(self, pool, sim, **pif):
        self.ref = pool('network.create', {'name_label': 'storage'})
        self.names = {self.ref: 'storage', pool.hosts['xen3']: 'xen3'}
        if pif:
            fields = {'IP': ADDRESS, 'currently_attached': True} | pif
            fields |= {'network': self.ref, 'host': pool.hosts['xen3']}
            self.names[sim.add_record('xen1', 'PIF', **fields)] = 'pif'

    def error(self, answer):
        """What was answered, with names for references."""
        return [self.names.get(part, part) for part in answer]


def on_network(pool, sim, version, **pif):
    """A move of a guest of xen2 to xen3 over a network of its own.

    The answer, and the addresses to which memory was sent.
    """
    storage = Storage(pool, sim, **pif)
    for name in ('xen1', 'xen2'):
        sim.host(name).spec.version = version
    sim.host('xen1').database.version = version
    vm = pool.vm('xen2', 'g')
    options = {'live': 'true', 'network': storage.ref}
    answer = pool('VM.pool_migrate', vm, pool.hosts['xen3'], options)
    assert pool.home(vm) == ('xen2' if answer else 'xen3')
    return storage.error(answer), [sent.address for sent in sim.streams]


@pytest.mark.parametrize(('pif', 'error'), NETWORK_ERRORS)
def test_a_network_without_the_target(pool, sim, pif, error):
    answer = on_network(pool, sim, 'xcp-ng-8.3-lts', **pif)
    assert answer == (['ERR', *error], [])


@pytest.mark.parametrize(
    ('pif', 'address'),
    [
        ({'IP': ADDRESS}, ADDRESS),
        (
            {'primary_address_type': 'IPv6', 'IPv6': [LINK, f'{IPV6}/64']},
            IPV6,
        ),
    ],
)
def test_a_network_of_the_target(pool, sim, pif, address):
    assert on_network(pool, sim, 'xenserver-8.4', **pif) == ([], [address])


def test_without_a_network_it_goes_over_the_management(pool, sim):
    pool.move(pool.vm('xen2', 'g'), 'xen3', 'VM.pool_migrate')
    [sent] = sim.streams
    assert sent.address == sim.host('xen3').address
    assert (sent.source, sent.target) == ('xen2', 'xen3')


def test_a_network_that_is_none(pool, sim):
    options = {'live': 'true', 'network': 'OpaqueRef:x'}
    vm = pool.vm('xen2', 'g')
    answer = pool('VM.pool_migrate', vm, pool.hosts['xen3'], options)
    assert answer == [
        'ERR',
        'PIF_NOT_PRESENT',
        pool.hosts['xen3'],
        'OpaqueRef:x',
    ]


def test_older_products_take_no_notice_of_a_network(pool, sim):
    management = sim.host('xen3').address
    assert on_network(pool, sim, 'xcp-ng-8.2') == ([], [management])


def test_checks_come_in_their_order(pool, sim):
    """One after another is mended, and the next one speaks."""
    # What is protected fits neither where this one is nor where it goes.
    other = pool.vm('xen1', 'p', memory=40 << 30)
    vm = pool.vm('xen2', 'g', pv_drivers=False, memory=40 << 30)
    xen3 = pool.hosts['xen3']
    metrics = pool('VM.get_guest_metrics', vm)
    vendor = pool.host('xen3')['cpu_info']['vendor']
    sim.set_record('xen1', 'VM', other, ha_restart_priority='restart')
    sim.set_pool(
        'xen1',
        restrictions={'restrict_xen_motion': 'true'},
        ha_enabled=True,
        ha_host_failures_to_tolerate=1,
    )
    sim.set_host('xen3', cpu_info={'vendor': 'Other'}, enabled=False)
    mend = {
        'VM_INCOMPATIBLE_WITH_THIS_HOST': lambda: sim.set_host(
            'xen3', cpu_info={'vendor': vendor}
        ),
        'VM_LACKS_FEATURE': lambda: sim.set_record(
            'xen1', 'VM_guest_metrics', metrics, PV_drivers_detected=True
        ),
        'HOST_DISABLED': lambda: sim.set_host('xen3', enabled=True),
        'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN': lambda: sim.set_pool(
            'xen1', ha_host_failures_to_tolerate=0
        ),
        'LICENCE_RESTRICTION': lambda: sim.set_pool(
            'xen1', restrictions={'restrict_xen_motion': 'false'}
        ),
    }
    for code, act in mend.items():
        answer = pool('VM.pool_migrate', vm, xen3, {})
        assert answer[:2] == ['ERR', code]
        act()
    assert pool('VM.pool_migrate', vm, xen3, {}) == ''


def test_what_is_blocked_is_refused_at_once(pool, clk):
    vm = pool.vm('xen2', 'g')
    for operation in ('pool_migrate', 'clean_shutdown'):
        pool('VM.add_to_blocked_operations', vm, operation, 'a backup')
    blocked = ['ERR', 'OPERATION_BLOCKED', vm, 'a backup']
    began = clk.time()
    assert pool.move(vm, 'xen3', 'VM.pool_migrate') == blocked
    assert pool('VM.clean_shutdown', vm) == blocked
    assert clk.time() - began < 1
    pool('VM.remove_from_blocked_operations', vm, 'pool_migrate')
    assert pool.move(vm, 'xen3', 'VM.pool_migrate') == ''


@pytest.mark.harms_guests
def test_a_move_that_leaves_its_guest_halted(pool, sim):
    vm = pool.vm('xen2', 'g')
    uuid = pool('VM.get_uuid', vm)
    sim.plant('VM.pool_migrate', step=uuid, action='halt')
    answer = pool.move(vm, 'xen3', 'VM.pool_migrate')
    assert answer == ['ERR', 'INTERNAL_ERROR', 'planted']
    assert pool('VM.get_power_state', vm) == 'Halted'
    assert pool.places(vm) == []
    assert sim.harmed() == [f'{uuid} was lost']


@pytest.mark.harms_guests
def test_a_reboot_of_a_host_with_guests_is_counted(pool, clk, sim):
    vm, xen2 = pool.vm('xen2', 'g'), pool.hosts['xen2']
    assert pool('host.disable', xen2) == ''
    assert pool('host.reboot', xen2) == ''
    clk.advance(30)
    assert sim.state()['lost'] == [pool('VM.get_uuid', vm)]
