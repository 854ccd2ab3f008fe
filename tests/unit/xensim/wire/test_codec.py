"""Values on the wire (xapi#wire)."""

import datetime

import pytest

from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.wire import codec


@pytest.mark.parametrize(
    ('value', 'xml'),
    [
        ('', '<value></value>'),
        ('a<b', '<value>a&lt;b</value>'),
        ('\0', '<value>\ufffd</value>'),
        (5, '<value>5</value>'),
        (True, '<value><boolean>1</boolean></value>'),
        (0.5, '<value><double>0.5</double></value>'),
        ([], '<value><array><data></data></array></value>'),
        (
            {'k': 1},
            '<value><struct><member><name>k</name><value>1</value></member>'
            '</struct></value>',
        ),
        (
            datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc),
            '<value><dateTime.iso8601>20261122T00:00:00Z'
            '</dateTime.iso8601></value>',
        ),
    ],
)
def test_values(value, xml):
    assert codec.xml_value(value) == xml


def test_failure_as_it_was_seen():
    error = failure.Failure('HOST_IS_SLAVE', '10.99.0.1')
    assert codec.xml_failure(error) == (
        b'<?xml version="1.0"?><methodResponse><params><param><value><struct>'
        b'<member><name>Status</name><value>Failure</value></member><member>'
        b'<name>ErrorDescription</name><value><array><data>'
        b'<value>HOST_IS_SLAVE</value><value>10.99.0.1</value></data></array>'
        b'</value></member></struct></value></param></params></methodResponse>'
    )
