"""aggregates-ext-manage: the operator's commands."""

from aggregates_ext.cmd import threads  # noqa: F401, I001 (first)

import sys
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import conf as options
from aggregates_ext.cmd import refusals
from aggregates_ext.cmd.commands import db
from aggregates_ext.cmd.commands import group
from aggregates_ext.cmd.commands import host
from aggregates_ext.cmd.commands import operation
from aggregates_ext.cmd.commands import policy
from aggregates_ext.cmd.commands import pool
from aggregates_ext.cmd.commands import service
from aggregates_ext.cmd.commands import upgrade

# Each adds its commands to the command line.
GROUPS = (db, host, operation, policy, pool, service, upgrade)


def _add_groups(subparsers: Any) -> None:
    for module in GROUPS:
        module.register(subparsers)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 when it is refused, with the reason on stderr."""
    conf = cfg.ConfigOpts()
    logging.register_options(conf)
    conf.register_cli_opt(
        cfg.SubCommandOpt('command', handler=_add_groups, title='commands')
    )
    logging.set_defaults(
        default_log_levels=[
            *logging.get_default_log_levels(),
            'alembic=WARNING',
            # Tracebacks, of what the commands tell in a sentence.
            'oslo_policy._parser=CRITICAL',
        ]
    )
    # What a command prints may be read by a program.
    conf.set_default('use_stderr', True)
    try:
        options.parse(conf, sys.argv[1:] if argv is None else argv)
        logging.setup(conf, 'aggregates_ext')
        command: group.Command = conf.command.run
        return command(group.Tools(conf))
    except refusals.KINDS as exc:
        print(exc, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
