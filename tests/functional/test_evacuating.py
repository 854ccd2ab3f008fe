"""The plan of an evacuation, and what the simulated pool says of each move."""

import dataclasses
import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import pytest

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import planning
from aggregates_ext.compute.rules.evacuating import shutdowns
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import records
from aggregates_ext.xensim.plan import presets
from tests.functional import stage

Make = Callable[..., stage.Stage]
MOVE = 'VM.pool_migrate'
GIB = 2**30


def member(name: str, uuid: str) -> records.Host:
    """A member of the aggregate."""
    return records.Host(
        id=1,
        name=name,
        uuid=uuid,
        url='http://127.0.0.1:9',
        address=None,
        fingerprint=None,
        availability_zone=None,
        credential='a',
        aggregate_id=1,
        phase='member',
        phase_since=None,
        alarm=None,
        shown=None,
        consent=None,
    )


class Pool:
    """A pool whose host xen2 is to be emptied; all its hosts are members."""

    def __init__(self, found: stage.Stage) -> None:
        self.stage = found
        self.sim = found.sim
        self.session = found.master
        self.db = found.sim.host('xen1').database
        self.members = [
            member(name, found.sim.host(name).uuid)
            for name in found.sim.world.hosts
        ]

    def ref(self, host: str) -> str:
        return self.stage.ref(host)

    def guest(self, name: str = 'web', **more: Any) -> str:
        """A guest on xen2; its reference."""
        uuid = self.sim.add_vm('xen2', name, **more)
        return str(self.db.by_uuid('VM', uuid))

    def set(self, class_: str, ref: str, **values: Any) -> None:
        self.sim.set_record('xen1', class_, ref, **values)

    def of(self, vm: str, field: str) -> Any:
        return self.db.row('VM', vm)[field]

    def check(self, *shut_down: str, hard: bool = False) -> evacuation.Answer:
        """What our rules say."""
        (xen2,) = (m for m in self.members if m.name == 'xen2')
        answer = evacuation.look(
            self.session, xen2, self.members, shut_down, hard=hard
        )
        stage.assert_readable(answer.report)
        return answer

    def step(self) -> planning.Step:
        """What the plan has for the only guest."""
        (step,) = self.check().plan
        return step

    def move(self, vm: str, host: str) -> str:
        """The code with which the pool refuses a move; empty: it moves."""
        return self.ask(MOVE, vm, self.ref(host), {'live': 'true'})

    def ask(self, method: str, *params: Any) -> str:
        """The code with which the pool refuses a call; empty: it does it."""
        try:
            self.session.call(method, *params)
        except failures.XenAPIError as exc:
            return exc.code
        return ''


@pytest.fixture
def pool(make_stage: Make) -> Pool:
    """xen1, which leads it, xen2 and xen3."""
    return Pool(make_stage(members=1, together=True))


def codes(problems: Sequence[preflight.Problem]) -> list[str]:
    return stage.codes(problems)


def test_an_empty_host_has_nothing_to_tell(pool: Pool) -> None:
    answer = pool.check()
    assert answer.report == preflight.Report(plan=[])
    assert answer.plan == ()


@pytest.mark.parametrize('version', presets.PRESETS)
def test_each_release_can_be_planned(make_stage: Make, version: str) -> None:
    pool = Pool(make_stage(version=version, members=1, together=True))
    vm = pool.guest()
    answer = pool.check()
    assert answer.report.blockers == ()
    (step,) = answer.plan
    assert step.target is not None
    assert pool.move(vm, step.target.host.name) == ''
    undriven(pool, pool.guest('undriven'))
    assert codes(pool.check().report.blockers) == ['GUEST_IMMOVABLE']


def metrics(pool: Pool, vm: str, **values: Any) -> None:
    pool.set('VM_metrics', pool.of(vm, 'metrics'), **values)


def drivers(pool: Pool, vm: str, **values: Any) -> None:
    pool.set('VM_guest_metrics', pool.of(vm, 'guest_metrics'), **values)


def field(**values: Any) -> Callable[[Pool, str], None]:
    return lambda pool, vm: pool.set('VM', vm, **values)


