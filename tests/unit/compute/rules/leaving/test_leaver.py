"""Which record is that of the host that leaves, and what is on it."""

from typing import Any

import pytest

from aggregates_ext.compute.rules.joining import accounts
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.rules.leaving import requirements
from aggregates_ext.compute.xen import failures


def test_a_uuid_of_two_hosts_is_of_none() -> None:
    """Whose disks would be looked at is not known."""
    hosts = {'one': {'uuid': 'u1'}, 'two': {'uuid': 'u2'}}
    assert leaver.find('xen1', hosts, 'u2') == 'two'
    assert leaver.find('xen1', hosts, 'u3') is None
    hosts['two'] = {'uuid': 'u1'}
    with pytest.raises(failures.OddAnswer, match='2 hosts have the uuid u1'):
        leaver.find('xen1', hosts, 'u1')


def leaving(
    permissions: frozenset[str] | None = None, **vm: Any
) -> leaver.Leaving:
    machine = {
        'name_label': 'web',
        'uuid': 'u',
        'power_state': 'Running',
        'is_control_domain': False,
        'is_a_snapshot': False,
        'current_operations': {},
        **vm,
    }
    return leaver.Leaving(
        {'VM': {'vm': machine}}, 'this', permissions=permissions
    )


@pytest.mark.parametrize(
    ('vm', 'there'),
    [
        ({'resident_on': 'this'}, True),
        ({'resident_on': 'this', 'power_state': 'Suspended'}, True),
        # A reference that was left behind.
        ({'resident_on': 'this', 'power_state': 'Halted'}, False),
        ({'resident_on': 'this', 'is_control_domain': True}, False),
        ({'resident_on': 'other'}, False),
    ],
)
def test_a_machine_that_has_not_ended_is_on_its_host(
    vm: dict[str, Any], there: bool
) -> None:
    assert bool(list(leaving(**vm).machines())) == there


@pytest.mark.parametrize(
    ('resident', 'told'), [('this', ''), ('other', 'web')]
)
def test_a_machine_is_told_as_there_or_as_coming(
    resident: str, told: str
) -> None:
    facts = leaving(resident_on=resident, scheduled_to_be_resident_on='this')
    assert requirements._coming(facts).partition(' ')[0] == told


@pytest.mark.parametrize(
    ('permissions', 'may'),
    [(None, True), ({accounts.EJECT}, True), ({'vm.start'}, False)],
)
def test_an_account_needs_one_permission(
    permissions: set[str] | None, may: bool
) -> None:
    given = None if permissions is None else frozenset(permissions)
    assert (requirements._role(leaving(given)) == '') == may
