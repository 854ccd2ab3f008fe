"""What the guard of an eject reads, refuses and warns of.

Where xapi itself refuses too, it does so with the same code.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.rules.leaving import remains
from aggregates_ext.compute.rules.leaving import requirements
from aggregates_ext.compute.xen import failures
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import presets
from tests.functional import stage

Make = Callable[..., stage.Stage]
Sim = simulator.Simulator
Change = Callable[[Sim], Any]
GIB = 2**30


def host_ref(sim: Sim, name: str = 'xen2') -> str:
    db = sim.host('xen1').database
    return str(db.by_uuid('host', sim.host(name).uuid))


def sr_ref(sim: Sim, uuid: str) -> str:
    return str(sim.host('xen1').database.by_uuid('SR', uuid))


def disk(sim: Sim, **fields: Any) -> str:
    """A disk of 2 GiB in storage of xen2 alone; the answer: SR uuid."""
    uuid = sim.add_sr('xen2', 'data', vdis=[{'name': 'customer'}])
    db = sim.host('xen1').database
    (ref,) = db.where('VDI', name_label='customer')
    db.row('VDI', ref).update({'virtual_size': 2 * GIB, **fields})
    return uuid


def set_pbd(sim: Sim, sr: str, **fields: Any) -> None:
    db = sim.host('xen1').database
    (ref,) = db.where('PBD', SR=sr_ref(sim, sr))
    db.row('PBD', ref).update(fields)


def set_sr(sim: Sim, sr: str, **fields: Any) -> None:
    sim.host('xen1').database.row('SR', sr_ref(sim, sr)).update(fields)


def machine(sim: Sim, **fields: Any) -> None:
    uuid = sim.add_vm('xen2', 'web')
    db = sim.host('xen1').database
    db.row('VM', db.by_uuid('VM', uuid)).update(fields)


def starting(sim: Sim) -> None:
    sim.add_record(
        'xen1',
        'VM',
        name_label='web',
        power_state='Suspended',
        scheduled_to_be_resident_on=host_ref(sim),
    )


def in_use(sim: Sim) -> None:
    disk(sim)
    db = sim.host('xen1').database
    (domain,) = db.where(
        'VM', resident_on=host_ref(sim), is_control_domain=True
    )
    (vdi,) = db.where('VDI', name_label='customer')
    db.create('VBD', VM=domain, VDI=vdi, currently_attached=True)


def attach(sim: Sim, host: str, control: bool) -> None:
    """Let a machine of a host have a disk in storage of xen1."""
    sim.add_sr('xen1', 'data', vdis=[{'name': 'other'}])
    sim.add_vm(host, 'db')
    db = sim.host('xen1').database
    (vdi,) = db.where('VDI', name_label='other')
    (vm,) = db.where(
        'VM', resident_on=host_ref(sim, host), is_control_domain=control
    )
    db.create('VBD', VM=vm, VDI=vdi, currently_attached=True)


def dead(sim: Sim) -> None:
    db = sim.host('xen1').database
    metrics = db.row('host', host_ref(sim))['metrics']
    db.row('host_metrics', metrics)['live'] = False


def busy_host(sim: Sim) -> None:
    sim.set_host('xen2', current_operations={'x': 'evacuate'})


# What forbids an eject: change, codes in order, words, what xapi says.
BLOCKERS: list[tuple[Change, list[str], str, str]] = [
    (
        lambda sim: sim.set_pool('xen1', is_psr_pending=True),
        ['POOL_SECRET_ROTATION_PENDING'],
        'one',
        'POOL_SECRET_ROTATION_PENDING',
    ),
    (
        lambda sim: sim.start_pool_operation('xen1', 'sync_updates'),
        ['OTHER_OPERATION_IN_PROGRESS'],
        'sync_updates',
        'OTHER_OPERATION_IN_PROGRESS',
    ),
    (
        lambda sim: sim.start_pool_operation('xen1', 'apply_updates'),
        ['NOT_SUPPORTED_DURING_UPGRADE'],
        'one',
        # It waits for the operation first, two hours long.
        'OTHER_OPERATION_IN_PROGRESS',
    ),
    (dead, ['HOST_OFFLINE'], 'not live', 'HOST_OFFLINE'),
    (
        lambda sim: sim.set_pool('xen1', ha_enabled=True),
        ['HA_IS_ENABLED'],
        'on',
        'HA_IS_ENABLED',
    ),
    (machine, ['OPERATION_NOT_ALLOWED'], 'web (Running', ''),
    # What a guest holds is no more than the guest.
    (
        lambda sim: attach(sim, 'xen2', False),
        ['OPERATION_NOT_ALLOWED'],
        'db (Running',
        '',
    ),
    (
        lambda sim: machine(sim, power_state='Suspended'),
        ['OPERATION_NOT_ALLOWED'],
        'web (Suspended',
        'OPERATION_NOT_ALLOWED',
    ),
    (
        lambda sim: machine(sim, current_operations={'x': 'pool_migrate'}),
        ['OTHER_OPERATION_IN_PROGRESS'],
        'pool_migrate of web (Running',
        'OPERATION_NOT_ALLOWED',
    ),
    (
        in_use,
        ['VDI_IN_USE', 'DATA_LOSS'],
        '"customer" (',
        'VDI_IN_USE',
    ),
]
# What only ours forbid.
STRICTER: list[tuple[Change, list[str], str]] = [
    (starting, ['OPERATION_NOT_ALLOWED'], 'web (Suspended'),
    (busy_host, ['OTHER_OPERATION_IN_PROGRESS'], 'evacuate'),
    (
        lambda sim: disk(sim, current_operations={'x': 'copy'}),
        ['OTHER_OPERATION_IN_PROGRESS', 'DATA_LOSS'],
        'copy of "customer" (',
    ),
    (disk, ['DATA_LOSS'], '2.0 GiB'),
    (
        lambda sim: sim.add_sr('xen2', 'data', shared=True, type='linstor'),
        ['REPLICAS_LOST'],
        'linstor "data" (',
    ),
]


@pytest.fixture
def pair(make_stage: Make) -> stage.Stage:
    """A pool of xen1, its master, and xen2."""
    return make_stage(together=True)


def assert_blockers(pair: stage.Stage, codes: list[str], words: str) -> None:
    report = pair.check_leave()
    stage.assert_readable(report)
    assert stage.codes(report.blockers) == codes
    assert words in report.blockers[0].found


@pytest.mark.parametrize(('change', 'codes', 'words', 'xapi'), BLOCKERS)
def test_what_xapi_refuses_is_refused(
    pair: stage.Stage,
    change: Change,
    codes: list[str],
    words: str,
    xapi: str,
) -> None:
    change(pair.sim)
    assert_blockers(pair, codes, words)
    assert pair.eject() == (xapi or codes[0])


@pytest.mark.parametrize(('change', 'codes', 'words'), STRICTER)
def test_what_is_stricter_than_xapi(
    pair: stage.Stage, change: Change, codes: list[str], words: str
) -> None:
    change(pair.sim)
    assert_blockers(pair, codes, words)
    stricter = {
        rule.rule for rule in requirements.LEAVE_RULES if rule.stricter
    }
    assert {p.rule for p in pair.check_leave().blockers} <= stricter
    assert pair.eject() == ''


def test_the_master_and_whom_the_account_forbids(make_stage: Make) -> None:
    pair = make_stage(together=True, there=stage.READER)
    (problem,) = pair.check_leave().blockers
    assert problem.code == pair.eject() == 'RBAC_PERMISSION_DENIED'
    pair.sim.host('xen1').database.pool['master'] = pair.ref('xen2')
    assert 'HOST_IS_MASTER' in stage.codes(pair.check_leave().blockers)


def test_a_pool_whose_master_is_none_of_its_hosts_is_not_judged(
    pair: stage.Stage,
) -> None:
    pair.sim.host('xen1').database.pool['master'] = 'OpaqueRef:gone'
    with pytest.raises(failures.OddAnswer, match='is none of its hosts'):
        pair.check_leave()


def test_every_rule_of_leaving_was_seen_to_refuse(make_stage: Make) -> None:
    seen = {'this host as the master'}
    for change, *_rest in [*BLOCKERS, *STRICTER]:
        pair = make_stage(together=True)
        change(pair.sim)
        seen |= {problem.rule for problem in pair.check_leave().blockers}
    rest = {rule.rule for rule in requirements.LEAVE_RULES} - seen
    assert rest == {
        # These have tests of their own.
        'the account at the master must be allowed to manage pools',
        'the master cannot be ejected from a pool that has other hosts',
        'only disks that were shown before a consent are covered by it',
    }


@pytest.mark.parametrize('version', presets.PRESETS)
def test_a_plain_host_of_every_release_may_leave(
    make_stage: Make, version: str
) -> None:
    pair = make_stage(together=True, version=version, members=2)
    report = pair.check_leave()
    assert (report.blockers, report.disks) == ((), {})
    assert report.warnings == ()
    assert pair.eject() == ''


def test_the_number_of_calls_is_fixed(make_stage: Make) -> None:
    counts = []
    for members in (0, 4):
        pair = make_stage(together=True, members=members)
        before = len(pair.sim.calls)
        pair.check_leave()
        counts.append(len(pair.sim.calls) - before)
    assert counts == [13, 13]


class TestDisks:
    """What counts as lost, and what consent covers."""

    def test_they_are_listed_with_sizes_and_machines(
        self, pair: stage.Stage
    ) -> None:
        sr = disk(pair.sim)
        vm = pair.sim.add_vm('xen2', 'db', 'Halted', ['customer'])
        report = pair.check_leave()
        assert report.disks is not None
        (shown,) = report.disks[sr]
        assert shown == {
            'uuid': shown['uuid'],
            'name': 'customer',
            'size': 2 * GIB,
            'physical_utilisation': GIB,
            'used_by': [f'db (Halted, {vm})'],
        }
        (problem,) = report.blockers
        assert f'"data" ({sr}) holds "customer"' in problem.found
        assert f'used by db (Halted, {vm})' in problem.found
        assert json.dumps([sr]) in problem.remedy

    def test_consent_covers_what_was_shown(self, pair: stage.Stage) -> None:
        sr = disk(pair.sim)
        shown = pair.check_leave().disk_uuids()[sr]
        report = pair.check_leave([sr], shown)
        assert report.blockers == ()
        db = pair.sim.host('xen1').database
        db.create('VDI', name_label='late', SR=sr_ref(pair.sim, sr))
        (problem,) = pair.check_leave([sr], shown).blockers
        assert problem.code == 'DATA_LOSS'
        assert '"late"' in problem.found
        assert 'customer' not in problem.found

    def test_consent_to_other_storage_is_none(self, pair: stage.Stage) -> None:
        disk(pair.sim)
        report = pair.check_leave(['other'], [])
        assert stage.codes(report.blockers) == ['DATA_LOSS']
        assert report.warnings[0].code == 'CONSENT_MISMATCH'

    @pytest.mark.parametrize(
        'change',
        [
            lambda sim, sr: set_sr(sim, sr, type='udev'),
            lambda sim, sr: set_sr(sim, sr, is_tools_sr=True, shared=True),
            lambda sim, sr: set_sr(sim, sr, shared=True, type='nfs'),
        ],
        ids=['devices', 'tools', 'shared'],
    )
    def test_what_an_eject_does_not_destroy(
        self, pair: stage.Stage, change: Callable[[Sim, str], None]
    ) -> None:
        change(pair.sim, disk(pair.sim))
        report = pair.check_leave()
        assert (report.blockers, report.disks) == ((), {})
        assert pair.eject() == ''
        assert pair.sim.destroyed_vdis == []

    def test_local_storage_that_is_flagged_as_shared_counts(
        self, pair: stage.Stage
    ) -> None:
        sr = disk(pair.sim)
        set_sr(pair.sim, sr, shared=True, type='ext')
        report = pair.check_leave()
        assert stage.codes(report.blockers) == ['DATA_LOSS']
        assert list(report.disks or ()) == [sr]

    @pytest.mark.parametrize(
        'fields',
        [{'managed': False}, {'is_a_snapshot': True}, {'name_label': 'x'}],
        ids=['hidden parent', 'snapshot', 'other name'],
    )
    def test_every_disk_that_is_there_counts(
        self, pair: stage.Stage, fields: dict[str, Any]
    ) -> None:
        disk(pair.sim, **fields)
        assert stage.codes(pair.check_leave().blockers) == ['DATA_LOSS']

    def test_a_disk_that_is_missing_does_not_count(
        self, pair: stage.Stage
    ) -> None:
        disk(pair.sim, missing=True)
        assert pair.check_leave().blockers == ()

    def test_storage_that_is_unplugged_counts(self, pair: stage.Stage) -> None:
        sr = disk(pair.sim)
        set_pbd(pair.sim, sr, currently_attached=False)
        assert stage.codes(pair.check_leave().blockers) == ['DATA_LOSS']
        assert pair.eject() == ''
        assert len(pair.sim.destroyed_vdis) == 1

    @pytest.mark.parametrize(
        ('location', 'lost'),
        [
            ('/var/opt/iso', True),
            ('', True),
            ('nfs1:/isos', False),
            ('//smb1/isos', False),
        ],
    )
    def test_images_on_a_server_survive(
        self, pair: stage.Stage, location: str, lost: bool
    ) -> None:
        sr = disk(pair.sim)
        set_sr(pair.sim, sr, type='iso')
        set_pbd(pair.sim, sr, device_config={'location': location})
        report = pair.check_leave()
        assert bool(report.blockers) == lost
        forgotten = 'STORAGE_FORGOTTEN' in stage.codes(report.warnings)
        assert forgotten == (not lost)

    def test_memory_of_a_suspended_machine_is_its_disk(
        self, pair: stage.Stage
    ) -> None:
        sr = disk(pair.sim)
        (vdi,) = pair.sim.host('xen1').database.where(
            'VDI', name_label='customer'
        )
        pair.sim.add_record(
            'xen1',
            'VM',
            name_label='asleep',
            power_state='Suspended',
            suspend_VDI=vdi,
        )
        report = pair.check_leave()
        assert report.disks is not None
        assert 'asleep (Suspended' in report.disks[sr][0]['used_by'][0]

    def test_the_last_host_loses_nothing(self, make_stage: Make) -> None:
        alone = make_stage()
        sim = alone.sim
        sim.add_sr('xen1', 'data', vdis=[{'name': 'customer'}])
        sim.set_pool('xen1', ha_enabled=True)
        uuid = sim.host('xen1').uuid
        report = stage.guard.check_leave(alone.master, uuid, [], [])
        assert (report.blockers, report.disks) == ((), {})

    def test_the_name_of_the_last_host_is_changed_with_a_role(
        self, make_stage: Make
    ) -> None:
        alone = make_stage(there=stage.READER)
        uuid = alone.sim.host('xen1').uuid
        report = stage.guard.check_leave(alone.master, uuid, [], [])
        assert stage.codes(report.blockers) == ['RBAC_PERMISSION_DENIED']

    def test_a_host_that_left_already_loses_nothing(
        self, make_stage: Make
    ) -> None:
        for members in (0, 2):
            left = make_stage(members=members)
            left.sim.set_pool('xen1', ha_enabled=True)
            report = left.check_leave()
            assert (report.blockers, report.disks) == ((), {})


def no_disk(sim: Sim, **fields: Any) -> None:
    set_sr(sim, sim.add_sr('xen2', 'data'), **fields)


def default_sr(sim: Sim) -> None:
    sr = sim.add_sr('xen2', 'data')
    sim.set_pool('xen1', default_SR=sr_ref(sim, sr))


def clustered(sim: Sim) -> None:
    sim.add_record('xen1', 'Cluster_host', host=host_ref(sim), enabled=True)


def task(sim: Sim) -> None:
    sim.add_record(
        'xen1',
        'task',
        name_label='VM.export',
        status='pending',
        resident_on=host_ref(sim),
    )


def used_disk(sim: Sim) -> None:
    disk(sim)
    sim.add_vm('xen1', 'db', 'Halted')
    db = sim.host('xen1').database
    db.create(
        'VBD',
        VM=db.where('VM', name_label='db')[0],
        VDI=db.where('VDI', name_label='customer')[0],
    )


def other_disabled(sim: Sim) -> None:
    for name in ('xen1', 'xen3'):
        sim.set_host(name, enabled=False)


def local_disk_of_an_adapter(sim: Sim) -> None:
    disk(sim)
    db = sim.host('xen1').database
    (sr,) = db.where('SR', name_label='data')
    db.row('SR', sr)['type'] = 'lvmohba'


def shared(sim: Sim, kind: str, server: str) -> None:
    config = {'server': server}
    sim.add_sr('xen1', 'data', shared=True, type=kind, device_config=config)


WARNINGS: list[tuple[str, Change, str]] = [
    ('MACHINES_LOSE_DISKS', used_disk, 'db (Halted'),
    (
        'DATA_UNACCOUNTED',
        lambda sim: no_disk(sim, physical_utilisation=5 * GIB),
        '5.0 GiB in "data" (',
    ),
    (
        'STORAGE_FORGOTTEN',
        lambda sim: no_disk(sim, shared=True, type='nfs'),
        '"data" (',
    ),
    ('STORAGE_UNPLACED', local_disk_of_an_adapter, 'lvmohba "data" ('),
    (
        'STORAGE_SERVED',
        lambda sim: shared(sim, 'nfs', '10.0.0.12'),
        ' at 10.0.0.12',
    ),
    (
        'STORAGE_ON_MEMBERS',
        lambda sim: shared(sim, 'glusterfs', '10.0.0.11:/gv'),
        'glusterfs "data" (',
    ),
    ('DEFAULT_SR_LEAVES', default_sr, 'default_SR "data" ('),
    (
        'HOME_OF_MACHINES',
        lambda sim: sim.add_vm('xen2', 'web', 'Halted'),
        'web (Halted',
    ),
    ('CLUSTERING_ENABLED', clustered, 'cluster member '),
    ('TASKS_RUNNING', task, 'VM.export ('),
    ('FEW_HOSTS_LEFT', other_disabled, 'none that is enabled'),
]


@pytest.mark.parametrize(('code', 'change', 'words'), WARNINGS)
def test_what_should_be_known(
    make_stage: Make, code: str, change: Change, words: str
) -> None:
    trio = make_stage(together=True, members=1)
    change(trio.sim)
    report = trio.check_leave()
    stage.assert_readable(report)
    (warning,) = report.warnings
    assert warning.code == code
    assert words in warning.found
    assert trio.eject() == ''


def belonging(sim: Sim, **fields: Any) -> None:
    home = host_ref(sim)
    sim.add_record('xen1', 'VM', name_label='web', affinity=home, **fields)


def other_member(sim: Sim, name: str, enabled: bool) -> None:
    host = host_ref(sim, name)
    sim.add_record('xen1', 'Cluster_host', host=host, enabled=enabled)


def other_task(sim: Sim, name: str, status: str) -> None:
    host = host_ref(sim, name)
    sim.add_record('xen1', 'task', status=status, resident_on=host)


def busy_elsewhere(sim: Sim) -> None:
    sim.add_sr('xen1', 'data', vdis=[{'name': 'other'}])
    db = sim.host('xen1').database
    (ref,) = db.where('VDI', name_label='other')
    db.row('VDI', ref)['current_operations'] = {'x': 'copy'}


# What is like something that should be known, and is not.
UNTOLD: list[Change] = [
    lambda sim: attach(sim, 'xen1', True),
    lambda sim: attach(sim, 'xen1', False),
    busy_elsewhere,
    lambda sim: belonging(sim, is_a_template=True),
    lambda sim: belonging(sim, is_a_snapshot=True),
    lambda sim: other_member(sim, 'xen1', True),
    lambda sim: other_member(sim, 'xen2', False),
    lambda sim: other_task(sim, 'xen1', 'pending'),
    lambda sim: other_task(sim, 'xen2', 'success'),
]


@pytest.mark.parametrize('change', UNTOLD)
def test_what_does_not_go_with_the_host_is_not_told(
    make_stage: Make, change: Change
) -> None:
    trio = make_stage(together=True, members=1)
    change(trio.sim)
    report = trio.check_leave()
    assert (report.blockers, report.warnings) == ((), ())


def test_one_host_that_is_left_is_told(pair: stage.Stage) -> None:
    (warning,) = pair.check_leave().warnings
    assert warning.code == 'FEW_HOSTS_LEFT'
    assert '"xen1" (' in warning.found


def test_every_warning_of_leaving_has_a_case() -> None:
    told = {rule.code for rule in remains.LEAVE_WARNINGS}
    assert told == {code for code, *_rest in WARNINGS} | {'CONSENT_MISMATCH'}