def undriven(pool: Pool, vm: str) -> None:
    drivers(pool, vm, PV_drivers_detected=False)
    ref = pool.of(vm, 'guest_metrics')
    pool.db.row('VM_guest_metrics', ref)['PV_drivers_version'] = {}


def without_metrics(pool: Pool, vm: str) -> None:
    pool.db.delete('VM_metrics', pool.of(vm, 'metrics'))
    pool.set('VM', vm, platform={'nomigrate': 'true'})


def on_disk(pool: Pool, vm: str, shared: bool, **values: Any) -> str:
    """A disk of a guest, in storage of xen2 or of the pool."""
    pool.sim.add_sr('xen2', 'store', shared, [{'name': 'data'}])
    (vdi,) = pool.db.where('VDI', name_label='data')
    pool.db.create('VBD', VM=vm, VDI=vdi, type='Disk', **values)
    return vdi


def reset_disk(pool: Pool, vm: str) -> None:
    vdi = on_disk(pool, vm, shared=True)
    pool.set('VDI', vdi, on_boot='reset', allow_caching=True)


def local_cd(pool: Pool, vm: str) -> None:
    on_disk(pool, vm, shared=False)
    (vbd,) = pool.db.where('VBD', VM=vm)
    pool.set('VBD', vbd, type='CD')


def vlan(pool: Pool, vm: str) -> None:
    pool.sim.add_vlan('xen2', 7)
    (network,) = pool.db.where('network', name_label='VLAN 7')
    pool.db.create('VIF', VM=vm, network=network)


def inside(pool: Pool, vm: str) -> None:
    network = pool.session.call('network.create', {'name_label': 'inside'})
    pool.db.create('VIF', VM=vm, network=network)


def cpu(pool: Pool, vm: str) -> None:
    for name in ('xen1', 'xen3'):
        pool.sim.set_host(name, cpu_info={'vendor': 'AuthenticAMD'})


def older_cpus(pool: Pool, vm: str) -> None:
    pool.set('VM', vm, last_boot_CPU_flags={'features': '0000000f'})
    for name in ('xen1', 'xen3'):
        pool.sim.set_host(name, cpu_info={'features_hvm': '00000007'})


# What is done to a guest, the code of xapi for its move, ours for the host.
KINDS: list[tuple[Callable[[Pool, str], Any], str, str]] = [
    (
        field(blocked_operations={'pool_migrate': 'a backup'}),
        'OPERATION_BLOCKED',
        'GUEST_BLOCKED',
    ),
    (field(power_state='Paused'), 'VM_BAD_POWER_STATE', 'GUEST_IMMOVABLE'),
    (
        field(current_operations={'x': 'snapshot'}),
        'OTHER_OPERATION_IN_PROGRESS',
        'GUEST_BUSY',
    ),
    (
        lambda pool, vm: metrics(pool, vm, nomigrate=True),
        'VM_IS_IMMOBILE',
        'GUEST_IMMOVABLE',
    ),
    (
        lambda pool, vm: metrics(pool, vm, nested_virt=True),
        'VM_IS_IMMOBILE',
        'GUEST_IMMOVABLE',
    ),
    (without_metrics, 'VM_IS_IMMOBILE', 'GUEST_IMMOVABLE'),
    (
        lambda pool, vm: drivers(
            pool, vm, other={'data-cant-suspend-reason': 'just booted'}
        ),
        'VM_NON_SUSPENDABLE',
        'GUEST_IMMOVABLE',
    ),
    (undriven, 'VM_LACKS_FEATURE', 'GUEST_IMMOVABLE'),
    (
        reset_disk,
        'VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION',
        'GUEST_IMMOVABLE',
    ),
    (field(attached_PCIs=['x']), 'VM_HAS_PCI_ATTACHED', 'GUEST_IMMOVABLE'),
    (field(VGPUs=['x']), 'VM_HAS_VGPU', 'GUEST_IMMOVABLE'),
    (field(VUSBs=['x']), 'VM_HAS_VUSBS', 'GUEST_IMMOVABLE'),
    (
        lambda pool, vm: on_disk(pool, vm, shared=False),
        'VM_REQUIRES_SR',
        'GUEST_IMMOVABLE',
    ),
    (local_cd, 'VM_REQUIRES_SR', 'LOCAL_CD'),
    (vlan, 'VM_REQUIRES_NETWORK', 'GUEST_IMMOVABLE'),
    (inside, 'VM_REQUIRES_NETWORK', 'GUEST_IMMOVABLE'),
    (cpu, 'VM_INCOMPATIBLE_WITH_THIS_HOST', 'GUEST_IMMOVABLE'),
    (older_cpus, 'VM_INCOMPATIBLE_WITH_THIS_HOST', 'GUEST_IMMOVABLE'),
    (
        field(hardware_platform_version=3),
        'VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION',
        'GUEST_IMMOVABLE',
    ),
    (
        field(VCPUs_max=64),
        'HOST_NOT_ENOUGH_PCPUS',
        'GUEST_IMMOVABLE',
    ),
    (
        field(memory_dynamic_min=90 * GIB),
        'HOST_NOT_ENOUGH_FREE_MEMORY',
        'NOT_ENOUGH_MEMORY',
    ),
]


