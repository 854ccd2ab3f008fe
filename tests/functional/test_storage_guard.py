"""Where storage lies, and what the guard of an eject makes of it.

Each case says what the simulator destroys, which goes by disks, not records.
"""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.rules import preflight
from aggregates_ext.xensim import simulator
from tests.functional import stage

Make = Callable[..., stage.Stage]
Sim = simulator.Simulator
GONE = 'OpaqueRef:gone'


@pytest.fixture
def trio(make_stage: Make) -> stage.Stage:
    """A pool of xen1, its master, xen2, which leaves, and xen3."""
    return make_stage(together=True, members=1)


def add(sim: Sim, host: str, kind: str, **more: Any) -> str:
    """Storage with a disk; the answer: its uuid."""
    return sim.add_sr(host, 'data', type=kind, vdis=[{'name': 'd'}], **more)


def ref_of(sim: Sim, uuid: str) -> str:
    return str(sim.host('xen1').database.by_uuid('SR', uuid))


def second(trio: stage.Stage, uuid: str, host: str, **fields: Any) -> None:
    """A PBD of another host, with the configuration of the first."""
    db = trio.sim.host('xen1').database
    sr = ref_of(trio.sim, uuid)
    config = db.row('PBD', db.where('PBD', SR=sr)[0])['device_config']
    ref = GONE if host == GONE else trio.ref(host)
    db.create('PBD', SR=sr, host=ref, device_config=config, **fields)


def flag(trio: stage.Stage, uuid: str) -> None:
    db = trio.sim.host('xen1').database
    db.row('SR', ref_of(trio.sim, uuid))['shared'] = True


def change_pbds(trio: stage.Stage, uuid: str, **fields: Any) -> None:
    db = trio.sim.host('xen1').database
    for pbd in db.where('PBD', SR=ref_of(trio.sim, uuid)):
        db.row('PBD', pbd).update(fields)


def drop_pbds(trio: stage.Stage, uuid: str) -> None:
    db = trio.sim.host('xen1').database
    for pbd in db.where('PBD', SR=ref_of(trio.sim, uuid)):
        db.delete('PBD', pbd)


def found(report: preflight.Report, code: str) -> str:
    """What the problems of a code have found."""
    problems = (*report.blockers, *report.warnings)
    return '; '.join(p.found for p in problems if p.code == code)


def codes(report: preflight.Report) -> list[str]:
    return stage.codes(report.warnings)


LOCAL = ['lvm', 'xfs', 'zfs', 'largeblock', 'btrfs', 'file']
RECORDS: list[tuple[str, Callable[[stage.Stage, str], None]]] = [
    ('flag', flag),
    ('unplugged', lambda trio, sr: second(trio, sr, 'xen1')),
    (
        'unplugged and a flag',
        lambda trio, sr: [second(trio, sr, 'xen3'), flag(trio, sr)],
    ),
    ('dangling', lambda trio, sr: second(trio, sr, GONE)),
    (
        'dangling and plugged',
        lambda trio, sr: second(trio, sr, GONE, currently_attached=True),
    ),
    (
        'own unplugged',
        lambda trio, sr: change_pbds(trio, sr, currently_attached=False),
    ),
    ('own dangling', lambda trio, sr: change_pbds(trio, sr, host=GONE)),
    ('none', drop_pbds),
]


CASES = [
    *[('ext', name, change) for name, change in RECORDS],
    *[('vendor', name, change) for name, change in RECORDS],
    *[(kind, *RECORDS[2]) for kind in LOCAL],
]


