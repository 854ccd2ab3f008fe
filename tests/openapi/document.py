"""The API in OpenAPI 3.1, made of the routes and schemas that serve it.

``python -m tests.openapi.document`` writes ``doc/source/openapi.yaml``; a
test compares the two, so that neither drifts.
"""

import copy
import pathlib
from collections.abc import Iterator
from typing import Any

import yaml

from aggregates_ext.api import app
from aggregates_ext.api import microversions
from aggregates_ext.api import schema
from tests.openapi import responses

FILE = pathlib.Path(__file__).parents[2] / 'doc/source/openapi.yaml'
# Face -> the prefix of its paths.
FACES = {'modern': '/v2.1', 'legacy': '/v1.1/{project_id}'}
# Those of both extensions, and discovery.
ROUTES = app.routes(app.catalogue(embedded=True), embedded=True)
_ONE = '/os-aggregates/{aggregate_id}'
_ACTION = f'{_ONE}/action'
_BODIES = {
    ('POST', '/os-aggregates'): schema.CREATE,
    ('PUT', _ONE): schema.UPDATE,
}
_QUERIES = {
    '/os-aggregates': schema.INDEX_QUERY,
    f'{_ONE}/operations': schema.OPERATIONS_QUERY,
}
# Statuses that any request may have.
_ALWAYS = (400, 401, 403, 404, 406, 500, 503)
_OF_BODIES = (413, 415)
_OF_CHANGES = (409, 412)


def build() -> dict[str, Any]:
    """The whole document."""
    return {
        'openapi': '3.1.0',
        'info': {
            'title': 'aggregates_ext',
            'version': '1',
            'license': {'name': 'Apache-2.0', 'identifier': 'Apache-2.0'},
            'description': 'Host aggregates that are resource pools: '
            'extensions os-aggregates and os-aggregate-pools. The legacy '
            'face has XML too, both ways; what follows is its JSON.',
        },
        'security': [{'token': []}],
        'paths': {
            f'{prefix}{template}': dict(_path(face, template))
            for face, prefix in FACES.items()
            for template in ROUTES
        },
        'components': {
            'securitySchemes': {
                'token': {
                    'type': 'apiKey',
                    'in': 'header',
                    'name': 'X-Auth-Token',
                }
            },
            'schemas': dict(_schemas()),
        },
    }


def _schemas() -> Iterator[tuple[str, Any]]:
    for face in FACES:
        yield f'{face}-aggregate', responses.aggregate(face)
        yield f'{face}-created', responses.created(face)
        yield f'{face}-operation', responses.operation(face)
        yield f'{face}-pool', responses.pool(face)
    yield 'check', responses.CHECK
    yield 'extension', responses.EXTENSION
    for status in responses.fault_names():
        yield f'fault-{status}', responses.fault(status)


def _path(face: str, template: str) -> Iterator[tuple[str, Any]]:
    parameters = list(_path_parameters(face, template))
    yield 'parameters', parameters
    for method in ROUTES[template]:
        yield method.lower(), _operation(face, template, method)


def _path_parameters(face: str, template: str) -> Iterator[Any]:
    known = {
        'project_id': {'type': 'string', 'pattern': '^[0-9a-f]+$'},
        'aggregate_id': {
            'type': 'integer',
            'minimum': 1,
            'maximum': 2**31 - 1,
        },
        'uuid': responses.UUID,
        'alias': {'type': 'string', 'pattern': '^[A-Za-z-]+$'},
    }
    path = f'{FACES[face]}{template}'
    for name, rule in known.items():
        if f'{{{name}}}' in path:
            yield {
                'name': name,
                'in': 'path',
                'required': True,
                'schema': rule,
            }


def _operation(face: str, template: str, method: str) -> dict[str, Any]:
    route = ROUTES[template][method]
    summary = (route.handler.__doc__ or '').partition('\n')[0]
    described: dict[str, Any] = {
        'operationId': f'{face}:{method}:{template}',
        'summary': summary,
        'parameters': list(_parameters(face, template, method)),
        'responses': dict(_responses(face, template, method)),
    }
    if route.takes == 'body':
        described['requestBody'] = {
            'required': True,
            'content': _json(_body(template, method)),
        }
    return described