@pytest.mark.parametrize(('change', 'code', 'blocker'), KINDS)
def test_what_stays_is_told_as_the_pool_refuses_it(
    pool: Pool, change: Callable[[Pool, str], Any], code: str, blocker: str
) -> None:
    vm = pool.guest()
    change(pool, vm)
    answer = pool.check()
    (step,) = answer.plan
    assert (step.target, step.code) == (None, code)
    assert codes(answer.report.blockers) == [blocker]
    (problem,) = answer.report.blockers
    assert f'"web" ({pool.of(vm, "uuid")})' in problem.found
    assert problem.heals == (blocker == 'GUEST_BUSY')
    assert (
        step.as_dict()['reason'] in problem.found or 'needs' in problem.found
    )
    for host in ('xen1', 'xen3'):
        assert pool.move(vm, host) == code


@pytest.mark.parametrize('index', range(len(KINDS)))
def test_a_named_guest_is_told_as_the_pool_shuts_it_down(
    pool: Pool, index: int
) -> None:
    change, _code, blocker = KINDS[index]
    vm = pool.guest()
    change(pool, vm)
    uuid = pool.of(vm, 'uuid')
    answer = pool.check(uuid, hard=True)
    if blocker == 'GUEST_BUSY':
        # It moves when that has ended.
        assert codes(answer.report.blockers) == [blocker]
        assert (answer.down, answer.consent) == ((), ())
        return
    assert answer.report.blockers == ()
    assert answer.plan == ()
    assert [step.guest.uuid for step in answer.down] == [uuid]
    assert answer.consent == (uuid,)
    refused = pool.check(uuid).report.blockers
    assert codes(refused) in ([], [shutdowns.CODE])
    refusal = pool.ask('VM.clean_shutdown', vm)
    assert bool(refused) == bool(refusal)
    if refusal:
        assert f': {refusal}, ' in refused[0].found
        assert '"hard": true' in refused[0].remedy
        assert pool.ask('VM.hard_shutdown', vm) == ''


def test_a_shutdown_that_is_blocked(pool: Pool) -> None:
    vm = pool.guest()
    pool.set('VM', vm, VUSBs=['x'], blocked_operations={'hard_shutdown': 'no'})
    uuid = pool.of(vm, 'uuid')
    assert pool.check(uuid).report.blockers == ()
    (problem,) = pool.check(uuid, hard=True).report.blockers
    assert problem.code == shutdowns.CODE
    assert 'OPERATION_BLOCKED, "no" as the reason' in problem.found


def test_a_clean_shutdown_that_is_blocked(pool: Pool) -> None:
    vm = pool.guest()
    pool.set('VM', vm, VUSBs=['x'], blocked_operations={'clean_shutdown': ''})
    uuid = pool.of(vm, 'uuid')
    (problem,) = pool.check(uuid).report.blockers
    assert 'OPERATION_BLOCKED, no reason' in problem.found
    assert pool.check(uuid, hard=True).report.blockers == ()


def test_a_named_guest_that_can_move_moves(pool: Pool) -> None:
    uuid = pool.of(pool.guest(), 'uuid')
    answer = pool.check(uuid)
    (step,) = answer.plan
    assert step.target is not None
    assert (answer.down, answer.consent) == ((), ())


