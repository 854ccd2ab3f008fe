"""openstack aggregate pool operation: what was asked for, and the ways out."""

import argparse

from osc_lib.command import command

from aggregates_ext.client import api
from aggregates_ext.client import asking
from aggregates_ext.client import shown

STATES = (
    'queued',
    'running',
    'succeeded',
    'failed',
    'cancelled',
    'unresolved',
)
COLUMNS = {
    'UUID': 'uuid',
    'Kind': 'kind',
    'Host': 'host',
    'State': 'state',
    'Progress': 'progress',
    'Code': 'code',
    'Created At': 'created_at',
}
LONG = {
    'Step': 'step',
    'Message': 'message',
    'Attempts': 'attempts',
    'Request ID': 'request_id',
    'User ID': 'user_id',
    'Finished At': 'finished_at',
}


def _uuid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'operation', metavar='<operation>', help='Operation (UUID)'
    )


class ListOperations(command.Lister):
    """List the operations of an aggregate, the newest first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Its arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            'aggregate',
            metavar='<aggregate>',
            help=f'{asking.AGGREGATE_HELP}; the ID of one that is deleted too',
        )
        parser.add_argument(
            '--state', choices=STATES, help='Only those in this state'
        )
        asking.add_limit(parser)
        parser.add_argument(
            '--marker',
            metavar='<operation>',
            help='Operation (UUID) that the list begins after',
        )
        parser.add_argument(
            '--long', action='store_true', help='List additional fields'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> shown.Shown:
        """Read them, page by page."""
        pools = asking.pools_of(self)
        key = pools.find(parsed_args.aggregate, deleted=True).id
        found = pools.operations(
            key,
            parsed_args.limit,
            state=parsed_args.state,
            marker=parsed_args.marker,
        )
        columns = {**COLUMNS, **(LONG if parsed_args.long else {})}
        # Code and message stand in the error.
        flat = ({**(each.get('error') or {}), **each} for each in found)
        return shown.rows(flat, columns)


class ShowOperation(asking.Change):
    """Show an operation, with its hosts, moves and guests"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        _uuid(parser)

    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> asking.Begun:
        """Look at it."""
        found = pools.operation(parsed_args.operation)
        return asking.Begun(
            found['aggregate_id'],
            found['kind'],
            found['host'],
            found['uuid'],
            found,
        )


class _Again(asking.Change):
    """What is done with an operation.

    :ivar action: what the API calls it.
    """

    action: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its arguments."""
        _uuid(parser)

    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> asking.Begun:
        """Ask for it, at the aggregate that it belongs to."""
        found = pools.operation(parsed_args.operation)
        key = int(found['aggregate_id'])
        fields = {'operation': parsed_args.operation}
        accepted = pools.act(key, self.action, fields)
        return asking.begun_by(accepted, key, found['kind'], found['host'])


class RetryOperation(_Again):
    """Try an operation again, when what was in its way has been mended"""

    action = 'retry_operation'


class CancelOperation(_Again):
    """Take a queued operation back, or give a run over all hosts up"""

    action = 'cancel_operation'
    wanted = 'cancelled'


class ContinueOperation(_Again):
    """Let a run over all hosts go on with the host that waits"""

    action = 'continue_operation'