def _parameters(face: str, template: str, method: str) -> Iterator[Any]:
    if template in _QUERIES:
        for name, rule in _QUERIES[template].schema['properties'].items():
            yield _parameter('query', name, portable(rule))
    if face == 'modern':
        newest = f'{microversions.MAX}'
        yield _parameter(
            'header',
            microversions.HEADER,
            {
                'type': 'string',
                'enum': [f'compute {v}' for v in ('2.1', '2.41', newest)]
                + ['compute latest'],
            },
        )
    if template in (_ONE, _ACTION):
        tag = {'type': 'string', 'pattern': '^("[0-9a-z-]+"|\\*)$'}
        yield _parameter('header', 'If-Match', tag)
        yield _parameter('header', 'If-None-Match', tag)


def _parameter(where: str, name: str, rule: Any) -> dict[str, Any]:
    return {'name': name, 'in': where, 'schema': rule}


def _body(template: str, method: str) -> Any:
    if template == _ACTION:
        # A new action has its schema under its own name.
        return {
            'oneOf': [
                portable(getattr(schema, name.upper()).schema)
                for name in app.ACTIONS
            ]
        }
    return portable(_BODIES[method, template].schema)


def _responses(
    face: str, template: str, method: str
) -> Iterator[tuple[str, Any]]:
    shown = _shown(face, template, method)
    if shown is not None:
        described: dict[str, Any] = {'description': 'Done, or accepted.'}
        if shown:
            described['content'] = _json(shown)
        yield '200', described
    if (method, template) == ('GET', _ONE):
        yield '304', {'description': 'It is as If-None-Match says.'}
    for status in _statuses(template, method):
        name = responses.fault_names()[status]
        yield (
            str(status),
            {'description': name, 'content': _json(_ref(f'fault-{status}'))},
        )


def _statuses(template: str, method: str) -> list[int]:
    found = {*_ALWAYS}
    if ROUTES[template][method].takes == 'body':
        found |= {*_OF_BODIES}
    if method != 'GET' or template == _ONE:
        found |= {*_OF_CHANGES}
    return sorted(found)


def _shown(face: str, template: str, method: str) -> Any:
    """The schema of a success; {}: nothing is shown, None: there is none."""
    aggregate = _ref(f'{face}-aggregate')
    operation = _ref(f'{face}-operation')
    known: dict[tuple[str, str], Any] = {
        ('GET', '/extensions'): responses.obj(
            extensions=responses.items(_ref('extension'))
        ),
        ('GET', '/extensions/{alias}'): responses.obj(
            extension=_ref('extension')
        ),
        ('GET', '/os-aggregates'): responses.obj(
            ('aggregates_links',),
            aggregates=responses.items(aggregate),
            aggregates_links=responses.LINKS,
        ),
        ('POST', '/os-aggregates'): responses.obj(
            aggregate=_ref(f'{face}-created')
        ),
        ('GET', _ONE): responses.obj(aggregate=aggregate),
        ('PUT', _ONE): responses.obj(aggregate=aggregate),
        ('DELETE', _ONE): {},
        ('POST', f'{_ONE}/images'): None,
        ('GET', f'{_ONE}/pool'): responses.obj(pool=_ref(f'{face}-pool')),
        ('GET', f'{_ONE}/operations'): responses.obj(
            ('operations_links',),
            operations=responses.items(operation),
            operations_links=responses.LINKS,
        ),
        ('GET', '/os-aggregates/operations/{uuid}'): responses.obj(
            operation=operation
        ),
        ('POST', _ACTION): {
            'oneOf': [
                responses.obj(aggregate=aggregate),
                responses.obj(check=_ref('check')),
                responses.obj(operation=operation),
            ]
        },
    }
    return known[method, template]


def _ref(name: str) -> dict[str, str]:
    return {'$ref': f'#/components/schemas/{name}'}


def _json(rule: Any) -> dict[str, Any]:
    return {'application/json': {'schema': rule}}


def portable(rule: Any) -> Any:
    r"""A schema in the regular expressions that all languages have.

    Python's ``\Z`` is ``$`` elsewhere.
    """
    found = copy.deepcopy(rule)
    rest = [found]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            if isinstance(item.get('pattern'), str):
                item['pattern'] = item['pattern'].replace(r'\Z', '$')
            rest += item.values()
        elif isinstance(item, list):
            rest += item
    return found


class _Dumper(yaml.SafeDumper):
    """Writes a value wherever it occurs, and refers to none."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text() -> str:
    """The document as its file has it."""
    return yaml.dump(build(), Dumper=_Dumper, sort_keys=False, width=79)


if __name__ == '__main__':
    FILE.write_text(text())
