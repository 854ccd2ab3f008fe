"""Every field that is read, with every odd value: what the checks make of it.

An odd value never takes away what forbids a change: it stands, or there is
a blocker that says in words what cannot be read. And no check fails.
"""

import contextlib
from collections.abc import Callable
from collections.abc import Collection
from typing import Any

import pytest

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import successor
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import rolling
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.leaving import guard
from aggregates_ext.compute.xen import classes
from aggregates_ext.compute.xen import failures
from tests.functional import liar
from tests.functional import stage
from tests.functional import test_evacuating as evacuating
from tests.functional.xensim import test_join_checks_all as checks

Make = Callable[..., stage.Stage]
ODD = failures.OddAnswer.code


def record(session: Any, classes: Collection[str]) -> liar.Recorded:
    """What a simulated host answers, to be told again with a lie in it."""
    tables = {}
    for class_ in classes:
        # Not each release knows each class.
        with contextlib.suppress(failures.XenAPIError):
            tables[class_] = session.call(f'{class_}.get_all_records')
    return liar.Recorded(tables, frozenset({'pool.join'}))


def blockers(report: preflight.Report) -> set[tuple[str, str]]:
    """What forbids it: codes with rules."""
    return {(problem.code, problem.rule) for problem in report.blockers}


def judge(
    look: Callable[[], preflight.Report], before: Collection[tuple[str, str]]
) -> str:
    """What became of a check; nothing else may come of it."""
    try:
        report = look()
    except failures.OddAnswer as exc:
        return str(exc)
    for problem in (*report.blockers, *report.warnings):
        if problem.code == ODD:
            assert 'cannot be told' in problem.found
            assert 'OpaqueRef' not in problem.message, problem
    found = blockers(report)
    # By itself, or as why a host takes no guests.
    odd = any('cannot be told' in one.found for one in report.blockers)
    assert odd or set(before) <= found, set(before) - found
    return ''


@pytest.fixture(params=['plain', 'unfit'])
def sides_of_a_join(
    make_stage: Make, request: pytest.FixtureRequest
) -> tuple[liar.Recorded, liar.Recorded]:
    """Two hosts as they are, and such that nearly all rules are broken."""
    found = make_stage(members=1)
    if request.param == 'unfit':
        for number, change, _failure in checks.CASES:
            if number not in (2, 5, 7, 13):
                change(found.sim)
    return (
        record(found.joiner, sides.JOINER_CLASSES),
        record(found.master, sides.CLASSES),
    )


def check_join(joiner: Any, master: Any) -> preflight.Report:
    return requirements.check_join(
        sides.Sides(
            sides.read_side(joiner, sides.JOINER_CLASSES),
            sides.read_side(master),
        )
    )


@pytest.mark.parametrize('role', ['joiner', 'master'])
def test_a_join_is_checked_whatever_a_side_answers(
    sides_of_a_join: tuple[liar.Recorded, liar.Recorded], role: str
) -> None:
    joiner, master = sides_of_a_join
    before = blockers(check_join(joiner, master))
    side = joiner if role == 'joiner' else master
    for lie in liar.all_lies(*side.tables):
        lying = side.with_lie(lie)
        pair = (lying, master) if role == 'joiner' else (joiner, lying)
        judge(lambda pair=pair: check_join(*pair), before)


def test_what_only_advice_needs_never_forbids_a_join(
    make_stage: Make,
) -> None:
    found = make_stage()
    joiner, master = (
        record(session, sides.JOINER_CLASSES)
        for session in (found.joiner, found.master)
    )
    for lie in (
        liar.Lie('host', 'name_label', None),
        liar.Lie('host', 'name_description', 5),
        liar.Lie('host', 'hostname', None),
        liar.Lie('host', 'tags', 'abc'),
        liar.Lie('host', 'iscsi_iqn', []),
        liar.Lie('PIF', 'MAC', None),
        liar.Lie('PIF', 'MTU', 'abc'),
        liar.Lie('PIF', 'ip_configuration_mode', None),
        liar.Lie('pool', 'tags', None),
        liar.Lie('subject', 'other_config', None),
        liar.Lie('Certificate', 'not_before', 'yesterday'),
    ):
        report = check_join(joiner.with_lie(lie), master.with_lie(lie))
        assert report.blockers == (), lie
    joiner.tables['host.get_servertime'] = 'yesterday'
    report = check_join(joiner, master)
    assert report.blockers == ()
    assert 'the clock of one side' in str(report.warnings)


@pytest.mark.parametrize('which', ['all', 'leaver', 'others'])
def test_a_host_leaves_whatever_the_master_answers(
    make_stage: Make, which: str
) -> None:
    found = make_stage(members=1, together=True)
    found.sim.add_sr('xen2', 'data', vdis=[{'name': 'customer'}])
    found.sim.add_vm('xen2', 'web', power_state='Running')
    master = record(found.master, guard.CLASSES)
    uuid, ref = found.sim.host('xen2').uuid, found.ref('xen2')
    before = blockers(guard.check_leave(master, uuid, [], []))
    assert {code for code, _rule in before} >= {'DATA_LOSS'}
    wanted = {
        'all': lambda one: True,
        'leaver': lambda one: one == ref,
        'others': lambda one: one != ref,
    }[which]
    classes = guard.CLASSES if which == 'all' else ('host',)
    for lie in liar.all_lies(*classes):
        lying = master.with_lie(lie, wanted)
        judge(
            lambda lying=lying: guard.check_leave(lying, uuid, [], []), before
        )


