"""What a terminal obeys is shown, and not done."""

import pytest

from aggregates_ext.client import harmless


@pytest.mark.parametrize(
    ('said', 'shown'),
    [
        ('\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'),
        ('a\r\nb\tc', 'a\\r\\nb\\tc'),
        ('\x9b2J\x07', '\\x9b2J\\x07'),
        ('web\u202egnp.exe', 'web\\u202egnp.exe'),
        ('half \ud800', 'half \\ud800'),
        ('line\u2028break', 'line\\u2028break'),
        ('ünïcode 主机\u00a0ok', 'ünïcode 主机\u00a0ok'),
        (7, 7),
        (None, None),
    ],
)
def test_data_is_cleaned_at_any_depth(said: object, shown: object) -> None:
    assert harmless.clean(said) == shown
    nested = {'a': [said, {'b': said}]}
    assert harmless.clean(nested) == {'a': [shown, {'b': shown}]}


def test_names_of_fields_are_cleaned_too() -> None:
    assert harmless.clean({'\x1b': 1}) == {'\\x1b': 1}
