"""The expressions of get_all_records_where."""

import pytest

from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.records import query

RECORD = {'name': 'a "b"', 'shared': True, 'size': 5, 'other': 'x'}


@pytest.mark.parametrize(
    ('text', 'matches'),
    [
        ('true', True),
        ('false', False),
        ('not true', False),
        ('field "other"="x"', True),
        ('field "other" = "y"', False),
        ("field 'other'='x'", True),
        (r'field "name"="a \"b\""', True),
        ('field "shared"="true"', True),
        ('field "size"="5"', True),
        ('field "nosuch"="5"', False),
        ('(not field "other"="y") and field "size"="5"', True),
        ('false and false or true', True),
        ('false and (false or true)', False),
    ],
)
def test_expressions(text, matches):
    assert query.parse(text)(RECORD) is matches


@pytest.mark.parametrize(
    'text',
    ['', 'nosuch', 'true true', 'field', 'field "a"', '(true', '%', '(' * 999],
)
def test_nonsense(text):
    with pytest.raises(failure.Failure) as caught:
        query.parse(text)
    assert caught.value.code == 'INTERNAL_ERROR'
