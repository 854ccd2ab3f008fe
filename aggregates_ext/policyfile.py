"""The operator's policy file: what is wrong with it, and what it decides."""

from collections.abc import Iterable

from oslo_config import cfg
from oslo_policy import policy as oslo_policy

from aggregates_ext import enforcers
from aggregates_ext import exception
from aggregates_ext import policy

WRONG = 'The policy file is wrong'
# What oslo.policy makes of a rule that it cannot read.
NEVER = '!'


def load(conf: cfg.ConfigOpts) -> enforcers.Enforcer:
    """The rules in force: the defaults, and what the file makes of them.

    Old names are not warned of; ``find_former`` tells them.
    """
    enforcer = enforcers.make(conf)
    enforcer.suppress_deprecation_warnings = True
    enforcer.load_rules()
    return enforcer


def find_faults(conf: cfg.ConfigOpts) -> Iterable[str]:
    """Why the file cannot be followed, as sentences."""
    try:
        enforcer = load(conf)
    except exception.Unavailable as exc:
        yield f'{WRONG}: {exc.detail}'
        return
    for name, rule in enforcer.file_rules.items():
        if not isinstance(name, str) or not _is_understood(rule):
            yield f'{WRONG}: rule {name} cannot be read: {rule.check_str!r}.'
    try:
        enforcer.check_rules(raise_on_violation=True)
    except oslo_policy.InvalidDefinitionError as exc:
        yield f'{WRONG}: {exc}'


def _is_understood(rule: oslo_policy.RuleDefault) -> bool:
    """Whether every part of a rule means what is written there."""
    written = rule.check_str
    if not isinstance(written, str | list):
        return False
    return str(rule.check).count(NEVER) <= str(written).count(NEVER)


def find_unknown(enforcer: oslo_policy.Enforcer) -> Iterable[str]:
    """Rules of the file that carry our prefix and do not exist.

    Others may be Nova's.
    """
    prefixes = (policy.AGGREGATES, policy.POOLS)
    ours = tuple(prefix.format('') for prefix in prefixes)
    for name in sorted(enforcer.file_rules):
        if name.startswith(ours) and name not in enforcer.registered_rules:
            yield name


def find_former(enforcer: oslo_policy.Enforcer) -> dict[str, list[str]]:
    """Old names that the file has, and the rules for which each decides.

    A rule that is in force itself is no old name of its parts.
    """
    found: dict[str, list[str]] = {}
    for name in enforcer.registered_rules:
        decides = decided_by(enforcer, name)
        if decides not in (None, *enforcer.registered_rules):
            found.setdefault(str(decides), []).append(name)
    return found


def decided_by(enforcer: oslo_policy.Enforcer, name: str) -> str | None:
    """The name in the file that decides for a rule; None: its default."""
    if name in enforcer.file_rules:
        return name
    former = enforcer.registered_rules[name].deprecated_rule
    if former and former.name in enforcer.file_rules:
        return str(former.name)
    return None
