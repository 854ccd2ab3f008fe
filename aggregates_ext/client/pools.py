"""openstack aggregate pool list, show, adopt, reapply, master set."""

import argparse

from osc_lib.command import command

from aggregates_ext.client import api
from aggregates_ext.client import asking
from aggregates_ext.client import fields
from aggregates_ext.client import shown

STATES = ('created', 'changing', 'active', 'error')
COLUMNS = {
    'Aggregate ID': 'aggregate_id',
    'Name': 'name',
    'State': 'state',
    'Master': 'master',
    'Hosts': 'hosts',
    'Drift': 'drift',
    'Operations': 'operations',
    'Wrong Since': 'wrong_since',
}
LONG = {
    'Availability Zone': 'availability_zone',
    'UUID': 'uuid',
    'Seen At': 'seen_at',
    'Age': 'age',
    'Overdue': 'overdue',
}


class ListPools(command.Lister):
    """List all pools as they were last seen"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Its arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            '--state', choices=STATES, help='Only those in this state'
        )
        parser.add_argument(
            '--drift',
            metavar='<drift>',
            help='Only those that have drifted (true), have not (false), or '
            'have drifted so (code)',
        )
        parser.add_argument(
            '--host', metavar='<host>', help='Only that of this host (name)'
        )
        parser.add_argument(
            '--availability-zone',
            metavar='<zone>',
            help='Only those in this availability zone',
        )
        asking.add_limit(parser)
        parser.add_argument(
            '--marker',
            metavar='<aggregate>',
            help='Aggregate (ID) that the list begins after',
        )
        parser.add_argument(
            '--long', action='store_true', help='List additional fields'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> shown.Shown:
        """Read them, page by page."""
        found = asking.pools_of(self).pools(
            parsed_args.limit,
            state=parsed_args.state,
            drift=parsed_args.drift,
            host=parsed_args.host,
            availability_zone=parsed_args.availability_zone,
            marker=parsed_args.marker,
        )
        columns = {**COLUMNS, **(LONG if parsed_args.long else {})}
        return shown.rows(found, columns, fields.LISTED_POOL)


class ShowPool(asking.Show):
    """Show the pool of an aggregate: hosts, drift, what goes on or failed"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Its arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        asking.add_aggregate(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> shown.Shown:
        """Show it as it was last seen."""
        pools = asking.pools_of(self)
        aggregate = pools.find(parsed_args.aggregate)
        return shown.pool(pools.pool(aggregate.id))


class _PoolChange(asking.Change):
    """A change of a whole pool.

    :ivar action: what the API calls it.
    """

    action: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        asking.add_aggregate(parser)

    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> asking.Begun:
        """Ask for it."""
        key = pools.find(parsed_args.aggregate).id
        accepted = pools.act(key, self.action, {})
        return asking.begun_by(accepted, key, self.action, None)


class AdoptPool(_PoolChange):
    """Let the aggregate follow its pool as it is now"""

    action = 'adopt'


class ReapplyPool(_PoolChange):
    """Make the pool what the aggregate says"""

    action = 'reapply'


class SetMaster(asking.Change):
    """Make another member the master of the pool"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        asking.add_aggregate(parser)
        asking.add_host(parser, 'Member that becomes the master')

    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> asking.Begun:
        """Ask for it."""
        key, host = pools.find(parsed_args.aggregate).id, parsed_args.host
        accepted = pools.act(key, 'set_master', {'host': host})
        return asking.begun_by(accepted, key, 'set_master', host)
