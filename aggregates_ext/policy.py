"""The rules of who may do what, under Nova's names, and their enforcer.

Names, defaults and base rules are those of Nova's own
``os_compute_api:os-aggregates`` policies, so that an operator's
``policy.yaml`` keeps working; the ``os-aggregate-pools`` ones are ours.
"""

from collections.abc import Iterable

from oslo_config import cfg
from oslo_policy import policy

AGGREGATES = 'os_compute_api:os-aggregates:{}'
POOLS = 'os_compute_api:os-aggregate-pools:{}'

INDEX = AGGREGATES.format('index')
CREATE = AGGREGATES.format('create')
SHOW = AGGREGATES.format('show')
UPDATE = AGGREGATES.format('update')
DELETE = AGGREGATES.format('delete')
SET_METADATA = AGGREGATES.format('set_metadata')
ADD_HOST = AGGREGATES.format('add_host')
REMOVE_HOST = AGGREGATES.format('remove_host')
IMAGES = 'compute:aggregates:images'

POOL = POOLS.format('pool')
OPERATIONS = POOLS.format('operations')
CHECK_HOST = POOLS.format('check_host')
CANCEL_OPERATION = POOLS.format('cancel_operation')
RETRY_OPERATION = POOLS.format('retry_operation')
RESET = POOLS.format('reset')
ADOPT = POOLS.format('adopt')
REAPPLY = POOLS.format('reapply')
FORCE_REMOVE_HOST = POOLS.format('force_remove_host')
SET_MASTER = POOLS.format('set_master')

ADMIN = 'rule:context_is_admin'

_BASE = (
    ('context_is_admin', 'role:admin', 'Who is an administrator.'),
    (
        'admin_or_owner',
        'is_admin:True or project_id:%(project_id)s',
        "Nova's base rule of the time before scopes.",
    ),
    ('admin_api', 'is_admin:True', "Nova's base rule for administrators."),
)

_COLLECTION = '/os-aggregates'
_ITEM = '/os-aggregates/{aggregate_id}'
_ACTION = '/os-aggregates/{aggregate_id}/action'

_RULES = (
    (INDEX, 'GET', _COLLECTION, 'List all aggregates.'),
    (CREATE, 'POST', _COLLECTION, 'Create an aggregate.'),
    (SHOW, 'GET', _ITEM, 'Show an aggregate.'),
    (UPDATE, 'PUT', _ITEM, 'Change the name or zone of an aggregate.'),
    (DELETE, 'DELETE', _ITEM, 'Delete an aggregate.'),
    (SET_METADATA, 'POST', _ACTION, 'Set the metadata of an aggregate.'),
    (ADD_HOST, 'POST', _ACTION, 'Add a host: it joins the pool.'),
    (REMOVE_HOST, 'POST', _ACTION, 'Remove a host: the pool ejects it.'),
    (
        IMAGES,
        'POST',
        '/os-aggregates/{aggregate_id}/images',
        "Ask for Nova's image cache, which pools do not have.",
    ),
    (POOL, 'GET', f'{_ITEM}/pool', 'Show the pool as last seen.'),
    (
        OPERATIONS,
        'GET',
        f'{_ITEM}/operations',
        'Read the operations of an aggregate.',
    ),
    (CHECK_HOST, 'POST', _ACTION, 'Check a host without changing it.'),
    (CANCEL_OPERATION, 'POST', _ACTION, 'Cancel a queued operation.'),
    (
        FORCE_REMOVE_HOST,
        'POST',
        _ACTION,
        'Remove a dead host with force: the pool forgets it. Asked beside '
        'remove_host.',
    ),
    (RETRY_OPERATION, 'POST', _ACTION, 'Try an operation again.'),
    (RESET, 'POST', _ACTION, 'Tell the outcome of an unresolved operation.'),
    (ADOPT, 'POST', _ACTION, 'Let an aggregate follow its pool.'),
    (REAPPLY, 'POST', _ACTION, 'Make a pool what its aggregate says.'),
    (SET_MASTER, 'POST', _ACTION, 'Make another host the master of a pool.'),
)


def list_rules() -> Iterable[policy.RuleDefault]:
    """All rules with their defaults, for oslo.policy's own tools."""
    for name, check, description in _BASE:
        yield policy.RuleDefault(name, check, description)
    for name, method, path, description in _RULES:
        yield policy.DocumentedRuleDefault(
            name,
            ADMIN,
            description,
            [{'method': method, 'path': path}],
            scope_types=['project'],
        )


def make_enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """An enforcer that knows the rules and the operator's changes to them.

    :param conf: configuration; ``[oslo_policy]`` names the operator's file.
    """
    enforcer = policy.Enforcer(conf)
    enforcer.suppress_default_change_warnings = True
    enforcer.register_defaults(list(list_rules()))
    return enforcer


def get_enforcer() -> policy.Enforcer:
    """For ``oslopolicy-checker`` and its siblings, which pass no argument."""
    conf = cfg.CONF
    conf([], project='aggregates_ext')
    return make_enforcer(conf)
