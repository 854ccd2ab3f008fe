"""What all commands have: the API, the aggregate, waiting, exit codes."""

import abc
import argparse
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from osc_lib.command import command

from aggregates_ext.client import api
from aggregates_ext.client import fields
from aggregates_ext.client import plugin
from aggregates_ext.client import progress
from aggregates_ext.client import shown
from aggregates_ext.client import waiting

AGGREGATE_HELP = 'Aggregate (name or ID)'


def pools_of(asking: command.Command) -> api.Pools:
    """The API as the client manager finds it."""
    return api.Pools(plugin.make_client(asking.app.client_manager))


def add_aggregate(parser: argparse.ArgumentParser) -> None:
    """Let an aggregate be named."""
    parser.add_argument(
        'aggregate', metavar='<aggregate>', help=AGGREGATE_HELP
    )


def add_host(parser: argparse.ArgumentParser, text: str = 'Host') -> None:
    """Let a host be named."""
    parser.add_argument('host', metavar='<host>', help=f'{text} (name)')


def _number(text: str) -> int:
    """A number of rows."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is less than 1')
    return number


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Let a list be short."""
    parser.add_argument(
        '--limit',
        metavar='<limit>',
        type=_number,
        help='How many at most, up to 1000 (default: all)',
    )


class Begun(NamedTuple):
    """What was asked for, and accepted.

    :ivar uuid: of its operation; None: it needs none.
    :ivar told: of it, where the answer tells that.
    """

    aggregate_id: int
    kind: str
    host: str | None
    uuid: str | None
    told: Mapping[str, Any] | None = None


class Show(command.ShowOne):
    """A command with an exit code of its own.

    :ivar exit_code: 0 unless the action says otherwise.
    """

    exit_code = 0

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Show what there is, and end with the exit code."""
        super().run(parsed_args)
        return self.exit_code

    def show_check(self, found: Mapping[str, Any]) -> shown.Shown:
        """Show a check; the exit code tells whether nothing forbids it."""
        self.exit_code = 0 if fields.would_be_accepted(found) else 1
        return shown.check(found)

    def show_plan(self, found: Mapping[str, Any]) -> shown.Shown:
        """Show a plan; the exit code tells whether nothing forbids it."""
        self.exit_code = 0 if fields.would_be_accepted(found) else 1
        return shown.plan(found)

    def show_list(self, found: Mapping[str, Any]) -> shown.Shown:
        """Show what a list of hosts would do, and whether it may."""
        self.exit_code = 0 if fields.list_would_be_accepted(found) else 1
        return shown.list_plan(found)


class Change(Show):
    """A command that has an operation carried out.

    :ivar wanted: the state of the operation that is its purpose.
    """

    wanted = 'succeeded'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Its options; each of them can wait."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        self.add_arguments(parser)
        parser.add_argument(
            '--wait',
            action='store_true',
            help='Wait for the end of the operation and show its progress; '
            'exit code 0: succeeded, 1: failed, 3: cancelled, 4: unresolved, '
            '5: a host is paused',
        )
        return parser

    @abc.abstractmethod
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its own options and arguments."""

    @abc.abstractmethod
    def begin(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> Begun:
        """Ask for it."""

    def look(
        self, pools: api.Pools, parsed_args: argparse.Namespace
    ) -> shown.Shown | None:
        """Where nothing shall be done: what would be."""
        return None

    def take_action(self, parsed_args: argparse.Namespace) -> shown.Shown:
        """Ask for it, wait if that was said, and show the operation."""
        pools = pools_of(self)
        looked = self.look(pools, parsed_args)
        if looked is not None:
            return looked
        begun = self.begin(pools, parsed_args)
        if begun.uuid is None:
            # What was asked for is so already, or was so at once.
            at_once = {'state': 'succeeded', 'step': 'done at once'}
            return shown.operation({**begun._asdict(), **at_once})
        if not parsed_args.wait:
            return shown.operation(self._read(pools, begun))
        return shown.operation(self._wait(pools, begun.uuid))

    def _read(self, pools: api.Pools, begun: Begun) -> Mapping[str, Any]:
        """The operation as it is now, or what is known of it."""
        try:
            return begun.told or pools.operation(str(begun.uuid))
        except api.Refused as exc:
            # It has been accepted, whatever is told of it.
            self.log.warning('The operation cannot be read: %s', exc)
            return begun._asdict()

    def _wait(self, pools: api.Pools, uuid: str) -> Mapping[str, Any]:
        stream = self.app.stderr
        try:
            with progress.Progress(stream) as teller:
                found = waiting.wait(pools, uuid, teller)
        except KeyboardInterrupt:
            stream.write(f'Operation {uuid} goes on.\n')
            raise
        self.exit_code = waiting.exit_code(found, self.wanted)
        self._explain(found)
        return found

    def _explain(self, found: Mapping[str, Any]) -> None:
        """Say why it has not come to what was wanted."""
        uuid = found.get('uuid')
        error = found.get('error') or {}
        if self.exit_code == waiting.PAUSED:
            self.log.warning(
                'Host %s is empty and waits for "openstack aggregate pool '
                'operation continue %s".',
                found.get('paused'),
                uuid,
            )
        elif self.exit_code:
            self.log.error(
                'Operation %s is %s: %s',
                uuid,
                found.get('state'),
                error.get('message') or 'no reason is told',
            )
        elif error:
            self.log.warning('%s: %s', error.get('code'), error.get('message'))


def begun_by(
    accepted: api.Accepted, aggregate_id: int, kind: str, host: str | None
) -> Begun:
    """What the API has accepted."""
    told = accepted.body.get('operation')
    uuid = accepted.operation or (told or {}).get('uuid')
    return Begun(aggregate_id, kind, host, uuid, told)


def add_lost_data(parser: argparse.ArgumentParser) -> None:
    """Let storage be named whose disks may be destroyed."""
    parser.add_argument(
        '--accept-data-loss',
        metavar='<sr>',
        action='append',
        help='Storage repository (UUID) whose disks may be destroyed '
        '(repeat option for more storage repositories)',
    )


def add_guests(parser: argparse.ArgumentParser) -> None:
    """Let guests be named that may be shut down."""
    parser.add_argument(
        '--shut-down',
        metavar='<guest>',
        action='append',
        help='Guest (UUID) that may be shut down where it cannot move '
        '(repeat option for more guests)',
    )
    parser.add_argument(
        '--hard',
        action='store_true',
        default=None,
        help='Shut those guests down hard that do not go down in time',
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Let the network of moves be named."""
    parser.add_argument(
        '--network',
        metavar='<network>',
        help='Network of the pool (UUID) that guests move over',
    )


def add_dry_run(parser: argparse.ArgumentParser, text: str) -> None:
    """Let it only be told what would be done."""
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help=f'{text}; exit code 0: it would be accepted, 1: it would not',
    )


def guests_of(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """What was said of guests; nothing where nothing was."""
    names: Sequence[str] = ('shut_down', 'hard', 'network')
    return {name: getattr(parsed_args, name) for name in names}
