"""Which calls it takes until XenCenter knows a host in maintenance, or not."""

import pytest

from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.operations import keys

MODE, MOVED = rolls.MODE, rolls.MOVED
ONE = '5e1b6f0c-0a8f-4d7e-9f0e-3d7f0e6a1b01'
TWO = '5e1b6f0c-0a8f-4d7e-9f0e-3d7f0e6a1b02'
ON = (keys.ADD, MODE, 'true')


@pytest.mark.parametrize(
    ('found', 'moved', 'calls'),
    [
        ({}, [], [ON]),
        ({}, [TWO, ONE], [(keys.ADD, MOVED, f'{ONE},{TWO}'), ON]),
        ({MODE: 'true', MOVED: ONE}, [ONE], []),
        ({MODE: 'true'}, [], []),
        ({MODE: 'false'}, [], [(keys.REMOVE, MODE), ON]),
        # Left over, of a maintenance that has ended.
        ({MOVED: TWO}, [], [(keys.REMOVE, MOVED), ON]),
        (
            {MOVED: TWO},
            [ONE],
            [(keys.REMOVE, MOVED), (keys.ADD, MOVED, ONE), ON],
        ),
        # Another tool's.
        ({MODE: 'true', MOVED: TWO}, [], []),
        (
            {MODE: 'true', MOVED: f'{TWO},,\x00,{"x" * 9999}'},
            [ONE],
            [(keys.REMOVE, MOVED), (keys.ADD, MOVED, f'{ONE},{TWO}')],
        ),
        ({MODE: 'true', MOVED: ''}, [], []),
        # What it knows of them stays.
        ({MOVED: TWO}, None, [ON]),
        ({MODE: 'true', MOVED: 'odd'}, None, []),
    ],
)
def test_what_is_missing(
    found: dict[str, str], moved: list[str] | None, calls: list[keys.Call]
) -> None:
    assert keys.missing(found, moved) == calls


def test_lists_of_others_are_bounded() -> None:
    many = {MODE: 'true', MOVED: ','.join([TWO] * 5000 + ['x'] * 5000 + [ONE])}
    assert keys.missing(many, [])[-1] == (keys.ADD, MOVED, TWO)


@pytest.mark.parametrize(
    ('found', 'calls'),
    [
        ({}, []),
        ({MODE: 'odd'}, [(keys.REMOVE, MODE)]),
        ({MOVED: ''}, [(keys.REMOVE, MOVED)]),
        (
            {MOVED: ONE, MODE: 'true'},
            [(keys.REMOVE, MODE), (keys.REMOVE, MOVED)],
        ),
    ],
)
def test_what_is_left(found: dict[str, str], calls: list[keys.Call]) -> None:
    assert keys.left(found) == calls
