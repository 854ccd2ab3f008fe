"""The OpenAPI document is that of the API."""

from typing import Any

import jsonschema
import pytest
import yaml
from lxml import etree

from aggregates_ext.api.edge import wire
from tests.integration import documents
from tests.openapi import answers
from tests.openapi import document
from tests.openapi import xmlforms

BUILT = document.build()


def test_file_is_what_the_routes_and_schemas_make() -> None:
    """If not: ``python -m tests.openapi.document`` writes it anew."""
    assert document.FILE.read_text() == document.text()


def test_every_route_is_in_it() -> None:
    for prefix in document.FACES.values():
        for template, methods in document.ROUTES.items():
            described = BUILT['paths'][f'{prefix}{template}']
            assert {m.lower() for m in methods} == described.keys() - {
                'parameters'
            }


def parts(value: Any, name: str) -> list[Any]:
    """Everything under a name, at any depth."""
    found = []
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            found += [v for key, v in item.items() if key == name]
            rest += item.values()
        elif isinstance(item, list):
            rest += item
    return found


def test_what_it_refers_to_is_there() -> None:
    there = {
        f'#/components/{kind}/{name}'
        for kind in ('parameters', 'responses', 'schemas')
        for name in BUILT['components'][kind]
    }
    # What has no method in it.
    unused = {f'#/components/responses/{face}-405' for face in document.FACES}
    assert set(parts(BUILT, '$ref')) == there - unused


def test_its_schemas_are_schemas() -> None:
    read = yaml.safe_load(document.text())
    found = [
        *parts(read, 'schema'),
        *read['components']['schemas'].values(),
    ]
    for rule in found:
        jsonschema.Draft202012Validator.check_schema(rule)


def test_patterns_are_those_of_every_language() -> None:
    patterns = [p for p in parts(BUILT, 'pattern') if isinstance(p, str)]
    assert patterns
    assert not [p for p in patterns if '\\Z' in p or '(?' in p]


def test_a_key_more_is_no_answer() -> None:
    held = answers.Answers()
    path = '/v2.1/os-aggregates'
    kind = 'application/json'
    held.check(path, 'GET', 200, kind, b'{"aggregates": []}')
    for body in (
        b'{"aggregates": [], "x": 1}',
        b'{"aggregates": [{}]}',
        b'{}',
        b'',
        b'<aggregates/>',
    ):
        with pytest.raises(answers.Unexpected):
            held.check(path, 'GET', 200, kind, body)
    with pytest.raises(answers.Unexpected):
        held.check(path, 'GET', 418, kind, b'{}')
    with pytest.raises(answers.Unexpected):
        held.check(path, 'GET', 200, 'application/xml', b'<aggregates/>')


WRITTEN: dict[str, tuple[str, Any]] = {
    '/os-aggregates/{aggregate_id}/pool': (
        'GET',
        {
            'pool': {
                'aggregate_id': 1,
                'uuid': None,
                'name_label': 'a',
                'master': 'xen1',
                'seen_at': '2026-11-23 02:58:27.750000',
                'state': 'error',
                'drift': [
                    {
                        'code': 'LABEL',
                        'host': None,
                        'message': 'm',
                        'since': None,
                    }
                ],
                'hosts': [
                    {
                        **dict.fromkeys(
                            ('uuid', 'name_label', 'phase', 'address'), 'x'
                        ),
                        'name': 'xen1',
                        'enabled': True,
                        'live': False,
                        'service': 'enabled',
                        'disabled_reason': None,
                        'maintenance': 'off',
                        'xencenter_maintenance': None,
                        'version': None,
                        'guests': 3,
                        'pending_guidances': ['reboot_host'],
                        'needs_reboot': True,
                        'drift': ['LABEL'],
                        'alarm': None,
                        'seen_at': None,
                        'shut_down': [],
                    }
                ],
                'operations': [
                    {
                        **dict.fromkeys(
                            ('uuid', 'kind', 'state', 'message', 'remedy'), 'x'
                        ),
                        **dict.fromkeys(('host', 'step', 'code')),
                        'progress': 50,
                        'since': '2026-11-23 02:58:27',
                    }
                ],
            }
        },
    ),
    '/os-aggregate-pools': (
        'GET',
        {
            'pools': [
                {
                    'aggregate_id': 1,
                    'name': 'a',
                    'availability_zone': None,
                    'uuid': None,
                    'name_label': 'a',
                    'master': None,
                    'seen_at': None,
                    'state': 'active',
                    'drift': [],
                    'hosts': [
                        {
                            'name': 'xen1',
                            'phase': 'member',
                            'enabled': True,
                            'live': None,
                            'service': 'enabled',
                            'maintenance': 'off',
                            'drift': ['LABEL'],
                            'alarm': None,
                        }
                    ],
                    'operations': [],
                    'wrong_since': None,
                    'looked_at': '2026-11-23 02:58:27.750000',
                    'age': 7,
                    'overdue': False,
                    'phases': {
                        'joining': 0,
                        'member': 1,
                        'leaving': 0,
                        'returning': 0,
                    },
                }
            ]
        },
    ),
    '/os-aggregates/{aggregate_id}/action': (
        'POST',
        {
            'check': {
                'host': 'xen1',
                'for': 'remove',
                'blockers': [
                    {
                        **dict.fromkeys(
                            ('code', 'rule', 'found', 'remedy', 'message'), 'x'
                        ),
                        'heals': False,
                    }
                ],
                'warnings': [],
            }
        },
    ),
}


@pytest.mark.parametrize('template', WRITTEN)
def test_xml_is_read_as_what_was_written(template: str) -> None:
    """By the schema that the document has for it."""
    method, body = WRITTEN[template]
    path = f'{document.FACES["legacy"]}{template}'
    described = BUILT['paths'][path][method.lower()]['responses']['200']
    rule = described['content']['application/xml']['schema']
    known = BUILT['components']['schemas']
    written = wire.write(body, wire.XML)
    [root] = body.values()
    assert xmlforms.read(etree.fromstring(written), rule, known) == root
    answers.Answers().check(path, method, 200, 'application/xml', written)


@pytest.mark.parametrize(
    'text',
    [
        '<aggregate/>',
        '<aggregates><host/></aggregates>',
        '<aggregates x="1"/>',
        '<aggregates xmlns="urn:x"/>',
        '<aggregates><aggregate id="1"/></aggregates>',
        '<aggregates><aggregate><id>one</id></aggregate></aggregates>',
        '<aggregates',
    ],
)
def test_other_xml_is_no_answer(text: str) -> None:
    path = '/v1.1/{project_id}/os-aggregates'
    held = answers.Answers()
    kind = 'application/xml'
    held.check(path, 'GET', 200, kind, b'<aggregates/>')
    with pytest.raises(answers.Unexpected):
        held.check(path, 'GET', 200, kind, text.encode())


def test_every_body_of_the_legacy_face_has_xml() -> None:
    for path, methods in BUILT['paths'].items():
        kinds = {'application/json'}
        if path.startswith(document.FACES['legacy']):
            kinds.add('application/xml')
        for content in parts(methods, 'content'):
            assert content.keys() == kinds, path


def test_the_sample_of_all_pools_is_an_answer() -> None:
    held = answers.Answers()
    for path, kind, start in (
        ('/v2.1/os-aggregate-pools', 'application/json', '{"pools"'),
        (
            '/v1.1/{project_id}/os-aggregate-pools',
            'application/xml',
            '<pools>',
        ),
    ):
        sample = documents.block('user.rst', start)
        held.check(path, 'GET', 200, kind, sample.encode())
