"""JSON and XML, to plain data and back."""

import io
import json
from typing import Any

import pytest
import webob
from hypothesis import given
from hypothesis import strategies
from lxml import etree
from oslo_middleware import sizelimit

from aggregates_ext import exception
from aggregates_ext.api.edge import oldxml
from aggregates_ext.api.edge import wire


def read(body: bytes, content_type: str, xml: bool = True) -> Any:
    request = webob.Request.blank('/', method='POST', body=body)
    request.headers['Content-Type'] = content_type
    return wire.read(request, xml)


@pytest.mark.parametrize(
    ('accept', 'suffix', 'expected'),
    [
        (None, None, 'application/json'),
        ('*/*', None, 'application/json'),
        ('application/*', None, 'application/json'),
        ('text/html', None, 'application/json'),
        ('text/xml', None, 'application/json'),
        ('application/xml', None, 'application/xml'),
        ('APPLICATION/XML', None, 'application/xml'),
        ('application/xml, application/json', None, 'application/json'),
        ('application/json;q=0.1, application/xml', None, 'application/xml'),
        ('*/*, application/xml', None, 'application/xml'),
        ('*/*;q=0.5, application/xml;q=0.4', None, 'application/json'),
        ('application/xml;q=0', None, 'application/json'),
        ('application/xml;version=1.1', None, 'application/xml'),
        (
            'application/vnd.openstack.compute+xml',
            None,
            'application/vnd.openstack.compute+xml',
        ),
        (',;=nonsense', None, 'application/json'),
        ('application/xml;q=many', None, 'application/json'),
        ('application/json', 'xml', 'application/xml'),
        ('application/xml', 'json', 'application/json'),
    ],
)
def test_type_of_the_answer(
    accept: str | None, suffix: str | None, expected: str
) -> None:
    assert wire.choose(accept, suffix).content_type == expected


@pytest.mark.parametrize(
    'content_type',
    [
        '',
        'text/plain',
        'application/json',
        'Application/JSON; charset=utf-8',
        'application/vnd.openstack.compute+json',
    ],
)
def test_json_under_its_names(content_type: str) -> None:
    assert read(b'{"a": ["b", 1, null]}', content_type) == {
        'a': ['b', 1, None]
    }


def test_byte_order_mark_is_skipped() -> None:
    assert read('\ufeff{"a": "é"}'.encode(), 'application/json') == {'a': 'é'}


@pytest.mark.parametrize(
    ('body', 'expected'),
    [
        ('<a b="c"/>', {'a': {'b': 'c'}}),
        ('<a><b>c</b></a>', {'a': {'b': 'c'}}),
        ('<a>\n <b>c</b>\n</a>', {'a': {'b': 'c'}}),
        ('<a> </a>', {'a': ' '}),
        ('<a/>', {'a': {}}),
        ('<a x="y">text</a>', {'a': 'text'}),
        ('<a><![CDATA[<b>]]>&amp;</a>', {'a': '<b>&'}),
        ('<!-- c --><?pi?><a b="c"/>', {'a': {'b': 'c'}}),
        ('<p:a xmlns:p="u" p:x="1" b="c"/>', {'a': {'b': 'c'}}),
        ('<a><meta key="k">v</meta></a>', {'a': {'k': 'v'}}),
        ('<a><meta>v</meta></a>', {'a': {'meta': 'v'}}),
        ('<metadata><k/></metadata>', {'metadata': {'k': None}}),
        # Keys there are the client's, whatever they are called.
        (
            '<metadata><hard>true</hard><shut_down>x</shut_down></metadata>',
            {'metadata': {'hard': 'true', 'shut_down': 'x'}},
        ),
        ('<metadata force="true"/>', {'metadata': {'force': 'true'}}),
        (
            '<a><accept_data_loss><sr>x</sr><sr>y</sr></accept_data_loss></a>',
            {'a': {'accept_data_loss': ['x', 'y']}},
        ),
    ],
)
def test_xml_is_plain_data(body: str, expected: Any) -> None:
    assert read(body.encode(), 'application/xml') == expected
    assert read(body.encode('utf-16'), 'text/xml') == expected


def test_xml_is_not_read_where_it_is_not_understood() -> None:
    with pytest.raises(exception.UnsupportedMediaType, match='application'):
        read(b'<a/>', 'application/xml', xml=False)


def test_limit_of_the_filter_sizelimit_is_ours() -> None:
    body = io.BytesIO(b' ' * 100)
    request = webob.Request.blank('/', method='POST')
    request.environ['wsgi.input_terminated'] = True
    request.content_length = None
    request.body_file = sizelimit.LimitingReader(body, 50)
    with pytest.raises(exception.TooLarge):
        wire.read(request, xml=False)


@pytest.mark.parametrize(
    ('length', 'left'), [(wire.MAX_DROPPED, 0), (2**21, 2**21)]
)
def test_a_body_that_is_refused_is_read_unless_it_is_huge(
    length: int, left: int
) -> None:
    """Or its connection would be reset, and the refusal lost with it."""
    body = io.BytesIO(b' ' * length)
    request = webob.Request.blank('/', method='POST')
    request.body_file = body
    request.content_length = length
    with pytest.raises(exception.TooLarge):
        wire.read(request, xml=False)
    assert len(body.read()) == left


