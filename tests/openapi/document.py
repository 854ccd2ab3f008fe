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
from aggregates_ext.api.edge import microversions
from aggregates_ext.api.forms import moveforms
from aggregates_ext.api.forms import schema
from aggregates_ext.api.resources import allowed
from aggregates_ext.api.resources import hosts
from aggregates_ext.api.resources import hypervisors
from aggregates_ext.api.resources import overview
from aggregates_ext.api.resources import services
from aggregates_ext.api.servers import servers
from tests.openapi import responses
from tests.openapi import successes
from tests.openapi import xmlforms

FILE = pathlib.Path(__file__).parents[2] / 'doc/source/openapi.yaml'
# Face -> the prefix of its paths.
FACES = {'modern': '/v2.1', 'legacy': '/v1.1/{project_id}'}
# Those of a stand-alone API.
ROUTES = app.routes(app.catalogue(embedded=False), embedded=False)
_ONE = successes.ONE
_HOSTS = f'{_ONE}/hosts'
_ACTION = successes.ACTION
_UPTIME = '/os-hypervisors/{hypervisor_id}/uptime'
_HOST = '/os-hosts/{host_name}'
_SERVICE = '/os-services/{service_id}'
_BODIES = {
    ('POST', '/os-aggregates'): (schema.CREATE,),
    ('PUT', _ONE): (schema.UPDATE,),
    ('PUT', _HOSTS): (schema.SET_HOSTS,),
    ('PUT', _HOST): (schema.HOST,),
    ('PUT', _SERVICE): (schema.SERVICE_ACTION,),
    ('POST', '/servers/{server_id}/action'): (moveforms.ANY_MIGRATE_LIVE,),
    (
        'POST',
        '/servers/{server_id}/migrations/{migration_id}/action',
    ): (moveforms.FORCE_COMPLETE,),
}
# Those of all microversions together.
_MODERN_BODIES = {
    ('PUT', _SERVICE): (schema.SERVICE_ACTION_FORCED, schema.SERVICE),
}
# What a body without a root is called in XML.
_ROOTS = {_HOST: 'updates', _SERVICE: 'service'}
_QUERIES = {
    '/os-aggregates': schema.INDEX_QUERY,
    f'{_ONE}/operations': schema.OPERATIONS_QUERY,
    f'{_ONE}/allowed_actions': allowed.QUERY,
    '/os-aggregate-pools': overview.QUERY,
    '/os-hosts': hosts.QUERY,
    '/os-services': services.QUERY,
}
# Those of the newest microversion; the legacy face has none.
_MODERN_QUERIES = {
    '/os-hypervisors': hypervisors.QUERY,
    '/os-hypervisors/detail': hypervisors.QUERY,
    '/os-hypervisors/{hypervisor_id}': hypervisors.SHOW_QUERY,
    '/os-migrations': moveforms.MIGRATIONS_QUERY,
    '/servers/{server_id}/os-instance-actions': moveforms.ACTIONS_QUERY,
    '/servers': servers.QUERY,
    '/servers/detail': servers.QUERY,
}
# What a schema of another name is in XML.
_ELEMENTS = {'created': 'aggregate', 'listed': 'pool'}
# Where something that is asked or answered begins or ends.
_MICROVERSIONS = (
    '2.1',
    '2.3',
    '2.9',
    '2.11',
    '2.16',
    '2.19',
    '2.23',
    '2.24',
    '2.25',
    '2.26',
    '2.28',
    '2.30',
    '2.33',
    '2.41',
    '2.43',
    '2.47',
    '2.53',
    '2.59',
    '2.63',
    '2.65',
    '2.66',
    '2.68',
    '2.71',
    '2.73',
    '2.75',
    '2.80',
    '2.88',
    '2.90',
    '2.96',
    '2.100',
    '2.102',
)
_DESCRIPTION = (
    'Host aggregates that are resource pools: the extensions os-aggregates '
    'and os-aggregate-pools, and what a stand-alone API tells of its hosts.'
    '\n\n'
    'The legacy face has XML too. An answer is in XML where Accept prefers it '
    'or the path ends in .xml. A body in XML may have its plain fields as '
    'attributes or as elements. What a schema cannot tell: null is an empty '
    'element; a key that can be the name of no element is <meta key="KEY">; '
    'where more follow, the last element of a list is an atom:link to the '
    'next page.'
)
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
            'description': _DESCRIPTION,
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
            'parameters': {'microversion': _microversion()},
            'responses': dict(_faults()),
            'schemas': dict(_schemas()),
        },
    }


def _schemas() -> Iterator[tuple[str, Any]]:
    for face in FACES:
        for name, rule in (
            ('aggregate', responses.aggregate(face)),
            ('created', responses.created(face)),
            ('operation', responses.operation(face)),
            ('pool', responses.pool(face)),
            ('listed', responses.listed(face)),
        ):
            root = _ELEMENTS.get(name, name)
            told = xmlforms.element(root, rule) if face == 'legacy' else rule
            yield f'{face}-{name}', told
    yield 'check', xmlforms.element('check', responses.CHECK)
    yield 'plan', xmlforms.element('plan', responses.PLAN)
    yield 'list-plan', xmlforms.element('plan', responses.LIST_PLAN)
    yield 'membership', xmlforms.element('membership', responses.MEMBERSHIP)
    yield (
        'allowed_actions',
        xmlforms.element('allowed_actions', responses.ALLOWED),
    )
    yield 'extension', responses.EXTENSION


