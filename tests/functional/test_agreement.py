"""What our checks refuse and what xapi itself refuses are the same.

Each state is made in the simulator, read and judged by our requirements,
and then joined by a plain call: what the simulator refuses, ours refuse
first with the same code, and what it does, ours allow, except what is
stricter on purpose and says why.
"""

from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.rules import moves
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import presets
from tests.functional import stage
from tests.functional.xensim import test_join_checks_all as checks
from tests.functional.xensim import test_presets as releases

Make = Callable[..., stage.Stage]
Sim = simulator.Simulator
Change = Callable[[Sim], Any]


def vendor(sim: Sim) -> None:
    sim.set_host('xen2', cpu_info={'vendor': 'AuthenticAMD'})


def no_physical_management(sim: Sim) -> None:
    checks.pif(sim, 'xen2', physical=False)


def other_features(sim: Sim) -> None:
    for name, text in (('xen1', 'ff-01'), ('xen2', 'ff-02')):
        sim.set_host(name, cpu_info={'features': text})


def masked_features(sim: Sim) -> None:
    other_features(sim)
    sim.set_pool('xen1', other_config={'cpuid_feature_mask': 'ff-00'})


def may_not_pool(sim: Sim) -> None:
    sim.set_pool('xen2', restrictions={'restrict_pooling': 'true'})


def equal_rank(sim: Sim) -> None:
    sim.set_host('xen1', edition='free')
    sim.set_host('xen2', edition='express')


def tools(sim: Sim) -> None:
    sim.add_record(
        'xen2',
        'SR',
        shared=True,
        is_tools_sr=True,
        other_config={'xenserver_tools_sr': 'true'},
    )


def disjoint_purposes(sim: Sim) -> None:
    for name, purpose in (('xen1', ['a']), ('xen2', ['b'])):
        sim.add_record(
            name,
            'Certificate',
            type='pinned',
            fingerprint_sha256='same',
            purpose=purpose,
        )


def template(sim: Sim) -> None:
    sim.add_record('xen2', 'VM', is_a_snapshot=True, power_state='Suspended')


def same_controller(sim: Sim) -> None:
    for name in ('xen1', 'xen2'):
        sim.add_record(name, 'SDN_controller', address='a', protocol='ssl')


def other_control_domain(sim: Sim) -> None:
    sim.add_record(
        'xen2',
        'VM',
        name_label='driver domain',
        is_control_domain=True,
        power_state='Running',
        domid=7,
    )


OLD, NEWEST = releases.OLD, releases.NEWEST
# More than xapi#join-checks lists: version, change, code.
MORE: list[tuple[str, Change, str]] = [
    (NEWEST, may_not_pool, 'LICENCE_RESTRICTION'),
    (NEWEST, vendor, 'HOSTS_NOT_HOMOGENEOUS'),
    (NEWEST, other_control_domain, 'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'),
    (
        OLD,
        no_physical_management,
        'POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC',
    ),
    (OLD, other_features, 'HOSTS_NOT_HOMOGENEOUS'),
    (OLD, masked_features, ''),
    (NEWEST, other_features, ''),
    (NEWEST, equal_rank, ''),
    (NEWEST, disjoint_purposes, ''),
    (NEWEST, template, ''),
    (NEWEST, same_controller, ''),
    *((version, tools, '') for version in presets.PRESETS),
    *((version, lambda sim: None, '') for version in presets.PRESETS),
]
BY_RELEASE = [
    *MORE,
    *((v, change, code or '') for v, change, code in releases.BY_RELEASE),
]


@pytest.mark.parametrize(('number', 'change', 'failure'), checks.CASES)
def test_what_xapi_refuses_is_refused_first_and_alike(
    make_stage: Make, number: int, change: Change, failure: list[str]
) -> None:
    found = make_stage()
    change(found.sim)
    report = found.check_join()
    stage.assert_readable(report)
    assert stage.codes(report.blockers)[:1] == failure[:1]
    assert found.join() == failure[0]


