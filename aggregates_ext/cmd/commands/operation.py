"""aggregates-ext-manage operation: operations and their history."""

import json
from typing import Any

from aggregates_ext.cmd.commands import group
from aggregates_ext.cmd.commands import tables
from aggregates_ext.db import records
from aggregates_ext.domain import history
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import again
from aggregates_ext.domain.membership import members
from aggregates_ext.domain.membership import retries

STATES = (
    'queued',
    'running',
    'succeeded',
    'failed',
    'cancelled',
    'unresolved',
)
COLUMNS = (
    'uuid',
    'created',
    'aggregate',
    'kind',
    'host',
    'state',
    'reason',
)


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(
        subparsers, 'operation', 'operations and their history'
    )
    every = group.add_command(
        actions, 'list', 'all, or those of an aggregate', show_all
    )
    every.add_argument(
        'aggregate', type=group.number, nargs='?', help='id of the aggregate'
    )
    every.add_argument('--state', choices=STATES)
    every.add_argument('--host', help='the host-id')
    every.add_argument('--limit', type=group.number, default=1000)
    every.add_argument('--json', action='store_true')
    end = group.add_command(
        actions, 'purge', 'delete what ended long ago', purge
    )
    end.add_argument('--older-than', type=float, required=True, metavar='DAYS')
    end.add_argument(
        '--aggregate', type=group.number, help='only of this aggregate'
    )
    for name, does, command in (
        ('show', 'one operation', show),
        ('cancel', 'cancel a queued one', cancel),
        ('retry', 'try one again', retry),
    ):
        group.add_command(actions, name, does, command).add_argument('uuid')


def show_all(tools: group.Tools) -> int:
    """Print operations, the newest first."""
    asked = tools.asked
    found = _history(tools).get_all(
        asked.aggregate, asked.state, asked.host, asked.limit
    )
    if asked.json:
        print(json.dumps([_shown(operation) for operation in found]))
        return 0
    print(tables.draw(COLUMNS, map(_row, found)))
    return 0


def _row(operation: records.Operation) -> tuple[object, ...]:
    """An operation in the columns, with the reason for what it has come to."""
    return (
        operation.uuid,
        f'{operation.created_at:%Y-%m-%dT%H:%M:%S}',
        operation.aggregate_id,
        operation.kind,
        operation.host,
        operation.state,
        (operation.error or {}).get('message') or operation.step,
    )


def _history(tools: group.Tools) -> history.History:
    return history.History(tools.database, tools.conf.compute.designate_wait)


def purge(tools: group.Tools) -> int:
    """Delete operations and moves that ended long ago, and what they held."""
    found = _history(tools).purge(
        tools.asked.older_than, tools.asked.aggregate
    )
    print(
        f'Deleted: {found.operations} operations, {found.moves} moves, '
        f'{found.aggregates} deleted aggregates.'
    )
    return 0


def _shown(operation: records.Operation) -> dict[str, Any]:
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


def show(tools: group.Tools) -> int:
    """Print one operation."""
    found = operations.Operations(tools.database).get(tools.asked.uuid)
    print(json.dumps(_shown(found), indent=2))
    return 0


def retry(tools: group.Tools) -> int:
    """Try an operation again, and print the one that does."""
    intended = tools.intent()
    found = operations.Operations(tools.database).get(tools.asked.uuid)
    tried = retries.Retries(
        intended, members.Members(intended), again.ask_again
    ).retry(tools.context(), found.aggregate_id, found.uuid)
    print(tried.uuid)
    return 0


def cancel(tools: group.Tools) -> int:
    """Take a queued operation back."""
    done = operations.Operations(tools.database)
    found = done.get(tools.asked.uuid)
    done.cancel(tools.context(), found.aggregate_id, found.uuid)
    return 0
