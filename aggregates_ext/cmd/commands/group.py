"""What the groups of commands share: their parsers, and what they work on."""

import argparse
import getpass
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from aggregates_ext import context
from aggregates_ext import policy
from aggregates_ext import rpc
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import intent


class Tools:
    """What a command works on.

    :ivar conf: the configuration.
    :ivar asked: the arguments of the command.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf
        self.asked = conf.command
        self.database = engine.Database(conf)

    def intent(self) -> intent.Intent:
        """What writes changes, and wakes compute services for them."""
        compute = rpc.ComputeAPI(
            rpc.get_transport(self.conf), self.conf.api.check_timeout
        )
        return intent.Intent(self.database, compute, self.conf.api.settle_wait)

    def context(self) -> context.RequestContext:
        """Who runs the command, for the record."""
        return context.RequestContext(
            user_id=getpass.getuser(),
            enforcer=policy.make_enforcer(self.conf),
        )


# What it returns is the exit code.
Command = Callable[[Tools], int]


def add_group(subparsers: Any, name: str, about: str) -> Any:
    """A group of commands, such as ``host``.

    :returns: what ``add_command`` adds to.
    """
    parser = subparsers.add_parser(name, help=about)
    return parser.add_subparsers(dest='action', required=True)


def add_command(
    actions: Any, name: str, does: str, command: Command
) -> argparse.ArgumentParser:
    """A command of a group.

    :returns: its parser, for its arguments.
    """
    parser: argparse.ArgumentParser = actions.add_parser(name, help=does)
    parser.set_defaults(run=command)
    return parser
