"""openstack aggregate pool rolling: all hosts of a pool, one after another."""

import argparse
from typing import Any

from aggregates_ext.client import api
from aggregates_ext.client import asking
from aggregates_ext.client import shown


class _Rolling(asking.Change):
    """A run over the hosts of a pool.

    :ivar action: what the API calls it.
    :ivar pause: where a host waits, if that is asked for.
    """

    action: str
    pause: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        asking.add_aggregate(parser)
        parser.add_argument(
            '--host',
            metavar='<host>',
            dest='hosts',
            action='append',
            help='Host (name) that is meant, in the order of turns (repeat '
            'option for more hosts; default: all members)',
        )
        parser.add_argument(
            '--no-restore',
            dest='restore',
            action='store_false',
            default=None,
            help='Leave guests where they are at the end',
        )
        asking.add_guests(parser)
        asking.add_network(parser)
        parser.add_argument(
            '--suspend-ha',
            action='store_true',
            default=None,
            help='Let high availability be off for the time',
        )
        parser.add_argument(
            '--pause',
            choices=('none', self.pause),
            help='Where each host waits for "openstack aggregate pool '
            'operation continue" when it is empty (default: none)',
        )
        self.add_options(parser)
        asking.add_dry_run(parser, 'Only show the plan and what forbids it')

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Its own options; none, unless told otherwise."""

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What the request says; None is not said."""
        return {
            'hosts': parsed_args.hosts,
            'restore': parsed_args.restore,
            'suspend_ha': parsed_args.suspend_ha,
            'pause': parsed_args.pause,
            **asking.guests_of(parsed_args),
        }

    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> asking.Begun:
        """Ask for it."""
        key = pools.find(parsed_args.aggregate).id
        accepted = pools.act(key, self.action, self.fields(parsed_args))
        return asking.begun_by(accepted, key, self.action, None)

    def look(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> shown.Shown | None:
        """The plan, where only that was asked for."""
        if not parsed_args.dry_run:
            return None
        key = pools.find(parsed_args.aggregate).id
        fields = self.fields(parsed_args)
        return self.show_plan(pools.plan(key, self.action, fields))


class RollingReboot(_Rolling):
    """Restart all hosts of a pool, one after another, while guests run"""

    action = 'rolling_reboot'
    pause = 'before_reboot'

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Who may be left out."""
        parser.add_argument(
            '--only-if-needed',
            action='store_true',
            default=None,
            help='Leave out hosts of which no update asks for a reboot',
        )

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """The same, and who may be left out."""
        only = {'only_if_needed': parsed_args.only_if_needed}
        return {**super().fields(parsed_args), **only}


class RollingUpdate(_Rolling):
    """Update all hosts of a pool, one after another, while guests run"""

    action = 'rolling_update'
    pause = 'before_update'

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """What is done before."""
        parser.add_argument(
            '--sync',
            action='store_true',
            default=None,
            help='Let the master of XenServer copy what is published before',
        )

    def fields(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """The same, and what is done before."""
        return {**super().fields(parsed_args), 'sync': parsed_args.sync}
