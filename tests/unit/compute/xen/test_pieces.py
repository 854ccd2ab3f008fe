"""What is read in pieces is what a parser makes of it, or is left to that."""

import datetime
import xmlrpc.client
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from aggregates_ext.compute.xen import answers
from aggregates_ext.compute.xen import pieces
from aggregates_ext.xensim.wire import codec

TEXTS = strategies.text(
    strategies.characters(codec='utf-8', categories=['L', 'N', 'P', 'S', 'Zs'])
    | strategies.sampled_from('\n\t<>&\'"]'),
    max_size=8,
)
VALUES = strategies.recursive(
    TEXTS | strategies.booleans() | strategies.sampled_from([0.5, -1.5, 1e30]),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=20,
)
# What a body may be spoilt with.
ODD = strategies.sampled_from(
    [
        *('<', '>', '&', '</', ' ', '\n', '\r', '\x01', '\uffff', 'a', '1'),
        *('&amp;', '&#65;', '&x;', '<!--a-->', '<![CDATA[a]]>', ']]>'),
        *('<value>', '</value>', '<value/>', '<string>a</string>', '<nil/>'),
        *('<member>', '</member>', '<name>a</name>', '<value>a</value>'),
        *('<struct>', '</struct>', '<array><data>', '</data></array>'),
        *('<i4>1</i4>', '<boolean>2</boolean>', '<double>1_0</double>'),
    ]
)
MOST = 10_000


def nothing() -> None:
    """No time is over."""


def written(value: Any) -> bytes:
    """An answer as xapi writes it."""
    return codec.xml_success(value)


def read(body: bytes, most: int = MOST) -> Any:
    return pieces.read(body, most, nothing)


@hypothesis.given(VALUES)
def test_all_that_xapi_writes_is_read(value: Any) -> None:
    body = written(value)
    assert read(body) == {'Status': 'Success', 'Value': value}
    assert read(body) == answers._parse(body, MOST, nothing)


@hypothesis.settings(max_examples=400)
@hypothesis.given(VALUES, ODD, strategies.data())
def test_what_is_spoilt_is_what_a_parser_says_or_left_to_it(
    value: Any, odd: str, data: strategies.DataObject
) -> None:
    text = written(value).decode()
    place, end = sorted(
        data.draw(strategies.integers(0, len(text))) for _ in range(2)
    )
    length = data.draw(strategies.sampled_from([0, 0, 1, end - place]))
    body = (text[:place] + odd + text[place + length :]).encode()
    try:
        found = read(body)
    except pieces.Other:
        return
    assert found == answers._parse(body, MOST, nothing)


@pytest.mark.parametrize('size', [0, 1, 499, 500, 501, 1500])
def test_many_texts_are_all_there(size: int) -> None:
    items = [f'a&{number}' for number in range(size)]
    value = {'items': items, 'members': dict.fromkeys(items, 'x'), 'yes': True}
    assert read(written(value))['Value'] == value


def test_dates_and_numbers_are_those_of_the_client() -> None:
    date = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    found = read(written([date, {'n': codec.Number(5), 'd': date}]))['Value']
    assert found == [xmlrpc.client.DateTime('20260102T03:04:05Z')] + [
        {'n': 5, 'd': xmlrpc.client.DateTime('20260102T03:04:05Z')}
    ]


def test_values_and_names_are_counted_as_a_parser_does() -> None:
    value = {'a': ['b', True, {'c': 'd', 'e': 1.5}], 'f': []}
    body = written(value)
    needed = next(
        most for most in range(MOST) if _is_within(answers._parse, body, most)
    )
    assert read(body, needed)['Value'] == value
    with pytest.raises(pieces.Other):
        read(body, needed - 1)


def _is_within(reader: Any, body: bytes, most: int) -> bool:
    try:
        reader(body, most, nothing)
    except answers.Unreadable:
        return False
    return True


def test_depth_is_bounded() -> None:
    deep: Any = 'a'
    for _ in range(pieces.MAX_DEPTH - 1):
        deep = [deep]
    assert read(written(deep))['Value'] == deep
    with pytest.raises(pieces.Other):
        read(written([deep]))
    structs: Any = 'a'
    for _ in range(pieces.MAX_DEPTH - 1):
        structs = {'a': structs}
    body = written(structs)
    assert read(body) == answers._parse(body, MOST, nothing)
    with pytest.raises(pieces.Other):
        read(written('')[:-50] + b'<value><array><data>' * 100_000)


def test_one_odd_character_does_not_multiply_a_large_answer() -> None:
    large = 'a' * pieces.MOST_ODD
    assert read(written(large))['Value'] == large
    with pytest.raises(pieces.Other):
        read(written(f'{large}\U0001f600'))


def test_time_is_looked_at_while_values_are_made() -> None:
    def over() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        pieces.read(written([''] * pieces.CHECK_EVERY), MOST, over)


@pytest.mark.parametrize(
    'hopeless',
    [
        '<member><name>{}',
        '<member><name>a</name><value>{}',
        f'{499 * "<member><name>a</name><value></value></member>"}<member><name>{{}}',
    ],
)
@pytest.mark.parametrize('text', ['a', '&amp;', 'a&lt;'])
def test_what_has_no_end_is_not_gone_through_again_and_again(
    hopeless: str, text: str
) -> None:
    """That would take days."""
    body = written({}).decode().partition('</struct>')[0]
    with pytest.raises(pieces.Other):
        read((body + hopeless.format(text * 500_000)).encode())


PAIR = '<member><name>a</name><value>b</value></member>'
ONE = '<member><name>a</name><value><i4>1</i4></value></member>'


@pytest.mark.parametrize(
    'value',
    [
        '',
        '<value/>',
        '<value>a\rb</value>',
        '<value>a\x01b</value>',
        '<value>a\uffffb</value>',
        '<value>a&x;b</value>',
        '<value>a&b</value>',
        '<value><i4>a</i4></value>',
        '<value><dateTime.iso8601>\x01</dateTime.iso8601></value>',
        '<value><dateTime.iso8601>&</dateTime.iso8601></value>',
        f'<value><double>{"1" * 65}</double></value>',
        '<value>a</value><value>b</value>',
        f'<value><struct>{PAIR}{PAIR}</struct></value>',
        f'<value><struct>{ONE}{ONE}</struct></value>',
        f'<value><struct>{PAIR}</data></array></value>',
        '<value><array><data></struct></value>',
        '<value>a</value></struct></value>',
        '<value><struct><value><i4>1</i4></value></struct></value>',
        f'<value><array><data>{ONE}</data></array></value>',
        f'<value><array><data>{ONE[21:]}</data></array></value>',
        f'<value><struct>{ONE.removesuffix("</member>")}</struct></value>',
        '<value><array><data><value><struct></struct></value></member>'
        '</data></array></value>',
        '<value><struct><member><name>a</name><value><struct></struct></value>'
        '</struct></value>',
    ],
)
def test_all_else_is_left_to_the_parser(value: str) -> None:
    body = written('').decode()
    begin, end = body.index('<value>'), body.rindex('</value>')
    body = body[:begin] + value + body[end + len('</value>') :]
    with pytest.raises(pieces.Other):
        read(body.encode())
