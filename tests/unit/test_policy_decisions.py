"""Decisions are those of oslo.policy, made anew, by the file of a second ago.

``Enforcer.allows`` goes through the checks itself; what it says is held
against ``authorize`` for every kind of check.
"""

import itertools
import pathlib
from typing import Any

import pytest
from oslo_config import cfg
from oslo_policy import policy as oslo_policy

from aggregates_ext import enforcers
from aggregates_ext import exception
from aggregates_ext import policy
from tests import counting

# Every operator and kind of check, by themselves and nested.
CHECKS = [
    '@',
    '!',
    'role:admin',
    'ROLE:Admin',
    'not role:admin',
    'rule:context_is_admin',
    'rule:missing',
    'not rule:missing',
    'is_admin:True',
    'project_id:%(project_id)s',
    'project_id:%(missing)s',
    'user_id:u and role:reader',
    'role:admin or role:reader',
    'not (role:admin or user_id:u)',
    "'u':%(user_id)s",
    'system_scope:all',
    'legacy:x',
    '(role:admin and not project_id:q) or (user_id:%(user_id)s and @)',
]
RULES = [policy.SHOW, policy.ZONES_LIST, policy.HYPERVISORS_SHOW]


@oslo_policy.register('legacy')
class Legacy(oslo_policy.Check):
    """A check that does not ask for the name of its rule."""

    def __call__(self, target: Any, creds: Any, enforcer: Any) -> bool:
        return bool(creds['user_id'] == self.match)


def write(path: pathlib.Path, check: str) -> None:
    path.write_text(
        ''.join(f'"{rule}": "{check}"\n' for rule in RULES)
        + '"unused": "rule:nothing"\n',
        encoding='utf-8',
    )


@pytest.fixture
def policy_file(conf: cfg.ConfigOpts, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / 'policy.yaml'
    enforcers.make(conf)  # registers the option
    conf.set_override('policy_file', str(path), 'oslo_policy')
    return path


def callers() -> list[dict[str, Any]]:
    """Who may ask: by project, role, scope."""
    return [
        {
            'user_id': user,
            'project_id': project,
            'system': scope,
            'system_scope': scope,
            'domain_id': domain,
            'roles': roles,
            'is_admin': 'admin' in roles,
        }
        for user, project, scope, domain, roles in itertools.product(
            ('u', 'x'),
            ('p', 'q', None),
            (None, 'all'),
            (None, 'd'),
            ([], ['reader'], ['Admin'], ['admin', 'reader']),
        )
    ]


@pytest.mark.parametrize('check', CHECKS)
def test_decides_as_oslo_policy(
    conf: cfg.ConfigOpts, policy_file: pathlib.Path, check: str
) -> None:
    write(policy_file, check)
    ours, theirs = enforcers.make(conf), enforcers.make(conf)
    target = {'project_id': 'p', 'user_id': 'u'}
    for creds, rule in itertools.product(callers(), RULES):
        said = ours.allows(rule, target, dict(creds))
        assert said is bool(theirs.authorize(rule, target, dict(creds)))


def test_changed_file_counts_a_second_later(
    conf: cfg.ConfigOpts,
    policy_file: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And one that cannot be read lets nobody pass, until it can."""
    now = [100.0]
    monkeypatch.setattr(enforcers.time, 'monotonic', lambda: now[0])
    enforcer = enforcers.make(conf)

    def allows() -> bool:
        return enforcer.allows(policy.SHOW, {}, callers()[0])

    write(policy_file, '@')
    assert allows()
    write(policy_file, '!')
    now[0] += enforcers.LOOK_INTERVAL + 0.1
    assert not allows()
    policy_file.write_text('[', encoding='utf-8')
    now[0] += enforcers.LOOK_INTERVAL + 0.1
    for _ in range(2):
        with pytest.raises(exception.Unavailable):
            allows()
    write(policy_file, '@')
    assert allows()


def test_callers_are_told_apart(
    conf: cfg.ConfigOpts, policy_file: pathlib.Path
) -> None:
    write(policy_file, 'user_id:u')
    enforcer = enforcers.make(conf)
    said = [enforcer.allows(policy.SHOW, {}, c) for c in callers() * 2]
    assert said == [
        c['user_id'] == 'u' and not c['system'] and not c['domain_id']
        for c in callers() * 2
    ]


def test_files_and_signatures_are_not_looked_at_each_time(
    conf: cfg.ConfigOpts,
) -> None:
    enforcer = enforcers.make(conf)
    creds = callers()[0]
    enforcer.allows(policy.SHOW, {}, creds)
    calls = counting.least(lambda: enforcer.allows(policy.SHOW, {}, creds))
    assert calls < 40