def test_body_that_ends_too_early() -> None:
    request = webob.Request.blank('/', method='POST', body=b'{}')
    request.content_length = 5
    request.is_body_seekable = False
    with pytest.raises(exception.Malformed, match='ended too early'):
        wire.read(request, xml=False)


@given(strategies.binary(max_size=200))
def test_any_bytes_are_data_or_malformed(body: bytes) -> None:
    for content_type in ('application/json', 'application/xml'):
        assert_data_or_malformed(body, content_type)


@given(strategies.text(max_size=40))
def test_any_xml_like_text_is_data_or_malformed(text: str) -> None:
    body = f'<a b="{text}">{text}</a>'.encode('utf-8', 'surrogatepass')
    assert_data_or_malformed(body, 'application/xml')


def assert_data_or_malformed(body: bytes, content_type: str) -> None:
    """What is read can be written as JSON again; all else is malformed."""
    try:
        found = read(body, content_type)
    except exception.Malformed:
        return
    assert json.dumps(found)


@given(
    strategies.dictionaries(
        strategies.text(min_size=1, max_size=20), strategies.text(max_size=20)
    )
)
def test_any_metadata_makes_well_formed_xml(metadata: dict[str, str]) -> None:
    body = {'aggregate': {'metadata': metadata, 'hosts': ['é', '<&>']}}
    written = wire.write(body, wire.XML)
    root = etree.fromstring(written)
    assert len(root.find('metadata')) == len(metadata)
    assert json.loads(wire.write(body, wire.JSON)) == body


@given(
    strategies.dictionaries(
        strategies.text('ab_ é<&"\'', min_size=1),
        strategies.text('xy <&>"é', min_size=1),
    )
)
def test_metadata_survives_a_round_trip(metadata: dict[str, str]) -> None:
    written = wire.write({'metadata': metadata}, wire.XML)
    expected = {'metadata': metadata or {}}
    assert read(written, 'application/xml') == expected


def test_scalars_and_lists_in_xml() -> None:
    body = {
        'pool': {
            'drift': ['one', 'two'],
            'live': True,
            'master': None,
            'others': [{'id': 1}],
        }
    }
    assert wire.write(body, wire.XML) == (
        b'<pool><drift><difference>one</difference><difference>two'
        b'</difference></drift><live>true</live><master/><others><item>'
        b'<id>1</id></item></others></pool>'
    )


def test_empty_collections_in_xml() -> None:
    assert wire.write({'aggregates': []}, wire.XML) == b'<aggregates/>'


def test_json_is_written_as_ever() -> None:
    assert wire.write({'a': {'b': 'é', 'c': 1}}, wire.JSON) == (
        b'{"a": {"b": "\\u00e9", "c": 1}}'
    )


def test_fault_carries_any_text() -> None:
    text = 'a\x00b\ud800 <é>'
    root = etree.fromstring(wire.write_fault('x', 400, text, wire.XML))
    assert root.get('code') == '400'
    assert root[0].text == 'a\ufffdb\ufffd <é>'
    written = wire.write_fault('x', 400, text, wire.JSON)
    assert json.loads(written)['x']['message'] == text


@pytest.mark.parametrize('count', [0, 1, 3])
@pytest.mark.parametrize('name', ['hosts', 'services', 'hypervisors'])
@pytest.mark.parametrize('media', [wire.JSON, wire.XML])
def test_a_list_may_come_piece_by_piece(
    media: wire.Media, name: str, count: int
) -> None:
    items = [{'id': n, 'a': 'é<', 'none': None} for n in range(count)]
    beside: dict[str, Any] = {f'{name}_links': [{'rel': 'next', 'href': 'x'}]}
    whole = wire.write({name: items, **beside}, media)
    assert wire.write({name: iter(items), **beside}, media) == whole
    if media is wire.JSON:
        assert whole == json.dumps({name: items, **beside}).encode()
    elif not items:
        assert whole == f'<{name}/>'.encode()
    else:
        item = name.removesuffix('s')
        one = ''.join(f'<{item} id="{n}" a="é&lt;"/>' for n in range(count))
        assert whole.decode() == f'<{name}>{one}</{name}>'


def test_zones_without_hosts_are_written_as_ever() -> None:
    zones: list[dict[str, Any]] = [
        {'zoneName': 'a', 'zoneState': {'available': True}, 'hosts': hosts}
        for hosts in (None, {})
    ]
    namespace = f'xmlns:os-availability-zone="{oldxml.ZONES_NAMESPACE}"'
    for some in ([], zones):
        written = wire.write({'availabilityZoneInfo': some}, wire.XML).decode()
        inside = ''.join(
            '<availabilityZone name="a"><zoneState available="true"/>'
            f'{hosts}<metadata/></availabilityZone>'
            for hosts in ('', '<hosts/>')[: len(some)]
        )
        end = f'>{inside}</availabilityZones>' if some else '/>'
        assert written == f'<availabilityZones {namespace}{end}'