@pytest.mark.parametrize(
    ('kind', 'change'),
    [(kind, change) for kind, _, change in CASES],
    ids=[f'{kind}, {name}' for kind, name, _ in CASES],
)
def test_no_record_passes_the_guard(
    trio: stage.Stage,
    kind: str,
    change: Callable[[stage.Stage, str], None],
) -> None:
    sr = add(trio.sim, 'xen2', kind)
    change(trio, sr)
    report = trio.check_leave()
    stage.assert_readable(report)
    assert stage.codes(report.blockers) == ['DATA_LOSS']
    assert f'"data" ({sr})' in report.blockers[0].found
    shown = report.disk_uuids()
    assert list(shown) == [sr]
    assert trio.check_leave([sr], shown[sr]).blockers == ()
    assert trio.eject() == ''
    assert trio.sim.destroyed_vdis == shown[sr]


def test_what_two_hosts_have_plugged_may_be_on_either(
    trio: stage.Stage,
) -> None:
    """A path, as of images, is on each host another directory."""
    config = {'location': '/opt/iso', 'legacy_mode': 'true'}
    sr = add(trio.sim, 'xen2', 'iso', device_config=config)
    second(trio, sr, 'xen1', currently_attached=True)
    flag(trio, sr)
    assert stage.codes(trio.check_leave().blockers) == ['DATA_LOSS']
    assert trio.eject() == ''
    assert len(trio.sim.destroyed_vdis) == 1


@pytest.mark.parametrize('kind', ['ext', 'lvm', 'file', 'lvmohba', 'vendor'])
@pytest.mark.parametrize('own', [False, True], ids=['no PBD', 'unplugged'])
def test_storage_of_another_host_is_not_counted(
    trio: stage.Stage, kind: str, own: bool
) -> None:
    sr = add(trio.sim, 'xen1', kind)
    flag(trio, sr)
    if own:
        second(trio, sr, 'xen2')
    report = trio.check_leave()
    assert (report.blockers, report.disks) == ((), {})
    assert trio.eject() == ''
    assert trio.sim.destroyed_vdis == []


REMOTE: list[tuple[str, dict[str, str]]] = [
    ('nfs', {'server': 'nas', 'serverpath': '/vms'}),
    ('smb', {'server': '\\\\nas\\vms'}),
    ('cifs', {'server': '//nas/vms'}),
    ('lvmoiscsi', {'target': '10.9.0.1', 'SCSIid': '3600'}),
    ('iscsi', {'target': '10.9.0.1'}),
    ('lvmofcoe', {'SCSIid': '3600'}),
    ('cephfs', {'server': '10.9.0.1,10.9.0.2', 'serverpath': '/'}),
    ('moosefs', {'masterhost': 'mfs', 'rootpath': '/'}),
    ('glusterfs', {'server': 'gluster1:/gv0'}),
    ('iso', {'location': '\\\\nas\\isos', 'type': 'cifs'}),
    ('iso', {'location': 'nas:/isos', 'type': 'nfs_iso'}),
]


@pytest.mark.parametrize(('kind', 'config'), REMOTE)
@pytest.mark.parametrize('shared', [False, True], ids=['not flagged', 'flag'])
def test_storage_on_servers_is_not_lost(
    trio: stage.Stage, kind: str, config: dict[str, str], shared: bool
) -> None:
    """Also where nobody flagged it, and no other host has a PBD."""
    sr = add(trio.sim, 'xen2', kind, device_config=config)
    if shared:
        flag(trio, sr)
    report = trio.check_leave()
    assert (report.blockers, report.disks) == ((), {})
    assert codes(report) == ['STORAGE_FORGOTTEN']
    assert trio.eject() == ''
    assert trio.sim.destroyed_vdis == []


