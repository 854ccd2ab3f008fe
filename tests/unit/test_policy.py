"""Policy files of operators, old and new, go on to decide."""

import pathlib
import warnings
from typing import Any

import pytest
from oslo_config import cfg

from aggregates_ext import context
from aggregates_ext import enforcers
from aggregates_ext import exception
from aggregates_ext import policy

AGGREGATES = [
    policy.INDEX,
    policy.CREATE,
    policy.SHOW,
    policy.UPDATE,
    policy.DELETE,
    policy.SET_METADATA,
    policy.ADD_HOST,
    policy.REMOVE_HOST,
]
HYPERVISORS = [
    policy.HYPERVISORS_LIST,
    policy.HYPERVISORS_DETAIL,
    policy.HYPERVISORS_STATISTICS,
    policy.HYPERVISORS_SHOW,
    policy.HYPERVISORS_UPTIME,
    policy.HYPERVISORS_SEARCH,
    policy.HYPERVISORS_SERVERS,
]
HOSTS = [
    policy.HOSTS,
    policy.HOSTS_LIST,
    policy.HOSTS_SHOW,
    policy.HOSTS_UPDATE,
    policy.HOSTS_START,
    policy.HOSTS_SHUTDOWN,
    policy.HOSTS_REBOOT,
]
SERVICES = [policy.SERVICES, policy.SERVICES_LIST, policy.SERVICES_UPDATE]
# For everybody, of what is his.
OPEN = {
    policy.ZONES_LIST,
    policy.ACTIONS,
    policy.ACTION,
    policy.SERVERS_INDEX,
    policy.SERVERS_DETAIL,
    policy.SERVERS_SHOW,
}
# For managers of a project.
MANAGED = {
    policy.MIGRATE_LIVE,
    policy.MIGRATIONS,
    policy.SERVER_MIGRATIONS,
    policy.ABORT_MIGRATION,
}
RULES = [rule.name for rule in policy.list_rules() if ':' in rule.name]
# As Nova 2012.1 wrote it.
ESSEX = """
{
    "admin_or_owner": [["role:admin"], ["project_id:%(project_id)s"]],
    "default": [["rule:admin_or_owner"]],
    "admin_api": [["role:pooler"]],
    "compute_extension:aggregates": [["rule:admin_api"]],
    "compute_extension:hosts": [["rule:admin_api"]]
}
"""


@pytest.fixture
def policy_file(conf: cfg.ConfigOpts, tmp_path: pathlib.Path) -> pathlib.Path:
    """The operator's file; there is none until it is written."""
    path = tmp_path / 'policy'
    enforcers.make(conf)  # registers the option
    conf.set_override('policy_file', str(path), 'oslo_policy')
    return path


def allowed(
    conf: cfg.ConfigOpts, roles: list[str], **identity: Any
) -> set[str]:
    """The rules that let somebody pass."""
    ctx = context.RequestContext(
        user_id='u',
        roles=roles,
        enforcer=enforcers.make(conf),
        **(identity or {'project_id': 'p'}),
    )

    def passes(rule: str) -> bool:
        try:
            ctx.can(rule)
        except exception.Forbidden:
            return False
        return True

    return {rule for rule in RULES if passes(rule)}


def test_administrators_may_do_all(conf: cfg.ConfigOpts) -> None:
    assert allowed(conf, ['admin', 'member']) == set(RULES)


def test_managers_may_move_what_is_theirs(conf: cfg.ConfigOpts) -> None:
    assert allowed(conf, ['manager']) == OPEN | MANAGED


@pytest.mark.parametrize('role', ['member', 'reader', 'service'])
def test_others_may_list_what_is_theirs(
    conf: cfg.ConfigOpts, role: str
) -> None:
    assert allowed(conf, [role]) == OPEN


