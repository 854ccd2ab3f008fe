"""What errors of moves say, and when records can be trusted."""

from typing import Any

import pytest

from aggregates_ext.compute.moving import verdicts
from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.observation import views

Verdict = verdicts.Verdict
SENT = {'m': 10.0, 's': 20.0, 't': 30.0}


@pytest.mark.parametrize(
    ('code', 'parameters', 'expected'),
    [
        ('HOST_DISABLED', ['r'], Verdict.OTHER_TARGET),
        ('HOST_NOT_ENOUGH_FREE_MEMORY', ['1', '0'], Verdict.OTHER_TARGET),
        ('VM_REQUIRES_SR', ['v', 's'], Verdict.OTHER_TARGET),
        ('VM_IS_IMMOBILE', ['v'], Verdict.FINAL),
        ('OPERATION_BLOCKED', ['v', 'why'], Verdict.FINAL),
        ('LICENCE_RESTRICTION', ['Xen_motion'], Verdict.FINAL),
        ('OTHER_OPERATION_IN_PROGRESS', ['VM', 'v'], Verdict.AGAIN),
        ('CANNOT_CONTACT_HOST', ['h'], Verdict.UNKNOWN),
        ('HANDLE_INVALID', ['host', 'h'], Verdict.UNKNOWN),
        ('INTERNAL_ERROR', ['Failed to connect to: x'], Verdict.OTHER_TARGET),
        (
            'INTERNAL_ERROR',
            ['Failed to read HTTP response from: x'],
            Verdict.AGAIN,
        ),
        (
            'INTERNAL_ERROR',
            ['x already exists in xenopsd'],
            Verdict.OTHER_TARGET,
        ),
        ('INTERNAL_ERROR', ['Remote_failed'], Verdict.DOUBT),
    ],
)
def test_an_error_says_whom_it_is_about(
    code: str, parameters: list[str], expected: Verdict
) -> None:
    assert verdicts.judge(code, parameters) is expected


def pool(starts: dict[str, float], master: str = 'm') -> views.PoolView:
    hosts = {
        uuid: rolls.HostView(
            ref=f'r{uuid}',
            uuid=uuid,
            name_label=uuid,
            address='',
            enabled=True,
            live=True,
            agent_start_time=start,
        )
        for uuid, start in starts.items()
    }
    return views.PoolView(
        ref='r',
        uuid='p',
        name_label=None,
        mark=None,
        master=hosts[master],
        hosts=rolls.Roll(hosts),
    )


@pytest.mark.parametrize(
    ('now', 'broken', 'holds'),
    [
        # Nothing has started.
        (SENT, None, True),
        # One has, and nobody has repaired it.
        ({**SENT, 'm': 40.0}, None, False),
        ({**SENT, 's': 40.0}, None, False),
        ({**SENT, 't': 40.0}, None, False),
        # The source, then the target.
        ({**SENT, 's': 40.0, 't': 50.0}, None, True),
        # The other way round: it may have killed the guest.
        ({**SENT, 's': 50.0, 't': 40.0}, None, False),
        # Both had started before it was seen; not since.
        (
            {**SENT, 's': 40.0, 't': 50.0},
            {**SENT, 's': 40.0, 't': 50.0},
            False,
        ),
        (
            {**SENT, 's': 60.0, 't': 70.0},
            {**SENT, 's': 40.0, 't': 50.0},
            True,
        ),
        # The source alone, after that.
        (
            {**SENT, 's': 60.0, 't': 50.0},
            {**SENT, 's': 40.0, 't': 50.0},
            False,
        ),
        # Starts that are not told prove nothing.
        ({**SENT, 'm': 0.0}, None, False),
        ({'m': 10.0, 's': 20.0}, None, False),
    ],
)
def test_records_hold_while_no_toolstack_starts(
    now: dict[str, float], broken: dict[str, float] | None, holds: bool
) -> None:
    call: dict[str, Any] = {
        'started': SENT,
        'from': 's',
        'to': 't',
        'broken': broken,
    }
    assert verdicts.records_hold(call, pool(now)) is holds


def test_starts_that_were_never_told_prove_nothing() -> None:
    before = dict.fromkeys(SENT, 0.0)
    call = {'started': before, 'from': 's', 'to': 't'}
    assert not verdicts.records_hold(call, pool(before))


def test_another_master_proves_nothing() -> None:
    call = {'started': {'m': 10.0, 's': 20.0, 't': 30.0}}
    call |= {'from': 's', 'to': 't'}
    other = pool({**SENT, 'x': 5.0}, 'x')
    assert not verdicts.records_hold(call, other)