@pytest.mark.parametrize(('first', 'second'), checks.PAIRS)
def test_of_two_the_first_is_named_first_and_the_other_too(
    make_stage: Make, first: Any, second: Any
) -> None:
    found = make_stage()
    first[1](found.sim)
    second[1](found.sim)
    named = stage.codes(found.check_join().blockers)
    assert named[0] == found.join() == first[2][0]
    # One problem tells of both sides where only the side differs.
    assert second[2][0] in (named[1:] or named)


@pytest.mark.parametrize(('version', 'change', 'code'), BY_RELEASE)
def test_each_release_is_judged_by_its_own_rules(
    make_stage: Make, version: str, change: Change, code: str
) -> None:
    found = make_stage(version=version)
    change(found.sim)
    named = stage.codes(found.check_join().blockers)
    assert named[:1] == [code][: len(code)]
    assert found.join() == code


@pytest.mark.parametrize('version', presets.PRESETS)
def test_equals_of_every_release_meet_every_requirement(
    make_stage: Make, version: str
) -> None:
    report = make_stage(version=version).check_join()
    assert (report.blockers, report.warnings) == ((), ())


@pytest.mark.parametrize('side', ['here', 'there'])
def test_an_account_that_may_not_pool(make_stage: Make, side: str) -> None:
    found = make_stage(**{side: stage.READER})
    (problem,) = found.check_join().blockers
    assert problem.code == found.join() == 'RBAC_PERMISSION_DENIED'
    assert problem.found.endswith(
        'at host xen2' if side == 'here' else 'at the master of the pool'
    )


def stale_record(sim: Sim) -> None:
    sim.add_record(
        'xen1',
        'host',
        uuid=sim.host('xen2').uuid,
        name_label='stale',
        edition='xcp-ng',
        metrics=sim.add_record('xen1', 'host_metrics'),
    )


def same_address(sim: Sim) -> None:
    sim.add_record(
        'xen1',
        'host',
        name_label='other',
        edition='xcp-ng',
        address=sim.host('xen2').address,
        metrics=sim.add_record('xen1', 'host_metrics'),
    )


def moving(sim: Sim) -> None:
    sim.add_record(
        'xen1',
        'VM',
        name_label='web',
        power_state='Running',
        current_operations={'OpaqueRef:task': 'migrate_send'},
    )


# What ours forbid and the simulator does: rule, change, words.
STRICTER: list[tuple[str, Change, str]] = [
    ('the pool must not list the host already', stale_record, '"stale" ('),
    (
        'no machine may be paused or suspended on the joining host',
        lambda sim: sim.add_vm('xen2', 'web', power_state='Suspended'),
        'web (Suspended',
    ),
    (
        'the master of the pool must have an address, to which the host is '
        'sent',
        lambda sim: sim.set_host('xen1', address=''),
        'none at the master',
    ),
    ('addresses must be unique in a pool', same_address, '10.0.0.12 at host'),
    (
        'no operation may run on either pool',
        lambda sim: sim.start_pool_operation('xen2', 'ha_enable'),
        'ha_enable on host xen2',
    ),
    (moves.RULE, moving, '"web"'),
]


@pytest.mark.parametrize(('rule', 'change', 'words'), STRICTER)
def test_what_is_stricter_is_so_on_purpose(
    make_stage: Make, rule: str, change: Change, words: str
) -> None:
    found = make_stage()
    change(found.sim)
    report = found.check_join()
    stage.assert_readable(report)
    (problem,) = report.blockers
    assert problem.rule == rule
    assert words in problem.found
    assert found.join() == ''


def test_nothing_else_is_stricter_than_xapi() -> None:
    stricter = {r.rule for r in requirements.JOIN_RULES if r.stricter}
    assert stricter == {rule for rule, _change, _words in STRICTER}