def test_named_guests_have_the_room_that_is_left(pool: Pool) -> None:
    """Each host has some 60 GiB: one guest of three is left over."""
    uuids = [
        pool.of(pool.guest(name, memory=size * GIB), 'uuid')
        for name, size in (('a', 40), ('b', 35), ('c', 30))
    ]
    answer = pool.check()
    assert codes(answer.report.blockers) == ['NOT_ENOUGH_MEMORY']
    assert answer.consent == (uuids[2],)
    for uuid in uuids:
        answer = pool.check(uuid)
        assert answer.report.blockers == ()
        assert [step.guest.uuid for step in answer.down] == [uuid]
    answer = pool.check(*uuids)
    assert [step.guest.uuid for step in answer.down] == [uuids[2]]


def feature(pool: Pool, vm: str) -> None:
    undriven(pool, vm)
    drivers(pool, vm, other={'feature-suspend': '1'})


def paravirtual(pool: Pool, vm: str) -> None:
    undriven(pool, vm)
    metrics(pool, vm, current_domain_type='pv')


def shared_network(pool: Pool, vm: str) -> None:
    inside(pool, vm)
    (network,) = pool.db.where('network', name_label='inside')
    config = {'assume_network_is_shared': 'true'}
    pool.set('network', network, other_config=config)


def empty_drive(pool: Pool, vm: str) -> None:
    pool.db.create('VBD', VM=vm, type='CD', empty=True)


MOVABLE = [
    field(),
    feature,
    paravirtual,
    shared_network,
    empty_drive,
    lambda pool, vm: on_disk(pool, vm, shared=True),
    field(VCPUs_max=64, platform={'vcpu-unrestricted': 'true'}),
    field(memory_static_max=90 * GIB, memory_target=90 * GIB),
    field(blocked_operations={'clean_shutdown': 'never'}),
]


@pytest.mark.parametrize('change', MOVABLE)
def test_what_has_no_reason_moves_to_its_target(
    pool: Pool, change: Callable[[Pool, str], Any]
) -> None:
    vm = pool.guest()
    change(pool, vm)
    answer = pool.check()
    assert answer.report.blockers == ()
    (step,) = answer.plan
    assert step.code is None
    assert step.target is not None
    assert pool.move(vm, step.target.host.name) == ''


def test_a_guest_goes_where_it_can(pool: Pool) -> None:
    """xapi's own plan wants each guest to fit each host."""
    vm = pool.guest()
    on_disk(pool, vm, shared=True)
    (pbd,) = [
        ref
        for ref, row in pool.db.rows('PBD')
        if row['host'] == pool.ref('xen1')
        and pool.db.row('SR', row['SR'])['name_label'] == 'store'
    ]
    pool.set('PBD', pbd, currently_attached=False)
    answer = pool.check()
    assert answer.report.blockers == ()
    assert codes(answer.report.warnings) == ['EVACUATION_REFUSED']
    assert 'VM_REQUIRES_SR' in answer.report.warnings[0].found
    (step,) = answer.plan
    assert step.target is not None
    assert step.target.host.name == 'xen3'
    assert pool.move(vm, 'xen1') == 'VM_REQUIRES_SR'
    assert pool.move(vm, 'xen3') == ''


def test_the_largest_first_where_most_is_free(pool: Pool) -> None:
    pool.sim.add_vm('xen1', 'there', memory=20 * GIB)
    sizes = {'a': 1, 'b': 30, 'c': 25, 'd': 30}
    for name, size in sizes.items():
        pool.guest(name, memory=size * GIB)
    plan = pool.check().plan
    assert [step.guest.name for step in plan] == ['b', 'd', 'c', 'a']
    homes = [step.target.host.name if step.target else '' for step in plan]
    assert homes == ['xen3', 'xen1', 'xen3', 'xen1']
    for step in plan:
        assert step.target is not None
        assert pool.move(step.guest.ref, step.target.host.name) == ''


