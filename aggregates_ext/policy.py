"""The rules of who may do what, under Nova's names.

Names, defaults and base rules are those of Nova's own policies, and the
names that Nova had for them before are known too, so that an operator's
policy file keeps working; the ``os-aggregate-pools`` ones are ours.
"""

from collections.abc import Iterable

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

ALL_POOLS = POOLS.format('index')
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
MAINTENANCE = POOLS.format('maintenance')
POWER = POOLS.format('power')
ROLLING = POOLS.format('rolling')

HOSTS = 'os_compute_api:os-hosts'
HOSTS_LIST = f'{HOSTS}:list'
HOSTS_SHOW = f'{HOSTS}:show'
HOSTS_UPDATE = f'{HOSTS}:update'
HOSTS_START = f'{HOSTS}:start'
HOSTS_SHUTDOWN = f'{HOSTS}:shutdown'
HOSTS_REBOOT = f'{HOSTS}:reboot'

SERVICES = 'os_compute_api:os-services'
SERVICES_LIST = f'{SERVICES}:list'
SERVICES_UPDATE = f'{SERVICES}:update'

HYPERVISORS = 'os_compute_api:os-hypervisors'
HYPERVISORS_LIST = f'{HYPERVISORS}:list'
HYPERVISORS_DETAIL = f'{HYPERVISORS}:list-detail'
HYPERVISORS_STATISTICS = f'{HYPERVISORS}:statistics'
HYPERVISORS_SHOW = f'{HYPERVISORS}:show'
HYPERVISORS_UPTIME = f'{HYPERVISORS}:uptime'
HYPERVISORS_SEARCH = f'{HYPERVISORS}:search'
HYPERVISORS_SERVERS = f'{HYPERVISORS}:servers'

SERVERS_INDEX = 'os_compute_api:servers:index'
SERVERS_DETAIL = 'os_compute_api:servers:detail'
SERVERS_SHOW = 'os_compute_api:servers:show'
SERVERS_ALL_FILTERS = 'os_compute_api:servers:allow_all_filters'
SERVERS_HOST_STATUS = f'{SERVERS_SHOW}:host_status'
SERVER_ATTRIBUTES = 'os_compute_api:os-extended-server-attributes'

MIGRATE_LIVE = 'os_compute_api:os-migrate-server:migrate_live'
MIGRATE_LIVE_HOST = f'{MIGRATE_LIVE}:host'
MIGRATIONS = 'os_compute_api:os-migrations:index'
MIGRATIONS_ALL = f'{MIGRATIONS}:all_projects'
MIGRATIONS_HOST = f'{MIGRATIONS}:host'
_OF_A_SERVER = 'os_compute_api:servers:migrations:{}'
SERVER_MIGRATIONS = _OF_A_SERVER.format('index')
SERVER_MIGRATIONS_HOST = f'{SERVER_MIGRATIONS}:host'
SERVER_MIGRATION = _OF_A_SERVER.format('show')
ABORT_MIGRATION = _OF_A_SERVER.format('delete')
FORCE_COMPLETE = _OF_A_SERVER.format('force_complete')

_OF_ACTIONS = 'os_compute_api:os-instance-actions:{}'
ACTIONS = _OF_ACTIONS.format('list')
ACTION = _OF_ACTIONS.format('show')
ACTION_EVENTS = _OF_ACTIONS.format('events')
ACTION_DETAILS = f'{ACTION_EVENTS}:details'

ZONES_LIST = 'os_compute_api:os-availability-zone:list'
ZONES_DETAIL = 'os_compute_api:os-availability-zone:detail'

ADMIN = 'rule:context_is_admin'
ANYBODY = '@'
OWNER = 'rule:admin_or_owner'
MANAGER = 'rule:project_manager_or_admin'

_BASE = (
    ('context_is_admin', 'role:admin', 'Who is an administrator.'),
    (
        'admin_or_owner',
        'is_admin:True or project_id:%(project_id)s',
        "Nova's base rule of the time before scopes.",
    ),
    ('admin_api', 'is_admin:True', "Nova's base rule for administrators."),
    (
        'project_manager_api',
        'role:manager and project_id:%(project_id)s',
        'Who manages a project.',
    ),
    (
        'project_manager_or_admin',
        'rule:project_manager_api or rule:context_is_admin',
        "Nova's base rule for what managers of a project may do.",
    ),
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
    (
        ADD_HOST,
        'POST',
        _ACTION,
        'Add a host: it joins the pool. Asked beside remove_host for the '
        'hosts as one list.',
    ),
    (REMOVE_HOST, 'POST', _ACTION, 'Remove a host: the pool ejects it.'),
    (
        IMAGES,
        'POST',
        '/os-aggregates/{aggregate_id}/images',
        "Ask for Nova's image cache, which pools do not have.",
    ),
    (ALL_POOLS, 'GET', '/os-aggregate-pools', 'List all pools as last seen.'),
    (
        POOL,
        'GET',
        f'{_ITEM}/pool',
        'Show the pool as last seen, and which actions would be taken.',
    ),
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
    (MAINTENANCE, 'POST', _ACTION, 'Take a host into maintenance, or out.'),
    (
        POWER,
        'POST',
        _ACTION,
        'Reboot a host in maintenance, shut it down, or start it.',
    ),
    (
        ROLLING,
        'POST',
        _ACTION,
        'Restart or update the hosts of a pool one after another, and let '
        'that go on.',
    ),
)


