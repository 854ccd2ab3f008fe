"""aggregates-ext-manage policy: who may do what, by the operator's file."""

import getpass
import json
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg
from oslo_policy import generator
from oslo_policy import policy as oslo_policy

from aggregates_ext import context
from aggregates_ext import enforcers
from aggregates_ext import exception
from aggregates_ext import policyfile
from aggregates_ext.cmd.commands import group


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(subparsers, 'policy', 'who may do what')
    group.add_command(actions, 'check', 'is the policy file right?', check)
    every = group.add_command(actions, 'list', 'the rules in force', show_all)
    every.add_argument(
        '--role',
        action='append',
        help='only what this role in a project may do; several are one user',
    )
    one = group.add_command(actions, 'show', 'one rule', show)
    one.add_argument('rule')
    group.add_command(
        actions, 'sample', 'a file of all defaults, as comments', sample
    )


def check(tools: group.Tools) -> int:
    """Tell what the policy file is, and what is wrong; 1 if anything is."""
    wrong = list(policyfile.find_faults(tools.conf))
    if not wrong:
        enforcer = policyfile.load(tools.conf)
        where = enforcer.policy_path or 'there is none'
        print(f'Policy file: {where}; {len(enforcer.file_rules)} rules.')
        for former, rules in policyfile.find_former(enforcer).items():
            print(f'{former} is an old name, for {", ".join(rules)}.')
        wrong = [
            f'The policy file has a rule {name}, which is unknown.'
            for name in policyfile.find_unknown(enforcer)
        ]
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


def _load(tools: group.Tools) -> enforcers.Enforcer:
    """The rules in force.

    :raises exception.Invalid: the file cannot be followed.
    """
    wrong = list(policyfile.find_faults(tools.conf))
    if wrong:
        raise exception.Invalid(reason=' '.join(wrong))
    return policyfile.load(tools.conf)


def show_all(tools: group.Tools) -> int:
    """Print rules in force, in the format of a policy file."""
    enforcer = _load(tools)
    names = sorted(enforcer.rules)
    if tools.asked.role:
        names = sorted(_allowed(enforcer, tools.asked.role))
    for name in names:
        # oslo.policy's own way prints the default where an old name decides.
        print(f'"{name}": {json.dumps(str(enforcer.rules[name]))}')
    return 0


def _allowed(enforcer: enforcers.Enforcer, roles: list[str]) -> Iterator[str]:
    """The rules of requests that let somebody with these roles pass."""
    ctx = context.RequestContext(
        user_id=getpass.getuser(),
        project_id='any',
        roles=roles,
        enforcer=enforcer,
    )
    for name, rule in enforcer.registered_rules.items():
        if not isinstance(rule, oslo_policy.DocumentedRuleDefault):
            continue
        try:
            ctx.can(name)
        except exception.Forbidden:
            continue
        yield name


def show(tools: group.Tools) -> int:
    """Print one rule: what it is for, and what decides."""
    enforcer, name = _load(tools), tools.asked.rule
    if name not in enforcer.registered_rules:
        raise exception.NotFound(
            f'There is no rule {name}; "aggregates-ext-manage policy list" '
            'shows those there are.'
        )
    rule = enforcer.registered_rules[name]
    shown = {
        'rule': name,
        'description': rule.description,
        'operations': getattr(rule, 'operations', []),
        'default': rule.check_str,
        'check': str(enforcer.rules[name]),
        'decided_by': policyfile.decided_by(enforcer, name) or 'default',
    }
    print(json.dumps(shown, indent=2))
    return 0


def sample(_tools: group.Tools) -> int:
    """Print what ``etc/aggregates_ext/policy.yaml.sample`` has."""
    options = ['--namespace', 'aggregates_ext', '--exclude-deprecated']
    generator.generate_sample(options, conf=cfg.ConfigOpts())
    return 0
