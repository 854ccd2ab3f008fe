"""Addresses are compared by what they are, not by how they are written."""

import pytest

from aggregates_ext.db import addresses


@pytest.mark.parametrize(
    ('one', 'other', 'same'),
    [
        ('10.0.0.1', '10.0.0.1', True),
        ('10.0.0.1', '10.0.0.2', False),
        ('fd00::1', 'FD00:0:0::0001', True),
        ('[fd00::1]', 'fd00::1', True),
        ('fd00::1', 'fd00::2', False),
        ('::ffff:10.0.0.1', '10.0.0.1', True),
        ('Xen1.Example.', 'xen1.example', True),
        ('', '', False),
        (None, None, False),
        (None, '10.0.0.1', False),
        ('010.0.0.1', '10.0.0.1', False),
    ],
)
def test_same(one: str | None, other: str | None, same: bool) -> None:
    assert addresses.same(one, other) is same
    assert addresses.same(other, one) is same


@pytest.mark.parametrize(
    ('one', 'other', 'same'),
    [
        ('https://10.0.0.1', 'https://10.0.0.1:443/', True),
        ('https://[fd00::1]', 'https://[FD00:0::1]:443', True),
        ('https://Xen1', 'https://xen1.', True),
        ('http://127.0.0.1:1', 'http://127.0.0.1:2', False),
        ('https://10.0.0.1', 'https://10.0.0.2', False),
    ],
)
def test_target(one: str, other: str, same: bool) -> None:
    assert (addresses.target(one) == addresses.target(other)) is same