# One rule for each of these extensions until 2020; the present ones of the
# extension default to it, so that it still decides for all.
_GROUPS = (
    (HOSTS, 'Base rule of os-hosts.'),
    (SERVICES, 'Base rule of os-services.'),
    (HYPERVISORS, 'Base rule of os-hypervisors.'),
)
_HYPERVISOR = '/os-hypervisors/{hypervisor_id}'
_SERVER = '/servers/{server_id}'
_PATTERN = '/os-hypervisors/{hypervisor_hostname_pattern}'
_READ = (
    (HOSTS_LIST, '/os-hosts', 'List hosts.'),
    (HOSTS_SHOW, '/os-hosts/{host_name}', 'Show a host.'),
    (HOSTS_START, '/os-hosts/{host_name}/startup', 'Start a host.'),
    (HOSTS_SHUTDOWN, '/os-hosts/{host_name}/shutdown', 'Shut a host down.'),
    (HOSTS_REBOOT, '/os-hosts/{host_name}/reboot', 'Reboot a host.'),
    (SERVICES_LIST, '/os-services', 'List hosts as compute services.'),
    (HYPERVISORS_LIST, '/os-hypervisors', 'List hosts as hypervisors.'),
    (
        HYPERVISORS_DETAIL,
        '/os-hypervisors/detail',
        'List hypervisors with details.',
    ),
    (
        HYPERVISORS_STATISTICS,
        '/os-hypervisors/statistics',
        'Count the hypervisors.',
    ),
    (HYPERVISORS_SHOW, _HYPERVISOR, 'Show a hypervisor.'),
    (HYPERVISORS_UPTIME, f'{_HYPERVISOR}/uptime', 'Ask for its uptime.'),
    (HYPERVISORS_SEARCH, f'{_PATTERN}/search', 'Search hypervisors by name.'),
    (
        HYPERVISORS_SERVERS,
        f'{_PATTERN}/servers',
        'List the guests on hypervisors.',
    ),
    (SERVERS_INDEX, '/servers', 'List guests as servers.'),
    (
        f'{SERVERS_INDEX}:get_all_tenants',
        '/servers',
        'List those of all projects.',
    ),
    (SERVERS_DETAIL, '/servers/detail', 'List guests with details.'),
    (
        f'{SERVERS_DETAIL}:get_all_tenants',
        '/servers/detail',
        'List those of all projects with details.',
    ),
    (
        SERVERS_ALL_FILTERS,
        '/servers',
        'List guests by other filters than name, status and changes; '
        'without it the others are ignored.',
    ),
    (SERVERS_SHOW, _SERVER, 'Show a guest.'),
    (
        SERVERS_HOST_STATUS,
        _SERVER,
        'See with a guest whether its host is up.',
    ),
    (
        SERVER_ATTRIBUTES,
        _SERVER,
        'See with a guest on which host it is.',
    ),
    (ZONES_LIST, '/os-availability-zone', 'List availability zones.'),
    (
        ZONES_DETAIL,
        '/os-availability-zone/detail',
        'List availability zones with their hosts.',
    ),
)
_CHANGED = (
    (HOSTS_UPDATE, '/os-hosts/{host_name}', 'Disable or enable a host.'),
    (
        SERVICES_UPDATE,
        '/os-services/{service_id}',
        'Disable or enable a host as a compute service.',
    ),
)
_MIGRATIONS = f'{_SERVER}/migrations'
_MIGRATION = f'{_MIGRATIONS}/{{migration_id}}'
_ACTIONS_PATH = f'{_SERVER}/os-instance-actions'
# Name, default, method, path and description.
_MOVES = (
    (
        MIGRATE_LIVE,
        MANAGER,
        'POST',
        f'{_SERVER}/action (os-migrateLive)',
        'Move a guest to another host of its pool, whichever.',
    ),
    (
        MIGRATE_LIVE_HOST,
        ADMIN,
        'POST',
        f'{_SERVER}/action (os-migrateLive)',
        'Move a guest to a certain host of its pool.',
    ),
    (
        MIGRATIONS,
        MANAGER,
        'GET',
        '/os-migrations',
        'List the moves that were asked for in a project, without hosts.',
    ),
    (
        MIGRATIONS_ALL,
        ADMIN,
        'GET',
        '/os-migrations',
        'List those of all projects.',
    ),
    (
        MIGRATIONS_HOST,
        ADMIN,
        'GET',
        '/os-migrations',
        'See with a move from where to where it leads.',
    ),
    (
        SERVER_MIGRATIONS,
        MANAGER,
        'GET',
        _MIGRATIONS,
        'List the moves of a guest that are under way, without hosts.',
    ),
    (
        SERVER_MIGRATIONS_HOST,
        ADMIN,
        'GET',
        _MIGRATIONS,
        'See with these from where to where they lead.',
    ),
    (SERVER_MIGRATION, ADMIN, 'GET', _MIGRATION, 'Show one of them.'),
    (ABORT_MIGRATION, MANAGER, 'DELETE', _MIGRATION, 'Abort a move.'),
    (
        FORCE_COMPLETE,
        ADMIN,
        'POST',
        f'{_MIGRATION}/action (force_complete)',
        'Repair a move of which nothing is known: two toolstacks restart.',
    ),
    (
        ACTIONS,
        OWNER,
        'GET',
        _ACTIONS_PATH,
        'List the moves of a guest as actions, without reasons.',
    ),
    (
        ACTION,
        OWNER,
        'GET',
        f'{_ACTIONS_PATH}/{{request_id}}',
        'Show one of them, without host and reason.',
    ),
    (
        ACTION_EVENTS,
        ADMIN,
        'GET',
        f'{_ACTIONS_PATH}/{{request_id}}',
        'See with it the host, and its event before 2.51.',
    ),
    (
        ACTION_DETAILS,
        ADMIN,
        'GET',
        f'{_ACTIONS_PATH}/{{request_id}}',
        'See with it why it has ended so.',
    ),
)
# Part -> the rule that it was split from in Nova (2025.2). Where a file has
# that one alone, it still decides for both.
_SPLIT = {
    MIGRATE_LIVE_HOST: MIGRATE_LIVE,
    MIGRATIONS_ALL: MIGRATIONS,
    MIGRATIONS_HOST: MIGRATIONS,
    SERVER_MIGRATIONS_HOST: SERVER_MIGRATIONS,
}
# Rule -> the name that it had in Nova before the API v2.1 (2015).
_FORMERLY = {
    **{
        AGGREGATES.format(verb): 'compute_extension:aggregates'
        for verb in (
            'index',
            'create',
            'show',
            'update',
            'delete',
            'set_metadata',
            'add_host',
            'remove_host',
        )
    },
    HOSTS: 'compute_extension:hosts',
    SERVICES: 'compute_extension:services',
    HYPERVISORS: 'compute_extension:hypervisors',
    ZONES_LIST: 'compute_extension:availability_zone:list',
    ZONES_DETAIL: 'compute_extension:availability_zone:detail',
}