def _faults() -> Iterator[tuple[str, Any]]:
    for face in FACES:
        for status, name in responses.fault_names().items():
            content = {'application/json': {'schema': responses.fault(status)}}
            if face == 'legacy':
                content['application/xml'] = {'schema': xmlforms.fault(status)}
            described = {'description': name, 'content': content}
            yield f'{face}-{status}', described


def _microversion() -> dict[str, Any]:
    versions = (*_MICROVERSIONS, str(microversions.MAX), 'latest')
    return _parameter(
        'header',
        microversions.HEADER,
        {'type': 'string', 'enum': [f'compute {v}' for v in versions]},
    )


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
        'host_name': {'type': 'string', 'pattern': '^[^/]+$'},
        # A UUID from 2.53 on.
        'hypervisor_id': {'type': 'string', 'pattern': '^[0-9a-f-]+$'},
        # The UUID of one from 2.53 on, before that an action.
        'service_id': {'type': 'string', 'pattern': '^[0-9a-z-]+$'},
        'pattern': {'type': 'string', 'pattern': '^[^/]+$'},
        'server_id': {'type': 'string', 'pattern': '^[^/]+$'},
        'request_id': {'type': 'string', 'pattern': '^[^/]+$'},
        'migration_id': {'type': 'string', 'pattern': '^[0-9]+$'},
        'tenant_id': {'type': 'string', 'pattern': '^[0-9a-f]+$'},
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
    if route.takes in app.BODIES:
        described['requestBody'] = {
            'required': True,
            'content': _body(face, template, method),
        }
    return described


def _parameters(face: str, template: str, method: str) -> Iterator[Any]:
    queries = {**_QUERIES, **(_MODERN_QUERIES if face == 'modern' else {})}
    if method == 'GET' and template in queries:
        for name, rule in queries[template].schema['properties'].items():
            yield _parameter('query', name, portable(rule))
    if face == 'modern':
        yield {'$ref': '#/components/parameters/microversion'}
    if template in (_ONE, _ACTION, _HOSTS):
        tag = {'type': 'string', 'pattern': '^("[0-9a-z-]+"|\\*)$'}
        yield _parameter('header', 'If-Match', tag)
        yield _parameter('header', 'If-None-Match', tag)


def _parameter(where: str, name: str, rule: Any) -> dict[str, Any]:
    return {'name': name, 'in': where, 'schema': rule}


def _body(face: str, template: str, method: str) -> dict[str, Any]:
    """The content of a body, by media type."""
    if template == _ACTION:
        # A new action has its rules under its own name.
        bodies = [getattr(schema, name.upper()) for name in app.ACTIONS]
    else:
        known = _BODIES | (_MODERN_BODIES if face == 'modern' else {})
        bodies = [*known[method, template]]
    rules = [_rules(face, body) for body in bodies]
    content = {'application/json': {'schema': _one_of(rules)}}
    if face == 'legacy':
        root = _ROOTS.get(template)
        content['application/xml'] = {
            'schema': _one_of([_element(rule, root) for rule in rules])
        }
    return content


def _rules(face: str, rules: schema.Rules) -> Any:
    """The schema of a body on a face."""
    found = rules.strict if face == 'modern' else rules.relaxed
    return portable(found.schema)


def _element(rule: Any, root: str | None) -> Any:
    """The schema of a body as that of its one element.

    :param root: its name, where JSON has none.
    """
    if root is not None:
        return xmlforms.element(root, rule)
    [(name, fields)] = rule['properties'].items()
    return xmlforms.element(name, fields)


def _one_of(rules: list[Any]) -> Any:
    return {'oneOf': rules} if len(rules) > 1 else rules[0]


def _responses(
    face: str, template: str, method: str
) -> Iterator[tuple[str, Any]]:
    shown = successes.shown(face, template, method)
    if shown is not None:
        described: dict[str, Any] = {'description': 'Done, or accepted.'}
        if shown:
            described['content'] = successes.content(face, shown)
        accepted = (method, template) in successes.ACCEPTED
        yield '202' if accepted else '200', described
    if (method, template) == ('GET', _ONE):
        yield '304', {'description': 'It is as If-None-Match says.'}
    for status in _statuses(template, method):
        fault = {'$ref': f'#/components/responses/{face}-{status}'}
        yield str(status), fault


def _statuses(template: str, method: str) -> list[int]:
    found = {*_ALWAYS}
    if ROUTES[template][method].takes in app.BODIES:
        found |= {*_OF_BODIES}
    if ROUTES[template][method].takes == 'fields':
        found.add(409)
    elif method != 'GET' or template == _ONE:
        found |= {*_OF_CHANGES}
    elif ROUTES[template][method].changes:
        found.add(409)
    if template == _UPTIME or (method, template) == ('PUT', _HOST):
        found.add(501)
    return sorted(found)


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
