"""aggregates-ext-manage: the operator's commands."""

from aggregates_ext import threads  # noqa: F401, I001 (first)

import sys
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import conf as options
from aggregates_ext import refusals
from aggregates_ext.cmd.commands import db
from aggregates_ext.cmd.commands import group
from aggregates_ext.cmd.commands import health
from aggregates_ext.cmd.commands import host
from aggregates_ext.cmd.commands import move
from aggregates_ext.cmd.commands import operation
from aggregates_ext.cmd.commands import policy
from aggregates_ext.cmd.commands import pool
from aggregates_ext.cmd.commands import service
from aggregates_ext.cmd.commands import status
from aggregates_ext.cmd.commands import upgrade

# Each adds its commands to the command line.
GROUPS = (db, host, move, operation, policy, pool, service, status, upgrade)
# What the commands tell in a sentence.
LEVELS = (
    'oslo_policy._parser=CRITICAL',
    'oslo_db=CRITICAL',
    'aggregates_ext.db.engine=CRITICAL',
)


def _add_groups(subparsers: Any) -> None:
    for module in GROUPS:
        module.register(subparsers)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 when it is refused, with the reason on stderr."""
    conf = cfg.ConfigOpts()
    options.register_log(conf, *LEVELS)
    conf.register_cli_opt(
        cfg.SubCommandOpt('command', handler=_add_groups, title='commands')
    )
    # What a command prints may be read by a program.
    conf.set_default('use_stderr', True)
    refusals.print_anything()
    asked = sys.argv[1:] if argv is None else argv
    # Monitoring takes 1 for a warning. Which command it is, is not known
    # before the configuration is read.
    refused = health.UNKNOWN if status.NAME in asked else group.REFUSED
    try:
        group.check_text(asked)
        options.parse(conf, asked, prog='aggregates-ext-manage')
        refused = conf.command.refused
        logging.setup(conf, 'aggregates_ext')
        command: group.Command = conf.command.run
        code = command(group.Tools(conf))
        sys.stdout.flush()
    except refusals.ENDS as exc:
        return refusals.end(exc, refused)
    return code


if __name__ == '__main__':
    sys.exit(main())
