"""What processors can, compared."""

import pytest

from aggregates_ext.compute.rules import processors


@pytest.mark.parametrize(
    ('have', 'others', 'found'),
    [
        ('0000000f', '0000000f', ''),
        ('0000000f', '00000007', '00000008'),
        ('0000000F', '00000007', '00000008'),
        ('00000007', '0000000f', ''),
        ('0000000f-00000001', '0000000f', '00000000-00000001'),
        ('0000000f', '0000000f-00000001', ''),
        ('', '0000000f', ''),
        ('0000000f', '', ''),
        ('0000000f', 'sse', ''),
        ('0f', '00000000', ''),
        ('-'.join(['0000000f'] * 65), '00000000', ''),
    ],
)
def test_features_that_another_lacks(
    have: str, others: str, found: str
) -> None:
    assert processors.lost(have, others) == found


@pytest.mark.parametrize(
    ('told', 'field'),
    [
        ({'features_hvm': 'a', 'features_hvm_host': 'b'}, 'features_hvm_host'),
        ({'features_hvm_host': ''}, 'features_hvm_host'),
        ({'features_hvm': 'a'}, 'features_hvm'),
    ],
)
def test_pools_of_all_releases_tell_what_guests_start_with(
    told: dict[str, str], field: str
) -> None:
    assert processors.level(told, 'hvm') == field