def _former(name: str, check: str) -> policy.DeprecatedRule | None:
    """The old name of a rule; in a policy file it still decides."""
    if name in _SPLIT:
        return policy.DeprecatedRule(
            _SPLIT[name],
            check,
            deprecated_reason='It was a part of that rule in Nova.',
            deprecated_since='2025.2',
        )
    if name not in _FORMERLY:
        return None
    return policy.DeprecatedRule(
        _FORMERLY[name],
        check,
        deprecated_reason="It is the name of the rule in Nova's API v2.",
        deprecated_since='2015.1',
    )


def _documented(
    name: str, check: str, method: str, path: str, description: str
) -> policy.RuleDefault:
    return policy.DocumentedRuleDefault(
        name,
        check,
        description,
        [{'method': method, 'path': path}],
        scope_types=['project'],
        deprecated_rule=_former(name, check),
    )


def _check_of_group(name: str) -> str:
    if name == ZONES_LIST:
        return ANYBODY
    if name in (SERVERS_INDEX, SERVERS_DETAIL, SERVERS_SHOW):
        return OWNER
    group = name.rpartition(':')[0]
    grouped = any(group == base for base, _description in _GROUPS)
    return f'rule:{group}' if grouped else ADMIN


def list_rules() -> Iterable[policy.RuleDefault]:
    """All rules with their defaults, for oslo.policy's own tools."""
    for name, check, description in _BASE:
        yield policy.RuleDefault(name, check, description)
    for name, method, path, description in _RULES:
        yield _documented(name, ADMIN, method, path, description)
    for name, check, method, path, description in _MOVES:
        yield _documented(name, check, method, path, description)
    for name, description in _GROUPS:
        yield policy.RuleDefault(
            name, ADMIN, description, deprecated_rule=_former(name, ADMIN)
        )
    for method, rules in (('GET', _READ), ('PUT', _CHANGED)):
        for name, path, description in rules:
            check = _check_of_group(name)
            yield _documented(name, check, method, path, description)