@pytest.mark.parametrize(
    'identity', [{'system_scope': 'all'}, {'domain_id': 'd'}]
)
def test_tokens_are_of_a_project(
    conf: cfg.ConfigOpts, identity: dict[str, str]
) -> None:
    # Base rules are asked through others, which have a scope.
    bases = {policy.HOSTS, policy.SERVICES, policy.HYPERVISORS}
    assert allowed(conf, ['admin'], **identity) == bases


@pytest.mark.parametrize(
    ('text', 'rules'),
    [
        ('"compute_extension:aggregates": "role:pooler"', AGGREGATES),
        ('"compute_extension:aggregates": [["role:pooler"]]', AGGREGATES),
        ('"os_compute_api:os-aggregates:show": "role:pooler"', [policy.SHOW]),
        (
            '"compute_extension:hosts": "role:pooler"',
            HOSTS,
        ),
        (
            '"os_compute_api:os-hosts": "role:pooler"',
            HOSTS,
        ),
        ('"os_compute_api:os-hosts:show": "role:pooler"', [policy.HOSTS_SHOW]),
        (
            '"compute_extension:services": "role:pooler"',
            SERVICES,
        ),
        (
            '"os_compute_api:os-services": "role:pooler"',
            SERVICES,
        ),
        (
            '"compute_extension:hypervisors": "role:pooler"',
            [policy.HYPERVISORS, *HYPERVISORS],
        ),
        (
            '"os_compute_api:os-hypervisors": "role:pooler"',
            [policy.HYPERVISORS, *HYPERVISORS],
        ),
        (
            '"compute_extension:availability_zone:detail": "role:pooler"',
            [policy.ZONES_DETAIL],
        ),
        ('"context_is_admin": "role:pooler"', RULES),
        ('"project_manager_api": "role:pooler"', [*MANAGED]),
        # What Nova split decides for the parts, unless they are told too.
        (
            '"os_compute_api:os-migrate-server:migrate_live": "role:pooler"',
            [policy.MIGRATE_LIVE, policy.MIGRATE_LIVE_HOST],
        ),
        (
            '"os_compute_api:os-migrate-server:migrate_live": "role:pooler"\n'
            '"os_compute_api:os-migrate-server:migrate_live:host": "!"',
            [policy.MIGRATE_LIVE],
        ),
        (
            '"os_compute_api:os-migrations:index": "role:pooler"',
            [
                policy.MIGRATIONS,
                policy.MIGRATIONS_ALL,
                policy.MIGRATIONS_HOST,
            ],
        ),
        (
            '"os_compute_api:servers:migrations:index": "role:pooler"',
            [policy.SERVER_MIGRATIONS, policy.SERVER_MIGRATIONS_HOST],
        ),
        (
            ESSEX,
            [
                *AGGREGATES,
                *HOSTS,
            ],
        ),
    ],
)
def test_a_file_decides_under_names_old_and_new(
    conf: cfg.ConfigOpts,
    policy_file: pathlib.Path,
    text: str,
    rules: list[str],
) -> None:
    if text is ESSEX:
        # There is_admin came from the roles of context_is_admin.
        text = text.replace('{', '{ "context_is_admin": "role:root",', 1)
    policy_file.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        gained = allowed(conf, ['pooler'])
    assert gained == {*rules, *OPEN}


def test_an_old_name_can_close_what_is_open(
    conf: cfg.ConfigOpts, policy_file: pathlib.Path
) -> None:
    policy_file.write_text(
        '"compute_extension:availability_zone:list": "role:admin"'
    )
    with pytest.warns(UserWarning, match='availability_zone:list'):
        assert allowed(conf, ['member']) == OPEN - {policy.ZONES_LIST}


def test_the_new_name_beats_the_old_one(
    conf: cfg.ConfigOpts, policy_file: pathlib.Path
) -> None:
    policy_file.write_text(
        '"compute_extension:aggregates": "role:pooler"\n'
        '"os_compute_api:os-aggregates:delete": "role:admin"'
    )
    with pytest.warns(UserWarning, match='compute_extension:aggregates'):
        gained = allowed(conf, ['pooler'])
    assert gained == {*AGGREGATES, *OPEN} - {policy.DELETE}
