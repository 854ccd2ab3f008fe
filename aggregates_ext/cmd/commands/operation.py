"""aggregates-ext-manage operation: operations and their history."""

import json
from typing import Any

from aggregates_ext import members
from aggregates_ext import operations
from aggregates_ext import retries
from aggregates_ext.cmd.commands import group
from aggregates_ext.db import records


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(
        subparsers, 'operation', 'operations and their history'
    )
    every = group.add_command(
        actions, 'list', 'those of an aggregate', show_all
    )
    every.add_argument('aggregate', type=int, help='id of the aggregate')
    for name, does, command in (
        ('show', 'one operation', show),
        ('cancel', 'cancel a queued one', cancel),
        ('retry', 'try one again', retry),
    ):
        group.add_command(actions, name, does, command).add_argument('uuid')


def show_all(tools: group.Tools) -> int:
    """Print the operations of an aggregate, the newest first."""
    done = operations.Operations(tools.database)
    for operation in done.get_all(tools.asked.aggregate):
        print(
            f'{operation.uuid} {operation.created_at:%Y-%m-%d %H:%M:%S} '
            f'{operation.kind} {operation.host or "-"} {operation.state}'
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
    tried = retries.Retries(intended, members.Members(intended)).retry(
        tools.context(), found.aggregate_id, found.uuid
    )
    print(tried.uuid)
    return 0


def cancel(tools: group.Tools) -> int:
    """Take a queued operation back."""
    done = operations.Operations(tools.database)
    found = done.get(tools.asked.uuid)
    done.cancel(found.aggregate_id, found.uuid)
    return 0
