"""What each request shows when it succeeds: a root and what is below it."""

from typing import Any

from aggregates_ext.api.forms import schema
from tests.openapi import neighbours
from tests.openapi import responses
from tests.openapi import xmlforms

Schema = dict[str, Any]
ONE = '/os-aggregates/{aggregate_id}'
ACTION = f'{ONE}/action'
_HYPERVISOR = '/os-hypervisors/{hypervisor_id}'
_PATTERN = '/os-hypervisors/{pattern}'
# Instead of a root that JSON does not have.
NO_ROOT = ''
# Lists that come in pages.
_PAGES = {'aggregates', 'operations', 'pools'}
_MODERN_PAGES = {
    *_PAGES,
    'hypervisors',
    'instanceActions',
    'migrations',
    'servers',
}
# Those of one list have another name, as in Nova.
_LINKS = {'instanceActions': 'links'}
# What is accepted, and told of nowhere in the answer.
ACCEPTED = {
    ('POST', '/servers/{server_id}/action'),
    ('DELETE', '/servers/{server_id}/migrations/{migration_id}'),
}


def ref(name: str) -> Schema:
    return {'$ref': f'#/components/schemas/{name}'}


def shown(face: str, template: str, method: str) -> dict[str, Schema] | None:
    """The schemas by root, of which one is shown.

    :returns: {}: nothing is shown; None: the request never succeeds. What
        has no root is below ``NO_ROOT``.
    """
    aggregate = ref(f'{face}-aggregate')
    operation = ref(f'{face}-operation')
    brief = responses.items(neighbours.hypervisor(face, detailed=False))
    alone = neighbours.hypervisor(face, detailed=True)
    zones = {'availabilityZoneInfo': responses.items(neighbours.zone(face))}
    known: dict[tuple[str, str], dict[str, Schema] | None] = {
        ('GET', '/extensions'): {
            'extensions': responses.items(ref('extension'))
        },
        ('GET', '/extensions/{alias}'): {'extension': ref('extension')},
        ('GET', '/os-aggregates'): {'aggregates': responses.items(aggregate)},
        ('POST', '/os-aggregates'): {'aggregate': ref(f'{face}-created')},
        ('GET', ONE): {'aggregate': aggregate},
        ('PUT', ONE): {'aggregate': aggregate},
        ('DELETE', ONE): {},
        ('POST', f'{ONE}/images'): None,
        ('GET', '/os-aggregate-pools'): {
            'pools': responses.items(ref(f'{face}-listed'))
        },
        ('PUT', f'{ONE}/hosts'): {
            'membership': ref('membership'),
            'plan': ref('list-plan'),
        },
        ('GET', f'{ONE}/pool'): {'pool': ref(f'{face}-pool')},
        ('GET', f'{ONE}/allowed_actions'): {
            'allowed_actions': ref('allowed_actions')
        },
        ('GET', f'{ONE}/operations'): {
            'operations': responses.items(operation)
        },
        ('GET', '/os-aggregates/operations/{uuid}'): {'operation': operation},
        ('POST', ACTION): {
            'aggregate': aggregate,
            'check': ref('check'),
            'operation': operation,
            'plan': ref('plan'),
            NO_ROOT: neighbours.ACTED_HOST,
        },
        ('GET', '/os-hosts'): {'hosts': responses.items(neighbours.HOST)},
        ('GET', '/os-hosts/{host_name}'): {
            'host': responses.items(
                responses.obj(resource=neighbours.RESOURCE)
            )
        },
        ('PUT', '/os-hosts/{host_name}'): {NO_ROOT: neighbours.CHANGED_HOST},
        **{
            ('GET', f'/os-hosts/{{host_name}}/{action}'): {
                NO_ROOT: neighbours.POWERED_HOST
            }
            for action in schema.POWER_ACTIONS
        },
        ('PUT', '/os-services/{service_id}'): {
            'service': neighbours.changed_service(face)
        },
        ('GET', '/os-services'): {
            'services': responses.items(neighbours.service(face))
        },
        ('GET', '/os-hypervisors'): {'hypervisors': brief},
        ('GET', '/os-hypervisors/detail'): {
            'hypervisors': responses.items(alone)
        },
        ('GET', '/os-hypervisors/statistics'): {
            'hypervisor_statistics': neighbours.STATISTICS
        },
        ('GET', _HYPERVISOR): {'hypervisor': alone},
        ('GET', f'{_HYPERVISOR}/uptime'): None,
        ('GET', f'{_PATTERN}/search'): {'hypervisors': brief},
        ('GET', f'{_PATTERN}/servers'): {
            'hypervisors': responses.items(
                neighbours.hypervisor(face, detailed=False, servers=True)
            )
        },
        **neighbours.absent(),
        **neighbours.servers(face),
        ('GET', '/os-availability-zone'): zones,
        ('GET', '/os-availability-zone/detail'): zones,
    }
    return known[method, template]


def content(face: str, roots: dict[str, Schema]) -> dict[str, Any]:
    """The same by media type."""
    described = {'application/json': _one(json(face, roots))}
    if face == 'legacy':
        described['application/xml'] = _one(xml(roots))
    return described


def _one(rules: list[Schema]) -> dict[str, Any]:
    [first, *others] = rules
    return {'schema': {'oneOf': rules} if others else first}


def json(face: str, roots: dict[str, Schema]) -> list[Schema]:
    pages = _MODERN_PAGES if face == 'modern' else _PAGES
    rules = []
    for root, rule in roots.items():
        if root == NO_ROOT:
            rules.append(rule)
            continue
        links = _LINKS.get(root, f'{root}_links')
        fields = {root: rule}
        if root in pages:
            fields[links] = responses.LINKS
        rules.append(responses.obj((links,), **fields))
    return rules


def xml(roots: dict[str, Schema]) -> list[Schema]:
    forms = xmlforms.special()
    rules = []
    for root, rule in roots.items():
        if root in forms:
            rules.append(forms[root])
        elif '$ref' in rule:
            # Which has its name.
            rules.append(rule)
        elif 'items' not in rule:
            rules.append(xmlforms.element(root, rule))
        elif root == 'hypervisors':
            item = xmlforms.attributed('hypervisor', rule['items'])
            rules.append(xmlforms.listed(root, item))
        else:
            rules.append(xmlforms.listed(root, rule['items']))
    return rules
