"""What people are told: what, where and what now, in three sentences.

What a message leaves out is data: parameters of an error, details of a
problem, disks of a report.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.compute import endpoint
from aggregates_ext.compute.observation import drift
from aggregates_ext.compute.observation import obstacles
from aggregates_ext.compute.rules import moves
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.leaving import guard
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.rules.leaving import (
    requirements as leaving_requirements,
)
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records
from tests.unit.compute import messages
from tests.unit.compute.rules import rule_tables
from tests.unit.compute.xen import test_codes

MOST = 3
# Characters of a message about any number of things.
BOUND = 3000
MANY = 600
UUID = '0bd0b2c3-b8a5-5f09-96f4-2f3a6d1a9c0e'
URL = 'https://10.0.0.11'
# Words that leave people alone.
VAGUE = re.compile(
    r'Mend that, then|^Look at (it|the host)( there| on the host)?[.,]|'
    r'helps? nobody|contact (your|the) administrator',
    re.I,
)


def assert_said(message: str, limit: int = BOUND) -> None:
    """A message that can be read at once."""
    assert message.endswith(('.', '.)', '"'))
    assert '..' not in message.replace('...', '')
    assert messages.sentences(message) <= MOST, message
    assert len(message) <= limit


@pytest.mark.parametrize(
    'message', list(messages.every()), ids=lambda message: message.place
)
def test_message_of_the_source(message: messages.Message) -> None:
    assert messages.sentences(message.text) <= MOST, message.text


def test_messages_of_the_source_are_found() -> None:
    found = [message.text for message in messages.every()]
    assert len(found) > 90
    for words in ('is not live', 'No host answers', 'left half-done'):
        assert any(words in text for text in found)


CODES = (*test_codes.PASSING, *test_codes.FINAL, *test_codes.KINDS, 'NEW_ONE')
TEXTS = ('Not_found', 'Unix.Unix_error(Unix.ENOSPC, "write", "")', 'Stunnel')


@pytest.mark.parametrize('code', CODES)
def test_code_of_a_host(code: str) -> None:
    said = failures.XenAPIError('xen1', code, ('OpaqueRef:1', 'VM', 'vdi'))
    assert_said(str(said), 800)
    assert not VAGUE.search(said.way_out)
    # However long it talks, what to do is not cut off.
    long = failures.XenAPIError('xen1', code, ('x' * 1000,) * 16)
    assert str(long).endswith(long.way_out)
    assert len(str(long)) <= text.MESSAGE_LIMIT


@pytest.mark.parametrize('said', TEXTS)
def test_internal_error_of_a_host(said: str) -> None:
    assert_said(str(failures.XenAPIError('xen1', 'INTERNAL_ERROR', (said,))))


@pytest.mark.parametrize(
    'rule',
    [rule for rules in rule_tables.SECTIONS.values() for rule in rules],
    ids=lambda rule: str(rule.code),
)
def test_rule(rule: preflight.Rule[Any]) -> None:
    problem = preflight.Problem(
        rule.code,
        rule.rule,
        f'"a" ({UUID})',
        rule.remedy.format(f'["{UUID}"]'),
    )
    assert_said(problem.message, 800)
    assert not VAGUE.search(problem.remedy)


OWN: list[failures.HostError] = [
    failures.Unreachable(host='xen1', url=URL, reason='Connection refused'),
    failures.OtherCertificate('xen1', URL, 'ab' * 32),
    failures.TLSRefused(host='xen1', url=URL, reason='no protocols.'),
    failures.NotTrusted(host='xen1', url=URL, reason='self-signed'),
    failures.ClearText(host='xen1', url='http://10.0.0.11'),
    failures.AnswerLost(host='xen1', call='pool.join', reason='timed out'),
    failures.NotEntitled(host='xen1', credential='a', aggregate_id=1),
    failures.OddAnswer('xen1', 'the uuid of host "a" is 5'),
    failures.CredentialUnknown(host='xen1', credential='a'),
]


@pytest.mark.parametrize('exc', OWN, ids=lambda exc: type(exc).__name__)
def test_failure_of_ours_alone_and_as_a_problem(
    exc: failures.HostError,
) -> None:
    assert_said(str(exc), 800)
    problem = endpoint._obstacle(exc)
    assert_said(problem.message, 800)
    assert 'Mend that' not in problem.message


def test_every_failure_of_ours_is_among_them() -> None:
    def below(kind: type) -> set[type]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    kinds = below(failures.HostError)
    assert {type(exc) for exc in OWN} == kinds - {
        failures.HostError,
        failures.XenAPIError,
    }


def test_a_certificate_that_nobody_knows_is_accepted_by_its_fingerprint() -> (
    None
):
    (exc,) = (exc for exc in OWN if isinstance(exc, failures.NotTrusted))
    assert 'host set xen1 --fingerprint' in exc.way_out


# Who leads a pool.


def aggregate(**values: Any) -> records.Aggregate:
    return records.Aggregate(
        **{
            **dict.fromkeys(records.Aggregate.__dataclass_fields__),
            'id': 1,
            'pool_uuid': UUID,
            **values,
        }
    )


def slave(name: str) -> failures.XenAPIError:
    return failures.XenAPIError(name, 'HOST_IS_SLAVE', ('10.0.0.1',))


def away(name: str) -> failures.Unreachable:
    return failures.Unreachable(host=name, url=URL, reason='timed out')


def refused(name: str) -> failures.XenAPIError:
    return failures.XenAPIError(name, 'SESSION_AUTHENTICATION_FAILED', ('a',))


ANSWERS: dict[str, tuple[list[Callable[[str], Exception]], str]] = {
    'nobody': ([], 'adopt'),
    'all away': ([away, away], 'Start the hosts'),
    'the master is lost': ([away, slave], 'pool-emergency-transition'),
    'one password is refused': ([away, refused, slave], 'SIGHUP'),
    'an unknown one leads': (
        [lambda _: obstacles.OfNobody(address='10.0.0.9', others=''), away],
        'Register',
    ),
    'a certificate has changed': (
        [slave, lambda name: failures.OtherCertificate(name, URL, 'ab' * 32)],
        '--fingerprint',
    ),
}


@pytest.mark.parametrize('case', ANSWERS)
@pytest.mark.parametrize('times', [1, MANY])
def test_no_master(case: str, times: int) -> None:
    kinds, words = ANSWERS[case]
    asked: dict[str, Exception] = {}
    for kind in kinds * times:
        name = f'xen{len(asked) + 1}'
        asked[name] = kind(name)
    found = obstacles.no_master(aggregate(), [], asked)
    assert_said(str(found), 2000)
    assert words in found.way_out
    assert len(found.error['parameters']) == len(asked)
    if len(asked) > obstacles.ANSWERS:
        assert f' and {len(asked) - obstacles.ANSWERS} more' in found.said
    # What each host answered is one part, and can be told from the next.
    assert found.said.count(';') == max(
        0, min(len(asked), obstacles.ANSWERS) - 1
    )


def test_dead_member_is_told_of_the_removal_that_works() -> None:
    (message,) = (
        m.text for m in messages.every() if ') is not live. ' in m.text
    )
    assert 'remove_host and "force": true' in message
    assert drift.MEMBER_DEAD


# Many of something.


def machines(**values: Any) -> dict[str, dict[str, Any]]:
    return {
        f'OpaqueRef:{number}': {
            'uuid': f'{number:08x}{UUID[8:]}',
            'name_label': f'machine {number}',
            'power_state': 'Running',
            'is_a_template': False,
            'is_a_snapshot': False,
            'is_control_domain': False,
            'current_operations': {'t': 'pool_migrate'},
            'resident_on': 'h',
            'scheduled_to_be_resident_on': 'h',
            'affinity': 'h',
            'suspend_VDI': preflight.NULL,
            **values,
        }
        for number in range(MANY)
    }


def side() -> sides.Side:
    return sides.Side(
        {
            'pool': {'p': {'master': 'h', 'current_operations': {}}},
            'host': {
                'h': {
                    'name_label': 'xen2',
                    'control_domain': 'd',
                    'software_version': {'xapi_build': '26.1.0'},
                    'API_version_major': '2',
                    'API_version_minor': '21',
                }
            },
            'VM': machines(),
        },
        '20261123T10:11:12Z',
    )


def leaving() -> leaver.Leaving:
    disks = {
        f'OpaqueRef:{number}': {
            'uuid': f'{number:08x}{UUID[8:]}',
            'name_label': f'disk {number}',
            'SR': f's{number % 30}',
            'missing': False,
            'virtual_size': 2**30,
            'physical_utilisation': 0,
            'current_operations': {'t': 'copy'},
        }
        for number in range(MANY)
    }
    srs = {
        f's{number}': {
            'uuid': f'{number:08x}{UUID[8:]}',
            'name_label': 'Local storage',
            'type': 'ext',
            'shared': False,
            'other_config': {},
            'is_tools_sr': False,
        }
        for number in range(30)
    }
    pbds = {
        f'b{ref}': {
            'SR': ref,
            'host': 'h',
            'currently_attached': True,
            'device_config': {},
        }
        for ref in srs
    }
    return leaver.Leaving(
        {
            **{name: {} for name in guard.CLASSES},
            'pool': {'p': {'master': 'o', 'current_operations': {}}},
            'host': {'h': {'uuid': UUID, 'name_label': 'xen2'}},
            'VM': machines(current_operations={}),
            'VDI': disks,
            'SR': srs,
            'PBD': pbds,
        },
        'h',
    )


def rule(
    table: tuple[preflight.Rule[Any], ...], words: str
) -> preflight.Rule[Any]:
    (found,) = (rule for rule in table if words in rule.rule)
    return found


JOIN = requirements.JOIN_RULES
LEAVE = leaving_requirements.LEAVE_RULES


@pytest.mark.parametrize(
    ('found', 'facts'),
    [
        (rule(JOIN, 'no machine may run'), sides.Sides(side(), side())),
        (rule(JOIN, 'may run on a machine'), sides.Sides(side(), side())),
        (rule(LEAVE, 'unless halted'), leaving()),
        (rule(LEAVE, 'operation may run on disks'), leaving()),
    ],
    ids=lambda value: getattr(value, 'rule', ''),
)
def test_many_things_are_some_names_and_a_number(
    found: preflight.Rule[Any], facts: Any
) -> None:
    problem = found.check(facts)
    assert problem is not None
    assert_said(problem.message)
    assert problem.found.endswith(f' and {MANY - text.ITEMS} more')
    # All of them are in the data.
    assert len(problem.as_dict()['details']) == MANY


def test_many_moves_are_some_names_and_a_number() -> None:
    (problem,) = moves.check(machines())
    assert_said(problem.message)
    assert len(problem.as_dict()['details']) == MANY


def test_many_disks_are_some_names_and_a_number() -> None:
    facts = leaving()
    problem = rule(LEAVE, 'must hold no disks').check(facts)
    assert problem is not None
    assert_said(problem.message, BOUND + 1000)
    assert sum(map(len, facts.disks.values())) == MANY


def test_few_things_are_told_without_data() -> None:
    problem = preflight.Problem('A', 'rule', text.listed(['a', 'b']), 'c.')
    assert problem.found == 'a, b'
    assert 'details' not in problem.as_dict()


def test_a_refusal_tells_all_codes_however_many() -> None:
    problems = tuple(
        preflight.Problem(f'CODE_{number}', 'a rule', 'x' * 400, 'Do that.')
        for number in range(40)
    )
    report = preflight.Report(problems)
    failed = outcomes.refuse('Host xen1 cannot join:', report)
    assert isinstance(failed, outcomes.Failed)
    refused = exception.Refused('Host xen1 cannot join:', problems)
    for said in (str(failed), str(refused)):
        assert all(problem.code in said for problem in problems)
        assert len(said) < text.MESSAGE_LIMIT + 400
    assert len(failed.error['parameters']['blockers']) == 40


def test_codes_of_late_joins_say_where_to_look() -> None:
    assert 'xensource.log' in codes.FINAL['REPOSITORY_CLEANUP_FAILED'].remedy
    assert '/etc/xapi.d' in codes.FINAL['XAPI_HOOK_FAILED'].remedy
