"""aggregates-ext-manage upgrade: is this installation ready to start?"""

import functools
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from oslo_config import cfg
from oslo_upgradecheck import common_checks
from oslo_upgradecheck import upgradecheck

from aggregates_ext import exception
from aggregates_ext.cmd.commands import checks
from aggregates_ext.cmd.commands import group

# In the order in which one would mend things.
CHECKS: tuple[
    tuple[str, Callable[[group.Tools], Iterable[checks.Finding]]], ...
]
CHECKS = (
    ('Values of options', checks.values),
    ('Names of options', checks.names),
    ('Time limits', checks.time_limits),
    ('Files and modules', checks.prerequisites),
    ('Database server', checks.server),
    ('Database file', checks.sqlite_file),
    ('Database schema', checks.schema),
    ('Credentials', checks.credentials),
    ('URLs of hosts', checks.urls),
    ('Compute services', checks.compute_services),
    ('Policy file', checks.policy_file),
    ('Paste file', checks.paste_file),
    ('Messaging', checks.messaging),
)
CODES = {
    checks.NOTE: upgradecheck.Code.SUCCESS,
    checks.WARNING: upgradecheck.Code.WARNING,
    checks.FAILURE: upgradecheck.Code.FAILURE,
}


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(
        subparsers, 'upgrade', 'is this installation ready to start?'
    )
    parser = group.add_command(
        actions,
        'check',
        'look at configuration and database; 0 success, 1 warning, 2 failure',
        check,
    )
    parser.add_argument('--json', action='store_true')


class _Commands(upgradecheck.UpgradeCommands):
    """The checks, in the form of oslo.upgradecheck."""

    def __init__(self, tools: group.Tools) -> None:
        super().__init__()
        # What one check has told of the database, others need not repeat.
        told: dict[str, str] = {}
        own = tuple(
            (name, functools.partial(_run, name, look, tools, told))
            for name, look in CHECKS
        )
        json = (common_checks.check_policy_json, {'conf': tools.conf})
        self._upgrade_checks = (*own, ('Format of the policy file', json))


def _run(
    name: str,
    look: Callable[[group.Tools], Iterable[checks.Finding]],
    tools: group.Tools,
    told: dict[str, str],
    _commands: _Commands,
) -> upgradecheck.Result:
    """Everything that one check finds, as one result."""
    try:
        found = list(look(tools))
    except exception.Unavailable as exc:
        sentence = f'{exc} {exc.detail}'.rstrip()
        first = told.setdefault(sentence, name)
        if first != name:
            sentence = f'Not looked at: see "{first}".'
        found = [checks.Finding(checks.FAILURE, sentence)]
    except (exception.AggregatesError, OSError, ValueError, cfg.Error) as exc:
        # ValueError: an option; the first check tells it too.
        found = [checks.Finding(checks.FAILURE, str(exc))]
    code = max(
        (CODES[finding.level] for finding in found),
        default=upgradecheck.Code.SUCCESS,
    )
    details = ' '.join(finding.message for finding in found)
    return upgradecheck.Result(code, details or None)


def check(tools: group.Tools) -> int:
    """Print what every check finds; the answer: the worst of them."""
    # Where oslo.upgradecheck looks for --json.
    upgradecheck.CONF = tools.conf
    return int(_Commands(tools).check())