@pytest.mark.parametrize('kind', ['lvmohba', 'hba', 'gfs2', 'vendor', ''])
def test_a_second_host_proves_that_storage_is_elsewhere(
    trio: stage.Stage, kind: str
) -> None:
    """An adapter may be a RAID controller; of others nothing is known."""
    sr = add(trio.sim, 'xen2', 'lvmohba', device_config={'SCSIid': '3600'})
    db = trio.sim.host('xen1').database
    db.row('SR', ref_of(trio.sim, sr))['type'] = kind
    flag(trio, sr)
    report = trio.check_leave()
    stage.assert_readable(report)
    assert list(report.disks or ()) == [sr]
    assert f'"data" ({sr})' in found(report, 'STORAGE_UNPLACED')
    # What counts as on this host is told once.
    assert codes(report) == ['STORAGE_UNPLACED']
    second(trio, sr, 'xen1')
    assert list(trio.check_leave().disks or ()) == [sr]
    db.row('PBD', db.where('PBD', SR=ref_of(trio.sim, sr))[1]).update(
        currently_attached=True
    )
    report = trio.check_leave()
    assert (report.blockers, report.disks) == ((), {})
    assert found(report, 'STORAGE_UNPLACED') == ''
    known = kind not in ('vendor', '')
    assert ('STORAGE_ON_MEMBERS' in codes(report)) == (not known)


def test_storage_without_a_host_is_named_as_such(trio: stage.Stage) -> None:
    sr = add(trio.sim, 'xen2', 'ext')
    drop_pbds(trio, sr)
    told = found(trio.check_leave(), 'STORAGE_UNPLACED')
    assert told == f'"data" ({sr}) without a host that has a PBD'


def test_a_server_without_a_host_is_nothing(trio: stage.Stage) -> None:
    drop_pbds(trio, add(trio.sim, 'xen2', 'nfs'))
    report = trio.check_leave()
    assert (report.blockers, report.disks, report.warnings) == ((), {}, ())


class TestReplicas:
    """Storage of the pool on the disks of its members."""

    @pytest.fixture
    def linstor(self, trio: stage.Stage) -> str:
        config = {'group-name': 'linstor_group', 'redundancy': '2'}
        return add(
            trio.sim, 'xen1', 'linstor', shared=True, device_config=config
        )

    def test_a_copy_on_the_host_refuses(
        self, trio: stage.Stage, linstor: str
    ) -> None:
        report = trio.check_leave()
        stage.assert_readable(report)
        (problem,) = report.blockers
        assert problem.code == 'REPLICAS_LOST'
        assert problem.found == f'linstor "data" ({linstor})'
        assert f'["{linstor}"]' in problem.remedy
        assert report.disks == {}

    def test_it_can_be_given_up(self, trio: stage.Stage, linstor: str) -> None:
        report = trio.check_leave([linstor])
        assert (report.blockers, report.warnings) == ((), ())

    def test_a_host_that_was_taken_out_may_leave(
        self, trio: stage.Stage, linstor: str
    ) -> None:
        db = trio.sim.host('xen1').database
        (pbd,) = db.where(
            'PBD', SR=ref_of(trio.sim, linstor), host=trio.ref('xen2')
        )
        db.row('PBD', pbd)['currently_attached'] = False
        assert stage.codes(trio.check_leave().blockers) == ['REPLICAS_LOST']
        db.delete('PBD', pbd)
        report = trio.check_leave()
        assert report.blockers == ()
        assert found(report, 'STORAGE_ON_MEMBERS').startswith('linstor "data"')
        assert trio.eject() == ''

    @pytest.mark.parametrize(
        ('kind', 'config'),
        [
            ('glusterfs', {'server': '10.0.0.12:/gv0'}),
            ('glusterfs', {'server': 'x:/gv', 'backupservers': 'y:10.0.0.12'}),
            ('glusterfs', {'server': 'localhost:/gv0'}),
            ('moosefs', {'masterhost': 'xen2.example.org'}),
            ('cephfs', {'server': '10.9.0.1,10.0.0.12'}),
        ],
    )
    def test_a_server_that_is_the_host_has_one(
        self, trio: stage.Stage, kind: str, config: dict[str, str]
    ) -> None:
        add(trio.sim, 'xen1', kind, shared=True, device_config=config)
        report = trio.check_leave()
        assert stage.codes(report.blockers) == ['REPLICAS_LOST']
        assert report.warnings == ()

    @pytest.mark.parametrize(
        ('kind', 'config'),
        [
            ('glusterfs', {'server': '10.0.0.11:/gv0'}),
            ('moosefs', {'masterhost': 'xen3'}),
            ('cephfs', {'server': '10.9.0.1,10.0.0.13'}),
        ],
    )
    def test_a_server_that_is_another_member_is_told(
        self, trio: stage.Stage, kind: str, config: dict[str, str]
    ) -> None:
        sr = add(trio.sim, 'xen1', kind, shared=True, device_config=config)
        report = trio.check_leave()
        assert report.blockers == ()
        told = found(report, 'STORAGE_ON_MEMBERS')
        assert told == f'{kind} "data" ({sr})'


