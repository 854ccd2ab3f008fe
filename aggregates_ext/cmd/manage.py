"""aggregates-ext-manage: the operator's commands (design 2 and 6)."""

from aggregates_ext.cmd import threads  # noqa: F401, I001 (first)

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import yaml
from oslo_config import cfg
from oslo_log import log as logging
from rich import console
from rich import table

from aggregates_ext import conf as options
from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import hosts
from aggregates_ext import operations
from aggregates_ext import policy
from aggregates_ext import rpc
from aggregates_ext.db import engine
from aggregates_ext.db import migration
from aggregates_ext.db import records

CHECK_TIMEOUT = 60.0


class Commands:
    """One method for each command; what it returns is the exit code."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._command = conf.command
        self._database = engine.Database(conf)
        self._hosts = hosts.Hosts(self._database)
        self._operations = operations.Operations(self._database)

    def db_sync(self) -> int:
        migration.upgrade(self._database)
        print(migration.version(self._database))
        return 0

    def db_version(self) -> int:
        print(migration.version(self._database) or 'empty')
        return 0

    def db_check(self) -> int:
        found = migration.version(self._database)
        newest = migration.newest()
        if found == newest:
            print(f'The schema is {found}, the newest.')
            return 0
        print(
            f'The schema is {found or "empty"}, this release needs {newest}: '
            'run "aggregates-ext-manage db sync".'
        )
        return 1

    def host_add(self) -> int:
        if self._command.file:
            with open(self._command.file, encoding='utf-8') as file:
                registrations = yaml.safe_load(file)
            if not isinstance(registrations, list):
                raise exception.Invalid(
                    reason=f'{self._command.file} must hold a list of hosts.'
                )
        elif self._command.host and self._command.url:
            registrations = [
                {
                    'name': self._command.host,
                    'url': self._command.url,
                    'availability_zone': self._command.zone,
                    'credential': self._command.credential,
                    'fingerprint': self._command.fingerprint,
                }
            ]
        else:
            raise exception.Invalid(
                reason='Give a host and its --url, or --file.'
            )
        self._hosts.add(registrations)
        return 0

    def host_list(self) -> int:
        rows = [_shown(host) for host in self._hosts.get_all()]
        if self._command.json:
            print(json.dumps(rows))
            return 0
        columns = ('name', 'url', 'zone', 'credential', 'aggregate', 'phase')
        grid = table.Table(*columns)
        for row in rows:
            grid.add_row(*(str(row[name] or '') for name in columns))
        console.Console().print(grid)
        return 0

    def host_show(self) -> int:
        shown = _shown(self._hosts.get(self._command.host))
        print(json.dumps(shown, indent=2))
        return 0

    def host_remove(self) -> int:
        self._hosts.remove(self._command.host)
        return 0

    def host_check(self) -> int:
        host = self._hosts.get(self._command.host)
        transport = rpc.get_transport(self._conf)
        compute = rpc.ComputeAPI(transport, CHECK_TIMEOUT)
        report = compute.check_host(host.name, host.aggregate_id, 'contact')
        if report is None:
            raise exception.Unavailable(
                reason='No compute service answered. Check that '
                'aggregates-ext-compute runs, and that it and this command '
                'have the same transport_url.'
            )
        print(json.dumps(report, indent=2))
        return 1 if report['blockers'] else 0

    def host_reset(self) -> int:
        host = self._hosts.get(self._command.host)
        aggregate_id = host.aggregate_id
        if aggregate_id is None:
            aggregate_id = self._operations.aggregate_of(host.name)
        if aggregate_id is None:
            raise exception.Conflict(
                reason=f'Host {host.name} is free; there is nothing to reset.'
            )
        ctx = context.RequestContext(
            user_id=getpass.getuser(),
            enforcer=policy.make_enforcer(self._conf),
        )
        self._operations.reset(
            ctx, aggregate_id, host.name, self._command.outcome
        )
        return 0

    def host_accept_data_loss(self) -> int:
        self._hosts.accept_data_loss(
            self._command.host, self._command.sr, getpass.getuser()
        )
        print('Accepted for one removal within an hour.')
        return 0

    def operation_list(self) -> int:
        for operation in self._operations.get_all(self._command.aggregate):
            print(
                f'{operation.uuid} {operation.created_at:%Y-%m-%d %H:%M:%S} '
                f'{operation.kind} {operation.host or "-"} {operation.state}'
            )
        return 0

    def operation_show(self) -> int:
        found = self._operations.get(self._command.uuid)
        print(json.dumps(_shown_operation(found), indent=2))
        return 0

    def operation_cancel(self) -> int:
        found = self._operations.get(self._command.uuid)
        self._operations.cancel(found.aggregate_id, found.uuid)
        return 0


def _shown(host: records.Host) -> dict[str, Any]:
    return {
        'name': host.name,
        'url': host.url,
        'zone': host.availability_zone,
        'credential': host.credential,
        'fingerprint': host.fingerprint,
        'uuid': host.uuid,
        'address': host.address,
        'aggregate': host.aggregate_id,
        'phase': host.phase,
        'alarm': host.alarm,
    }


def _shown_operation(operation: records.Operation) -> dict[str, Any]:
    return {
        'uuid': operation.uuid,
        'kind': operation.kind,
        'aggregate': operation.aggregate_id,
        'host': operation.host,
        'state': operation.state,
        'step': operation.step,
        'progress': operation.progress,
        'attempts': operation.attempts,
        'error': operation.error,
        'request_id': operation.request_id,
        'user_id': operation.user_id,
        'created_at': str(operation.created_at),
        'finished_at': str(operation.finished_at or ''),
    }


def _add_host_commands(actions: Any) -> None:
    add = _command(actions, 'add', 'register hosts', Commands.host_add)
    add.add_argument('host', nargs='?', help='the host-id')
    add.add_argument('--url', help='such as https://10.0.0.11')
    add.add_argument('--zone', help='its availability zone')
    add.add_argument('--credential', default='default')
    add.add_argument('--fingerprint', help='SHA-256 of its certificate')
    add.add_argument('--file', help='a YAML list of hosts instead')
    show = _command(actions, 'list', 'all hosts', Commands.host_list)
    show.add_argument('--json', action='store_true')
    for name, does, method in (
        ('show', 'one host', Commands.host_show),
        ('remove', 'forget a free host', Commands.host_remove),
        ('check', 'ask a compute service', Commands.host_check),
    ):
        _command(actions, name, does, method).add_argument('host')
    reset = _command(
        actions, 'reset', 'tell what became of it', Commands.host_reset
    )
    reset.add_argument('host')
    reset.add_argument('outcome', choices=sorted(operations.OUTCOMES))
    accept = _command(
        actions,
        'accept-data-loss',
        'let one removal within an hour destroy the disks in these SRs',
        Commands.host_accept_data_loss,
    )
    accept.add_argument('host')
    accept.add_argument('sr', nargs='+', help='uuid of an SR')


def _command(
    actions: Any,
    name: str,
    does: str,
    method: Callable[[Commands], int],
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=does)
    parser.set_defaults(method=method)
    return parser


def _add_commands(subparsers: Any) -> None:
    def group(name: str, about: str) -> Any:
        parser = subparsers.add_parser(name, help=about)
        return parser.add_subparsers(dest='action', required=True)

    actions = group('db', 'the schema of the database')
    _command(actions, 'sync', 'create or upgrade it', Commands.db_sync)
    _command(actions, 'version', 'print its version', Commands.db_version)
    _command(actions, 'check', 'is it the newest?', Commands.db_check)
    _add_host_commands(group('host', 'the registered hosts'))
    actions = group('operation', 'operations and their history')
    show = _command(
        actions, 'list', 'those of an aggregate', Commands.operation_list
    )
    show.add_argument('aggregate', type=int, help='id of the aggregate')
    for name, does, method in (
        ('show', 'one operation', Commands.operation_show),
        ('cancel', 'cancel a queued one', Commands.operation_cancel),
    ):
        _command(actions, name, does, method).add_argument('uuid')


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 when it is refused, with the reason on stderr."""
    conf = cfg.ConfigOpts()
    logging.register_options(conf)
    conf.register_cli_opt(
        cfg.SubCommandOpt('command', handler=_add_commands, title='commands')
    )
    logging.set_defaults(
        default_log_levels=[
            *logging.get_default_log_levels(),
            'alembic=WARNING',
        ]
    )
    # What a command prints may be read by a program.
    conf.set_default('use_stderr', True)
    options.parse(conf, sys.argv[1:] if argv is None else argv)
    logging.setup(conf, 'aggregates_ext')
    try:
        method: Callable[[Commands], int] = conf.command.method
        return method(Commands(conf))
    except (exception.AggregatesError, OSError, yaml.YAMLError) as exc:
        print(exc, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