def test_memory_that_is_not_enough_is_told_in_figures(pool: Pool) -> None:
    for name in ('a', 'b', 'c'):
        pool.guest(name, memory=40 * GIB)
    answer = pool.check()
    assert codes(answer.report.blockers) == ['NOT_ENOUGH_MEMORY']
    (problem,) = answer.report.blockers
    assert problem.found.startswith('"c" (')
    assert ' needs 40.' in problem.found
    assert '; free when the others are placed: xen1 19.' in problem.found
    last = answer.plan[-1]
    assert last.code == 'HOST_NOT_ENOUGH_FREE_MEMORY'
    assert 'xen1, xen3: HOST_NOT_ENOUGH_FREE_MEMORY, 40.' in last.reason
    for step in answer.plan[:-1]:
        assert step.target is not None
        assert pool.move(step.guest.ref, step.target.host.name) == ''
    for host in ('xen1', 'xen3'):
        assert pool.move(last.guest.ref, host) == last.code


def test_all_of_a_guest_is_told_at_once(pool: Pool) -> None:
    vm = pool.guest()
    on_disk(pool, vm, shared=False)
    pool.set('VM', vm, power_state='Paused', VUSBs=['x'])
    answer = pool.check()
    assert codes(answer.report.blockers) == ['GUEST_IMMOVABLE']
    (problem,) = answer.report.blockers
    (step,) = answer.plan
    assert problem.found.endswith(step.reason)
    assert re.fullmatch(
        'VM_BAD_POWER_STATE, Paused; VM_HAS_VUSBS, 1; xen1, xen3: '
        r'VM_REQUIRES_SR, "data" \([^;]*\) in SR "store" \([^;]*\)',
        step.reason,
    )
    assert 'Unpause it' in problem.remedy
    assert 'Move the disk to shared storage' in problem.remedy
    consent = f'"shut_down": ["{step.guest.uuid}"].'
    assert problem.remedy.endswith(consent)
    pool.set('VM', vm, power_state='Running')
    assert step.code == 'VM_BAD_POWER_STATE'
    assert pool.step().code == 'VM_HAS_VUSBS'


def test_what_moves_later_has_its_room_in_the_plan(pool: Pool) -> None:
    for name in ('a', 'b'):
        vm = pool.guest(name, memory=40 * GIB)
        pool.set('VM', vm, current_operations={'x': 'snapshot'})
    pool.guest('c', memory=30 * GIB)
    vm = pool.guest('d', memory=90 * GIB)
    pool.set('VM', vm, current_operations={'x': 'snapshot'})
    answer = pool.check()
    assert codes(answer.report.blockers) == [
        *['GUEST_BUSY'] * 3,
        'NOT_ENOUGH_MEMORY',
    ]
    assert '"c" (' in answer.report.blockers[-1].found
    assert '"d" (' in answer.report.blockers[-1].found
    assert not answer.report.heals


def test_a_disabled_host_breaks_no_plan_of_high_availability(
    pool: Pool,
) -> None:
    pool.sim.set_host('xen2', enabled=False)
    high_availability(pool)
    pool.sim.set_pool('xen1', ha_host_failures_to_tolerate=2)
    assert pool.check().report.blockers == ()


def replaced(pool: Pool, name: str, **values: Any) -> None:
    pool.members = [
        dataclasses.replace(one, **values) if one.name == name else one
        for one in pool.members
    ]


def no_member(pool: Pool, host: str) -> None:
    pool.members = [m for m in pool.members if m.name != host]


def dead(pool: Pool, host: str) -> None:
    ref = pool.db.row('host', pool.ref(host))['metrics']
    pool.set('host_metrics', ref, live=False)


def older(pool: Pool, host: str) -> None:
    pool.sim.set_host(host, software_version={'platform_version': '2.0.0'})


UNFIT: list[tuple[Callable[[Pool, str], Any], str, str]] = [
    (no_member, 'NOT_A_MEMBER', ''),
    (
        lambda pool, host: replaced(pool, host, phase='leaving'),
        'NOT_A_MEMBER',
        '',
    ),
    (dead, 'HOST_NOT_LIVE', 'HOST_NOT_LIVE'),
    (
        lambda pool, host: pool.sim.set_host(host, enabled=False),
        'HOST_DISABLED',
        'HOST_DISABLED',
    ),
    (
        lambda pool, host: replaced(pool, host, service=records.DISABLED),
        'HOST_DISABLED',
        '',
    ),
    (
        lambda pool, host: pool.sim.set_host(
            host, current_operations={'x': 'shutdown'}
        ),
        'OTHER_OPERATION_IN_PROGRESS',
        '',
    ),
    (older, 'NOT_SUPPORTED_DURING_UPGRADE', 'NOT_SUPPORTED_DURING_UPGRADE'),
]