def test_storage_that_cannot_be_read_is_never_taken_for_none(
    make_stage: Make,
) -> None:
    """Also when all other disks have been given up."""
    found = make_stage(members=1, together=True)
    found.sim.add_sr('xen2', 'data', vdis=[{'name': 'customer'}])
    master = record(found.master, guard.CLASSES)
    uuid = found.sim.host('xen2').uuid
    for lie in (
        *liar.all_lies('PBD'),
        *liar.all_lies('SR'),
        *liar.all_lies('VDI'),
    ):
        used = {
            'PBD': 'SR host',
            'SR': 'shared type other_config uuid',
            'VDI': 'SR missing uuid',
        }[lie.class_]
        if lie.field not in used.split():
            continue
        lying = master.with_lie(lie)
        report = guard.check_leave(lying, uuid, [], [])
        codes = stage.codes(report.blockers)
        assert ODD in codes or 'DATA_LOSS' in codes, lie
        assert report.disks is not None, lie


@pytest.mark.parametrize('which', ['all', 'master', 'target', 'others'])
def test_a_change_of_master_is_checked_whatever_is_answered(
    make_stage: Make, which: str
) -> None:
    found = make_stage(members=1, together=True)
    master = record(found.master, successor.CLASSES)
    uuid, target = found.sim.host('xen2').uuid, found.ref('xen2')
    first = found.ref('xen1')
    wanted = {
        'all': lambda one: True,
        'master': lambda one: one == first,
        'target': lambda one: one == target,
        'others': lambda one: one not in (first, target),
    }[which]
    classes = successor.CLASSES if which == 'all' else ('host',)
    for lie in liar.all_lies(*classes):
        lying = master.with_lie(lie, wanted)
        judge(
            lambda lying=lying: successor.check(successor.read(lying), uuid),
            (),
        )


EVACUATION = (*facts.CLASSES, *facts.OPTIONAL)


def check_evacuation(found: stage.Stage, master: Any) -> preflight.Report:
    members = evacuating.Pool(found).members
    (xen2,) = (member for member in members if member.name == 'xen2')
    return evacuation.look(master, xen2, members).report


@pytest.mark.parametrize('which', ['all', 'source', 'others'])
def test_an_evacuation_is_planned_whatever_the_master_answers(
    make_stage: Make, which: str
) -> None:
    found = make_stage(members=1, together=True)
    pool = evacuating.Pool(found)
    evacuating.on_disk(pool, pool.guest('stuck'), shared=False)
    evacuating.inside(pool, pool.guest('inside'))
    evacuating.undriven(pool, pool.guest('undriven'))
    for name in 'ab':
        pool.guest(name, memory=50 * evacuating.GIB)
    found.sim.add_vm('xen3', 'there', memory=40 * evacuating.GIB)
    found.sim.set_pool('xen1', ha_enabled=True)
    found.sim.set_pool('xen1', ha_host_failures_to_tolerate=2)
    master = record(found.master, EVACUATION)
    before = blockers(check_evacuation(found, master))
    assert {code for code, _rule in before} == {
        'RBAC_PERMISSION_DENIED',
        'HA_PLAN',
        'GUEST_IMMOVABLE',
        'NOT_ENOUGH_MEMORY',
    }
    ref = found.ref('xen2')
    wanted = {
        'all': lambda one: True,
        'source': lambda one: one == ref,
        'others': lambda one: one != ref,
    }[which]
    classes = EVACUATION if which == 'all' else ('host',)
    for lie in liar.all_lies(*classes):
        lying = master.with_lie(lie, wanted)
        judge(lambda lying=lying: check_evacuation(found, lying), before)


def check_rolling(found: stage.Stage, master: Any) -> preflight.Report:
    members = evacuating.Pool(found).members
    return rolling.plan(facts.read(master), members, members).report


def test_a_rolling_reboot_is_planned_whatever_the_master_answers(
    make_stage: Make,
) -> None:
    found = make_stage(members=1, together=True)
    pool = evacuating.Pool(found)
    evacuating.on_disk(pool, pool.guest('stuck'), shared=False)
    pool.guest('large', memory=50 * evacuating.GIB)
    for name in ('xen1', 'xen3'):
        found.sim.add_vm(name, name, memory=40 * evacuating.GIB)
    found.sim.set_pool('xen1', ha_enabled=True)
    master = record(found.master, EVACUATION)
    del master.tables['host'][found.ref('xen3')]['other_config']['boot_time']
    before = blockers(check_rolling(found, master))
    assert {code for code, _rule in before} == {
        'RBAC_PERMISSION_DENIED',
        'HA_ON',
        'GUEST_IMMOVABLE',
        'NOT_ENOUGH_MEMORY',
        'BOOT_TIME_UNKNOWN',
    }
    for lie in liar.all_lies(*EVACUATION):
        lying = master.with_lie(lie, lambda one: True)
        judge(lambda lying=lying: check_rolling(found, lying), before)


def test_a_table_that_is_none_is_told(make_stage: Make) -> None:
    found = make_stage(members=1, together=True)
    master = record(
        found.master,
        {*guard.CLASSES, *sides.JOINER_CLASSES, *EVACUATION},
    )
    uuid = found.sim.host('xen2').uuid
    for class_ in classes.CLASSES:
        for answer in (None, 'abc', [], 5, {'a': None}):
            lying = liar.Recorded({**master.tables, class_: answer})
            for look in (
                lambda lying=lying: check_join(lying, lying),
                lambda lying=lying: guard.check_leave(lying, uuid, [], []),
                lambda lying=lying: successor.check(
                    successor.read(lying), uuid
                ),
                lambda lying=lying: check_evacuation(found, lying),
                lambda lying=lying: check_rolling(found, lying),
            ):
                judge(look, ())
