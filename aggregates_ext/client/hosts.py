"""openstack aggregate pool host: one host of a pool."""

import argparse
from collections.abc import Mapping
from typing import Any

from osc_lib.command import command

from aggregates_ext.client import api
from aggregates_ext.client import asking
from aggregates_ext.client import fields
from aggregates_ext.client import shown

COLUMNS = {
    'Name': 'name',
    'Phase': 'phase',
    'Live': 'live',
    'Enabled': 'enabled',
    'Service': 'service',
    'Maintenance': 'maintenance',
    'Drift': 'drift',
}
LONG = {
    'UUID': 'uuid',
    'Address': 'address',
    'Version': 'version',
    'Guests': 'guests',
    'Needs Reboot': 'needs_reboot',
    'Pending Guidances': 'pending_guidances',
    'Disabled Reason': 'disabled_reason',
    'Alarm': 'alarm',
    'Seen At': 'seen_at',
}


class ListHosts(command.Lister):
    """List the hosts of a pool, and those on their way"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Its arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        asking.add_aggregate(parser)
        parser.add_argument(
            '--long', action='store_true', help='List additional fields'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> shown.Shown:
        """Read them as they were last seen."""
        pools = asking.pools_of(self)
        pool = pools.pool(pools.find(parsed_args.aggregate).id)
        columns = {**COLUMNS, **(LONG if parsed_args.long else {})}
        return shown.rows(pool['hosts'], columns)


class CheckHost(asking.Show):
    """Show what forbids a change of a host, without making it.

    Exit code 0: the change would be accepted, 1: it would not.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Its arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        asking.add_aggregate(parser)
        asking.add_host(parser)
        parser.add_argument(
            '--for',
            dest='purpose',
            metavar='<change>',
            choices=fields.PURPOSES,
            default='add',
            help=f'The change: {", ".join(fields.PURPOSES)} (default: add)',
        )
        asking.add_guests(parser)
        asking.add_network(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> shown.Shown:
        """Have it checked."""
        pools = asking.pools_of(self)
        key = pools.find(parsed_args.aggregate).id
        fields = {
            'host': parsed_args.host,
            'for': parsed_args.purpose,
            **asking.guests_of(parsed_args),
        }
        return self.show_check(pools.check(key, fields))


class _HostChange(asking.Change):
    """A change of one host, which can be checked without making it.

    :ivar action: what the API calls it.
    :ivar purpose: what a check of it is for; None: it has none.
    """

    action: str
    purpose: str | None = None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        asking.add_aggregate(parser)
        asking.add_host(parser)
        self.add_options(parser)
        if self.purpose:
            asking.add_dry_run(parser, 'Only show what forbids it')

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Its own options; none, unless told otherwise."""

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What the request says beside the host; None is not said."""
        return {}

    def checked(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What a check says beside the host and its purpose."""
        return {}

    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> asking.Begun:
        """Ask for it."""
        key, host = pools.find(parsed_args.aggregate).id, parsed_args.host
        fields = {'host': host, **self.fields(parsed_args)}
        accepted = pools.act(key, self.action, fields)
        return asking.begun_by(accepted, key, self.action, host)

    def look(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> shown.Shown | None:
        """The check, where only that was asked for."""
        if not (self.purpose and parsed_args.dry_run):
            return None
        key = pools.find(parsed_args.aggregate).id
        fields: Mapping[str, Any] = {
            'host': parsed_args.host,
            'for': self.purpose,
            **self.checked(parsed_args),
        }
        return self.show_check(pools.check(key, fields))


class AddHost(_HostChange):
    """Add a host to an aggregate: it joins the pool"""

    action = 'add_host'
    purpose = 'add'


class RemoveHost(_HostChange):
    """Remove a host from an aggregate: its pool ejects it.

    An eject wipes the local storage of the host. Disks there forbid it, until
    they are given up by --accept-data-loss.
    """

    action = 'remove_host'
    purpose = 'remove'

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """What may be lost."""
        asking.add_lost_data(parser)
        parser.add_argument(
            '--force',
            action='store_true',
            default=None,
            help='Let the pool forget a host that is gone for good',
        )

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What may be lost."""
        return {
            'accept_data_loss': parsed_args.accept_data_loss,
            'force': parsed_args.force,
        }

    def checked(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """Nothing: a check takes neither consent nor force.

        :raises api.Refused: one of them was said.
        """
        if parsed_args.accept_data_loss or parsed_args.force:
            raise api.Refused(
                'A dry run tells what forbids an eject without '
                '--accept-data-loss and --force; leave them away.'
            )
        return {}


class SetHosts(asking.Change):
    """Set the hosts of an aggregate: who is not named leaves.

    Nothing is done with any host unless all of it may be done.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        asking.add_aggregate(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            '--host',
            metavar='<host>',
            dest='hosts',
            action='append',
            help='Host (name) that the aggregate is to have (repeat option '
            'for more hosts; the first one founds the pool)',
        )
        which.add_argument(
            '--no-host',
            dest='hosts',
            action='store_const',
            const=[],
            help='Let all hosts leave',
        )
        asking.add_lost_data(parser)
        asking.add_dry_run(parser, 'Only show what would change')

    def _fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        return {
            'hosts': parsed_args.hosts,
            'accept_data_loss': parsed_args.accept_data_loss,
        }

    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> asking.Begun:
        """Ask for it."""
        key = pools.find(parsed_args.aggregate).id
        accepted = pools.set_hosts(key, self._fields(parsed_args))
        return asking.Begun(key, 'set_hosts', None, accepted.operation)

    def look(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> shown.Shown | None:
        """What would change, where only that was asked for."""
        if not parsed_args.dry_run:
            return None
        key = pools.find(parsed_args.aggregate).id
        return self.show_list(pools.plan_hosts(key, self._fields(parsed_args)))


class ResetHost(_HostChange):
    """Say what became of a host, where the service cannot find out.

    It changes nothing at hosts.
    """

    action = 'reset'

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """What became of it."""
        parser.add_argument(
            '--outcome',
            choices=('member', 'free', 'out_of_maintenance'),
            required=True,
            help='member: it is in the pool; free: it is in no pool of '
            'others; out_of_maintenance: its maintenance is over, whatever '
            'became of its guests',
        )

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What became of it."""
        return {'outcome': parsed_args.outcome}


class SetMaintenance(_HostChange):
    """Take a host into maintenance: its guests move to other members"""

    action = 'enter_maintenance'
    purpose = 'maintenance'

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Why, and what may happen to guests."""
        parser.add_argument(
            '--reason', metavar='<reason>', help='Why, in words'
        )
        parser.add_argument(
            '--stay-on-failure',
            action='store_true',
            default=None,
            help='Let the host take no guests, even if some cannot leave it',
        )
        asking.add_guests(parser)
        asking.add_network(parser)

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """Why, and what may happen to guests."""
        return {
            'reason': parsed_args.reason,
            'stay_on_failure': parsed_args.stay_on_failure,
            **asking.guests_of(parsed_args),
        }

    def checked(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What may happen to guests."""
        return asking.guests_of(parsed_args)


class UnsetMaintenance(_HostChange):
    """Take a host out of maintenance: its guests come back"""

    action = 'leave_maintenance'

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Whether guests come back, and how."""
        parser.add_argument(
            '--no-restore',
            dest='restore',
            action='store_false',
            default=None,
            help='Leave guests where they are, and those shut down as they '
            'are',
        )
        asking.add_network(parser)

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """Whether guests come back, and how."""
        return {
            'restore': parsed_args.restore,
            'network': parsed_args.network,
        }


class _Power(_HostChange):
    """A host in maintenance is switched."""

    action = 'power_host'

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What is done to it."""
        return {'action': self.purpose}


class RebootHost(_Power):
    """Reboot a host that is in maintenance and has no guests"""

    purpose = 'reboot'


class ShutDownHost(_Power):
    """Shut down a host that is in maintenance and has no guests"""

    purpose = 'shutdown'


class StartHost(_Power):
    """Start a host that is in maintenance"""

    purpose = 'startup'