@pytest.mark.parametrize(('change', 'code', 'refused'), UNFIT)
def test_hosts_that_take_no_guests(
    pool: Pool,
    change: Callable[[Pool, str], Any],
    code: str,
    refused: str,
) -> None:
    """Some of them xapi would take; guests are not put there all the same."""
    vm = pool.guest()
    change(pool, 'xen3')
    answer = pool.check()
    assert answer.report.blockers == ()
    (step,) = answer.plan
    assert step.target is not None
    assert step.target.host.name == 'xen1'
    change(pool, 'xen1')
    answer = pool.check()
    told = codes(answer.report.blockers)
    assert 'NO_TARGET' in told
    problem = answer.report.blockers[told.index('NO_TARGET')]
    assert 'xen1' in problem.found
    assert 'xen3' in problem.found
    assert code in problem.found
    assert answer.plan[0].code == 'NO_HOSTS_AVAILABLE'
    if refused:
        assert pool.move(vm, 'xen3') == refused


def pool_busy(pool: Pool) -> None:
    pool.sim.start_pool_operation('xen1', 'ha_enable')


def no_other(pool: Pool) -> None:
    for name in ('xen1', 'xen3'):
        pool.sim.set_host(name, enabled=False)


POOLS: list[tuple[Callable[[Pool], Any], str, bool]] = [
    (pool_busy, 'POOL_BUSY', True),
    (
        lambda pool: pool.sim.set_host(
            'xen2', current_operations={'x': 'vm_migrate'}
        ),
        'POOL_BUSY',
        True,
    ),
    (no_other, 'LAST_ENABLED', False),
    (lambda pool: dead(pool, 'xen2'), 'HOST_NOT_LIVE', True),
    (
        lambda pool: pool.sim.set_pool(
            'xen1', ha_enabled=True, ha_host_failures_to_tolerate=2
        ),
        'HA_PLAN',
        False,
    ),
]


@pytest.mark.parametrize(('change', 'code', 'heals'), POOLS)
def test_pools_that_let_no_host_go(
    pool: Pool, change: Callable[[Pool], Any], code: str, heals: bool
) -> None:
    change(pool)
    (problem,) = pool.check().report.blockers
    assert (problem.code, problem.heals) == (code, heals)


def test_the_remedy_of_high_availability_names_the_number(pool: Pool) -> None:
    pool.set('VM', pool.guest(), ha_restart_priority='restart')
    pool.sim.set_pool('xen1', ha_enabled=True, ha_host_failures_to_tolerate=2)
    ref = pool.ref('xen2')
    with pytest.raises(failures.XenAPIError, match='FAILOVER_PLAN'):
        pool.session.call('host.disable', ref)
    (problem,) = pool.check().report.blockers
    assert 'Lower ha_host_failures_to_tolerate to 1,' in problem.remedy
    pool.sim.set_pool('xen1', ha_host_failures_to_tolerate=1)
    assert pool.check().report.blockers == ()
    pool.session.call('host.disable', ref)


def test_a_licence_without_moves(pool: Pool) -> None:
    pool.sim.set_pool('xen1', restrictions={'restrict_xen_motion': 'true'})
    assert pool.check().report.blockers == ()
    vm = pool.guest()
    assert codes(pool.check().report.blockers) == ['LICENCE_RESTRICTION']
    assert pool.move(vm, 'xen1') == 'LICENCE_RESTRICTION'


def high_availability(pool: Pool) -> None:
    pool.sim.set_pool('xen1', ha_enabled=True, ha_host_failures_to_tolerate=0)


def suspended(pool: Pool) -> None:
    vm = pool.guest('asleep', power_state='Suspended')
    vdi = on_disk(pool, vm, shared=False)
    pool.set('VM', vm, suspend_VDI=vdi, resident_on=preflight.NULL)


