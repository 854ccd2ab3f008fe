"""What the groups of commands share: their parsers, and what they work on."""

import argparse
import getpass
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from aggregates_ext import context
from aggregates_ext import enforcers
from aggregates_ext import exception
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
            enforcer=enforcers.make(self.conf),
        )


# Of whole numbers that every database can hold.
MAX_NUMBER = 2**31 - 1
# Options that name files, whose names are bytes.
PATHS = frozenset(
    f'--{name}'
    for name in ('file', 'config-file', 'config-dir', 'log-file', 'log-dir')
)


def number(text: str) -> int:
    """A whole number of the command line: an id, or how many.

    :raises argparse.ArgumentTypeError: there cannot be so many.
    """
    found = int(text)
    if not 0 <= found <= MAX_NUMBER:
        raise argparse.ArgumentTypeError(
            f'{text[:40]!r} is not from 0 to {MAX_NUMBER}'
        )
    return found


def check_text(arguments: Sequence[str]) -> None:
    """Refuse what is no text, as nothing can be stored; names of files may be.

    :raises exception.Invalid: naming the argument.
    """
    before = ''
    for argument in arguments:
        option = argument.partition('=')[0]
        if not _is_text(argument) and not {option, before} & PATHS:
            raise exception.Invalid(
                reason=f'The argument {ascii(argument)} is not UTF-8.'
            )
        before = argument


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


REFUSED = 1
# What it returns is the exit code.
Command = Callable[[Tools], int]


def add_group(subparsers: Any, name: str, about: str) -> Any:
    """A group of commands, such as ``host``.

    :returns: what ``add_command`` adds to.
    """
    parser = subparsers.add_parser(name, help=about)
    return parser.add_subparsers(dest='action', required=True)


def add_command(
    actions: Any,
    name: str,
    does: str,
    command: Command,
    refused: int = REFUSED,
) -> argparse.ArgumentParser:
    """A command of a group, or one that is in none.

    :param refused: the exit code when it is.
    :returns: its parser, for its arguments.
    """
    parser: argparse.ArgumentParser = actions.add_parser(name, help=does)
    parser.set_defaults(run=command, refused=refused)
    return parser
