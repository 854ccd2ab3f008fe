"""What a host answered: read as xapi writes it, refused otherwise."""

import datetime
import xmlrpc.client
from typing import Any

import pytest

from aggregates_ext.compute.xen import answers


def read(body: bytes) -> Any:
    return answers.read(body, 1000, lambda: None)


def written(value: Any) -> bytes:
    return xmlrpc.client.dumps(
        (value,), methodresponse=True, allow_none=True
    ).encode()


@pytest.mark.parametrize(
    'value',
    [
        '',
        'text & <more>',
        ' \u20ac ',
        'x' * 100_000,
        0,
        -1,
        2**31 - 1,
        1.5,
        True,
        False,
        None,
        [],
        {},
        ['a', ['b', {}]],
        {'a': {'b': ['c', 1, {'d': ''}]}, '': 'e'},
    ],
)
def test_values_are_those_that_were_written(value: Any) -> None:
    assert read(written(value)) == value


def test_dates_are_those_of_the_client() -> None:
    date = xmlrpc.client.DateTime(datetime.datetime(2026, 1, 2, 3, 4, 5))
    assert read(written(date)) == date


def test_text_needs_no_type() -> None:
    body = written('a').replace(b'<string>a</string>', b'a')
    assert read(body) == 'a'


def test_deep_answers_are_refused_at_their_depth() -> None:
    """However deep, without a recursion."""
    body = b'<value><array><data>' * 100_000
    with pytest.raises(answers.Unreadable, match='within each other'):
        read(b'<methodResponse><params><param>' + body)


def test_values_are_counted() -> None:
    assert read(written([''] * 999)) == [''] * 999
    with pytest.raises(answers.Unreadable, match='more than 1000 values'):
        read(written([''] * 1000))


def test_names_are_counted_too() -> None:
    with pytest.raises(answers.Unreadable, match='more than 1000 values'):
        read(written({str(number): '' for number in range(600)}))


def test_time_is_looked_at_while_values_are_made() -> None:
    def over() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        answers.read(written([''] * answers.CHECK_EVERY), 10_000, over)


@pytest.mark.parametrize(
    'declared',
    [
        '<!DOCTYPE a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/">',
        '<!DOCTYPE a [<!ENTITY x "y">]>',
    ],
)
def test_declarations_are_refused(declared: str) -> None:
    with pytest.raises(answers.Unreadable, match='declares'):
        read(f'<?xml version="1.0"?>{declared}'.encode() + written('')[22:])


def test_what_a_host_says_of_a_fault_is_told() -> None:
    fault = xmlrpc.client.dumps(xmlrpc.client.Fault(1, "it's \\ down"))
    with pytest.raises(answers.Unreadable, match=r"it's \\ down"):
        read(fault.encode())


def around(text: str) -> bytes:
    """An answer with something where its value is."""
    return (
        f'<methodResponse><params><param>{text}</param></params>'
        '</methodResponse>'
    ).encode()


PAIR = '<member><name>a</name><value>b</value></member>'


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('<value></value>', ''),
        ('<value> a </value>', ' a '),
        ('<value>\n <string> a </string>\n </value>', ' a '),
        (' <value> <int> 5 </int></value> ', 5),
        ('<value><nil> </nil></value>', None),
        (
            f'<value> <struct> {PAIR.replace("><", "> <")} </struct></value>',
            {'a': 'b'},
        ),
        (
            '<value><array> <data> <value>a</value> </data> </array></value>',
            ['a'],
        ),
    ],
)
def test_space_between_elements_says_nothing(text: str, value: Any) -> None:
    assert read(around(text)) == value


@pytest.mark.parametrize(
    'text',
    [
        '',
        '<value/><value/>',
        '<string>a</string>',
        'a<value/>',
        '<value>a<string>b</string></value>',
        '<value><string>b</string>a</value>',
        '<value><string>b</string><string>b</string></value>',
        '<value><string>a<int>5</int></string></value>',
        '<value><nil>a</nil></value>',
        '<value><int/></value>',
        '<value><int>1_0</int></value>',
        '<value><int>a</int></value>',
        '<value><double>1_0</double></value>',
        f'<value><double>{"1" * 65}</double></value>',
        '<value><boolean>2</boolean></value>',
        '<value><other/></value>',
        '<value><array/></value>',
        '<value><array><data/><data/></array></value>',
        '<value><array><data>a</data></array></value>',
        f'<value><struct>{PAIR}{PAIR}</struct></value>',
        f'<value><struct>a{PAIR}</struct></value>',
        f'<value><struct>{PAIR}a</struct></value>',
        *(
            f'<value><struct><member>{member}</member></struct></value>'
            for member in (
                '',
                '<name>a</name>',
                '<value>b</value>',
                '<value>b</value><name>a</name>',
                '<name>a</name><name>b</name>',
                '<name>a</name>b<value>b</value>',
                '<name>a</name><value>b</value><name>c</name>',
                '<name>a</name><value>b</value><value>c</value>',
            )
        ),
    ],
)
def test_what_xapi_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(answers.Unreadable):
        read(around(text))