class TestServed:
    """Storage that the host, or a guest on it, serves to the pool."""

    @pytest.mark.parametrize(
        ('kind', 'config'),
        [
            ('nfs', {'server': '10.0.0.12', 'serverpath': '/srv'}),
            ('nfs', {'server': 'XEN2', 'serverpath': '/srv'}),
            ('nfs', {'server': 'xen2.example.org', 'serverpath': '/srv'}),
            ('nfs', {'server': '127.0.0.1', 'serverpath': '/srv'}),
            ('smb', {'server': '\\\\10.0.0.12\\vms'}),
            ('lvmoiscsi', {'target': '10.9.0.1,10.0.0.12'}),
            ('iso', {'location': '10.0.0.12:/isos'}),
            ('vendor', {'server': '10.0.0.12'}),
        ],
    )
    def test_by_the_host(
        self, trio: stage.Stage, kind: str, config: dict[str, str]
    ) -> None:
        sr = add(trio.sim, 'xen1', kind, shared=True, device_config=config)
        report = trio.check_leave()
        stage.assert_readable(report)
        assert report.blockers == ()
        assert f'"data" ({sr}) at ' in found(report, 'STORAGE_SERVED')

    @pytest.mark.parametrize('server', ['10.8.0.2', '2001:DB8:0::2'])
    def test_at_another_address_of_it(
        self, trio: stage.Stage, server: str
    ) -> None:
        trio.sim.add_record(
            'xen1',
            'PIF',
            host=trio.ref('xen2'),
            IP='10.8.0.2',
            IPv6=['2001:db8::2/64'],
        )
        add(
            trio.sim,
            'xen1',
            'nfs',
            shared=True,
            device_config={'server': server},
        )
        assert 'STORAGE_SERVED' in codes(trio.check_leave())

    @pytest.mark.parametrize('server', ['10.0.0.11', 'xen3', 'xen22', 'nas'])
    def test_not_by_others(self, trio: stage.Stage, server: str) -> None:
        config = {'server': server, 'serverpath': '/srv'}
        add(trio.sim, 'xen1', 'nfs', shared=True, device_config=config)
        report = trio.check_leave()
        assert (report.blockers, report.warnings) == ((), ())

    def test_not_what_another_host_serves_itself(
        self, trio: stage.Stage
    ) -> None:
        config = {'server': 'localhost', 'serverpath': '/srv'}
        add(trio.sim, 'xen1', 'nfs', device_config=config)
        assert trio.check_leave().warnings == ()

    def test_by_a_guest_on_it(self, trio: stage.Stage) -> None:
        db = trio.sim.host('xen1').database
        vm = db.row('VM', db.by_uuid('VM', trio.sim.add_vm('xen2', 'nas')))
        metrics = db.row('VM_guest_metrics', vm['guest_metrics'])
        metrics['networks'] = {'0/ip': '10.0.0.99'}
        config = {'server': '10.0.0.99', 'serverpath': '/srv'}
        add(trio.sim, 'xen1', 'nfs', shared=True, device_config=config)
        told = found(trio.check_leave(), 'STORAGE_SERVED')
        assert 'at 10.0.0.99, the guest nas (Running' in told