def autostart(pool: Pool) -> None:
    pool.sim.set_pool('xen1', other_config={'auto_poweron': 'true'})
    vm = pool.guest('asleep', power_state='Halted')
    pool.set('VM', vm, other_config={'auto_poweron': 'true'})


WORTH_KNOWING: list[tuple[Callable[[Pool], Any], str]] = [
    (high_availability, 'HA_ON'),
    (
        lambda pool: pool.sim.set_host('xen3', enabled=False),
        'OTHER_IN_MAINTENANCE',
    ),
    (
        lambda pool: pool.sim.set_host(
            'xen3', software_version={'platform_version': '99.0.0'}
        ),
        'VERSIONS_DIFFER',
    ),
    (
        lambda pool: pool.sim.set_host(
            'xen2', pending_guidances=['reboot_host']
        ),
        'GUIDANCE_PENDING',
    ),
    (lambda pool: pool.sim.set_pool('xen1', wlb_enabled=True), 'WLB_ON'),
    (
        lambda pool: pool.sim.set_pool(
            'xen1', other_config={'rolling_upgrade_in_progress': 'true'}
        ),
        'ROLLING_UPGRADE',
    ),
    (suspended, 'LOCAL_SUSPEND'),
    (autostart, 'AUTO_POWERON'),
]


@pytest.mark.parametrize(('change', 'code'), WORTH_KNOWING)
def test_what_is_worth_knowing(
    pool: Pool, change: Callable[[Pool], Any], code: str
) -> None:
    change(pool)
    report = pool.check().report
    assert report.blockers == ()
    assert codes(report.warnings) == [code]


def test_the_master_can_be_emptied(pool: Pool) -> None:
    pool.sim.add_vm('xen1', 'web')
    (xen1,) = (m for m in pool.members if m.name == 'xen1')
    answer = evacuation.check(facts.read(pool.session), xen1, pool.members)
    assert answer.report.blockers == ()
    assert codes(answer.report.warnings) == ['MASTER']
    assert len(answer.plan) == 1


def test_what_high_availability_does_not_protect_is_moved_one_by_one(
    pool: Pool,
) -> None:
    vm = pool.guest()
    high_availability(pool)
    answer = pool.check()
    assert answer.report.blockers == ()
    assert codes(answer.report.warnings) == ['HA_ON', 'EVACUATION_REFUSED']
    assert 'HOST_EVACUATE_VM_NOT_HA_PROTECTED' in str(answer.report.warnings)
    (step,) = answer.plan
    assert step.target is not None
    assert pool.move(vm, step.target.host.name) == ''


def test_an_account_that_may_only_read(make_stage: Make) -> None:
    found = make_stage(members=1, together=True, there=stage.READER)
    assert codes(Pool(found).check().report.blockers) == [
        'RBAC_PERMISSION_DENIED'
    ]


def test_a_consent_names_guests_of_the_host(pool: Pool) -> None:
    uuid = pool.of(pool.guest(), 'uuid')
    elsewhere = pool.sim.add_vm('xen1', 'elsewhere')
    halted = pool.of(pool.guest('off', power_state='Halted'), 'uuid')
    answer = pool.check(uuid, elsewhere, 'nobody', halted)
    assert answer.unknown == tuple(sorted([elsewhere, 'nobody']))
    (problem,) = shutdowns.refuse(answer.unknown)
    assert problem.found == ', '.join(answer.unknown)
    assert shutdowns.refuse(pool.check(uuid).unknown) == ()


def test_the_number_of_calls_is_fixed(pool: Pool) -> None:
    def count() -> int:
        before = len(pool.sim.calls)
        pool.check()
        return len(pool.sim.calls) - before

    few = count()
    for number in range(30):
        pool.guest(f'v{number}')
    assert count() == few


def test_a_host_that_is_not_in_the_pool(pool: Pool) -> None:
    other = member('xen9', '00000000-0000-4000-8000-000000000009')
    answer = evacuation.check(facts.read(pool.session), other, pool.members)
    assert codes(answer.report.blockers) == ['NOT_IN_POOL']
