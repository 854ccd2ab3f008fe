"""openstack aggregate pool action list: what the API would accept now."""

import argparse

from osc_lib.command import command

from aggregates_ext.client import asking
from aggregates_ext.client import shown
from aggregates_ext.client import words

COLUMNS = {
    'Host': 'host',
    'Operation': 'operation',
    'Action': 'action',
    'Asked': 'asked',
    'Allowed': 'allowed',
    'Reason': 'message',
}
LONG = {
    'Code': 'code',
    'Fault': 'name',
    'Passes': 'passes',
}


class ListActions(command.Lister):
    """List what would be accepted now, and why the rest would not

    The API tells it by policy and by its database. What a pool forbids tells
    "host check".
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Its arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        asking.add_aggregate(parser)
        parser.add_argument(
            '--host',
            metavar='<host>',
            help='Only what is done with this host (name), also a free one',
        )
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            '--allowed',
            action='store_const',
            const=True,
            default=None,
            help='Only what would be accepted',
        )
        which.add_argument(
            '--refused',
            action='store_const',
            const=False,
            dest='allowed',
            help='Only what would be refused',
        )
        parser.add_argument(
            '--long', action='store_true', help='List additional fields'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> shown.Shown:
        """Read it."""
        pools = asking.pools_of(self)
        key = pools.find(parsed_args.aggregate).id
        found = pools.allowed(key, parsed_args.host)
        listed = [
            entry
            for entry in found
            if parsed_args.allowed in (None, entry.get('allowed'))
        ]
        columns = {**COLUMNS, **(LONG if parsed_args.long else {})}
        return shown.rows(listed, columns, {'asked': words.fields})
